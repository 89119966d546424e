import pytest
import torch
from torch import nn

from audiocraft_ti.errors import UserError
from audiocraft_ti.modules.bank import ConceptBank

D = 6


@pytest.fixture
def embedding():
    """As t5-base: a matrix with more rows (12) than the tokenizer has tokens (9)."""
    torch.manual_seed(0)
    return nn.Embedding(12, D).requires_grad_(False)


def bank_with(*names, first_id=9, num_vectors=2):
    bank = ConceptBank(first_id, D)
    for i, name in enumerate(names):
        start = first_id + i * num_vectors
        bank.add(name, torch.full((num_vectors, D), 100. + i), range(start, start + num_vectors))
    return bank


def test_new_ids_follow_the_tokenizers_and_not_the_matrix(embedding):  # P2
    bank = bank_with('a', 'b')
    embeds = bank.embed(torch.tensor([[8, 9, 10, 11, 12]]), embedding)
    assert torch.equal(embeds[0, 0], embedding.weight[8])
    assert embeds[0, 1:, 0].tolist() == [100, 100, 101, 101]


def test_equals_writing_the_vectors_into_the_matrix(embedding):
    bank = bank_with('a')
    before = embedding.weight.clone()
    ids = torch.randint(0, 11, (3, 7), generator=torch.Generator().manual_seed(1))
    embeds = bank.embed(ids, embedding)
    assert torch.equal(embedding.weight, before)
    written = before.clone()
    written[9:11] = bank['a']
    assert torch.equal(embeds, written[ids])


def test_without_concepts_it_is_the_embedding(embedding):
    ids = torch.randint(0, 9, (2, 5))
    assert torch.equal(ConceptBank(9, D).embed(ids, embedding), embedding(ids))


def test_gradient_reaches_the_vectors_that_were_used(embedding):
    bank = bank_with('a')
    weights = torch.rand(1, 3, D)
    (bank.embed(torch.tensor([[10, 0, 10]]), embedding) * weights).sum().backward()
    assert torch.allclose(bank['a'].grad, torch.stack([torch.zeros(D), weights[0, 0] + weights[0, 2]]))
    assert embedding.weight.grad is None


def test_a_batch_without_the_concept_gives_a_zero_gradient(embedding):
    bank = bank_with('a')
    bank.embed(torch.tensor([[1, 2]]), embedding).sum().backward()
    assert bank['a'].grad is not None and not bank['a'].grad.any()


def test_the_vectors_are_the_only_parameters():
    bank = bank_with('train', num_vectors=10)  # a name that nn.ParameterDict has a method for
    assert {name: list(p.shape) for name, p in bank.named_parameters()} == {'vectors.<train>': [10, D]}
    assert len(bank) == 10 and '<train>' in bank and '<other>' not in bank


def test_refuses_overlaps_and_other_widths():
    bank = bank_with('a')
    with pytest.raises(UserError, match='<a>'):
        bank.add('a', torch.zeros(1, D), [20])
    with pytest.raises(UserError, match=f'width {D + 1}'):
        bank.add('b', torch.zeros(1, D + 1), [20])


def test_does_not_alias_what_it_was_given():
    vectors = torch.zeros(2, D)
    bank = ConceptBank(9, D)
    bank.add('a', vectors, [9, 10])
    bank['a'].data += 1
    assert not vectors.any()


def test_what_is_removed_leaves_its_ids_and_moves_no_other(embedding):
    bank = bank_with('a', 'b')
    bank.remove('a')
    assert bank.embed(torch.tensor([[11, 12]]), embedding)[0, :, 0].tolist() == [101, 101]
    bank.add('a', torch.full((3, D), 7.), [9, 10, 20])
    assert bank.embed(torch.tensor([[9, 10, 20, 12]]), embedding)[0, :, 0].tolist() == [7, 7, 7, 101]
    assert len(bank) == 5
