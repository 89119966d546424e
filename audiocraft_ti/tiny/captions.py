"""What people write about the tiny world's music: sentences that are true of a clip, in which words can be left out.

They are short, and many are as long as any: audiocraft pads prompts to the longest of a batch, and its cross-attention
sees the padding, so that a model which never met a prompt without any would not understand one.
"""
import numpy as np

from .world import Attributes
from ..data.prompts import NEUTRAL_PROMPTS

LONGEST = 9  # words
MOST_REPEATS = 10  # of a name in a row: as many vectors as the paper's concepts have
SHARE_REPEATED = 0.2
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
    'A {} in a {kind}',
    'Here is a {kind} with the {}',
    'We hear a {kind} on the {}',
    '{}, {kind}',
    '{kind}, {}',
]
WITHOUT_SOUND = ['A {kind}', 'A recording of a {kind}', 'This is a {kind}', 'Listen to a {kind}', '{kind}']


def caption(attributes: Attributes, rng: np.random.Generator) -> str:
    """A sentence about a clip, which says all or a part of what is true of it."""
    form = rng.random()
    templates = NEUTRAL_PROMPTS if form < 0.25 else SENTENCES if form < 0.94 else WITHOUT_SOUND
    template = str(rng.choice(templates)).replace('{kind}', '{kind} ' + str(rng.choice(PIECES)))
    said = [word for word in (attributes.tempo, attributes.mood, attributes.style, attributes.register)
            if word and rng.random() < 0.95]
    while True:
        kind = [word for word in said if word != attributes.register]
        heard = [word for word in said if word == attributes.register] + [attributes.timbre]
        sentence = ' '.join(template.replace('{kind}', ' '.join(kind)).replace('{}', ' '.join(heard)).split())
        if len(sentence.split()) <= LONGEST:
            return sentence
        said.remove(str(rng.choice(said)))


def full(attributes: Attributes) -> str:
    """A sentence that says everything."""
    words = [attributes.tempo, attributes.mood, attributes.style, 'song with a', attributes.register, attributes.timbre]
    return ' '.join(['A', *(word for word in words if word)])


def repeated(sentence: str, name: str, rng: np.random.Generator) -> str:
    """Say a sound's name several times in a row now and then, since a concept stands in a prompt as several tokens.

    MusicGen's T5 has met names of many tokens; one that has not makes something else of five vectors than of ten.
    """
    times = rng.integers(2, MOST_REPEATS, endpoint=True) if rng.random() < SHARE_REPEATED else 1
    return ' '.join(' '.join([word] * times) if word == name else word for word in sentence.split(' '))
