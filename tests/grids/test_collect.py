import json
from pathlib import Path

from click.testing import CliRunner
import pytest
import torch

from audiocraft_ti import cli, train
from audiocraft_ti.concept import Concept
from audiocraft_ti.data import audio, lines as files
from audiocraft_ti.errors import UserError
from audiocraft_ti.grids import local
from audiocraft_ti.grids.collect import collect


@pytest.fixture
def xps(tmp_path, monkeypatch):
    """A grid of two runs, the first of two concepts, the second of one."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(train.main.dora, 'dir', tmp_path / 'dora')
    for name in ('amen', 'bell', 'oud'):
        (tmp_path / 'root' / name).mkdir(parents=True)
    for variable, value in (('CONCEPTS', 'root'), ('BASES', 'tiny'), ('PACK', '2')):
        monkeypatch.setenv(f'AUDIOCRAFT_TI_{variable}', value)
    return local.experiments('ti.concepts')


def finish(folder: Path, name: str, ce: float):
    """Leave behind what a run of one concept does."""
    samples = folder / 'samples' / '2'
    audio.write(samples / 'a.wav', torch.arange(16000).mul(ce).sin()[None] / 2, 16000)
    files.write([{'prompt': f'A <{name}>', 'file': 'a.wav', 'concept': name}], samples / 'samples.jsonl')
    Concept(name, torch.full((2, 3), ce)).save(folder / 'concept.safetensors')
    losses = {'ce_start': 9., 'ce_no_text': 8.}
    history = [{'valid': {'ce': ce, **losses}}, {'valid': {'ce': ce + 1, **losses},
                                                 'evaluate': {'clap_editability': 0.25}, 'generate': {}}]
    (folder / 'history.json').write_text(json.dumps(history))


def test_finished_runs_are_gathered_concept_by_concept(xps, caplog):
    pack, single = xps
    for name, ce in (('amen', 2.), ('bell', 3.)):
        finish(pack.folder / name, name, ce)
    pack.history.write_text((pack.folder / 'bell' / 'history.json').read_text())
    single.folder.mkdir(parents=True)
    single.history.write_text(json.dumps([{'valid': {'ce': 1.}}]))  # on its way
    result = CliRunner().invoke(cli.cli, ['collect', 'ti.concepts', '--out', 'table'])
    folders = [f'amen-{pack.sig}', f'bell-{pack.sig}']
    assert result.exit_code == 0 and result.output.split() == [*(f'table/{f}' for f in folders), 'table/index.html']
    rows = [json.loads(line) for line in Path('table/scores.jsonl').read_text().splitlines()]
    assert [(row['concept'], row['folder'], row['ce'], row['clap_editability']) for row in rows] == [
        ('amen', folders[0], 2., 0.25), ('bell', folders[1], 3., 0.25)]
    assert (Concept.load(f'table/{folders[1]}/bell.safetensors').vectors == 3.).all()
    assert Path(f'table/{folders[0]}/samples/a.wav').read_bytes() == (pack.folder / 'amen/samples/2/a.wav').read_bytes()
    page = Path('table/index.html').read_text()
    assert 'A &lt;amen&gt;' in page and page.count('<audio') == 2 and 'nothing is scored' in page
    assert '>bell, textual_inversion</th><td>3.000 <small></small></td><td>9.000 ' in page and 'oud' not in page
    assert 'Left out 1 of the 2 runs of ti.concepts' in caplog.text

    finish(single.folder, 'oud', 1.)
    assert len(collect('ti.concepts', Path('table'))) == 3  # again, over what is there
    assert Path('table/index.html').read_text().count('<audio') == 3


def test_runs_that_differ_in_their_concepts_alone_are_one_system_of_the_page(xps, monkeypatch):
    monkeypatch.setenv('AUDIOCRAFT_TI_PACK', '1')
    monkeypatch.setenv('AUDIOCRAFT_TI_SEEDS', '1,2')
    for xp in local.experiments('ti.concepts'):
        finish(xp.folder, xp.cfg.concept.name, 1.)
        samples = xp.folder / 'samples' / '2'
        files.write([{'system': 'textual_inversion', 'kind': 'editability', 'embedder': 'clap', 'checkpoint': 'tiny',
                      'editability': xp.cfg.seed / 10, 'file': str(samples / 'a.wav'), **line}
                     for line in [{'prompt': f'A <{xp.cfg.concept.name}>', 'concept': xp.cfg.concept.name}] * 2],
                    samples / 'scores.jsonl')
    collect('ti.concepts', Path('table'))
    page = Path('table/index.html').read_text()
    assert '>seed=1</th><td>0.100 <small>(0.100 to 0.100)' in page and '>seed=2</th><td>0.200 ' in page
    assert page.count('<audio') == 2 * 3


@pytest.mark.parametrize('grid, message', [('ti.concepts', 'none of the 2 runs of ti.concepts is finished'),
                                           ('ti.concept', 'there is no grid ti.concept')])
def test_what_cannot_be_collected_is_one_sentence(xps, grid, message):
    with pytest.raises(UserError, match=message):
        collect(grid, Path('table'))
