from collections import Counter
import statistics

from audiocraft.modules.conditioners import T5Conditioner
import pytest
import torch

from audiocraft_ti import tiny
from audiocraft_ti.errors import UserError
from audiocraft_ti.modules.conditioner import ConceptConditioner, register_t5
from audiocraft_ti.rng import generator

V = 10
PLAIN = ['A recording of a guitar', None, 'a < b > c, disco']


@pytest.fixture
def upstream():
    torch.manual_seed(0)
    name = register_t5(tiny.BASE / 't5')
    return T5Conditioner(name, output_dim=32, finetune=False, device='cpu').eval()


@pytest.fixture
def conditioner(upstream):
    conditioner = ConceptConditioner(upstream, max_length=64).eval()
    conditioner.add('amen', torch.randn(V, upstream.dim))
    conditioner.generator = generator(0)
    return conditioner


def test_ids_start_at_the_tokenizers_length(upstream):  # P2
    length = len(upstream.t5_tokenizer)
    rows = upstream.t5.get_input_embeddings().weight
    assert len(rows) > length, "the tiny T5 has spare rows, as t5-base has"
    before = rows.clone()
    conditioner = ConceptConditioner(upstream).train()
    conditioner.add('amen', torch.randn(V, upstream.dim))
    ids = conditioner.tokenize(['a <amen>'])['input_ids'][0]
    assert sorted(ids[ids >= length].tolist()) == list(range(length, length + V))
    assert conditioner.bank.first_id == length  # the tokenizer's last word is still its own row
    assert torch.equal(upstream.t5.get_input_embeddings().weight, before)


def test_prompts_without_a_placeholder_are_bit_identical(upstream, conditioner):  # P27
    theirs = upstream(upstream.tokenize(PLAIN))
    ours = conditioner(conditioner.tokenize(PLAIN))
    assert torch.equal(theirs[0], ours[0]) and torch.equal(theirs[1], ours[1])
    assert not ours[1][1].any()  # no text is an empty mask


def test_placing_equals_a_t5_whose_matrix_holds_the_vectors(upstream, conditioner):
    conditioner.sample_ratio = 1.
    inputs = conditioner.tokenize(['A recording of a <amen>', 'The <amen>'])
    ours, mask = conditioner(inputs)
    first = conditioner.bank.first_id
    upstream.t5.resize_token_embeddings(first + V)
    upstream.t5.get_input_embeddings().weight.data[first:] = conditioner.bank['amen'].data
    theirs, _ = upstream({key: inputs[key] for key in ('input_ids', 'attention_mask')})
    assert torch.equal(ours, theirs)


def test_gradient_through_the_frozen_t5_equals_the_finite_difference(conditioner):
    conditioner.double()
    conditioner.t5.double()
    vectors = conditioner.bank.vectors['<amen>']
    inputs = conditioner.train().tokenize(['A recording of a <amen>'])

    def loss():
        return conditioner(inputs)[0].pow(2).sum()
    loss().backward()
    ratios = []
    for v in range(V):  # along the gradient, since T5's own norms and softmax stay in float32 and add noise
        slope = vectors.grad[v].norm()
        difference = []
        for step in (1e-3, -1e-3):
            with torch.no_grad():
                vectors[v] += step / slope * vectors.grad[v]
                difference.append(loss().item())
                vectors[v] -= step / slope * vectors.grad[v]
        ratios.append((difference[0] - difference[1]) / 2e-3 / slope.item())
    assert ratios == pytest.approx([1] * V, abs=0.02), "a rectifier of T5 may switch within the difference"
    assert statistics.median(ratios) == pytest.approx(1, abs=2e-3)
    assert all(parameter.grad is None for parameter in conditioner.t5.parameters())


def drawn(conditioner, prompt='A <amen> here'):
    words = conditioner.expand(prompt).split()
    assert words[0] == 'A' and words[-1] == 'here'
    return words[1:-1]


ALL = ['<amen>'] + [f'<amen>_{i}' for i in range(1, V)]


def test_training_takes_all_tokens_in_a_fresh_random_order(conditioner):  # P15
    conditioner.train()
    orders = [tuple(drawn(conditioner)) for _ in range(50)]
    assert all(sorted(order) == sorted(ALL) for order in orders)
    assert len(set(orders)) == 50
    first = Counter(order[0] for order in (drawn(conditioner) for _ in range(2000)))
    assert all(150 < first[token] < 250 for token in ALL)


