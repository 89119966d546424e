"""The tiny world's own T5 encoder: a sentencepiece tokenizer of its captions, and weights to start from."""
from pathlib import Path
import typing as tp

import numpy as np
import sentencepiece
import torch
from transformers import T5Config, T5EncoderModel, T5Tokenizer

from . import timbres, world
from .captions import caption, full
from ..data.prompts import NEUTRAL_PROMPTS

WORD_COUNT = 300
SPARE_ROWS = 28  # t5-base has that many rows more than its tokenizer has tokens
T5 = {'d_model': 128, 'd_kv': 32, 'd_ff': 256, 'num_layers': 2, 'num_heads': 4, 'dropout_rate': 0.,
      'is_encoder_decoder': False, 'use_cache': False}


def sentences(count: int = 20000, seed: int = 5) -> tp.Iterator[str]:
    """Captions, and every word of theirs by itself, often enough to become one token."""
    rng = np.random.default_rng(seed)
    words = set(' '.join(NEUTRAL_PROMPTS).replace('{}', '').lower().split())
    for index in range(count):
        name = None if index % 3 == 0 else str(rng.choice(list(timbres.KNOWN)))
        attributes = world.draw(rng, timbres.describe(timbres.unnamed(rng)) if name is None else name)
        sentence = full(attributes) if index % 5 == 0 else caption(attributes, rng)
        words.update(sentence.replace(',', '').lower().split())
        yield sentence
    for word in sorted(words):
        yield from [word] * WORD_COUNT


def make_t5(folder: Path, seed: int = 6) -> None:
    """Write tokenizer and initial weights, in the format of transformers; case makes no difference to it."""
    folder.mkdir(parents=True, exist_ok=True)
    sentencepiece.SentencePieceTrainer.train(
        sentence_iterator=sentences(), model_prefix=str(folder / 'spiece'), vocab_size=300,
        normalization_rule_name='nmt_nfkc_cf', hard_vocab_limit=False, pad_id=0, eos_id=1, unk_id=2, bos_id=-1,
        required_chars='abcdefghijklmnopqrstuvwxyz', minloglevel=2, num_threads=1)
    (folder / 'spiece.vocab').unlink()
    tokenizer = T5Tokenizer.from_pretrained(folder)
    with torch.random.fork_rng():
        torch.manual_seed(seed)
        T5EncoderModel(T5Config(vocab_size=len(tokenizer) + SPARE_ROWS, **T5)).save_pretrained(folder)
