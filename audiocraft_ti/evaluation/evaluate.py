"""Scores of music that any system made, from folders of audio alone."""
from dataclasses import dataclass
import json
import logging
from pathlib import Path
import re
import typing as tp

import torch
from tqdm import tqdm

from . import scores
from .embedders import CachedEmbedder, Embedder
from ..data import audio
from ..data.manifest import check_recording, check_recordings, Clip, find_recordings
from ..data.prompts import load_prompts
from ..environment import CACHE
from ..errors import UserError

logger = logging.getLogger(__name__)
SHORTEST = 0.5  # of a clip, seconds
Line = tp.Dict[str, tp.Any]
PLACEHOLDER = re.compile(r'<[^<>\s]+>')


@dataclass
class Sample:
    """What a system made of a prompt."""
    prompt: str
    path: Path
    embedding: torch.Tensor

    @property
    def kind(self) -> str:
        return kind_of(self.prompt)


def kind_of(prompt: str) -> str:
    """`reconstruction` for a neutral prompt (P20), `editability` for every other (P21)."""
    return 'reconstruction' if PLACEHOLDER.sub('{}', prompt) in load_prompts(None) else 'editability'


def text_of(prompt: str, class_word: tp.Optional[str]) -> str:
    """A prompt as CLAP is to read it: the class word in the concept's place, or nothing (P21)."""
    return ' '.join(PLACEHOLDER.sub(class_word or '', prompt).split())


def embed_recordings(folder: Path, embedder: CachedEmbedder) -> torch.Tensor:
    """Embeddings [N, D] of all recordings of a folder that can be used."""
    clips = [Clip(str(path), 0., 0) for path in find_recordings(folder)]
    kept = check_recordings(clips, SHORTEST, str(folder))
    return torch.stack([embedder.audio(*audio.read(clip.path)) for clip in tqdm(kept, str(folder), disable=None)])


def list_samples(folder: Path) -> tp.List[tp.Tuple[str, Path]]:
    """Prompts and files that the `samples.jsonl` of a folder lists.

    Raises:
        UserError: If there is no such list, or a line of it has no prompt or file.
    """
    path = folder / 'samples.jsonl'
    try:
        lines = [json.loads(line) for line in path.read_text(encoding='utf-8').splitlines() if line.strip()]
        return [(str(line['prompt']), folder / line['file']) for line in lines]
    except (OSError, ValueError, KeyError, TypeError) as error:
        raise UserError(f"{path} cannot be read as a list of samples ({type(error).__name__}: {error}); it needs a "
                        "line of json each, with 'prompt' and 'file'.") from error


def read_samples(folder: Path, embedder: CachedEmbedder) -> tp.List[Sample]:
    """What the `samples.jsonl` of a folder lists; what of it cannot be read is left out with a warning.

    Raises:
        UserError: If there is no such list, or a line of it has no prompt or file, or nothing is left.
    """
    listed = list_samples(folder)
    samples = []
    for prompt, file in tqdm(listed, str(folder), disable=None):
        try:
            check_recording(file)
        except (OSError, ValueError) as error:
            logger.warning("Left out %s: %s", file, error)
        else:
            samples.append(Sample(prompt, file, embedder.audio(*audio.read(file))))
    if len(samples) < len(listed):
        logger.warning("%s: %d of %d samples are left out", folder / 'samples.jsonl', len(listed) - len(samples),
                       len(listed))
    if not samples:
        raise UserError(f"{folder / 'samples.jsonl'} lists no sample that can be used.")
    return samples


