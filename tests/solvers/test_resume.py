"""Runs that are killed, and runs whose disk is full: what is left of them goes on to the same bits."""
import json
import multiprocessing
import random

import pytest
import torch

from audiocraft_ti import train
from audiocraft_ti.concept import Concept
from audiocraft_ti.errors import UserError
from audiocraft_ti.grids import local

SHORT = ('optim.epochs=3', 'optim.updates_per_epoch=12', 'dataset.batch_size=4', 'dataset.segment_duration=2',
         'dataset.valid.num_samples=4', 'generate.duration=1', 'generate.num_samples=1',
         'checkpoint.save_every_updates=2')
KILLS = 20


@pytest.fixture
def argv(recordings, tmp_path):
    return ['solver=musicgen/ti_tiny', 'concept.name=amen', f'datasource.folder={recordings}', *SHORT,
            f'tokens.cache_path={tmp_path}/tokens']


@pytest.fixture
def start(tmp_path, monkeypatch):
    """Starts a run in a process that has imported everything already."""
    monkeypatch.setenv('AUDIOCRAFT_DORA_DIR', str(tmp_path / 'dora'))
    context = multiprocessing.get_context('forkserver')
    context.set_forkserver_preload(['audiocraft_ti.grids.local', 'audiocraft_ti.solvers.textual_inversion',
                                    'audiocraft_ti.evaluation.embedders'])

    def start(argv):
        process = context.Process(target=local._run, args=(argv,))
        process.start()
        return process
    return start


def finish(process):
    process.join()
    assert process.exitcode == 0


def checkpoint(xp):
    """What tells one state of a run's checkpoint from the next, if there is any."""
    path = xp / 'checkpoint.th'
    return path.stat().st_mtime_ns if path.exists() else None


def kill_at_some_moment(process, xp, rng):
    """Kill a run on its way: on its way to the next checkpoint, or a little after that."""
    before, after = checkpoint(xp), rng.random() < 0.6
    while after and checkpoint(xp) == before:
        process.join(0.002)
        assert process.is_alive()
    process.join(rng.uniform(0, 0.3 if after else 3))
    assert process.is_alive()
    process.kill()
    process.join()


def losses(xp):
    """A run's history without what differs from one execution to the next."""
    history = json.loads((xp / 'history.json').read_text())
    return [{stage: {key: value for key, value in metrics.items() if key != 'duration'}
             for stage, metrics in epoch.items()} for epoch in history]


def test_killed_at_20_moments_in_succession_ends_with_the_same_bits(start, argv, tmp_path):
    argv = [*argv, 'optim.epochs=6']  # enough for every kill to find it on its way
    finish(start(argv))
    other, rng, moments = [*argv, 'label=killed'], random.Random(1), set()
    xps = [tmp_path / 'dora' / 'xps' / train.main.get_xp(arguments).sig for arguments in (argv, other)]
    for _ in range(KILLS):
        kill_at_some_moment(start(other), xps[1], rng)
        if (xps[1] / 'checkpoint.th').exists():
            state = torch.load(xps[1] / 'checkpoint.th', weights_only=True)
            moments.add((len(state['history']), len(state['progress']['updates'])))
    assert len(moments) > 3  # it was on its way in between
    finish(start(other))
    assert losses(xps[0]) == losses(xps[1])
    concepts = [Concept.load(xp / 'concept.safetensors') for xp in xps]
    assert torch.equal(concepts[0].vectors, concepts[1].vectors)
    averages = [torch.load(xp / 'checkpoint.th', weights_only=True)['ema']['state']['model'] for xp in xps]
    assert torch.equal(*(average['bank.vectors.<amen>'] for average in averages))


def test_the_old_checkpoint_survives_a_full_disk(make_solver, argv):
    solver = make_solver(*argv)
    solver.run()
    path = solver.folder / 'checkpoint.th'
    whole = path.read_bytes()
    path.with_name('checkpoint.th.tmp').symlink_to('/dev/full')  # where nothing can be written
    solver.history.pop()
    with pytest.raises(OSError, match='No space left'):
        solver.save_checkpoints()
    assert path.read_bytes() == whole


@pytest.mark.parametrize('damage', [
    lambda path: path.write_bytes(path.read_bytes()[:-100]),
    lambda path: torch.save({'epoch': 3}, path),
    lambda path: torch.save({**torch.load(path, weights_only=True), 'ema': {'state': {'model': {}}}}, path)])
def test_a_run_of_another_version_is_refused_in_a_sentence(make_solver, argv, damage):
    solver = make_solver(*argv, 'optim.epochs=1', 'optim.updates_per_epoch=1')
    solver.run()
    damage(solver.folder / 'checkpoint.th')
    again = make_solver(*argv, 'optim.epochs=1', 'optim.updates_per_epoch=1')
    with pytest.raises(UserError, match='checkpoint.th cannot be continued.*--clear'):
        again.restore()


def test_a_full_disk_is_one_sentence(dora, argv):
    xp = dora.folder / 'xps' / train.main.get_xp(argv).sig
    xp.mkdir(parents=True)
    (xp / 'checkpoint.th.tmp').symlink_to('/dev/full')
    output = dora('run', *argv, status=1)
    assert 'Traceback' not in output
    line, = [line for line in output.splitlines() if line.startswith('error: ')]
    assert str(dora.folder) in line and 'full' in line and 'last checkpoint' in line
