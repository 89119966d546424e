"""How often a study's 95 % intervals hold the truth: `python -m benchmarks.study_coverage [--studies 1000]`.

Simulated raters with known preferences and tastes of their own answer the pairs that the design gives them.
"""
import argparse
from dataclasses import dataclass
from itertools import islice
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


def simulate(truth: Truth, seed: int) -> tp.List[Answer]:
    """One study's answers."""
    rng = np.random.default_rng(seed)
    systems = truth.systems
    pairs = [design.Pair(KIND, f'concept {concept}', '', (first, second), (first, second)) for concept in range(10)
             for index, first in enumerate(systems) for second in systems[index + 1:]]
    answers = []
    for rater, plan in enumerate(islice(design.plans(pairs, {KIND: truth.each}, seed), truth.raters)):
        strengths = dict(zip(systems, truth.strengths + rng.normal(0, truth.taste, len(systems))))
        answers += [_answer(rater, trial, pairs[trial.pair], strengths, truth.neither, rng) for trial in plan]
    return answers


def _answer(rater: int, trial: design.Trial, pair: design.Pair, strengths: tp.Mapping[str, float], neither: float,
            rng: np.random.Generator) -> Answer:
    left, right = pair.systems[::-1] if trial.swapped else pair.systems
    wins = rng.random() < 1 / (1 + np.exp(strengths[right] - strengths[left]))
    choice = rng.choice([left if wins else right, NEITHER, UNDECIDED], p=[1 - 1.5 * neither, neither, neither / 2])
    return Answer(rater, trial.pair, KIND, pair.concept, left, right, str(choice))


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
    for index in tqdm(range(studies), str(truth), disable=None):
        answers = simulate(truth, seed + index)
        fit = bradley_terry.fit(answers, truth.systems)
        strength = fit.strengths[system] if fit else None
        hits['strength'].append(strength is not None and strength.low <= truth.strengths[-1] <= strength.high)
        found = analysis.shares(answers, truth.systems)[system]
        naive = analysis.wilson(found.count, found.total)
        hits['share'].append(found.low <= share <= found.high)
        hits['share, answers as independent'].append(naive.low <= share <= naive.high)
    return {name: float(np.mean(values)) for name, values in hits.items()}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument('--studies', type=int, default=1000)
    studies = parser.parse_args().studies
    for truth in (Truth([0, 0.5], 0.7), Truth([0, 0.], 0.), Truth([0, 1.], 1.), Truth([0, 0.5, 1.], 0.7),
                  Truth([0, 0.5], 0.7, raters=12)):
        print(truth, ', '.join(f'{name} {value:.1%}' for name, value in coverage(truth, studies).items()), flush=True)


if __name__ == '__main__':
    main()
