"""Scores of folders of audio, whoever made it: real files, the tiny CLAP, and a system that copies."""
import json
import shutil

import numpy as np
import pytest
import soundfile
import torch
from transformers import ClapModel, ClapProcessor

from audiocraft_ti import environment, tiny
from audiocraft_ti.errors import UserError
from audiocraft_ti.evaluation import evaluate as stage
from audiocraft_ti.evaluation.embedders import CachedEmbedder, ClapEmbedder, load_embedder
from audiocraft_ti.tiny.recordings import recording, write_recordings
from tests.test_cli import run

RECONSTRUCTION, EDIT = 'A recording of a <amen>', 'A disco song with a <amen>'


@pytest.fixture(autouse=True)
def cache(tmp_path, monkeypatch):
    monkeypatch.setattr(environment, 'CACHE', tmp_path / 'cache')


@pytest.fixture
def score(folders):
    """Scores of systems by the tiny CLAP, against the recordings of some splits."""
    def score(systems, *splits, **options):
        embedder = CachedEmbedder(ClapEmbedder('tiny'))
        recordings = [stage.embed_recordings(folders / split, embedder) for split in splits]
        return stage.score_systems(systems, embedder, recordings, **options)
    return score


@pytest.fixture(scope='module')
def folders(tmp_path_factory):
    """Recordings to learn from and held out; a system that plays the former back, and an honest one."""
    root = tmp_path_factory.mktemp('systems')
    write_recordings(root / 'all', 'zither', count=6)
    for split, numbers in (('train', range(3)), ('held_out', range(3, 6))):
        (root / split).mkdir()
        for number in numbers:
            shutil.copy(root / f'all/zither_{number}.wav', root / split)
    played_back = [('zither', number) for number in (0, 1, 2, 0, 1, 2)]
    makes(root / 'copier', {RECONSTRUCTION: played_back, EDIT: [('zither', 0)]})
    makes(root / 'honest', {RECONSTRUCTION: [('zither', number) for number in range(20, 26)], EDIT: [('organ', 3)]})
    return root


def makes(folder, samples):
    lines = []
    folder.mkdir()
    for prompt, clips in samples.items():
        for timbre, number in clips:
            file = f'{len(lines)}.wav'
            soundfile.write(folder / file, recording(timbre, number), 16000)
            lines.append({'prompt': prompt, 'file': file})
    (folder / 'samples.jsonl').write_text(''.join(json.dumps(line) + '\n' for line in lines))


def test_a_copier_wins_by_training_clips_and_is_exposed_by_held_out_ones(folders, tmp_path):
    out = tmp_path / 'scores.jsonl'
    output = run('evaluate', '--reference', folders / 'train', '--held-out', folders / 'held_out', '--embedder', 'tiny',
                 '--system', f"copier={folders / 'copier'}", '--system', f"honest={folders / 'honest'}", '--out', out)
    lines = [json.loads(line) for line in out.read_text().splitlines()]
    assert len(lines) == 3 + 1 + 2 * (6 + 1 + 1) and {line['checkpoint'] for line in lines} == {'tiny'}

    def mean(system, key):
        return np.mean([line[key] for line in lines if line['system'] == system and key in line])

    def gain(system):  # from training clips over held-out ones
        return mean(system, 'reconstruction') - mean(system, 'reconstruction_held_out')
    assert mean('copier', 'reconstruction') > mean('honest', 'reconstruction') and gain('copier') > gain('honest')
    assert mean('copier', 'nearest') > 0.999 > mean('honest', 'nearest')
    assert mean('copier', 'copy_margin') > mean('honest', 'copy_margin') + 0.1
    assert f"{mean('honest', 'reconstruction_held_out'):.3f} (" in output


