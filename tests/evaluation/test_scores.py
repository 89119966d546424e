import pytest
import torch

from audiocraft_ti.evaluation.scores import editability, reconstruction

OUTPUTS = torch.tensor([[1., 0.], [0.6, 0.8]])


def test_reconstruction_is_the_mean_over_all_pairs():
    references = torch.tensor([[0., 1.], [1., 0.], [0.8, 0.6]])
    by_hand = (0 + 1 + 0.8 + 0.8 + 0.6 + 0.96) / 6
    assert reconstruction(OUTPUTS, references) == pytest.approx(by_hand)


def test_editability_is_the_mean_over_outputs():
    assert editability(OUTPUTS, torch.tensor([0., 1.])) == pytest.approx(0.4)


def test_shapes_that_do_not_fit():
    with pytest.raises(AssertionError):
        reconstruction(OUTPUTS, torch.ones(3, 3))
    with pytest.raises(AssertionError):
        editability(OUTPUTS, torch.ones(1, 2))
