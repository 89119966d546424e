import logging
import random

from audiocraft.models import builders, MusicGen
from demucs import pretrained
from demucs.htdemucs import HTDemucs
from omegaconf import OmegaConf
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


@pytest.fixture(scope='module')
def melody():
    """A melody model of audiocraft's own classes, after the configuration of musicgen-melody: all weights are random,
    those of the separator of stems, too."""
    base = load_base('tiny')
    chroma = {'sample_rate': 16000, 'n_chroma': 12, 'radix2_exp': 12, 'argmax': True, 'match_len_on_eval': True}
    fuser = {'sum': [], 'cross': [], 'prepend': ['self_wav', 'description'], 'input_interpolate': []}
    cfg = OmegaConf.merge(base.cfg, {
        'conditioners': {'self_wav': {'model': 'chroma_stem', 'chroma_stem': chroma}}, 'fuser': fuser})
    torch.manual_seed(0)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(pretrained, 'get_model', lambda name: HTDemucs(
            pretrained.SOURCES, channels=8, t_layers=1, t_heads=2, samplerate=16000, segment=4).eval())
        lm = builders.get_lm_model(cfg).eval()
    music = MusicGen('melody', base.codec, lm, max_duration=30)
    music.max_duration = 2
    music.set_generation_params(duration=1, extend_stride=1)
    return music


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


@pytest.mark.parametrize('seconds', [1, 3])  # 3 are more than the model looks at in one go
def test_a_melody_and_a_concept(melody, files, seconds):
    tune = torch.sin(torch.arange(16000 * seconds) * 440 / 16000 * 6.283)[None]

    def play(prompt):
        torch.manual_seed(0)
        random.seed(0)  # of the separator, which shifts the tune
        return melody.generate_with_chroma([prompt], [tune], 16000, return_tokens=True)[1]
    melody.duration = seconds
    before = play(PLAIN)
    load_concept(melody, files['amen'])
    set_concept_params(melody, sample_ratio=1, shuffle=False)
    assert torch.equal(play(PLAIN), before)
    with_concept = play('A disco song with a <amen>')
    assert with_concept.shape == before.shape == (1, 2, melody.frame_rate * seconds)
    assert not torch.equal(with_concept, before)
    unload_concept(melody, 'amen')
    assert torch.equal(play(PLAIN), before)


def test_several_concepts_in_one_prompt_and_both_are_heard(loaded):
    assert list_concepts(loaded) == ['amen', 'bouzouki']
    prompts = ['<amen> under a <bouzouki> melody', '<amen> under a <amen> melody', '<bouzouki>']
    set_concept_params(loaded, sample_ratio=1, shuffle=False)
    clips = [sound(loaded, prompt) for prompt in prompts]
    assert not any(torch.equal(clips[i], clips[j]) for i in range(3) for j in range(i))


def test_a_continuation_hears_the_concept(loaded):
    set_concept_params(loaded, sample_ratio=1, shuffle=False)
    beginning = torch.zeros(1, 1, 8000)
    clips = []
    for prompt in ('A <amen> song', 'A <bouzouki> song', 'A <amen> song'):
        torch.manual_seed(0)
        clips.append(loaded.generate_continuation(beginning, 16000, [prompt]))
    assert clips[0].shape == (1, 1, 16000)
    assert torch.equal(clips[0], clips[2]) and not torch.equal(clips[0], clips[1])


def test_music_longer_than_the_model_looks_has_the_concept_to_its_end(loaded, monkeypatch):
    conditioner = loaded.lm.condition_provider.conditioners['description']
    tokenize, told = conditioner.tokenize, []
    monkeypatch.setattr(conditioner, 'tokenize', lambda texts: told.append(list(texts)) or tokenize(texts))
    monkeypatch.setattr(loaded, 'duration', 4)
    clips = [sound(loaded, prompt) for prompt in ('A <amen> song', PLAIN)]
    assert told == 3 * [['A <amen> song', None]] + 3 * [[PLAIN, None]]  # 2 s, and 1 s more each time
    assert clips[0].shape == (1, 1, 64000)
    assert all(not torch.equal(*seconds) for seconds in zip(*(clip.split(16000, dim=-1) for clip in clips)))


def test_strength_is_a_share_of_the_vectors_for_all_or_for_one(loaded):
    conditioner = loaded.lm.condition_provider.conditioners['description']
    set_concept_params(loaded, sample_ratio=0.2)
    assert len(conditioner.expand('<amen>').split()) == 2
    assert len(conditioner.expand('<amen:0.7>').split()) == 7
    assert len(conditioner.expand('<amen:1> <bouzouki>').split()) == 11
    with pytest.raises(UserError, match='sample_ratio=0'):
        set_concept_params(loaded, sample_ratio=0)


@pytest.mark.parametrize('prompt', ['A <amen> song', 'A <amen:0.3> song under a <bouzouki:0.5>'])
def test_a_seed_makes_draws_the_same(loaded, prompt):
    clips = []
    for seed in (1, 1, 2):
        set_concept_params(loaded, seed=seed)
        clips.append(sound(loaded, prompt))
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
