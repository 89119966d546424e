"""A study's folder: `study.json`, the clips, the answers and the token of the admin page."""
import fcntl
import json
import os
from pathlib import Path
import shutil
import typing as tp

from pydantic import BaseModel, ConfigDict, Field, NonNegativeInt, PositiveInt, ValidationError

from .design import Pair
from ..data.folders import whole_folder
from ..data.prompts import PLACEHOLDER
from ..errors import UserError

STUDY, CLIPS, TOKEN, ANSWERS = 'study.json', 'clips', 'admin_token', 'answers.db'


class _Part(BaseModel):
    model_config = ConfigDict(extra='forbid')


class Question(_Part):
    """What raters are asked about themselves; with `options` they choose, without they write."""
    name: str = Field(pattern=r'^\w{1,40}$')
    text: str
    options: tp.List[str] = []
    required: bool = False


class Texts(_Part):
    """What the page says, with a question for each kind of pair."""
    title: str = 'A listening study'
    introduction: str = ('You will hear pairs of short clips, made by computers from a description. For each pair, say '
                         'which clip matches the description best. It takes about ten minutes.')
    consent: str = ('I take part of my own will and can stop at any time by closing the page. My answers are kept '
                    'without my name, and may be published.')
    editability: str = 'Which clip matches the description best?'
    reconstruction: str = 'Which clip matches the description best?'
    attention: str = 'Which clip matches the description best?'
    neither: str = 'Neither'
    undecided: str = 'Cannot decide'
    thanks: str = 'That was the last pair. Thank you! You can close the page.'


class Limits(_Part):
    """How much one address may do, in the notation of the `limits` package."""
    requests: str = '3000/minute'
    starts: str = '200/hour'
    tokens: str = '30/minute'


class Clip(_Part):
    """A stimulus: the file that it was made from, and its length in seconds."""
    source: str
    seconds: float


class Study(_Part):
    """All that is in `study.json`. It says which system is which, so it stays with the researcher."""
    texts: Texts = Texts()
    questions: tp.List[Question] = []
    headphones: bool = Field(default=True, description='Whether to check for them.')
    hear: float = Field(default=0.9, ge=0, le=1, description='Share of each clip to be heard before an answer.')
    limits: Limits = Limits()
    seed: NonNegativeInt = 0
    systems: tp.List[str]
    pairs_per_rater: tp.Dict[str, PositiveInt]
    labels: tp.Dict[str, str] = Field(description="What stands in a concept's place when its prompt is shown.")
    references: tp.Dict[str, str] = Field(default={}, description='A clip for every concept that has one.')
    pairs: tp.List[Pair]
    clips: tp.Dict[str, Clip]

    def shown(self, prompt: str) -> str:
        """A prompt as raters read it, without placeholders."""
        return PLACEHOLDER.sub(lambda match: self.labels.get(match[1], match[0]), prompt)


class StudyFolder:
    """A study that was created.

    Args:
        path (Path): Its folder.
    Raises:
        UserError: If it is none, or its `study.json` does not fit.
    """
    def __init__(self, path: Path) -> None:
        self.path = path
        file = path / STUDY
        try:
            self.study = Study.model_validate_json(file.read_text(encoding='utf-8'))
        except OSError as error:
            raise UserError(f'{file} cannot be read ({error.strerror}): give a folder that `audiocraft-ti study '
                            'create` made.') from error
        except ValidationError as error:
            first = error.errors()[0]
            where = '.'.join(map(str, first['loc']))
            raise UserError(f"{file} does not fit at {where or 'its beginning'}: {first['msg']}.") from error
        _check(self.study, file)

    @property
    def token(self) -> str:
        return (self.path / TOKEN).read_text(encoding='utf-8').strip()

    @property
    def database(self) -> str:
        """URL of the answers, unless another is given."""
        return f'sqlite:///{(self.path / ANSWERS).absolute()}'

    def clip(self, name: str) -> Path:
        return self.path / CLIPS / f'{name}.wav'

    def lock(self) -> tp.IO[str]:
        """Keep other servers away, as long as the file that is returned stays open.

        Raises:
            UserError: If there is one.
        """
        file = open(self.path / 'lock', 'w')
        try:
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except OSError as error:
            raise UserError(f'{self.path} is in use by another server: stop that one first.') from error
        return file


def _check(study: Study, file: Path) -> None:
    """What one part says of another."""
    for kind, count in study.pairs_per_rater.items():
        there = sum(pair.kind == kind for pair in study.pairs)
        if count > there:
            raise UserError(f'{file} wants {count} pairs of {kind} for each rater and has {there}: ask for fewer, or '
                            'give more samples.')
    unknown = {*(clip for pair in study.pairs for clip in pair.clips), *study.references.values()} - {*study.clips}
    if unknown:
        raise UserError(f'{file} has no clip {min(unknown)}, of which it speaks: create the study anew.')


def write(path: Path, study: Study, token: str, clips: Path) -> StudyFolder:
    """Make a study's folder of clips that are ready; it appears whole or not at all."""
    _check(study, path / STUDY)
    with whole_folder(path) as temporary:
        (temporary / STUDY).write_text(json.dumps(study.model_dump(), indent=2, ensure_ascii=False) + '\n',
                                       encoding='utf-8')
        file = os.open(temporary / TOKEN, os.O_WRONLY | os.O_CREAT, 0o600)
        with open(file, 'w') as out:
            out.write(token + '\n')
        shutil.move(clips, temporary / CLIPS)
    return StudyFolder(path)
