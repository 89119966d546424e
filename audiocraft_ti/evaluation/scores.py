"""Scores of a concept, as functions of embeddings (section 3 of the paper)."""
import torch


def reconstruction(outputs: torch.Tensor, references: torch.Tensor) -> float:
    """Mean cosine of all pairs of an output for "A recording of a S*" and a recording of the concept (P20).

    Args:
        outputs (torch.Tensor): Embeddings of the outputs, of unit length, [N, D].
        references (torch.Tensor): Embeddings of the recordings, of unit length, [M, D].
    """
    assert outputs.dim() == references.dim() == 2 and outputs.shape[1] == references.shape[1]
    return (outputs @ references.T).mean().item()


def editability(outputs: torch.Tensor, prompt: torch.Tensor) -> float:
    """Mean cosine of the outputs for a prompt and the text of it, without the concept (P21).

    Args:
        outputs (torch.Tensor): Embeddings of the outputs, of unit length, [N, D].
        prompt (torch.Tensor): Embedding of the text, of unit length, [D].
    """
    assert outputs.dim() == 2 and prompt.dim() == 1 and outputs.shape[1] == len(prompt)
    return (outputs @ prompt).mean().item()
