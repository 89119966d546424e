"""The paper's setting against plain AdamW at a constant rate, without P11, P12 and P17, on every sound of docs/TINY.md.
"""
import typing as tp

from .._explorers import listed
from . import ablation, systems
from ._tiny import concept, RELEARNED

CONCEPTS = {**{word: word for word in RELEARNED}, **systems.CONCEPTS}
SEED = 2036
SETTINGS: tp.Dict[str, tp.Dict[str, tp.Any]] = {
    ablation.THE_PAPER: {},
    'plain AdamW': {'concept.orthogonality.weight': 0, 'optim.l1_decay': 0, 'schedule.lr_scheduler': None},
}


def runs() -> tp.Iterator[ablation.Run]:
    """All of them, concept by concept."""
    for timbre, class_word in CONCEPTS.items():
        for setting, changes in SETTINGS.items():
            yield ablation.Run(setting, timbre, SEED, {
                'solver': 'musicgen/ti_tiny', 'generate.num_samples': 1, 'seed': SEED, **concept(timbre, class_word),
                **ablation.PAPER, **changes})


explorer = listed(runs)
