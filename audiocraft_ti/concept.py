"""A concept: a name, the vectors that stand for it, and where they come from; and the file it is kept in."""
from dataclasses import dataclass, field
import json
from pathlib import Path
import re
import typing as tp

from safetensors import SafetensorError, safe_open
from safetensors.torch import save
import torch

from .errors import UserError

FORMAT_VERSION = '1'
_A1111 = 'emb_params'  # what it calls every tensor
_CONTROL = re.compile(r'[\x00-\x08\x0b-\x1f\x7f-\x9f]')  # all but tab and newline
_NAME = re.compile(r'[A-Za-z0-9][A-Za-z0-9_-]*')


def check_name(name: str) -> str:
    """Return `name` if it can stand in a prompt as `<name>`.

    Raises:
        UserError: If it holds anything but letters, digits, `_` and `-`.
    """
    if not _NAME.fullmatch(name):
        raise UserError(f"concept.name={name!r} cannot be used in a prompt: choose a name of letters, digits, '_' and "
                        "'-' that starts with a letter or digit.")
    return name


def placeholder(name: str) -> str:
    """How a prompt refers to the concept: `amen` is written `<amen>`."""
    return f'<{check_name(name)}>'


def tokens(name: str, num_vectors: int) -> tp.List[str]:
    """The tokens a placeholder expands to, `<amen>`, `<amen>_1`, ... (the naming of diffusers)."""
    first = placeholder(name)
    return [first] + [f'{first}_{i}' for i in range(1, num_vectors)]


@dataclass
class Concept:
    """A learned concept.

    Args:
        name (str): Bare name, written `<name>` in prompts.
        vectors (torch.Tensor): Learned embeddings of shape [V, D], float32, in the text encoder's embedding space.
        metadata (dict[str, str]): Everything else worth knowing: base model, text encoder, vocabulary size, hash of the
            base embedding rows, class word, training settings, origin and licence of the recordings.
    """
    name: str
    vectors: torch.Tensor
    metadata: tp.Dict[str, str] = field(default_factory=dict)

    def __post_init__(self):
        check_name(self.name)
        if self.vectors.dim() != 2 or 0 in self.vectors.shape:
            raise UserError(f"concept <{self.name}> has vectors of shape {list(self.vectors.shape)}: a concept needs "
                            "[V, D], one row or more.")
        if not self.vectors.isfinite().all():
            raise UserError(f"concept <{self.name}> has vectors that are not finite numbers: learn it again.")
        for key, value in self.metadata.items():
            if _CONTROL.search(key + value):
                raise UserError(f"concept <{self.name}> has control characters in its metadata, at {key!r}: leave them "
                                "out.")

    @property
    def placeholder(self) -> str:
        return placeholder(self.name)

    def details(self, key: str) -> tp.Dict[str, tp.Any]:
        """What is nested in the metadata as json, its `training` or `scores`; empty where there is none.

        Raises:
            UserError: If it is no json.
        """
        try:
            return dict(json.loads(self.metadata.get(key, '{}')))
        except (ValueError, TypeError, RecursionError) as error:
            raise UserError(f"concept {self.placeholder} has {key!r} in its metadata that is no json object: leave it "
                            "out.") from error

    @property
    def tokens(self) -> tp.List[str]:
        return tokens(self.name, len(self.vectors))

    def save(self, path: tp.Union[str, Path]) -> Path:
        """Write safetensors with the one tensor `<name>`, [V, D] float32, and the metadata in the header.

        The file appears whole or not at all: it is written beside its place and then renamed.
        """
        from flashy.utils import write_and_rename  # takes Dora and Hydra along, which those who only read do without
        path = Path(path)
        vectors = self.vectors.detach().to('cpu', torch.float32).contiguous()
        data = save({self.placeholder: vectors}, {**self.metadata, 'format_version': FORMAT_VERSION})
        with write_and_rename(path) as file:
            file.write(data)
        return path

    @classmethod
    def load(cls, path: tp.Union[str, Path]) -> 'Concept':
        """Read a concept file, or a textual inversion that diffusers or A1111 wrote as safetensors.

        Nothing is ever unpickled. What is in half precision becomes float32, and one vector a row of one. A1111 keeps
        no name in the file: it is that of the file.

        Raises:
            UserError: If the file is missing, is not safetensors, is of a later format version, or holds anything but
                one tensor of shape [V, D] or [D], by a name that can stand in a prompt, and metadata that can be shown.
        """
        path = Path(path)
        try:
            with safe_open(path, framework='pt') as file:
                metadata = dict(file.metadata() or {})
                entries = {key: file.get_tensor(key) for key in file.keys()}
        except (SafetensorError, OSError) as error:
            raise UserError(f"{path} cannot be read as a concept file (safetensors): {error}.") from error
        if len(entries) != 1:
            raise UserError(f"{path} holds {len(entries)} tensors: a concept file has exactly one, named '<name>'.")
        version = metadata.pop('format_version', FORMAT_VERSION)
        if version != FORMAT_VERSION:
            raise UserError(f"{path} has format version {version!r}, this release reads {FORMAT_VERSION}: update "
                            "audiocraft_ti.")
        (key, vectors), = entries.items()
        if vectors.dtype not in (torch.float32, torch.float16, torch.bfloat16):
            raise UserError(f"{path} holds {key!r} of type {vectors.dtype}: a concept's vectors are floating point.")
        name = path.stem if key == _A1111 else key[1:-1] if re.fullmatch('<.*>', key) else key
        return cls(name, torch.atleast_2d(vectors).float(), metadata)
