import numpy as np
import pytest

from audiocraft_ti.tiny import dataset, timbres
from audiocraft_ti.tiny.timbres import KEPT_OUT, KNOWN


def test_enough_sounds_and_none_twice():
    assert len(KNOWN) >= 16 and len(KEPT_OUT) >= 8 and not set(KNOWN) & set(KEPT_OUT)
    assert len(set(timbres.NAMED.values())) == len(timbres.NAMED)
    assert sum(timbres.sound(name).noise > 0.5 for name in KNOWN) >= 4


def test_kept_out_sounds_are_in_no_training_clip():
    names = {dataset.draw_clip('train', index)[1].timbre for index in range(300)}
    assert not names & set(KEPT_OUT) and set(KNOWN) <= names


def test_variation_is_small_and_leaves_the_pitch():
    rng = np.random.default_rng(0)
    varied = [timbres.vary(timbres.sound('oboe'), rng) for _ in range(200)]
    assert {timbre.pitch for timbre in varied} == {400}
    assert np.std([np.log(timbre.formant) for timbre in varied]) == pytest.approx(0.02, rel=0.2)
    assert np.std([timbre.tilt for timbre in varied]) == pytest.approx(0.24, rel=0.2)


def test_all_combinations_but_the_kept_out_have_a_word():
    invented = timbres.invented()
    assert not set(invented) & set(timbres.NAMED)
    tones = len(timbres.PITCHES) * len(timbres.BODIES) * len(timbres.ENVELOPES) * 5  # still, or one of four
    assert len(invented) + len(timbres.NAMED) == tones + len(timbres.HISSES) * len(timbres.ENVELOPES) * 2
    sounds = {timbres.sound(name) for name in (*invented, *timbres.NAMED)}
    assert len(sounds) == len(invented) + len(timbres.NAMED)


def test_names_are_the_same_in_every_process():
    assert list(timbres.invented().items())[0] == ('segu', 'deep string held')


def test_traits_set_the_synthesizer():
    conga, hihat = timbres.sound('conga'), timbres.sound('hihat')
    assert (conga.pitch, conga.tilt, conga.decay, conga.noise, conga.noise_decay) == (200, -30, 0.1, 0.6, 0.05)
    assert (hihat.noise, hihat.band, hihat.noise_decay, hihat.span) == (1, 6500, 0.1, 0.1)


def test_the_meaning_of_a_sound_is_its_traits():
    meant = {trait for trait, value in zip(timbres.TRAITS, timbres.meaning('sitar')) if value}
    assert meant == {'deep', 'brass', 'plucked', 'falling'}
