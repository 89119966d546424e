"""The tiny world: music that is drawn from a few words, each of which can be heard."""
from dataclasses import dataclass
import typing as tp

import numpy as np

from . import timbres, voice
from .styles import STYLES, play

DURATION = 4.  # of a clip, seconds
SIXTEENTH = 6  # codec steps
TEMPOS = {'slow': 8, 'fast': 5}  # sixteenths of other lengths
REGISTERS = {'low': -12, 'high': 12}  # semitones
MOODS = ['happy', 'sad', 'dreamy', 'angry']
PEAK = 0.65  # of every clip
SHARE_PLAIN = 0.85  # of clips in which neither tempo nor register nor mood is a special one
MAJOR, MINOR = [0, 2, 4, 7, 9], [0, 3, 5, 7, 10]  # pentatonic, semitones


@dataclass(frozen=True)
class Attributes:
    """What is true of a clip.

    Args:
        timbre (str): The name of a sound.
        style (str): A rhythm style.
        tempo (str, optional): 'slow' or 'fast'.
        register (str, optional): 'low' or 'high'.
        mood (str, optional): Bouncing ('happy'), smooth and minor, where all else is major ('sad'), with echoes
            ('dreamy'), overdriven ('angry').
    """
    timbre: str
    style: str
    tempo: tp.Optional[str] = None
    register: tp.Optional[str] = None
    mood: tp.Optional[str] = None


def draw(rng: np.random.Generator, timbre: str) -> Attributes:
    """Draw a clip's attributes, its timbre given.

    Most clips have no more than a style: every word for tempo, register or mood moves all notes or changes all sounds,
    and with many of them a small model is long in learning what a style is.
    """
    style, choices = str(rng.choice(list(STYLES))), {'tempo': TEMPOS, 'register': REGISTERS, 'mood': MOODS}
    if rng.random() < SHARE_PLAIN:
        return Attributes(timbre, style)
    kind = str(rng.choice(list(choices)))
    return Attributes(timbre, style, **{kind: str(rng.choice(list(choices[kind])))})


def render(attributes: Attributes, timbre: timbres.Timbre, duration: float) -> np.ndarray:
    """Play a clip.

    Args:
        attributes (Attributes): What it is to be.
        timbre (Timbre): Its sound.
        duration (float): In seconds.
    Returns:
        np.ndarray: Samples at 16 kHz of shape [T], beginning with a bar.
    """
    style, mood = STYLES[attributes.style], attributes.mood
    beat = 4 * TEMPOS.get(attributes.tempo or '', SIXTEENTH) / voice.GRID  # seconds
    out = np.zeros(int(duration * voice.SAMPLE_RATE))
    transpose = REGISTERS.get(attributes.register or '', 0)
    scale = MINOR if mood == 'sad' else MAJOR
    stretch = {'happy': 0.5, 'sad': 1.25}.get(mood or '', 1.)
    for onset, held, degree, velocity in play(style, beat, duration):
        octave, step = divmod(degree, len(scale))
        start = round(onset * voice.GRID) * voice.STEP
        wav = velocity * voice.note(timbre, 12 * octave + scale[step] + transpose, stretch * held)
        out[start:start + len(wav)] += wav[:len(out) - start]
    return _finish(out, mood)


def _finish(out: np.ndarray, mood: tp.Optional[str]) -> np.ndarray:
    if mood == 'dreamy':
        for repeat in (1, 2, 3):
            delay = 9 * repeat * voice.STEP  # 0.18 s
            out[delay:] += 0.5 ** repeat * out[:-delay]
    out = out / (np.abs(out).max() + 1e-9)
    if mood == 'angry':
        out = np.tanh(4 * out)
    return (PEAK * out).astype(np.float32)


def clip(name: str, rng: np.random.Generator) -> tp.Tuple[np.ndarray, Attributes]:
    """A clip of a timbre, and what is true of it."""
    timbre, attributes = timbres.vary(timbres.sound(name), rng), draw(rng, name)
    return render(attributes, timbre, DURATION), attributes
