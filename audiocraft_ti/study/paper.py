"""Table 1 of the paper, typed in: `python -m audiocraft_ti.study.paper` has the analysis print it.

The paper gives percentages alone. Of the ways to divide the ten pairs of 26 people, only one goes with them: four pairs
for editability and six for reconstruction, 104 and 156 answers.
"""
from itertools import count
import typing as tp

from . import tables
from .analysis import sign_test, wilson
from .answers import NEITHER, UNDECIDED

RATERS, PAIRS = 26, 10
OURS, THEIRS = 'MusicGen', 'DreamSound'
PERCENT = {
    'editability': {THEIRS: 41.3, OURS: 44.2, NEITHER: 14.4, UNDECIDED: 0.0},
    'reconstruction': {THEIRS: 49.4, OURS: 37.8, NEITHER: 10.9, UNDECIDED: 1.9},
}
NOTE = """
In brackets, 95 % Wilson intervals. Who answered what is not published, so answers are taken for independent; if people
differ in taste, the true intervals are wider."""


def counts_of(percent: tp.Mapping[str, float], step: int) -> tp.Dict[str, int]:
    """The counts behind percentages of one decimal, of the smallest total that is a multiple of `step`."""
    rounded = ({choice: round(total * value / 100) for choice, value in percent.items()} for total in count(step, step))
    return next(counts for counts in rounded if percent_of(counts) == percent and not sum(counts.values()) % step)


def percent_of(counts: tp.Mapping[str, int]) -> tp.Dict[str, float]:
    """Percentages of one decimal."""
    total = sum(counts.values())
    return {choice: round(100 * one / total, 1) for choice, one in counts.items()} if total else {}


def verdict(kind: str, counts: tp.Mapping[str, int]) -> str:
    p = sign_test(counts[OURS], counts[THEIRS])
    stands = 'stands out from chance' if p < 0.05 else 'does not stand out from chance'
    return f'{kind.capitalize()}: {counts[OURS]} answers for {OURS} and {counts[THEIRS]} for {THEIRS}, a difference ' \
           f'that {stands} (sign test, p = {p:.2f}).'


def report() -> str:
    """The paper's table with intervals and tests."""
    counts = {kind: counts_of(percent, RATERS) for kind, percent in PERCENT.items()}
    table = {kind: {choice: wilson(one, sum(some.values())) for choice, one in some.items()}
             for kind, some in counts.items()}
    return '\n'.join([tables.markdown(table), NOTE, '', *(verdict(*one) for one in counts.items())])


if __name__ == '__main__':
    print(report())
