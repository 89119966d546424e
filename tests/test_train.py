"""The command line's end of things, in this process."""
import sys

import numpy as np
import pytest
import soundfile
import torch

from audiocraft_ti import environment, train

CONFIGS = sorted({path.relative_to(environment.CONFIG / 'solver').with_suffix('').as_posix()
                  for path in (environment.CONFIG / 'solver').rglob('*.yaml') if path.name != 'default.yaml'}
                 - {'concept', 'diffusion', 'textual_inversion', 'audioldm/tiny'})  # which are parts of others
DSETS = sorted(path.relative_to(environment.CONFIG / 'dset').with_suffix('').as_posix()
               for path in (environment.CONFIG / 'dset').rglob('*.yaml') if path.name != 'default.yaml')


@pytest.mark.parametrize('argument', [*(f'solver={name}' for name in CONFIGS), *(f'dset={name}' for name in DSETS)])
def test_every_config_composes(argument):
    cfg = train.main.get_xp(['solver=musicgen/ti', argument]).cfg
    assert {'train', 'valid'} <= set(cfg.datasource)
    assert cfg.solver in ('textual_inversion', 'fine_tuning', 'audioldm_ti', 'audioldm_dreambooth', 'stable_audio_ti',
                          'compression', 'tiny_musicgen')


def test_the_same_arguments_make_the_same_signature():
    argvs = [['solver=musicgen/ti_tiny', 'seed=1'], ['solver=musicgen/ti_tiny'], ['solver=audioldm/ti_tiny', 'seed=1']]
    train.main._get_defaults.cache_clear()
    composed, cached = ([train.main.get_xp(argv) for argv in argvs] for _ in range(2))
    assert [xp.sig for xp in composed] == [xp.sig for xp in cached] and len({xp.sig for xp in composed}) == 3
    assert [xp.delta for xp in cached] == [
        [['solver', 'musicgen/ti_tiny'], ['seed', 1]], [['solver', 'musicgen/ti_tiny']],
        [['solver', 'audioldm/ti_tiny'], ['seed', 1]]]


@pytest.mark.parametrize('solver, updates, rate', [('ti', 3000, 2e-3), ('dreambooth', 300, 1e-6)])
def test_dreamsounds_settings_are_the_defaults_on_audioldm(solver, updates, rate):  # P26
    cfg = train.main.get_xp([f'solver=audioldm/{solver}']).cfg
    assert cfg.continue_from == '//pretrained/cvssp/audioldm-m-full' and cfg.dataset.segment_duration == 10
    assert cfg.optim.epochs * cfg.optim.updates_per_epoch == updates and cfg.optim.lr == rate
    assert cfg.dataset.batch_size == cfg.optim.accumulate == 4 and cfg.dataset.augment == 0
    assert cfg.concept.get('init', 'mean') == 'mean' and cfg.concept.get('num_vectors', 1) == 1
    assert cfg.concept.get('prior', {'weight': 1})['weight'] == 1


def test_the_papers_settings_are_the_defaults():
    cfg = train.main.get_xp(['solver=musicgen/ti', 'dset=concept/folder']).cfg
    assert cfg.continue_from == '//pretrained/facebook/musicgen-large'  # P18
    assert cfg.optim.epochs * cfg.optim.updates_per_epoch == 1000 and cfg.dataset.batch_size == 32  # P9
    assert cfg.dataset.segment_duration == 2 and cfg.concept.num_vectors == 10  # P8, P2
    assert cfg.concept.shuffle and cfg.concept.sample_ratio == 0.5 and cfg.concept.max_length == 512  # P15, P16, P6
    assert cfg.concept.train_ratio == 1
    assert cfg.optim.optimizer == 'adamw' and list(cfg.optim.adam.betas) == [0.9, 0.999]  # P10
    assert cfg.concept.init == 'gaussian' and cfg.optim.lr_relative and cfg.optim.l1_decay == 0.01  # P3, P13, P11
    assert cfg.schedule.lr_scheduler == 'warmup_exponential'  # P12
    assert cfg.schedule.warmup_exponential == {'warmup': 10, 'gamma': 0.99}
    assert cfg.concept.orthogonality.weight > 0  # P17
    assert cfg.optim.ema.use and cfg.optim.ema.decay == 0.95 and cfg.optim.ema.updates == 1  # P14


