"""How prompts speak of concepts, whatever text encoder reads them."""
from abc import ABC, abstractmethod
from functools import cached_property
import logging
import math
import typing as tp

from .. import environment
environment.prepare()
from audiocraft.utils.utils import warn_once
import torch
from torch import nn

from .bank import ConceptBank
from .. import concept
from ..data.prompts import concepts_of, PLACEHOLDER
from ..errors import UserError
from ..hashes import tensors_hash

logger = logging.getLogger(__name__)


def check_share(share: tp.Union[float, str], where: str) -> float:
    """Return `share` as a number if that share of a concept's vectors can be drawn.

    Args:
        share (float or str): As it was given.
        where (str): What to name in an error.
    Raises:
        UserError: If it is not above 0 and at most 1.
    """
    try:
        number = float(share)
    except ValueError:
        number = math.nan
    if not 0 < number <= 1:
        raise UserError(f"{where} is an impossible share of a concept's vectors: give a number above 0 and at most 1, "
                        "0.5 for half of them.")
    return number


class Placeholders(nn.Module, ABC):
    """The half of a text conditioner that turns prompts into token ids, concepts' vectors among them.

    A placeholder `<name>` in a prompt becomes the concept's tokens `<name> <name>_1 ...`: in training all of them or a
    random share, in a fresh random order each time, so that positions mean nothing (P15); else a random share, since
    with all of them the words around are ignored (P16). `<name:0.3>` asks for another share.

    Args:
        *args: Those of the audiocraft module that it is half of, if any.
        tokenizer (PreTrainedTokenizer): The text encoder's.
        dim (int): Width of its embeddings.
        name (str): Its name.
        device (str or torch.device): Where it lies.
        max_length (int): Prompts are cut at this many tokens (P6).
        shuffle (bool): Whether tokens are put in random order.
        sample_ratio (float): Share of a concept's tokens that is drawn outside of training.
        train_ratio (float): And in training. With all of them, as in the paper, vectors learn to mean the concept
            together; what a few of them mean is left to chance.
    Attributes:
        PADDING (bool or str): Of prompts, to the longest of them; to `max_length` where that is its name.
        bank (ConceptBank): Vectors of the concepts, with ids from `len(tokenizer)` on.
        generator (torch.Generator): Of all draws, but for those of placeholders that a row has its own for.
        row_generator (callable, optional): That of a row of the batch, by its index.
    """
    PADDING: tp.ClassVar[tp.Union[bool, str]] = True
    row_generator: tp.Optional[tp.Callable[[int], torch.Generator]] = None

    def __init__(self, *args: tp.Any, tokenizer: tp.Any, dim: int, name: str, device: tp.Any, max_length: int,
                 shuffle: bool = True, sample_ratio: float = 0.5, train_ratio: float = 1.):
        super().__init__(*args)
        self.tokenizer = tokenizer
        self.name = name
        self.device = device
        self.max_length = max_length
        self.shuffle = shuffle
        self.sample_ratio = sample_ratio
        self.train_ratio = train_ratio
        self.bank = ConceptBank(len(tokenizer), dim)
        self.generator = torch.Generator()

    @property
    @abstractmethod
    def embedding(self) -> nn.Embedding:
        """The text encoder's own embeddings."""

    @property
    def rows(self) -> torch.Tensor:
        """Embeddings of the tokenizer's real tokens, [N, D]; the matrix may have more rows than there are tokens."""
        return self.embedding.weight[:self.bank.first_id]

    @cached_property
    def embedding_hash(self) -> str:
        """Tells text encoders apart; of a hundred megabytes for t5-base, and asked for with every checkpoint."""
        return tensors_hash({'rows': self.rows})

    def new_tokens(self, tokens: tp.List[str]) -> tp.List[tp.Any]:
        """What the tokenizer is to add for a concept's tokens."""
        return tokens  # type: ignore

    def add(self, name: str, vectors: torch.Tensor) -> None:
        """Make `<name>` stand for the given vectors of shape [V, D].

        Raises:
            UserError: If one of its tokens is in the tokenizer's vocabulary, or the bank refuses it.
        """
        tokens = concept.tokens(name, len(vectors))
        vocabulary = self.tokenizer.get_vocab()
        taken = [token for token in tokens if vocabulary.get(token, self.bank.first_id) < self.bank.first_id]
        if taken:
            raise UserError(f"concept.name={name} will not do: {taken[0]} is in the text encoder's vocabulary already; "
                            "choose another name.")
        self.tokenizer.add_tokens(self.new_tokens(tokens))
        ids = self.tokenizer.convert_tokens_to_ids(tokens)
        self.bank.add(name, vectors.to(self.device), ids)

    def word_ids(self, text: str) -> tp.List[int]:
        """Ids of the tokens of a few words."""
        return self.tokenizer(text, add_special_tokens=False)['input_ids']

    def expand(self, prompt: str, row: int = 0) -> str:
        """Write a prompt's placeholders out as tokens, in a draw that may be of its row in the batch.

        Raises:
            UserError: If it has a placeholder that no loaded concept answers to, or asks for no possible share of it.
        """
        generator = self.row_generator(row) if self.row_generator else self.generator
        return PLACEHOLDER.sub(lambda match: self._draw(generator, *match.groups()), prompt)

    def _draw(self, generator: torch.Generator, name: str, share: tp.Optional[str]) -> str:
        placeholder = f'<{name}>'
        if placeholder not in self.bank:
            loaded = ', '.join(self.bank.vectors) or 'none'
            raise UserError(f"the prompt speaks of {placeholder}, which is not among the loaded concepts ({loaded}): "
                            "load it or mend the prompt.")
        usual = self.train_ratio if self.training else self.sample_ratio
        ratio = usual if share is None else check_share(share, f'<{name}:{share}> in a prompt')
        tokens = concept.tokens(name, len(self.bank.vectors[placeholder]))
        drawn = torch.randperm(len(tokens), generator=generator)[:math.ceil(ratio * len(tokens))].tolist()
        return ' '.join(tokens[i] for i in (drawn if self.shuffle else sorted(drawn)))

    def tokenize(self, x: tp.List[tp.Optional[str]]) -> tp.Dict[str, torch.Tensor]:
        """Token ids and mask, each of shape [B, T], padded; no text is an empty prompt."""
        prompts = [self.expand(text or '', row) for row, text in enumerate(x)]
        inputs = self.tokenizer(prompts, return_tensors='pt', padding=self.PADDING, truncation=True,
                                max_length=self.max_length)
        self._warn_if_cut(prompts, inputs['input_ids'])
        return inputs.to(self.device)

    def _warn_if_cut(self, prompts: tp.List[str], ids: torch.Tensor) -> None:
        written = sum(len(concepts_of(prompt)) for prompt in prompts)  # each token matches once
        if (ids >= self.bank.first_id).sum() < written:
            warn_once(logger, f"A prompt was cut at {self.max_length} tokens, and a concept's placeholder with it.")
