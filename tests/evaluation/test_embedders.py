import julius
import pytest
import torch

from audiocraft_ti import tiny
from audiocraft_ti.evaluation.embedders import ClapEmbedder
from audiocraft_ti.tiny.recordings import recording
from audiocraft_ti.tiny.voice import SAMPLE_RATE


@pytest.fixture(scope='module')
def embedder():
    return ClapEmbedder('tiny')


@pytest.fixture(scope='module')
def clips():
    return [torch.from_numpy(recording(name))[None] for name in ('organ', 'snare', 'bell')]


def test_embeddings_are_of_unit_length(embedder, clips):
    audio, text = embedder.audio(clips, SAMPLE_RATE), embedder.text(['A disco song with a guitar', 'A drone'])
    assert audio.shape[0] == 3 and text.shape[0] == 2 and audio.shape[1] == text.shape[1]
    for embeddings in (audio, text):
        assert torch.allclose(embeddings.norm(dim=-1), torch.ones(len(embeddings)), atol=1e-5)


@pytest.mark.parametrize('sample_rate, channels', [(44100, 2), (32000, 1), (8000, 2)])
def test_rate_and_channels_of_the_audio_make_little_difference(embedder, clips, sample_rate, channels):
    other = [julius.resample_frac(wav, SAMPLE_RATE, sample_rate).expand(channels, -1) for wav in clips[:1]]
    similarity = embedder.audio(clips[:1], SAMPLE_RATE) @ embedder.audio(other, sample_rate).T
    assert similarity.item() > (0.98 if sample_rate > SAMPLE_RATE else 0.9)


def test_a_text_means_the_same_whatever_stands_beside_it(embedder):
    alone = embedder.text(['A drone'])[0]
    assert torch.allclose(embedder.text(['A slow sad disco song with a low guitar', 'A drone'])[1], alone, atol=1e-5)


def test_a_folder_in_the_format_of_transformers_is_a_checkpoint(embedder, clips):
    assert torch.equal(ClapEmbedder(str(tiny.CLAP)).audio(clips, SAMPLE_RATE), embedder.audio(clips, SAMPLE_RATE))


def test_gradients_stay_on(embedder, clips):
    embedder.audio(clips[:1], SAMPLE_RATE)
    assert torch.is_grad_enabled()


def test_what_is_long_is_heard_whole_and_the_same_each_time(embedder, clips):
    long = torch.cat([*clips, clips[0][:, :1000]], 1)  # three windows, and a rest that is too short for one
    mean = embedder.audio(clips, SAMPLE_RATE).mean(0)
    assert torch.allclose(embedder.audio([long], SAMPLE_RATE)[0], mean / mean.norm(), atol=1e-5)
