import pytest

from audiocraft_ti.tiny.styles import play, STYLES


def onsets(name, bpm, duration=4.):
    return [round(note.onset, 3) for note in play(STYLES[name], 60 / bpm, duration)]


@pytest.mark.parametrize('name, bpm, times', [
    ('disco', 120, [0, 0.25, 0.5, 0.75, 1]),
    ('techno', 120, [0, 0.125, 0.25, 0.375, 0.5]),
    ('waltz', 60, [0, 1, 2, 3]),
    ('drone', 120, [0, 1, 2]),
    ('bossa', 120, [0, 0.375, 0.75, 1, 1.375, 1.75]),
    ('reggae', 60, [0.5, 0.75, 1.5, 1.75]),
])
def test_notes_fall_on_their_beats(name, bpm, times):
    assert onsets(name, bpm)[:len(times)] == times


def test_disco_goes_up_and_down_an_octave():
    notes = list(play(STYLES['disco'], 0.5, 2.))
    assert {high.degree - low.degree for low, high in zip(notes[::2], notes[1::2])} == {7}


def test_there_are_enough_and_each_has_its_own_rhythm():
    assert len(STYLES) >= 8
    assert len({tuple(onsets(name, 120)) for name in STYLES}) == len(STYLES)


@pytest.mark.parametrize('name', list(STYLES))
def test_a_bar_keeps_within_itself(name):
    style = STYLES[name]
    assert all(0 <= note.onset < style.beats and note.length > 0 and 0 < note.velocity <= 1 for note in style.notes)
