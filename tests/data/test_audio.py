import av
import numpy as np
import pytest
import soundfile
import torch

from audiocraft_ti.data import audio

RATE = 44100


def tone(seconds: float = 1., rate: int = RATE, channels: int = 2) -> np.ndarray:
    """A tone of 440 Hz, [T, channels], the second channel at half the level."""
    wave = 0.5 * np.sin(2 * np.pi * 440 * np.arange(int(seconds * rate)) / rate)
    return np.stack([wave / (c + 1) for c in range(channels)], axis=1)


def write_m4a(path, samples, rate):
    with av.open(str(path), 'w') as file:
        stream = file.add_stream('aac', rate=rate, layout='stereo')
        frame = av.AudioFrame.from_ndarray(np.ascontiguousarray(samples.T.astype(np.float32)), 'fltp', 'stereo')
        frame.sample_rate = rate
        for packet in [*stream.encode(frame), *stream.encode(None)]:
            file.mux(packet)


@pytest.mark.parametrize('name, subtype, tolerance', [
    ('a.wav', 'PCM_U8', 1e-2), ('a.wav', 'PCM_16', 1e-4), ('a.wav', 'PCM_24', 1e-6), ('a.wav', 'PCM_32', 1e-6),
    ('a.wav', 'FLOAT', 1e-6), ('a.wav', 'DOUBLE', 1e-6), ('a.flac', 'PCM_16', 1e-4), ('a.ogg', 'VORBIS', 5e-2),
    ('a.mp3', 'MPEG_LAYER_III', 5e-2), ('a.m4a', None, 5e-2), ('A.WAV', 'PCM_16', 1e-4), ('A.FLAC', 'PCM_16', 1e-4)])
def test_reads_what_people_have(tmp_path, name, subtype, tolerance):
    samples = tone()
    if subtype is None:
        write_m4a(tmp_path / name, samples, RATE)
    else:
        soundfile.write(tmp_path / name, samples, RATE, subtype=subtype)
    wav, rate = audio.read(tmp_path / name)
    assert rate == RATE and wav.dtype == torch.float32 and wav.shape[0] == 2
    assert wav.shape[1] == pytest.approx(RATE, rel=0.1)
    # Coded formats delay the signal, so levels are compared away from the borders.
    middle = wav[:, 10000:30000]
    assert middle.abs().amax(dim=1).tolist() == pytest.approx([0.5, 0.25], abs=max(tolerance, 1e-4))
    if tolerance < 1e-2:
        assert np.abs(wav.numpy().T - samples).max() < tolerance


@pytest.mark.parametrize('rate, channels', [(8000, 1), (22050, 2), (48000, 1), (96000, 2)])
def test_converts_to_the_models_format(tmp_path, rate, channels):
    soundfile.write(tmp_path / 'a.wav', tone(1.5, rate, channels), rate)
    wav = audio.read_as(tmp_path / 'a.wav', 32000, 1)
    assert wav.shape == (1, 48000)
    spectrum = np.abs(np.fft.rfft(wav[0].numpy()))
    assert spectrum.argmax() / 1.5 == pytest.approx(440, abs=1)


def test_writes_wav_without_the_ffmpeg_program(tmp_path, monkeypatch):
    monkeypatch.setenv('PATH', str(tmp_path))
    wav = torch.tensor([[0., 0.5, -0.5, 2., -2.]])
    samples, rate = soundfile.read(audio.write(tmp_path / 'new' / 'a.wav', wav, 16000))
    assert rate == 16000
    assert samples == pytest.approx([0, 0.5, -0.5, 1, -1], abs=1e-4)
