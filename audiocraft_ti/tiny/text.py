"""The tiny world's own T5 encoder: a sentencepiece tokenizer of its captions, and weights that understand them."""
from itertools import islice
from pathlib import Path
import typing as tp

import numpy as np
import sentencepiece
import torch
from torch import nn
from torch.nn import functional as F
from tqdm import tqdm
from transformers import T5Config, T5EncoderModel, T5Tokenizer

from . import timbres, world
from .captions import caption, full, repeated
from .dataset import draw_name
from ..data.prompts import NEUTRAL_PROMPTS

WORD_COUNT = 300
SPARE_ROWS = 28  # t5-base has that many rows more than its tokenizer has tokens
T5 = {'d_model': 128, 'd_kv': 32, 'd_ff': 256, 'num_layers': 2, 'num_heads': 4, 'dropout_rate': 0.,
      'is_encoder_decoder': False, 'use_cache': False}
WORDS: tp.List[tp.List[str]] = [list(world.STYLES), list(world.TEMPOS), list(world.REGISTERS), world.MOODS]
# of each list, a caption says one or none


def draw_captions(seed: int) -> tp.Iterator[str]:
    """Captions of clips that nobody plays, without end."""
    rng = np.random.default_rng(seed)
    while True:
        attributes = world.draw(rng, draw_name(rng))
        sentence = full(attributes) if rng.random() < 0.2 else caption(attributes, rng)
        yield repeated(sentence, attributes.timbre, rng)


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
        sentence_iterator=sentences(), model_prefix=str(folder / 'spiece'), vocab_size=1500,
        normalization_rule_name='nmt_nfkc_cf', hard_vocab_limit=False, pad_id=0, eos_id=1, unk_id=2, bos_id=-1,
        required_chars='abcdefghijklmnopqrstuvwxyz', minloglevel=2, num_threads=1)
    (folder / 'spiece.vocab').unlink()
    tokenizer = T5Tokenizer.from_pretrained(folder)
    with torch.random.fork_rng():
        torch.manual_seed(seed)
        t5 = T5EncoderModel(T5Config(vocab_size=len(tokenizer) + SPARE_ROWS, **T5))
    t5.get_input_embeddings().weight.data.mul_(0.01)  # beside what words are to mean, what they are at first is little
    t5.save_pretrained(folder)


def said(sentence: str) -> tp.List[int]:
    """Which word of each list in `WORDS` a caption says: its place counted from one, zero for none."""
    words = _words(sentence)
    return [next((place for place, word in enumerate(choice, 1) if word in words), 0) for choice in WORDS]


def meant(sentence: str) -> np.ndarray:
    """The meaning of the sound that a caption names, not a number where it names none."""
    sounds = [word for word in _words(sentence) if word in timbres.KNOWN or word in timbres.invented()]
    return timbres.meaning(sounds[0]) if sounds else np.full(len(timbres.TRAITS), np.nan, np.float32)


class _Heads(nn.Module):
    """What is asked of the states of an encoder."""
    def __init__(self, dim: int):
        super().__init__()
        self.words = nn.ModuleList(nn.Linear(dim, len(choice) + 1) for choice in WORDS)
        self.sound = nn.Linear(dim, len(timbres.TRAITS))

    def forward(self, states: torch.Tensor, texts: tp.Sequence[str]) -> tp.Tuple[torch.Tensor, torch.Tensor]:
        """The loss of states [N, D], one for each text, and the share of words that they get right."""
        truth, meanings = torch.tensor([said(text) for text in texts]), torch.tensor(np.stack([*map(meant, texts)]))
        scores = [head(states) for head in self.words]
        errors = [F.cross_entropy(logits, target) for logits, target in zip(scores, truth.T)]
        named = ~meanings.isnan().any(1)
        errors.append(10 * F.mse_loss(self.sound(states[named]), meanings[named]))
        right = torch.stack([logits.argmax(1) for logits in scores], 1) == truth
        return torch.stack(errors).sum(), right.float().mean()


def pretrain(folder: Path, updates: int = 3000, batch_size: int = 64, lr: float = 2e-3, seed: int = 7) -> float:
    """Teach an encoder which words a caption says and how the sound that it names sounds, so that every state tells.

    MusicGen's T5 comes trained, too: a language model that has to learn reading and playing at once takes up to
    reading last, since what words say about the next token is little beside what the tokens before it do. And it knows
    that a zither is more of a harp than of a drum. Where names are no more than marks, the language model learns them
    by heart, one by one, and there is nothing between them for a new word to mean.

    Args:
        folder (Path): Of `make_t5`; its weights are replaced.
    Returns:
        float: Share of the words that the last batch's states got right.
    """
    tokenizer, t5 = T5Tokenizer.from_pretrained(folder), T5EncoderModel.from_pretrained(folder).train()
    source = draw_captions(seed)
    with torch.random.fork_rng():
        torch.manual_seed(seed)
        heads = _Heads(t5.config.d_model)
    parameters = [*t5.parameters(), *heads.parameters()]
    optimizer = torch.optim.AdamW(parameters, lr=lr)
    schedule = torch.optim.lr_scheduler.OneCycleLR(optimizer, lr, total_steps=updates + 1)
    bar = tqdm(range(updates), 'text encoder')
    right = torch.zeros(())
    for _ in bar:
        texts = list(islice(source, batch_size))
        tokens = tokenizer(texts, return_tensors='pt', padding=True)
        items, places = tokens.attention_mask.nonzero(as_tuple=True)
        loss, right = heads(t5(**tokens).last_hidden_state[items, places], [texts[item] for item in items])
        optimizer.zero_grad()
        loss.backward()
        torch.nn.utils.clip_grad_norm_(parameters, 1.)
        optimizer.step()
        schedule.step()
        bar.set_postfix(loss=f'{loss.item():.3f}')
    t5.save_pretrained(folder)
    return right.item()
