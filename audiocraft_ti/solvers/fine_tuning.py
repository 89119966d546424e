"""Fine-tuning of the whole language model: what textual inversion is the alternative to."""
from .. import environment
environment.prepare()
from audiocraft.solvers import builders
from omegaconf import DictConfig

from .checks import check_no_baselines
from .musicgen import MusicGenConceptSolver


class FineTuningSolver(MusicGenConceptSolver):
    """Trains every weight of the language model on a concept's recordings, as audiocraft trains a MusicGen.

    The text encoder stays as it is, and the concept is written in prompts by its bare name.
    """
    NAME = 'fine_tuning'

    def __init__(self, cfg: DictConfig):
        check_no_baselines(cfg)
        super().__init__(cfg)

    @property
    def word(self) -> str:
        return self.cfg.concept.name

    def build_model(self) -> None:
        """Let the base model be trained, dropouts and all."""
        self.compression_model = self.base.codec
        self.model = self.base.lm.requires_grad_(True)
        self.register_training(builders.get_optim_parameter_groups(self.model), self.cfg.optim.lr)
