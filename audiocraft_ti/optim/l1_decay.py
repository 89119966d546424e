"""Decoupled L1 decay."""
import typing as tp

import torch
from torch.nn import functional as F


class L1Decay:
    """A hook that follows every step of an optimizer with a step towards zero (P11).

    v <- sign(v) max(|v| - lr lambda, 0): the counterpart for L1 of what AdamW does for L2. The gradient's moments do
    not see it, and nothing crosses zero.

    Args:
        decay (float): Lambda, relative to the learning rate.
    """
    def __init__(self, decay: float):
        self.decay = decay

    @torch.no_grad()
    def __call__(self, optimizer: torch.optim.Optimizer, args: tp.Any = None, kwargs: tp.Any = None) -> None:
        for group in optimizer.param_groups:
            for parameter in group['params']:
                parameter.copy_(F.softshrink(parameter, group['lr'] * self.decay))
