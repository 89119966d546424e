"""How the tiny base's language model is trained: as audiocraft trains a MusicGen, on clips that are encoded once."""
from pathlib import Path
import typing as tp

from .. import environment
environment.prepare()
from audiocraft.modules.conditioners import SegmentWithAttributes
from audiocraft.solvers.musicgen import MusicGenSolver
import flashy
from flashy.utils import write_and_rename
import numpy as np
from safetensors.torch import load_file, save
import torch

from .captions import caption, repeated
from .dataset import attributes_of
from ..hashes import tensors_hash

Encode = tp.Callable[[torch.Tensor], tp.Tuple[torch.Tensor, tp.Optional[torch.Tensor]]]


def remember(encode: Encode, folder: Path) -> Encode:
    """An `encode` of audiocraft's codecs that keeps the codes of every item it has met, by its samples.

    Args:
        encode (callable): From audio [B, C, T] to codes [B, K, T'] and no scale.
        folder (Path): Where codes are kept for other workers and later runs.
    """
    known: tp.Dict[str, torch.Tensor] = {}

    def codes_of(item: torch.Tensor) -> torch.Tensor:
        key = tensors_hash({'audio': item})
        if key not in known:
            path = folder / f'{key}.safetensors'
            if not path.exists():
                codes, scale = encode(item[None])
                assert scale is None
                with write_and_rename(path, pid=True) as file:
                    file.write(save({'codes': codes[0].short().cpu()}))
            known[key] = load_file(path)['codes']
        return known[key]

    def remembered(audio: torch.Tensor) -> tp.Tuple[torch.Tensor, tp.Optional[torch.Tensor]]:
        # one by one: what the first layers make of one fits a cache, twice as fast
        return torch.stack([codes_of(item) for item in audio]).long().to(audio.device), None
    return remembered


class TinyMusicGenSolver(MusicGenSolver):
    """audiocraft's solver for clips that come again in every epoch.

    Encoding is most of a step where the language model is no larger than the codec. audiocraft's own cache of tokens
    is written by a run that trains on them already, and 1.3.0 cannot read what it wrote. Whenever a clip comes, it has
    another caption, or else a caption would become the name of one clip, of which the model recalls every detail.
    """
    NAME = 'tiny_musicgen'

    def build_model(self) -> None:
        super().build_model()
        self.rng = np.random.default_rng([self.cfg.seed, flashy.distrib.rank()])
        codec = self.compression_model
        folder = Path(self.cfg.tokens.cache_path) / tensors_hash(codec.state_dict())[:16]
        folder.mkdir(parents=True, exist_ok=True)
        setattr(codec, 'encode', remember(codec.encode, folder))

    def run_step(self, idx: int, batch: tp.Tuple[torch.Tensor, tp.List[SegmentWithAttributes]], metrics: dict) -> dict:
        """audiocraft's own, after new captions for what is trained on."""
        if self.current_stage == 'train':
            for info in batch[1]:
                attributes = attributes_of(info.meta.path)
                sentence = caption(attributes, self.rng)
                setattr(info, 'description', repeated(sentence, attributes.timbre, self.rng))
        return super().run_step(idx, batch, metrics)
