import numpy as np
import pytest

from audiocraft_ti.tiny import world
from audiocraft_ti.tiny.timbres import sound
from audiocraft_ti.tiny.voice import SAMPLE_RATE


def render(**words):
    attributes = world.Attributes(**{'timbre': 'organ', 'style': 'disco', **words})
    return world.render(attributes, sound(attributes.timbre), 4.)


def centroid(wav):
    power = np.abs(np.fft.rfft(wav)) ** 2
    return (power * np.fft.rfftfreq(len(wav), 1 / SAMPLE_RATE)).sum() / power.sum()


def strokes(wav):
    """How many times the level rises."""
    level = np.sqrt((wav[:len(wav) // 160 * 160].reshape(-1, 160) ** 2).mean(1))
    loud = level > 0.3 * level.max()
    return int((loud[1:] & ~loud[:-1]).sum())


def test_the_same_seed_gives_the_same_clip():
    (first, attributes), (second, same) = (world.clip('guitar', np.random.default_rng([1, 2])) for _ in range(2))
    assert np.array_equal(first, second) and attributes == same and first.dtype == np.float32
    assert len(first) == 4 * SAMPLE_RATE and 0.3 < np.abs(first).max() <= 0.8


def test_tempo_can_be_heard():
    slow, middle, fast = (strokes(render(timbre='hihat', tempo=tempo)) for tempo in ('slow', None, 'fast'))
    assert slow < middle < fast


def test_register_can_be_heard():
    low, middle, high = (centroid(render(register=register)) for register in ('low', None, 'high'))
    assert middle / low > 1.5 and high / middle > 1.5


@pytest.mark.parametrize('mood', world.MOODS)
def test_moods_change_the_sound(mood):
    plain, changed = render(), render(mood=mood)
    assert plain.shape == changed.shape and not np.allclose(plain, changed)


def test_angry_is_overdriven_and_dreamy_echoes():
    plain, angry = render(timbre='snare'), render(timbre='snare', mood='angry')
    crest = [np.abs(wav).max() / np.sqrt((wav ** 2).mean()) for wav in (plain, angry)]
    assert crest[1] < 0.7 * crest[0]
    quiet = [np.mean(np.abs(wav) < 1e-3) for wav in (render(timbre='hihat'), render(timbre='hihat', mood='dreamy'))]
    assert quiet[1] < 0.8 * quiet[0]


def test_every_word_is_drawn():
    drawn = [world.draw(np.random.default_rng(index), 'organ') for index in range(300)]
    for key, values in (('style', world.STYLES), ('tempo', world.TEMPOS), ('register', world.REGISTERS),
                        ('mood', world.MOODS)):
        assert {getattr(attributes, key) for attributes in drawn} - {None} == set(values)


def test_rhythm_keeps_to_the_codecs_steps():
    """The level rises with a bar's first beat and every eighth of a disco song, twelve steps of 320 samples apart."""
    wav = render(timbre='marimba')
    level = (wav[:200 * 320].reshape(200, 320) ** 2).mean(1)
    rises = np.flatnonzero(level > 10 * np.concatenate([[0], level[:-1]]) + 1e-5)
    assert rises.tolist() == list(range(0, 200, 12))
