"""What a report is made of: score files, and the folders of runs."""
from dataclasses import dataclass
import json
from pathlib import Path
import typing as tp

from ..data import lines as files
from ..data.lines import Line
from ..errors import UserError
from ..evaluation import BASELINES, REAL

NEEDED = ('system', 'kind', 'embedder', 'checkpoint')  # of every line of scores


@dataclass
class Run:
    """A Dora run.

    Args:
        name (str): What of its settings is not shared by all runs of a report.
        overrides (list of str): All its settings.
        history (list of dict): Metrics of each epoch, by stage.
        scores (list of dict): Of the samples of its last epoch, if they were scored.
    """
    name: str
    overrides: tp.List[str]
    history: tp.List[tp.Dict[str, tp.Dict[str, float]]]
    scores: tp.List[Line]


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
    shared = set.intersection(*(set(overrides) for overrides, _ in found)) if found else set()
    runs = []
    for folder, (overrides, history) in zip(folders, found):
        if not any('valid' in epoch for epoch in history):
            raise UserError(f"{folder} has not finished an epoch: let the run go on first.")
        name = ', '.join(setting for setting in overrides if setting not in shared) or folder.name
        runs.append(Run(name, overrides, history, _scores_of(folder)))
    return runs


def _read_json(path: Path) -> tp.Any:
    try:
        return json.loads(path.read_text(encoding='utf-8'))
    except (OSError, ValueError) as error:
        raise UserError(f"{path} cannot be read ({error}): give the folder of a run, outputs/xps/SIG.") from error


def _scores_of(folder: Path) -> tp.List[Line]:
    files = sorted(folder.glob('samples/*/scores.jsonl'), key=lambda path: int(path.parent.name))
    return read_scores(files[-1]) if files else []


def all_lines(scores: tp.Sequence[Path], runs: tp.Sequence[Run]) -> tp.List[Line]:
    """Lines of all score files and runs; of several runs, each is a system of its own, and recordings come but once."""
    lines = [line for path in scores for line in read_scores(path)]
    for run in runs:
        lines += [{**line, 'system': run.name} if len(runs) > 1 and line['system'] not in (REAL, *BASELINES) else line
                  for line in run.scores]
    return list({json.dumps(line, sort_keys=True): line for line in lines}.values())
