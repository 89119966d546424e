"""Scores of music, as functions of embeddings of unit length: those of section 3 of the paper, and what they miss."""
import typing as tp

import torch
from torchmetrics.image.fid import FrechetInceptionDistance


def _check(*sets: torch.Tensor) -> None:
    assert all(one.dim() == 2 and len(one) and one.shape[1] == sets[0].shape[1] for one in sets), \
        [list(one.shape) for one in sets]


def reconstruction(outputs: torch.Tensor, references: torch.Tensor) -> float:
    """Mean cosine of all pairs of an output for "A recording of a S*" and a recording of the concept (P20).

    Args:
        outputs (torch.Tensor): Embeddings of the outputs, [N, D].
        references (torch.Tensor): Embeddings of the recordings, [M, D].
    """
    _check(outputs, references)
    return (outputs @ references.T).mean().item()


def editability(outputs: torch.Tensor, prompts: torch.Tensor) -> float:
    """Mean cosine of outputs and the texts of their prompts, without the concept (P21).

    Args:
        outputs (torch.Tensor): Embeddings of the outputs, [N, D].
        prompts (torch.Tensor): Embeddings of each one's text, [N, D].
    """
    _check(outputs, prompts)
    assert len(outputs) == len(prompts)
    return (outputs * prompts).sum(1).mean().item()


def copy_margin(outputs: torch.Tensor, train: torch.Tensor, held_out: torch.Tensor) -> float:
    """By how much outputs lie nearer to a training clip than real recordings of the same sound do.

    The mean cosine of outputs and the training clip nearest to each, less that of held-out clips. About zero or less
    is as it should be; a system that plays its training clips back has what is missing from there to 1.

    Args:
        outputs (torch.Tensor): Embeddings of the outputs, [N, D].
        train (torch.Tensor): Embeddings of what was learned from, [M, D].
        held_out (torch.Tensor): Embeddings of what was not, [L, D].
    """
    _check(outputs, train, held_out)
    return ((outputs @ train.T).amax(1).mean() - (held_out @ train.T).amax(1).mean()).item()


def kernel_distance(outputs: torch.Tensor, references: torch.Tensor) -> float:
    """Kernel audio distance (Chung et al., 2025): the unbiased squared MMD with a Gaussian kernel, times a hundred.

    The kernel is as wide as the median distance of the references. It is fit for few samples, and may be a little
    below zero where both come from one distribution.

    Args:
        outputs (torch.Tensor): Embeddings of the outputs, [N, D], two or more.
        references (torch.Tensor): Embeddings of the recordings, [M, D], two or more.
    """
    _check(outputs, references)
    assert len(outputs) > 1 and len(references) > 1
    outputs, references = outputs.double(), references.double()
    width = torch.nn.functional.pdist(references).median()

    def kernel(a: torch.Tensor, b: torch.Tensor) -> torch.Tensor:
        return torch.exp(-torch.cdist(a, b, compute_mode='donot_use_mm_for_euclid_dist').square() / (2 * width ** 2))
    return 100 * (_mean_of_pairs(kernel(outputs, outputs)) + _mean_of_pairs(kernel(references, references))
                  - 2 * kernel(outputs, references).mean()).item()


def _mean_of_pairs(kernel: torch.Tensor) -> torch.Tensor:
    """Mean of a kernel matrix without its diagonal."""
    return (kernel.sum() - kernel.diagonal().sum()) / (len(kernel) * (len(kernel) - 1))


def frechet_distance(outputs: torch.Tensor, references: torch.Tensor) -> float:
    """Fréchet distance of two Gaussians (Kilgour et al., 2019), which takes hundreds of samples to mean something.

    By torchmetrics, whose images are embeddings here, which nothing has to be made of.

    Args:
        outputs (torch.Tensor): Embeddings of the outputs, [N, D], two or more.
        references (torch.Tensor): Embeddings of the recordings, [M, D], two or more.
    """
    _check(outputs, references)
    metric = FrechetInceptionDistance(torch.nn.Identity(), normalize=True, input_img_size=(1, 1, outputs.shape[1]))
    metric.update(references.double(), real=True)
    metric.update(outputs.double(), real=False)
    return metric.compute().item()


def interval(score: tp.Callable[..., float], *sets: torch.Tensor, paired: bool = False, draws: int = 1000,
             confidence: float = 0.95, seed: int = 0) -> tp.Tuple[float, float]:
    """Bootstrap interval of a score over the clips of every set.

    Args:
        score (callable): Score of the sets.
        *sets (torch.Tensor): Its arguments, each [N, D].
        paired (bool): Whether the rows of all sets belong together, as outputs and their prompts do.
        draws (int): Number of resamples.
        confidence (float): Share of them in the interval.
        seed (int): Of the draws.
    """
    generator = torch.Generator().manual_seed(seed)

    def resampled() -> tp.List[torch.Tensor]:
        rows = [torch.randint(len(one), (len(one),), generator=generator) for one in sets]
        return [one[rows[0] if paired else index] for one, index in zip(sets, rows)]
    values = torch.tensor([score(*resampled()) for _ in range(draws)])
    low, high = values.quantile(torch.tensor([(1 - confidence) / 2, (1 + confidence) / 2]))
    return low.item(), high.item()
