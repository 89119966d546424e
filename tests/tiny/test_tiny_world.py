"""The bars that docs/TINY.md says are met, on fewer clips than benchmarks/tiny_world.py has; the seeds are fixed."""
import pytest
import torch

from audiocraft_ti import environment
environment.prepare()
from audiocraft.modules.conditioners import ConditioningAttributes
from benchmarks import tiny_world


@pytest.fixture(scope='module')
def world(base):
    torch.manual_seed(0)
    return tiny_world.World(base)


def check(results, least=None):
    """Every line of a table meets its bar, or a lower one where few clips make it uncertain."""
    for result in results:
        assert result.ok or least is not None and result.value >= least, result.row()


def test_a_rate_and_its_interval():
    result = tiny_world.rate('hits', [True] * 8 + [False] * 2, 0.8)  # Wilson (1927): (0.490, 0.943)
    assert result.value == 0.8 and result.ok and result.spread == '0.49 to 0.94, n = 10'
    assert tiny_world.Result('size', 16, 15, at_most=True).ok is False


def test_the_judge_hears_timbres_and_styles(world):
    check(tiny_world.judge_results(world, 130), least=0.85)


def test_songs_have_the_sound_that_was_asked_for(world, monkeypatch):
    monkeypatch.setattr(tiny_world.timbres, 'KNOWN', ['organ', 'oboe', 'trumpet', 'guitar', 'bass', 'kick'])
    check(tiny_world.song_results(world), least=0.7)


def test_words_are_listened_to(world):
    check(tiny_world.word_results(world))


def test_clips_are_found_by_their_captions(world):
    check(tiny_world.clap_results(world, rounds=1), least=0.7)


@torch.no_grad()
def test_step_by_step_it_says_what_it_says_at_once(base):
    codes = torch.randint(base.codec.cardinality, (2, base.codec.num_codebooks, 60))
    attributes = [ConditioningAttributes(text={'description': text}) for text in ('A disco song', 'A waltz')]
    conditions = base.lm.condition_provider(base.lm.condition_provider.tokenize(attributes))
    at_once = base.lm(codes, [], conditions)  # [B, K, T, card]
    with base.lm.streaming():
        steps = [base.lm(codes[..., step:step + 1], [], conditions) for step in range(codes.shape[-1])]
    assert torch.allclose(torch.cat(steps, 2), at_once, atol=1e-4)


def test_it_is_small_and_fast():
    check(tiny_world.cost_results())
