"""What a concept's vectors start from (P3)."""
import typing as tp

import torch

from ..rng import generator

NOISE = 0.01  # of the rows' root mean square: vectors that start alike can part


def _noise(num_vectors: int, rows: torch.Tensor, seed: int) -> torch.Tensor:
    return torch.randn(num_vectors, rows.shape[1], generator=generator(seed), dtype=rows.dtype)


def gaussian(rows: torch.Tensor, num_vectors: int, seed: int) -> torch.Tensor:
    """Draws from the multivariate Gaussian with the rows' mean and covariance, the paper's start.

    v = mu + L z, with z standard normal and L L^T the covariance, full and not just its diagonal, in float64.
    """
    covariance = torch.cov(rows.T)  # [D, D]
    jitter = 1e-6 * covariance.diagonal().mean()
    factor = torch.linalg.cholesky(covariance + jitter * torch.eye(len(covariance), dtype=rows.dtype))
    return rows.mean(dim=0) + _noise(num_vectors, rows, seed) @ factor.T


def gaussian_diag(rows: torch.Tensor, num_vectors: int, seed: int) -> torch.Tensor:
    """v = mu + sigma z: as `gaussian`, every dimension by itself."""
    return rows.mean(dim=0) + rows.std(dim=0) * _noise(num_vectors, rows, seed)


def mean(rows: torch.Tensor, num_vectors: int, seed: int) -> torch.Tensor:
    """v = mu, and a little noise."""
    return rows.mean(dim=0) + NOISE * rows.pow(2).mean().sqrt() * _noise(num_vectors, rows, seed)


def token(rows: torch.Tensor, num_vectors: int, seed: int) -> torch.Tensor:
    """The rows themselves, those of an initialiser word, in turn, and a little noise."""
    turns = torch.arange(num_vectors) % len(rows)
    return rows[turns] + NOISE * rows.pow(2).mean().sqrt() * _noise(num_vectors, rows, seed)


INITS: tp.Dict[str, tp.Callable[[torch.Tensor, int, int], torch.Tensor]] = {
    'gaussian': gaussian, 'gaussian_diag': gaussian_diag, 'mean': mean, 'token': token}


def initial_vectors(kind: str, rows: torch.Tensor, num_vectors: int, seed: int) -> torch.Tensor:
    """Vectors for a new concept.

    Args:
        kind (str): A name of `INITS`.
        rows (torch.Tensor): Embeddings of all of the tokenizer's real tokens, or for 'token' of the word's, [N, D].
        num_vectors (int): Number of vectors, V.
        seed (int): Seed of what is random.
    Returns:
        torch.Tensor: Vectors of shape [V, D], float32.
    """
    assert rows.dim() == 2
    return INITS[kind](rows.detach().to('cpu', torch.float64), num_vectors, seed).float()
