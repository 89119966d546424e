"""Strengths of systems, fitted to pairwise answers by raters who differ (Bradley and Terry, 1952, mixed).

Rater r chooses a over b with the odds exp(s_a + u_ra - s_b - u_rb): s are the strengths, u the rater's own tastes,
normal with one standard deviation. Answers for neither system say nothing about their order and are left out. The
likelihood is averaged over tastes by quasi-Monte Carlo, as mixed logit models are (Train, 2009, chapter 10), and
maximized by statsmodels. Its own mixed models are no help here: on 26 simulated raters, 95 % intervals of
`BinomialBayesMixedGLM` covered the truth in 80 %.

Errors are the sandwich's, of raters, which holds where tastes are not normal, too (White, 1982, *Maximum likelihood
estimation of misspecified models*), times R / (R - 1), with a t distribution of R - 1 degrees of freedom for R raters
(Cameron and Miller, 2015, *A practitioner's guide to cluster-robust inference*). The likelihood's own errors are too
wide where raters do not differ, since the spread of tastes cannot come out below zero. docs/STUDY.md has the numbers.
"""
from dataclasses import dataclass
from itertools import combinations
import typing as tp
import warnings

import numpy as np
from scipy import linalg, special, stats
from scipy.stats import qmc
from statsmodels.base.model import GenericLikelihoodModel
from statsmodels.stats.sandwich_covariance import cov_white_simple
from statsmodels.tools.numdiff import approx_fprime

from .analysis import CONFIDENCE, least_effect
from .answers import Answer

DRAWS = 512
HOPELESS = 10.  # a strength beyond that, in log-odds, stands for infinity


@dataclass
class Strength:
    """By how much a system is stronger than the first, in log-odds, with its interval and its test against 0."""
    value: float
    low: float
    high: float
    p: float


@dataclass
class Fit:
    """Strengths of all systems but the first, and the standard deviation of tastes."""
    strengths: tp.Dict[str, Strength]
    taste: float


class MixedBradleyTerry(GenericLikelihoodModel):
    """The likelihood of decided answers, of K - 1 strengths and the standard deviation of tastes.

    Args:
        wins (np.ndarray): How often raters chose the first system of each pair of systems, [R, P].
        trials (np.ndarray): Of how many decided answers, [R, P].
        signs (np.ndarray): 1 for a pair's first system and -1 for its second, [P, K].
    """
    def __init__(self, wins: np.ndarray, trials: np.ndarray, signs: np.ndarray) -> None:
        assert wins.shape == trials.shape and wins.shape[1:] == signs.shape[:1]
        apart = linalg.null_space(np.ones((1, signs.shape[1])))  # [K, K - 1], since a taste for all is none
        half = qmc.MultivariateNormalQMC(np.zeros(apart.shape[1]), rng=np.random.default_rng(0)).random(DRAWS // 2)
        tastes = signs @ apart @ np.concatenate([half, -half]).T  # [P, DRAWS]
        strengths = np.broadcast_to(signs[:, None, 1:], (*tastes.shape, signs.shape[1] - 1))
        self.wins, self.trials = wins, trials
        self.slopes = np.concatenate([strengths, tastes[..., None]], 2)  # of log-odds, [P, DRAWS, K]
        super().__init__(wins, extra_params_names=[f'strength_{k}' for k in range(1, signs.shape[1])] + ['taste'])

    def _drawn(self, params: np.ndarray) -> np.ndarray:
        """Log-likelihood of each rater's answers with each draw of tastes, [R, DRAWS]."""
        odds = self.slopes @ params
        return self.wins @ odds - self.trials @ np.logaddexp(0, odds)

    def loglikeobs(self, params: np.ndarray) -> np.ndarray:
        """Of each rater's answers, [R]."""
        return np.logaddexp.reduce(self._drawn(params), axis=1) - np.log(DRAWS)

    def score_obs(self, params: np.ndarray, **kwargs: tp.Any) -> np.ndarray:
        """Gradient of each rater's log-likelihood, [R, K]."""
        chosen = special.expit(self.slopes @ params)[..., None]
        each = np.tensordot(self.wins, self.slopes, 1) - np.tensordot(self.trials, chosen * self.slopes, 1)
        return np.einsum('rd,rdk->rk', special.softmax(self._drawn(params), axis=1), each)

    def score(self, params: np.ndarray) -> np.ndarray:
        return self.score_obs(params).sum(0)

    def hessian(self, params: np.ndarray) -> np.ndarray:
        return approx_fprime(params, self.score, centered=True)


def fit(answers: tp.Sequence[Answer], systems: tp.Sequence[str]) -> tp.Optional[Fit]:
    """Fit the strengths of systems, or nothing where answers do not determine them.

    That is so with fewer than two raters, or where answers between some systems are all for the same ones.
    """
    wins, trials, signs = _counts(answers, systems)
    freedom = len(wins) - 1
    if freedom < 1:
        return None
    model = MixedBradleyTerry(wins, trials, signs)
    start = np.append(np.zeros(len(systems) - 1), 0.5)
    with warnings.catch_warnings():
        warnings.simplefilter('ignore')  # whether it converged is seen below
        result = model.fit(start_params=start, method='bfgs', disp=0)
    values, variances = result.params[:-1], result.bse[:-1] ** 2
    if not np.isfinite(variances).all() or abs(values).max() > HOPELESS:
        return None
    robust = np.diag(cov_white_simple(result, use_correction=False))[:-1] * len(wins) / freedom
    errors = np.sqrt(np.maximum(robust, least_effect(len(wins)) * variances))
    reach = stats.t.ppf((1 + CONFIDENCE) / 2, freedom) * errors
    p = 2 * stats.t.sf(abs(values) / errors, freedom)
    strengths = [Strength(*map(float, one)) for one in zip(values, values - reach, values + reach, p)]
    return Fit(dict(zip(systems[1:], strengths)), abs(float(result.params[-1])))


def _counts(answers: tp.Sequence[Answer], systems: tp.Sequence[str]) -> tp.Tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Decided answers as the likelihood takes them."""
    decided = [answer for answer in answers if answer.choice in answer.systems]
    raters, pairs = sorted({answer.rater for answer in decided}), list(combinations(systems, 2))
    wins, trials = np.zeros((2, len(raters), len(pairs)))
    for answer in decided:
        pair = next(pair for pair in pairs if answer.systems == set(pair))
        cell = raters.index(answer.rater), pairs.index(pair)
        trials[cell] += 1
        wins[cell] += answer.choice == pair[0]
    signs = np.array([[(system == first) - (system == second) for system in systems] for first, second in pairs], float)
    return wins, trials, signs
