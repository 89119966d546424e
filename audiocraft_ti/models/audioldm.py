"""AudioLDM, by any name that a user has for one."""
from dataclasses import dataclass
import math
import typing as tp

import torch
from torch import nn
from torch.nn import functional as F

from .. import tiny
from ..data.latents import LatentCodec
from ..data.mel import LogMel
from ..modules.clap import ClapConditioner
from .diffusion import DiffusionModel, load_diffusion, Reader
from .loaders import TINY


@dataclass
class AudioLDM(DiffusionModel):
    """AudioLDM (Liu et al., 2023): a UNet over latents of spectrograms, with one CLAP embedding for a prompt."""
    PIPELINE = 'AudioLDMPipeline'
    MODELS = ('vae', 'unet', 'text_encoder', 'vocoder')
    READER = ClapConditioner
    KIND = 'AudioLDM'
    NAMES = "'tiny', a folder in diffusers' format, or a name on the model hub such as cvssp/audioldm-m-full"

    def make_codec(self) -> LatentCodec:
        vocoder = self.pipeline.vocoder.config
        mel = LogMel(vocoder.sampling_rate, math.prod(vocoder.upsample_rates), vocoder.model_in_dim)
        return LatentCodec(mel, self.pipeline.vae, vocoder.sampling_rate)

    @property
    def text_layer(self) -> nn.Module:
        return self.pipeline.unet.class_embedding

    def times(self, places: torch.Tensor) -> torch.Tensor:
        return (places * self.pipeline.scheduler.config.num_train_timesteps).long()

    def noise_loss(self, latents: torch.Tensor, texts: torch.Tensor, times: torch.Tensor, noise: torch.Tensor,
                   duration: float) -> torch.Tensor:
        """Eq. 1 of the paper: the mean squared error of the noise that the model finds in noisy latents.

        Args:
            latents (torch.Tensor): [B, C, T', F].
            texts (torch.Tensor): Embeddings of their prompts, [B, D].
            times (torch.Tensor): Step of diffusion of each, [B].
            noise (torch.Tensor): What is added to them, [B, C, T', F].
            duration (float): Of their recordings, in seconds, which the model is not told.
        """
        assert len(latents) == len(texts) == len(times) and latents.shape == noise.shape
        unet = self.pipeline.unet
        noisy = self.pipeline.scheduler.add_noise(latents, noise, times).to(unet.dtype)
        found = unet(noisy, times, encoder_hidden_states=None, class_labels=texts.to(unet.dtype)).sample
        return F.mse_loss(found.float(), noise.float())

    def sample(self, read: Reader, prompts: tp.List[str], duration: float, steps: int, guidance: float,
               generator: torch.Generator) -> torch.Tensor:
        texts, nothing = read([*prompts]), read([None] * len(prompts))  # from nothing, guidance leads away
        audios = self.pipeline(
            prompt_embeds=texts, negative_prompt_embeds=nothing, audio_length_in_s=duration, num_inference_steps=steps,
            guidance_scale=guidance, generator=generator, output_type='pt').audios
        return audios[:, None]


def load_audioldm(name: str, device: str = 'cpu', dtype: str = 'float32') -> AudioLDM:
    """Load an AudioLDM: `tiny`, or as `load_diffusion` says.

    Raises:
        UserError: If it cannot be reached, is no AudioLDM, or the installed diffusers has none.
    """
    return load_diffusion(AudioLDM, name, device, dtype, {TINY: tiny.AUDIOLDM})
