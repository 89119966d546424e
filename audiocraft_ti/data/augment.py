"""Other versions of a recording to learn from, as DreamSound's option makes them: disturbed audio with gaps.

One of five things happens to the audio of four in five, in ranges that are those of torchaudio-augmentations, which
DreamSound takes; then two stripes each of time and of frequency are left out of the spectrogram.
"""
import typing as tp

import torch
from torchaudio import functional as F

SHARE = 0.8  # of recordings whose audio is disturbed
STRIPES = 2
LONGEST = 64  # frames
WIDEST = 8  # bands


def _between(draws: torch.Generator, low: float, high: float) -> float:
    return low + (high - low) * torch.rand((), generator=draws).item()


def hiss(wav: torch.Tensor, sample_rate: int, draws: torch.Generator) -> torch.Tensor:
    """A little white noise."""
    return wav + _between(draws, 0.003, 0.005) * wav.std() * torch.randn(wav.shape, generator=draws)


def echo(wav: torch.Tensor, sample_rate: int, draws: torch.Generator) -> torch.Tensor:
    """The same again, half as loud, 0.2 to 0.5 s later."""
    delay = round(_between(draws, 0.2, 0.5) * sample_rate)
    return wav + 0.5 * torch.nn.functional.pad(wav, (delay, 0))[..., :wav.shape[-1]]


def dull(wav: torch.Tensor, sample_rate: int, draws: torch.Generator) -> torch.Tensor:
    """Without what is high."""
    return F.lowpass_biquad(wav, sample_rate, _between(draws, 2200, 4000))


def thin(wav: torch.Tensor, sample_rate: int, draws: torch.Generator) -> torch.Tensor:
    """Without what is low."""
    return F.highpass_biquad(wav, sample_rate, _between(draws, 200, 1200))


def shift(wav: torch.Tensor, sample_rate: int, draws: torch.Generator) -> torch.Tensor:
    """Higher or lower, by up to seven semitones."""
    return F.pitch_shift(wav, sample_rate, int(torch.randint(-7, 8, (), generator=draws)))


EFFECTS: tp.Sequence[tp.Callable[[torch.Tensor, int, torch.Generator], torch.Tensor]] = (hiss, echo, dull, thin, shift)


def disturb(wav: torch.Tensor, sample_rate: int, draws: torch.Generator) -> torch.Tensor:
    """Do one thing or none to audio of shape [C, T]."""
    if torch.rand((), generator=draws) > SHARE:
        return wav
    return EFFECTS[int(torch.randint(len(EFFECTS), (), generator=draws))](wav, sample_rate, draws)


def leave_out(mel: torch.Tensor, draws: torch.Generator) -> torch.Tensor:
    """Silence stripes of a log-mel spectrogram of shape [..., frames, bins], up to a quarter of either at a time."""
    mel = mel.clone()
    for axis, longest in ((-2, LONGEST), (-1, WIDEST)):
        for _ in range(STRIPES):
            length = int(torch.randint(min(longest, mel.shape[axis] // 4) + 1, (), generator=draws))
            start = int(torch.randint(mel.shape[axis] - length + 1, (), generator=draws))
            mel.narrow(axis, start, length).fill_(mel.min())
    return mel
