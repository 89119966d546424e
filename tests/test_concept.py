import pickle

import pytest
from safetensors import safe_open
from safetensors.torch import save_file
import torch

from audiocraft_ti.concept import Concept, check_name, tokens
from audiocraft_ti.errors import UserError

VECTORS = torch.arange(6.).view(3, 2) / 7


def test_file_holds_one_float32_tensor_named_by_the_placeholder(tmp_path):
    path = Concept('amen', VECTORS.double(), {'base_model': 'tiny'}).save(tmp_path / 'c.safetensors')
    with safe_open(path, 'pt') as file:
        assert list(file.keys()) == ['<amen>']
        assert file.get_tensor('<amen>').dtype == torch.float32
        assert file.metadata() == {'base_model': 'tiny', 'format_version': '1'}
    assert [p.name for p in tmp_path.iterdir()] == ['c.safetensors']


def test_round_trip(tmp_path):
    saved = Concept('amen', VECTORS, {'class_word': 'drum beat'})
    loaded = Concept.load(saved.save(tmp_path / 'c.safetensors'))
    assert loaded.name == 'amen' and loaded.metadata == saved.metadata
    assert torch.equal(loaded.vectors, VECTORS)
    assert loaded.tokens == ['<amen>', '<amen>_1', '<amen>_2']


def test_a_failed_save_leaves_the_old_file(tmp_path):
    path = Concept('amen', VECTORS).save(tmp_path / 'c.safetensors')
    (tmp_path / 'c.safetensors.tmp').symlink_to('/dev/full')  # where nothing can be written
    with pytest.raises(OSError):
        Concept('amen', VECTORS + 1).save(path)
    assert torch.equal(Concept.load(path).vectors, VECTORS)


@pytest.mark.parametrize('name', ['808', 'agni_parthene', 'my-oud', 'Obama', 'train', 'keys'])
def test_good_names(name):
    assert tokens(name, 2) == [f'<{name}>', f'<{name}>_1']


@pytest.mark.parametrize('name', ['', 'two words', 'a>b', '<amen>', 'ü', '_x', 'a:b', 'a.b', 'a/b', 'a\n'])
def test_bad_names(name):
    with pytest.raises(UserError, match='concept.name'):
        check_name(name)


@pytest.mark.parametrize('vectors', [torch.zeros(3), torch.zeros(0, 4), torch.full((1, 2), float('nan'))])
def test_bad_vectors(vectors):
    with pytest.raises(UserError, match='<amen>'):
        Concept('amen', vectors)


@pytest.mark.parametrize('tensors, metadata', [
    ({'<a>': VECTORS, '<b>': VECTORS + 1}, {}),
    ({'<a b>': VECTORS}, {}),
    ({'a\x1b[2J': VECTORS}, {}),
    ({'<a>': VECTORS.int()}, {}),
    ({'<a>': VECTORS[None]}, {}),
    ({'<a>': VECTORS / 0}, {}),
    ({'<a>': VECTORS}, {'format_version': '2'}),
])
def test_files_that_do_not_fit_are_refused(tmp_path, tensors, metadata):
    save_file(tensors, tmp_path / 'c.safetensors', metadata)
    with pytest.raises(UserError):
        Concept.load(tmp_path / 'c.safetensors')


@pytest.mark.parametrize('key, tensor, name', [
    ('<cat-toy>', VECTORS.half(), 'cat-toy'),  # diffusers
    ('cat-toy', VECTORS[0], 'cat-toy'),  # diffusers, one vector
    ('emb_params', VECTORS.bfloat16(), 'oud'),  # A1111
])
def test_files_of_diffusers_and_a1111(tmp_path, key, tensor, name):
    save_file({key: tensor.contiguous()}, tmp_path / 'oud.safetensors')
    concept = Concept.load(tmp_path / 'oud.safetensors')
    assert concept.name == name and concept.vectors.dtype == torch.float32
    assert torch.equal(concept.vectors, tensor.float().view(-1, 2))


@pytest.mark.parametrize('metadata', [{'origin': 'a shed\x1b[2J'}, {'base_model\r': 'tiny'}, {'origin': '\x9b2J'}])
def test_control_characters_in_the_metadata_are_refused(tmp_path, metadata):
    save_file({'<amen>': VECTORS}, tmp_path / 'c.safetensors', metadata)
    with pytest.raises(UserError, match='control characters in its metadata') as error:
        Concept.load(tmp_path / 'c.safetensors')
    assert str(error.value).isprintable()


@pytest.mark.parametrize('text', ['no json', '3', '[1]', '[' * 100_000])
def test_details_that_are_none(text):
    assert Concept('amen', VECTORS, {'scores': '{"ce": 1.5}'}).details('scores') == {'ce': 1.5}
    with pytest.raises(UserError, match="'scores' in its metadata"):
        Concept('amen', VECTORS, {'scores': text}).details('scores')


def test_a_name_twice_in_a_file_is_refused(tmp_path):
    header = b'{"<a>":{"dtype":"F32","shape":[1,1],"data_offsets":[0,4]},"<a>":{"dtype":"F32","shape":[1,1],' \
             b'"data_offsets":[4,8]}}'
    path = tmp_path / 'c.safetensors'
    path.write_bytes(len(header).to_bytes(8, 'little') + header + bytes(8))
    with pytest.raises(UserError, match='c.safetensors'):
        Concept.load(path)


class Trap:
    def __reduce__(self):
        return pytest.fail, ('a concept file was unpickled',)


@pytest.mark.parametrize('content', [b'', b'text', pickle.dumps(Trap()), (10 * 2 ** 30).to_bytes(8, 'little') + b'{}'])
def test_what_is_not_safetensors_is_refused_unread(tmp_path, content):
    path = tmp_path / 'c.safetensors'
    path.write_bytes(content)
    with pytest.raises(UserError, match='c.safetensors'):
        Concept.load(path)


def test_missing_file_is_named(tmp_path):
    with pytest.raises(UserError, match='gone.safetensors'):
        Concept.load(tmp_path / 'gone.safetensors')
