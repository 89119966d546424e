"""The tiny world's own T5 encoder: a sentencepiece tokenizer of its captions, and weights that understand them."""
from itertools import islice
from pathlib import Path
import typing as tp

import numpy as np
import sentencepiece
import torch
from torch.nn import functional as F
from tqdm import tqdm
from transformers import T5Config, T5EncoderModel, T5Tokenizer

from . import timbres, world
from .captions import caption, full
from ..data.prompts import NEUTRAL_PROMPTS

WORD_COUNT = 300
SPARE_ROWS = 28  # t5-base has that many rows more than its tokenizer has tokens
T5 = {'d_model': 128, 'd_kv': 32, 'd_ff': 256, 'num_layers': 2, 'num_heads': 4, 'dropout_rate': 0.,
      'is_encoder_decoder': False, 'use_cache': False}
WORDS: tp.List[tp.List[str]] = [list(timbres.KNOWN), list(world.STYLES), list(world.TEMPOS), list(world.REGISTERS),
                                world.MOODS]  # of each list, a caption says one or none


def draw_captions(seed: int) -> tp.Iterator[str]:
    """Captions of clips that nobody plays, without end."""
    rng = np.random.default_rng(seed)
    index = 0
    while True:
        name = None if index % 3 == 0 else str(rng.choice(list(timbres.KNOWN)))
        attributes = world.draw(rng, timbres.describe(timbres.unnamed(rng)) if name is None else name)
        yield full(attributes) if index % 5 == 0 else caption(attributes, rng)
        index += 1


def sentences(count: int = 20000, seed: int = 5) -> tp.Iterator[str]:
    """Captions, and every word of theirs by itself, often enough to become one token."""
    words = set(' '.join(NEUTRAL_PROMPTS).replace('{}', '').lower().split())
    for sentence in islice(draw_captions(seed), count):
        words.update(_words(sentence))
        yield sentence
    for word in sorted(words):
        yield from [word] * WORD_COUNT


def _words(sentence: str) -> tp.List[str]:
    return sentence.replace(',', '').lower().split()


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


def said(sentence: str) -> tp.List[int]:
    """Which word of each list in `WORDS` a caption says: its place counted from one, zero for none."""
    words = _words(sentence)
    return [next((place for place, word in enumerate(choice, 1) if word in words), 0) for choice in WORDS]


def pretrain(folder: Path, updates: int = 600, batch_size: int = 64, lr: float = 1e-3, seed: int = 7) -> float:
    """Teach an encoder which words a caption says, so that every state of it tells.

    MusicGen's T5 comes trained, too: a language model that has to learn reading and playing at once takes up to
    reading last, since what words say about the next token is little beside what the tokens before it do.

    Args:
        folder (Path): Of `make_t5`; its weights are replaced.
    Returns:
        float: Share of the words that the last batch's states got right.
    """
    tokenizer, t5 = T5Tokenizer.from_pretrained(folder), T5EncoderModel.from_pretrained(folder).train()
    source = draw_captions(seed)
    with torch.random.fork_rng():
        torch.manual_seed(seed)
        heads = torch.nn.ModuleList(torch.nn.Linear(t5.config.d_model, len(choice) + 1) for choice in WORDS)
    parameters = [*t5.parameters(), *heads.parameters()]
    optimizer = torch.optim.AdamW(parameters, lr=lr)
    schedule = torch.optim.lr_scheduler.OneCycleLR(optimizer, lr, total_steps=updates + 1)
    right = 0.
    for _ in tqdm(range(updates), 'text encoder'):
        texts = list(islice(source, batch_size))
        tokens = tokenizer(texts, return_tensors='pt', padding=True)
        mask = tokens.attention_mask.bool()
        states = t5(**tokens).last_hidden_state[mask]  # [N, D]
        truth = torch.tensor([said(text) for text in texts])[:, None].expand(*mask.shape, -1)[mask]  # [N, lists]
        logits = [head(states) for head in heads]
        optimizer.zero_grad()
        torch.stack([F.cross_entropy(scores, target) for scores, target in zip(logits, truth.T)]).sum().backward()
        torch.nn.utils.clip_grad_norm_(parameters, 1.)
        optimizer.step()
        schedule.step()
        guesses = torch.stack([scores.argmax(1) for scores in logits], 1)
        right = (guesses == truth).float().mean().item()
    t5.save_pretrained(folder)
    return right
