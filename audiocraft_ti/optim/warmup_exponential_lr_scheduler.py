"""The paper's learning rate over time."""
from torch.optim import Optimizer
from torch.optim.lr_scheduler import _LRScheduler


class WarmupExponentialLRScheduler(_LRScheduler):
    """A rise by a factor of ten with every update, then a slow exponential fall (eq. 3, P12).

    With t updates done and w of warm-up, l_t = l 10^(t - w) while t < w, and l gamma^(t - w) from then on.

    Args:
        optimizer (Optimizer): Optimizer.
        warmup (int): Number of updates until the learning rate is reached.
        gamma (float): By how much it falls with every update after that.
    """
    def __init__(self, optimizer: Optimizer, warmup: int = 10, gamma: float = 0.99):
        self.warmup = warmup
        self.gamma = gamma
        super().__init__(optimizer)

    def get_lr(self):
        since = self.last_epoch - self.warmup
        return [lr * (10. if since < 0 else self.gamma) ** since for lr in self.base_lrs]
