"""The rhythm styles of the tiny world: when notes fall, and how high they are."""
from dataclasses import dataclass
import typing as tp

import numpy as np


class Note(tp.NamedTuple):
    """A note of a bar, in beats. Its degree counts steps of the scale; None is drawn afresh for every bar."""
    onset: float
    length: float
    degree: tp.Optional[int] = 0
    velocity: float = 1.


@dataclass(frozen=True)
class Style:
    """A bar that repeats.

    Args:
        beats (int): Beats a bar.
        notes (list of Note): What is played in it.
    """
    beats: int
    notes: tp.List[Note]


def _bar(text: str, length: float, low: int = -3, high: int = 4) -> tp.List[Note]:
    """Sixteenths as text: `L` a low and `H` a high note at full strength, `l` and `h` softer, `.` a rest."""
    degrees = {'L': low, 'H': high}
    return [Note(index / 4, length, degrees[sign.upper()], 1. if sign.isupper() else 0.5)
            for index, sign in enumerate(text) if sign != '.']


STYLES = {
    'drone': Style(4, [Note(0, 2.), Note(2, 2.)]),
    'disco': Style(4, _bar('l.H.l.H.l.H.l.H.', 0.4, low=-4, high=3)),  # an octave up and down
    'techno': Style(4, _bar('Hhhh' * 4, 0.2, high=0)),
    'rock': Style(4, _bar('L.L.H...L.L.H...', 0.4)),
    'break': Style(4, _bar('L.L.H..h.hL.H..h', 0.22)),
    'reggae': Style(4, _bar('..Hh..Hh..Hh..Hh', 0.2, high=2)),
    'bossa': Style(4, [Note(onset, 0.6, None) for onset in (0, 0.75, 1.5, 2.5, 3.25)]),
    'march': Style(4, [Note(beat + offset, length, degree, velocity) for beat in range(4)
                       for offset, length, degree, velocity in ((0, 0.7, None, 1.), (0.75, 0.2, 0, 0.6))]),
    'waltz': Style(3, [Note(0, 0.9, -4), Note(1, 0.4, 2, 0.5), Note(2, 0.4, 4, 0.5)]),
    'jazz': Style(4, [Note(beat + onset, length, None, velocity) for beat in (0, 2)
                      for onset, length, velocity in ((0, 0.9, 1.), (1, 0.6, 0.8), (1.67, 0.3, 0.6))]),
}


def play(style: Style, beat: float, duration: float, rng: np.random.Generator) -> tp.Iterator[Note]:
    """The notes of a piece, onsets and lengths in seconds, every degree settled.

    Args:
        style (Style): Its style.
        beat (float): Length of a beat, seconds.
        duration (float): Of the piece, seconds.
        rng (np.random.Generator): Draws the degrees that the style leaves open.
    """
    for bar in range(int(np.ceil(duration / (style.beats * beat)))):
        root = int(rng.choice([0, 0, 0, 1, -2]))
        for onset, length, degree, velocity in style.notes:
            if degree is None:
                degree = int(rng.integers(-3, 5))
            start = (bar * style.beats + onset) * beat
            if start < duration:
                yield Note(start, length * beat, root + degree, velocity)
