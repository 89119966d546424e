"""Prompts: how they speak of concepts, and neutral ones, which say nothing about a sound but that it is there (P5)."""
import json
from pathlib import Path
import re
import typing as tp

from ..errors import UserError

PLACEHOLDER = re.compile(r'<([^<>\s:]+)(?::([^<>\s]*))?>')  # <name>, or <name:0.3> for that share of its vectors
# Section 2 of the paper uses 31 of them and names the first two. No genre, mood, instrument or quality word.
NEUTRAL_PROMPTS = [
    'A recording of a {}',
    'The sound of {}',
    'A recording of the {}',
    'A recording of {}',
    'A recording of one {}',
    'A recording of my {}',
    'The sound of a {}',
    'The sound of the {}',
    'The sound of one {}',
    'This is a {}',
    'This is the sound of a {}',
    'This is a recording of a {}',
    'Here is a {}',
    'Here is the sound of {}',
    'Audio of a {}',
    'Audio of the {}',
    'Audio with a {}',
    'A clip of a {}',
    'A clip of the {}',
    'A clip with a {} in it',
    'A sample of a {}',
    'A sample of the {}',
    'A take of a {}',
    'A track with a {}',
    'A passage of {}',
    'An excerpt of a {}',
    'An example of a {}',
    'Somebody recorded a {}',
    'You hear a {}',
    'We hear the {}',
    'Listen to a {}',
]


def concepts_of(prompt: str) -> tp.List[str]:
    """Names of the concepts that a prompt speaks of, in order."""
    return [name for name, _ in PLACEHOLDER.findall(prompt)]


def load_prompts(source: tp.Union[None, str, tp.Sequence[str]], key: str = 'dataset.neutral_prompts') -> tp.List[str]:
    """The prompts of a list, or of a text file with one prompt a line; the 31 neutral ones where nothing is given.

    Args:
        source (list of str or str, optional): Prompts, or the path of a text file, or of a benchmark's json, whose
            editability prompts are meant.
        key (str): Configuration key to name in an error.
    Raises:
        UserError: If the file cannot be read, there is no prompt, or one lacks the place for the concept, `{}`,
            or has another placeholder.
    """
    if source is None:
        return list(NEUTRAL_PROMPTS)
    where = key
    if isinstance(source, str):
        where = f'{key}={source}'
        try:
            source = _read(Path(source))
        except (OSError, ValueError, KeyError, TypeError) as error:
            raise UserError(f"{where} cannot be read as a text file with one prompt a line, or as a benchmark's json "
                            f"with editability_prompts: {error}.") from error
    prompts = [prompt.strip() for prompt in source if prompt.strip()]
    if not prompts:
        raise UserError(f"{where} holds no prompt: give one a line, such as 'A recording of a {{}}'.")
    for prompt in prompts:
        if '{}' not in prompt:
            raise UserError(f"{where} has the prompt {prompt!r}: write {{}} where the concept is to stand.")
        if re.search('[{}<>]', prompt.replace('{}', '')):
            raise UserError(f"{where} has the prompt {prompt!r}, with another placeholder than {{}}: take that out.")
    return prompts


def _read(path: Path) -> tp.List[str]:
    text = path.read_text(encoding='utf-8')
    return json.loads(text)['editability_prompts'] if path.suffix == '.json' else text.splitlines()


def load_edits(source: tp.Union[None, str, tp.Sequence[str]]) -> tp.List[str]:
    """The editability prompts of a configuration, none where nothing is given; see `load_prompts`."""
    return [] if source is None else load_prompts(source, 'generate.editability_prompts')
