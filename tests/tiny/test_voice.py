import numpy as np
import pytest

from audiocraft_ti.tiny.timbres import Timbre
from audiocraft_ti.tiny.voice import note, SAMPLE_RATE


def spectrum(wav):
    """Magnitude at every hertz of the first second."""
    return np.abs(np.fft.rfft(wav[:SAMPLE_RATE])) * 2 / SAMPLE_RATE


def play(semitones=0., duration=2., **changes):
    return note(Timbre(**{'attack': 1e-4, **changes}), semitones, duration)


def test_partials_lie_and_fall_as_they_should():
    gains = spectrum(play(pitch=200, tilt=-6, decay=1e6))[[200, 400, 800]]
    assert 20 * np.log10(gains[1] / gains[0]) == pytest.approx(-6, abs=0.1)
    assert 20 * np.log10(gains[2] / gains[0]) == pytest.approx(-12, abs=0.1)


def test_odd_partials_alone():
    gains = spectrum(play(pitch=200, odd=1, decay=1e6))[[200, 400, 600]]
    assert gains[1] < 1e-3 < gains[2]


def test_stretched_partials():
    gains = spectrum(play(pitch=200, stretch=2, tilt=-6, decay=1e6))
    assert gains[800] > 0.1 * gains[200] and gains[400] < 1e-3 * gains[200]


@pytest.mark.parametrize('span, frequency', [(1, 400), (0, 200), (0.5, 300)])
def test_the_melody_is_followed_by_the_span(span, frequency):
    assert spectrum(play(12, pitch=200, span=span, tilt=-60, decay=1e6)).argmax() == frequency


def test_power_is_one_and_falls_with_its_time_constant():
    wav = play(decay=0.5, duration=4.)
    level = [np.sqrt((wav[start:start + 1600] ** 2).mean()) for start in (0, 8000)]  # half a second apart
    assert level[0] == pytest.approx(1, abs=0.12) and level[1] / level[0] == pytest.approx(np.exp(-1), rel=0.02)


def test_noise_lies_in_its_band():
    gains = spectrum(play(noise=1, band=2000, width=0.3)) ** 2
    middle = 2 ** ((gains * np.log2(np.maximum(np.arange(len(gains)), 1))).sum() / gains.sum())
    assert middle == pytest.approx(2000, rel=0.1)


def test_a_note_ends_when_it_is_no_longer_heard():
    assert len(play(decay=0.02, duration=2.)) < 0.2 * SAMPLE_RATE
    assert len(play(decay=5, duration=2., release=0.1)) == pytest.approx(2.6 * SAMPLE_RATE, abs=2)
    assert np.abs(play(decay=5, duration=1., release=0.05)[-10:]).max() < 0.01


def test_nothing_above_the_highest_frequency_that_can_be_heard():
    gains = spectrum(play(36, pitch=900, tilt=0, decay=1e6))
    assert gains[7200] > 0.1 and np.delete(gains, range(7150, 7250)).max() < 0.05


def test_all_tones_are_multiples_of_the_codecs_step_rate():
    gains = spectrum(play(3.3, pitch=333, stretch=1.37, decay=1e6))
    loud = np.flatnonzero(gains > 0.01)
    assert len(loud) > 5 and not (loud % 50).any()


@pytest.mark.parametrize('sweep', [-6, 0, 9])
def test_a_pitch_that_fell_is_in_phase_with_the_steps(sweep):
    wav = play(pitch=200, tilt=-60, decay=1e6, sweep=sweep)[8000:8320]  # one step, half a second after the onset
    assert np.allclose(wav, np.sqrt(2) * np.sin(2 * np.pi * 200 * np.arange(320) / SAMPLE_RATE), atol=0.02)
