import json
from pathlib import Path

from click.testing import CliRunner
import pytest
import torch

from audiocraft_ti import cli, train
from audiocraft_ti.concept import Concept
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
    samples.mkdir(parents=True, exist_ok=True)
    (samples / 'a.wav').write_bytes(name.encode())
    (samples / 'samples.jsonl').write_text(json.dumps({'prompt': f'A <{name}>', 'file': 'a.wav'}) + '\n')
    Concept(name, torch.full((2, 3), ce)).save(folder / 'concept.safetensors')
    history = [{'valid': {'ce': ce}}, {'valid': {'ce': ce + 1}, 'evaluate': {'clap_editability': 0.25}, 'generate': {}}]
    (folder / 'history.json').write_text(json.dumps(history))


def test_finished_runs_are_gathered_concept_by_concept(xps, tmp_path):
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
    assert Path(f'table/{folders[0]}/samples/a.wav').read_bytes() == b'amen'
    page = Path('table/index.html').read_text()
    assert '1 of 2 runs are finished' in page and 'A &lt;amen&gt;' in page and '<td>2.000</td>' in page
    assert f'href="{folders[0]}/amen.safetensors"' in page and f'src="{folders[1]}/samples/a.wav"' in page

    finish(single.folder, 'oud', 1.)
    assert len(collect('ti.concepts', Path('table'))) == 3  # again, over what is there
    assert '2 of 2 runs' in Path('table/index.html').read_text()


@pytest.mark.parametrize('grid, message', [('ti.concepts', 'none of the 2 runs of ti.concepts is finished'),
                                           ('ti.concept', 'there is no grid ti.concept')])
def test_what_cannot_be_collected_is_one_sentence(xps, grid, message):
    with pytest.raises(UserError, match=message):
        collect(grid, Path('table'))
