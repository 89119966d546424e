"""A study for other programs: its answers as csv, its pairs as configurations of webMUSHRA."""
import csv
from html import escape
import io
from itertools import islice
from pathlib import Path
import shutil
import typing as tp

import numpy as np
from omegaconf import OmegaConf
import soundfile

from . import design
from .answers import answers_of, Given_
from .folder import Study, StudyFolder
from ..data.folders import whole_folder
from ..errors import UserError

COLUMNS = ['rater', 'pair', 'kind', 'concept', 'prompt', 'left', 'right', 'choice', 'seconds', 'headphones']
AUDIO = Path('configs/resources/study')  # in webMUSHRA's folder
GAP = 1.  # between a pair's clips, seconds
ORDER = 'You hear A first, then B.'


def csv_of(study: Study, raters: Given_) -> str:
    """A line an answer, with what the rater said about themselves."""
    about = [question.name for question in study.questions]
    known = {rater.number: rater for rater, _ in raters}
    text = io.StringIO()
    writer = csv.DictWriter(text, [*COLUMNS, *(f'about_{name}' for name in about)], lineterminator='\n')
    writer.writeheader()
    for answer in answers_of(study, raters):
        rater = known[answer.rater]
        writer.writerow({**{key: _harmless(getattr(answer, key, '')) for key in COLUMNS},
                         'prompt': _harmless(study.pairs[answer.pair].prompt), 'seconds': f'{answer.seconds:.1f}',
                         'headphones': rater.headphones,
                         **{f'about_{name}': _harmless(rater.about.get(name, '')) for name in about}})
    return text.getvalue()


def write(folder: StudyFolder, raters: Given_, out: Path, configurations: int) -> None:
    """Write `answers.csv` and a folder `webmushra`; the whole appears at once or not at all.

    Raises:
        UserError: If the folder is there.
    """
    if out.exists():
        raise UserError(f'{out} is there already: give another --out, or remove it first.')
    with whole_folder(out) as temporary:
        webmushra(folder, temporary / 'webmushra', configurations)
        (temporary / 'answers.csv').write_text(csv_of(folder.study, raters), encoding='utf-8')


def _harmless(value: tp.Any) -> tp.Any:
    """Text that no spreadsheet takes for a formula."""
    return f"'{value}" if isinstance(value, str) and value[:1] in tuple('=+-@\t\r') else value


def webmushra(folder: StudyFolder, out: Path, raters: int) -> None:
    """Write what goes into webMUSHRA's own folder: `configs/study_1.yaml` and so on, one a rater, and their audio.

    None of its pages has two clips and one question. A `likert_single_stimulus` page asks any question of one file, so
    both clips of a pair go into one, A first. Which system made which clip is in `study.json`, under `pairs`.
    """
    (out / AUDIO).mkdir(parents=True)
    study = folder.study
    for number, plan in enumerate(islice(design.plans(study.pairs, study.pairs_per_rater, study.seed), raters), 1):
        pages = [_page(folder, out, index, trial) for index, trial in enumerate(plan, 1)]
        config = {'testname': study.texts.title, 'testId': f'study_{number}', 'bufferSize': 2048, 'stopOnErrors': True,
                  'showButtonPreviousPage': False,  # going back and forth would open the next page without an answer
                  'remoteService': 'service/write.php', 'pages': [_welcome(study), *pages, _finish(study)]}
        OmegaConf.save(OmegaConf.create(config), out / f'configs/study_{number}.yaml')


def _welcome(study: Study) -> tp.Dict[str, tp.Any]:
    return {'type': 'consent', 'id': 'welcome', 'name': study.texts.title, 'mustConsent': True,
            'content': _paragraphs(study.texts.introduction, study.texts.consent)}


def _finish(study: Study) -> tp.Dict[str, tp.Any]:
    return {'type': 'finish', 'name': 'Thank you', 'content': escape(study.texts.thanks), 'showResults': False,
            'writeResults': True}


def _page(folder: StudyFolder, out: Path, index: int, trial: design.Trial) -> tp.Dict[str, tp.Any]:
    study, pair = folder.study, folder.study.pairs[trial.pair]
    clips = pair.clips[::-1] if trial.swapped else pair.clips
    labels = {'left': 'A', 'right': 'B', 'neither': study.texts.neither, 'undecided': study.texts.undecided}
    return {'type': 'likert_single_stimulus', 'id': f'pair_{trial.pair}', 'name': f'Pair {index}',
            'content': _paragraphs(study.shown(pair.prompt), getattr(study.texts, pair.kind), ORDER)
            + _reference(folder, out, pair.concept),
            'mustRate': True, 'mustPlayback': 'ended', 'showWaveform': True,
            'stimuli': {' '.join(clips): _joined(folder, out, clips)},
            'response': [{'value': value, 'label': escape(label)} for value, label in labels.items()]}


def _paragraphs(*texts: str) -> str:
    return ''.join(f'<p>{escape(text)}</p>' for text in texts)


def _reference(folder: StudyFolder, out: Path, concept: str) -> str:
    """A player of a concept's own recording, where there is one."""
    if concept not in folder.study.references:
        return ''
    path = AUDIO / f'{folder.study.references[concept]}.wav'
    shutil.copy(folder.clip(path.stem), out / path)
    return f'<p>What it is about:<br><audio controls src="{path}"></audio></p>'


def _joined(folder: StudyFolder, out: Path, clips: tp.Sequence[str]) -> str:
    """Where webMUSHRA finds a pair's clips in one file, with silence between them."""
    path = AUDIO / f"{'_'.join(clips)}.wav"
    (first, rate), (second, _) = (soundfile.read(folder.clip(clip), dtype='int16') for clip in clips)
    soundfile.write(out / path, np.concatenate([first, np.zeros(round(GAP * rate), np.int16), second]), rate)
    return str(path)
