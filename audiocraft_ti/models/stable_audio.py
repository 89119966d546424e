"""Stable Audio Open, by any name that a user has for one."""
from dataclasses import dataclass
import math
import typing as tp

import torch
from torch import nn
from torch.nn import functional as F

from ..data.latents import WaveCodec
from ..modules.conditioner import StatesConditioner
from .diffusion import DiffusionModel, load_diffusion, Reader

Texts = tp.Tuple[torch.Tensor, torch.Tensor]


@dataclass
class StableAudio(DiffusionModel):
    """Stable Audio Open (Evans et al., 2024): a transformer over latents of sound, which attends to T5's states.

    T5 stays in float32, where a concept of a MusicGen finds the very embeddings that it was learned among.
    """
    PIPELINE = 'StableAudioPipeline'
    MODELS = ('vae', 'text_encoder', 'projection_model', 'transformer')
    FLOAT32 = ('text_encoder',)
    READER = StatesConditioner
    KIND = 'Stable Audio'
    NAMES = "a folder in diffusers' format, or a name on the model hub such as stabilityai/stable-audio-open-1.0"

    def make_codec(self) -> WaveCodec:
        return WaveCodec(self.pipeline.vae, self.pipeline.transformer.config.sample_size)

    @property
    def text_layer(self) -> nn.Module:
        return self.pipeline.transformer.cross_attention_proj

    def times(self, places: torch.Tensor) -> torch.Tensor:
        return places

    def noise_loss(self, latents: torch.Tensor, texts: Texts, times: torch.Tensor, noise: torch.Tensor,
                   duration: float) -> torch.Tensor:
        """The objective it was trained with: v-prediction (Salimans and Ho, 2022, appendix D) on a cosine schedule.

        At time t, latents z and noise e are mixed to cos(a) z + sin(a) e with a = pi t / 2, in which the model is to
        find v = cos(a) e - sin(a) z; t is continuous and drawn evenly (stable-audio-tools, `training/diffusion.py`,
        objective 'v'). That is what `CosineDPMSolverMultistepScheduler` undoes, whose sigma is tan(a): the mixture is
        `precondition_inputs` of z + sigma e, t is `precondition_noise` of sigma, and `precondition_outputs` gets z
        back from v. Only the recording counts, not the silence after it, which says nothing of a concept
        (`mask_padding` there).

        Args:
            latents (torch.Tensor): [B, C, T'].
            texts (tuple of torch.Tensor): T5's states of their prompts [B, T, D], and the mask [B, T].
            times (torch.Tensor): From 0 to 1, [B].
            noise (torch.Tensor): What is added to them, [B, C, T'].
            duration (float): Of their recordings, in seconds.
        """
        assert len(latents) == len(texts[0]) == len(times) and latents.shape == noise.shape
        angles = math.pi / 2 * times[:, None, None]
        noisy = angles.cos() * latents + angles.sin() * noise
        wanted = angles.cos() * noise - angles.sin() * latents
        steps = math.ceil(duration * self.codec.frame_rate)
        found = self._find(noisy, texts, times, duration)
        return F.mse_loss(found.float()[..., :steps], wanted.float()[..., :steps])

    def _find(self, noisy: torch.Tensor, texts: Texts, times: torch.Tensor, duration: float) -> torch.Tensor:
        """What the model finds in noisy latents, [B, C, T'], conditioned as the pipeline does it."""
        from diffusers.models.embeddings import get_1d_rotary_pos_embed
        pipeline, dtype = self.pipeline, self.pipeline.transformer.dtype
        states, mask = texts
        words = pipeline.encode_prompt(None, noisy.device, False, prompt_embeds=states.to(dtype), attention_mask=mask)
        seconds = pipeline.encode_duration(0., duration, noisy.device, False, len(noisy))  # start and end, [B, 1, D]
        # where guidance leads away from, there is neither text nor seconds to attend to
        attended = torch.cat([words, *seconds], dim=1) * mask.any(1)[:, None, None]
        rotary = get_1d_rotary_pos_embed(pipeline.rotary_embed_dim, noisy.shape[-1] + 1, use_real=True,
                                         repeat_interleave_real=False)
        return pipeline.transformer(noisy.to(dtype), times, encoder_hidden_states=attended,
                                    global_hidden_states=torch.cat(seconds, dim=2), rotary_embedding=rotary).sample

    def sample(self, read: Reader, prompts: tp.List[str], duration: float, steps: int, guidance: float,
               generator: torch.Generator) -> torch.Tensor:
        states, mask = read([*prompts])
        return self.pipeline(
            prompt_embeds=states.to(self.pipeline.transformer.dtype), attention_mask=mask, audio_end_in_s=duration,
            num_inference_steps=steps, guidance_scale=guidance, generator=generator, output_type='pt').audios


def load_stable_audio(name: str, device: str = 'cpu', dtype: str = 'float32') -> StableAudio:
    """Load a Stable Audio, as `load_diffusion` says.

    Raises:
        UserError: If it cannot be reached, is no Stable Audio, or the installed diffusers has none.
    """
    return load_diffusion(StableAudio, name, device, dtype)
