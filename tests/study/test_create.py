"""From samples to a study: real files, measured after they were written, and everything that cannot be used."""
import json

import numpy as np
import pyloudnorm
import pytest
import soundfile
import torch

from audiocraft_ti.errors import UserError
from audiocraft_ti.study import stimuli
from audiocraft_ti.study.create import concept_of, create
from audiocraft_ti.study.folder import StudyFolder
from tests.test_cli import run

PROMPTS = ['A recording of a <amen>', 'A disco song with a <amen>', 'A disco song with a <oud:0.3>']


def write_samples(folder, prompts=PROMPTS, takes=2, seconds=1.5, loudness=0.3, seed=0):
    """Noises in stereo at 44.1 kHz."""
    folder.mkdir()
    rng, lines = np.random.default_rng(seed), []
    for index, prompt in enumerate(prompts):
        for take in range(takes):
            wav = loudness * rng.uniform(-1, 1, (int(44100 * seconds), 2))
            soundfile.write(folder / f'{index}_{take}.wav', wav, 44100)
            lines.append({'prompt': prompt, 'file': f'{index}_{take}.wav'})
    (folder / 'samples.jsonl').write_text(''.join(json.dumps(line) + '\n' for line in lines))
    return folder


@pytest.fixture
def systems(tmp_path):
    return {'ours': write_samples(tmp_path / 'a'), 'theirs': write_samples(tmp_path / 'b', loudness=0.01, seed=1)}


def test_a_study_of_two_systems(systems, tmp_path):
    out = run('study', 'create', *(f'--system={name}={path}' for name, path in systems.items()), '--out',
              tmp_path / 'study', '--pairs', 4, '--attention', 1, '--seconds', 1, '--reference',
              f"amen={systems['ours'] / '0_0.wav'}")
    study = StudyFolder(tmp_path / 'study').study
    assert out.startswith('7 pairs')
    assert study.pairs_per_rater == {'editability': 2, 'reconstruction': 2, 'attention': 1}
    assert [(pair.kind, pair.concept) for pair in study.pairs[:6]] == [
        *[('reconstruction', 'amen')] * 2, *[('editability', 'amen')] * 2, *[('editability', 'oud')] * 2]
    assert study.labels == {'amen': 'amen', 'oud': 'oud'} and set(study.references) == {'amen'}
    for pair in study.pairs[:6]:
        for system, clip in zip(pair.systems, pair.clips):
            assert study.clips[clip].source.startswith(str(systems[system]))
    assert study.pairs[6].systems == ('ours', 'noise')
    assert study.shown('A disco song with a <oud:0.3>') == 'A disco song with a oud'


def test_stimuli_are_as_the_paper_says(systems, tmp_path):  # P23
    made = create(systems, tmp_path / 'study', {}, seconds=1, pairs=4)
    files = list((made.path / 'clips').iterdir())
    assert len(files) == 12 and len({file.stat().st_mtime for file in files}) == 1
    for file in files:
        wav, sample_rate = soundfile.read(file)
        assert wav.shape == (32000,) and sample_rate == 32000
        assert pyloudnorm.Meter(sample_rate).integrated_loudness(wav) == pytest.approx(-24, abs=0.05)
        assert not any(word in file.stem for word in ('ours', 'theirs'))


def test_loudness_is_that_of_bs_1770():
    """A sine of 997 Hz at full scale in one channel is at −3.01 LUFS, says the recommendation, give or take 0.1."""
    sine = torch.sin(2 * torch.pi * 997 * torch.arange(96000) / 32000)[None].double()
    assert stimuli.normalize(sine, '').abs().max().item() == pytest.approx(10 ** ((-24 + 3.01) / 20), rel=0.0115)


def test_ten_seconds_by_default(tmp_path):
    folders = {name: write_samples(tmp_path / name, PROMPTS[:1], 1, 11, seed=index)
               for index, name in enumerate(('a', 'b'))}
    made = create(folders, tmp_path / 'called', {}, pairs=1)
    run('study', 'create', *(f'--system={name}={path}' for name, path in folders.items()), '--pairs', 1, '--out',
        tmp_path / 'commanded')
    for study in (made.study, StudyFolder(tmp_path / 'commanded').study):
        assert {clip.seconds for clip in study.clips.values()} == {10.}


@pytest.mark.parametrize('wav, said', [
    (torch.zeros(1, 32000), 'it is silent'), (torch.ones(1, 3000), 'shorter than 0.4 s'),
    (torch.full((1, 32000), torch.nan), 'not all numbers'), (torch.eye(1, 32000), 'peaks would be cut off')])
def test_a_clip_that_cannot_be_brought_there(wav, said):
    with pytest.raises(UserError, match=f'broken.wav cannot be brought to -24 LUFS.*{said}'):
        stimuli.normalize(wav, 'broken.wav')


def test_what_cannot_be_compared(systems, tmp_path):
    def fails(match, folders=systems, references={}, pairs=4):
        with pytest.raises(UserError, match=match):
            create(folders, tmp_path / 'study', references, pairs)
        assert not (tmp_path / 'study').exists()
    fails('two systems or more', {'ours': systems['ours']})
    fails('a name that answers need', {'ours': systems['ours'], 'Neither': systems['theirs']})
    fails('--pairs 12 are 6 of editability for each rater, and the samples make 4: give fewer', pairs=12)
    fails('is of no concept of the prompts: they have amen, oud', references={'ney': systems['ours'] / '0_0.wav'})
    fewer = write_samples(tmp_path / 'c', PROMPTS[:2])
    fails("c/samples.jsonl has 0 samples of the prompt 'A disco song with a <oud:0.3>'", {**systems, 'c': fewer})
    (systems['theirs'] / '1_0.wav').write_text('no audio')
    fails('1_0.wav cannot be read as audio')
    (systems['theirs'] / '1_0.wav').unlink()
    fails('1_0.wav cannot be read as audio')
    (tmp_path / 'study').mkdir()
    with pytest.raises(UserError, match='is there already'):
        create(systems, tmp_path / 'study', {})
    run('study', 'create', '--system', 'a=b', '--system', 'a=c', '--out', tmp_path / 'x', fails='a name that is taken')


@pytest.mark.parametrize('prompt, concept', [
    ('A song with a <amen> under a <oud:0.3>, <amen>', 'amen + oud'), ('A song', 'none')])
def test_concepts_of_prompts(prompt, concept):
    assert concept_of(prompt) == concept
