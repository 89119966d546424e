"""From a configuration to a solver."""
from .. import environment
environment.prepare()
from audiocraft.solvers import builders
from audiocraft.solvers.base import StandardSolver
from omegaconf import DictConfig


def get_solver(cfg: DictConfig) -> StandardSolver:
    """The solver that `cfg.solver` names: ours, else one of audiocraft's."""
    from .textual_inversion import TextualInversionSolver
    if cfg.solver == TextualInversionSolver.NAME:
        return TextualInversionSolver(cfg)
    return builders.get_solver(cfg)
