"""How often a study's 95 % intervals hold the truth: `python -m benchmarks.study_coverage [--studies 1000]`.

Simulated raters with known preferences and tastes of their own answer the pairs that the design gives them.
"""
import argparse
from dataclasses import dataclass
from itertools import combinations, islice
import typing as tp

import numpy as np
from tqdm import tqdm

from audiocraft_ti.study import analysis, bradley_terry, design
from audiocraft_ti.study.answers import Answer, NEITHER, UNDECIDED

KIND = 'editability'


@dataclass
class Truth:
    """What simulated raters think.

    Args:
        strengths (list of float): Of the systems, in log-odds; the first is 0.
        taste (float): Standard deviation of raters' own tastes.
        raters (int): How many there are.
        each (int): How many pairs each of them hears.
        neither (float): Share of the answers "Neither"; half as many are "Cannot decide".
    """
    strengths: tp.List[float]
    taste: float
    raters: int = 26
    each: int = 10
    neither: float = 0.1

    @property
    def systems(self) -> tp.List[str]:
        return [f'system {index}' for index in range(len(self.strengths))]


SETTINGS = [Truth(strengths, taste, raters)
            for strengths in ([0, 0.5], [0, 0.5, 1.]) for raters in (26, 12) for taste in (0., 0.7, 1.)]
# Intervals were not chosen by these.
OTHERS = [Truth([0, 0.5], 0.35, 40), Truth([0, 0.3], 0.35, each=6), Truth([0, -0.5, 0.7], 0.5, 20, neither=0.3),
          Truth([0, 0.4], 0.5, 8), Truth([0, 0.5], 0.7, 4)]


def plans(truth: Truth) -> tp.Tuple[tp.List[design.Pair], tp.List[tp.List[design.Trial]]]:
    """A study's pairs, and which of them its raters hear."""
    pairs = [design.Pair(KIND, f'concept {concept}', '', both, both) for concept in range(10)
             for both in combinations(truth.systems, 2)]
    return pairs, list(islice(design.plans(pairs, {KIND: truth.each}, 0), truth.raters))


def simulate(truth: Truth, pairs: tp.Sequence[design.Pair], planned: tp.Sequence[tp.Sequence[design.Trial]], seed: int
             ) -> tp.List[Answer]:
    """One study's answers."""
    rng = np.random.default_rng(seed)
    answers = []
    for rater, plan in enumerate(planned):
        strengths = dict(zip(truth.systems, truth.strengths + rng.normal(0, truth.taste, len(truth.strengths))))
        answers += [_answer(rater, trial, pairs[trial.pair], strengths, truth.neither, rng) for trial in plan]
    return answers


def _answer(rater: int, trial: design.Trial, pair: design.Pair, strengths: tp.Mapping[str, float], neither: float,
            rng: np.random.Generator) -> Answer:
    left, right = pair.systems[::-1] if trial.swapped else pair.systems
    wins = rng.random() < 1 / (1 + np.exp(strengths[right] - strengths[left]))
    drawn = rng.random()
    choice = NEITHER if drawn < neither else UNDECIDED if drawn < 1.5 * neither else left if wins else right
    return Answer(rater, trial.pair, KIND, pair.concept, left, right, choice)


def true_share(truth: Truth, system: int, draws: int = 400000) -> float:
    """How often a system is chosen, over all raters that might come."""
    rng = np.random.default_rng(0)
    strengths = np.array(truth.strengths) + rng.normal(0, truth.taste, (draws, len(truth.strengths)))
    others = [other for other in range(len(truth.strengths)) if other != system]
    chosen = 1 / (1 + np.exp(strengths[:, others] - strengths[:, [system]]))
    return float(chosen.mean()) * (1 - 1.5 * truth.neither)


def coverage(truth: Truth, studies: int, seed: int = 0) -> tp.Dict[str, float]:
    """Share of studies whose interval of the last system's strength, and of its share, holds the truth."""
    system, share = truth.systems[-1], true_share(truth, len(truth.strengths) - 1)
    hits: tp.Dict[str, tp.List[bool]] = {'strength': [], 'share': [], 'share, answers as independent': []}
    pairs, planned = plans(truth)
    for index in tqdm(range(studies), str(truth), disable=None):
        answers = simulate(truth, pairs, planned, seed + index)
        fit = bradley_terry.fit(answers, truth.systems)
        strength = fit.strengths[system] if fit else None
        hits['strength'].append(strength is not None and strength.low <= truth.strengths[-1] <= strength.high)
        found = analysis.share(system, [answer for answer in answers if system in answer.systems])
        naive = analysis.wilson(found.count, found.total)
        hits['share'].append(found.low <= share <= found.high)
        hits['share, answers as independent'].append(naive.low <= share <= naive.high)
    return {name: float(np.mean(values)) for name, values in hits.items()}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument('--studies', type=int, default=1000)
    parser.add_argument('--seed', type=int, default=0, help='of the first study')
    args = parser.parse_args()
    for index, truth in enumerate(SETTINGS + OTHERS):
        found = coverage(truth, args.studies, args.seed + index * args.studies)
        error = {name: (value * (1 - value) / args.studies) ** 0.5 for name, value in found.items()}
        print(truth, ', '.join(f'{name} {value:.1%} ± {error[name]:.1%}' for name, value in found.items()), flush=True)


if __name__ == '__main__':
    main()
