"""Concepts in models of transformers, whose MusicGen and Stable Audio read with T5, too.

diffusers' pipelines read our files by themselves: `pipeline.load_textual_inversion('amen.safetensors')`.
"""
import typing as tp

import torch

from ..concept import Concept
from ..errors import UserError


@torch.no_grad()
def add_to_transformers(concept: Concept, tokenizer: tp.Any, text_encoder: tp.Any) -> str:
    """Put a concept's vectors into a text encoder's embedding matrix, for models that have no concept bank.

    Args:
        concept (Concept): Any concept of the text encoder's width.
        tokenizer (PreTrainedTokenizer): The model's tokenizer, which learns the concept's tokens.
        text_encoder (T5EncoderModel): `model.text_encoder` of a `MusicgenForConditionalGeneration`, for one. Its
            matrix grows where it has no spare rows left.
    Returns:
        str: What to write in prompts: all tokens of the concept. Half of them, drawn at random, are the paper's
            strength (P16).
    Raises:
        UserError: If the width differs, or one of the tokens is there already.
    """
    matrix = text_encoder.get_input_embeddings().weight
    if concept.vectors.shape[1] != matrix.shape[1]:
        raise UserError(f"the concept {concept.placeholder} has vectors of width {concept.vectors.shape[1]}, the text "
                        f"encoder's have {matrix.shape[1]}: it was learned for another base model.")
    taken = [token for token in concept.tokens if token in tokenizer.get_vocab()]
    if taken:
        raise UserError(f"{taken[0]} is in the tokenizer's vocabulary already: load the concept by another name.")
    tokenizer.add_tokens(concept.tokens)
    if len(tokenizer) > len(matrix):
        text_encoder.resize_token_embeddings(len(tokenizer))
    ids = tokenizer.convert_tokens_to_ids(concept.tokens)
    matrix = text_encoder.get_input_embeddings().weight
    matrix[ids] = concept.vectors.to(matrix)
    return ' '.join(concept.tokens)
