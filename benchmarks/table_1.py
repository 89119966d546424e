"""The listening study of table 1 on the tiny bases: `python -m benchmarks.table_1 outputs/table_1`, from the runs of
`make systems`. `audiocraft-ti study serve outputs/table_1` then asks people.
"""
from pathlib import Path
import sys
import tempfile
import typing as tp

from audiocraft_ti import environment
environment.prepare()

from audiocraft_ti.data import lines as files
from audiocraft_ti.errors import UserError
from audiocraft_ti.grids.ti import systems as grid
from audiocraft_ti.models.samples import LISTING
from audiocraft_ti.study import stimuli
from audiocraft_ti.study.create import create
from benchmarks import ablation

COMPARED = (grid.MUSICGEN, grid.DREAMBOOTH)
SECONDS = 10.


def samples(folder: Path) -> tp.List[files.Line]:
    """What a run made, with absolute paths."""
    return [{**line, 'file': str((folder / line['file']).resolve())} for line in files.read(folder / LISTING)]


def can_be_heard(line: files.Line) -> bool:
    """Whether a sample can be as loud as the others; a lone beat in silence has too high a peak for that."""
    try:
        return stimuli.prepare(Path(line['file']), SECONDS).any().item()
    except UserError:
        return False


def main(out: Path) -> None:
    made: tp.Dict[str, tp.List[files.Line]] = {system: [] for system in COMPARED}
    references = {}
    for run, xp in ablation.stored([run for run in grid.runs() if run.setting in COMPARED], 'make systems'):
        made[run.setting] += samples(xp.folder / 'samples' / str(len(xp.link.history)))
        references[xp.cfg.concept.name] = Path(xp.cfg.datasource.folder)
    pairs = [pair for pair in zip(*made.values()) if all(map(can_be_heard, pair))]
    with tempfile.TemporaryDirectory() as temporary:
        folders = {system: Path(temporary) / str(index) for index, system in enumerate(COMPARED)}
        for folder, lines in zip(folders.values(), zip(*pairs)):
            folder.mkdir()
            files.write(lines, folder / LISTING)
        create(folders, out, references, seconds=SECONDS)
    left_out = len(made[COMPARED[0]]) - len(pairs)
    print(f'Made {out} of {len(pairs)} pairs, and left out {left_out} with a sample that cannot be brought to '
          f'{stimuli.LOUDNESS:g} LUFS; ask people with audiocraft-ti study serve {out}')


if __name__ == '__main__':
    try:
        main(Path(sys.argv[1]))
    except UserError as error:
        sys.exit(f'error: {error}')
