from types import SimpleNamespace

from audiocraft.solvers.musicgen import MusicGenSolver
import numpy as np
import pytest
import torch

from audiocraft_ti.tiny import dataset, world
from audiocraft_ti.tiny.solver import remember, TinyMusicGenSolver


def test_every_clip_is_encoded_once(tmp_path):
    met = []

    def encode(audio):
        met.extend(audio[:, 0, 0].tolist())
        return audio[:, :, ::2].long(), None

    remembered, audio = remember(encode, tmp_path), torch.arange(24.).view(4, 1, 6)
    for rows in ([0, 1], [1, 2], [3, 0, 2]):
        codes, scale = remembered(audio[rows])
        assert codes.tolist() == audio[rows][:, :, ::2].long().tolist()
        assert codes.dtype == torch.long and scale is None
    assert met == [0, 6, 12, 18]
    assert remember(encode, tmp_path)(audio)[0].tolist() == audio[:, :, ::2].long().tolist() and len(met) == 4


@pytest.mark.parametrize('stage, number', [('train', 20), ('valid', 1)])
def test_a_clip_that_is_trained_on_comes_with_another_true_caption_each_time(monkeypatch, tmp_path, stage, number):
    (tmp_path / 'train').mkdir()
    dataset._write_clip(tmp_path, 'train', 3)
    path = tmp_path / 'train/00003.wav'
    attributes = dataset.attributes_of(path)
    assert isinstance(attributes, world.Attributes) and attributes == dataset.draw_clip('train', 3)[1]
    solver, met = object.__new__(TinyMusicGenSolver), []
    solver.rng = np.random.default_rng(0)
    monkeypatch.setattr(TinyMusicGenSolver, 'current_stage', stage)
    monkeypatch.setattr(MusicGenSolver, 'run_step', lambda self, idx, batch, _: met.append(batch[1][0].description))
    info = SimpleNamespace(meta=SimpleNamespace(path=str(path)), description='A song')
    for _ in range(30):
        solver.run_step(0, (torch.zeros(1, 1, 8), [info]), {})
    assert len(set(met)) >= number and (stage == 'train') == ('A song' not in met)
    words = {word for one in met for word in one.lower().split()} & {*world.STYLES}
    assert words <= {attributes.style}
