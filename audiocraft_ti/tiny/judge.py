"""A listener with ground truth: it says which timbre of the tiny world a clip has, and which style.

It is trained on the world's audio alone, kept-out timbres included, apart from everything that it judges.
"""
from concurrent.futures import ProcessPoolExecutor
from pathlib import Path
import typing as tp

import numpy as np
from safetensors.torch import load_file, save_file
import torch
from torch import nn
from torch.nn import functional as F
from torchaudio.transforms import MelSpectrogram
from tqdm import tqdm

from . import timbres, world
from .styles import STYLES
from .voice import SAMPLE_RATE, STEP

TIMBRES = list(timbres.NAMED)
STYLE_NAMES = list(STYLES)
BINS = 64  # of the mel spectrogram
FLOOR = 3.  # of the spectrogram's power, 37 dB below a full-scale tone


class _Residual(nn.Module):
    def __init__(self, dim: int, dilation: int):
        super().__init__()
        self.conv = nn.Conv1d(dim, dim, 5, padding=2 * dilation, dilation=dilation)
        self.norm = nn.BatchNorm1d(dim)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return x + F.relu(self.norm(self.conv(x)))


class Judge(nn.Module):
    """A convolutional network on a log-mel spectrogram, with a head for timbre and one for style."""
    def __init__(self, dim: int = 96):
        super().__init__()
        self.mel = MelSpectrogram(SAMPLE_RATE, n_fft=512, hop_length=STEP, n_mels=BINS, f_min=40)
        channels = [1, 24, 48, 64]
        self.spectral = nn.Sequential(*(module for before, after, stride in zip(channels, channels[1:], [2, 1, 1])
                                        for module in (nn.Conv2d(before, after, 3, (2, stride), 1),
                                                       nn.BatchNorm2d(after), nn.ReLU())))
        self.joint = nn.Conv1d(channels[-1] * BINS // 8, dim, 1)
        self.temporal = nn.Sequential(*(_Residual(dim, dilation) for dilation in (1, 2, 4, 8)))
        self.timbre = nn.Linear(2 * dim, len(TIMBRES))
        self.style = nn.Linear(2 * dim, len(STYLE_NAMES))

    def features(self, wav: torch.Tensor) -> torch.Tensor:
        """Log-mel spectrogram of shape [B, BINS, T'], for audio of shape [B, T] at 16 kHz."""
        assert wav.dim() == 2
        return torch.log(self.mel(wav / (wav.abs().amax(-1, keepdim=True) + 1e-4)) + FLOOR)

    def forward(self, features: torch.Tensor) -> tp.Tuple[torch.Tensor, torch.Tensor]:
        """Logits of shapes [B, timbres] and [B, styles]."""
        x = self.spectral(features[:, None]).flatten(1, 2)
        x = self.temporal(F.relu(self.joint(x)))
        pooled = torch.cat([x.mean(-1), x.amax(-1)], -1)
        return self.timbre(pooled), self.style(pooled)

    @torch.no_grad()
    def hear(self, wav: torch.Tensor, batch_size: int = 64) -> tp.Tuple[tp.List[str], tp.List[str]]:
        """Names of the timbres and of the styles heard in a batch of clips [B, T] of four seconds or so."""
        logits = [self(self.features(part)) for part in wav.split(batch_size)]
        timbre, style = (torch.cat(parts).argmax(-1).tolist() for parts in zip(*logits))
        return [TIMBRES[index] for index in timbre], [STYLE_NAMES[index] for index in style]


def load(path: Path) -> Judge:
    """The judge of a safetensors file."""
    judge = Judge()
    judge.load_state_dict({key: value.float() for key, value in load_file(path).items()}, strict=False)
    return judge.eval()


def _draw(args: tp.Tuple[int, int, str]) -> tp.Tuple[np.ndarray, world.Attributes]:
    seed, index, name = args
    return world.clip(name, np.random.default_rng([seed, index]))


def draw_clips(seed: int, count: int, names: tp.Sequence[str] = TIMBRES
               ) -> tp.Tuple[torch.Tensor, tp.List[world.Attributes]]:
    """Clips of named timbres in turn, [count, T], and what is true of them."""
    with ProcessPoolExecutor() as pool:
        jobs = [(seed, index, names[index % len(names)]) for index in range(count)]
        clips = list(tqdm(pool.map(_draw, jobs, chunksize=16), 'clips', count))
    return torch.from_numpy(np.stack([wav for wav, _ in clips])), [attributes for _, attributes in clips]


def disturb(features: torch.Tensor, rng: torch.Generator) -> torch.Tensor:
    """What happens to sound on its way to a listener: coloration, noise, a floor under what is soft, gaps.

    A part of the noise goes with the sound, as that of lossy codecs does.
    """
    B, M, T = features.shape
    colour, hiss = F.interpolate(torch.randn(2 * B, 1, 6, generator=rng), M, mode='linear').transpose(1, 2).chunk(2)
    hiss = hiss + features.amax(1, keepdim=True) - 3.5 - 4 * torch.rand(B, 1, 1, generator=rng)
    features = torch.logaddexp(features, hiss + 0.5 * torch.randn(B, M, T, generator=rng))
    floor = torch.rand(B, 1, 1, generator=rng) * 4
    out = torch.maximum(features + 0.3 * colour + 0.2 * torch.randn(B, M, T, generator=rng), floor)
    band = torch.randint(0, M - 8, (B, 1, 1), generator=rng)
    rows = torch.arange(M)[None, :, None]
    hidden = (rows >= band) & (rows < band + 6) & (torch.rand(B, 1, 1, generator=rng) < 0.5)
    return torch.where(hidden, out.mean((1, 2), keepdim=True), out)


def train(path: Path, count: int = 5000, epochs: int = 8, seed: int = 11) -> None:
    """Train a judge and write it to a safetensors file; some minutes."""
    torch.manual_seed(seed)
    rng = torch.Generator().manual_seed(seed)
    judge = Judge()
    wavs, truth = draw_clips(seed, count)
    features = torch.cat([judge.features(part) for part in wavs.split(256)])
    timbre = torch.tensor([TIMBRES.index(attributes.timbre) for attributes in truth])
    style = torch.tensor([STYLE_NAMES.index(attributes.style) for attributes in truth])
    optimizer = torch.optim.AdamW(judge.parameters(), lr=2e-3, weight_decay=0.01)
    steps = epochs * (count // 48)
    schedule = torch.optim.lr_scheduler.OneCycleLR(optimizer, 3e-3, steps)
    bar = tqdm(range(epochs), 'judge')
    for _ in bar:
        for indices in torch.randperm(count, generator=rng)[:count // 48 * 48].split(48):
            heard = judge(disturb(features[indices], rng))
            loss = torch.stack([F.cross_entropy(logits, target[indices], label_smoothing=0.05)
                                for logits, target in zip(heard, (timbre, style))]).sum()
            optimizer.zero_grad()
            loss.backward()
            optimizer.step()
            schedule.step()
        bar.set_postfix(loss=f'{loss.item():.3f}')
    state = {key: value.half() if value.is_floating_point() else value for key, value in judge.state_dict().items()
             if not key.startswith('mel.')}
    save_file(state, path)