@pytest.fixture
def fails(tmp_path, monkeypatch, recordings):
    """Runs the command with some overrides, and returns the one sentence with which it must fail."""
    monkeypatch.setattr(train.main.dora, 'dir', tmp_path / 'dora')
    defaults = {'solver': 'musicgen/ti_tiny', 'concept.name': 'amen', 'datasource.folder': str(recordings),
                'optim.epochs': '1', 'optim.updates_per_epoch': '1', 'dataset.batch_size': '1'}

    def call(*overrides: str) -> str:
        values = {**defaults, **dict(override.split('=', 1) for override in overrides)}
        monkeypatch.setattr(sys, 'argv', ['train', *(f'{key}={value}' for key, value in values.items())])
        with pytest.raises(SystemExit) as exit_:
            train.main()
        message = exit_.value.code  # a text goes to stderr, and the status is 1
        assert isinstance(message, str) and message.startswith('error: ') and '\n' not in message
        return message
    return call


@pytest.mark.parametrize('override', [
    'datasource.folder=/gone', 'datasource.train=/gone.jsonl', 'datasource.valid=/gone.jsonl',
    '"concept.name=two words"', 'concept.name=a.b', 'concept.name=pad', 'concept.num_vectors=0',
    'concept.num_vectors=-1', 'concept.init=zeros', 'concept.init=token', 'concept.num_vectors=many',
    'concept.sample_ratio=0', 'concept.sample_ratio=1.5', 'concept.train_ratio=0',
    'dataset.segment_duration=0', 'dataset.segment_duration=60', 'dataset.batch_size=0', 'optim.lr=0',
    'optim.epochs=0', 'optim.patience=0', 'optim.updates_per_epoch=0', 'dataset.valid.num_samples=0',
    'dataset.neutral_prompts=[A recording]', 'dataset.neutral_prompts=/gone.txt', 'continue_from=gone',
    'continue_from=facebook/gone', 'continue_from=//sig/gone',
    'generate.prompts.editability=disco'])
def test_a_value_that_does_not_fit_is_named(fails, override):
    key, value = override.strip('"').split('=', 1)
    message = fails(override.strip('"'))
    assert key in message and (key == 'dataset.segment_duration' or value.strip('[]') in message)


@pytest.mark.parametrize('argument', ['concpt.name=amen', 'solver=musicgen/tiny_ti', 'concept.name', 'seed=[1',
                                      'generate.prompts.editability=A {} song'])
def test_arguments_that_hydra_does_not_understand(argument):
    with pytest.raises(SystemExit, match='^error: [^\n]*' + argument.split('=')[0].split('/')[0][:6]):
        train.main.get_xp(['solver=musicgen/ti_tiny', argument])


def test_what_must_be_given_is_named(fails):
    assert 'concept.name' in fails('concept.name=null')
    assert 'datasource.folder' in fails('datasource.folder=null')
    assert 'continue_from' in fails('continue_from=null')


@pytest.mark.skipif(torch.cuda.is_available(), reason='there is a GPU')
def test_cuda_where_there_is_none(fails):
    assert 'device=cpu' in fails('device=cuda')


def test_a_folder_of_nothing_useful_names_a_file(fails, tmp_path):
    folder = tmp_path / 'clips'
    folder.mkdir()
    assert str(folder) in fails(f'datasource.folder={folder}')
    soundfile.write(folder / 'short.wav', np.ones(8000) / 2, 16000)
    assert 'short.wav' in fails(f'datasource.folder={folder}')


def test_a_stage_alone_needs_something_learned(fails):
    assert 'continue_from=//sig/' in fails('execute_only=generate')
