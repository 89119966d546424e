import pytest
import torch

from audiocraft_ti.data.dataset import describe
from audiocraft_ti.models.concept_lm import ConceptLM
from audiocraft_ti.models.loaders import load_base


@pytest.fixture
def model():
    model = ConceptLM(load_base('tiny').lm)
    model.conditioner.add('amen', torch.randn(10, model.bank.dim, generator=torch.Generator().manual_seed(0)))
    return model


def loss_of(model, text):
    codes = torch.randint(0, 64, (2, 2, 50), generator=torch.Generator().manual_seed(0))
    attributes = [describe(text).to_condition_attributes()] * 2
    output = model.compute_predictions(codes, attributes)
    return output.logits[output.mask].logsumexp(-1).sum()


def test_the_bank_is_all_that_upstream_sees(model):
    assert {name: list(p.shape) for name, p in model.named_parameters()} == {'bank.vectors.<amen>': [10, 128]}
    assert list(model.state_dict()) == ['bank.vectors.<amen>']
    assert [name for name, p in model.lm.named_parameters() if p.requires_grad] == [
        'condition_provider.conditioners.description.bank.vectors.<amen>']


def test_gradients_reach_the_vectors_and_nothing_else(model):
    loss_of(model.train(), 'A recording of a <amen>').backward()
    assert model.bank['amen'].grad.abs().sum() > 0
    everything = [*model.lm.parameters(), *model.conditioner.t5.parameters()]
    assert [p for p in everything if p.grad is not None and p is not model.bank['amen']] == []


def test_training_leaves_the_base_in_eval_mode(model):
    model.train()
    assert model.training and model.conditioner.training
    assert not model.lm.training and not model.conditioner.t5.training and not model.lm.cfg_dropout.training
    model.eval()
    assert not model.training and not model.conditioner.training


def test_without_the_placeholder_the_model_is_bit_identical(model):  # P27
    untouched = load_base('tiny').lm
    for text in ('A recording of a guitar', None):
        assert torch.equal(loss_of(model, text), loss_of(untouched, text))
    attributes = [describe('disco').to_condition_attributes()]
    options = dict(max_gen_len=20, use_sampling=True, top_k=10)
    samples = []
    for lm in (model, untouched):
        torch.manual_seed(0)
        samples.append(lm.generate(None, attributes, **options))
    assert torch.equal(*samples)
