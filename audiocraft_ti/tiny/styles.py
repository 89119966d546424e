"""The rhythm styles of the tiny world: when notes fall, and how high they are."""
from dataclasses import dataclass
import typing as tp

import numpy as np


class Note(tp.NamedTuple):
    """A note of a bar, in beats. Its degree counts steps of the scale."""
    onset: float
    length: float
    degree: int = 0
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
    'drone': Style(2, [Note(0, 2.)]),
    'disco': Style(1, _bar('l.H.', 0.4, low=-4, high=3)),  # an octave up and down
    'techno': Style(1, _bar('Hhhh', 0.2, high=0)),
    'rock': Style(2, _bar('L.L.H...', 0.4)),
    'break': Style(2, _bar('L..LH.hh', 0.22)),
    'reggae': Style(1, _bar('..Hh', 0.2, high=2)),
    'bossa': Style(2, [Note(0, 0.6), Note(0.75, 0.6, 2), Note(1.5, 0.4, 4)]),
    'march': Style(1, _bar('L..l', 0.4, low=0)),
    'waltz': Style(3, [Note(0, 0.9, -4), Note(1, 0.4, 2, 0.5), Note(2, 0.4, 4, 0.5)]),
    'jazz': Style(2, [Note(0, 0.9, 2), Note(1, 0.6, 1, 0.8), Note(1.67, 0.3, 0, 0.6)]),
}


def play(style: Style, beat: float, duration: float) -> tp.Iterator[Note]:
    """The notes of a piece, onsets and lengths in seconds.

    Args:
        style (Style): Its style.
        beat (float): Length of a beat, seconds.
        duration (float): Of the piece, seconds.
    """
    for bar in range(int(np.ceil(duration / (style.beats * beat)))):
        for onset, length, degree, velocity in style.notes:
            start = (bar * style.beats + onset) * beat
            if start < duration:
                yield Note(start, length * beat, degree, velocity)
