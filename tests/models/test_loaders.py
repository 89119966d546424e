from collections import defaultdict
import shutil

from omegaconf import OmegaConf
import pytest
import torch

from audiocraft_ti import tiny
from audiocraft_ti.errors import UserError
from audiocraft_ti.models.loaders import find_base, load_base


@pytest.fixture
def export(tmp_path):
    """A copy of the tiny base in a folder of the user's."""
    return shutil.copytree(tiny.BASE, tmp_path / 'export')


@pytest.fixture(autouse=True)
def dora_dir(tmp_path, monkeypatch):
    from audiocraft_ti import train
    monkeypatch.setattr(train.main.dora, 'dir', tmp_path / 'dora')
    return tmp_path / 'dora'


def edit(export, **changes):
    """Change the exported language model's package; a value of None takes a key out."""
    pkg = torch.load(export / 'state_dict.bin')
    pkg = {key: value for key, value in {**pkg, **changes}.items() if value is not None}
    torch.save(pkg, export / 'state_dict.bin')


def test_a_base_is_what_its_checkpoint_says(base):
    assert base.cfg.transformer_lm.dim == base.lm.dim == 128
    assert base.codec.sample_rate == 16000 and base.codec.frame_rate == 50 and base.codec.num_codebooks == 2
    assert not base.lm.training and not base.codec.training
    pattern = base.lm.pattern_provider.get_pattern(3)
    assert [[coord.q for coord in step] for step in pattern.layout[1:4]] == [[0], [0, 1], [0, 1]]  # delays


@pytest.mark.parametrize('form', ['{}', '//pretrained/{}'])
def test_folders_of_the_users(export, base, form):
    loaded = load_base(form.format(export))
    assert loaded.fingerprint == base.fingerprint
    for key, value in base.lm.state_dict().items():
        assert torch.equal(loaded.lm.state_dict()[key], value)


def test_weights_take_the_type_that_was_asked_for(export):
    types = {p.dtype for p in load_base(str(export), dtype='bfloat16').lm.transformer.parameters()}
    assert types == {torch.bfloat16}


def save_run(dora_dir, sig, state):
    folder = dora_dir / 'xps' / sig
    folder.mkdir(parents=True)
    torch.save(state, folder / 'checkpoint.th')


def test_runs_that_trained_a_base_in_upstreams_format(dora_dir, export, base):
    lm, codec = torch.load(export / 'state_dict.bin'), torch.load(export / 'compression_state_dict.bin')
    cfg = OmegaConf.create(lm['xp.cfg'])
    cfg.compression_model_checkpoint = '//sig/bbbb'
    cfg.conditioners.description.t5.name = str(export / 't5')
    save_run(dora_dir, 'aaaa', {'best_state': {'model': lm['best_state']}, 'fsdp_best_state': {}, 'xp.cfg': cfg,
                                'ema': {'state': defaultdict(dict)}})
    save_run(dora_dir, 'bbbb', {'best_state': {'model': codec['best_state']},
                                'xp.cfg': OmegaConf.create(codec['xp.cfg'])})
    assert find_base('//sig/aaaa') == ('//sig/aaaa', None)
    loaded = load_base('//sig/aaaa')
    assert loaded.fingerprint == base.fingerprint
    assert torch.equal(next(loaded.codec.parameters()), next(base.codec.parameters()))


def test_runs_that_learned_a_concept_lead_to_their_base(dora_dir):
    for sig, origin in (('aaaa', 'tiny'), ('bbbb', '//sig/aaaa')):
        save_run(dora_dir, sig, {'xp.cfg': f'solver: textual_inversion\ncontinue_from: {origin}'})
    assert find_base('tiny') == ('tiny', None)
    assert find_base('//sig/aaaa') == ('tiny', '//sig/aaaa')
    assert find_base('//sig/bbbb') == ('tiny', '//sig/bbbb')


@pytest.mark.parametrize('name', ['gone', './gone', '/gone/base', '~/gone', 'a/b/c'])
def test_a_base_that_does_not_exist(name):
    with pytest.raises(UserError, match=f'continue_from={name} does not exist'):
        load_base(name)


@pytest.mark.parametrize('name', ['facebook/musicgen-large', '//pretrained/nobody/nothing', '//sig/gone'])
def test_a_base_that_is_out_of_reach(name):
    with pytest.raises(UserError, match=f'continue_from={name}') as error:
        load_base(name)
    assert '\n' not in str(error.value)


def test_folders_that_are_no_export(export):
    (export / 'compression_state_dict.bin').unlink()
    with pytest.raises(UserError, match='without compression_state_dict.bin'):
        load_base(str(export))


def test_an_export_without_its_configuration(export):
    edit(export, **{'xp.cfg': None})
    with pytest.raises(UserError, match='xp.cfg'):
        load_base(str(export))


def test_an_export_without_t5(export):
    cfg = OmegaConf.create(torch.load(export / 'state_dict.bin')['xp.cfg'])
    cfg.conditioners.description = {'model': 'lut', 'lut': {'n_bins': 8, 'dim': 4, 'tokenizer': 'noop'}}
    edit(export, **{'xp.cfg': OmegaConf.to_yaml(cfg)})
    with pytest.raises(UserError, match='T5 text conditioner'):
        load_base(str(export))


@pytest.mark.parametrize('content', [b'', b'not a checkpoint'])
def test_a_broken_file(export, content):
    (export / 'state_dict.bin').write_bytes(content)
    with pytest.raises(UserError, match='cannot be loaded') as error:
        load_base(str(export))
    assert '\n' not in str(error.value)


class Trap:
    def __reduce__(self):
        return pytest.fail, ('a checkpoint of unknown origin was unpickled',)


def test_nothing_but_tensors_is_unpickled(export):
    edit(export, trap=Trap())
    with pytest.raises(UserError, match='cannot be loaded'):
        load_base(str(export))
