"""A CLAP text conditioner that understands placeholders."""
import typing as tp

import torch
from torch import nn
from torch.nn import functional as F
from transformers import AddedToken

from .placeholders import Placeholders


class ClapConditioner(Placeholders):
    """The text half of CLAP as AudioLDM conditions on it, frozen, with the vectors of concepts among its embeddings.

    The text encoder is kept out of this module's parameters, which are the concepts' vectors alone.

    Args:
        text_encoder (ClapTextModelWithProjection): The base model's text encoder.
        tokenizer (RobertaTokenizer): Its tokenizer.
        name (str): The text encoder's name.
        **options: How `Placeholders` draw.
    """
    text_encoder: tp.Any

    def __init__(self, text_encoder: tp.Any, tokenizer: tp.Any, name: str, **options: tp.Any):
        super().__init__(tokenizer=tokenizer, dim=text_encoder.config.hidden_size, name=name,
                         device=text_encoder.device, max_length=tokenizer.model_max_length, **options)
        self.__dict__['text_encoder'] = text_encoder.eval().requires_grad_(False)

    @property
    def embedding(self) -> nn.Embedding:
        return self.text_encoder.get_input_embeddings()

    def new_tokens(self, tokens: tp.List[str]) -> tp.List[tp.Any]:
        """Tokens that take the space before them along: RoBERTa would make one more of it."""
        return [AddedToken(token, lstrip=True) for token in tokens]

    def word_ids(self, text: str) -> tp.List[int]:
        return super().word_ids(f' {text}')  # as within a sentence

    def forward(self, x: tp.List[tp.Optional[str]]) -> torch.Tensor:
        """Embeddings of prompts of unit length, [B, D]; no text is an empty prompt."""
        inputs = self.tokenize(x)
        ids = inputs['input_ids']
        model = self.text_encoder.text_model
        real = ids != self.tokenizer.pad_token_id
        positions = real.cumsum(1) * real + self.tokenizer.pad_token_id  # RoBERTa counts from the padding's id on
        pooled = model(inputs_embeds=self.bank.embed(ids, self.embedding), attention_mask=inputs['attention_mask'],
                       position_ids=positions).pooler_output
        return F.normalize(self.text_encoder.text_projection(pooled), dim=-1)
