"""What is known of the statistics: by hand, by other libraries, by the paper, and by raters whose taste is known."""
from itertools import product
import math

import numpy as np
import pytest
from scipy import integrate, stats
from statsmodels.tools.numdiff import approx_fprime

from audiocraft_ti.study import analysis, bradley_terry, paper, tables
from audiocraft_ti.study.answers import Answer, NEITHER, UNDECIDED
from benchmarks import study_coverage

SYSTEMS = ['a', 'b']


def answers(choices, pair=0, systems=('a', 'b')):
    return [Answer(rater, pair, 'editability', 'amen', *systems, choice) for rater, choice in enumerate(choices)]


def test_wilson_by_hand():
    p, n, z = 0.3, 10, 1.959963985
    middle, half = p + z * z / (2 * n), z * math.sqrt(p * (1 - p) / n + z * z / (4 * n * n))
    found = analysis.wilson(3, 10)
    assert found.value == 0.3
    assert (found.low, found.high) == pytest.approx([(middle + sign * half) / (1 + z * z / n) for sign in (-1, 1)])
    assert analysis.wilson(0, 10).low == pytest.approx(0, abs=1e-12)


def test_raters_who_say_the_same_ten_times_count_once():
    hits, raters = np.repeat([1., 0., 1., 1., 0., 1.], 10), np.repeat(range(6), 10)
    factor = (stats.t.ppf(0.975, 5) / stats.norm.ppf(0.975)) ** 2
    # Between raters the variance of the mean is p(1-p)/5, of 60 independent answers it is p(1-p)/60.
    assert analysis.design_effect(hits, raters) == pytest.approx(60 / 5 * factor)
    # Five answers each, of which 2, 3, 2, 3, 2 and 3 hits: less than chance would have them differ.
    hits = np.repeat([1., 0.] * 6, [2, 3, 3, 2] * 3)
    assert analysis.design_effect(hits, np.repeat(range(6), 5)) == pytest.approx(
        6 / 5 * 6 * 0.5 ** 2 / 30 ** 2 / (0.25 / 30) * factor)
    # All the same: what chance undercuts once in 40 times, from a table of the chi-squared distribution.
    alike = analysis.design_effect(np.tile([1., 0.], 30), np.repeat(range(6), 10))
    assert alike == pytest.approx(0.831 / 5 * factor, rel=1e-3)
    assert analysis.design_effect(np.ones(10), np.arange(10)) == 1


def test_shares_are_of_the_pairs_that_a_system_was_in():
    some = answers(['a', 'a', 'b', NEITHER]) + answers(['c', UNDECIDED], 1, ('a', 'c'))
    found = analysis.shares(some, ['a', 'b', 'c'])
    assert {choice: (one.count, one.total) for choice, one in found.items()} == {
        'a': (2, 6), 'b': (1, 4), 'c': (1, 2), NEITHER: (1, 6), UNDECIDED: (1, 6)}


def test_sign_test_by_hand():
    assert analysis.sign_test(9, 1) == pytest.approx(2 * (1 + 10) / 2 ** 10)
    assert analysis.sign_test(0, 0) == 1


def test_agreement_by_hand():
    """Two raters on ten pairs: alpha is 1 less observed over expected disagreement (Krippendorff, 2011)."""
    pairs = list(zip('aaaabbbbab', 'aaaabbabaa'))
    some = [one for pair, both in enumerate(pairs) for one in answers(both, pair)]
    said = ''.join(map(''.join, pairs))
    expected = 2 * said.count('a') * said.count('b') / (20 * 19)
    assert analysis.agreement(some) == pytest.approx(1 - 0.2 / expected)
    assert analysis.agreement(some[:1]) is None and analysis.agreement([]) is None


def test_correlation_with_scores():
    some = [one for pair, wins in enumerate([0, 1, 3, 4]) for one in answers('a' * wins + 'b' * (4 - wins), pair)]
    scores = {(pair, system): 0.1 * pair ** 2 * (system == 'a') for pair, system in product(range(4), SYSTEMS)}
    found = analysis.correlation(some, scores)
    assert found.value == pytest.approx(1) and found.pairs == 4
    swapped = {(pair, {'a': 'b', 'b': 'a'}[system]): value for (pair, system), value in scores.items()}
    assert analysis.correlation(some, swapped).value == pytest.approx(-1)
    assert analysis.correlation(some, {}) is None


