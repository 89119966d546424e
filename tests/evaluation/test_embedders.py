import json

import julius
import numpy as np
import pytest
import torch
from transformers import BartConfig, RobertaConfig, RobertaModel

from audiocraft_ti import tiny
from audiocraft_ti.errors import UserError
from audiocraft_ti.evaluation.embedders import ClapEmbedder, LaionEmbedder
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


@pytest.fixture(scope='module')
def laion(tmp_path_factory):
    """laion_clap's own model with random weights, and a text encoder of one layer in the place of RoBERTa's."""
    folder = tmp_path_factory.mktemp('laion')
    vocabulary = len(json.loads((tiny.CLAP / 'vocab.json').read_text()))
    for name in ('roberta-base', 'facebook/bart-base', 'bert-base-uncased'):  # it reads all of them when imported
        (folder / name).mkdir(parents=True)
        for file in ('vocab.json', 'merges.txt'):
            (folder / name / file).write_bytes((tiny.CLAP / file).read_bytes())
    (folder / 'bert-base-uncased/vocab.txt').write_text('[UNK]\n[PAD]\n[CLS]\n[SEP]\n[MASK]\n')
    BartConfig().save_pretrained(folder / 'facebook/bart-base')
    config = RobertaConfig(vocab_size=vocabulary, num_hidden_layers=1, intermediate_size=64, max_position_embeddings=96)
    RobertaModel(config).save_pretrained(folder / 'roberta-base')
    with pytest.MonkeyPatch.context() as patch:
        patch.chdir(folder)
        import laion_clap
        torch.manual_seed(0)
        model = laion_clap.CLAP_Module(enable_fusion=False, amodel='HTSAT-base', device='cpu')
        state = {f'module.{key}': value for key, value in model.model.state_dict().items()}
        state['module.text_branch.embeddings.position_ids'] = torch.arange(96)[None]
        torch.save({'epoch': 15, 'best': np.float64(0.9), 'state_dict': state}, 'random.pt')
        yield LaionEmbedder('random.pt'), model


def test_laion_clap_gives_what_it_gives_by_itself(laion, clips):
    embedder, model = laion
    wav = julius.resample_frac(clips[0], SAMPLE_RATE, 48000)
    with torch.no_grad():
        audio = model.get_audio_embedding_from_data(wav, use_tensor=True)
        text = model.get_text_embedding(['A drone', 'A disco song'], use_tensor=True)
    assert torch.allclose(embedder.audio([wav], 48000), audio / audio.norm(), atol=1e-6)
    assert torch.allclose(embedder.text(['A drone']), text[:1] / text[:1].norm(), atol=1e-6)
    assert (embedder.checkpoint, embedder.sample_rate) == ('random.pt', 48000) and torch.is_grad_enabled()


class Harm:
    def __reduce__(self):
        return print, ('harm',)


def test_a_checkpoint_that_wants_to_run_code_is_refused(laion, tmp_path, capsys):
    torch.save({'state_dict': {}, 'more': Harm()}, tmp_path / 'harm.pt')
    with pytest.raises(UserError, match=r'wants to call \w+\.print'):
        LaionEmbedder(str(tmp_path / 'harm.pt'))
    assert 'harm' not in capsys.readouterr().out
