"""The sounds of the tiny world, each a row of numbers for one and the same synthesizer (`voice.py`).

A sound is a combination of traits, of one pitch, body, envelope and so on. All combinations but eight have a word in
the tiny base's vocabulary; what a user teaches it is one of those eight.
"""
from dataclasses import dataclass, replace
from functools import lru_cache
from itertools import product
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
    pitch: float = 200
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

Trait = tp.Dict[str, float]  # parameters that differ from the defaults
PITCHES: tp.Dict[str, Trait] = {'deep': {'pitch': 100}, 'middle': {}, 'bright': {'pitch': 400}}
BODIES: tp.Dict[str, Trait] = {
    'string': {'tilt': -2}, 'glass': {'tilt': -30}, 'pipe': {'odd': 1}, 'metal': {'stretch': 1.5, 'tilt': -3},
    'nose': {'formant': 1200, 'formant_gain': 24, 'tilt': -9},
    'brass': {'formant': 3000, 'formant_gain': 24, 'tilt': -9}}
HISSES: tp.Dict[str, Trait] = {name: {'noise': 1, 'span': 0.1, 'band': band, 'width': width} for name, band, width in (
    ('surf', 1500, 0.4), ('sand', 3500, 0.4), ('steam', 6500, 0.35), ('spray', 5200, 1))}
ENVELOPES: tp.Dict[str, Trait] = {
    'held': {}, 'swelling': {'attack': 0.1, 'release': 0.1}, 'plucked': {'attack': 0.003, 'decay': 0.4, 'damping': 0.2},
    'struck': {'attack': 0.002, 'decay': 0.1}, 'ringing': {'attack': 0.003, 'decay': 1.2, 'release': 0.6}}
MOTIONS: tp.Dict[str, Trait] = {'trembling': {'tremolo': 0.85}, 'falling': {'sweep': 12}}
NOISES: tp.Dict[str, Trait] = {
    'thudding': {'noise': 0.6, 'band': 1200, 'width': 0.5, 'noise_decay': 0.05},
    'rattling': {'noise': 0.75, 'band': 2800, 'width': 1.3, 'noise_decay': 0.1}}
TRAITS = [*PITCHES, *BODIES, *HISSES, *ENVELOPES, *MOTIONS, *NOISES]

# Each a pitch unless it is a hiss, a body, an envelope, and more if there is more to it.
KNOWN = {
    # held
    'organ': 'middle string held', 'flute': 'bright glass swelling', 'oboe': 'bright nose held',
    'clarinet': 'middle pipe held', 'trumpet': 'middle brass swelling', 'accordion': 'middle string held trembling',
    # plucked and struck
    'guitar': 'middle string plucked', 'banjo': 'bright brass plucked', 'bass': 'deep glass ringing',
    'synth': 'middle pipe plucked falling', 'marimba': 'middle glass struck', 'bell': 'bright metal ringing',
    # drums and noises
    'kick': 'deep glass struck falling', 'snare': 'middle glass struck rattling', 'hihat': 'steam struck',
    'cymbal': 'spray ringing', 'shaker': 'sand swelling', 'cowbell': 'middle metal struck',
}

# Never trained on by the base model, its codec or the tiny CLAP: what a user teaches it.
KEPT_OUT = {
    'zither': 'middle brass ringing', 'sitar': 'deep brass plucked falling', 'bassoon': 'deep nose held',
    'kalimba': 'bright glass plucked', 'harmonica': 'bright nose held trembling',
    'theremin': 'bright glass swelling trembling', 'conga': 'middle glass struck thudding',
    'tambourine': 'steam ringing trembling',
}
NAMED = {**KNOWN, **KEPT_OUT}


def vary(timbre: Timbre, rng: np.random.Generator, amount: float = 0.02) -> Timbre:
    """The same sound as another player has it: its ratios a little off, and its tilt by a decibel or so."""
    changes: tp.Dict[str, float] = {
        key: getattr(timbre, key) * float(np.exp(amount * rng.standard_normal())) for key in RATIOS if key != 'pitch'}
    return replace(timbre, tilt=timbre.tilt + 12 * amount * rng.standard_normal(), **changes)


def combine(description: str) -> Timbre:
    """The sound with these traits; noise falls as a tone would."""
    traits = {**PITCHES, **BODIES, **HISSES, **ENVELOPES, **MOTIONS, **NOISES}
    drawn: Trait = {}
    for word in description.split():
        drawn.update(traits[word])
    if drawn.get('noise') == 1:
        drawn['noise_decay'] = drawn.get('decay', 5)
    return Timbre(**drawn)


@lru_cache(maxsize=None)
def invented() -> tp.Dict[str, str]:
    """The combinations that no instrument has, with names that nobody knows, such as 'bako': a model that is to learn a
    sound from a few recordings has to know more than a few sounds."""
    tones = product(PITCHES, BODIES, ENVELOPES, ['', *MOTIONS, *NOISES])
    hisses = product(HISSES, ENVELOPES, ['', 'trembling'])
    rng = np.random.default_rng(8)
    sounds: tp.Dict[str, str] = {}
    for description in (' '.join(filter(None, traits)) for traits in (*tones, *hisses)):
        name = ''
        while not name or name in sounds:
            name = ''.join(rng.choice(list(letters)) for letters in ('bdfgklmnprstvz', 'aeiou') * 2)
        if description not in NAMED.values():
            sounds[name] = description
    return sounds


def traits_of(name: str) -> str:
    """The traits of the sound of that name."""
    return NAMED[name] if name in NAMED else invented()[name]


def sound(name: str) -> Timbre:
    """The sound of that name."""
    return combine(traits_of(name))


def meaning(name: str) -> np.ndarray:
    """Which traits the sound of that name has, one and zero, in the order of `TRAITS`."""
    return np.array([trait in traits_of(name).split() for trait in TRAITS], np.float32)
