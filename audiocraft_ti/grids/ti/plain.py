"""The paper's setting against plain AdamW at a constant rate, without P11, P12 and P17, on every sound of docs/TINY.md.
"""
import typing as tp

from .._explorers import listed
from . import ablation, systems
from ._tiny import concept

CONCEPTS = {**{word: word for word in ('flute', 'clarinet', 'accordion', 'guitar', 'bass', 'bell', 'kick', 'snare')},
            **systems.CONCEPTS}
PLAIN = 'plain AdamW'
SETTINGS: tp.Dict[str, tp.Dict[str, tp.Any]] = {
    ablation.THE_PAPER: {},
    PLAIN: {'concept.orthogonality.weight': 0, 'optim.l1_decay': 0, 'schedule.lr_scheduler': None},
}


class Run(tp.NamedTuple):
    """An experiment of the grid, and its overrides."""
    setting: str
    timbre: str
    overrides: tp.Dict[str, tp.Any]


def runs() -> tp.Iterator[Run]:
    """All of them, concept by concept."""
    for timbre, class_word in CONCEPTS.items():
        for setting, changes in SETTINGS.items():
            yield Run(setting, timbre, {'solver': 'musicgen/ti_tiny', 'generate.num_samples': 1,
                                        **concept(timbre, class_word), **ablation.PAPER, **changes})


explorer = listed(runs)
