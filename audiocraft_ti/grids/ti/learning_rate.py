"""Which learning rate is the default: on concepts of the tiny base that no other table reports."""
import typing as tp

from .._explorers import listed
from . import amount
from ._tiny import concept

CONCEPTS = {'sitar': 'synth', 'tambourine': 'hihat', 'guitar': 'guitar'}
SEEDS = (1, 2)
RATES = (0.01, 0.02, 0.05, 0.1, 0.2, 0.5)  # in units of the embeddings' root mean square


def runs() -> tp.Iterator[amount.Run]:
    """All of them, concept by concept."""
    for timbre, class_word in CONCEPTS.items():
        for seed in SEEDS:
            for rate in RATES:
                yield amount.Run('learning rate', rate, timbre, {
                    'solver': 'musicgen/ti_tiny', 'seed': seed, 'optim.lr': rate, **concept(timbre, class_word)})


explorer = listed(runs)