def test_scores_equal_an_independent_computation_in_float64(folders, score):
    lines = score({'honest': folders / 'honest'}, 'train', 'held_out', class_word='zither')
    model = ClapModel.from_pretrained(tiny.CLAP).double().eval()
    processor = ClapProcessor.from_pretrained(tiny.CLAP)

    def unit(output):
        embedding = getattr(output, 'pooler_output', output)[0].detach().numpy()
        return embedding / np.linalg.norm(embedding)

    def embed(path):
        wav, rate = soundfile.read(path)
        features = processor.feature_extractor(wav, sampling_rate=rate, return_tensors='pt')['input_features']
        return unit(model.get_audio_features(features.double()))
    train, held_out = ([embed(path) for path in sorted((folders / split).glob('*.wav'))]
                       for split in ('train', 'held_out'))
    text = unit(model.get_text_features(**processor.tokenizer(['A disco song with a zither'], return_tensors='pt')))
    scored = [line for line in lines if line['system'] == 'honest' and 'file' in line]
    assert len(scored) == 7
    for line in scored:
        output = embed(line['file'])
        if line['kind'] == 'reconstruction':
            assert line['reconstruction'] == pytest.approx(np.mean([output @ one for one in train]), abs=1e-6)
            assert line['reconstruction_held_out'] == pytest.approx(np.mean([output @ one for one in held_out]),
                                                                    abs=1e-6)
        else:
            assert line['text'] == 'A disco song with a zither'
            assert line['editability'] == pytest.approx(output @ text, abs=1e-6)


def test_the_ceiling_is_of_held_out_recordings_against_the_others(folders, score):
    lines = [line for line in score({'honest': folders / 'honest'}, 'train', 'held_out') if line['system'] == 'real']
    embedder = CachedEmbedder(ClapEmbedder('tiny'))
    real = [embedder.clip(path) for path in sorted((folders / 'held_out').glob('*.wav'))]
    for index, line in enumerate(lines[:3]):
        others = [float(real[index] @ other) for other in real[:index] + real[index + 1:]]
        assert line['reconstruction_held_out'] == pytest.approx(np.mean(others), abs=1e-6)
    assert lines[3]['kind'] == 'summary' and 'copy_margin' not in lines[3]
    alone = [line for line in score({'honest': folders / 'honest'}, 'train') if line['system'] == 'real']
    assert len(alone) == 3 and all(line['nearest'] < 0.999 for line in alone)  # none is compared with itself


def test_one_recording_where_two_are_needed_is_said(folders, score, caplog, tmp_path):
    for split in ('train', 'held_out'):
        (tmp_path / split).mkdir()
        shutil.copy(next((folders / split).glob('*.wav')), tmp_path / split)
    lines = score({'honest': folders / 'honest'}, tmp_path / 'train', tmp_path / 'held_out')
    assert 'no ceiling' in caplog.text and 'honest has no copy margin' in caplog.text
    assert len(lines) == 7 and all('reconstruction_held_out' in line for line in lines[:6])


def test_others_are_asked_of_every_clip(folders, score):
    lines = score({'honest': folders / 'honest'}, 'train', listeners=[lambda path, prompt: {'length': len(prompt)}])
    assert [line['length'] for line in lines] == [len(line['prompt']) for line in lines]


@pytest.mark.parametrize('class_word, text', [('drum beat', 'A disco song with a drum beat'),
                                              (None, 'A disco song with a')])
def test_both_readings_of_the_placeholder(class_word, text):  # P21
    assert stage.text_of(EDIT, class_word) == text


def test_what_was_embedded_is_not_embedded_again(tmp_path):
    made = []

    class Counting(ClapEmbedder):
        def _audio(self, wav):
            made.append(len(wav))
            return super()._audio(wav)
    counting = Counting('tiny')
    cached = CachedEmbedder(counting, tmp_path)
    wav = torch.from_numpy(recording())[None]
    first = cached.audio(wav, 16000)
    assert torch.equal(cached.audio(wav.clone(), 16000), first) and len(made) == 1
    cached.audio(wav[:, ::2], 8000)
    cached.audio(-wav, 16000)
    assert len(made) == 3
    counting.model.logit_scale_a.data += 1  # other weights
    CachedEmbedder(counting, tmp_path).audio(wav, 16000)
    assert len(made) == 4


