"""Who hears which pairs, in which order, and what is on the left: drawn from a seed, and nothing else."""
from collections import Counter
from dataclasses import dataclass
import random
import typing as tp

ATTENTION = 'attention'  # the kind of pairs whose answer is known: the first of the two


@dataclass(frozen=True)
class Pair:
    """Two clips for one prompt.

    Args:
        kind (str): `editability`, `reconstruction` or `attention`.
        concept (str): What the prompt is about.
        prompt (str): As the systems were given it.
        systems (tuple of two str): What made the clips.
        clips (tuple of two str): The clips, in the order of the systems.
    """
    kind: str
    concept: str
    prompt: str
    systems: tp.Tuple[str, str]
    clips: tp.Tuple[str, str]


@dataclass(frozen=True)
class Trial:
    """A pair as one rater meets it.

    Args:
        pair (int): Index of the pair in the study.
        swapped (bool): Whether the second of its clips is on the left.
    """
    pair: int
    swapped: bool


def per_kind(kinds: tp.Sequence[str], count: int) -> tp.Dict[str, int]:
    """`count` pairs divided over kinds as evenly as it goes; what is left over goes to the first ones."""
    return {kind: count // len(kinds) + (index < count % len(kinds)) for index, kind in enumerate(kinds)}


def plans(pairs: tp.Sequence[Pair], counts: tp.Mapping[str, int], seed: int) -> tp.Iterator[tp.List[Trial]]:
    """What the first rater hears, what the second one does, and so on, without an end.

    Of every kind, a rater hears what was heard least so far: of the pairs of systems first, of these one's concepts
    next, then of their pairs. What is on the left is balanced likewise; the rest is drawn, as is the order.

    Args:
        pairs (sequence of Pair): All pairs of the study.
        counts (dict[str, int]): How many of each kind a rater hears, no more than there are.
        seed (int): Of all draws.
    """
    rng = random.Random(seed)
    heard: tp.Counter[tp.Tuple] = Counter()
    while True:
        plan = [_trial(pairs, index, heard, rng) for kind, count in counts.items()
                for index in _least_heard(pairs, kind, count, heard, rng)]
        rng.shuffle(plan)
        yield plan


def _least_heard(pairs: tp.Sequence[Pair], kind: str, count: int, heard: tp.Counter[tp.Tuple], rng: random.Random
                 ) -> tp.List[int]:
    """Indices of `count` pairs of a kind, each another, and counted as heard."""
    left = [index for index, pair in enumerate(pairs) if pair.kind == kind]
    chosen = []
    for _ in range(count):
        chosen.append(min(left, key=lambda index: (*(heard[key] for key in _keys(pairs, index)), rng.random())))
        left.remove(chosen[-1])
        heard.update(_keys(pairs, chosen[-1]))
    return chosen


def _keys(pairs: tp.Sequence[Pair], index: int) -> tp.List[tp.Tuple]:
    """What is to be balanced, the most important first."""
    pair = pairs[index]
    return [(pair.kind, pair.systems), (pair.kind, pair.systems, pair.concept), (index,)]


def _trial(pairs: tp.Sequence[Pair], index: int, heard: tp.Counter[tp.Tuple], rng: random.Random) -> Trial:
    """The pair with that system on the left that was there less often."""
    def times(swapped: bool) -> tp.Tuple:
        keys = [(*key, swapped) for key in _keys(pairs, index)]
        return (*(heard[key] for key in keys), rng.random())
    swapped = min((False, True), key=times)
    heard.update((*key, swapped) for key in _keys(pairs, index))
    return Trial(index, swapped)
