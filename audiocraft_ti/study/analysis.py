"""What answers say: shares with their intervals, tests against chance, agreement. Pure functions of the answers.

Raters differ, so the answers of one rater are not as good as those of as many raters. The intervals of shares take that
into account as surveys do, by the design effect: the variance between raters over that of independent answers (Kish,
1965). Where it is not known who answered what, answers are taken for independent, and intervals are too narrow.
"""
from collections import Counter
from dataclasses import dataclass
import typing as tp

import krippendorff
import numpy as np
from scipy import stats
from statsmodels.stats.proportion import proportion_confint

from .answers import Answer, NEITHER, UNDECIDED

CONFIDENCE = 0.95


@dataclass
class Share:
    """How often something was chosen, `count` times of `total`, with its interval."""
    count: int
    total: int
    low: float
    high: float

    @property
    def value(self) -> float:
        return self.count / self.total


def wilson(count: int, total: int, effect: float = 1.) -> Share:
    """A share with its Wilson interval, of as many independent answers as these are worth."""
    low, high = proportion_confint(count / effect, total / effect, 1 - CONFIDENCE, method='wilson')
    return Share(count, total, float(low), float(high))


def share(choice: str, answers: tp.Sequence[Answer]) -> Share:
    """Of the answers that are a choice."""
    hits = np.array([answer.choice == choice for answer in answers], float)
    return wilson(int(hits.sum()), len(hits), design_effect(hits, [answer.rater for answer in answers]))


def design_effect(hits: np.ndarray, raters: tp.Sequence[int]) -> float:
    """Variance of a share with the answers of raters, over that of as many independent answers.

    It grows by the t distribution, since few raters say little about how much they differ (Korn and Graubard, 1998).
    It may be below 1: cut off there, as is often done, it is too large on average where raters are alike.

    Args:
        hits (np.ndarray): 1 or 0 for each answer, [N].
        raters (sequence of int): Who gave it.
    """
    mean, each = hits.mean(), np.unique(np.array(raters), return_inverse=True)[1]
    count = each.max() + 1
    if count < 2 or not 0 < mean < 1:
        return 1.
    deviation = np.bincount(each, hits - mean)
    between = count / (count - 1) * (deviation ** 2).sum() / len(hits) ** 2
    effect = max(least_effect(count), between / (mean * (1 - mean) / len(hits)))
    return effect * float(stats.t.ppf((1 + CONFIDENCE) / 2, count - 1) / stats.norm.ppf((1 + CONFIDENCE) / 2)) ** 2


def least_effect(raters: int) -> float:
    """What design effects exceed in 97.5 % of the studies with raters who are all alike.

    Without it, a few raters who happen to say the same would leave an interval without a width.
    """
    return float(stats.chi2.ppf((1 - CONFIDENCE) / 2, raters - 1) / (raters - 1))


def shares(answers: tp.Sequence[Answer], systems: tp.Sequence[str]) -> tp.Dict[str, Share]:
    """Share of each system in the answers to its pairs; of "Neither" and "Undecided" in all."""
    of: tp.Dict[str, tp.Sequence[Answer]] = {
        system: [answer for answer in answers if system in answer.systems] for system in systems}
    of.update({NEITHER: answers, UNDECIDED: answers})
    return {choice: share(choice, some) for choice, some in of.items() if some}


def sign_test(wins: int, losses: int) -> float:
    """Probability that chance alone divides the answers for either system at least as unevenly; two-sided."""
    return float(stats.binomtest(wins, wins + losses).pvalue) if wins + losses else 1.


def agreement(answers: tp.Sequence[Answer]) -> tp.Optional[float]:
    """Krippendorff's alpha of the choices, 1 for full agreement and 0 for chance; none if no pair has two answers."""
    raters, pairs, choices = (sorted(set(values)) for values in zip(*(
        (answer.rater, answer.pair, answer.choice) for answer in answers))) if answers else ([], [], [])
    table = np.full((len(raters), len(pairs)), np.nan)
    for answer in answers:
        table[raters.index(answer.rater), pairs.index(answer.pair)] = choices.index(answer.choice)
    if len(choices) < 2 or not ((~np.isnan(table)).sum(0) > 1).any():
        return None
    return float(krippendorff.alpha(table, level_of_measurement='nominal'))


@dataclass
class Correlation:
    """Spearman's rank correlation, with the probability of one as large by chance, and the number of pairs."""
    value: float
    p: float
    pairs: int


def correlation(answers: tp.Sequence[Answer], scores: tp.Mapping[tp.Tuple[int, str], float]
                ) -> tp.Optional[Correlation]:
    """Of what raters prefer and by how much one clip scores above the other, over pairs; none if there are under three.

    Args:
        answers (sequence of Answer): Of one kind of prompt.
        scores (dict[tuple[int, str], float]): CLAP score of the clip of each pair's systems.
    """
    preferred: tp.Counter[int] = Counter()
    systems = {answer.pair: sorted(answer.systems) for answer in answers}
    decided = Counter(answer.pair for answer in answers if answer.choice in answer.systems)
    for answer in answers:
        first, second = systems[answer.pair]
        preferred[answer.pair] += (answer.choice == first) - (answer.choice == second)
    points = [(preferred[pair] / decided[pair], scores[pair, first] - scores[pair, second])
              for pair, (first, second) in systems.items()
              if decided[pair] and (pair, first) in scores and (pair, second) in scores]
    if len(points) < 3 or any(len(set(values)) < 2 for values in zip(*points)):
        return None
    result = stats.spearmanr(*zip(*points))
    return Correlation(float(result.statistic), float(result.pvalue), len(points))
