"""What raters answered, with the systems behind it."""
from dataclasses import dataclass
import typing as tp

from .design import ATTENTION
from .folder import Study
from .store import Given, Rater

NEITHER, UNDECIDED = 'Neither', 'Undecided'
HEADPHONES = 2  # right answers, of three, that pass the check
Given_ = tp.Sequence[tp.Tuple[Rater, tp.Sequence[Given]]]


@dataclass
class Answer:
    """One answer of one rater.

    Args:
        rater (int): Number of the rater.
        pair (int): Index of the pair in the study.
        kind (str): `editability`, `reconstruction` or `attention`.
        concept (str): What the prompt was about.
        left (str): System on the left.
        right (str): System on the right.
        choice (str): One of them, `Neither` or `Undecided`.
        seconds (float): From the pair's turn to the answer.
    """
    rater: int
    pair: int
    kind: str
    concept: str
    left: str
    right: str
    choice: str
    seconds: float = 0.

    @property
    def systems(self) -> tp.FrozenSet[str]:
        return frozenset((self.left, self.right))


def answers_of(study: Study, raters: Given_) -> tp.List[Answer]:
    """All answers of a study, those to attention checks among them."""
    return [_answer(study, rater, one) for rater, given in raters for one in given]


def _answer(study: Study, rater: Rater, given: Given) -> Answer:
    trial = rater.plan[given.position]
    pair = study.pairs[trial.pair]
    left, right = pair.systems[::-1] if trial.swapped else pair.systems
    choice = {'left': left, 'right': right, 'neither': NEITHER, 'undecided': UNDECIDED}[given.choice]
    return Answer(rater.number, trial.pair, pair.kind, pair.concept, left, right, choice, given.seconds)


def careful(raters: Given_, answers: tp.Sequence[Answer]) -> tp.Set[int]:
    """Numbers of the raters who heard the headphone check, where there was one, and failed no attention check."""
    failed = {answer.rater for answer in answers if answer.kind == ATTENTION and answer.choice in ('noise', NEITHER)}
    return {rater.number for rater, _ in raters
            if rater.headphones is None or rater.headphones >= HEADPHONES} - failed
