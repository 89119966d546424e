from functools import partial
import json
from pathlib import Path
import subprocess
import sys

import pytest
from safetensors.torch import load_file
import torch

from audiocraft_ti.hashes import tensors_hash
from audiocraft_ti.models.loaders import load_base
from audiocraft_ti.models.audioldm import load_audioldm
from audiocraft_ti.tiny import judge, make

SMALL = Path(__file__).with_name('make_small.py')


@pytest.fixture
def workplace(tmp_path, monkeypatch):
    """A folder to make the parts in."""
    monkeypatch.chdir(tmp_path)
    for key in make.ENVIRONMENT:
        monkeypatch.setenv(key, '')  # what is set meanwhile is then gone afterwards
    return tmp_path


def test_all_parts_are_made_and_fit_together(workplace):
    again = [sys.executable, str(SMALL)]
    subprocess.run(again, check=True)
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
    autoencoder, codec = (torch.load(path, weights_only=False)['best_state'] for path in (
        workplace / 'outputs/tiny/autoencoder.th', workplace / 'outputs/tiny/codec.bin'))
    books = {key: value for key, value in autoencoder['model'].items() if key.endswith('_codebook.embed')}
    assert len(books) == 2 and all(len(book.unique(dim=0)) > 200 for book in books.values())
    key = 'encoder.model.0.conv.conv.weight'
    assert (autoencoder['model'][key] - codec[key]).abs().max() < 0.02  # it went on from there

    before = {path: path.stat().st_mtime_ns for path in workplace.rglob('*') if path.is_file()}
    subprocess.run(again, check=True)
    before.pop(workplace / 'weights/made.json')  # written anew
    assert before == {path: path.stat().st_mtime_ns for path in before}


def call(calls, name):
    with calls.open('a') as file:
        file.write(name)


def fail_at_first(calls, name):
    call(calls, name)
    if calls.read_text().count(name) == 1:
        raise subprocess.CalledProcessError(1, 'dora')


def test_what_is_interrupted_goes_on(workplace, monkeypatch):
    calls = workplace / 'calls'
    monkeypatch.setattr(make, 'MADE', workplace / 'made.json')
    monkeypatch.setattr(make, 'PARTS', {
        'a': make.Part(partial(call, calls, 'a')), 'c': make.Part(partial(call, calls, 'c'), ('b',)),
        'b': make.Part(partial(fail_at_first, calls, 'b'), ('a',)), 'd': make.Part(partial(call, calls, 'd'), ('c',))})
    with pytest.raises(subprocess.CalledProcessError):
        make.make()
    assert make._read('a')['done'] and not make._read('b')['done'] and not make._read('c')
    make.make('c')
    assert calls.read_text() == 'abbc' and not make.MADE.exists()
    make.make()
    assert calls.read_text() == 'abbcd' and json.loads(make.MADE.read_text())['b']['done']
