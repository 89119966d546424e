import pytest
import torch

from audiocraft_ti.models.audioldm import load_audioldm
from audiocraft_ti.modules.clap import ClapConditioner

PROMPTS = ['A disco song with a guitar', 'A recording', '']


@pytest.fixture
def pipeline():
    return load_audioldm('tiny').pipeline


@pytest.fixture
def conditioner(pipeline):
    return ClapConditioner(pipeline.text_encoder, pipeline.tokenizer, 'clap')


def test_prompts_are_embedded_as_the_pipeline_does(pipeline, conditioner):
    theirs = pipeline._encode_prompt(PROMPTS, 'cpu', 1, False)
    torch.testing.assert_close(conditioner(PROMPTS), theirs, rtol=0, atol=1e-5)
    torch.testing.assert_close(conditioner([None]), theirs[2:], rtol=0, atol=1e-5)


def test_prompts_without_a_placeholder_are_bit_identical_with_a_concept(conditioner):  # P27
    before = conditioner(PROMPTS)
    conditioner.add('amen', torch.randn(3, 64))
    assert torch.equal(conditioner(PROMPTS), before)


def test_a_concepts_tokens_take_no_other_along(conditioner):
    conditioner.add('amen', torch.randn(3, 64))
    conditioner.sample_ratio = 1
    ids = conditioner.tokenize(['A recording of a <amen>, or of a guitar'])['input_ids'][0]
    new = conditioner.bank.first_id
    places = (ids >= new).nonzero().flatten()
    assert sorted(ids[places].tolist()) == [new, new + 1, new + 2]
    assert (places.diff() == 1).all() and conditioner.tokenizer.decode(ids[places[0] - 1]).strip() == 'a'


def test_a_word_in_the_place_of_a_concept_is_that_word(conditioner):
    guitar, = conditioner.word_ids('guitar')
    conditioner.add('amen', conditioner.rows[[guitar]])
    torch.testing.assert_close(conditioner(['A song with a <amen>']), conditioner(['A song with a guitar']))


def test_gradients_reach_the_vectors_and_nothing_else(conditioner):
    conditioner.add('amen', torch.randn(2, 64))
    conditioner(['A <amen>'])[0, 0].backward()
    vectors = conditioner.bank['amen']
    assert vectors.grad.abs().sum() > 0 and [id(p) for p in conditioner.parameters()] == [id(vectors)]
    assert all(p.grad is None for p in conditioner.text_encoder.parameters())
