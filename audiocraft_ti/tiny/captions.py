"""What people write about the tiny world's music: sentences that are true of a clip, in which words can be left out."""
import typing as tp

import numpy as np

from .world import Attributes
from ..data.prompts import NEUTRAL_PROMPTS

PIECES = ['song', 'piece', 'tune', 'track', 'music', 'beat', 'recording']
# {} is the sound with what is said of it, {kind} the piece with what is said of that: 'fast happy disco song'.
SENTENCES = [
    'A {kind} with a {}',
    'A {kind} with a {}',
    'A {kind} with a {}',
    '{kind} with {}',
    'A {kind} played on a {}',
    'A {kind} of a {}',
    'A {kind} for a {}',
    'A {} playing a {kind}',
    'A recording of a {} playing a {kind}',
    'A recording of a {} in a {kind}',
    'The sound of a {} in a {kind}',
    'This is a {kind} with a {}',
    'Here is a {kind} with the {}',
    'We hear a {kind} played on the {}',
    '{}, {kind}',
    '{kind}, {}',
]
WITHOUT_SOUND = ['A {kind}', 'A recording of a {kind}', 'This is a {kind}', 'Listen to a {kind}', '{kind}']


def caption(attributes: Attributes, rng: np.random.Generator) -> str:
    """A sentence about a clip, which says all or a part of what is true of it."""
    def maybe(word: tp.Optional[str], chance: float = 0.75) -> tp.List[str]:
        return [word] if word and rng.random() < chance else []
    sound = ' '.join([*maybe(attributes.register), attributes.timbre])
    form = rng.random()
    if form < 0.3:
        return str(rng.choice(NEUTRAL_PROMPTS)).replace('{}', sound)
    piece = str(rng.choice(PIECES))
    about = [*maybe(attributes.tempo), *maybe(attributes.mood), *maybe(attributes.style, 0.9)]
    sentence = str(rng.choice(SENTENCES if form < 0.92 else WITHOUT_SOUND))
    return sentence.replace('{kind}', ' '.join([*about, piece])).replace('{}', sound)


def full(attributes: Attributes) -> str:
    """A sentence that says everything."""
    words = [attributes.tempo, attributes.mood, attributes.style, 'song with a', attributes.register, attributes.timbre]
    return ' '.join(['A', *(word for word in words if word)])
