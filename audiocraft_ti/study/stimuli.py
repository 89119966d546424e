"""Clips as the paper plays them: mono, 10 s, 32 kHz and −24 LUFS (P23)."""
from pathlib import Path

import numpy as np
import pyloudnorm
import torch

from ..data import audio
from ..errors import UserError

SAMPLE_RATE = 32000
LOUDNESS = -24.


def prepare(path: Path, seconds: float) -> torch.Tensor:
    """A file as a stimulus, of shape [1, T].

    Args:
        path (Path): Audio of any format.
        seconds (float): Where to cut it off.
    Raises:
        UserError: If it cannot be read or brought to −24 LUFS, naming it.
    """
    try:
        wav = audio.read_as(path, SAMPLE_RATE, 1)[:, :round(seconds * SAMPLE_RATE)]
    except Exception as error:
        raise UserError(f'{path} cannot be read as audio ({error}): make the sample anew.') from error
    return normalize(wav, str(path))


def normalize(wav: torch.Tensor, name: str) -> torch.Tensor:
    """Audio of shape [1, T] at −24 LUFS by ITU-R BS.1770, whole and unclipped.

    Raises:
        UserError: If it is silent, shorter than a block of 0.4 s, or its peaks would clip.
    """
    meter = pyloudnorm.Meter(SAMPLE_RATE)
    if wav.shape[1] < meter.block_size * SAMPLE_RATE or not wav.isfinite().all():
        raise UserError(f'{name} cannot be brought to {LOUDNESS:g} LUFS, since it is shorter than {meter.block_size} s '
                        'or not all numbers: make the sample anew.')
    loudness = meter.integrated_loudness(wav[0].double().numpy())
    if not np.isfinite(loudness):
        raise UserError(f'{name} cannot be brought to {LOUDNESS:g} LUFS, since it is silent: make the sample anew.')
    louder = wav * 10 ** ((LOUDNESS - loudness) / 20)
    if louder.abs().max() > 1:
        raise UserError(f'{name} cannot be brought to {LOUDNESS:g} LUFS, since its peaks would be cut off: make the '
                        'sample anew, or leave its prompt out.')
    return louder


def noise(seconds: float, seed: int) -> torch.Tensor:
    """White noise that matches no prompt, for attention checks, of shape [1, T]."""
    generator = torch.Generator().manual_seed(seed)
    return normalize(0.1 * torch.randn(1, round(seconds * SAMPLE_RATE), generator=generator), 'noise')
