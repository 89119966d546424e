"""T5 conditioners that understand placeholders."""
from pathlib import Path
import typing as tp

from .. import environment
environment.prepare()
from audiocraft.modules.conditioners import ConditionType, T5Conditioner, TextConditioner
import torch
from torch import nn
from transformers import T5Config

from .placeholders import Placeholders


def register_t5(folder: Path) -> str:
    """Make a T5 encoder in a local folder known to `T5Conditioner`, which takes public names only; returns its name."""
    name = str(folder)
    if name not in T5Conditioner.MODELS:
        T5Conditioner.MODELS.append(name)
        T5Conditioner.MODELS_DIMS[name] = T5Config.from_pretrained(name).d_model
    return name


class T5Placeholders(Placeholders):
    """T5, frozen, with the vectors of concepts among its input embeddings.

    The text encoder is kept out of this module's parameters, as upstream does.

    Args:
        *args: Those of `Placeholders`.
        t5 (T5EncoderModel): The text encoder.
        **options: Those of `Placeholders`.
    """
    t5: tp.Any

    def __init__(self, *args: tp.Any, t5: tp.Any, **options: tp.Any):
        super().__init__(*args, **options)
        # as in T5Conditioner: in __dict__, it is no part of the state that is saved
        self.__dict__['t5'] = t5.eval().requires_grad_(False)

    @property
    def embedding(self) -> nn.Embedding:
        return self.t5.get_input_embeddings()

    def tokenize(self, x: tp.List[tp.Optional[str]]) -> tp.Dict[str, torch.Tensor]:
        """Token ids and mask, each of shape [B, T], padded; no text is an empty mask."""
        inputs = super().tokenize(x)
        inputs['attention_mask'][[i for i, text in enumerate(x) if not text]] = 0
        return inputs

    def states(self, inputs: tp.Dict[str, torch.Tensor]) -> torch.Tensor:
        """T5's states of tokenized prompts, [B, T, D], from the placed input embeddings."""
        embeds = self.bank.embed(inputs['input_ids'], self.embedding)  # [B, T, D]
        return self.t5(inputs_embeds=embeds, attention_mask=inputs['attention_mask']).last_hidden_state


class ConceptConditioner(T5Placeholders, TextConditioner):
    """T5 as audiocraft conditions on it.

    Args:
        conditioner (T5Conditioner): The base model's conditioner.
        max_length (int): Prompts are cut at this many tokens (P6).
        **options: How `Placeholders` draw.
    """
    def __init__(self, conditioner: T5Conditioner, max_length: int = 512, **options: tp.Any):
        super().__init__(conditioner.dim, conditioner.output_dim, t5=conditioner.t5, tokenizer=conditioner.t5_tokenizer,
                         dim=conditioner.dim, name=conditioner.name, device=conditioner.device,
                         max_length=max_length, **options)
        self.output_proj = conditioner.output_proj
        self.autocast = conditioner.autocast

    def forward(self, inputs: tp.Dict[str, torch.Tensor]) -> ConditionType:
        """Embed tokenized prompts: T5's states, projected to [B, T, output_dim], and the mask."""
        mask = inputs['attention_mask']
        with self.autocast:
            embeds = self.states(inputs)  # [B, T, D]
        embeds = self.output_proj(embeds.to(self.output_proj.weight))  # [B, T, output_dim]
        return embeds * mask.unsqueeze(-1), mask


class StatesConditioner(T5Placeholders):
    """T5 as Stable Audio's pipeline asks for it: states of prompts that are padded to one length.

    The diffusion model attends to padding, which is nought, so its length belongs to what a prompt is.

    Args:
        text_encoder (T5EncoderModel): The base model's text encoder.
        tokenizer (T5Tokenizer): Its tokenizer, which knows the length.
        name (str): The text encoder's name.
        **options: How `Placeholders` draw.
    """
    PADDING = 'max_length'

    def __init__(self, text_encoder: tp.Any, tokenizer: tp.Any, name: str, **options: tp.Any):
        super().__init__(t5=text_encoder, tokenizer=tokenizer, dim=text_encoder.config.d_model, name=name,
                         device=text_encoder.device, max_length=tokenizer.model_max_length, **options)

    def forward(self, x: tp.List[tp.Optional[str]]) -> ConditionType:
        """T5's states of prompts, [B, T, D], and the mask [B, T]."""
        inputs = self.tokenize(x)
        return self.states(inputs), inputs['attention_mask']
