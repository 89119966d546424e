from dataclasses import replace
import os

import numpy as np
import pytest
import soundfile
import torch

from audiocraft_ti.data import audio, tokens
from audiocraft_ti.data.manifest import Clip
from audiocraft_ti.errors import UserError
from audiocraft_ti.tiny.recordings import recording


@pytest.fixture
def clip(tmp_path, base):
    soundfile.write(tmp_path / 'a.wav', recording(), 16000)
    return Clip(str(tmp_path / 'a.wav'), 4., 16000)


def wav_of(clip, base):
    return audio.read_as(clip.path, base.codec.sample_rate, base.codec.channels)


def test_tokens_are_the_codecs_own(clip, base):
    wav = wav_of(clip, base)
    expected, _ = base.codec.encode(wav[None])
    codes = tokens.encode(base.codec, wav)
    assert codes.shape == (2, 200) and codes.dtype == torch.int16
    assert torch.equal(codes.long(), expected[0])


@pytest.mark.parametrize('samples, steps', [(32000, 100), (32319, 100), (31999, 99)])
def test_a_step_for_every_full_frame(base, samples, steps):
    assert tokens.encode(base.codec, torch.rand(1, samples) - 0.5).shape == (2, steps)


def test_long_audio_in_pieces_gives_the_same_tokens(base, monkeypatch):
    wav = torch.from_numpy(np.concatenate([recording(index=index) for index in range(3)]))[None]
    whole = tokens.encode(base.codec, wav)
    monkeypatch.setattr(tokens, 'PIECE', 3)
    pieces = tokens.encode(base.codec, wav)
    # three seconds a piece, with one second of context on either side: 150 and 50 steps of 320 samples
    middle, _ = base.codec.encode(wav[None, :, 100 * 320:350 * 320])
    assert torch.equal(pieces[:, 150:300].long(), middle[0, :, 50:200])
    assert pieces.shape == whole.shape
    assert (pieces == whole).float().mean() > 0.99  # the codec's LSTM remembers a little more than a second


def test_cache_computes_once_and_leaves_the_users_folder_alone(tmp_path, clip, base, monkeypatch):
    before = sorted(tmp_path.iterdir())
    cache = tokens.TokenCache(tmp_path.parent / 'cache', base.codec)
    codes = cache(clip)
    assert sorted(tmp_path.iterdir()) == before
    assert torch.equal(codes, tokens.encode(base.codec, wav_of(clip, base)))
    monkeypatch.setattr(tokens, 'encode', lambda *_: pytest.fail('computed twice'))
    assert torch.equal(cache(clip), codes)
    # a copy elsewhere is the same recording
    (tmp_path / 'b.wav').write_bytes((tmp_path / 'a.wav').read_bytes())
    assert torch.equal(cache(replace(clip, path=str(tmp_path / 'b.wav'))), codes)


def test_cache_tells_content_stretch_and_codec_apart(tmp_path, clip, base):
    cache = tokens.TokenCache(tmp_path / 'cache', base.codec)
    paths = {cache.path(clip), cache.path(replace(clip, start=2.)), cache.path(replace(clip, duration=3.))}
    assert cache(replace(clip, start=2.)).shape == (2, 100)
    soundfile.write(clip.path, recording(index=1), 16000)
    paths.add(cache.path(clip))
    codebook = base.codec.quantizer.vq.layers[0]._codebook.embed
    codebook[0, 0] += 1e-3  # a buffer, which upstream's model_hash does not look at
    paths.add(tokens.TokenCache(tmp_path / 'cache', base.codec).path(clip))
    codebook[0, 0] -= 1e-3
    assert len(paths) == 5


def test_a_recording_that_has_gone_is_named(tmp_path, clip, base):
    with pytest.raises(UserError, match='gone.wav'):
        tokens.TokenCache(tmp_path, base.codec)(replace(clip, path=str(tmp_path / 'gone.wav')))


def test_a_killed_write_leaves_no_file(tmp_path, clip, base, monkeypatch):
    cache = tokens.TokenCache(tmp_path / 'cache', base.codec)
    monkeypatch.setattr(os, 'rename', lambda *_: (_ for _ in ()).throw(KeyboardInterrupt))
    with pytest.raises(KeyboardInterrupt):
        cache(clip)
    assert not cache.path(clip).exists()
