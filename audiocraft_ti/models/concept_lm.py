"""A frozen language model whose only parameters are the vectors of concepts."""
import typing as tp

from .. import environment
environment.prepare()
from audiocraft.models.lm import LMModel
from audiocraft.modules.conditioners import T5Conditioner
from torch import nn

from ..modules.conditioner import ConceptConditioner


def find_conditioner(lm: LMModel) -> tp.Optional[ConceptConditioner]:
    """The conditioner of a model that knows concepts, where it has one."""
    conditioners = lm.condition_provider.conditioners.values()
    return next((one for one in conditioners if isinstance(one, ConceptConditioner)), None)


def install(lm: LMModel, **kwargs: tp.Any) -> ConceptConditioner:
    """Put a `ConceptConditioner` in the place of a model's T5 conditioner.

    Args:
        lm (LMModel): A model with one T5 conditioner.
        **kwargs: Options of the `ConceptConditioner`.
    """
    conditioners = lm.condition_provider.conditioners
    name, = [name for name, conditioner in conditioners.items() if isinstance(conditioner, T5Conditioner)]
    conditioner = ConceptConditioner(tp.cast(T5Conditioner, conditioners[name]), **kwargs).eval()
    conditioners[name] = conditioner
    return conditioner


class ConceptLM(nn.Module):
    """The base language model with concepts in its vocabulary.

    Everything that counts, averages, optimises, hashes or saves a model's parameters sees the concept bank alone: the
    base lies in `__dict__`, where audiocraft keeps its frozen T5 too, and answers every other question. It is in eval
    mode for good, since its dropouts would drop the concept's words.

    Args:
        lm (LMModel): The base model, which is frozen and gets a `ConceptConditioner` in its T5 conditioner's place.
        **kwargs: Options of the `ConceptConditioner`.
    """
    lm: LMModel
    conditioner: ConceptConditioner

    def __init__(self, lm: LMModel, **kwargs: tp.Any):
        super().__init__()
        lm.eval().requires_grad_(False)
        self.__dict__['lm'] = lm
        self.__dict__['conditioner'] = install(lm, **kwargs)
        self.bank = self.conditioner.bank

    def __getattr__(self, name: str) -> tp.Any:
        try:
            return super().__getattr__(name)
        except AttributeError:
            return getattr(self.__dict__['lm'], name)

    def train(self, mode: bool = True) -> 'ConceptLM':
        """Set whether placeholders expand as in training; the base model stays in eval mode."""
        self.training = mode
        self.conditioner.train(mode)
        return self
