"""AudioLDM, by any name that a user has for one."""
from dataclasses import dataclass
from functools import cached_property
import json
import math
from pathlib import Path
import typing as tp

import torch
from torch.nn import functional as F

from .. import tiny
from ..data.latents import LatentCodec
from ..data.mel import LogMel
from ..errors import UserError
from ..hashes import tensors_hash
from .loaders import one_sentence, PRETRAINED, TINY

PIPELINE = 'AudioLDMPipeline'
INDEX = 'model_index.json'  # of a pipeline in diffusers' format


@dataclass
class AudioLDM:
    """A pretrained latent diffusion model of audio (Liu et al., 2023).

    Args:
        name (str): What the user called it.
        pipeline (AudioLDMPipeline): diffusers' pipeline, its models frozen and in eval mode.
    """
    name: str
    pipeline: tp.Any

    def __post_init__(self):
        for module in self.modules.values():
            module.eval().requires_grad_(False)
        self.pipeline.set_progress_bar_config(disable=True)
        vocoder = self.pipeline.vocoder.config
        mel = LogMel(vocoder.sampling_rate, math.prod(vocoder.upsample_rates), vocoder.model_in_dim)
        self.codec = LatentCodec(mel, self.pipeline.vae, vocoder.sampling_rate).to(self.pipeline.device)

    @property
    def modules(self) -> tp.Dict[str, torch.nn.Module]:
        """All its models, by diffusers' names."""
        return {name: getattr(self.pipeline, name) for name in ('vae', 'unet', 'text_encoder', 'vocoder')}

    @cached_property
    def fingerprint(self) -> str:
        """Hash of the layer between text encoder and diffusion model, which no other model shares."""
        state = self.pipeline.unet.class_embedding.state_dict()
        return tensors_hash({key: value.half() for key, value in state.items()})

    def noise_loss(self, latents: torch.Tensor, texts: torch.Tensor, times: torch.Tensor, noise: torch.Tensor
                   ) -> torch.Tensor:
        """Eq. 1 of the paper: the mean squared error of the noise that the model finds in noisy latents.

        Args:
            latents (torch.Tensor): [B, C, T', F].
            texts (torch.Tensor): Embeddings of their prompts, [B, D].
            times (torch.Tensor): Step of diffusion of each, [B].
            noise (torch.Tensor): What is added to them, [B, C, T', F].
        """
        assert len(latents) == len(texts) == len(times) and latents.shape == noise.shape
        unet = self.pipeline.unet
        noisy = self.pipeline.scheduler.add_noise(latents, noise, times).to(unet.dtype)
        found = unet(noisy, times, encoder_hidden_states=None, class_labels=texts.to(unet.dtype)).sample
        return F.mse_loss(found.float(), noise.float())

    def sample(self, texts: torch.Tensor, nothing: torch.Tensor, duration: float, steps: int, guidance: float,
               generator: torch.Generator) -> torch.Tensor:
        """Audio of shape [B, 1, T].

        Args:
            texts (torch.Tensor): Embeddings of prompts, [B, D].
            nothing (torch.Tensor): Of empty ones, [B, D], from which guidance leads away.
            duration (float): In seconds.
            steps (int): Of diffusion.
            guidance (float): Scale of classifier-free guidance; 1 is none.
            generator (torch.Generator): Of the noise to start from, on a CPU.
        """
        audios = self.pipeline(
            prompt_embeds=texts, negative_prompt_embeds=nothing, audio_length_in_s=duration, num_inference_steps=steps,
            guidance_scale=guidance, generator=generator, output_type='pt').audios
        return audios[:, None]


def load_audioldm(name: str, device: str = 'cpu', dtype: str = 'float32') -> AudioLDM:
    """Load an AudioLDM.

    Args:
        name (str): `tiny`, a folder in diffusers' format, or a name on the model hub; any may follow
            `//pretrained/`.
        device (str): Device to load it to.
        dtype (str): Type of its weights, 'float16', 'bfloat16' or 'float32'.
    Raises:
        UserError: If it cannot be reached, is no AudioLDM, or the installed diffusers has none.
    """
    where = name[len(PRETRAINED):] if name.startswith(PRETRAINED) else name
    folder = tiny.AUDIOLDM if where == TINY else Path(where).expanduser()
    pipeline_class = _pipeline_class()
    if where == TINY and not folder.is_dir():
        raise UserError("continue_from=tiny: the tiny AudioLDM does not come with the package yet; make it with "
                        "'python -m audiocraft_ti.tiny.audioldm', which takes a quarter of an hour.")
    if folder.is_dir():
        where = str(folder)
        _check_folder(name, folder)
    elif where.startswith(('/', '.', '~', '//')) or where.count('/') != 1:
        raise UserError(f"continue_from={name} is no AudioLDM: give 'tiny', a folder in diffusers' format, or a name "
                        "on the model hub such as cvssp/audioldm-m-full.")
    pipeline = one_sentence(name, lambda: _load(pipeline_class, where, getattr(torch, dtype)))
    return AudioLDM(name, pipeline.to(device))


def _pipeline_class() -> tp.Any:
    try:
        import diffusers
        return getattr(diffusers, PIPELINE)
    except (ImportError, AttributeError, RuntimeError) as error:
        raise UserError(f"the diffusers that is installed has no {PIPELINE} ({error}): install diffusers 0.42.1, with "
                        "which this was tested.") from error


def _check_folder(name: str, folder: Path) -> None:
    try:
        kind = json.loads((folder / INDEX).read_text(encoding='utf-8'))['_class_name']
    except (OSError, ValueError, KeyError, TypeError) as error:
        raise UserError(f"continue_from={name} is a folder without a {INDEX} of diffusers: an AudioLDM is needed, as "
                        "its pipeline's save_pretrained writes it.") from error
    _check_kind(name, kind)


def _check_kind(name: str, kind: str) -> None:
    if kind != PIPELINE:
        raise UserError(f"continue_from={name} holds a pipeline of class {kind}: this solver needs {PIPELINE}.")


def _load(pipeline_class: tp.Any, where: str, dtype: torch.dtype) -> tp.Any:
    if not Path(where).is_dir():
        _check_kind(where, pipeline_class.load_config(where)['_class_name'])
    return pipeline_class.from_pretrained(where, torch_dtype=dtype)
