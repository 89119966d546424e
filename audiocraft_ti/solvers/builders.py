"""From a configuration to a solver."""
from pathlib import Path
import typing as tp

from .. import environment
environment.prepare()
from audiocraft.solvers import builders
from audiocraft.solvers.base import StandardSolver
from omegaconf import DictConfig, ListConfig
import torch
from torch.optim.lr_scheduler import LRScheduler

from ..models.loaders import use_local_t5
from ..optim.warmup_exponential_lr_scheduler import WarmupExponentialLRScheduler


def get_solver(cfg: DictConfig) -> StandardSolver:
    """The solver that `cfg.solver` names: ours, else one of audiocraft's."""
    from .audioldm import AudioLDMTextualInversionSolver, DreamBoothSolver
    from .fine_tuning import FineTuningSolver
    from .pack import PackSolver
    from .stable_audio import StableAudioTextualInversionSolver
    from .textual_inversion import TextualInversionSolver
    from ..tiny.solver import TinyMusicGenSolver
    use_local_t5(cfg, Path())
    if cfg.solver == PackSolver.NAME and isinstance(cfg.concept.name, ListConfig):
        return PackSolver(cfg)
    for solver in (TextualInversionSolver, FineTuningSolver, AudioLDMTextualInversionSolver, DreamBoothSolver,
                   StableAudioTextualInversionSolver, TinyMusicGenSolver):
        if cfg.solver == solver.NAME:
            return solver(cfg)
    return builders.get_solver(cfg)


def get_lr_scheduler(optimizer: torch.optim.Optimizer, cfg: DictConfig, total_updates: int) -> tp.Optional[LRScheduler]:
    """The schedule that `cfg.lr_scheduler` names: ours, else one of audiocraft's."""
    if cfg.lr_scheduler == 'warmup_exponential':
        return WarmupExponentialLRScheduler(optimizer, **cfg.warmup_exponential)
    return builders.get_lr_scheduler(optimizer, cfg, total_updates)
