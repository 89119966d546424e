"""The real `dora`, in processes of its own, as a user runs it."""
import json
import os
from pathlib import Path
import signal
import subprocess
import sys

import pytest
import torch

from audiocraft_ti.concept import Concept

from .conftest import ROOT

AMEN = ROOT.parent / 'shared' / 'data' / 'dreamsound' / 'amen'
SHORT = ('optim.updates_per_epoch=4', 'dataset.batch_size=4', 'dataset.valid.num_samples=8', 'generate.duration=1',
         'generate.num_samples=1')


@pytest.fixture
def overrides(recordings):
    return ('concept.name=amen', f'datasource.folder={recordings}', 'optim.epochs=4', *SHORT)


def same(a, b) -> bool:
    """Whether two nested states are equal, bit for bit."""
    if isinstance(a, dict):
        return a.keys() == b.keys() and all(same(a[key], b[key]) for key in a)
    if isinstance(a, list):
        return len(a) == len(b) and all(same(*pair) for pair in zip(a, b))
    return torch.equal(a, b) if isinstance(a, torch.Tensor) else a == b


def losses(history):
    """A run's history without what differs from one execution to the next."""
    return [{stage: {key: value for key, value in metrics.items() if key != 'duration'}
             for stage, metrics in epoch.items()} for epoch in history]


def test_killed_and_resumed_equals_uninterrupted(dora, overrides, tmp_path):
    dora.run(*overrides)
    whole, = dora.xps
    interrupted = type(dora)(tmp_path / 'other')
    process = interrupted.start('run', 'solver=musicgen/ti_tiny', *overrides, PYTHONUNBUFFERED='1')
    for line in process.stdout:
        if 'Train Summary | Epoch 3' in line:  # two epochs are on disk, the third is not
            break
    process.send_signal(signal.SIGKILL)
    process.wait()
    killed, = interrupted.xps
    assert killed.name == whole.name and len(interrupted.history(killed)) == 2
    output = interrupted.run(*overrides)
    assert 'Train Summary | Epoch 3' in output and 'Train | Epoch 2' not in output

    states = [torch.load(xp / 'checkpoint.th', weights_only=True) for xp in (whole, killed)]
    for state in states:
        assert len(state['history']) == 4
    for name in ('model', 'best_state', 'ema', 'optimizer'):
        assert same(*(state[name] for state in states)), name
    assert losses(dora.history(whole)) == losses(interrupted.history(killed))
    concepts = [Concept.load(xp / 'concept.safetensors') for xp in (whole, killed)]
    assert torch.equal(concepts[0].vectors, concepts[1].vectors)


def test_two_workers_learn_what_one_does_with_the_same_batch(dora, overrides, tmp_path):
    """To rounding: the mean of two halves' gradients is not summed as that of the whole."""
    dora.run(*overrides)
    two = type(dora)(tmp_path / 'two')
    output = two('run', '-d', '--ddp_workers', '2', 'solver=musicgen/ti_tiny', *overrides)
    assert 'Distributed init: 0/2' in output
    (one,), (xp,) = dora.xps, two.xps
    assert one.name == xp.name
    vectors = [Concept.load(folder / 'concept.safetensors').vectors for folder in (one, xp)]
    assert (vectors[0] - vectors[1]).abs().max() < 1e-3 * vectors[0].square().mean().sqrt()
    for alone, shared in zip(dora.history(one), two.history(xp)):
        assert shared['valid']['ce'] == pytest.approx(alone['valid']['ce'], abs=1e-4)
        assert shared['train']['ce'] == pytest.approx(alone['train']['ce'], abs=1e-4)
        assert shared['train']['orthogonality'] == pytest.approx(alone['train']['orthogonality'], rel=1e-3)
    refused = two('run', '-d', '--ddp_workers', '2', 'solver=musicgen/ti_tiny', *overrides,
                  'dataset.valid.num_samples=9', status=1)
    assert 'error: dataset.valid.num_samples=9 cannot be divided among 2 workers' in refused


def test_a_run_and_what_dora_offers_for_it(dora, overrides):
    output = dora.run(*overrides)
    xp, = dora.xps
    for part in (f'{xp}/concept.safetensors', f'{xp}/samples/4', 'held-out loss', 'Done after 16 updates'):
        assert part in output
    assert xp.name in dora('info', '-f', xp.name)

    # the same again finds it done; with more epochs than it has it would be another run
    assert 'Train | Epoch' not in dora.run(*overrides)
    assert len(dora.history(xp)) == 4

    generated = dora.run(*overrides, f'continue_from=//sig/{xp.name}', 'execute_only=generate')
    other, = set(dora.xps) - {xp}
    assert 'Generating' in generated and (other / 'samples' / '1' / 'editability_0.wav').exists()
    assert not (other / 'checkpoint.th').exists()

    cleared = dora('run', '-f', xp.name, '--clear', 'execute_inplace=true')
    assert 'Train | Epoch 1' in cleared and len(dora.history(xp)) == 4


def test_errors_are_one_sentence_and_status_1(dora, overrides):
    output = dora.run(*overrides, 'datasource.folder=/gone', status=1)
    assert 'Traceback' not in output
    assert [line for line in output.splitlines() if line.startswith('error: ')] == [
        'error: datasource.folder=/gone is not a folder: give the folder that holds your recordings.']


def test_from_another_directory_with_a_wheel_and_no_system_programs(dora, overrides, tmp_path):
    subprocess.run([sys.executable, '-m', 'build', '--wheel', '--no-isolation', '--outdir', tmp_path], cwd=ROOT,
                   check=True, stdout=subprocess.DEVNULL)
    wheel, = tmp_path.glob('*.whl')
    subprocess.run([sys.executable, '-m', 'zipfile', '-e', wheel, tmp_path / 'site'], check=True)
    path = tmp_path / 'no_programs'
    path.mkdir()
    output = dora('-P', 'audiocraft_ti', 'run', 'solver=musicgen/ti_tiny', *overrides, cwd=path, PATH=str(path),
                  PYTHONPATH=str(tmp_path / 'site'), PYTHONVERBOSE='')
    assert 'Done after 16 updates' in output
    xp, = dora.xps
    assert list(xp.glob('samples/4/*.wav'))
    where = subprocess.run([sys.executable, '-c', 'import audiocraft_ti.environment as e; print(e.CONFIG)'], cwd=path,
                           env={**os.environ, 'PYTHONPATH': str(tmp_path / 'site')}, text=True, check=True,
                           stdout=subprocess.PIPE).stdout
    assert Path(where.strip()) == tmp_path / 'site' / 'audiocraft_ti' / 'config'


@pytest.mark.skipif(not AMEN.exists(), reason='the recordings of DreamSound are not at ../shared')
def test_learns_from_real_recordings(dora):
    output = dora.run(f'datasource.folder={AMEN}', 'concept.name=amen', '"concept.class_word=drum beat"'.strip('"'))
    xp, = dora.xps
    first, *_, last = dora.history(xp)
    assert last['valid']['ce'] < first['valid']['ce_start'] and last['valid']['ce'] < first['valid']['ce_no_text']
    assert '<amen> is learning' in output
    samples = [json.loads(line) for line in (xp / 'samples' / '4' / 'samples.jsonl').read_text().splitlines()]
    assert {sample['kind'] for sample in samples} == {'reconstruction', 'editability'}
