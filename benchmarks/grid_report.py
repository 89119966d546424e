"""The runs of a grid as a page: `python -m benchmarks.grid_report ti.ablation DIR`, from stored runs alone."""
from dataclasses import replace
import importlib
from pathlib import Path
import sys

from audiocraft_ti.grids import local
from audiocraft_ti.report import page, sources


def main(grid: str, out: Path) -> None:
    """Every setting is a system, of all concepts and seeds; learning is shown of the first run of each."""
    todo = [(run, local.experiment(run.overrides)) for run in
            importlib.import_module(f'audiocraft_ti.grids.{grid}').runs()]
    todo = [(run, xp) for run, xp in todo if local.is_done(xp)]
    found = sources.read_runs([xp.folder for _, xp in todo])
    runs = [replace(one, name=run.setting) for one, (run, _) in zip(found, todo)]
    firsts = {}
    for one in runs:
        firsts.setdefault(one.name, one)
    print(page.write(sources.all_lines([], runs), list(firsts.values()), out))


if __name__ == '__main__':
    main(sys.argv[1], Path(sys.argv[2]))
