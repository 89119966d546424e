"""A fixed piece of work for systems that learn concepts, and files of what came of it: docs/BENCHMARK.md."""
from itertools import product
import json
import logging
from pathlib import Path
import re
import typing as tp

from flashy.utils import write_and_rename
from pydantic import BaseModel, ConfigDict, Field, FiniteFloat, ValidationError

from . import REAL, table
from .embedders import CachedEmbedder
from .evaluate import (concept_of, embed_clips, read_samples, Sample, score_real, score_system, without_placeholder)
from ..data import manifest
from ..data.lines import Line
from ..data.prompts import load_prompts
from ..errors import UserError
from ..hashes import bytes_hash, file_hash

if tp.TYPE_CHECKING:
    from audiocraft.models import MusicGen

logger = logging.getLogger(__name__)
NEUTRAL = 'A recording of a {}'  # P20
LOUDNESS = -24.  # dB LUFS of all audio, P23
MIN_LENGTH = 2.  # of a recording, seconds, P8
Model = tp.TypeVar('Model', bound=BaseModel)


class _Strict(BaseModel):
    model_config = ConfigDict(extra='forbid', populate_by_name=True)


class Entry(_Strict):
    """A concept of the list: what stands for it in prompts, and what a word of English would be for it."""
    name: str
    class_word: str = Field(alias='class')


class Benchmark(_Strict):
    """Concepts and prompts, in the format of DreamSound's list (Plitsis et al., 2024)."""
    source: str = ''
    editability_prompts: tp.List[str]
    concepts: tp.Dict[str, Entry]


class Protocol(_Strict):
    """What has to be the same before two systems can be compared."""
    version: tp.Literal[1] = 1
    recordings: tp.Dict[str, str]  # of each concept, a hash of those that are learned from and those held out
    prompts: tp.List[str]
    samples: int = Field(gt=0)  # of each prompt
    loudness: float = LOUDNESS
    embedder: str
    checkpoint: str


class Results(_Strict):
    """What a benchmark has found of one system: mean scores of each concept, and those of real recordings."""
    system: str
    protocol: Protocol
    scores: tp.Dict[str, tp.Dict[str, FiniteFloat]]
    real: tp.Dict[str, tp.Dict[str, FiniteFloat]]


def _load(kind: tp.Type[Model], path: Path) -> Model:
    try:
        return kind.model_validate_json(path.read_text(encoding='utf-8'))
    except (OSError, UnicodeDecodeError) as error:
        raise UserError(f"{path} cannot be read: {error}.") from error
    except ValidationError as error:
        first = error.errors()[0]
        where = '.'.join(map(str, first['loc']))
        raise UserError(f"{path} is no {kind.__name__.lower()} file: {where or 'it'}: {first['msg']}.") from error


def load_benchmark(path: Path) -> Benchmark:
    """Read a list of concepts and prompts.

    Raises:
        UserError: If it does not fit, or a prompt has another placeholder than `{}`.
    """
    benchmark = _load(Benchmark, path)
    load_prompts(benchmark.editability_prompts, str(path))
    return benchmark


def write_samples(music: 'MusicGen', benchmark: Benchmark, key: str, word: str, learned: tp.Optional[Path],
                  seeds: tp.Sequence[int], folder: Path) -> None:
    """Make what a folder lacks of the samples of one concept.

    Args:
        music (MusicGen): A model, its duration set.
        benchmark (Benchmark): Whose prompts to use.
        key (str): The concept, as the list has it.
        word (str): What stands in its place for the model: the `concept`, its `class` word, or `none`.
        learned (Path, optional): Folder with the concept's file, where the concept is asked for.
        seeds (sequence of int): One for each sample of a prompt.
        folder (Path): Where to.
    Raises:
        UserError: If the concept is asked for, and there is no file of it.
    """
    from ..models.concepts import load_concept, unload_concept
    from ..models.samples import file_name, write_sample
    entry = benchmark.concepts[key]
    placeholder = f'<{entry.name}>'
    if word == 'concept':
        if learned is None:
            raise UserError("--learned is missing: give the folder with concept files, or --word class or none.")
        load_concept(music, learned / f'{key}.safetensors', entry.name)
    given = {'concept': placeholder, 'class': entry.class_word, 'none': ''}[word]
    for prompt, seed in product([NEUTRAL, *benchmark.editability_prompts], seeds):
        text = ' '.join(prompt.replace('{}', given).split())
        if not (folder / file_name(text, seed)).exists():
            write_sample(music, text, seed, folder, LOUDNESS, task=prompt.replace('{}', placeholder))
    if word == 'concept':
        unload_concept(music, entry.name)


