"""Textual inversion on Stable Audio Open, whose text encoder is that of MusicGen."""
from omegaconf import DictConfig, OmegaConf

from ..errors import UserError
from ..models.stable_audio import load_stable_audio, StableAudio
from .diffusion import DiffusionTextualInversion


class StableAudioTextualInversionSolver(DiffusionTextualInversion):
    """Textual inversion on Stable Audio Open: new words of its T5."""
    NAME = 'stable_audio_ti'
    base: StableAudio

    def load_base(self, name: str, cfg: DictConfig) -> StableAudio:
        base = load_stable_audio(name, cfg.device, cfg.dtype)
        for key in ('dataset.segment_duration', 'generate.duration'):
            if OmegaConf.select(cfg, key) > base.codec.duration:
                raise UserError(f"{key}={OmegaConf.select(cfg, key)} is longer than the {base.codec.duration:.1f} s "
                                f"that {name} makes at a time: choose fewer seconds.")
        return base
