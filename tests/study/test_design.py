"""Who hears what: nobody the same pair twice, and all systems, concepts and sides as often."""
from collections import Counter
from itertools import islice

import pytest

from audiocraft_ti.study.design import ATTENTION, Pair, per_kind, plans

SYSTEMS = [('a', 'b'), ('a', 'c'), ('b', 'c')]
PAIRS = [Pair(kind, concept, kind, systems, (f'{systems[0]}{take}', f'{systems[1]}{take}'))
         for kind in ('editability', 'reconstruction') for concept in ('amen', 'oud') for systems in SYSTEMS
         for take in range(3)] + [Pair(ATTENTION, 'amen', '', ('a', 'noise'), ('a0', 'x'))]
COUNTS = {'editability': 5, 'reconstruction': 5, ATTENTION: 1}


@pytest.fixture(scope='module', params=[0, 1])
def drawn(request):
    return list(islice(plans(PAIRS, COUNTS, request.param), 26))


def spread(trials, key):
    """Of how often each was heard, the most less the least."""
    counts = Counter(key(PAIRS[trial.pair], trial) for trial in trials)
    return max(counts.values()) - min(counts.values()), len(counts)


def test_everyone_hears_other_pairs_of_each_kind(drawn):
    for plan in drawn:
        assert len({trial.pair for trial in plan}) == len(plan) == 11
        assert Counter(PAIRS[trial.pair].kind for trial in plan) == COUNTS


@pytest.mark.parametrize('raters', [1, 6, 7, 26])
@pytest.mark.parametrize('kind', ['editability', 'reconstruction'])
def test_what_is_heard_is_balanced_whenever_the_study_stops(drawn, raters, kind):
    trials = [trial for plan in drawn[:raters] for trial in plan if PAIRS[trial.pair].kind == kind]
    assert spread(trials, lambda pair, _: pair.systems) in [(0, 3), (1, 3)]
    if raters > 1:
        assert spread(trials, lambda pair, _: (pair.systems, pair.concept))[0] <= 1
        assert spread(trials, lambda pair, trial: (pair.systems, trial.swapped))[0] <= 2
    if raters == 26:
        assert spread(trials, lambda pair, trial: trial.pair)[0] <= 1


def test_order_and_sides_are_drawn(drawn):
    firsts = Counter(PAIRS[plan[0].pair].kind for plan in drawn)
    assert firsts['editability'] > 3 and firsts['reconstruction'] > 3
    sides = [tuple(trial.swapped for trial in plan) for plan in drawn]
    assert len(set(sides)) > 20 and 0.4 < sum(map(sum, sides)) / (26 * 11) < 0.6


def test_the_seed_decides_alone():
    first, again, other = (list(islice(plans(PAIRS, COUNTS, seed), 5)) for seed in (3, 3, 4))
    assert first == again != other


def test_pairs_are_divided_over_kinds():
    assert per_kind(['editability', 'reconstruction'], 10) == {'editability': 5, 'reconstruction': 5}
    assert per_kind(['editability', 'reconstruction'], 7) == {'editability': 4, 'reconstruction': 3}
    assert per_kind(['editability'], 10) == {'editability': 10}
