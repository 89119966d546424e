"""Concepts, bases and seeds of a grid, from the environment: `dora grid` takes no arguments of a grid's own."""
import os
from pathlib import Path
import re
import shlex
import typing as tp

from ..errors import UserError
from ..train import job

ROOT = 'AUDIOCRAFT_TI_CONCEPTS'  # folder whose sub-folders are the concepts
BASES = 'AUDIOCRAFT_TI_BASES'  # separated by commas
SEEDS = 'AUDIOCRAFT_TI_SEEDS'
PACK = 'AUDIOCRAFT_TI_PACK'  # how many concepts a job learns
OVERRIDES = 'AUDIOCRAFT_TI_OVERRIDES'  # for every run, as they are typed after `dora run`
CLASS_WORD = 'class_word.txt'
LARGE = 'facebook/musicgen-large'


class Source(tp.NamedTuple):
    """What a concept is learned from."""
    name: str
    folder: str
    class_word: tp.Optional[str]


def sources() -> tp.List[Source]:
    """A concept for every sub-folder of the root, by its name; a `class_word.txt` in it is its class word.

    Raises:
        UserError: If there is no root, nothing in it, or two folders would make one name.
    """
    root = os.environ.get(ROOT)
    if not root or not Path(root).is_dir():
        raise UserError(f"{ROOT}={root or ''} is not a folder: let it be the one whose sub-folders hold the recordings "
                        "of one concept each.")
    found = [_source(folder) for folder in sorted(Path(root).iterdir()) if _is_concept(folder)]
    if not found:
        raise UserError(f"{ROOT}={root} has no sub-folders: put the recordings of each concept into one of its own.")
    folders: tp.Dict[str, str] = {}
    for source in found:
        other = folders.setdefault(source.name, source.folder)
        if other != source.folder:
            raise UserError(f"{other} and {source.folder} would both be the concept <{source.name}>: rename one.")
    return found


def _is_concept(folder: Path) -> bool:
    return folder.is_dir() and not folder.name.startswith('.')


def _source(folder: Path) -> Source:
    """The name is the folder's, with a '-' for whatever cannot stand in a prompt."""
    name = re.sub('[^A-Za-z0-9_-]+', '-', folder.name).strip('-_')
    if not name:
        raise UserError(f"{folder} cannot be written in a prompt: give the folder a name of letters and digits.")
    word = folder / CLASS_WORD
    return Source(name, str(folder), word.read_text(encoding='utf-8').strip() if word.is_file() else None)


def packs(size: tp.Optional[int] = None) -> tp.List[tp.Dict[str, tp.Any]]:
    """Overrides of each job: for one concept, or for as many as are packed into it."""
    found, size = sources(), size or _numbers(PACK, '1')[0]
    if size < 1:
        raise UserError(f"{PACK}={size} is no number of concepts: give 1 or more.")
    return [_of_pack(found[i:i + size]) for i in range(0, len(found), size)]


def _of_pack(pack: tp.List[Source]) -> tp.Dict[str, tp.Any]:
    keys = {'concept.name': 'name', 'datasource.folder': 'folder', 'concept.class_word': 'class_word'}
    values = {key: [getattr(source, field) for source in pack] for key, field in keys.items()}
    return {key: many if len(many) > 1 else many[0] for key, many in values.items() if many != [None] * len(many)}


def bases(default: str = LARGE) -> tp.List[str]:
    """Base models, by any name that `continue_from` takes; `audioldm-tiny` is the tiny AudioLDM."""
    return [base.strip() for base in os.environ.get(BASES, default).split(',')]


def family(base: str) -> str:
    """What kind of model a base is, by its name."""
    return 'AudioLDM' if 'audioldm' in base.lower() else 'MusicGen'


def seeds() -> tp.List[int]:
    return _numbers(SEEDS, '2036')


def _numbers(variable: str, default: str) -> tp.List[int]:
    text = os.environ.get(variable, default)
    try:
        return [int(number) for number in text.split(',')]
    except ValueError as error:
        raise UserError(f"{variable}={text} is not a number, or several with commas between.") from error


def learner(base: str, kind: str = 'ti') -> tp.Dict[str, tp.Any]:
    """Overrides that learn on a base model, with the solver `ti`, `finetune` or `dreambooth` of its family."""
    solver = f'{family(base).lower()}/{kind}'
    return {'solver': solver + '_tiny'} if base.endswith('tiny') else {'solver': solver, 'continue_from': base}


def overrides() -> tp.List[str]:
    """What is to be put over every run's configuration."""
    return shlex.split(os.environ.get(OVERRIDES, ''))


def launchers(launcher: tp.Any) -> tp.Iterator[tp.Tuple[str, tp.Any]]:
    """Each base, and what launches jobs of its size."""
    for base in bases():
        yield base, launcher.bind(overrides()).slurm_(**job(base))