def _check_complete(samples: tp.Sequence[Sample], prompts: tp.Sequence[str], folder: Path) -> int:
    """How many samples there are of each prompt."""
    made = [without_placeholder(sample.prompt) for sample in samples]
    counts = {prompt: made.count(prompt) for prompt in prompts}
    fewest, most = min(counts.values()), max(counts.values())
    if fewest < most or not most:
        lacking = next(prompt for prompt, count in counts.items() if count == fewest)
        raise UserError(f"{folder} has {fewest} samples for {lacking!r} and up to {most} for others: the benchmark "
                        "takes as many for each prompt.")
    return fewest


def run(system: str, benchmark: Benchmark, recordings: Path, samples: Path, embedder: CachedEmbedder
        ) -> tp.Tuple[Results, tp.List[Line]]:
    """Score a system's samples of all concepts.

    Args:
        system (str): Its name.
        benchmark (Benchmark): The list, of concepts that there are recordings of.
        recordings (Path): Has a folder for each concept, named as in the list.
        samples (Path): Likewise, each with a `samples.jsonl`.
        embedder (CachedEmbedder): With the loudness of the benchmark.
    Returns:
        tuple of Results and list of dict: Means, and all lines of scores.
    Raises:
        UserError: If samples are missing.
    """
    prompts = [NEUTRAL, *benchmark.editability_prompts]
    lines, hashes, counts = [], {}, set()
    for key, entry in benchmark.concepts.items():
        clips = [manifest.Clip(str(path), 0., 0) for path in manifest.find_recordings(recordings / key)]
        splits = manifest.split(manifest.check_recordings(clips, MIN_LENGTH, key), MIN_LENGTH, key)
        hashes[key] = _hash(*splits)
        train, held_out = (embed_clips(split, embedder) for split in splits)
        made = read_samples(samples / key, embedder)
        counts.add(_check_complete(made, prompts, samples / key))
        found = [*score_real(concept_of(made), train, held_out, embedder),
                 *score_system(system, made, train, held_out, embedder, entry.class_word)]
        lines += [{**line, 'concept': key} for line in found]
    if len(counts) > 1:
        raise UserError(f"{samples} has {min(counts)} samples a prompt of one concept and {max(counts)} of another: "
                        "the benchmark takes as many of each.")
    protocol = Protocol(recordings=hashes, prompts=prompts, samples=counts.pop(), embedder=embedder.embedder.name,
                        checkpoint=embedder.embedder.checkpoint)
    return Results(system=system, protocol=protocol, scores=_means(lines, system), real=_means(lines, REAL)), lines


def available(benchmark: Benchmark, recordings: Path) -> Benchmark:
    """The list without the concepts that there are no recordings of, whose number is said.

    Raises:
        UserError: If there are none of any.
    """
    concepts = {key: entry for key, entry in benchmark.concepts.items() if (recordings / key).is_dir()}
    if not concepts:
        raise UserError(f"{recordings} has no folder for a concept of the list: name folders after its keys, such as "
                        f"{next(iter(benchmark.concepts))}.")
    if len(concepts) < len(benchmark.concepts):
        logger.warning("%s has no folder for %d of the %d concepts, which are left out", recordings,
                       len(benchmark.concepts) - len(concepts), len(benchmark.concepts))
    return benchmark.model_copy(update={'concepts': concepts})


def _hash(*splits: tp.Sequence[manifest.Clip]) -> str:
    content = [[(file_hash(clip.path), clip.start, clip.duration) for clip in split] for split in splits]
    return bytes_hash(json.dumps(content).encode())[:16]


def _means(lines: tp.Sequence[Line], system: str) -> tp.Dict[str, tp.Dict[str, float]]:
    return {key: table.means([line for line in lines if line['concept'] == key], system)
            for key in dict.fromkeys(line['concept'] for line in lines)}


def write(results: Results, folder: Path) -> Path:
    """Write results, to be compared with others of the folder."""
    folder.mkdir(parents=True, exist_ok=True)
    path = folder / f"{'-'.join(re.findall('[a-z0-9]+', results.system.lower()))}.json"
    with write_and_rename(path) as file:
        file.write(results.model_dump_json(indent=1).encode())
    return path


def compare(results: Results, folder: Path) -> tp.List[tp.List[str]]:
    """Rows of real recordings, of all stored results of the same protocol, and of this one.

    Each has the means over concepts, with 95 % bootstrap intervals over them.
    """
    stored = [_load(Results, path) for path in sorted(folder.glob('*.json'))]
    lines: tp.List[Line] = [{'system': REAL, **scores} for scores in results.real.values()]
    for other in (*(one for one in stored if one.system != results.system), results):
        differing = [key for key, value in other.protocol if value != getattr(results.protocol, key)]
        if differing:
            logger.warning("Left out %s, whose protocol differs (%s)", other.system, ', '.join(differing))
        else:
            lines += [{'system': other.system, **scores} for scores in other.scores.values()]
    return table.rows(lines)
