"""The concept bank: the only parameters that are ever trained."""
import typing as tp

import torch
from torch import nn

from .. import concept
from ..errors import UserError


class ConceptBank(nn.Module):
    """Vectors of concepts, which stand in for rows of a text encoder's embedding matrix (P1, P2).

    The vectors are parameters of their own, one a concept. The embedding matrix is never resized, aliased or written:
    t5-base has 32128 rows for the 32100 tokens of its tokenizer, so new ids point at rows that already exist. A concept
    that is taken out leaves its ids behind, since a tokenizer cannot forget.

    Args:
        first_id (int): Id of the first vector, the number of tokens that the tokenizer knows.
        dim (int): Width of the text encoder's embeddings.
    """
    places: torch.Tensor

    def __init__(self, first_id: int, dim: int):
        super().__init__()
        self.first_id = first_id
        self.dim = dim
        self.vectors = nn.ParameterDict()  # keyed by placeholder: a bare name could be that of a method
        self.ids: tp.Dict[str, tp.List[int]] = {}
        self.register_buffer('places', torch.zeros(0, dtype=torch.long), persistent=False)

    def add(self, name: str, vectors: torch.Tensor, ids: tp.Sequence[int]) -> None:
        """Add a concept with vectors of shape [V, D], which stand for as many ids.

        Raises:
            UserError: If a concept of that name is there, or the width differs from the text encoder's.
        """
        key = concept.placeholder(name)
        if key in self.vectors:
            raise UserError(f"the concept {key} is already loaded: give the new one another name.")
        if vectors.shape[-1] != self.dim:
            raise UserError(f"the concept {key} has vectors of width {vectors.shape[-1]}, the text encoder's have "
                            f"{self.dim}: it was learned for another base model.")
        assert len(ids) == len(vectors) and min(ids) >= self.first_id
        self.vectors[key] = nn.Parameter(vectors.detach().clone().float())
        self.ids[key] = list(ids)
        self._place()

    def remove(self, name: str) -> None:
        """Take a concept out."""
        key = concept.placeholder(name)
        del self.vectors[key], self.ids[key]
        self._place()

    def _place(self) -> None:
        """Note down which row of all vectors, one concept after the other, each id stands for."""
        ids = torch.tensor([id_ for key in self.vectors for id_ in self.ids[key]], dtype=torch.long) - self.first_id
        places = torch.zeros(int(ids.max()) + 1 if len(ids) else 0, dtype=torch.long)
        places[ids] = torch.arange(len(ids))
        self.places = places.to(self.places.device)

    def __len__(self) -> int:
        return sum(len(vectors) for vectors in self.vectors.values())

    def __contains__(self, key: str) -> bool:
        return key in self.vectors

    def __getitem__(self, name: str) -> torch.Tensor:
        """Vectors [V, D] of a concept, by its bare name."""
        return self.vectors[concept.placeholder(name)]

    def embed(self, ids: torch.Tensor, embedding: nn.Embedding) -> torch.Tensor:
        """Look up token ids, the concepts' among them.

        Vectors take part in every result's graph, so a batch without a concept yields a gradient of zero and not none,
        which data-parallel training needs.

        Args:
            ids (torch.Tensor): Token ids of shape [B, T].
            embedding (nn.Embedding): The text encoder's own, for ids below `first_id`.
        Returns:
            torch.Tensor: Input embeddings of shape [B, T, D].
        """
        B, T = ids.shape
        is_concept = ids >= self.first_id  # [B, T]
        embeds = embedding(ids.masked_fill(is_concept, 0))  # [B, T, D]
        if not len(self):
            return embeds
        rows = torch.cat(list(self.vectors.values())).to(embeds)  # [N, D]
        placed = rows[self.places[(ids - self.first_id).clamp(min=0)]]  # [B, T, D]
        return torch.where(is_concept[..., None], placed, embeds)
