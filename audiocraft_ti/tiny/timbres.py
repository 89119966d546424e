"""The sounds of the tiny world, each a row of numbers for one and the same synthesizer (`voice.py`)."""
from dataclasses import dataclass, replace
from functools import lru_cache
import typing as tp

import numpy as np


@dataclass(frozen=True)
class Timbre:
    """How a sound is made. The defaults are a plain held tone.

    Args:
        pitch (float): Frequency in the middle of its range, Hz.
        span (float): How far it follows a melody: 1 in full, 0 not at all.
        tilt (float): Fall of the partials with frequency, dB per octave.
        odd (float): How much the even partials are missing, 0 to 1.
        stretch (float): Partial k lies at k ** stretch: 1 is harmonic, more is metal or wood.
        formant (float): Frequency around which partials are stronger, Hz.
        formant_gain (float): By how much they are, dB.
        attack (float): Time to full strength, seconds.
        decay (float): Time constant of the fall after that, seconds.
        damping (float): How much faster each higher partial falls.
        release (float): Time constant once the note has ended, seconds.
        tremolo (float): Depth, 0 to 1.
        noise (float): Share of noise in the sound, 0 to 1.
        band (float): Middle of the noise's band, Hz.
        width (float): Half its width, octaves.
        noise_decay (float): Time constant of the noise, seconds.
        sweep (float): Semitones from which the pitch falls at the onset.
    """
    pitch: float = 220
    span: float = 1
    tilt: float = -6
    odd: float = 0
    stretch: float = 1
    formant: float = 1000
    formant_gain: float = 0
    attack: float = 0.02
    decay: float = 5
    damping: float = 0
    release: float = 0.04
    tremolo: float = 0
    noise: float = 0
    band: float = 3000
    width: float = 1
    noise_decay: float = 5
    sweep: float = 0


# Parameters that people hear as ratios; of the others, differences.
RATIOS = ('pitch', 'formant', 'attack', 'decay', 'release', 'band', 'width', 'noise_decay')

KNOWN = {
    # held
    'organ': Timbre(tilt=-3, attack=0.01, release=0.06),
    'flute': Timbre(pitch=440, tilt=-18, noise=0.2, band=3000, attack=0.06),
    'oboe': Timbre(pitch=330, formant=1400, formant_gain=20, tilt=-8, attack=0.03),
    'clarinet': Timbre(pitch=250, odd=1, tilt=-8, attack=0.03),
    'trumpet': Timbre(pitch=350, formant=2500, formant_gain=10, tilt=-1, attack=0.05, sweep=-1),
    'accordion': Timbre(tilt=-4, odd=0.4, tremolo=0.75),
    # plucked and struck
    'guitar': Timbre(tilt=-5, attack=0.003, decay=0.4, damping=0.3),
    'banjo': Timbre(pitch=330, formant=2500, formant_gain=10, tilt=-2, attack=0.002, decay=0.12, damping=0.1),
    'bass': Timbre(pitch=100, tilt=-15, attack=0.012, decay=1),
    'synth': Timbre(tilt=-1, odd=0.8, attack=0.005, decay=0.3, sweep=9),
    'marimba': Timbre(pitch=260, tilt=-14, stretch=2, attack=0.002, decay=0.13, damping=0.6, noise=0.05, band=1500,
                      noise_decay=0.01),
    'bell': Timbre(pitch=500, tilt=-6, stretch=1.25, attack=0.003, decay=1.2, damping=0.1, release=0.8),
    # drums and noises
    'kick': Timbre(pitch=55, span=0.2, tilt=-24, attack=0.002, decay=0.13, sweep=24),
    'snare': Timbre(pitch=190, span=0.2, tilt=-12, attack=0.002, decay=0.06, noise=0.75, band=2800, width=1.3,
                    noise_decay=0.1),
    'hihat': Timbre(span=0.1, attack=0.001, noise=1, band=6500, width=0.35, noise_decay=0.03),
    'cymbal': Timbre(span=0.1, attack=0.002, noise=1, band=5200, width=0.8, noise_decay=0.5, release=0.3),
    'shaker': Timbre(span=0.1, attack=0.05, noise=1, band=4500, width=0.5, noise_decay=0.06),
    'cowbell': Timbre(pitch=560, span=0.2, tilt=-2, stretch=1.5, attack=0.002, decay=0.15),
}

