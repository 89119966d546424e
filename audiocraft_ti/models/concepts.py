"""Concepts in audiocraft's own `MusicGen`: load them, and write `<name>` in prompts."""
from dataclasses import replace
import logging
from pathlib import Path
import typing as tp

from .. import environment
environment.prepare()
from audiocraft.models import MusicGen

from ..concept import Concept, placeholder
from ..errors import UserError
from ..modules.conditioner import ConceptConditioner
from ..modules.placeholders import check_share, Placeholders
from .concept_lm import find_conditioner, install
from .loaders import fingerprint

logger = logging.getLogger(__name__)


def load_concept(model: MusicGen, path: tp.Union[str, Path], name: tp.Optional[str] = None) -> Concept:
    """Put a concept into a model's vocabulary; prompts without it mean what they meant, to the bit (P27).

    Args:
        model (MusicGen): Any model of the MusicGen family that reads with T5.
        path (str or Path): Concept file.
        name (str, optional): To be written `<name>` in prompts, instead of the name it was learned by.
    Returns:
        Concept: What was loaded.
    Raises:
        UserError: If the file is none, if a concept of that name is loaded, or if it was learned in the space of
            another text encoder. One that was learned for another model with the same text encoder gets a warning.
    """
    conditioner = find_conditioner(model.lm) or install(model.lm)
    return add_concept(conditioner, path, fingerprint(model.lm.state_dict()), name)


def add_concept(conditioner: Placeholders, path: tp.Union[str, Path], base_fingerprint: str,
                name: tp.Optional[str] = None) -> Concept:
    """The same for any model, by what reads its prompts.

    Args:
        conditioner (Placeholders): What reads prompts for it.
        path (str or Path): Concept file.
        base_fingerprint (str): The model's.
        name (str, optional): As above.
    """
    concept = Concept.load(path)
    concept = replace(concept, name=name or concept.name)
    _check_fit(concept, conditioner, base_fingerprint)
    conditioner.add(concept.name, concept.vectors)
    return concept


def unload_concept(model: MusicGen, name: str) -> None:
    """Take a concept out of a model's vocabulary.

    Raises:
        UserError: If there is none of that name.
    """
    if name not in list_concepts(model):
        raise UserError(f"the concept {placeholder(name)} is not loaded: loaded are "
                        f"{', '.join(list_concepts(model)) or 'none'}.")
    tp.cast(ConceptConditioner, find_conditioner(model.lm)).bank.remove(name)


def list_concepts(model: MusicGen) -> tp.List[str]:
    """Names of the concepts that prompts may speak of."""
    conditioner = find_conditioner(model.lm)
    return [key[1:-1] for key in conditioner.bank.vectors] if conditioner else []


def set_concept_params(model: MusicGen, sample_ratio: tp.Optional[float] = None, shuffle: tp.Optional[bool] = None,
                       seed: tp.Optional[int] = None) -> None:
    """Set how placeholders are read from now on, as `set_generation_params` does for the rest.

    Args:
        model (MusicGen): The model.
        sample_ratio (float, optional): Share of a concept's vectors that is drawn for a prompt, its strength: half of
            them in the paper (P16) and at first. `<name:0.3>` sets it for one placeholder.
        shuffle (bool, optional): Whether they are put in random order; they are at first.
        seed (int, optional): Makes the draws after this call the same each time.
    Raises:
        UserError: If the share is none.
    """
    conditioner = find_conditioner(model.lm) or install(model.lm)
    if sample_ratio is not None:
        conditioner.sample_ratio = check_share(sample_ratio, f'sample_ratio={sample_ratio}')
    if shuffle is not None:
        conditioner.shuffle = shuffle
    if seed is not None:
        conditioner.generator.manual_seed(seed)


def _check_fit(concept: Concept, conditioner: Placeholders, base_fingerprint: str) -> None:
    """Compare what a concept file says of the model it was learned for with the one at hand."""
    metadata = concept.metadata
    fits = conditioner.bank.dim == concept.vectors.shape[1]  # or else the bank says so
    if fits and metadata.get('embedding_hash') not in (None, conditioner.embedding_hash):
        raise UserError(f"{concept.placeholder} was learned for {metadata.get('base_model', 'a model')}, whose text "
                        "encoder is another one: its vectors mean nothing here. Load that model instead.")
    if metadata.get('base_fingerprint') not in (None, base_fingerprint):
        logger.warning("%s was learned for %s. This model has the same text encoder, so it may work; how well, nobody "
                       "measured.", concept.placeholder, metadata.get('base_model', 'another model'))
