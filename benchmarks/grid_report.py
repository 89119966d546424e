"""The runs of a grid as a page: `python -m benchmarks.grid_report ti.ablation DIR`, from stored runs alone."""
from dataclasses import replace
import importlib
import json
from pathlib import Path
import sys
import typing as tp

from audiocraft_ti.data.lines import Line
from audiocraft_ti.evaluation import BASELINES
from audiocraft_ti.grids import local
from audiocraft_ti.report import page, sources
from audiocraft_ti.report.sources import Run


def main(grid: str, out: Path) -> None:
    """Every setting is a system, of all concepts and seeds; learning is shown of the first run of each."""
    todo = [(run, local.experiment(run.overrides)) for run in
            importlib.import_module(f'audiocraft_ti.grids.{grid}').runs()]
    todo = [(run, xp) for run, xp in todo if local.is_done(xp)]
    found = sources.read_runs([xp.folder for _, xp in todo])
    runs = [replace(one, name=run.setting) for one, (run, _) in zip(found, todo)]
    firsts, of_base = {}, {}
    for one, (run, _) in zip(runs, todo):
        firsts.setdefault(one.name, one)
        of_base.setdefault(getattr(run, 'base', None), []).append(one)
    print(page.write(list(lines(of_base)), list(firsts.values()), out))


def lines(of_base: tp.Mapping[tp.Optional[str], tp.List[Run]]) -> tp.Iterator[Line]:
    """Of the recordings, once, and of the systems; then of each base untouched, by its name."""
    found = [(base, line) for base, runs in of_base.items() for line in sources.all_lines([], runs)]
    yield from {json.dumps(line): line for _, line in found if line['system'] not in BASELINES}.values()
    for base, line in found:
        if line['system'] in BASELINES:
            yield {**line, 'system': f"{line['system']}, {base}" if base else line['system']}


if __name__ == '__main__':
    main(sys.argv[1], Path(sys.argv[2]))