def score(system: str, samples: tp.Sequence[Sample], train: torch.Tensor, held_out: tp.Optional[torch.Tensor],
          embedder: Embedder, class_word: tp.Optional[str]) -> tp.Iterator[Line]:
    """A line for each sample, with its scores.

    Args:
        system (str): What made them.
        samples (sequence of Sample): The samples.
        train (torch.Tensor): Embeddings of what the concept was learned from, [N, D].
        held_out (torch.Tensor, optional): Embeddings of what it was not, [M, D].
        embedder (Embedder): Of all of them.
        class_word (str, optional): What stands in the concept's place in texts.
    """
    texts = sorted({text_of(sample.prompt, class_word) for sample in samples if sample.kind == 'editability'})
    embedded = dict(zip(texts, embedder.text(texts))) if texts else {}
    for sample in samples:
        one = sample.embedding[None]
        line: Line = {'system': system, 'prompt': sample.prompt, 'file': str(sample.path), 'kind': sample.kind,
                      'embedder': embedder.name, 'checkpoint': embedder.checkpoint}
        if sample.kind == 'editability':
            text = text_of(sample.prompt, class_word)
            yield {**line, 'text': text, 'editability': scores.editability(one, embedded[text][None])}
            continue
        line.update(reconstruction=scores.reconstruction(one, train), nearest=(one @ train.T).max().item())
        if held_out is not None:
            line.update(reconstruction_held_out=scores.reconstruction(one, held_out))
        yield line


def evaluate(systems: tp.Mapping[str, Path], train: Path, held_out: tp.Optional[Path], embedder: Embedder,
             class_word: tp.Optional[str] = None) -> tp.List[Line]:
    """Score systems on the same recordings; the first lines are of the recordings themselves, the ceiling.

    Args:
        systems (dict[str, Path]): Folder of each system's samples, with a `samples.jsonl`.
        train (Path): Folder of the recordings that the concept was learned from.
        held_out (Path, optional): Folder of recordings of the same sound that it was not learned from.
        embedder (Embedder): What to embed with.
        class_word (str, optional): What stands in the concept's place in texts.
    """
    cached = CachedEmbedder(embedder, CACHE / 'embeddings')
    known = embed_recordings(train, cached)
    real = None if held_out is None else embed_recordings(held_out, cached)
    lines: tp.List[Line] = []
    for name, folder in systems.items():
        samples = read_samples(folder, cached)
        lines += score(name, samples, known, real, embedder, class_word)
        lines += _summary(name, samples, known, real, embedder)
    return lines


def _summary(system: str, samples: tp.Sequence[Sample], train: torch.Tensor, held_out: tp.Optional[torch.Tensor],
             embedder: Embedder) -> tp.Iterator[Line]:
    """What is a score of all reconstructions together."""
    outputs = [sample.embedding for sample in samples if sample.kind == 'reconstruction']
    if held_out is None or len(outputs) < 2 or len(held_out) < 2:
        return
    stacked = torch.stack(outputs)
    yield {'system': system, 'kind': 'summary', 'embedder': embedder.name, 'checkpoint': embedder.checkpoint,
           'copy_margin': scores.copy_margin(stacked, train, held_out),
           'kernel_distance': scores.kernel_distance(stacked, held_out),
           'frechet_distance': scores.frechet_distance(stacked, held_out)}


def table(lines: tp.Sequence[Line]) -> str:
    """Means of each system's scores with 95 % bootstrap intervals, as markdown."""
    keys = ['reconstruction', 'reconstruction_held_out', 'editability', 'copy_margin', 'kernel_distance']
    present = [key for key in keys if any(key in line for line in lines)]
    rows = [f"| {' | '.join(['', *present])} |", '|' + '---|' * (len(present) + 1)]
    for system in dict.fromkeys(line['system'] for line in lines):
        cells = [_cell([line[key] for line in lines if line['system'] == system and key in line]) for key in present]
        rows.append(f"| {' | '.join([system, *cells])} |")
    return '\n'.join(rows)


def _cell(values: tp.Sequence[float]) -> str:
    if not values:
        return ''
    if len(values) == 1:
        return f'{values[0]:.3f}'
    low, high = scores.interval(lambda one: one.mean().item(), torch.tensor(values)[:, None])
    return f'{sum(values) / len(values):.3f} ({low:.3f} to {high:.3f})'
