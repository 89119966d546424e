"""A few recordings of an instrument that no base model knows, for trying things out without any audio at hand."""
from pathlib import Path
import sys
import typing as tp

import numpy as np

SAMPLE_RATE = 32000  # Hz
DURATION = 4.  # seconds
SCALE = [0, 2, 3, 5, 7, 8, 10, 12]  # semitones over the lowest note


def pluck(frequency: float, duration: float, rng: np.random.Generator) -> np.ndarray:
    """A plucked string after Karplus and Strong (1983): a burst of noise that runs round a damped delay line.

    Args:
        frequency (float): In Hz.
        duration (float): In seconds.
        rng (np.random.Generator): Draws the burst.
    Returns:
        np.ndarray: Samples of shape [T].
    """
    period = round(SAMPLE_RATE / frequency)
    line = rng.uniform(-1, 1, period)
    turns = []
    for _ in range(int(duration * SAMPLE_RATE) // period + 1):
        turns.append(line)
        line = 0.5 * 0.996 * (line + np.roll(line, 1))
    return np.concatenate(turns)[:int(duration * SAMPLE_RATE)]


def phrase(rng: np.random.Generator) -> np.ndarray:
    """Four seconds of eighth notes on two strings at a time, samples of shape [T]."""
    out = np.zeros(int(DURATION * SAMPLE_RATE))
    for onset in np.arange(0, DURATION, 0.25):
        for octave in (1, 2):
            frequency = 110 * octave * 2 ** (rng.choice(SCALE) / 12)
            begin = int(onset * SAMPLE_RATE)
            note = pluck(frequency, DURATION - onset, rng)
            out[begin:begin + len(note)] += note
    return (0.5 * out / np.abs(out).max()).astype(np.float32)


def write_recordings(folder: tp.Union[str, Path], count: int = 8, seed: int = 0) -> None:
    """Write `count` phrases into a folder, as wav."""
    import soundfile
    folder = Path(folder)
    folder.mkdir(parents=True, exist_ok=True)
    for index in range(count):
        soundfile.write(folder / f'zither_{index}.wav', phrase(np.random.default_rng([seed, index])), SAMPLE_RATE)


if __name__ == '__main__':
    write_recordings(sys.argv[1])
