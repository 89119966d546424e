"""One page with everything on it: it opens without a network, and can be sent to somebody as it is."""
import base64
import io
import logging
from pathlib import Path
import typing as tp

from flashy.utils import write_and_rename
from jinja2 import Environment, FileSystemLoader
import soundfile

from . import figures
from .sources import AGAINST, best_losses, LOSSES, Run
from ..data import audio
from ..data.lines import Line
from ..errors import UserError
from ..evaluation import REAL, table

logger = logging.getLogger(__name__)
MP3_RATES = (8000, 11025, 12000, 16000, 22050, 24000, 32000, 44100, 48000)
REFERENCES = 3  # recordings of a concept to listen to
Player = tp.Dict[str, str]


def _uri(content: bytes, kind: str) -> str:
    return f'data:{kind};base64,{base64.b64encode(content).decode()}'


def _mp3(path: Path) -> bytes:
    """A clip as MP3, which every browser plays and which is a tenth of its size."""
    wav, sample_rate = audio.read(path)
    if sample_rate not in MP3_RATES:
        wav, sample_rate = audio.convert_audio(wav, sample_rate, 44100, 1), 44100
    buffer = io.BytesIO()
    soundfile.write(buffer, wav.mean(0).clamp(-1, 1).numpy(), sample_rate, format='MP3')
    return buffer.getvalue()


def player(line: Line) -> tp.Optional[Player]:
    """What there is to show of a sample, unless its file is gone."""
    path = Path(line['file'])
    if not path.exists():
        logger.warning("Left out %s: it is gone", path)
        return None
    shown = ', '.join(f"{key.replace('_', ' ')} {line[key]:.2f}" for key in ('reconstruction', 'editability')
                      if key in line)
    return {'system': line['system'], 'scores': shown, 'audio': _uri(_mp3(path), 'audio/mpeg'),
            'spectrogram': _uri(figures.spectrogram(path), 'image/jpeg')}


def players(lines: tp.Sequence[Line], concept: str) -> tp.Iterator[tp.Tuple[str, tp.List[Player]]]:
    """Of each prompt, the first sample of every system side by side; some recordings before them."""
    mine = [line for line in lines if line.get('concept') == concept and 'file' in line]
    real = [line for line in mine if line['system'] == REAL][:REFERENCES]
    made = [line for line in mine if line['system'] != REAL]
    firsts: tp.Dict[tp.Tuple[str, str], Line] = {}
    for line in made:
        firsts.setdefault((line['prompt'], line['system']), line)
    rows = {'Recordings': real} if real else {}
    rows.update({prompt: [firsts[key] for key in firsts if key[0] == prompt]
                 for prompt in dict.fromkeys(line['prompt'] for line in made)})
    for title, row in rows.items():
        found = [one for one in map(player, row) if one is not None]
        if found:
            yield title, found


def learned(runs: tp.Sequence[Run]) -> tp.Iterator[tp.List[str]]:
    """A row of names, and one of the losses of each run's best epoch."""
    yield ['', *AGAINST.values(), 'gap closure']
    for run in runs:
        losses = best_losses(run.history)
        loss = next(name for name in LOSSES if name in losses)
        keys = [*(loss + what for what in AGAINST), 'gap_closure']
        yield [run.name, *(f'{losses[key]:.3f}' if key in losses else '' for key in keys)]


def settings(lines: tp.Sequence[Line], runs: tp.Sequence[Run]) -> tp.List[tp.Tuple[str, str]]:
    """What the numbers are of."""
    counts = {system: len([line for line in lines if line['system'] == system and 'file' in line])
              for system in dict.fromkeys(line['system'] for line in lines)}
    embedders = sorted({f"{line['embedder']}, {line['checkpoint']}" for line in lines if 'embedder' in line})
    return [('Embedder', '; '.join(embedders) or 'none: nothing is scored'),
            ('Clips', ', '.join(f'{count} of {system}' for system, count in counts.items())),
            *((run.name, ' '.join(run.overrides)) for run in runs)]


def write(lines: tp.Sequence[Line], runs: tp.Sequence[Run], out: Path) -> Path:
    """Write `index.html`, and its figures as SVG and PDF.

    Args:
        lines (sequence of dict): Scores, or samples without any.
        runs (sequence of Run): Runs whose learning to show.
        out (Path): Where to.
    Raises:
        UserError: If there is nothing to report, or scores are of several embedders.
    """
    checkpoints = sorted({line['checkpoint'] for line in lines if 'checkpoint' in line})
    if len(checkpoints) > 1:
        raise UserError(f"the scores are by {' and '.join(checkpoints)}, which cannot be compared: make a report of "
                        "each.")
    if not lines and not runs:
        raise UserError("there is nothing to report: give score files, or --run with a run's folder.")
    scored = any(key in line for line in lines for key in figures.SCORES)
    drawn = {'scores': figures.violins(lines)} if scored else {}
    if runs:
        drawn['learning'] = figures.curves(runs)
    images = {name: _uri(figures.save(figure, out / 'figures' / name), 'image/svg+xml')
              for name, figure in drawn.items()}
    concepts = [concept for concept in dict.fromkeys(line.get('concept') for line in lines) if concept is not None]
    template = Environment(loader=FileSystemLoader(Path(__file__).parent), autoescape=True).get_template('page.html')
    page = template.render(scores=table.rows(lines) if table.present(lines) else [], images=images,
                           learned=list(learned(runs)), settings=settings(lines, runs),
                           concepts=[(concept, list(players(lines, concept))) for concept in concepts])
    path = out / 'index.html'
    with write_and_rename(path) as file:
        file.write(page.encode())
    return path
