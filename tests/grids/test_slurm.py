"""`dora grid` on a real Slurm: the one node that `make cluster` starts."""
import json
import os
from pathlib import Path
import shutil
import signal
import subprocess
import sys
import time

import pytest
import torch

from audiocraft_ti.concept import Concept
from audiocraft_ti.tiny.recordings import write_recordings

from ..conftest import Dora, ROOT

CONCEPTS = ('conga', 'flute', 'theremin', 'zither')
TINY = ('dataset.batch_size=4 dataset.segment_duration=1 dataset.valid.num_samples=4 generate.duration=0.5 '
        'generate.num_samples=1 ')
SHORT = TINY + 'optim.epochs=1 optim.updates_per_epoch=3'
LONG = TINY + 'optim.epochs=2 optim.updates_per_epoch=60 checkpoint.save_every_updates=2 label=long'


@pytest.fixture(scope='module')
def cluster(tmp_path_factory):
    """Environment of a cluster, for as long as this module needs it."""
    if os.getuid() or not all(shutil.which(name, path=f'{os.environ["PATH"]}:/usr/sbin') for name in (
            'slurmctld', 'slurmdbd', 'munged', 'mariadbd')):
        pytest.skip('no Slurm can be started: it takes root and the packages that cluster/one_node.sh names')
    folder = tmp_path_factory.mktemp('slurm') / 'cluster'
    try:
        started = script('start', folder)
        assert not started.returncode, started.stdout
        yield {'SLURM_CONF': str(folder / 'slurm.conf'), 'folder': folder}
    finally:
        script('stop', folder)


def script(command, folder):
    """Call the script, with ports that no other test run on this machine has."""
    return subprocess.run([ROOT / 'cluster' / 'one_node.sh', command, folder], text=True, stdin=subprocess.DEVNULL,
                          stdout=subprocess.PIPE, stderr=subprocess.STDOUT,
                          env={**os.environ, 'CLUSTER_PORT': str(20000 + 4 * (os.getpid() % 3000))})


@pytest.fixture(scope='module')
def grid(cluster, tmp_path_factory):
    """Calls `dora grid ti.concepts` over four concepts, the output of which it returns."""
    root = tmp_path_factory.mktemp('grid')
    for name in CONCEPTS:
        write_recordings(root / 'concepts' / name, name, 5)
    dora = Dora(root / 'dora')
    settings = {'SLURM_CONF': cluster['SLURM_CONF'], 'AUDIOCRAFT_TI_BASES': 'tiny',
                'AUDIOCRAFT_TI_CONCEPTS': str(root / 'concepts'), 'AUDIOCRAFT_TI_OVERRIDES': SHORT}

    def grid(*args, **env):
        return dora('grid', 'ti.concepts', *args, timeout=900, **{**settings, **env})
    grid.dora, grid.env = dora, {**os.environ, **settings, 'AUDIOCRAFT_DORA_DIR': str(dora.folder)}
    return grid


def until(condition, what, seconds=900):
    """Wait for something outside of this process."""
    deadline = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < deadline, what
        time.sleep(0.2)


def states(cluster):
    """States of all jobs, by their numbers."""
    lines = subprocess.run(['sacct', '-X', '-n', '-P', '-o', 'jobid,state'], text=True, stdout=subprocess.PIPE,
                           env={**os.environ, 'SLURM_CONF': cluster['SLURM_CONF']}, check=True).stdout.splitlines()
    return {job: state.split()[0] for job, state in (line.split('|') for line in lines)}


def test_a_grid_of_four_concepts_is_scheduled_once_and_finishes(cluster, grid, tmp_path):
    output = grid('-i', '0.03')
    assert output.count('Scheduled job') == 4
    assert set(states(cluster).values()) == {'COMPLETED'} and len(states(cluster)) == 4
    assert output.count(' done ') >= 4 and '*' in output.splitlines()[-2:][0] + output

    assert 'Scheduled job' not in grid('--no_monitoring')

    out = tmp_path / 'table'
    subprocess.run([sys.executable, '-m', 'audiocraft_ti', 'collect', 'ti.concepts', '--out', out], cwd=ROOT,
                   env=grid.env, check=True)
    rows = [json.loads(line) for line in (out / 'scores.jsonl').read_text().splitlines()]
    assert [row['concept'] for row in rows] == list(CONCEPTS)
    page = (out / 'index.html').read_text()
    for row, xp in zip(rows, (grid.dora.folder / 'xps' / row['sig'] for row in rows)):
        gathered = Concept.load(out / row['folder'] / f'{row["concept"]}.safetensors')
        assert torch.equal(gathered.vectors, Concept.load(xp / 'concept.safetensors').vectors)
        assert row['ce'] == grid.dora.history(xp)[0]['valid']['ce'] and row['clap_editability']
        assert len(list((out / row['folder'] / 'samples').glob('*.wav'))) == 2
    assert page.count('<audio') == 2 * len(CONCEPTS)


