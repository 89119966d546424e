"""The runs of `make ablation` as a page: `python -m benchmarks.ablation_report DIR`, from stored runs alone."""
from dataclasses import replace
from pathlib import Path
import sys

from audiocraft_ti.grids import local
from audiocraft_ti.grids.ti import ablation
from audiocraft_ti.report import page, sources


def main(out: Path) -> None:
    """Every setting is a system, of all concepts and seeds; learning is shown of the first concept and seed."""
    todo = [(run, local.experiment(run.overrides)) for run in ablation.runs()]
    todo = [(run, xp) for run, xp in todo if local.is_done(xp)]
    found = sources.read_runs([xp.folder for _, xp in todo])
    runs = [replace(one, name=run.setting) for one, (run, _) in zip(found, todo)]
    firsts = [one for one, (run, _) in zip(runs, todo)
              if (run.timbre, run.seed) == (next(iter(ablation.CONCEPTS)), ablation.SEEDS[0])]
    print(page.write(sources.all_lines([], runs), firsts, out))


if __name__ == '__main__':
    main(Path(sys.argv[1]))
