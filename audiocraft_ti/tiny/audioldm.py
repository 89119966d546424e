"""An AudioLDM for the tiny world: the real one's parts, small, with the text half of the tiny CLAP.

A frame of its spectrogram is a step of the world, in which tones come round: a vocoder without adversaries can then
play them in phase, and it plays a step at once.
"""
from pathlib import Path
import typing as tp

from diffusers import AudioLDMPipeline, AutoencoderKL, DDIMScheduler, UNet2DConditionModel
import numpy as np
import soundfile
import torch
from torch.nn import functional as F
from tqdm import tqdm
from transformers import ClapTextModelWithProjection, RobertaTokenizer, SpeechT5HifiGan, SpeechT5HifiGanConfig

from . import world
from .captions import caption, full
from .dataset import attributes_of
from .voice import GRID, SAMPLE_RATE, STEP
from .world import Attributes, DURATION
from ..data import lines as files
from ..data.mel import LogMel, PEAK

BINS = 64
VAE = {'in_channels': 1, 'out_channels': 1, 'block_out_channels': (16, 24, 32), 'latent_channels': 8,
       'down_block_types': ('DownEncoderBlock2D',) * 3, 'up_block_types': ('UpDecoderBlock2D',) * 3,
       'layers_per_block': 1, 'norm_num_groups': 8}
UNET = {'in_channels': 8, 'out_channels': 8, 'block_out_channels': (24, 40, 64, 96), 'norm_num_groups': 4,
        'down_block_types': ('DownBlock2D',) * 2 + ('CrossAttnDownBlock2D',) * 2,
        'up_block_types': ('CrossAttnUpBlock2D',) * 2 + ('UpBlock2D',) * 2, 'layers_per_block': 1,
        'cross_attention_dim': (None, None, 64, 96), 'attention_head_dim': 8, 'sample_size': 50,
        'class_embed_type': 'simple_projection', 'class_embeddings_concat': True,
        'resnet_time_scale_shift': 'scale_shift'}
VOCODER = {'model_in_dim': BINS, 'sampling_rate': SAMPLE_RATE, 'upsample_initial_channel': 240,
           'upsample_rates': [1, 1, STEP], 'upsample_kernel_sizes': [3, 3, 2 * STEP], 'resblock_kernel_sizes': [3],
           'resblock_dilation_sizes': [[1, 3]], 'normalize_before': True}
SCHEDULER = {'num_train_timesteps': 1000, 'beta_schedule': 'scaled_linear', 'beta_start': 0.0015, 'beta_end': 0.0195,
             'clip_sample': False, 'set_alpha_to_one': False, 'steps_offset': 1}  # as AudioLDM's own
DROPPED = 0.1  # of captions, for guidance
CLIPS = 6000
SEED = 31
UPDATES = {'mel autoencoder': 4500, 'vocoder': 6000, 'diffusion model': 5000}


def _update(optimizer: torch.optim.Optimizer, schedule: tp.Any, loss: torch.Tensor) -> None:
    optimizer.zero_grad()
    loss.backward()
    torch.nn.utils.clip_grad_norm_([p for group in optimizer.param_groups for p in group['params']], 1.)
    optimizer.step()
    schedule.step()


def _fit(part: str, parameters: tp.Iterable[torch.nn.Parameter], loss: tp.Callable[[], torch.Tensor], lr: float
         ) -> None:
    """Minimise what `loss` says of a batch that it draws itself."""
    updates = UPDATES[part]
    optimizer = torch.optim.AdamW(list(parameters), lr, weight_decay=0.01)
    schedule = torch.optim.lr_scheduler.OneCycleLR(optimizer, lr, updates + 1, pct_start=0.05)
    bar, mean = tqdm(range(updates), part, mininterval=10), 0.
    for update in bar:
        value = loss()
        _update(optimizer, schedule, value)
        mean += (value.item() - mean) / min(update + 1, 50)
        bar.set_postfix(loss=f'{mean:.4f}', refresh=False)


class Clips:
    """The first clips of a manifest, and what is true of them. All that is drawn for a part is, from one seed.

    Args:
        manifest (Path): Of the tiny world.
    """
    def __init__(self, manifest: Path):
        torch.manual_seed(SEED)
        self.rng = np.random.default_rng(SEED)
        self.paths = [Path(line['path']) for line in files.read(manifest)[:CLIPS]]
        self.truth: tp.List[Attributes] = [attributes_of(path) for path in self.paths]
        self.mel = LogMel(SAMPLE_RATE, STEP, BINS)
        self.frames = int(DURATION * GRID)
        self.mels = torch.cat([self.mel(self.read(path, 0, self.frames)[None])
                               for path in tqdm(self.paths, 'spectrograms', mininterval=10)])  # [N, 1, frames, BINS]

    def read(self, path: Path, start: int, frames: int) -> torch.Tensor:
        """So many frames of a clip's audio, [T], as loud as its spectrogram has it."""
        wav, _ = soundfile.read(path, frames * STEP, start * STEP, dtype='float32')
        return torch.from_numpy(wav) * PEAK / world.PEAK

    def draw(self, batch_size: int) -> np.ndarray:
        """Places of some clips."""
        return self.rng.integers(len(self.paths), size=batch_size)

    def draw_start(self, frames: int) -> int:
        """Where a crop of so many frames begins."""
        return int(self.rng.integers(self.frames - frames + 1))

    def draw_caption(self, index: int) -> str:
        """A sentence about a clip, or nothing."""
        if self.rng.random() < DROPPED:
            return ''
        return full(self.truth[index]) if self.rng.random() < 0.5 else caption(self.truth[index], self.rng)


