import json
import multiprocessing
import os
from pathlib import Path
import subprocess

import pytest
import treetable as tt

from audiocraft_ti import train
from audiocraft_ti.grids import local
from audiocraft_ti.grids.ti import ablation, full_length, learning_rate, systems
from audiocraft_ti.tiny import timbres

from ..conftest import Dora, ROOT


@pytest.fixture
def workplace(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(train.main.dora, 'dir', tmp_path / 'dora')
    return tmp_path


def check_each_is_one_by_itself(xps, count):
    assert len(xps) == len({xp.sig for xp in xps}) == count
    folders = {xp.cfg.datasource.folder for xp in xps}
    assert len(folders) == 3 and all(len(list(Path(folder).glob('*.wav'))) == 20 for folder in folders)


def test_every_experiment_of_a_grid_is_one_by_itself(workplace):
    check_each_is_one_by_itself(local.experiments('ti.learning_rate'), 3 * 2 * len(learning_rate.RATES))


def test_long_runs_differ_from_the_ablations_in_their_length_alone(workplace):
    short = {(run.setting, run.timbre, run.seed): run.overrides for run in ablation.runs()}
    for run in full_length.runs():
        assert run.overrides == {**short[run.setting, run.timbre, run.seed], **full_length.LENGTH}


def test_the_ablation_changes_one_thing_at_a_time(workplace):
    every = local.experiments('ti.ablation')
    check_each_is_one_by_itself(every, 3 * 3 * len(ablation.SETTINGS))
    xps = [xp for xp in every if xp.cfg.seed == 1 and xp.cfg.concept.name == 'my-conga']
    told = [dict(argument.split('=', 1) for argument in xp.argv) for xp in xps]
    changes = [dict(set(arguments.items()) - set(told[0].items())) for arguments in told]
    assert changes[0] == {} and all(len(change) == 1 for change in changes[1:-2])
    assert {'concept.num_vectors': '1'} in changes
    ours, paper = xps[0].cfg.concept, train.main.get_xp(['solver=musicgen/ti']).cfg.concept
    assert [ours[key] for key in ('num_vectors', 'init', 'train_ratio', 'sample_ratio', 'shuffle')] == [
        paper[key] for key in ('num_vectors', 'init', 'train_ratio', 'sample_ratio', 'shuffle')]


def test_all_systems_learn_the_same_concepts_from_the_same_recordings(workplace):  # P26
    xps = local.experiments('ti.systems')
    assert len({xp.sig for xp in xps}) == len(xps) == 8 * 3 and set(systems.CONCEPTS) == set(timbres.KEPT_OUT)
    met: dict = {}
    for xp in xps:
        key = (xp.cfg.datasource.folder, xp.cfg.concept.class_word, xp.cfg.generate.num_samples)
        met.setdefault(key, []).append(xp.cfg.solver)
    assert len(met) == 8 and all(len(set(solvers)) == 3 for solvers in met.values())


def test_the_systems_of_a_root_are_the_real_ones(root, monkeypatch):
    monkeypatch.setenv('AUDIOCRAFT_TI_BASES', 'facebook/musicgen-small,cvssp/audioldm')
    monkeypatch.setenv('AUDIOCRAFT_TI_OVERRIDES', 'dtype=bfloat16')
    for name in ('my oud', 'zither', 'bell'):
        (root / name / 'class_word.txt').write_text('guitar')
    xps = local.experiments('ti.systems')
    assert len({xp.sig for xp in xps}) == 4 * 3 and {xp.cfg.dtype for xp in xps} == {'bfloat16'}
    assert [(xp.cfg.solver, xp.cfg.continue_from, xp.cfg.generate.baselines) for xp in xps[:3]] == [
        ('textual_inversion', 'facebook/musicgen-small', True), ('audioldm_ti', 'cvssp/audioldm', True),
        ('audioldm_dreambooth', 'cvssp/audioldm', False)]
    assert [run.concept for run in systems.runs()][::3] == ['amen', 'bell', 'my-oud', 'zither']


@pytest.mark.parametrize('bases, message', [
    ('audioldm-tiny', 'AUDIOCRAFT_TI_BASES=audioldm-tiny does not name a MusicGen and an AudioLDM'),
    ('tiny,audioldm-tiny', r'root/bell has no class_word.txt, which DreamBooth needs')])
def test_what_cannot_be_compared_is_one_sentence(root, monkeypatch, bases, message):
    monkeypatch.setenv('AUDIOCRAFT_TI_BASES', bases)
    with pytest.raises(SystemExit, match=message):
        local.experiments('ti.systems')


def test_runs_on_gpus_have_one_each(root, monkeypatch):
    on_cpu, on_gpu = (train.main.get_xp([f'solver=musicgen/{name}']) for name in ('ti_tiny', 'ti'))
    monkeypatch.setenv('CUDA_VISIBLE_DEVICES', '2,5')
    assert local._gpus([on_cpu]) == [] and local._gpus([on_cpu, on_gpu]) == ['2', '5']
    taken = multiprocessing.get_context('spawn').Value('i')
    for gpu in ('2', '5'):
        local._take_gpu(['2', '5'], taken)
        assert os.environ['CUDA_VISIBLE_DEVICES'] == gpu


def test_what_is_done_is_not_run_again(workplace):
    xp = train.main.get_xp(['solver=musicgen/ti_tiny'])
    xp.folder.mkdir(parents=True)
    assert not local.is_done(xp)
    xp.history.write_text(json.dumps([{'train': {}, 'valid': {}}]))
    assert not local.is_done(xp)
    xp.history.write_text(json.dumps([{'train': {}, 'valid': {}, 'generate': {}}]))
    assert local.is_done(xp)


@pytest.fixture
def root(workplace, monkeypatch):
    """A root of four concepts, one of which has a class word."""
    folder = workplace / 'root'
    for name in ('amen', 'my oud', 'zither', 'bell'):
        (folder / name).mkdir(parents=True)
    (folder / 'amen' / 'class_word.txt').write_text('drum beat\n')
    (folder / '.cache').mkdir()
    (folder / 'notes.txt').touch()
    monkeypatch.setenv('AUDIOCRAFT_TI_CONCEPTS', 'root')
    monkeypatch.setenv('AUDIOCRAFT_TI_BASES', 'tiny')
    return folder


def test_every_sub_folder_is_a_concept(root):
    xps = local.experiments('ti.concepts')
    assert [[xp.cfg.concept.name, xp.cfg.datasource.folder, xp.cfg.concept.class_word] for xp in xps] == [
        ['amen', 'root/amen', 'drum beat'], ['bell', 'root/bell', None], ['my-oud', 'root/my oud', None],
        ['zither', 'root/zither', None]]
    assert {xp.cfg.continue_from for xp in xps} == {'tiny'}


def test_bases_seeds_packs_and_overrides_come_from_the_environment(root, monkeypatch):
    monkeypatch.setenv('AUDIOCRAFT_TI_BASES', 'tiny,facebook/musicgen-small')
    monkeypatch.setenv('AUDIOCRAFT_TI_SEEDS', '1,2')
    monkeypatch.setenv('AUDIOCRAFT_TI_PACK', '3')
    monkeypatch.setenv('AUDIOCRAFT_TI_OVERRIDES', "optim.epochs=2 'generate.prompts.editability=A song with a {}'"
                       .replace('A song with a {}', '"A song with a {}"'))
    xps = local.experiments('ti.concepts')
    assert len(xps) == len({xp.sig for xp in xps}) == 2 * 2 * 2
    assert {xp.cfg.optim.epochs for xp in xps} == {2} and {xp.cfg.seed for xp in xps} == {1, 2}
    assert {xp.cfg.continue_from for xp in xps} == {'tiny', 'facebook/musicgen-small'}
    assert {xp.cfg.generate.prompts.editability for xp in xps} == {'A song with a {}'}
    assert xps[0].cfg.concept.name == ['amen', 'bell', 'my-oud'] and xps[1].cfg.concept.name == 'zither'
    assert xps[0].cfg.concept.class_word == ['drum beat', None, None]


def test_baselines_are_what_each_base_can_learn_otherwise(root, monkeypatch):
    monkeypatch.setenv('AUDIOCRAFT_TI_BASES', 'tiny,audioldm-tiny')
    xps = local.experiments('ti.baselines')
    assert len({xp.sig for xp in xps}) == (3 + 2) * 4
    assert [(xp.cfg.solver, xp.cfg.concept.get('num_vectors')) for xp in (*xps[:3], *xps[-2:])] == [
        ('textual_inversion', 10), ('textual_inversion', 1), ('fine_tuning', None), ('audioldm_ti', 1),
        ('audioldm_dreambooth', None)]


@pytest.mark.parametrize('change, message', [
    (lambda root, env: env('AUDIOCRAFT_TI_CONCEPTS', 'gone'), 'AUDIOCRAFT_TI_CONCEPTS=gone is not a folder'),
    (lambda root, env: env('AUDIOCRAFT_TI_CONCEPTS', 'root/bell'), 'root/bell has no sub-folders'),
    (lambda root, env: (root / 'my-oud').mkdir(), 'root/my oud and root/my-oud would both be the concept <my-oud>|'
     'root/my-oud and root/my oud would'),
    (lambda root, env: (root / '???').mkdir(), r'root/\?\?\? cannot be written in a prompt'),
    (lambda root, env: env('AUDIOCRAFT_TI_SEEDS', 'one'), 'AUDIOCRAFT_TI_SEEDS=one is not a number'),
    (lambda root, env: env('AUDIOCRAFT_TI_PACK', '-1'), 'AUDIOCRAFT_TI_PACK=-1')])
def test_what_cannot_be_a_grid_is_one_sentence(root, monkeypatch, change, message):
    change(root, monkeypatch.setenv)
    with pytest.raises(SystemExit, match=message):
        local.experiments('ti.concepts')


@pytest.mark.parametrize('base, job', [
    ('tiny', {'gpus': 0, 'cpus_per_gpu': 1, 'mem_per_gpu': 3, 'time': 30}),
    ('facebook/musicgen-small', {'mem_per_gpu': 12, 'time': 60}),
    ('/models/musicgen-large/', {'mem_per_gpu': 24, 'time': 240}), ('somebody/else', {}),
    ('cvssp/audioldm-m-full', {'mem_per_gpu': 16, 'time': 240}),
    ('audioldm-tiny', {'gpus': 0, 'cpus_per_gpu': 1, 'mem_per_gpu': 3, 'time': 30})])
def test_a_job_asks_for_what_its_base_needs(base, job):
    assert train.job(base) == {'partition': 'debug', **job}


def test_a_run_that_is_launched_asks_for_what_its_base_needs(monkeypatch):
    monkeypatch.setattr(train.shutil, 'which', lambda name: name)
    monkeypatch.setattr(train.sys, 'argv', ['dora', 'launch', '-g', '2', 'solver=musicgen/ti_tiny', 'seed=1'])
    tiny = train.main.get_slurm_config()
    assert (tiny.gpus, tiny.cpus_per_gpu, tiny.mem_per_gpu, tiny.time) == (0, 1, 3, 30)
    monkeypatch.setattr(train.sys, 'argv', ['dora', 'launch', 'solver=musicgen/ti'])
    large = train.main.get_slurm_config()
    assert (large.gpus, large.cpus_per_gpu, large.mem_per_gpu, large.time) == (1, 4, 24, 240)


def history(ce, words, duration):
    return [{'train': {'duration': duration}, 'valid': {'ce': ce, 'duration': 0}},
            {'train': {'duration': duration}, 'valid': {'ce': ce + 1}, 'evaluate': {'clap_editability': words},
             'generate': {}}]


def test_the_table_marks_the_best_of_each_column():
    explorer = ablation.explorer
    lines = [explorer.process_history(one) for one in (
        history(3., .1, 60), history(2., .2, 600), [], history(2.5, .3, 30)[:1])]
    table = tt.treetable(lines, tt.table(groups=explorer.get_grid_metrics()))
    rows = [row.replace('|', ' ').split() for row in table.splitlines()][-4:]
    assert rows == [['done', '2', '2.0', '3.0000', '0.100'], ['done', '2', '20.0', '2.0000*', '0.200*'], ['new'],
                    ['begun', '1', '0.5*', '2.5000']]
    again = explorer.process_history(history(9., .1, 60))
    explorer.get_grid_metrics()
    assert f'{again["valid"]["ce"]:.1f}' == '9.0*'  # the best there is now


def test_200_runs_are_listed(dora, tmp_path):
    for index in range(200):
        (tmp_path / 'root' / f'sound{index}').mkdir(parents=True)
    output = dora('grid', 'ti.concepts', '--dry_run', '--init', '--no_monitoring', AUDIOCRAFT_TI_BASES='tiny',
                  AUDIOCRAFT_TI_CONCEPTS=str(tmp_path / 'root'))
    assert len(dora.xps) == 200 and 'sound199' in output


def test_without_slurm_a_grid_says_so(dora, tmp_path):
    for command in (('grid', 'ti.learning_rate'), ('launch', 'solver=musicgen/ti_tiny')):
        output = dora(*command, status=1, PATH=str(tmp_path))
        assert 'Traceback' not in output and 'error: there is no Slurm here (sbatch is not on the path)' in output


def test_a_dirty_repository_is_not_scheduled(tmp_path):
    """In a clone whose configuration was changed to `git_save`, which was not committed."""
    clone = tmp_path / 'clone'
    subprocess.run(['git', 'clone', '-q', '--depth=1', f'file://{ROOT}', clone], check=True)
    config = clone / 'config' / 'config.yaml'
    config.write_text(config.read_text().replace('git_save: false', 'git_save: true'))
    programs = tmp_path / 'programs'
    programs.mkdir()
    for name in ('sbatch', 'srun', 'sacct'):
        (programs / name).write_text('#!/bin/sh\n')
        (programs / name).chmod(0o755)
    (tmp_path / 'root' / 'amen').mkdir(parents=True)
    dora = Dora(tmp_path / 'dora')
    output = dora('-P', 'audiocraft_ti', 'grid', 'ti.concepts', '--no_monitoring', status=1, cwd=clone,
                  PYTHONPATH=str(clone), AUDIOCRAFT_TI_CONCEPTS=str(tmp_path / 'root'),
                  PATH=f'{programs}:{os.environ["PATH"]}')
    assert 'Traceback' not in output and 'Repository is not clean!' in output and 'config/config.yaml' in output