def test_bad_files_are_left_out_and_said(folders, score, tmp_path, caplog):
    folder = shutil.copytree(folders / 'honest', tmp_path / 'bad')
    (folder / '0.wav').write_text('no audio')
    soundfile.write(folder / '1.wav', np.zeros(16000), 16000)
    (folder / '2.wav').unlink()
    soundfile.write(folder / '3.wav', recording()[:1600], 16000)
    lines = score({'bad': folder}, 'train', 'held_out')
    assert len([line for line in lines if line['system'] == 'bad' and 'file' in line]) == 3
    said, = [message for message in caplog.messages if 'left out' in message]
    assert '4 of 7 samples are left out' in said
    for reason in ('0.wav (it cannot be decoded', '1.wav (it is silent)', '2.wav ([Errno 2]', '3.wav (its 0.10 s are'):
        assert reason in said


def test_mixed_sample_rates_are_said(folders, score, tmp_path, caplog):
    folder = shutil.copytree(folders / 'honest', tmp_path / 'mixed')
    soundfile.write(folder / '0.wav', np.repeat(recording('zither', 20), 3), 48000)
    score({'mixed': folder}, 'train')
    assert 'different sample rates (16000, 48000 Hz)' in caplog.text


def test_one_concept_at_a_time(folders, score, tmp_path):
    makes(tmp_path / 'two', {'A <amen> in the rain': [('zither', 0)], 'A <oud> in the rain': [('zither', 1)]})
    with pytest.raises(UserError, match='<amen>, <oud>: score one concept at a time'):
        score({'two': tmp_path / 'two'}, 'train')


@pytest.mark.parametrize('content', ['', 'text', '{"prompt": "a"}', '[1]'])
def test_lists_that_cannot_be_read(score, tmp_path, content):
    (tmp_path / 'samples.jsonl').write_text(content)
    with pytest.raises(UserError, match='samples.jsonl'):
        score({'a': tmp_path}, 'train')


def test_what_evaluate_cannot_do(folders, tmp_path):
    options = ['evaluate', '--reference', folders / 'train', '--out', tmp_path / 'scores.jsonl']
    run(*options, '--system', folders / 'honest', fails='write NAME=DIR')
    run(*options, '--system', 'a=b', '--embedder', 'me/nothing', fails='me/nothing cannot be loaded')
    run(*options, '--system', 'a=b', '--judge', 'oud', fails='--judge oud is no sound of the tiny world')
    run('evaluate', '--reference', tmp_path / 'no', '--system', 'a=b', '--embedder', 'tiny', '--out', tmp_path / 's',
        fails='is not a folder')


def test_a_text_tower_that_is_broken_is_refused(tmp_path):
    folder = shutil.copytree(tiny.CLAP, tmp_path / 'larger_clap_music')
    embedder = load_embedder(str(folder))
    assert embedder.audio([torch.from_numpy(recording())[None]], 16000).shape == (1, 64)
    with pytest.raises(UserError, match='nearly the same for all texts'):
        embedder.text(['A drone'])


def test_a_share_of_a_concept_is_still_that_concept():
    samples = [stage.Sample(prompt, None, torch.zeros(1)) for prompt in (EDIT, 'A disco song with a <amen:0.3>')]
    assert stage.concept_of(samples) == 'amen'
    assert {stage.text_of(sample.prompt, 'drum beat') for sample in samples} == {'A disco song with a drum beat'}
    assert stage.kind_of('A recording of a <amen:0.3>') == 'reconstruction'


def test_neutral_prompts_ask_for_a_reconstruction():
    kinds = [stage.kind_of(prompt) for prompt in (RECONSTRUCTION, 'The sound of <amen>', EDIT)]
    assert kinds == ['reconstruction', 'reconstruction', 'editability']
