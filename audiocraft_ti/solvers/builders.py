"""From a configuration to a solver."""
from pathlib import Path

from .. import environment
environment.prepare()
from audiocraft.solvers import builders
from audiocraft.solvers.base import StandardSolver
from omegaconf import DictConfig

from ..models.loaders import use_local_t5


def get_solver(cfg: DictConfig) -> StandardSolver:
    """The solver that `cfg.solver` names: ours, else one of audiocraft's."""
    from .textual_inversion import TextualInversionSolver
    if cfg.solver == TextualInversionSolver.NAME:
        return TextualInversionSolver(cfg)
    use_local_t5(cfg, Path())
    return builders.get_solver(cfg)
