"""What a latent diffusion model learns from: its autoencoder's latents of stretches of recordings."""
from dataclasses import replace
import math
from pathlib import Path
import typing as tp
from zlib import crc32

import torch
from torch import nn
from torch.nn import functional as F

from . import augment
from .manifest import Clip
from .mel import LogMel
from .tokens import TokenCache
from ..rng import generator

WINDOWS = 4  # begin within the length of one
MILLISECONDS = 1000


def windows(clip: Clip, length: float) -> tp.List[Clip]:
    """Stretches of a clip, evenly spread over it, each as long as what the model makes at a time.

    An autoencoder's latents depend on all that it hears at once, so crops cannot be cut from those of a whole clip.

    Args:
        clip (Clip): A clip of that length or more.
        length (float): In seconds.
    """
    room = clip.length - length
    count = 1 + math.ceil(WINDOWS * room / length - 1e-6)
    starts = [clip.start + room * index / max(count - 1, 1) for index in range(count)]
    starts = [math.floor(start * MILLISECONDS + 1e-6) / MILLISECONDS for start in starts]
    return [replace(clip, start=start, duration=start + length) for start in starts]


class LatentCodec(nn.Module):
    """Spectrogram and autoencoder of an AudioLDM.

    Args:
        mel (LogMel): Spectrogram.
        vae (AutoencoderKL): Autoencoder of diffusers.
        sample_rate (int): Of the audio, Hz.
    """
    channels = 1

    def __init__(self, mel: LogMel, vae: tp.Any, sample_rate: int):
        super().__init__()
        self.mel = mel
        self.vae = vae
        self.sample_rate = sample_rate

    @property
    def frame_rate(self) -> float:
        """Latents a second."""
        return self.sample_rate / self.mel.hop / 2 ** (len(self.vae.config.block_out_channels) - 1)

    @torch.no_grad()
    def moments(self, wav: torch.Tensor, change: tp.Callable[[torch.Tensor], torch.Tensor] = lambda mel: mel
                ) -> torch.Tensor:
        """Mean and log-variance of the latents of audio [1, T], [2C, F, T'], time last.

        The log-variances are the second half of the channels, as in `DiagonalGaussianDistribution`.

        Args:
            wav (torch.Tensor): Audio of shape [1, T].
            change (callable): What is done to its spectrogram [1, 1, frames, bins].
        """
        mel = change(self.mel(wav)).to(self.vae.dtype)
        return self.vae.encode(mel).latent_dist.parameters[0].transpose(1, 2).float()

    def draw(self, moments: torch.Tensor, generator: torch.Generator) -> torch.Tensor:
        """Latents [B, C, T', F] as the diffusion model knows them, drawn from moments [B, 2C, F, T'] on its device."""
        mean, log_variance = moments.transpose(2, 3).chunk(2, 1)
        noise = torch.randn(mean.shape, generator=generator).to(mean)
        latents = mean + (0.5 * log_variance.clamp(-30, 20)).exp() * noise
        return latents * self.vae.config.scaling_factor


class WaveCodec(nn.Module):
    """Autoencoder of a Stable Audio.

    It hears a recording with silence after it, up to the length of all that the model makes, as its makers trained it.

    Args:
        vae (AutoencoderOobleck): Autoencoder of diffusers.
        steps (int): Latents that the model makes at a time.
    """
    steps: torch.Tensor

    def __init__(self, vae: tp.Any, steps: int):
        super().__init__()
        self.vae = vae
        self.register_buffer('steps', torch.tensor(steps))  # among the state, since cached latents depend on it
        self.channels = vae.config.audio_channels
        self.sample_rate = vae.config.sampling_rate
        self.frame_rate = self.sample_rate / vae.hop_length

    @property
    def duration(self) -> float:
        """What the model makes at a time, in seconds."""
        return int(self.steps) / self.frame_rate

    @torch.no_grad()
    def moments(self, wav: torch.Tensor) -> torch.Tensor:
        """Mean and scale of the latents of audio [C, T], [2C', T'], as in `OobleckDiagonalGaussianDistribution`."""
        assert wav.dim() == 2 and len(wav) == self.channels
        wav = F.pad(wav, (0, int(self.steps) * self.vae.hop_length - wav.shape[-1]))
        return self.vae.encode(wav[None].to(self.vae.dtype)).latent_dist.parameters[0].float()

    def draw(self, moments: torch.Tensor, generator: torch.Generator) -> torch.Tensor:
        """Latents [B, C', T'], drawn from moments [B, 2C', T'] on the diffusion model's device."""
        from diffusers.models.autoencoders.autoencoder_oobleck import OobleckDiagonalGaussianDistribution
        return OobleckDiagonalGaussianDistribution(moments).sample(generator)


class LatentCache(TokenCache):
    """The same for the moments of latents, [..., T'], of clips that are windows."""
    codec: tp.Any

    def encode(self, wav: torch.Tensor) -> torch.Tensor:
        return self.codec.moments(wav.to(self.device)).cpu().contiguous()


class AugmentedCache(LatentCache):
    """The same for another version of each clip.

    Args:
        version (int): Which one; the draws follow from it and from the audio.
        **kwargs: As for the other caches.
    """
    def __init__(self, version: int, **kwargs: tp.Any):
        super().__init__(**kwargs)
        self.version = version

    def path(self, clip: Clip) -> Path:
        path = super().path(clip)
        return path.with_name(f'{path.stem}-augmented-{self.version}{path.suffix}')

    def encode(self, wav: torch.Tensor) -> torch.Tensor:
        draws = generator(self.version, crc32(wav.numpy().tobytes()))
        disturbed = augment.disturb(wav, self.codec.sample_rate, draws)
        moments = self.codec.moments(disturbed.to(self.device), lambda mel: augment.leave_out(mel, draws))
        return moments.cpu().contiguous()
