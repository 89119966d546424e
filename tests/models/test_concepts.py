import logging

from audiocraft.models import MusicGen
import pytest
import torch

from audiocraft_ti.concept import Concept
from audiocraft_ti.errors import UserError
from audiocraft_ti.hashes import tensors_hash
from audiocraft_ti.models.concepts import list_concepts, load_concept, set_concept_params, unload_concept
from audiocraft_ti.models.loaders import load_base

PLAIN = 'A disco song with a guitar'


@pytest.fixture(scope='module')
def music():
    """audiocraft's own model; each test unloads what it loads."""
    base = load_base('tiny')
    music = MusicGen('tiny', base.codec, base.lm, max_duration=30)
    music.max_duration = 2  # so that what is longer is not long
    music.set_generation_params(duration=1, extend_stride=1)
    music.fingerprint = base.fingerprint
    return music


@pytest.fixture
def files(tmp_path, music):
    """Two concept files of ten and of three vectors, which are told apart when they are heard."""
    lengths = {'amen': 10, 'bouzouki': 3}
    return {name: Concept(name, torch.randn(count, 128, generator=torch.Generator().manual_seed(count)),
                          {'base_fingerprint': music.fingerprint}).save(tmp_path / f'{name}.safetensors')
            for name, count in lengths.items()}


@pytest.fixture
def loaded(music, files):
    for path in files.values():
        load_concept(music, path)
    set_concept_params(music, seed=0)
    yield music
    for name in list_concepts(music):
        unload_concept(music, name)


def sound(music, prompt, **kwargs):
    torch.manual_seed(0)
    return music.generate([prompt], **kwargs)


def test_without_a_placeholder_nothing_changes_by_a_bit(music, files):  # P27
    before = sound(music, PLAIN)
    load_concept(music, files['amen'])
    assert torch.equal(sound(music, PLAIN), before)
    with_concept = sound(music, 'A disco song with a <amen>')
    assert not torch.equal(with_concept, before)
    unload_concept(music, 'amen')
    assert torch.equal(sound(music, PLAIN), before) and list_concepts(music) == []


def test_several_concepts_in_one_prompt_and_both_are_heard(loaded):
    assert list_concepts(loaded) == ['amen', 'bouzouki']
    prompts = ['<amen> under a <bouzouki> melody', '<amen> under a <amen> melody', '<bouzouki>']
    set_concept_params(loaded, sample_ratio=1, shuffle=False)
    clips = [sound(loaded, prompt) for prompt in prompts]
    assert not any(torch.equal(clips[i], clips[j]) for i in range(3) for j in range(i))


def test_continuation_and_music_longer_than_the_model_looks(loaded):
    torch.manual_seed(0)
    wav = loaded.generate_continuation(torch.zeros(1, 1, 8000), 16000, ['A <amen> song'])
    assert wav.shape == (1, 1, 16000) and wav.isfinite().all()
    loaded.set_generation_params(duration=3, extend_stride=1)
    try:
        assert sound(loaded, 'A <amen> song').shape == (1, 1, 48000)
    finally:
        loaded.set_generation_params(duration=1, extend_stride=1)


def test_strength_is_a_share_of_the_vectors_for_all_or_for_one(loaded):
    conditioner = loaded.lm.condition_provider.conditioners['description']
    set_concept_params(loaded, sample_ratio=0.2)
    assert len(conditioner.expand('<amen>').split()) == 2
    assert len(conditioner.expand('<amen:0.7>').split()) == 7
    assert len(conditioner.expand('<amen:1> <bouzouki>').split()) == 11
    with pytest.raises(UserError, match='sample_ratio=0'):
        set_concept_params(loaded, sample_ratio=0)


def test_a_seed_makes_draws_the_same(loaded):
    clips = []
    for seed in (1, 1, 2):
        set_concept_params(loaded, seed=seed)
        clips.append(sound(loaded, 'A <amen> song'))
    assert torch.equal(clips[0], clips[1]) and not torch.equal(clips[0], clips[2])


def test_a_concept_can_be_called_otherwise_and_comes_back_after_it_left(loaded, files):
    load_concept(loaded, files['amen'], name='drums')
    assert list_concepts(loaded) == ['amen', 'bouzouki', 'drums']
    unload_concept(loaded, 'amen')
    with pytest.raises(UserError, match='<amen>.*<bouzouki>, <drums>'):
        sound(loaded, 'A <amen> song')
    load_concept(loaded, files['bouzouki'], name='amen')  # fewer vectors than it had
    set_concept_params(loaded, sample_ratio=1, shuffle=False)
    assert torch.equal(sound(loaded, 'A <amen> song'), sound(loaded, 'A <bouzouki> song'))


def test_what_cannot_be(loaded, files, tmp_path):
    with pytest.raises(UserError, match='already loaded'):
        load_concept(loaded, files['amen'])
    with pytest.raises(UserError, match='<oud> is not loaded: loaded are amen, bouzouki'):
        unload_concept(loaded, 'oud')
    wide = Concept('wide', torch.zeros(1, 768), {'embedding_hash': 'x'}).save(tmp_path / 'wide.safetensors')
    with pytest.raises(UserError, match='width 768'):
        load_concept(loaded, wide)


def test_other_text_encoders_are_refused_and_other_models_warned_of(music, tmp_path, caplog):
    rows = music.lm.condition_provider.conditioners['description'].t5.get_input_embeddings().weight[
        :load_base('tiny').lm.condition_provider.conditioners['description'].t5_tokenizer.vocab_size]
    theirs = {'base_model': 'facebook/musicgen-small', 'base_fingerprint': 'another'}
    path = tmp_path / 'a.safetensors'
    Concept('a', torch.zeros(1, 128), {**theirs, 'embedding_hash': 'another'}).save(path)
    with pytest.raises(UserError, match='facebook/musicgen-small, whose text encoder is another'):
        load_concept(music, path)
    Concept('a', torch.zeros(1, 128), {**theirs, 'embedding_hash': tensors_hash({'rows': rows})}).save(path)
    with caplog.at_level(logging.WARNING):
        load_concept(music, path)
    assert 'facebook/musicgen-small' in caplog.text
    unload_concept(music, 'a')
