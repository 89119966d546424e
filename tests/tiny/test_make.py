from functools import partial
import json
import subprocess

import pytest
from safetensors.torch import load_file
import torch

from audiocraft_ti.hashes import tensors_hash
from audiocraft_ti.models.loaders import load_base
from audiocraft_ti.models.audioldm import load_audioldm
from audiocraft_ti.tiny import audioldm, clap, dataset, judge, make, text

SHORT = ['optim.epochs=1', 'optim.updates_per_epoch=2', 'dataset.batch_size=2', 'dataset.valid.num_samples=2',
         'dataset.evaluate.num_samples=2', 'dataset.num_workers=0']


@pytest.fixture
def workplace(tmp_path, monkeypatch):
    """A folder in which all is made small, and nothing of the package's own is touched."""
    monkeypatch.chdir(tmp_path)
    for key in make.ENVIRONMENT:
        monkeypatch.setenv(key, '')  # what is set meanwhile is then gone afterwards
    monkeypatch.setattr(dataset, 'COUNTS', {'train': 64, 'valid': 2})
    monkeypatch.setattr(judge, 'train', partial(judge.train, count=48, epochs=1))
    monkeypatch.setattr(text, 'pretrain', partial(text.pretrain, updates=2))
    monkeypatch.setattr(clap, 'train', partial(clap.train, count=64, epochs=1))
    monkeypatch.setattr(audioldm, 'train', partial(audioldm.train, count=4))
    monkeypatch.setattr(audioldm, 'UPDATES', dict.fromkeys(audioldm.UPDATES, 2))
    for name in ('AUTOENCODER', 'CODEC', 'BEGINNINGS', 'LANGUAGE_MODEL'):
        overrides = {one.partition('=')[0]: one for one in (*getattr(make, name), *SHORT)}
        codec = 'compression' in overrides['solver']
        monkeypatch.setattr(make, name, [*overrides.values(), *(['rvq.kmeans_iters=2'] if codec else [])])
    for name in ('AUDIOLDM', 'BASE', 'CLAP', 'JUDGE', 'MADE'):
        monkeypatch.setattr(make, name, tmp_path / 'weights' / getattr(make, name).name)
    return tmp_path


def test_all_parts_are_made_and_fit_together(workplace):
    make.make()
    made = json.loads((workplace / 'weights/made.json').read_text())
    assert list(made) == list(make.PARTS)
    assert all(one['done'] and one['minutes'] >= 0 and one['torch'] == torch.__version__.split('+')[0]
               for one in made.values())
    base = load_base(str(workplace / 'weights/base'))
    assert base.cfg.conditioners.description.t5.finetune is False
    trained, shipped = (tensors_hash(load_file(workplace / folder / 't5/model.safetensors'))
                        for folder in ('outputs/tiny/base', 'weights/base'))
    assert trained == shipped
    assert not any('.t5.' in key for key in base.lm.state_dict())
    assert len(judge.load(workplace / 'weights/judge.safetensors').hear(torch.randn(3, 16000))[0]) == 3
    pipeline = load_audioldm(str(workplace / 'weights/audioldm')).pipeline
    assert pipeline('A guitar', audio_length_in_s=1, num_inference_steps=1).audios.shape == (1, 16000)
    autoencoder, codec = (torch.load(path)['best_state'] for path in (
        workplace / 'outputs/tiny/autoencoder.th', workplace / 'outputs/tiny/codec.bin'))
    books = {key: value for key, value in autoencoder['model'].items() if key.endswith('_codebook.embed')}
    assert len(books) == 2 and all(len(book.unique(dim=0)) > 200 for book in books.values())
    key = 'encoder.model.0.conv.conv.weight'
    assert (autoencoder['model'][key] - codec[key]).abs().max() < 0.02  # it went on from there

    before = {path: path.stat().st_mtime_ns for path in workplace.rglob('*') if path.is_file()}
    for part in make.PARTS:
        make.make(part)
    assert before == {path: path.stat().st_mtime_ns for path in before}


def test_what_is_interrupted_goes_on(workplace, monkeypatch):
    calls = workplace / 'calls'

    def call(name):
        with calls.open('a') as file:
            file.write(name)

    def fail():
        call('b')
        if calls.read_text().count('b') == 2:
            return
        raise subprocess.CalledProcessError(1, 'dora')
    monkeypatch.setattr(make, 'PARTS', {'a': make.Part(partial(call, 'a')), 'c': make.Part(partial(call, 'c'), ('b',)),
                                        'b': make.Part(fail, ('a',)), 'd': make.Part(partial(call, 'd'), ('c',))})
    with pytest.raises(subprocess.CalledProcessError):
        make.make()
    assert make._read('a')['done'] and not make._read('b')['done'] and not make._read('c')
    make.make('c')
    assert calls.read_text() == 'abbc' and not make.MADE.exists()
    make.make()
    assert calls.read_text() == 'abbcd' and json.loads(make.MADE.read_text())['b']['done']
