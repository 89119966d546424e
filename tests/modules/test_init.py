import pytest
import torch

from audiocraft_ti.modules.init import initial_vectors, INITS


@pytest.fixture
def rows():
    """Rows whose dimensions go together."""
    mixing = torch.tensor([[2., 0., 0.], [1.5, 0.5, 0.], [-1., 0.3, 0.1]])
    return torch.randn(5000, 3, generator=torch.Generator().manual_seed(0)) @ mixing.T + torch.tensor([1., -2., 3.])


@pytest.mark.parametrize('kind', ['gaussian', 'gaussian_diag'])
def test_gaussians_have_the_rows_mean_and_covariance(rows, kind):
    drawn = initial_vectors(kind, rows, 200_000, seed=1)
    covariance = torch.cov(rows.T)
    expected = covariance if kind == 'gaussian' else covariance.diagonal().diag()
    assert drawn.shape == (200_000, 3) and drawn.dtype == torch.float32
    assert torch.allclose(drawn.mean(0), rows.mean(0), atol=0.03)
    assert torch.allclose(torch.cov(drawn.T), expected, atol=0.06)


@pytest.mark.parametrize('kind, expected', [
    ('mean', [[4 / 3, 4 / 3, 0.]] * 4),
    ('token', [[4., 0., 0.], [0., 4., 0.], [0., 0., 0.], [4., 0., 0.]])])
def test_other_starts_are_where_they_say_but_for_a_hundredth(kind, expected):
    start = initial_vectors(kind, torch.tensor([[4., 0., 0.], [0., 4., 0.], [0., 0., 0.]]), 4, seed=0)
    rms = (32 / 9) ** 0.5
    off = start - torch.tensor(expected)
    assert 0.003 * rms < off.pow(2).mean().sqrt() < 0.03 * rms and len(off.unique(dim=0)) == 4


@pytest.mark.parametrize('kind', INITS)
def test_what_is_drawn_follows_the_seed(rows, kind):
    assert torch.equal(initial_vectors(kind, rows, 4, 1), initial_vectors(kind, rows, 4, 1))
    assert not torch.equal(initial_vectors(kind, rows, 4, 1), initial_vectors(kind, rows, 4, 2))
