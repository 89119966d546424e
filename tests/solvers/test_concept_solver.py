"""The stages that all solvers of concepts share: samples, and their scores."""
import json
import shutil

import pytest
from transformers import ClapConfig, ClapModel

from audiocraft_ti import environment, tiny
from audiocraft_ti.data.manifest import load
from tests.test_cli import run

SHORT = ('optim.epochs=2', 'optim.updates_per_epoch=2', 'dataset.batch_size=2', 'dataset.valid.num_samples=2',
         'generate.duration=1', 'concept.class_word=guitar')


@pytest.fixture(autouse=True)
def cache(tmp_path, monkeypatch):
    monkeypatch.setattr(environment, 'CACHE', tmp_path / 'cache')


@pytest.fixture
def random_clap(tmp_path):
    """A CLAP in transformers' format with the tiny one's sizes, and weights that nobody trained."""
    folder = shutil.copytree(tiny.CLAP, tmp_path / 'random_clap')
    ClapModel(ClapConfig.from_pretrained(folder)).save_pretrained(folder)
    return folder


def read(path):
    return [json.loads(line) for line in path.read_text().splitlines()]


@pytest.fixture
def more_recordings(tmp_path):
    from audiocraft_ti.tiny.recordings import write_recordings
    write_recordings(tmp_path / 'recordings', count=10)  # two of which are held out
    return tmp_path / 'recordings'


def test_stage_and_command_give_the_same_scores(make_solver, more_recordings, random_clap, tmp_path):
    solver = make_solver(f'datasource.folder={more_recordings}', f'metrics.clap.checkpoint={random_clap}', *SHORT)
    solver.run()
    samples = solver.folder / 'samples/2'
    for split in ('train', 'valid'):
        (tmp_path / split).mkdir()
        for clip in load(solver.folder / f'manifest/{split}.jsonl', ''):
            shutil.copy(clip.path, tmp_path / split)
    run('evaluate', '--reference', tmp_path / 'train', '--held-out', tmp_path / 'valid', '--class-word', 'guitar',
        '--system', f'textual_inversion={samples}', '--embedder', random_clap, '--out', tmp_path / 'scores.jsonl')
    stage, command = read(samples / 'scores.jsonl'), read(tmp_path / 'scores.jsonl')
    for line in stage + command:
        line['file'] = line.get('file', '').rpartition('/')[2]
    assert stage == command and len(stage) == 3 + 4 + 1

    found = solver.history[-1]['evaluate']
    for key in ('reconstruction', 'reconstruction_held_out', 'editability', 'copy_margin', 'kernel_distance'):
        mine = [line[key] for line in command if line['system'] == 'textual_inversion' and key in line]
        assert found[f'clap_{key}'] == pytest.approx(sum(mine) / len(mine))
    real = [line['reconstruction_held_out'] for line in command if line['system'] == 'real' and line['file']]
    assert found['clap_reconstruction_held_out_real'] == pytest.approx(sum(real) / len(real))


def test_a_finished_run_is_evaluated_anew(make_solver, more_recordings):
    options = (f'datasource.folder={more_recordings}', *SHORT)
    first = make_solver(*options)
    first.run()
    samples = first.folder / 'samples/2'
    before = {path.name: path.read_bytes() for path in samples.iterdir()}
    scores = first.history[-1]['evaluate']
    for path in samples.iterdir():
        path.unlink()
    again = make_solver(*options, 'execute_only=evaluate', 'execute_inplace=true')
    assert again.folder == first.folder and again.restore()
    again.run_one_stage('evaluate')
    assert {path.name: path.read_bytes() for path in samples.iterdir()} == before
    history = json.loads((first.folder / 'history.json').read_text())
    assert len(history) == 2 and 'valid' in history[-1]
    assert history[-1]['evaluate']['clap_editability'] == pytest.approx(scores['clap_editability'])


def test_more_prompts_and_baselines(make_solver, more_recordings, tmp_path):
    prompts = tmp_path / 'benchmark.json'
    prompts.write_text(json.dumps({'editability_prompts': ['a {} in the rain', 'a {} under water'], 'concepts': {}}))
    solver = make_solver(f'datasource.folder={more_recordings}', f'generate.editability_prompts={prompts}',
                         'generate.baselines=true', *SHORT)
    solver.run()
    samples = solver.folder / 'samples/2'
    made = {(line['prompt'], line['text']) for line in read(samples / 'samples.jsonl')}
    assert ('a <amen> in the rain', 'a <amen> in the rain') in made and len(made) == 4
    lines = read(samples / 'class_word/samples.jsonl')[4:]
    assert (lines[0]['prompt'], lines[0]['text']) == ('a <amen> in the rain', 'a guitar in the rain')
    assert read(samples / 'no_concept/samples.jsonl')[0]['text'] == 'A recording of a'
    assert {'clap_editability', 'clap_editability_no_concept', 'clap_reconstruction_held_out_class_word',
            'clap_copy_margin_class_word'} <= set(solver.history[-1]['evaluate'])


def test_no_scores_unless_they_are_asked_for(make_solver, more_recordings):
    solver = make_solver(f'datasource.folder={more_recordings}', 'evaluate.metrics.clap_reconstruction=false', *SHORT)
    solver.run()
    assert {key for key in solver.history[-1]['evaluate'] if 'clap' in key} == {'clap_editability'}
