"""A few recordings of a sound that the tiny base has no word for, for trying things out without any audio at hand."""
from pathlib import Path
import sys
import typing as tp

import numpy as np

from . import timbres, world
from .styles import STYLES
from .voice import SAMPLE_RATE


def recording(timbre: str = 'zither', index: int = 0) -> np.ndarray:
    """A piece of music with one sound, samples of shape [T] at 16 kHz; every style has its turn."""
    style = list(STYLES)[index % len(STYLES)]
    varied = timbres.vary(timbres.sound(timbre), np.random.default_rng([0, index]))
    return world.render(world.Attributes(timbre, style), varied, world.DURATION)


def write_recordings(folder: tp.Union[str, Path], timbre: str = 'zither', count: int = 20) -> None:
    """Write `count` recordings into a folder, as wav."""
    import soundfile
    folder = Path(folder)
    folder.mkdir(parents=True, exist_ok=True)
    for index in range(count):
        soundfile.write(folder / f'{timbre}_{index}.wav', recording(timbre, index), SAMPLE_RATE)


if __name__ == '__main__':
    folder, timbre = sys.argv[1:]
    write_recordings(folder, timbre)
