"""Scores of folders of audio, whoever made it: real files, the tiny CLAP, and a system that copies."""
import json
import shutil

import numpy as np
import pytest
import soundfile
import torch

from audiocraft_ti import tiny
from audiocraft_ti.data import audio
from audiocraft_ti.errors import UserError
from audiocraft_ti.evaluation import evaluate as stage
from audiocraft_ti.evaluation.embedders import CachedEmbedder, ClapEmbedder, load_embedder
from audiocraft_ti.tiny.recordings import recording, write_recordings
from tests.test_cli import run

RECONSTRUCTION, EDIT = 'A recording of a <amen>', 'A disco song with a <amen>'


@pytest.fixture(autouse=True)
def cache(tmp_path, monkeypatch):
    monkeypatch.setattr(stage, 'CACHE', tmp_path / 'cache')


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
    assert len(lines) == 2 * (6 + 1 + 1) and {line['checkpoint'] for line in lines} == {'tiny'}

    def mean(system, key):
        return np.mean([line[key] for line in lines if line['system'] == system and key in line])

    def gain(system):  # from training clips over held-out ones
        return mean(system, 'reconstruction') - mean(system, 'reconstruction_held_out')
    assert mean('copier', 'reconstruction') > mean('honest', 'reconstruction') and gain('copier') > gain('honest')
    assert mean('copier', 'nearest') > 0.999 > mean('honest', 'nearest')
    assert mean('copier', 'copy_margin') > mean('honest', 'copy_margin') + 0.1
    assert f"{mean('honest', 'reconstruction_held_out'):.3f} (" in output


def test_scores_equal_an_independent_computation(folders):
    embedder = ClapEmbedder('tiny')
    lines = stage.evaluate({'honest': folders / 'honest'}, folders / 'train', None, embedder, 'zither')

    def embed(path):
        return embedder.audio([audio.read(path)[0]], 16000)[0].double().numpy()
    train = [embed(path) for path in sorted((folders / 'train').glob('*.wav'))]
    text = embedder.text(['A disco song with a zither'])[0].double().numpy()
    for line in lines:
        output = embed(line['file'])
        if line['kind'] == 'reconstruction':
            assert line['reconstruction'] == pytest.approx(np.mean([output @ one for one in train]), abs=1e-6)
        else:
            assert line['text'] == 'A disco song with a zither'
            assert line['editability'] == pytest.approx(output @ text, abs=1e-6)


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
    cached = CachedEmbedder(Counting('tiny'), tmp_path)
    wav = torch.from_numpy(recording())[None]
    first = cached.audio(wav, 16000)
    assert torch.equal(cached.audio(wav.clone(), 16000), first) and len(made) == 1
    cached.audio(wav, 8000)
    cached.audio(-wav, 16000)
    assert len(made) == 3


def test_a_bad_file_is_left_out_and_said(folders, tmp_path, caplog):
    folder = shutil.copytree(folders / 'honest', tmp_path / 'bad')
    (folder / '0.wav').write_text('no audio')
    soundfile.write(folder / '1.wav', np.zeros(16000), 16000)
    (folder / '2.wav').unlink()
    lines = stage.evaluate({'bad': folder}, folders / 'train', folders / 'held_out', ClapEmbedder('tiny'))
    assert len([line for line in lines if 'file' in line]) == 4
    assert '3 of 7 samples are left out' in caplog.text and 'it is silent' in caplog.text


@pytest.mark.parametrize('content', ['', 'text', '{"prompt": "a"}', '[1]'])
def test_lists_that_cannot_be_read(folders, tmp_path, content):
    (tmp_path / 'samples.jsonl').write_text(content)
    with pytest.raises(UserError, match='samples.jsonl'):
        stage.evaluate({'a': tmp_path}, folders / 'train', None, ClapEmbedder('tiny'))


def test_what_evaluate_cannot_do(folders, tmp_path):
    options = ['evaluate', '--reference', folders / 'train', '--out', tmp_path / 'scores.jsonl']
    run(*options, '--system', folders / 'honest', fails='write NAME=DIR')
    run(*options, '--system', 'a=b', '--embedder', 'me/nothing', fails='me/nothing cannot be loaded')
    run('evaluate', '--reference', tmp_path / 'no', '--system', 'a=b', '--embedder', 'tiny', '--out', tmp_path / 's',
        fails='is not a folder')


def test_a_text_tower_that_is_broken_is_refused(tmp_path):
    folder = shutil.copytree(tiny.CLAP, tmp_path / 'larger_clap_music')
    embedder = load_embedder(str(folder))
    assert embedder.audio([torch.from_numpy(recording())[None]], 16000).shape == (1, 64)
    with pytest.raises(UserError, match='nearly the same for all texts'):
        embedder.text(['A drone'])


def test_neutral_prompts_ask_for_a_reconstruction():
    kinds = [stage.kind_of(prompt) for prompt in (RECONSTRUCTION, 'The sound of <amen>', EDIT)]
    assert kinds == ['reconstruction', 'reconstruction', 'editability']
