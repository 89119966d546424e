"""From folders of samples to a study's folder."""
from itertools import combinations
import os
from pathlib import Path
import random
import secrets
import tempfile
import typing as tp

import torch
from tqdm import tqdm

from . import folder, stimuli
from .design import ATTENTION, Pair, per_kind
from ..data import audio
from ..data.manifest import find_recordings
from ..data.prompts import concepts_of
from ..errors import UserError
from ..evaluation.evaluate import kind_of, list_samples

NOT_SYSTEMS = ('Neither', 'Undecided', 'noise')
Samples = tp.Dict[str, tp.List[Path]]  # files of each prompt


class Stimuli:
    """Clips that are being prepared: each under a name that tells nothing, and each file once.

    Args:
        path (Path): Folder for them.
        seconds (float): Where to cut them off.
    """
    def __init__(self, path: Path, seconds: float) -> None:
        self.path, self.seconds = path, seconds
        self.clips: tp.Dict[str, folder.Clip] = {}
        self._names: tp.Dict[Path, str] = {}

    def add(self, source: Path) -> str:
        """Name of the clip made from a file."""
        if source not in self._names:
            self._names[source] = self.write(stimuli.prepare(source, self.seconds), str(source.resolve()))
        return self._names[source]

    def write(self, wav: torch.Tensor, source: str) -> str:
        name = secrets.token_hex(8)
        file = audio.write(self.path / f'{name}.wav', wav, stimuli.SAMPLE_RATE)
        os.utime(file, (0, 0))  # or the order in time would tell
        self.clips[name] = folder.Clip(source=source, seconds=wav.shape[1] / stimuli.SAMPLE_RATE)
        return name


def concept_of(prompt: str) -> str:
    """Names of a prompt's concepts, without brackets and strength."""
    return ' + '.join(sorted(set(concepts_of(prompt)))) or 'none'


def create(systems: tp.Mapping[str, Path], out: Path, references: tp.Mapping[str, Path], pairs: int = 10,
           attention: int = 0, seconds: float = 10., seed: int = 0) -> folder.StudyFolder:
    """Build a study from the samples of two or more systems.

    Args:
        systems (dict[str, Path]): Folder of each system's samples, with a `samples.jsonl`.
        out (Path): The study's folder, which must not be there yet.
        references (dict[str, Path]): For concepts that raters are to hear: a recording, or a folder of some.
        pairs (int): How many a rater hears, of both kinds together.
        attention (int): How many more have a clip and noise, to see who listens.
        seconds (float): Where clips are cut off.
        seed (int): Of who hears what.
    Raises:
        UserError: If samples are missing or cannot be used, or the folder is there.
    """
    if out.exists():
        raise UserError(f'{out} is there already: give another --out, or remove it first.')
    listed = {name: _by_prompt(list_samples(path)) for name, path in systems.items()}
    _check(listed, systems)
    matches = list(_matches(listed))
    concepts = sorted({concept_of(prompt) for prompt, *_ in matches})
    _check_references(references, concepts)
    counts = _counts([kind_of(prompt) for prompt, *_ in matches], pairs)
    out.parent.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(dir=out.parent) as temporary:
        made = Stimuli(Path(temporary) / 'clips', seconds)
        found = [_pair(made, *one) for one in tqdm(matches, 'Preparing clips', disable=None)]
        if attention:
            found += _attention(made, found, attention, seed)
            counts[ATTENTION] = attention
        study = folder.Study(
            seed=seed, systems=list(systems), pairs_per_rater={kind: n for kind, n in counts.items() if n},
            labels={name: name for concept in concepts for name in concept.split(' + ')}, pairs=found,
            references={name: made.add(_recording(path)) for name, path in references.items()}, clips=made.clips)
        return folder.write(out, study, secrets.token_urlsafe(24), made.path)


def _by_prompt(listed: tp.Sequence[tp.Tuple[str, Path]]) -> Samples:
    samples: Samples = {}
    for prompt, path in listed:
        samples.setdefault(prompt, []).append(path)
    return samples


def _check(listed: tp.Mapping[str, Samples], systems: tp.Mapping[str, Path]) -> None:
    """Names that will do, and the same prompts everywhere, as often."""
    if len(listed) < 2:
        raise UserError('A study compares two systems or more: give --system twice at least.')
    for name in listed:
        if not name or name in NOT_SYSTEMS:
            raise UserError(f'--system {name}={systems[name]} has a name that answers need: give it another.')
    for prompt in dict.fromkeys(prompt for samples in listed.values() for prompt in samples):
        count = {name: len(samples.get(prompt, [])) for name, samples in listed.items()}
        fewest = min(count, key=lambda name: count[name])
        if count[fewest] < max(count.values()):
            raise UserError(f"{systems[fewest] / 'samples.jsonl'} has {count[fewest]} samples of the prompt {prompt!r} "
                            f'where another system has {max(count.values())}: make what is missing, or take the others '
                            'out.')


def _matches(listed: tp.Mapping[str, Samples]) -> tp.Iterator[tp.Tuple[str, tp.Tuple[str, str], tp.Tuple[Path, Path]]]:
    """Prompt, systems and files of every pair: the first samples of a prompt belong together, the second, ..."""
    for first, second in combinations(listed, 2):
        for prompt, files in listed[first].items():
            for pair in zip(files, listed[second][prompt]):
                yield prompt, (first, second), pair


def _counts(kinds: tp.Sequence[str], pairs: int) -> tp.Dict[str, int]:
    """Of so many pairs for each rater, how many are of each kind."""
    counts = per_kind(sorted(set(kinds)), pairs)
    for kind, count in counts.items():
        there = kinds.count(kind)
        if count > there:
            raise UserError(f'--pairs {pairs} are {count} of {kind} for each rater, and the samples make {there}: give '
                            'fewer --pairs, or more samples of each prompt.')
    return counts


def _pair(made: Stimuli, prompt: str, systems: tp.Tuple[str, str], files: tp.Tuple[Path, Path]) -> Pair:
    return Pair(kind_of(prompt), concept_of(prompt), prompt, systems, (made.add(files[0]), made.add(files[1])))


def _attention(made: Stimuli, pairs: tp.Sequence[Pair], count: int, seed: int) -> tp.List[Pair]:
    """Clips of any system against noise."""
    hiss = made.write(stimuli.noise(made.seconds, seed), 'noise')
    drawn = random.Random(seed).sample(pairs, min(count, len(pairs)))
    return [Pair(ATTENTION, pair.concept, pair.prompt, (pair.systems[0], 'noise'), (pair.clips[0], hiss))
            for pair in drawn]


def _recording(path: Path) -> Path:
    return find_recordings(path)[0] if path.is_dir() else path


def _check_references(references: tp.Mapping[str, Path], concepts: tp.Sequence[str]) -> None:
    for name, path in references.items():
        if name not in concepts:
            raise UserError(f'--reference {name}={path} is of no concept of the prompts: they have '
                            f"{', '.join(concepts)}.")
