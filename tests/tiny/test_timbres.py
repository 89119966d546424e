import numpy as np
import pytest

from audiocraft_ti.tiny import dataset, timbres
from audiocraft_ti.tiny.timbres import KEPT_OUT, KNOWN


def test_enough_sounds_and_none_twice():
    assert len(KNOWN) >= 16 and len(KEPT_OUT) >= 8 and not set(KNOWN) & set(KEPT_OUT)
    assert len(set(timbres.NAMED.values())) == len(timbres.NAMED)
    assert sum(timbre.noise > 0.5 for timbre in KNOWN.values()) >= 4


def test_kept_out_sounds_are_in_no_training_clip():
    names = {dataset.draw_clip('train', index)[1].timbre for index in range(300)}
    assert not names & set(KEPT_OUT) and set(KNOWN) <= names


def test_variation_is_small_and_leaves_the_pitch():
    rng = np.random.default_rng(0)
    varied = [timbres.vary(KNOWN['oboe'], rng) for _ in range(200)]
    assert {timbre.pitch for timbre in varied} == {330}
    assert np.std([np.log(timbre.formant) for timbre in varied]) == pytest.approx(0.02, rel=0.2)
    assert np.std([timbre.tilt for timbre in varied]) == pytest.approx(0.24, rel=0.2)


def test_invented_sounds_have_names_of_their_own_and_keep_their_distance():
    invented = timbres.invented()
    assert len(invented) == timbres.COUNT and not set(invented) & set(timbres.NAMED)
    meanings = np.stack([timbres.meaning(timbre) for timbre in invented.values()])
    for timbre in KEPT_OUT.values():
        assert np.linalg.norm(meanings - timbres.meaning(timbre), axis=1).min() > timbres.DISTANCE


def test_the_meaning_of_a_sound_is_what_can_be_heard_of_it():
    places = {key: place for place, key in enumerate(timbres.RANGES)}
    hihat, organ = timbres.meaning(KNOWN['hihat']), timbres.meaning(KNOWN['organ'])
    assert hihat[places['noise']] > 1 and hihat[places['pitch']] == hihat[places['tilt']] == 0  # noise has no pitch
    assert organ[places['band']] == organ[places['formant']] == 0
    assert organ[places['tilt']] == pytest.approx(2 * 31 / 34 - 1)  # -3, from -34 to 0
    assert organ[places['pitch']] == pytest.approx(2 * np.log(220 / 50) / np.log(600 / 50) - 1)
