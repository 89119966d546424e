"""A T5 conditioner that understands placeholders."""
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


class ConceptConditioner(Placeholders, TextConditioner):
    """T5 as audiocraft conditions on it, frozen, with the vectors of concepts among its input embeddings.

    The text encoder is kept out of this module's parameters, as upstream does.

    Args:
        conditioner (T5Conditioner): The base model's conditioner.
        max_length (int): Prompts are cut at this many tokens (P6).
        **options: How `Placeholders` draw.
    """
    t5: tp.Any

    def __init__(self, conditioner: T5Conditioner, max_length: int = 512, **options: tp.Any):
        super().__init__(conditioner.dim, conditioner.output_dim, tokenizer=conditioner.t5_tokenizer,
                         dim=conditioner.dim, name=conditioner.name, device=conditioner.device,
                         max_length=max_length, **options)
        self.output_proj = conditioner.output_proj
        self.autocast = conditioner.autocast
        # as in T5Conditioner: in __dict__, it is no part of the state that is saved
        self.__dict__['t5'] = conditioner.t5.eval().requires_grad_(False)

    @property
    def embedding(self) -> nn.Embedding:
        return self.t5.get_input_embeddings()

    def tokenize(self, x: tp.List[tp.Optional[str]]) -> tp.Dict[str, torch.Tensor]:
        """Token ids and mask, each of shape [B, T], padded to the longest prompt; no text is an empty mask."""
        inputs = super().tokenize(x)
        inputs['attention_mask'][[i for i, text in enumerate(x) if not text]] = 0
        return inputs

    def forward(self, inputs: tp.Dict[str, torch.Tensor]) -> ConditionType:
        """Embed tokenized prompts: T5 on the placed input embeddings, projected to [B, T, output_dim], and the mask."""
        mask = inputs['attention_mask']
        embeds = self.bank.embed(inputs['input_ids'], self.embedding)  # [B, T, D]
        with self.autocast:
            embeds = self.t5(inputs_embeds=embeds, attention_mask=mask).last_hidden_state  # [B, T, D]
        embeds = self.output_proj(embeds.to(self.output_proj.weight))  # [B, T, output_dim]
        return embeds * mask.unsqueeze(-1), mask
