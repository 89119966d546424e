"""What came of a grid, in one folder: concept files, samples, scores, and a page to look at them."""
from dataclasses import replace
import json
import logging
from pathlib import Path
import shutil
import typing as tp

from dora import XP
from omegaconf import ListConfig

from ..data import lines as files
from ..errors import UserError
from ..report import page
from ..report.sources import AGAINST, all_lines, best_losses, differences, LOSSES, Run, scores_of
from ..solvers.pack import EACH
from . import local

logger = logging.getLogger(__name__)
KEPT = (*(loss + what for loss in LOSSES for what in AGAINST), 'gap_closure', 'clap_reconstruction_held_out',
        'clap_editability')


def collect(grid: str, out: Path) -> tp.List[Path]:
    """Gather all finished runs of a grid: a folder for each concept of each, `scores.jsonl` and a report.

    Args:
        grid (str): Name of the grid, `ti.concepts`; what it takes from the environment must be as it was.
        out (Path): Folder to put them in. What it holds of the same runs is replaced.
    Returns:
        list of Path: The folders.
    Raises:
        UserError: If no run is finished.
    """
    experiments = local.experiments(grid)
    finished = [xp for xp in experiments if local.is_done(xp)]
    if not finished:
        raise UserError(f"none of the {len(experiments)} runs of {grid} is finished: see how they are with dora grid "
                        f"{grid} --dry_run.")
    if len(finished) < len(experiments):
        logger.warning("Left out %d of the %d runs of %s, which are not finished", len(experiments) - len(finished),
                       len(experiments), grid)
    rows = [_gather(xp, name, source, out) for xp in finished for name, source in _concepts(xp)]
    files.write(rows, out / 'scores.jsonl')
    _report(finished, out)
    return [out / row['folder'] for row in rows]


def _concepts(xp: XP) -> tp.Iterator[tp.Tuple[str, Path]]:
    """Name and folder of each concept of a run."""
    names = xp.cfg.concept.name
    yield from ((name, xp.folder / name) for name in names) if isinstance(names, ListConfig) else [(names, xp.folder)]


def _gather(xp: XP, name: str, source: Path, out: Path) -> tp.Dict[str, tp.Any]:
    """Copy what is worth keeping of a concept, and return its scores."""
    folder, history = out / f'{name}-{xp.sig}', _history(source)
    shutil.rmtree(folder, ignore_errors=True)
    shutil.copytree(source / 'samples' / str(len(history)), folder / 'samples')
    for file in source.glob('concept.safetensors'):  # a tuned model has none
        shutil.copy(file, folder / f'{name}.safetensors')
    metrics = {**best_losses(history), **history[-1].get('evaluate', {})}
    return {'concept': name, 'sig': xp.sig, 'folder': folder.name, 'overrides': xp.argv,
            **{key: value for key, value in metrics.items() if key in KEPT}}


def _history(source: Path) -> tp.List[tp.Dict[str, tp.Dict[str, float]]]:
    return json.loads((source / 'history.json').read_text())


def _report(finished: tp.Sequence[XP], out: Path) -> None:
    """Write the page of a report: runs that differ in nothing but their concepts are one system."""
    settings = [[one for one in xp.argv if one.partition('=')[0] not in EACH] for xp in finished]
    runs, curves = [], []
    for xp, difference in zip(finished, differences(settings)):
        system = difference or xp.cfg.solver
        for name, source in _concepts(xp):
            runs.append(Run(system, xp.argv, _history(source), scores_of(source, system)))
            curves.append(replace(runs[-1], name=f'{name}, {system}'))
    page.write(all_lines([], runs), curves, out)
