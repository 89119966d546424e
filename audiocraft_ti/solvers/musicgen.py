"""What solvers that learn a concept in a MusicGen share."""
import typing as tp

from .. import environment
environment.prepare()
from audiocraft.modules.conditioners import SegmentWithAttributes
from audiocraft.solvers.musicgen import MusicGenSolver
import flashy
from omegaconf import DictConfig
import torch
from torch.nn import functional as F

from ..data.dataset import describe
from ..data.manifest import Clip
from ..data.tokens import TokenCache
from ..models.loaders import BaseModel, load_base
from .concept import ConceptSolver


def pad_alike(tokenized: tp.Mapping[str, tp.Any], device: tp.Union[str, torch.device]) -> None:
    """Pad tokenized prompts to the longest that any worker has.

    The language model attends to padding too, so it belongs to what a batch is: with it, workers do together what one
    does with the whole batch.
    """
    if not flashy.distrib.is_distributed():
        return
    for inputs in tokenized.values():
        if isinstance(inputs, tp.MutableMapping):  # a prompt, and no melody
            length = inputs['input_ids'].shape[1]
            longest = torch.tensor(length, device=device)
            flashy.distrib.all_reduce(longest, torch.distributed.ReduceOp.MAX)
            for key in inputs:
                inputs[key] = F.pad(inputs[key], (0, int(longest) - length))


class MusicGenConceptSolver(ConceptSolver, MusicGenSolver):
    """Learns from codec tokens of recordings, with upstream's loss (P7)."""
    LOSS = 'ce'
    base: BaseModel

    def load_base(self, name: str, cfg: DictConfig) -> BaseModel:
        base = load_base(name, cfg.device, cfg.dtype)
        given = {key: value for key, value in cfg.generate.lm.items() if value is not None}
        cfg.generate.lm = {**base.sampling, **given}
        return base

    def encode(self, split: str, clips: tp.List[Clip]) -> tp.Tuple[tp.List[Clip], tp.List[torch.Tensor], int]:
        codec = self.base.codec
        codes = self.encode_all(split, clips, TokenCache(self.cache_path, codec, self.device))
        steps = round(self.cfg.dataset.segment_duration * codec.frame_rate)
        return clips, [one.long() for one in codes], steps

    def _prepare_tokens_and_attributes(self, batch: tp.Any, check_synchronization_points: bool = False):
        codes, infos = batch  # [B, K, T]
        codes = codes.to(self.device)
        attributes = self.model.att_dropout(self.model.cfg_dropout([info.to_condition_attributes() for info in infos]))
        tokenized = self.model.condition_provider.tokenize(attributes)
        pad_alike(tokenized, self.device)
        with self.autocast:
            conditions = self.model.condition_provider(tokenized)
        return conditions, codes, torch.ones_like(codes, dtype=torch.bool)

    def run_step(self, idx: int, batch: tp.Any, metrics: dict) -> dict:
        """One update, or one held-out batch; placeholders are drawn afresh, in a way that follows from the index."""
        self.seed_step(idx)
        metrics = super().run_step(idx, batch, metrics)
        return {key: value.detach() if isinstance(value, torch.Tensor) else value for key, value in metrics.items()}

    def play(self, prompts: tp.List[str], duration: float) -> torch.Tensor:
        infos: tp.List[SegmentWithAttributes] = [describe(prompt) for prompt in prompts]
        no_audio = torch.zeros(len(prompts), self.base.codec.channels, 0)
        return self.run_generate_step((no_audio, infos), gen_duration=duration)['gen_audio']