def train_vae(clips: Clips, batch_size: int = 8, frames: int = 48) -> AutoencoderKL:
    """An autoencoder of spectrograms, whose latents have unit variance once they are scaled."""
    vae = AutoencoderKL(**VAE).train()
    vae.decoder.conv_out.bias.data.fill_(clips.mels.mean())

    def loss() -> torch.Tensor:
        start = clips.draw_start(frames)
        mels = clips.mels[clips.draw(batch_size), :, start:start + frames]
        posterior = vae.encode(mels).latent_dist
        return F.l1_loss(vae.decode(posterior.sample()).sample, mels) + 1e-4 * posterior.kl().mean() / frames
    _fit('mel autoencoder', vae.parameters(), loss, 3e-3)
    with torch.no_grad():
        vae.register_to_config(scaling_factor=1 / vae.encode(clips.mels[:50]).latent_dist.sample().std().item())
    return vae.eval()


def train_vocoder(clips: Clips, batch_size: int = 8, frames: int = 24) -> SpeechT5HifiGan:
    """A vocoder, without adversaries: it is to be near in samples, and in what is heard, in short and long windows."""
    vocoder = SpeechT5HifiGan(SpeechT5HifiGanConfig(**VOCODER)).train()
    vocoder.mean.copy_(clips.mels.mean((0, 1, 2)))
    vocoder.scale.copy_(clips.mels.std((0, 1, 2)))
    windows = [clips.mel.mel, LogMel(SAMPLE_RATE, STEP // 2, BINS, window=512).mel]

    def loss() -> torch.Tensor:
        indices, start = clips.draw(batch_size), clips.draw_start(frames)
        wavs = torch.stack([clips.read(clips.paths[index], start, frames) for index in indices])
        played = vocoder(clips.mels[indices, 0, start:start + frames])
        heard = [F.l1_loss(torch.log(mel(played) + 1e-2), torch.log(mel(wavs) + 1e-2)) for mel in windows]
        return 10 * F.l1_loss(played, wavs) + sum(heard) / len(heard)
    _fit('vocoder', vocoder.parameters(), loss, 2e-3)
    return vocoder.eval()


@torch.no_grad()
def embed(texts: tp.List[str], tokenizer: tp.Any, text_encoder: tp.Any) -> torch.Tensor:
    """What AudioLDM is told of texts, [B, D]."""
    return F.normalize(text_encoder(**tokenizer(texts, padding=True, return_tensors='pt')).text_embeds, dim=-1)


def train_unet(clips: Clips, vae: AutoencoderKL, tokenizer: tp.Any, text_encoder: tp.Any, batch_size: int = 16
               ) -> UNet2DConditionModel:
    """The diffusion model, on whole clips; it meets all noise twice as often as half of it, where less is to settle."""
    scheduler = DDIMScheduler(**SCHEDULER)
    width = text_encoder.config.projection_dim
    unet = UNet2DConditionModel(projection_class_embeddings_input_dim=width, **UNET).train()
    unet.class_embedding.weight.data.mul_(width ** 0.5)  # a number of an embedding is small, of unit length as they are
    with torch.no_grad():
        latents = torch.cat([vae.encode(part).latent_dist.mean for part in clips.mels.split(20)])
        latents *= vae.config.scaling_factor

    def loss() -> torch.Tensor:
        indices = clips.draw(batch_size)
        times = torch.from_numpy(clips.rng.integers(scheduler.config.num_train_timesteps, size=(2, batch_size)).max(0))
        noise = torch.randn(batch_size, *latents.shape[1:])
        noisy = scheduler.add_noise(latents[indices], noise, times)
        texts = embed([clips.draw_caption(index) for index in indices], tokenizer, text_encoder)
        return F.mse_loss(unet(noisy, times, encoder_hidden_states=None, class_labels=texts).sample, noise)
    _fit('diffusion model', unet.parameters(), loss, 1e-3)
    return unet.eval()


def train(folder: Path, parts: Path, clips: Clips, clap: Path) -> None:
    """Train the diffusion model, and write the pipeline in diffusers' format.

    Args:
        folder (Path): Where to.
        parts (Path): Folder of the autoencoder and the vocoder, `vae` and `vocoder`.
        clips (Clips): What to train on.
        clap (Path): A CLAP of the tiny world, whose text encoder becomes the pipeline's.
    """
    vae = AutoencoderKL.from_pretrained(parts / 'vae').eval()
    vocoder = SpeechT5HifiGan.from_pretrained(parts / 'vocoder').eval()
    tokenizer, text_encoder = load_text_encoder(clap)
    save(folder, vae, vocoder, train_unet(clips, vae, tokenizer, text_encoder), tokenizer, text_encoder)


def load_text_encoder(clap: Path) -> tp.Tuple[tp.Any, tp.Any]:
    """Tokenizer and text encoder of a CLAP, for sentences as long as it knows."""
    text_encoder = ClapTextModelWithProjection.from_pretrained(clap).float().eval()
    tokenizer = RobertaTokenizer.from_pretrained(clap)
    tokenizer.model_max_length = text_encoder.config.max_position_embeddings - 2
    return tokenizer, text_encoder


def save(folder: Path, vae: tp.Any, vocoder: tp.Any, unet: tp.Any, tokenizer: tp.Any, text_encoder: tp.Any) -> None:
    """Write a pipeline, its weights in half precision."""
    pipeline = AudioLDMPipeline(vae, text_encoder, tokenizer, unet, DDIMScheduler(**SCHEDULER), vocoder)
    pipeline.to(dtype=torch.float16).save_pretrained(folder)
