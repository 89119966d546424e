from dataclasses import fields

import numpy as np
import pytest

from audiocraft_ti.tiny import dataset, timbres
from audiocraft_ti.tiny.timbres import KEPT_OUT, KNOWN, Timbre


def test_enough_sounds_and_none_twice():
    assert len(KNOWN) >= 16 and len(KEPT_OUT) >= 8 and not set(KNOWN) & set(KEPT_OUT)
    assert len(set(timbres.NAMED.values())) == len(timbres.NAMED)
    assert sum(timbre.noise > 0.5 for timbre in KNOWN.values()) >= 4


def test_kept_out_sounds_are_in_no_training_clip():
    names = {dataset.draw_clip('train', index)[1].timbre for index in range(300)}
    assert not names & set(KEPT_OUT) and set(KNOWN) <= names


@pytest.mark.parametrize('share, pitch, tilt', [(0, 100, -4), (0.5, 200, -8), (1, 400, -12)])
def test_a_mix_is_geometric_in_ratios_and_linear_in_the_rest(share, pitch, tilt):
    mixed = timbres.mix(Timbre(pitch=100, tilt=-4), Timbre(pitch=400, tilt=-12), [share] * len(fields(Timbre)))
    assert mixed.pitch == pytest.approx(pitch) and mixed.tilt == pytest.approx(tilt)


def test_variation_is_small_and_leaves_the_pitch():
    rng = np.random.default_rng(0)
    varied = [timbres.vary(KNOWN['oboe'], rng) for _ in range(200)]
    assert {timbre.pitch for timbre in varied} == {330}
    assert np.std([np.log(timbre.formant) for timbre in varied]) == pytest.approx(0.02, rel=0.2)
    assert np.std([timbre.tilt for timbre in varied]) == pytest.approx(0.24, rel=0.2)


def test_an_unnamed_sound_is_none_of_the_named():
    rng = np.random.default_rng(1)
    drawn = [timbres.unnamed(rng) for _ in range(50)]
    assert not set(drawn) & set(timbres.NAMED.values())
    for field in fields(Timbre):
        known = [getattr(timbre, field.name) for timbre in KNOWN.values()]
        assert all(min(known) - 1e-9 <= getattr(timbre, field.name) <= max(known) + 1e-9 for timbre in drawn)


@pytest.mark.parametrize('name, words', [('marimba', 'metallic short tone'), ('oboe', 'nasal held tone'),
                                         ('cymbal', 'ringing noise'), ('kick', 'dark deep falling short tone')])
def test_descriptions(name, words):
    assert timbres.describe(KNOWN[name]) == words or name == 'marimba' and 'metallic' in timbres.describe(KNOWN[name])
