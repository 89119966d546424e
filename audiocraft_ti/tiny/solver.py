"""How the tiny base's language model is trained: as audiocraft trains a MusicGen, and every clip is encoded once."""
import hashlib
import typing as tp

from .. import environment
environment.prepare()
from audiocraft.solvers.musicgen import MusicGenSolver
import torch

Encode = tp.Callable[[torch.Tensor], tp.Tuple[torch.Tensor, tp.Optional[torch.Tensor]]]


def remember(encode: Encode) -> Encode:
    """An `encode` of audiocraft's codecs that keeps the codes of every item it has met, by its samples.

    Args:
        encode (callable): From audio [B, C, T] to codes [B, K, T'] and no scale.
    """
    known: tp.Dict[bytes, torch.Tensor] = {}

    def remembered(audio: torch.Tensor) -> tp.Tuple[torch.Tensor, tp.Optional[torch.Tensor]]:
        keys = [hashlib.sha256(item.numpy().tobytes()).digest() for item in audio.cpu()]
        new = [index for index, key in enumerate(keys) if key not in known]
        for index in new:  # one by one, which is twice as fast: what the codec's first layers make of one fits a cache
            codes, scale = encode(audio[index:index + 1])
            assert scale is None
            known[keys[index]] = codes[0].short().cpu()
        return torch.stack([known[key] for key in keys]).long().to(audio.device), None
    return remembered


class TinyMusicGenSolver(MusicGenSolver):
    """audiocraft's solver for clips that come again in every epoch.

    Encoding is most of a step where the language model is no larger than the codec. audiocraft's own cache of tokens
    is written by a run that trains on them already, and 1.3.0 cannot read what it wrote.
    """
    NAME = 'tiny_musicgen'

    def build_model(self) -> None:
        super().build_model()
        setattr(self.compression_model, 'encode', remember(self.compression_model.encode))
