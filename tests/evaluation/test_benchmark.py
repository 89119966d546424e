"""The benchmark on a list of its own, with samples of the tiny base."""
import json
from pathlib import Path

import pytest
import torch

from audiocraft_ti import environment
from audiocraft_ti.concept import Concept
from audiocraft_ti.errors import UserError
from audiocraft_ti.evaluation import benchmark
from audiocraft_ti.tiny.recordings import write_recordings
from tests.test_cli import run

DREAMSOUND = Path(__file__).parents[3] / 'shared/data/dreamsound/benchmark.json'
LIST = {'source': 'us', 'editability_prompts': ['a disco song with a {}', 'a {} under water'],
        'concepts': {'zither': {'class': 'guitar', 'name': 'zi'}, 'oud': {'class': 'guitar', 'name': 'oud'}}}


@pytest.fixture
def work(tmp_path, monkeypatch):
    """The arguments of a benchmark with recordings of one of its two concepts."""
    monkeypatch.setattr(environment, 'CACHE', tmp_path / 'cache')
    write_recordings(tmp_path / 'recordings/zither', count=10)
    (tmp_path / 'list.json').write_text(json.dumps(LIST))
    return ['benchmark', '--list', tmp_path / 'list.json', '--recordings', tmp_path / 'recordings',
            '--embedder', 'tiny', '--out', tmp_path / 'results']


def table(output):
    lines = output[output.index('|  |'):].splitlines()  # after bars of progress
    rows = [[cell.strip() for cell in line.strip('|').split('|')] for line in lines if line[:1] == '|']
    return {row[0]: dict(zip(rows[0][1:], row[1:])) for row in rows[2:]}


def test_a_row_beside_those_that_are_stored(work, tmp_path, caplog):
    make = ['--base', 'tiny', '--device', 'cpu', '--duration', 1]
    run(*work, *make, '--word', 'none', '--system', 'No concept', '--samples', tmp_path / 'none')
    assert caplog.text.count('1 of the 2 concepts') == 1
    (tmp_path / 'learned').mkdir()
    vectors = torch.randn(10, 128, generator=torch.Generator().manual_seed(0))
    Concept('amen', vectors, {'base_model': 'tiny'}).save(tmp_path / 'learned/zither.safetensors')
    output = run(*work, *make, '--learned', tmp_path / 'learned', '--system', 'ours', '--samples', tmp_path / 'ours')
    rows = table(output)
    assert list(rows) == ['real', 'No concept', 'ours']
    listed = [json.loads(line) for line in (tmp_path / 'none/zither/samples.jsonl').read_text().splitlines()]
    assert len(listed) == 6 and {line['prompt'] for line in listed} == {
        'A recording of a <zi>', 'a disco song with a <zi>', 'a <zi> under water'}
    assert (tmp_path / 'none/zither').joinpath(listed[0]['file']).name.startswith('a-recording-of-a-')

    stored = json.loads((tmp_path / 'results/no-concept.json').read_text())
    lines = [json.loads(line) for line in (tmp_path / 'results/no-concept.jsonl').read_text().splitlines()]
    edits = [line['editability'] for line in lines if line['kind'] == 'editability']
    assert len(edits) == 4 and {line['text'] for line in lines if 'text' in line} == {
        'a disco song with a guitar', 'a guitar under water'}
    assert stored['scores']['zither']['editability'] == pytest.approx(sum(edits) / 4)
    assert rows['No concept']['editability'] == f'{sum(edits) / 4:.3f}'
    real = [line['reconstruction'] for line in lines if line['system'] == 'real' and 'file' in line]
    assert len(real) == 2 and stored['real']['zither']['reconstruction'] == pytest.approx(sum(real) / 2)

    before = (tmp_path / 'ours/zither/samples.jsonl').stat().st_mtime_ns
    again = run(*work, *make, '--learned', tmp_path / 'learned', '--system', 'ours', '--samples', tmp_path / 'ours')
    assert table(again) == rows and (tmp_path / 'ours/zither/samples.jsonl').stat().st_mtime_ns == before

    stored['protocol']['embedder'] = 'laion'
    (tmp_path / 'results/no-concept.json').write_text(json.dumps(stored))
    others = table(run(*work, '--system', 'ours', '--samples', tmp_path / 'ours'))
    assert list(others) == ['real', 'ours'] and 'Left out No concept, whose protocol differs (embedder)' in caplog.text

    lines = (tmp_path / 'ours/zither/samples.jsonl').read_text().splitlines()
    (tmp_path / 'ours/zither/samples.jsonl').write_text('\n'.join(lines[:-1]))
    run(*work, '--system', 'ours', '--samples', tmp_path / 'ours', fails="1 samples for 'a {} under water'")


@pytest.mark.skipif(not DREAMSOUND.exists(), reason='the list of DreamSound is not at ../shared')
def test_the_list_of_dreamsound_is_accepted():
    work = benchmark.load_benchmark(DREAMSOUND)
    assert len(work.concepts) == 32 and len(work.editability_prompts) == 21
    assert work.concepts['amen'].class_word == 'drum beat'


@pytest.mark.parametrize('change, message', [
    ({'editability_prompts': ['a {genre} song with a {}']}, 'another placeholder'),
    ({'editability_prompts': ['a disco song']}, 'write {} where the concept is to stand'),
    ({'concepts': {'oud': {'name': 'oud'}}}, 'concepts.oud.class: Field required'),
    ({'speed': 3}, 'speed: Extra inputs')])
def test_lists_that_do_not_fit(tmp_path, change, message):
    (tmp_path / 'list.json').write_text(json.dumps({**LIST, **change}))
    with pytest.raises(UserError, match=message):
        benchmark.load_benchmark(tmp_path / 'list.json')


RESULTS = {'system': 'a', 'scores': {'oud': {'editability': 0.5}}, 'real': {},
           'protocol': {'recordings': {'oud': '00'}, 'prompts': ['a {}'], 'samples': 2, 'embedder': 'clap',
                        'checkpoint': 'tiny'}}


@pytest.mark.parametrize('change, message', [
    ({'scores': {'oud': {'editability': float('nan')}}}, 'scores.oud.editability'),
    ({'scores': {'oud': {'editability': 'good'}}}, 'scores.oud.editability'),
    ({'protocol': {**RESULTS['protocol'], 'version': 2}}, 'protocol.version'),
    ({'protocol': {**RESULTS['protocol'], 'samples': 0}}, 'protocol.samples'),
    ({'comment': ''}, 'comment')])
def test_results_are_validated(tmp_path, change, message):
    ours = benchmark.Results(**RESULTS)
    assert benchmark.write(ours, tmp_path).name == 'a.json' and len(benchmark.compare(ours, tmp_path)) == 2
    (tmp_path / 'b.json').write_text(json.dumps({**RESULTS, **change}))
    with pytest.raises(UserError, match=f'b.json is no results file: {message}'):
        benchmark.compare(ours, tmp_path)


def test_what_benchmark_cannot_do(work, tmp_path):
    work += ['--system', 'a', '--samples', tmp_path / 'samples']
    run(*work, fails='samples.jsonl')
    run(*work, '--base', 'tiny', '--device', 'cpu', fails='--learned is missing')
    (tmp_path / 'recordings/zither').rename(tmp_path / 'recordings/bazooka')
    run(*work, fails='has no folder for a concept of the list')
