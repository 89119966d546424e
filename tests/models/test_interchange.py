"""Against the real libraries: the same vectors condition transformers' MusicGen and diffusers' pipelines alike."""
from audiocraft.modules.conditioners import T5Conditioner
import pytest
import torch
from transformers import (EncodecConfig, MusicgenConfig, MusicgenDecoderConfig, MusicgenForConditionalGeneration,
                          T5Config, T5EncoderModel, T5Tokenizer)

from audiocraft_ti import tiny
from audiocraft_ti.concept import Concept
from audiocraft_ti.errors import UserError
from audiocraft_ti.models.interchange import add_to_transformers
from audiocraft_ti.modules.conditioner import ConceptConditioner, register_t5

T5 = tiny.BASE / 't5'
WIDTH = 48  # of the language model


@pytest.fixture
def concept():
    return Concept('amen', torch.randn(40, 128, generator=torch.Generator().manual_seed(0)))  # more than spare rows


@pytest.fixture
def conditioner(concept):
    torch.manual_seed(0)
    ours = ConceptConditioner(T5Conditioner(register_t5(T5), WIDTH, finetune=False, device='cpu'), shuffle=False,
                              sample_ratio=1.).eval()
    ours.add(concept.name, concept.vectors)
    return ours


def test_transformers_musicgen_is_conditioned_alike(concept, conditioner):
    config = MusicgenConfig(
        text_encoder=T5Config.from_pretrained(T5).to_dict(), audio_encoder=EncodecConfig(num_filters=4).to_dict(),
        decoder=MusicgenDecoderConfig(
            hidden_size=WIDTH, ffn_dim=32, num_hidden_layers=1, num_attention_heads=2).to_dict())
    model, tokenizer = MusicgenForConditionalGeneration(config).eval(), T5Tokenizer.from_pretrained(T5)
    model.text_encoder.load_state_dict(T5EncoderModel.from_pretrained(T5).state_dict())
    model.enc_to_dec_proj.load_state_dict(conditioner.output_proj.state_dict())
    text = add_to_transformers(concept, tokenizer, model.text_encoder)
    inputs = tokenizer([f'A disco song with a {text}', 'A waltz'], return_tensors='pt', padding=True)
    with torch.no_grad():
        states = model.enc_to_dec_proj(model.text_encoder(**inputs).last_hidden_state)
        theirs = states * inputs.attention_mask[..., None]
        ours, _ = conditioner(conditioner.tokenize(['A disco song with a <amen>', 'A waltz']))
    assert torch.allclose(ours, theirs, atol=1e-5) and ours.abs().max() > 0.1


def test_what_does_not_fit_transformers(concept):
    tokenizer, encoder = T5Tokenizer.from_pretrained(T5), T5EncoderModel.from_pretrained(T5)
    with pytest.raises(UserError, match='width 7'):
        add_to_transformers(Concept('amen', torch.zeros(1, 7)), tokenizer, encoder)
    add_to_transformers(concept, tokenizer, encoder)
    with pytest.raises(UserError, match='<amen> is in the tokenizer'):
        add_to_transformers(concept, tokenizer, encoder)


def test_diffusers_reads_our_file(concept, conditioner, tmp_path):
    from diffusers import DiffusionPipeline
    from diffusers.loaders import TextualInversionLoaderMixin

    class Pipeline(DiffusionPipeline, TextualInversionLoaderMixin):
        def __init__(self, tokenizer, text_encoder):
            super().__init__()
            self.register_modules(tokenizer=tokenizer, text_encoder=text_encoder)

    pipeline = Pipeline(T5Tokenizer.from_pretrained(T5), T5EncoderModel.from_pretrained(T5))
    pipeline.load_textual_inversion(str(concept.save(tmp_path / 'amen.safetensors')))
    prompt = pipeline.maybe_convert_prompt('A disco song with a <amen>', pipeline.tokenizer)
    assert prompt == conditioner.expand('A disco song with a <amen>')
    inputs = pipeline.tokenizer(prompt, return_tensors='pt')
    with torch.no_grad():
        states = pipeline.text_encoder(**inputs).last_hidden_state
        ours, _ = conditioner(conditioner.tokenize(['A disco song with a <amen>']))
    assert torch.allclose(ours, conditioner.output_proj(states), atol=1e-5)