# Never trained on by the base model, its codec or the tiny CLAP: what a user teaches it.
KEPT_OUT = {
    'zither': Timbre(pitch=260, formant=3500, formant_gain=8, tilt=-4, attack=0.002, decay=0.35, damping=0.05,
                     release=0.35, tremolo=0.3),
    'sitar': Timbre(pitch=150, tilt=-8, attack=0.003, decay=0.7, tremolo=0.85, sweep=6),
    'bassoon': Timbre(pitch=110, formant=480, formant_gain=18, tilt=-7, attack=0.04),
    'kalimba': Timbre(pitch=330, tilt=-20, attack=0.001, decay=0.12, release=0.12),
    'harmonica': Timbre(pitch=500, formant=3000, formant_gain=16, tilt=-6, tremolo=0.85, attack=0.05),
    'theremin': Timbre(pitch=400, tilt=-30, attack=0.1, tremolo=0.8, sweep=-6, release=0.1),
    'conga': Timbre(pitch=300, span=0.4, tilt=-14, attack=0.002, decay=0.07, noise=0.3, band=1200, width=0.5,
                    noise_decay=0.05),
    'tambourine': Timbre(span=0.1, attack=0.004, noise=1, band=3500, width=0.3, noise_decay=0.25, tremolo=0.95,
                         release=0.1),
}
NAMED = {**KNOWN, **KEPT_OUT}


# Between which values the parameters of invented sounds are drawn; most of the special ones keep their defaults.
RANGES = {'pitch': (50., 600.), 'span': (0.1, 0.5), 'tilt': (-34., 0.), 'odd': (0., 1.), 'stretch': (1., 2.),
          'formant': (350., 4500.), 'formant_gain': (4., 24.), 'attack': (0.001, 0.12), 'decay': (0.05, 6.),
          'damping': (0., 0.7), 'release': (0.03, 0.9), 'tremolo': (0.15, 1.), 'noise': (0., 0.9),
          'band': (900., 7500.), 'width': (0.25, 1.4), 'noise_decay': (0.01, 6.), 'sweep': (-8., 26.)}
SPECIAL = ('span', 'odd', 'stretch', 'formant_gain', 'damping', 'tremolo', 'noise', 'sweep')
OF_NOISE = ('noise', 'band', 'width', 'noise_decay')
OF_ALL = ('span', 'attack', 'release', 'tremolo')
COUNT = 1000  # of invented sounds
DISTANCE = 1.  # between the meaning of each and of every sound that has a real name


def vary(timbre: Timbre, rng: np.random.Generator, amount: float = 0.02) -> Timbre:
    """The same sound as another player has it: its ratios a little off, and its tilt by a decibel or so."""
    changes: tp.Dict[str, float] = {
        key: getattr(timbre, key) * float(np.exp(amount * rng.standard_normal())) for key in RATIOS if key != 'pitch'}
    return replace(timbre, tilt=timbre.tilt + 12 * amount * rng.standard_normal(), **changes)


def invent(rng: np.random.Generator) -> Timbre:
    """A sound unlike those of any instrument; one in six is noise alone."""
    drawn = {key: low * (high / low) ** rng.random() if key in RATIOS else rng.uniform(low, high)
             for key, (low, high) in RANGES.items() if key not in SPECIAL or rng.random() < 0.4}
    if rng.random() < 1 / 6:
        drawn['noise'] = 1.
    return Timbre(**drawn)


def meaning(timbre: Timbre) -> np.ndarray:
    """The numbers of a sound, most of them from -1 to 1, and 0 where they make no difference to it."""
    def scaled(key: str) -> float:
        if key != 'noise' and (key in OF_NOISE and timbre.noise == 0 or key not in (*OF_NOISE, *OF_ALL)
                               and timbre.noise == 1 or key == 'formant' and timbre.formant_gain == 0):
            return 0.
        value, (low, high) = getattr(timbre, key), RANGES[key]
        share = np.log(value / low) / np.log(high / low) if key in RATIOS else (value - low) / (high - low)
        return float(2 * share - 1)
    return np.array([scaled(key) for key in RANGES], np.float32)


@lru_cache(maxsize=None)
def invented() -> tp.Dict[str, Timbre]:
    """Sounds of the world with names that nobody knows, such as 'bako': a model that is to learn a sound from a few
    recordings has to know more than a few sounds."""
    rng = np.random.default_rng(8)
    real = np.stack([meaning(timbre) for timbre in NAMED.values()])
    sounds: tp.Dict[str, Timbre] = {}
    while len(sounds) < COUNT:
        timbre = invent(rng)
        if np.linalg.norm(real - meaning(timbre), axis=1).min() > DISTANCE:
            sounds[''.join(rng.choice(list(letters)) for letters in ('bdfgklmnprstvz', 'aeiou') * 2)] = timbre
    return sounds


def sound(name: str) -> Timbre:
    """The sound of that name."""
    return NAMED[name] if name in NAMED else invented()[name]
