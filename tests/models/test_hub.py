"""The hub's own client, on its own cache of a repository and with nobody at the other end."""
import ast
import json
from pathlib import Path

from huggingface_hub import constants
from huggingface_hub.errors import OfflineModeIsEnabled
import pytest
import torch
import yaml

from audiocraft_ti.concept import Concept
from audiocraft_ti.errors import UserError
from audiocraft_ti.models import hub

CONCEPT = Concept('amen', torch.randn(10, 768), {
    'base_model': 'facebook/musicgen-small', 'text_encoder': 't5-base', 'origin': 'six breaks | cut\nby hand',
    'licence': 'CC-BY 4.0', 'scores': json.dumps({'ce': 3.25, 'ce_start': 4.})})


def test_a_card_says_which_base_and_from_what():
    text = hub.card(CONCEPT).content
    head, body = text.split('---', 2)[1:]
    assert yaml.safe_load(head)['base_model'] == 'facebook/musicgen-small'
    assert 'textual-inversion' in yaml.safe_load(head)['tags']
    assert '| recordings | six breaks \\| cut by hand |' in body and '| licence of the recordings | CC-BY 4.0 |' in body
    assert '| held-out ce | 3.25 |' in body and '10 vectors of width 768' in body and '<amen>' in body


@pytest.mark.parametrize('solver, line', [
    ('textual_inversion', "model = MusicGen.get_pretrained('tiny')"), ('audioldm_ti', "model = load_audioldm('tiny')"),
    ('stable_audio_ti', "model = load_stable_audio('tiny')")])
def test_a_card_says_how_its_own_model_takes_it(solver, line):
    text = hub.card(Concept('amen', torch.zeros(1, 8), {'base_model': 'tiny', 'solver': solver})).content
    code = text.partition('```python')[2].partition('```')[0]
    ast.parse(code)
    assert line in code and "['A disco song with a <amen>']" in code


@pytest.mark.parametrize('base', ['tiny', '/somewhere/base'])
def test_a_base_that_is_not_on_the_hub_is_no_link(base):
    concept = Concept('amen', torch.zeros(1, 8), {'base_model': base})
    assert 'base_model' not in yaml.safe_load(hub.card(concept).content.split('---', 2)[1])


def test_what_is_pushed_is_the_file_and_its_card(tmp_path, monkeypatch):
    sent = {}
    path = CONCEPT.save(tmp_path / 'my.safetensors')

    def upload(self, *, repo_id, folder_path, **kwargs):
        sent.update({file.name: file.read_bytes() for file in Path(folder_path).iterdir()}, repo=repo_id)
    monkeypatch.setattr(hub.HfApi, 'create_repo', lambda self, repo, **kwargs: f'page of {repo}')
    monkeypatch.setattr(hub.HfApi, 'upload_folder', upload)
    assert hub.push(path, 'me/amen') == 'page of me/amen'
    assert sent['repo'] == 'me/amen' and b'<amen>' in sent['README.md']
    assert sent['concept.safetensors'] == path.read_bytes()


def test_what_is_pulled_lies_there_by_its_name(tmp_path, monkeypatch):
    cache = tmp_path / 'models--me--amen'
    (cache / 'refs').mkdir(parents=True)
    (cache / 'refs/main').write_text('0123456789')
    (cache / 'snapshots/0123456789').mkdir(parents=True)
    CONCEPT.save(cache / 'snapshots/0123456789/concept.safetensors')
    monkeypatch.setattr(constants, 'HF_HUB_CACHE', str(tmp_path))
    (tmp_path / 'out').mkdir()
    path = hub.pull('me/amen', tmp_path / 'out')
    assert path.name == 'amen.safetensors' and torch.equal(Concept.load(path).vectors, CONCEPT.vectors)


def test_a_hub_that_cannot_be_reached_is_one_sentence(tmp_path, monkeypatch):
    path = CONCEPT.save(tmp_path / 'my.safetensors')
    with pytest.raises(UserError, match='me/nothing do not get along'):
        hub.pull('me/nothing', tmp_path)
    with pytest.raises(UserError, match='a b c do not get along'):
        hub.pull('a b c', tmp_path)

    def offline(*args, **kwargs):
        raise OfflineModeIsEnabled('no network')
    monkeypatch.setattr(hub.HfApi, 'create_repo', offline)
    with pytest.raises(UserError, match='me/amen do not get along'):
        hub.push(path, 'me/amen')
