import json

import numpy as np
import pytest
import soundfile

from audiocraft_ti import environment
from audiocraft_ti.tiny import dataset


@pytest.fixture
def folder(tmp_path, monkeypatch):
    monkeypatch.setattr(dataset, 'COUNTS', {'train': 3, 'valid': 2})
    dataset.write_dataset(tmp_path)
    return tmp_path


def test_audiocraft_reads_clips_and_captions(folder):
    environment.prepare()
    from audiocraft.data.music_dataset import MusicDataset
    music = MusicDataset.from_meta(folder / 'train.jsonl', segment_duration=4., sample_rate=16000, channels=1,
                                   min_segment_ratio=1., info_fields_required=False, shuffle=False)
    assert len(music.meta) == 3
    for index in range(3):
        wav, info = music[index]
        number = int(info.meta.path[-9:-4])
        expected, attributes, text = dataset.draw_clip('train', number)
        assert info.description == text and wav.shape == (1, 64000)
        np.testing.assert_allclose(wav[0], expected, atol=1e-4)


def test_true_attributes_lie_beside_the_audio(folder):
    for index in range(2):
        beside = json.loads((folder / f'valid/{index:05}.json').read_text())
        _, attributes, text = dataset.draw_clip('valid', index)
        assert beside == {**vars(attributes), 'description': text}


def test_splits_share_no_clip():
    assert not np.array_equal(dataset.draw_clip('train', 0)[0], dataset.draw_clip('valid', 0)[0])


def test_what_is_there_is_not_made_again(folder, monkeypatch):
    monkeypatch.setattr(soundfile, 'write', lambda *_: pytest.fail('made again'))
    dataset.write_dataset(folder)
    assert not list(folder.glob('*.tmp'))
