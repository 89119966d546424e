"""How many recordings, vectors and updates are enough, on the tiny base."""
import typing as tp

from .._explorers import listed
from ._tiny import concept

CONCEPTS = {'theremin': 'flute', 'bassoon': 'bass', 'bell': 'bell'}
SEEDS = (1, 2)
CLIPS = (2, 3, 6, 12, 24)
VECTORS = (1, 2, 5, 10, 20)
UPDATES = (10, 25, 50, 100, 200, 400)


class Run(tp.NamedTuple):
    """An experiment of the grid: what is varied, how much of it there is, and the overrides."""
    what: str
    amount: float
    timbre: str
    overrides: tp.Dict[str, tp.Any]


def runs() -> tp.Iterator[Run]:
    """One amount at a time; the others are as the configuration has them."""
    for timbre, class_word in CONCEPTS.items():
        for seed in SEEDS:
            one = {'solver': 'musicgen/ti_tiny', 'seed': seed, 'generate.num_samples': 10}
            for clips in CLIPS:
                yield Run('recordings', clips, timbre, {**one, **concept(timbre, class_word, clips)})
            one.update(concept(timbre, class_word))
            for vectors in VECTORS:
                yield Run('vectors', vectors, timbre, {**one, 'concept.num_vectors': vectors})
            for updates in UPDATES:
                yield Run('updates', updates, timbre, {**one, 'optim.epochs': 1, 'optim.updates_per_epoch': updates})


explorer = listed(runs)