def test_two_tasks_of_a_launched_run_are_requeued_by_slurms_signal_and_go_on(cluster, grid):
    """Slurm sends USR2 before a time limit, and where it preempts: submitit's part is to have the job requeued."""
    before = set(grid.dora.xps)
    folder = grid.env['AUDIOCRAFT_TI_CONCEPTS']
    grid.dora('launch', '--no_tail', '-g', '2', 'solver=musicgen/ti_tiny', 'concept.name=flute',
              f'datasource.folder={folder}/flute', *LONG.split(), timeout=900, SLURM_CONF=cluster['SLURM_CONF'])
    xp, = set(grid.dora.xps) - before
    job = json.loads((xp / 'job.json').read_text())['job_id']
    until((xp / 'checkpoint.th').exists, 'no checkpoint')
    subprocess.run(['scancel', '--signal=USR2', job], env=grid.env, check=True)
    log = xp / 'submitit' / f'{job}_0_log.out'
    until(lambda: f'Requeued job {job}' in log.read_text(), 'not requeued')
    until(lambda: 'Loading existing checkpoint' in (xp / 'solver.log.0').read_text(), 'it does not go on')
    until(lambda: states(cluster)[job] not in ('RUNNING', 'PENDING', 'REQUEUED', 'COMPLETING'), 'it does not end')
    assert states(cluster)[job] == 'COMPLETED' and len(grid.dora.history(xp)) == 2
    for rank in range(2):
        assert f'Distributed init: {rank}/2' in (xp / 'submitit' / f'{job}_{rank}_log.out').read_text()
    assert Concept.load(xp / 'concept.safetensors').placeholder == '<flute>'


def test_cancelled_or_without_its_nodes_daemon_a_run_goes_on(cluster, grid):
    """The four concepts in one job, which is cancelled, tried again, and loses the daemon that watches over it."""
    pack = {'AUDIOCRAFT_TI_PACK': '4', 'AUDIOCRAFT_TI_OVERRIDES': LONG}
    before = set(grid.dora.xps)
    assert grid('--no_monitoring', **pack).count('Scheduled job') == 1
    xp, = set(grid.dora.xps) - before
    job = json.loads((xp / 'job.json').read_text())['job_id']
    until((xp / 'checkpoint.th').exists, 'no checkpoint')
    subprocess.run(['scancel', job], env={**os.environ, 'SLURM_CONF': cluster['SLURM_CONF']}, check=True)
    until(lambda: states(cluster)[job] == 'CANCELLED', 'not cancelled')
    state = torch.load(xp / 'checkpoint.th', weights_only=True)
    done = len(state['history']), len(state['progress']['updates'])
    assert (0, 0) < done < (2, 0)

    assert 'Scheduled job' not in grid('--no_monitoring', **pack)
    assert grid('--no_monitoring', '--retry', **pack).count('Scheduled job') == 1
    job = json.loads((xp / 'job.json').read_text())['job_id']
    changed = (xp / 'checkpoint.th').stat().st_mtime
    until(lambda: (xp / 'checkpoint.th').stat().st_mtime > changed, 'it does not go on')
    assert 'Loading existing checkpoint' in (xp / 'solver.log.0').read_text()
    folder = Path(cluster['folder'])
    os.kill(int((folder / 'run' / 'slurmd.pid').read_text()), signal.SIGKILL)
    assert not script('node', folder).returncode
    until(lambda: states(cluster)[job] not in ('RUNNING', 'PENDING', 'COMPLETING'), 'it does not end')
    assert states(cluster)[job] == 'COMPLETED'
    assert len(grid.dora.history(xp)) == 2
    assert all((xp / name / 'concept.safetensors').exists() for name in CONCEPTS)
