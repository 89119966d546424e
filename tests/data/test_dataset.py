from collections import Counter

import pytest
import torch

from audiocraft_ti.data.dataset import ConceptDataset, describe
from audiocraft_ti.data.manifest import Clip

CLIPS = [Clip('a.wav', 3., 16000), Clip('b.wav', 10., 16000, start=4.)]
CODES = [torch.arange(150).repeat(4, 1).short(), torch.arange(1000, 1300).repeat(4, 1).short()]


def dataset(shuffle=True, num_samples=500, seed=1):
    return ConceptDataset(CLIPS, CODES, ['A {}', 'The {}', 'One {}'], '<x>', steps=100, frame_rate=50,
                          num_samples=num_samples, seed=seed, shuffle=shuffle, sample_rate=16000, channels=1)


def test_crops_have_100_tokens_for_two_seconds_and_a_prompt():  # P8, P5
    data = dataset()
    seen = Counter()
    for index in range(len(data)):
        codes, info = data[index]
        start = int(codes[0, 0])
        assert codes.shape == (4, 100) and codes.dtype == torch.int16
        assert torch.equal(codes, torch.arange(start, start + 100).repeat(4, 1))
        assert info.seek_time == pytest.approx(start / 50 if start < 1000 else 4 + (start - 1000) / 50)
        assert info.meta.path == ('a.wav' if start < 1000 else 'b.wav')
        assert info.n_frames == info.total_frames == 32000
        seen[info.description] += 1
        seen[info.meta.path] += 1
    assert {'A <x>', 'The <x>', 'One <x>'} < set(seen)
    assert all(count > 120 for text, count in seen.items() if '<x>' in text)
    # 51 crops are possible in the one, 201 in the other
    assert seen['a.wav'] / 500 == pytest.approx(51 / 252, abs=0.06)


def draws(data, epoch):
    data.current_epoch = epoch
    return [(data[i][0][0, 0].item(), data[i][1].description) for i in range(20)]


def test_draws_follow_from_seed_epoch_and_index():
    assert draws(dataset(), 3) == draws(dataset(), 3)
    assert draws(dataset(), 3) != draws(dataset(), 4)
    assert draws(dataset(seed=1), 3) != draws(dataset(seed=2), 3)
    assert draws(dataset(shuffle=False), 3) == draws(dataset(shuffle=False), 4)


def test_collates_to_a_batch():
    data = dataset()
    codes, infos = data.collater([data[0], data[1]])
    assert codes.shape == (2, 4, 100) and len(infos) == 2


def test_conditions_are_the_text_and_no_melody():
    attributes = describe('hello', sample_rate=16000).to_condition_attributes()
    assert attributes.text['description'] == 'hello'
    assert attributes.wav['self_wav'].length.item() == 0
    assert not attributes.wav['self_wav'].wav.any()


def test_a_clip_shorter_than_a_crop_is_refused():
    with pytest.raises(AssertionError):
        ConceptDataset(CLIPS, [codes[:, :99] for codes in CODES], ['{}'], '<x>', 100, 50, 1, 0, True, 16000, 1)