def test_the_likelihood_is_the_integral_over_tastes():
    """Of two systems, tastes differ by a normal variable of variance 2 s², which quadrature integrates exactly."""
    wins, trials = np.array([[3.], [1.], [5.]]), np.array([[5.], [4.], [5.]])
    model = bradley_terry.MixedBradleyTerry(wins, trials, np.array([[1., -1.]]))
    strength, taste = -0.4, 0.7

    def likelihood(won, of):
        def density(taste_difference):
            p = 1 / (1 + math.exp(strength - taste_difference))  # of the first, whose strength is 0
            return p ** won * (1 - p) ** (of - won) * stats.norm.pdf(taste_difference, scale=taste * 2 ** 0.5)
        return integrate.quad(density, -8, 8)[0]
    exact = sum(math.log(likelihood(*one)) for one in zip(wins[:, 0], trials[:, 0]))
    assert model.loglike(np.array([strength, taste])) == pytest.approx(exact, abs=2e-3)


def test_its_slopes_are_those_of_the_likelihood():
    rng = np.random.default_rng(0)
    trials = rng.integers(0, 5, (4, 3)).astype(float)
    signs = np.array([[1., -1., 0.], [1., 0., -1.], [0., 1., -1.]])
    model = bradley_terry.MixedBradleyTerry(np.floor(trials * rng.random((4, 3))), trials, signs)
    params = np.array([0.3, -0.5, 0.8])
    assert model.score_obs(params) == pytest.approx(approx_fprime(params, model.loglikeobs, centered=True), abs=1e-6)


@pytest.mark.parametrize('wins', [[3, 4, 3, 4, 4, 5, 3, 4], [4] * 8])
def test_without_tastes_it_is_a_logistic_regression(wins):
    """Of a constant, with White's errors of raters; with a part of its own where raters are all the same."""
    some = [Answer(rater, pair, 'editability', 'amen', 'a', 'b', 'b' if pair < won else 'a')
            for rater, won in enumerate(wins) for pair in range(6)]
    found = bradley_terry.fit(some, SYSTEMS)
    total, p = sum(wins), sum(wins) / 48
    information = 48 * p * (1 - p)
    variance = max(8 / 7 * sum((won - 6 * p) ** 2 for won in wins) / information ** 2, 1.690 / 7 / information)
    strength, reach = math.log(total / (48 - total)), stats.t.ppf(0.975, 7) * math.sqrt(variance)
    one = found.strengths['b']
    assert [one.value, one.low, one.high] == pytest.approx([strength, strength - reach, strength + reach], abs=0.002)
    assert one.p == pytest.approx(2 * stats.t.sf(strength / math.sqrt(variance), 7), rel=0.01) and found.taste < 0.1


def test_answers_that_determine_no_strength():
    assert bradley_terry.fit(answers('aaaaaa'), SYSTEMS) is None
    assert bradley_terry.fit(answers('ab')[:1], SYSTEMS) is None
    assert bradley_terry.fit(answers([NEITHER, UNDECIDED]), SYSTEMS) is None


def test_known_preferences_are_recovered():
    """`benchmarks/study_coverage.py` has 1000 studies; these are enough to see a factor that is off."""
    found = study_coverage.coverage(study_coverage.Truth([0, 0.5], 0.7), studies=150)
    assert 0.90 <= found['strength'] <= 0.99 and 0.90 <= found['share'] <= 0.99
    assert found['share, answers as independent'] < 0.9  # what the design effect is for


def test_table_1_of_the_paper():
    counts = {kind: paper.counts_of(percent, 26) for kind, percent in paper.PERCENT.items()}
    assert counts == {
        'editability': {'DreamSound': 43, 'MusicGen': 46, NEITHER: 15, UNDECIDED: 0},
        'reconstruction': {'DreamSound': 77, 'MusicGen': 59, NEITHER: 17, UNDECIDED: 3}}
    # No other division of everyone's ten pairs goes with the percentages.
    fits = {kind: {n for n in range(1, 10) if paper.percent_of({
        choice: round(26 * n * value / 100) for choice, value in percent.items()}) == percent}
        for kind, percent in paper.PERCENT.items()}
    assert [n for n in range(1, 10) if n in fits['editability'] and 10 - n in fits['reconstruction']] == [4]
    lines = paper.report().splitlines()
    cells = [[cell.split(' (')[0].strip() for cell in line.strip('|').split('|')] for line in lines[:6]]
    assert cells == [['', 'Editability', 'Reconstruction'], ['---'] * 3, ['DreamSound', '41.3%', '49.4%'],
                     ['MusicGen', '44.2%', '37.8%'], ['Neither', '14.4%', '10.9%'], ['Undecided', '0.0%', '1.9%']]
    assert sum('does not stand out from chance' in line for line in lines) == 2
    assert analysis.sign_test(59, 77) == pytest.approx(stats.binomtest(59, 136).pvalue)


def test_latex_is_in_the_papers_layout():
    table = {'editability': {'our_s & co': analysis.wilson(1, 4), NEITHER: analysis.wilson(0, 4)}}
    assert tables.latex(table).splitlines()[3:6] == [
        r'\midrule', r'our\_s \& co & 25.0\% (4.6\%--69.9\%) \\', r'Neither & 0.0\% (0.0\%--49.0\%) \\']
