import json

import pytest

from audiocraft_ti import train
from audiocraft_ti.grids import local
from audiocraft_ti.grids.ti import ablation, learning_rate, systems
from audiocraft_ti.tiny import timbres


@pytest.fixture
def workplace(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(train.main.dora, 'dir', tmp_path / 'dora')
    return tmp_path


@pytest.mark.parametrize('grid, count', [
    ('ti.ablation', 3 * 3 * len(ablation.SETTINGS)), ('ti.learning_rate', 3 * 2 * len(learning_rate.RATES))])
def test_every_experiment_of_a_grid_is_one_by_itself(workplace, grid, count):
    xps = local.experiments(grid)
    assert len(xps) == len({xp.sig for xp in xps}) == count
    folders = {xp.cfg.datasource.folder for xp in xps}
    assert len(folders) == 3 and all(len(list((workplace / folder).glob('*.wav'))) == 12 for folder in folders)


def test_the_ablation_changes_one_thing_at_a_time(workplace):
    xps = [xp for xp in local.experiments('ti.ablation') if xp.cfg.seed == 1 and xp.cfg.concept.name == 'my-conga']
    defaults = train.main.get_xp(['solver=musicgen/ti_tiny']).cfg
    told = [dict(argument.split('=', 1) for argument in xp.argv) for xp in xps]
    common = set.intersection(*(set(arguments.items()) for arguments in told[:-1]))
    changes = [dict(set(arguments.items()) - common) for arguments in told]
    assert changes[0] == {} and all(len(change) == 1 for change in changes[1:])
    assert defaults.concept.num_vectors == 10 and {'concept.num_vectors': '1'} in changes


def test_all_systems_learn_the_same_concepts_from_the_same_recordings(workplace):  # P26
    xps = local.experiments('ti.systems')
    assert len({xp.sig for xp in xps}) == len(xps) == 8 * 3 and set(systems.CONCEPTS) == set(timbres.KEPT_OUT)
    met: dict = {}
    for xp in xps:
        key = (xp.cfg.datasource.folder, xp.cfg.concept.class_word, xp.cfg.generate.num_samples)
        met.setdefault(key, []).append(xp.cfg.solver)
    assert len(met) == 8 and all(len(set(solvers)) == 3 for solvers in met.values())


def test_what_is_done_is_not_run_again(workplace):
    xp = train.main.get_xp(['solver=musicgen/ti_tiny'])
    xp.folder.mkdir(parents=True)
    assert not local.is_done(xp)
    xp.history.write_text(json.dumps([{'train': {}, 'valid': {}}]))
    assert not local.is_done(xp)
    xp.history.write_text(json.dumps([{'train': {}, 'valid': {}, 'generate': {}}]))
    assert local.is_done(xp)
