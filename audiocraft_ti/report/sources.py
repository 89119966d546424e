"""What a report is made of: score files, and the folders of runs."""
from dataclasses import dataclass
import json
from pathlib import Path
import typing as tp

from ..data import lines as files
from ..data.lines import Line
from ..errors import UserError
from ..evaluation import BASELINES, REAL

LOSSES = ('ce', 'mse')  # of a language model, and of a diffusion model
AGAINST = {'': 'held-out loss', '_start': 'before learning', '_no_text': 'without text', '_class_word': 'class word'}
NEEDED = ('system', 'kind', 'embedder', 'checkpoint')  # of every line of scores


@dataclass
class Run:
    """A Dora run.

    Args:
        name (str): What of its settings is not shared by all runs of a report.
        overrides (list of str): All its settings.
        history (list of dict): Metrics of each epoch, by stage.
        scores (list of dict): A line for each of its last samples, with scores if it was scored.
    """
    name: str
    overrides: tp.List[str]
    history: tp.List[tp.Dict[str, tp.Dict[str, float]]]
    scores: tp.List[Line]


def best_losses(history: tp.Sequence[tp.Dict[str, tp.Dict[str, float]]]) -> tp.Dict[str, float]:
    """Held-out losses of the best epoch."""
    epochs = [epoch['valid'] for epoch in history if 'valid' in epoch]
    loss = next(name for name in LOSSES if name in epochs[-1])
    return min(epochs, key=lambda losses: losses[loss])


def read_scores(path: Path) -> tp.List[Line]:
    """Lines of scores.

    Raises:
        UserError: If the file is none of those that `audiocraft-ti evaluate` writes.
    """
    try:
        lines = files.read(path)
        missing = [key for line in lines for key in NEEDED if key not in line]
    except (OSError, ValueError, TypeError) as error:
        raise UserError(f"{path} cannot be read as scores, a line of json each: {error}.") from error
    if missing or not lines:
        reason = f'a line lacks {missing[0]!r}' if missing else 'it is empty'
        raise UserError(f"{path} holds no scores ({reason}): give a file that audiocraft-ti evaluate wrote.")
    return lines


def read_runs(folders: tp.Sequence[Path]) -> tp.List[Run]:
    """The runs of some folders, named by what tells them apart.

    Raises:
        UserError: If a folder is none of a run that has finished an epoch.
    """
    found = [(_read_json(folder / '.argv.json'), _read_json(folder / 'history.json')) for folder in folders]
    runs = []
    for folder, (overrides, history), name in zip(folders, found, differences([overrides for overrides, _ in found])):
        if not any('valid' in epoch for epoch in history):
            raise UserError(f"{folder} has not finished an epoch: let the run go on first.")
        runs.append(Run(name or folder.name, overrides, history, scores_of(folder, name or folder.name)))
    return runs


def differences(runs: tp.Sequence[tp.Sequence[str]]) -> tp.List[str]:
    """Of the settings of each run, those that not all runs have."""
    shared = set.intersection(*map(set, runs)) if runs else set()
    return [', '.join(setting for setting in settings if setting not in shared) for settings in runs]


def _read_json(path: Path) -> tp.Any:
    try:
        return json.loads(path.read_text(encoding='utf-8'))
    except (OSError, ValueError) as error:
        raise UserError(f"{path} cannot be read ({error}): give the folder of a run, outputs/xps/SIG.") from error


def scores_of(folder: Path, system: str) -> tp.List[Line]:
    """Lines of a run's last scores; of its last samples, where none are scored, as those of a system of that name."""
    scored, listed = (sorted(folder.glob(f'samples/*/{name}'), key=lambda path: int(path.parent.name))[-1:]
                      for name in ('scores.jsonl', 'samples.jsonl'))
    return [line for path in scored for line in read_scores(path)] or [
        {**line, 'system': system, 'file': str(path.parent / line['file'])}
        for path in listed for line in files.read(path)]


def all_lines(scores: tp.Sequence[Path], runs: tp.Sequence[Run]) -> tp.List[Line]:
    """Lines of all score files and runs; of several runs, each is a system of its own, and recordings come but once."""
    lines = [line for path in scores for line in read_scores(path)]
    for run in runs:
        lines += [{**line, 'system': run.name} if len(runs) > 1 and line['system'] not in (REAL, *BASELINES) else line
                  for line in run.scores]
    return list({json.dumps(line, sort_keys=True): line for line in lines}.values())
