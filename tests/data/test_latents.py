import pytest
import torch

from audiocraft_ti.data import augment
from audiocraft_ti.data.latents import AugmentedCache, LatentCache, windows
from audiocraft_ti.data.manifest import Clip
from audiocraft_ti.data.mel import LogMel
from audiocraft_ti.models.audioldm import load_audioldm


@pytest.mark.parametrize('clip, starts', [
    (Clip('a.wav', 4., 16000), [0]), (Clip('a.wav', 9., 16000, start=1.), [1, 2, 3, 4, 5]),
    (Clip('a.wav', 5.5, 16000), [0, 0.75, 1.5])])
def test_windows_are_as_long_as_asked_and_spread_over_the_clip(clip, starts):
    found = windows(clip, 4.)
    assert [one.start for one in found] == pytest.approx(starts, abs=1e-3)
    assert all(one.length == pytest.approx(4.) and one.duration <= clip.duration + 1e-9 for one in found)


def test_a_spectrogram_is_log_magnitudes_in_slaneys_bands():
    """Against a discrete Fourier transform and librosa's bands, in float64."""
    import librosa
    wav = torch.randn(1, 16000, generator=torch.Generator().manual_seed(0))
    mel = LogMel(16000, 160, 64)(wav)
    assert mel.shape == (1, 1, 100, 64)
    scaled = wav[0].double() - wav.mean()
    scaled = 0.5 * scaled / scaled.abs().max()
    hann = 0.5 - 0.5 * torch.cos(2 * torch.pi * torch.arange(1024).double() / 1024)
    bands = torch.from_numpy(librosa.filters.mel(sr=16000, n_fft=1024, n_mels=64, fmin=0, fmax=8000)).double()
    for frame in (10, 50):
        piece = scaled[160 * frame - 512:160 * frame + 512] * hann
        expected = (bands @ torch.fft.rfft(piece).abs()).clamp(min=1e-5).log()
        torch.testing.assert_close(mel[0, 0, frame].double(), expected, rtol=0, atol=1e-3)


def test_a_spectrogram_does_not_depend_on_loudness_or_an_offset():
    wav, mel = torch.randn(1, 8000), LogMel(16000, 160, 64)
    torch.testing.assert_close(mel(0.01 * wav + 0.3), mel(wav), rtol=0, atol=1e-2)


def test_latents_are_those_of_the_autoencoder(recordings, tmp_path):
    codec = load_audioldm('tiny').codec
    path = sorted(recordings.glob('*.wav'))[0]
    cache = LatentCache(tmp_path, codec)
    moments = cache(Clip(str(path), 4., 16000))
    assert moments.shape == (16, 16, 50) and torch.equal(cache(Clip(str(path), 4., 16000)), moments)
    assert codec.frame_rate * 4 == 50
    mean = moments[:8].transpose(1, 2)[None]
    drawn = torch.stack([codec.draw(moments[None], torch.Generator().manual_seed(seed)) for seed in range(200)])
    scale = codec.vae.config.scaling_factor
    spread = (0.5 * moments[8:]).exp().transpose(1, 2)[None] * scale
    torch.testing.assert_close(drawn.mean(0), mean * scale, rtol=0, atol=0.4 * spread.max().item())
    torch.testing.assert_close(drawn.std(0), spread, rtol=0.35, atol=1e-4)


def test_augmented_versions_differ_from_each_other_and_stay_the_same(recordings, tmp_path):
    codec = load_audioldm('tiny').codec
    clip = Clip(str(sorted(recordings.glob('*.wav'))[0]), 4., 16000)
    plain = LatentCache(tmp_path, codec)(clip)
    first, second = (AugmentedCache(version, folder=tmp_path, codec=codec)(clip) for version in (0, 1))
    assert not torch.equal(first, plain) and not torch.equal(first, second)
    again = AugmentedCache(0, folder=tmp_path / 'other', codec=codec)(clip)
    assert torch.equal(first, again) and torch.equal(plain, LatentCache(tmp_path, codec)(clip))


@pytest.mark.parametrize('effect', augment.EFFECTS, ids=lambda effect: effect.__name__)
def test_every_effect_changes_audio_and_keeps_its_length(effect):
    wav = torch.randn(1, 16000, generator=torch.Generator().manual_seed(0))
    changed = effect(wav, 16000, torch.Generator().manual_seed(1))
    assert changed.shape == wav.shape and changed.isfinite().all() and not torch.allclose(changed, wav)


def test_what_is_left_out_are_whole_stripes():
    mel = torch.rand(1, 1, 400, 64) + 1
    draws = torch.Generator().manual_seed(0)
    gone = augment.leave_out(mel, draws)[0, 0] == mel.min()
    frames, bands = gone.all(1), gone.all(0)
    assert 0 < frames.sum() <= 128 and 0 < bands.sum() <= 16
    assert not gone[~frames][:, ~bands].sum() > 1  # but for the least of all, which is as it was
