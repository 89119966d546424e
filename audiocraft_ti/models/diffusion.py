"""Latent diffusion models of audio in diffusers' format, by any name that a user has for one."""
from abc import ABC, abstractmethod
from dataclasses import dataclass
from functools import cached_property
import json
from pathlib import Path
import typing as tp

import torch
from torch import nn

from ..errors import UserError
from ..hashes import tensors_hash
from ..modules.placeholders import Placeholders
from .loaders import one_sentence, PRETRAINED

INDEX = 'model_index.json'  # of a pipeline in diffusers' format
Reader = tp.Callable[[tp.List[tp.Optional[str]]], tp.Any]


@dataclass
class DiffusionModel(ABC):
    """A pretrained latent diffusion model of audio.

    Args:
        name (str): What the user called it.
        pipeline (DiffusionPipeline): diffusers' pipeline, its models frozen and in eval mode.
    Attributes:
        PIPELINE (str): Class of the pipeline.
        MODELS (tuple of str): All its models, by diffusers' names.
        FLOAT32 (tuple of str): Those that are never in half precision.
        READER (type): What reads prompts for it; made of a text encoder, its tokenizer and its name.
        KIND (str): What to call such a model in an error.
        NAMES (str): And what names it may have.
        codec: From audio to latents, with `sample_rate`, `channels` and `frame_rate`.
    """
    name: str
    pipeline: tp.Any
    PIPELINE: tp.ClassVar[str]
    MODELS: tp.ClassVar[tp.Tuple[str, ...]]
    FLOAT32: tp.ClassVar[tp.Tuple[str, ...]] = ()
    READER: tp.ClassVar[tp.Type[tp.Any]]
    KIND: tp.ClassVar[str]
    NAMES: tp.ClassVar[str]

    def __post_init__(self):
        for module in self.modules.values():
            module.eval().requires_grad_(False)
        self.pipeline.set_progress_bar_config(disable=True)
        self.codec = self.make_codec().to(self.pipeline.device)

    @property
    def modules(self) -> tp.Dict[str, nn.Module]:
        """All its models, by diffusers' names."""
        return {name: getattr(self.pipeline, name) for name in self.MODELS}

    @abstractmethod
    def make_codec(self) -> tp.Any:
        """Its codec."""

    def make_conditioner(self, **options: tp.Any) -> Placeholders:
        """What reads prompts for it, without concepts yet; the options are those of `Placeholders`."""
        encoder = self.pipeline.text_encoder
        reader = self.READER(encoder, self.pipeline.tokenizer, encoder.config.name_or_path, **options)
        return reader.to(self.pipeline.device).eval()

    @property
    @abstractmethod
    def text_layer(self) -> nn.Module:
        """The layer between text encoder and diffusion model."""

    @cached_property
    def fingerprint(self) -> str:
        """Hash of the layer between text encoder and diffusion model, which no other model shares."""
        return tensors_hash({key: value.half() for key, value in self.text_layer.state_dict().items()})

    @abstractmethod
    def times(self, places: torch.Tensor) -> torch.Tensor:
        """Times of diffusion as the model knows them.

        Args:
            places (torch.Tensor): Places on the way from no noise, 0, to nothing else, 1, which is not reached; [B].
        """

    @abstractmethod
    def noise_loss(self, latents: torch.Tensor, texts: tp.Any, times: torch.Tensor, noise: torch.Tensor,
                   duration: float) -> torch.Tensor:
        """The mean squared error of what the model finds in noisy latents.

        Args:
            latents (torch.Tensor): As the codec draws them, [B, ...].
            texts (Any): Their B prompts, as the conditioner reads them.
            times (torch.Tensor): Time of diffusion of each, [B].
            noise (torch.Tensor): What is added to them, of their shape.
            duration (float): Of the recordings that they are latents of, in seconds.
        """

    @abstractmethod
    def sample(self, read: Reader, prompts: tp.List[str], duration: float, steps: int, guidance: float,
               generator: torch.Generator) -> torch.Tensor:
        """Audio of shape [B, C, T].

        Args:
            read (callable): The conditioner.
            prompts (list of str): B prompts.
            duration (float): In seconds.
            steps (int): Of diffusion.
            guidance (float): Scale of classifier-free guidance; 1 is none.
            generator (torch.Generator): Of the noise to start from, on a CPU.
        """


Model = tp.TypeVar('Model', bound=DiffusionModel)


def load_diffusion(kind: tp.Type[Model], name: str, device: str = 'cpu', dtype: str = 'float32',
                   aliases: tp.Mapping[str, Path] = {}) -> Model:
    """Load a latent diffusion model.

    Args:
        kind (type): What sort of model it is to be.
        name (str): A folder in diffusers' format, or a name on the model hub; either may follow `//pretrained/`.
        device (str): Device to load it to.
        dtype (str): Type of its weights, 'float16', 'bfloat16' or 'float32'.
        aliases (dict[str, Path]): Folders that have another name, too.
    Raises:
        UserError: If it cannot be reached, is no such model, or the installed diffusers has none.
    """
    where = name[len(PRETRAINED):] if name.startswith(PRETRAINED) else name
    folder = aliases.get(where, Path(where).expanduser())
    pipeline_class = _pipeline_class(kind)
    if folder.is_dir():
        where = str(folder)
        _check_folder(kind, name, folder)
    elif where.startswith(('/', '.', '~', '//')) or where.count('/') != 1:
        raise UserError(f"continue_from={name} is no {kind.KIND}: give {kind.NAMES}.")
    pipeline = one_sentence(name, lambda: _load(kind, pipeline_class, where, getattr(torch, dtype)))
    return kind(name, pipeline.to(device))


def _pipeline_class(kind: tp.Type[DiffusionModel]) -> tp.Any:
    try:
        import diffusers
        return getattr(diffusers, kind.PIPELINE)
    except (ImportError, AttributeError, RuntimeError) as error:
        raise UserError(f"the diffusers that is installed has no {kind.PIPELINE} ({error}): install diffusers 0.42.1, "
                        "with which this was tested.") from error


def _check_folder(kind: tp.Type[DiffusionModel], name: str, folder: Path) -> None:
    try:
        found = json.loads((folder / INDEX).read_text(encoding='utf-8'))['_class_name']
    except (OSError, ValueError, KeyError, TypeError) as error:
        raise UserError(f"continue_from={name} is a folder without a {INDEX} of diffusers: one of a "
                        f"{kind.PIPELINE} is needed, as its save_pretrained writes it.") from error
    _check_kind(kind, name, found)


def _check_kind(kind: tp.Type[DiffusionModel], name: str, found: str) -> None:
    if found != kind.PIPELINE:
        raise UserError(f"continue_from={name} holds a pipeline of class {found}: this solver needs {kind.PIPELINE}.")


def _load(kind: tp.Type[DiffusionModel], pipeline_class: tp.Any, where: str, dtype: torch.dtype) -> tp.Any:
    if not Path(where).is_dir():
        _check_kind(kind, where, pipeline_class.load_config(where)['_class_name'])
    dtypes = {'default': dtype, **{name: torch.float32 for name in kind.FLOAT32}}
    return pipeline_class.from_pretrained(where, torch_dtype=dtypes)
