"""A study for other programs: its answers as csv, its pairs as configurations of webMUSHRA."""
import csv
from html import escape
import io
from itertools import islice
from pathlib import Path
import shutil
import typing as tp

from omegaconf import OmegaConf

from . import design
from .answers import answers_of, Given_
from .folder import Study, StudyFolder
from ..data.folders import whole_folder
from ..errors import UserError

COLUMNS = ['rater', 'pair', 'kind', 'concept', 'prompt', 'left', 'right', 'choice', 'seconds', 'headphones']


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
    """Write what goes into webMUSHRA's own folder: `configs/study_1.yaml` and so on, one a rater, and the clips.

    Its `preference_test` page knows A and B alone: "Neither" and "Cannot decide" have no place there. Which system
    made which clip is in `study.json`, under `pairs`.
    """
    audio = Path('configs/resources/study')
    shutil.copytree(folder.path / 'clips', out / audio)
    study = folder.study
    for number, plan in enumerate(islice(design.plans(study.pairs, study.pairs_per_rater, study.seed), raters), 1):
        pages = [_page(study, index, trial, audio) for index, trial in enumerate(plan, 1)]
        config = {'testname': study.texts.title, 'testId': f'study_{number}', 'bufferSize': 2048, 'stopOnErrors': True,
                  'showButtonPreviousPage': True, 'remoteService': 'service/write.php',
                  'pages': [_welcome(study), *pages, _finish(study)]}
        OmegaConf.save(OmegaConf.create(config), out / f'configs/study_{number}.yaml')


def _welcome(study: Study) -> tp.Dict[str, tp.Any]:
    content = ''.join(f'<p>{escape(text)}</p>' for text in (study.texts.introduction, study.texts.consent))
    return {'type': 'generic', 'id': 'welcome', 'name': study.texts.title, 'content': content}


def _finish(study: Study) -> tp.Dict[str, tp.Any]:
    return {'type': 'finish', 'name': 'Thank you', 'content': escape(study.texts.thanks), 'showResults': False,
            'writeResults': True}


def _page(study: Study, index: int, trial: design.Trial, audio: Path) -> tp.Dict[str, tp.Any]:
    pair = study.pairs[trial.pair]
    clips = pair.clips[::-1] if trial.swapped else pair.clips
    question = getattr(study.texts, pair.kind)
    return {'type': 'preference_test', 'id': f'pair_{trial.pair}', 'name': f'Pair {index}', 'mustPlayback': 'ended',
            'content': f'<p>{escape(study.shown(pair.prompt))}</p><p>{escape(question)}</p>',
            'stimuli': {clip: str(audio / f'{clip}.wav') for clip in clips}}
