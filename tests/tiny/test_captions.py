import json
from pathlib import Path

import numpy as np
import pytest

from audiocraft_ti.data.prompts import NEUTRAL_PROMPTS
from audiocraft_ti.tiny import captions, world
from audiocraft_ti.tiny.styles import STYLES
from audiocraft_ti.tiny.text import make_t5
from audiocraft_ti.tiny.timbres import KNOWN

WORDS = {*world.TEMPOS, *world.REGISTERS, *world.MOODS, *STYLES, *KNOWN}
PROMPTS = [*(prompt.replace('{}', 'oboe') for prompt in NEUTRAL_PROMPTS),
           *(f'A {style} song with a {timbre}' for style in STYLES for timbre in KNOWN)]
BENCHMARK = Path(__file__).parents[3] / 'shared/data/dreamsound/benchmark.json'


def test_captions_say_nothing_untrue():
    for index in range(500):
        rng = np.random.default_rng(index)
        attributes = world.draw(rng, str(rng.choice(list(KNOWN))))
        said = WORDS & set(captions.caption(attributes, rng).lower().replace(',', '').split())
        assert said <= set(vars(attributes).values())
        assert said or 'piece' in captions.PIECES


def test_a_full_caption_says_everything():
    attributes = world.Attributes('oboe', 'disco', 'slow', 'low', 'sad')
    assert captions.full(attributes) == 'A slow sad disco song with a low oboe'
    assert captions.full(world.Attributes('oboe', 'disco')) == 'A disco song with a oboe'


def test_a_name_is_now_and_then_said_several_times():
    counts = []
    for index in range(500):
        said = captions.repeated('A disco song with a oboe', 'oboe', np.random.default_rng(index)).split()
        counts.append(said.count('oboe'))
        assert said == ['A', 'disco', 'song', 'with', 'a', *['oboe'] * counts[-1]]
    assert set(counts) == {*range(1, captions.MOST_REPEATS + 1)} and 0.75 < counts.count(1) / 500 < 0.85


def test_the_papers_prompts_are_ordinary_sentences():
    drawn = set()
    for index in range(20000):
        rng = np.random.default_rng([7, index])
        drawn.add(captions.caption(world.Attributes('oboe', 'disco'), rng))
    assert {'A recording of a oboe', 'The sound of oboe', 'A disco song with a oboe'} <= drawn


@pytest.fixture(scope='module')
def tokenizer(tmp_path_factory):
    from transformers import T5Tokenizer
    folder = tmp_path_factory.mktemp('t5')
    make_t5(folder)
    return T5Tokenizer.from_pretrained(folder)


def test_what_can_be_heard_is_one_token(tokenizer):
    for word in WORDS:
        assert tokenizer.tokenize(word) == ['▁' + word]


def test_the_prompts_are_in_its_vocabulary(tokenizer):
    for prompt in PROMPTS:
        assert tokenizer.unk_token not in tokenizer.tokenize(prompt)


@pytest.mark.skipif(not BENCHMARK.exists(), reason='the benchmark of DreamSound is not at ../shared')
def test_prompts_of_the_benchmark_have_no_unknown_letters(tokenizer):
    for prompt in json.loads(BENCHMARK.read_text())['editability_prompts']:
        assert tokenizer.unk_token_id not in tokenizer(prompt.replace('{}', '')).input_ids
