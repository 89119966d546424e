import math

import numpy as np
import pytest
from scipy import linalg
import torch

from audiocraft_ti.evaluation import scores

OUTPUTS = torch.tensor([[1., 0.], [0.6, 0.8]])


def unit(count, dim=6, seed=0, shift=0.):
    drawn = torch.randn(count, dim, generator=torch.Generator().manual_seed(seed)) + shift
    return torch.nn.functional.normalize(drawn, dim=1)


def test_reconstruction_is_the_mean_over_all_pairs():
    references = torch.tensor([[0., 1.], [1., 0.], [0.8, 0.6]])
    by_hand = (0 + 1 + 0.8 + 0.8 + 0.6 + 0.96) / 6
    assert scores.reconstruction(OUTPUTS, references) == pytest.approx(by_hand)


def test_editability_is_the_mean_over_outputs_and_their_prompts():
    assert scores.editability(OUTPUTS, torch.tensor([[0., 1.], [0., 1.]])) == pytest.approx(0.4)
    assert scores.editability(OUTPUTS, torch.tensor([[0., 1.], [1., 0.]])) == pytest.approx(0.3)


def test_a_copier_is_exposed_and_what_is_as_far_as_real_clips_is_not():
    train, held_out = unit(8), unit(8, seed=1)
    real = np.mean([max(float(clip @ other) for other in train) for clip in held_out])
    assert scores.copy_margin(train[:5], train, held_out) == pytest.approx(1 - real)
    assert scores.copy_margin(held_out, train, held_out) == pytest.approx(0, abs=1e-7)


def test_the_kernel_distance_equals_a_sum_over_pairs():
    outputs, references = unit(4).double(), unit(6, seed=1, shift=0.5).double()
    distances = sorted(float((references[i] - references[j]).norm()) for i in range(6) for j in range(i))
    width = distances[(len(distances) - 1) // 2]

    def k(a, b):
        return math.exp(-float((a - b).square().sum()) / (2 * width ** 2))
    within = [np.mean([k(a, b) for i, a in enumerate(one) for j, b in enumerate(one) if i != j])
              for one in (outputs, references)]
    across = np.mean([k(a, b) for a in outputs for b in references])
    assert scores.kernel_distance(outputs, references) == pytest.approx(100 * (sum(within) - 2 * across), abs=1e-6)


def test_the_kernel_distance_is_unbiased():
    same = [scores.kernel_distance(unit(5, seed=seed), unit(5, seed=1000 + seed)) for seed in range(300)]
    other = [scores.kernel_distance(unit(5, seed=seed, shift=0.7), unit(5, seed=1000 + seed)) for seed in range(300)]
    assert abs(np.mean(same)) < 3 * np.std(same) / 300 ** 0.5 and np.mean(other) > 5


def test_the_frechet_distance_equals_that_of_matrix_roots():
    outputs, references = unit(40).double(), unit(50, seed=1, shift=0.5).double()
    first, second = (np.cov(one.numpy().T) for one in (outputs, references))
    apart = ((outputs.mean(0) - references.mean(0)) ** 2).sum().item()
    expected = apart + np.trace(first + second - 2 * linalg.sqrtm(first @ second).real)
    assert scores.frechet_distance(outputs, references) == pytest.approx(expected, abs=1e-6)
    assert scores.frechet_distance(outputs, outputs) == pytest.approx(0, abs=1e-6)


def test_scores_in_single_precision_equal_float64():
    outputs, references = unit(7, 512), unit(9, 512, seed=1)
    for score in (scores.reconstruction, scores.kernel_distance, scores.frechet_distance):
        assert score(outputs, references) == pytest.approx(score(outputs.double(), references.double()), abs=1e-5)


def test_intervals_cover_what_is_true():
    covered = 0
    for seed in range(100):
        drawn = torch.randn(40, 1, generator=torch.Generator().manual_seed(seed)) + 0.3
        low, high = scores.interval(lambda one: one.mean().item(), drawn, draws=200)
        covered += low <= 0.3 <= high
    assert 86 <= covered <= 99


def test_what_belongs_together_is_drawn_together():
    outputs = unit(10)
    low, high = scores.interval(scores.editability, outputs, outputs, paired=True, draws=50)
    assert low == pytest.approx(1) and high == pytest.approx(1)
    assert scores.interval(scores.editability, outputs, outputs, draws=50)[0] < 0.9


def test_shapes_that_do_not_fit():
    for references in (torch.ones(3, 3), torch.ones(2), torch.ones(0, 2)):
        with pytest.raises(AssertionError):
            scores.reconstruction(OUTPUTS, references)
    with pytest.raises(AssertionError):
        scores.editability(OUTPUTS, torch.ones(1, 2))