def test_each_example_of_a_batch_is_shuffled_by_itself(conditioner):
    ids = conditioner.train().tokenize(['A <amen>'] * 4)['input_ids']
    assert len({tuple(row) for row in ids.tolist()}) == 4


def test_elsewhere_half_of_them_is_drawn_without_replacement(conditioner):  # P16
    draws = [drawn(conditioner) for _ in range(2000)]
    assert all(len(set(tokens)) == len(tokens) == 5 for tokens in draws)
    counts = Counter(token for tokens in draws for token in tokens)
    assert all(900 < counts[token] < 1100 for token in ALL)


def test_in_training_a_share_can_be_drawn_too(conditioner):
    conditioner.train_ratio = 0.3
    assert len(drawn(conditioner.train())) == 3 and len(drawn(conditioner.eval())) == 5


@pytest.mark.parametrize('ratio, count', [(0.01, 1), (0.41, 5), (1., 10)])
def test_the_share_is_rounded_up(conditioner, ratio, count):
    conditioner.sample_ratio = ratio
    assert len(drawn(conditioner)) == count


@pytest.mark.parametrize('share, count', [('0.3', 3), ('1', 10), ('0.01', 1), ('.75', 8)])
def test_a_placeholder_can_ask_for_a_share_of_its_own(conditioner, share, count):
    assert len(drawn(conditioner, f'A <amen:{share}> here')) == count


@pytest.mark.parametrize('share', ['0', '1.1', '-1', 'nan', 'half', ''])
def test_impossible_shares_are_refused(conditioner, share):
    with pytest.raises(UserError, match='<amen:'):
        conditioner.expand(f'A <amen:{share}> here')


def test_without_shuffling_the_order_is_kept(conditioner):
    conditioner.shuffle = False
    assert drawn(conditioner.train()) == ALL
    half = drawn(conditioner.eval())
    assert half == sorted(half, key=ALL.index)


def test_draws_follow_from_the_generator(conditioner):
    conditioner.generator = generator(1)
    first = [drawn(conditioner) for _ in range(3)]
    conditioner.generator = generator(1)
    assert [drawn(conditioner) for _ in range(3)] == first


def test_placeholders_stay_whole_beside_anything(conditioner):
    conditioner.add('boz', torch.randn(12, conditioner.dim))
    conditioner.sample_ratio = 1.
    first = conditioner.bank.first_id
    for prompt in ('<boz>', '(<boz>), <boz>.', 'a<boz>b', '<boz><amen>', '"<boz>"'):
        ids = conditioner.tokenize([prompt])['input_ids'][0].tolist()
        expected = list(range(first + V, first + V + 12)) * prompt.count('<boz>')
        expected += list(range(first, first + V)) * prompt.count('<amen>')
        assert sorted(i for i in ids if i >= first) == sorted(expected), prompt


@pytest.mark.parametrize('prompt', ['a <AMEN>', 'a <amen2>', 'a <extra_id_0>', 'a <x>', 'a <x:0.5>'])
def test_unknown_placeholders_name_the_loaded_ones(conditioner, prompt):
    with pytest.raises(UserError, match='<amen>'):
        conditioner.tokenize([prompt])


@pytest.mark.parametrize('name', ['pad', 'unk', 'extra_id_0'])
def test_names_in_the_vocabulary_are_refused(conditioner, name):
    with pytest.raises(UserError, match=f'concept.name={name}'):
        conditioner.add(name, torch.zeros(2, conditioner.dim))


def test_a_concept_twice_is_refused(conditioner):
    with pytest.raises(UserError, match='already loaded'):
        conditioner.add('amen', torch.zeros(2, conditioner.dim))


def test_long_prompts_are_cut_and_a_lost_placeholder_is_said_once(conditioner, caplog):  # P6
    long = 'disco ' * 100
    assert conditioner.tokenize([long])['input_ids'].shape == (1, 64)
    assert not caplog.messages
    for _ in range(2):
        assert conditioner.tokenize([f'{long} <amen>'])['input_ids'].shape == (1, 64)
    assert len(caplog.messages) == 1 and '64 tokens' in caplog.messages[0]


def test_only_the_projection_and_the_vectors_are_in_its_state(conditioner):
    assert set(conditioner.state_dict()) == {'output_proj.weight', 'output_proj.bias', 'bank.vectors.<amen>'}
