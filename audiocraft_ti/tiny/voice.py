"""The synthesizer of the tiny world: one note at a time.

All its tones are multiples of 50 Hz, the rate of the codec's steps, and in phase with them once they hold their pitch,
and its noise repeats after five steps. A tone that is held then looks the same in every step, and a codec of a million
weights need not carry its phase. Melodies keep to the overtone scale.
"""
import typing as tp

import numpy as np

from .timbres import Timbre

SAMPLE_RATE = 16000  # Hz
GRID = 50  # Hz
NOISE_STEPS = 5
STEP = SAMPLE_RATE // GRID  # samples of a step
PARTIALS = 16
TREMOLO = 6.25  # Hz, eight steps
_NYQUIST = 7600.  # Hz, a little below the real one
_SILENT = 6  # time constants after which nothing is heard


def note(timbre: Timbre, semitones: float, duration: float) -> np.ndarray:
    """One note, at full velocity, which is in phase with the steps of the codec if it begins with one.

    Args:
        timbre (Timbre): The sound.
        semitones (float): Distance from the middle of the timbre's range.
        duration (float): From its onset to its end, seconds; the release comes after that.
    Returns:
        np.ndarray: Samples of shape [T].
    """
    shift = 2 ** (timbre.span * semitones / 12)
    duration = max(round(duration * GRID), 1) / GRID
    attack = min(timbre.attack, 0.4 * duration)
    fall = max(timbre.decay * (timbre.noise < 1), timbre.noise_decay * (timbre.noise > 0))
    length = min(duration + _SILENT * timbre.release, attack + _SILENT * fall)
    t = np.arange(int(length * SAMPLE_RATE)) / SAMPLE_RATE
    envelope = np.minimum(t / attack, 1) * np.exp(-np.maximum(t - duration, 0) / timbre.release)
    envelope *= 1 - timbre.tremolo * (0.5 - 0.5 * np.cos(2 * np.pi * TREMOLO * t))
    since = np.maximum(t - attack, 0)
    out = np.zeros_like(t)
    if timbre.noise < 1:
        out += (1 - timbre.noise) * _tone(timbre, timbre.pitch * shift, t, since)
    if timbre.noise > 0:
        out += timbre.noise * _noise(timbre, timbre.band * shift, len(t)) * np.exp(-since / timbre.noise_decay)
    return envelope * out


def on_grid(frequency: tp.Union[float, np.ndarray]) -> np.ndarray:
    """The multiple of 50 Hz nearest to a frequency in Hz."""
    return GRID * np.maximum(np.round(np.asarray(frequency) / GRID), 1)


def _tone(timbre: Timbre, frequency: float, t: np.ndarray, since: np.ndarray) -> np.ndarray:
    """Partials of a tone, of unit power together at its onset."""
    turns = t + _sweep(timbre.sweep, len(t))
    k = np.arange(1, PARTIALS + 1)
    frequencies = on_grid(k ** timbre.stretch * on_grid(frequency))
    k, frequencies = k[frequencies < _NYQUIST], frequencies[frequencies < _NYQUIST]
    ratios = frequencies / frequencies[0]
    octaves = np.log2(frequencies / timbre.formant)
    decibels = timbre.tilt * np.log2(ratios) + timbre.formant_gain * np.exp(-0.5 * (octaves / 0.4) ** 2)
    gains = 10 ** (decibels / 20) * np.where(k % 2 == 0, 1 - timbre.odd, 1)
    gains *= np.sqrt(2 / (gains ** 2).sum())
    fall = np.exp(-since / timbre.decay).astype(np.float32)
    faster = fall ** np.float32(timbre.damping)
    out = np.zeros(len(t), np.float32)
    for partial, gain in zip(frequencies, gains):
        angle = partial * turns
        angle -= np.floor(angle)  # float32 is exact enough within one turn
        out += np.float32(gain) * fall * np.sin(np.float32(2 * np.pi) * angle.astype(np.float32))
        fall *= faster
    return out


def _sweep(semitones: float, length: int) -> np.ndarray:
    """Turns by which one hertz is off while its pitch falls to where it stays; none once it is there."""
    t = np.arange(SAMPLE_RATE // 2) / SAMPLE_RATE
    turns = np.cumsum(2 ** (semitones / 12 * np.exp(-t / 0.03)) - 1) / SAMPLE_RATE
    out = np.zeros(length)
    out[:len(t)] = (turns - turns[-1])[:length]
    return out


def _noise(timbre: Timbre, band: float, length: int) -> np.ndarray:
    """Noise of unit power around a frequency: the same few steps over and over."""
    spectrum = np.fft.rfft(np.random.default_rng(0).standard_normal(NOISE_STEPS * STEP))
    frequencies = np.maximum(np.fft.rfftfreq(NOISE_STEPS * STEP, 1 / SAMPLE_RATE), 1)
    spectrum *= np.exp(-0.5 * (np.log2(frequencies / band) / timbre.width) ** 2)
    out = np.fft.irfft(spectrum)
    return np.resize(out / np.sqrt((out ** 2).mean()), length)
