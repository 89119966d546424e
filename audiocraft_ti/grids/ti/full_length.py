"""Settings of the ablation at the paper's full length, 1000 updates of 32 clips: whether short runs rank them alike."""
import typing as tp

from .._explorers import listed
from . import ablation

TIMBRE = 'conga'
SEED = 1
SETTINGS = (ablation.THE_PAPER, '1 vector', '20 vectors', 'no average', 'constant rate',
            'start: mean, half in training')
LENGTH = {'optim.epochs': 20, 'optim.updates_per_epoch': 50, 'dataset.batch_size': 32}


def runs() -> tp.Iterator[ablation.Run]:
    """All of them, in the ablation's order."""
    for run in ablation.runs():
        if run.timbre == TIMBRE and run.seed == SEED and run.setting in SETTINGS:
            yield run._replace(overrides={**run.overrides, **LENGTH})


explorer = listed(runs)
