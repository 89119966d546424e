"""The page itself: what is where on it, and what happens when something is pressed."""
import html
from pathlib import Path
import re
import signal
import sys
import time
import typing as tp

from .. import environment
environment.prepare()
from audiocraft.data.audio_dataset import DEFAULT_EXTS
import gradio as gr
import pandas as pd

from ..errors import UserError
from ..solvers.verdict import REFERENCES
from .learning import Learning, Progress
from .session import Session

BASES = ['tiny', 'facebook/musicgen-small', 'facebook/musicgen-medium', 'facebook/musicgen-large']
STRENGTHS = (0.2, 0.5, 1.)
HOUR, DAY = 3600, 86400  # uploads are kept for a day
INTRODUCTION = """# Teach a music model a new word
Drop in a few recordings of one sound. A text-to-music model learns a word for it, and you make music with that word.
"""


def _tell(error: UserError, files: tp.Sequence[str] = ()) -> None:
    """Show a message until it is clicked away, with uploads by their names alone; outputs stay as they are."""
    text = str(error)
    for file in files:
        text = text.replace(file, Path(file).name)
    gr.Warning(html.escape(text, quote=False), duration=None)  # escaped, or <amen> would be a tag


def _curve(progress: Progress, class_word: str) -> pd.DataFrame:
    """The held-out loss beside what it is compared with, one row a point."""
    rows: tp.List[tp.Tuple[float, float, str]] = []
    if progress.references:
        rows.append((0, progress.references['ce_start'], 'with the concept'))
    rows += [((index + 1) * progress.updates / len(progress.losses), loss, 'with the concept')
             for index, loss in enumerate(progress.losses)]
    for key, name in list(REFERENCES.items())[1:]:
        loss = progress.references.get(f'ce_{key}')
        if loss is not None:
            rows += [(update, loss, name.format(class_word)) for update in (0, progress.updates)]
    return pd.DataFrame(rows, columns=['updates', 'loss', 'which'])


def _chips(session: Session) -> gr.Dataset:
    return gr.Dataset(samples=[[f'<{name}>'] for name in session.concepts], visible=bool(session.concepts))


def _learn(session: Session, base: str, files: tp.Optional[tp.List[str]], name: str, class_word: str, updates: float
           ) -> tp.Iterator[tp.Tuple[tp.Any, ...]]:
    """Learn, and show how it goes: status, curve, reference, reconstruction, edit, file, chips."""
    try:
        learning = session.learn(files or [], name.strip(), base, class_word.strip(), int(updates))
        progress = Progress()
        while progress.running and session.learning is learning:
            progress = learning.progress()
            curve = _curve(progress, class_word) if progress.losses else gr.skip()
            yield _status(progress, learning), curve, *[gr.skip()] * 5
            time.sleep(0.5)
        yield _status(progress, learning), _curve(progress, class_word), *_results(session, learning)
    except UserError as error:
        _tell(error, files or [])
        yield '', *[gr.skip()] * 6


def _status(progress: Progress, learning: Learning) -> str:
    message = re.sub('(<[^<>]*>)', r'`\1`', progress.message)  # or Markdown would take it for a tag
    if not progress.running:
        return message or 'It was stopped before it had learned anything.'
    if not progress.losses:
        return 'Reading the recordings and the model …'
    return f'{progress.updates} of {learning.updates} updates. {message}'


def _results(session: Session, learning: Learning) -> tp.Tuple[tp.Any, ...]:
    """What was learned: reference, reconstruction, edit, file and chips, each as far as it is there."""
    concepts = learning.find('concept.safetensors')
    if concepts:
        session.add(concepts[0])
    samples = [next(iter(map(str, learning.find(f'samples/*/{kind}_0.wav'))), None)
               for kind in ('reconstruction', 'editability')]
    return str(learning.recordings[0]), *samples, str(concepts[0]) if concepts else None, _chips(session)


def _stop(session: Session) -> None:
    session.close()


def _load(session: Session, files: tp.Optional[tp.List[str]]) -> tp.Any:
    """Load concept files that the visitor gave."""
    try:
        for file in files or []:
            session.add(Path(file))
    except UserError as error:
        _tell(error, files or [])
    return _chips(session)


def _play(session: Session, base: str, prompt: str, strength: float, duration: float, seed: float,
          progress: gr.Progress = gr.Progress()) -> str:
    music, = _compare(session, base, prompt, duration, seed, progress, [strength])
    return music


