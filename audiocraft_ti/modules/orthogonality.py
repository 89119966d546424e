"""How far a concept is from the words that there are."""
import torch
from torch.nn import functional as F


def orthogonality(vectors: torch.Tensor, rows: torch.Tensor) -> torch.Tensor:
    """Mean of cos^2(v_i, e_j) over all pairs (P17): 0 where every vector is orthogonal to every row.

    Args:
        vectors (torch.Tensor): A concept's vectors v, [V, D].
        rows (torch.Tensor): Embeddings e of tokens, [M, D].
    """
    assert vectors.dim() == rows.dim() == 2 and vectors.shape[1] == rows.shape[1]
    cosines = F.normalize(vectors, dim=-1) @ F.normalize(rows.to(vectors), dim=-1).T  # [V, M]
    return cosines.pow(2).mean()
