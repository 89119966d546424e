"""Scores of music that any system made, from folders of audio alone."""
from dataclasses import dataclass
import logging
from pathlib import Path
import typing as tp

import torch
from tqdm import tqdm

from . import REAL, scores
from .embedders import CachedEmbedder
from .listeners import Listener
from ..data import lines as files
from ..data.lines import Line
from ..data.manifest import check_recording, check_recordings, Clip, find_recordings
from ..data.prompts import concepts_of, load_prompts, PLACEHOLDER
from ..errors import UserError

logger = logging.getLogger(__name__)
SHORTEST = 0.5  # of a clip, seconds


@dataclass
class Sample:
    """What a system made of a prompt, or a recording that stands for what it ought to make."""
    prompt: str
    path: Path
    embedding: torch.Tensor

    @property
    def kind(self) -> str:
        return kind_of(self.prompt)


@dataclass
class Recordings:
    """Recordings of a concept, and their embeddings [N, D]."""
    paths: tp.List[Path]
    embeddings: torch.Tensor

    def without(self, index: int) -> tp.Optional['Recordings']:
        """All but one of them, if any are left."""
        kept = [i for i in range(len(self.paths)) if i != index]
        return Recordings([self.paths[i] for i in kept], self.embeddings[kept]) if kept else None


def without_placeholder(prompt: str) -> str:
    """A prompt with `{}` in the concept's place, as in lists of prompts."""
    return PLACEHOLDER.sub('{}', prompt)


def kind_of(prompt: str) -> str:
    """`reconstruction` for a neutral prompt (P20), `editability` for every other (P21)."""
    return 'reconstruction' if without_placeholder(prompt) in load_prompts(None) else 'editability'


def text_of(prompt: str, class_word: tp.Optional[str]) -> str:
    """A prompt as CLAP is to read it: the class word in the concept's place, or nothing (P21)."""
    return ' '.join(PLACEHOLDER.sub(class_word or '', prompt).split())


def embed_clips(clips: tp.Sequence[Clip], embedder: CachedEmbedder) -> Recordings:
    """Embed clips, each of which may be a part of a file."""
    embeddings = [embedder.clip(Path(clip.path), clip.start, clip.duration) for clip in tqdm(clips, disable=None)]
    return Recordings([Path(clip.path) for clip in clips], torch.stack(embeddings))


def embed_recordings(folder: Path, embedder: CachedEmbedder) -> Recordings:
    """Embed all recordings of a folder that can be used."""
    clips = [Clip(str(path), 0., 0) for path in find_recordings(folder)]
    return embed_clips(check_recordings(clips, SHORTEST, str(folder)), embedder)


def list_samples(folder: Path) -> tp.List[tp.Tuple[str, Path]]:
    """Prompts and files that the `samples.jsonl` of a folder lists.

    Raises:
        UserError: If there is no such list, or a line of it has no prompt or file.
    """
    path = folder / 'samples.jsonl'
    try:
        return [(str(line['prompt']), folder / line['file']) for line in files.read(path)]
    except (OSError, ValueError, KeyError, TypeError) as error:
        raise UserError(f"{path} cannot be read as a list of samples ({type(error).__name__}: {error}); it needs a "
                        "line of json each, with 'prompt' and 'file'.") from error


def _check_sample(path: Path) -> Clip:
    clip = check_recording(path)
    if clip.length < SHORTEST:
        raise ValueError(f'its {clip.length:.2f} s are shorter than {SHORTEST} s')
    return clip


def read_samples(folder: Path, embedder: CachedEmbedder) -> tp.List[Sample]:
    """What the `samples.jsonl` of a folder lists; what of it cannot be read is left out, and said at the end.

    Raises:
        UserError: If there is no such list, or a line of it has no prompt or file, or nothing is left.
    """
    listed = list_samples(folder)
    samples, problems, rates = [], [], set()
    for prompt, file in tqdm(listed, str(folder), disable=None):
        try:
            rates.add(_check_sample(file).sample_rate)
        except (OSError, ValueError) as error:
            problems.append(f'{file.name} ({error})')
        else:
            samples.append(Sample(prompt, file, embedder.clip(file)))
    if not samples:
        raise UserError(f"{folder / 'samples.jsonl'} lists no sample that can be used: {'; '.join(problems[:3])}.")
    if problems:
        logger.warning("%s: %d of %d samples are left out: %s", folder, len(problems), len(listed), '; '.join(problems))
    if len(rates) > 1:
        logger.warning("%s: the samples have different sample rates (%s Hz), and what is missing above the lowest may "
                       "be heard as a difference", folder, ', '.join(map(str, sorted(rates))))
    return samples


def concept_of(samples: tp.Iterable[Sample]) -> str:
    """The one concept that the prompts ask for.

    Raises:
        UserError: If they ask for several.
    """
    names = sorted({name for sample in samples for name in concepts_of(sample.prompt)})
    if len(names) > 1:
        placeholders = ', '.join(f'<{name}>' for name in names)
        raise UserError(f"the samples' prompts have more than one placeholder, {placeholders}: score one concept at a "
                        "time, under one name.")
    return names[0] if names else ''


