"""How the tiny base's language model is trained: as audiocraft trains a MusicGen, and every clip is encoded once."""
import typing as tp

from .. import environment
environment.prepare()
from audiocraft.solvers.musicgen import MusicGenSolver
import torch

from ..hashes import tensors_hash

Encode = tp.Callable[[torch.Tensor], tp.Tuple[torch.Tensor, tp.Optional[torch.Tensor]]]


def remember(encode: Encode) -> Encode:
    """An `encode` of audiocraft's codecs that keeps the codes of every item it has met, by its samples.

    Args:
        encode (callable): From audio [B, C, T] to codes [B, K, T'] and no scale.
    """
    known: tp.Dict[str, torch.Tensor] = {}

    def remembered(audio: torch.Tensor) -> tp.Tuple[torch.Tensor, tp.Optional[torch.Tensor]]:
        keys = [tensors_hash({'audio': item}) for item in audio]
        for key, item in zip(keys, audio):  # one by one: what the first layers make of one fits a cache, twice as fast
            if key not in known:
                codes, scale = encode(item[None])
                assert scale is None
                known[key] = codes[0].short().cpu()
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