def _compare(session: Session, base: str, prompt: str, duration: float, seed: float,
             progress: gr.Progress = gr.Progress(), strengths: tp.Sequence[float] = STRENGTHS) -> tp.List[tp.Any]:
    def show(done: int, total: int) -> None:
        progress((done, total), desc='Generating')
    try:
        return [str(session.play(base, prompt, strength, duration, int(seed), show)) for strength in strengths]
    except UserError as error:
        _tell(error)
        return [gr.skip()] * len(strengths)


def _insert(prompt: str, chip: tp.List[str]) -> str:
    return f'{prompt.rstrip()} {chip[0]}'.lstrip()


def _learn_tab(session: gr.State, bases: gr.Dropdown, chips: gr.Dataset) -> None:
    with gr.Row():
        with gr.Column():
            files = gr.File(label='Recordings of one sound', file_count='multiple', file_types=list(DEFAULT_EXTS),
                            height=240, elem_id='recordings')
            name = gr.Textbox(label='Its name', placeholder='amen', max_lines=1, elem_id='name')
            class_word = gr.Textbox(label='What it is, in plain words (optional)', placeholder='drum beat', max_lines=1)
            updates = gr.Slider(10, 1000, 100, step=10, label='Updates', info='the paper has 1000', elem_id='updates')
            with gr.Row():
                learn = gr.Button('Learn', variant='primary', elem_id='learn')
                stop = gr.Button('Stop', elem_id='stop')
        with gr.Column():
            status = gr.Markdown('', elem_id='status')
            curve = gr.LinePlot(x='updates', y='loss', y_title='held-out loss', color='which', height=260,
                                elem_id='curve')
            reference = gr.Audio(label='Reference', interactive=False, elem_id='reference')
            made = gr.Audio(label='A recording of it', interactive=False, elem_id='reconstruction')
            edit = gr.Audio(label='A disco song with it', interactive=False, elem_id='edit')
            concept = gr.File(label='The concept', interactive=False, height=100, elem_id='concept')
    learn.click(_learn, [session, bases, files, name, class_word, updates],
                [status, curve, reference, made, edit, concept, chips], concurrency_limit=None)
    stop.click(_stop, session)


def _play_tab(session: gr.State, bases: gr.Dropdown, chips: gr.Dataset) -> None:
    with gr.Row():
        with gr.Column():
            prompt = gr.Textbox(label='Prompt', placeholder='A jazz song with a <amen>', elem_id='prompt')
            chips.render()
            loaded = gr.File(label='Load concepts', file_count='multiple', file_types=['.safetensors'],
                             height=140, elem_id='concepts')
            strength = gr.Slider(0.1, 1, 0.5, step=0.1, label='Strength of concepts')
            duration = gr.Slider(1, 30, 4, step=1, label='Seconds')
            seed = gr.Number(0, label='Seed', precision=0)
        with gr.Column():
            with gr.Row():
                play = gr.Button('Generate', variant='primary', elem_id='generate')
                compare = gr.Button('Compare strengths', elem_id='compare')
            music = gr.Audio(label='Music', interactive=False, elem_id='music')
            with gr.Column(elem_id='compared'):
                compared = [gr.Audio(label=f'Strength {value:g}', interactive=False) for value in STRENGTHS]
    loaded.upload(_load, [session, loaded], chips)
    chips.click(_insert, [prompt, chips], prompt)
    play.click(_play, [session, bases, prompt, strength, duration, seed], music)
    compare.click(_compare, [session, bases, prompt, duration, seed], compared)


def build(base: str = 'tiny') -> gr.Blocks:
    """The page, with a base model chosen to begin with."""
    with gr.Blocks(title='audiocraft_ti', analytics_enabled=False, delete_cache=(HOUR, DAY)) as page:
        session = gr.State(Session, delete_callback=Session.close)
        gr.Markdown(INTRODUCTION)
        bases = gr.Dropdown(list(dict.fromkeys([base, *BASES])), value=base, label='Base model',
                            info='tiny comes with the package, the others are downloaded once')
        chips = gr.Dataset(components=[gr.Textbox(visible=False)], samples=[], label='Put in a concept', visible=False,
                           elem_id='chips', render=False)
        with gr.Tab('Learn'):
            _learn_tab(session, bases, chips)
        with gr.Tab('Play'):
            _play_tab(session, bases, chips)
    return page


def serve(host: str, port: int, base: str) -> None:
    """Serve the page until it is interrupted or terminated."""
    signal.signal(signal.SIGTERM, lambda *_: sys.exit())  # so that what is being learned ends, too
    build(base).launch(server_name=host, server_port=port, max_file_size='200mb', quiet=True,
                       theme=gr.themes.Default(font=['system-ui', 'sans-serif'], font_mono=['monospace']))
