import pytest
import torch

from audiocraft_ti.modules.orthogonality import orthogonality


def test_it_is_the_mean_squared_cosine_of_all_pairs():
    vectors, rows = torch.tensor([[3., 4.], [0., -2.]]), torch.tensor([[1., 0.], [0., 5.], [-1., 1.]])
    by_hand = [9 / 25, 16 / 25, 1 / 50, 0, 1, 1 / 2]
    assert orthogonality(vectors, rows).item() == pytest.approx(sum(by_hand) / 6)


def test_length_makes_no_difference_and_its_gradient_turns_vectors_away():
    vectors, rows = torch.tensor([[1., 1.]], requires_grad=True), torch.tensor([[1., 0.]])
    assert orthogonality(7 * vectors, 0.1 * rows).item() == pytest.approx(0.5)
    orthogonality(vectors, rows).backward()
    assert torch.allclose(vectors.grad, torch.tensor([[0.5, -0.5]]))  # d/dx of x^2 / (x^2 + y^2) at (1, 1)