def score(system: str, samples: tp.Sequence[Sample], train: tp.Optional[Recordings], held_out: tp.Optional[Recordings],
          embedder: CachedEmbedder, class_word: tp.Optional[str], listeners: tp.Sequence[Listener] = ()
          ) -> tp.Iterator[Line]:
    """A line for each sample, with its scores.

    Args:
        system (str): What made them.
        samples (sequence of Sample): The samples.
        train (Recordings, optional): What the concept was learned from.
        held_out (Recordings, optional): What it was not.
        embedder (CachedEmbedder): Of all of them.
        class_word (str, optional): What stands in the concept's place in texts.
        listeners (sequence of callables): Whom else to ask of each sample.
    """
    texts = sorted({text_of(sample.prompt, class_word) for sample in samples if sample.kind == 'editability'})
    embedded = dict(zip(texts, embedder.embedder.text(texts))) if texts else {}
    for sample in samples:
        one = sample.embedding[None]
        line: Line = {'system': system, 'concept': concept_of([sample]), 'prompt': sample.prompt,
                      'file': str(sample.path.absolute()), 'kind': sample.kind, **embedder.names}
        if sample.kind == 'editability':
            text = text_of(sample.prompt, class_word)
            line.update(text=text, editability=scores.editability(one, embedded[text][None]))
        elif train is not None:
            line.update(reconstruction=scores.reconstruction(one, train.embeddings),
                        nearest=(one @ train.embeddings.T).max().item())
            if held_out is not None:
                line.update(reconstruction_held_out=scores.reconstruction(one, held_out.embeddings))
        for listener in listeners:
            line.update(listener(sample.path, sample.prompt))
        yield line


def score_real(concept: str, train: Recordings, held_out: tp.Optional[Recordings], embedder: CachedEmbedder,
               listeners: tp.Sequence[Listener] = ()) -> tp.Iterator[Line]:
    """Lines of real recordings in the place of reconstructions, each against the others: the ceiling.

    They are the held-out ones, where there are any.
    """
    real = held_out or train
    if len(real.paths) < 2:
        logger.warning("There is no ceiling to compare with: it takes two %s recordings or more, and there is one",
                       'reference' if held_out is None else 'held-out')
        return
    for index, (path, embedding) in enumerate(zip(real.paths, real.embeddings)):
        known, unknown = (one.without(index) if one is real else one for one in (train, held_out))
        sample = Sample(f'A recording of a <{concept}>', path, embedding)
        yield from score(REAL, [sample], known, unknown, embedder, None, listeners)
    if held_out is not None:
        yield {'system': REAL, 'concept': concept, 'kind': 'summary', **embedder.names,
               'kernel_distance': scores.kernel_distance(train.embeddings, held_out.embeddings)}


def score_system(system: str, samples: tp.Sequence[Sample], train: tp.Optional[Recordings],
                 held_out: tp.Optional[Recordings], embedder: CachedEmbedder, class_word: tp.Optional[str],
                 listeners: tp.Sequence[Listener] = ()) -> tp.List[Line]:
    """The lines of `score`, and one more with the scores of all reconstructions together."""
    lines = list(score(system, samples, train, held_out, embedder, class_word, listeners))
    outputs = [sample.embedding for sample in samples if sample.kind == 'reconstruction']
    if train is None or held_out is None or not outputs:
        return lines
    if min(len(outputs), len(held_out.paths)) < 2:
        logger.warning("%s has no copy margin and no distances: they take two reconstructions or more, and two "
                       "held-out recordings", system)
        return lines
    stacked = torch.stack(outputs)
    return [*lines, {'system': system, 'concept': concept_of(samples), 'kind': 'summary', **embedder.names,
                     'copy_margin': scores.copy_margin(stacked, train.embeddings, held_out.embeddings),
                     'kernel_distance': scores.kernel_distance(stacked, held_out.embeddings),
                     'frechet_distance': scores.frechet_distance(stacked, held_out.embeddings)}]


def score_systems(systems: tp.Mapping[str, Path], embedder: CachedEmbedder, recordings: tp.Sequence[Recordings] = (),
                  class_word: tp.Optional[str] = None, listeners: tp.Sequence[Listener] = ()) -> tp.List[Line]:
    """Score systems on the same recordings; the first lines are of the recordings themselves, the ceiling.

    Args:
        systems (dict[str, Path]): Folder of each system's samples, with a `samples.jsonl`.
        embedder (CachedEmbedder): What to embed with.
        recordings (sequence of Recordings): What the concept was learned from, and recordings of the same sound that
            it was not learned from, as far as there are any; without the first, editability alone is scored.
        class_word (str, optional): What stands in the concept's place in texts.
        listeners (sequence of callables): Whom else to ask of each sample.
    Raises:
        UserError: If there is nothing to score, or prompts ask for more than one concept.
    """
    train, held_out = (*recordings, None, None)[:2]
    samples = {name: read_samples(folder, embedder) for name, folder in systems.items()}
    concept = concept_of(sample for made in samples.values() for sample in made)
    lines = list(score_real(concept, train, held_out, embedder, listeners)) if train else []
    for name, made in samples.items():
        lines += score_system(name, made, train, held_out, embedder, class_word, listeners)
    return lines
