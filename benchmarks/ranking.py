"""Whether CLAP ranks systems as the judge does: `python -m benchmarks.ranking [SOUND ...]`, on the tiny base.

Ten sounds are learned, and each is asked for by its concept, by the word nearest to it, and not at all. The tiny CLAP
ranks the three by reconstruction against fresh recordings; the judge, who knows the truth, by how often it hears the
sound. They agree unless CLAP reverses two that the judge tells apart: where it hears the sound in neither, it has no
order (what it finds probable among wrong answers is what its label smoothing left).

Reconstruction is a mean of cosines, so what is typical of a sound comes nearer to its recordings than they are to one
another. The kernel distance has no such way past the ceiling; whether a concept is between floor and ceiling is said by
both.
"""
from concurrent.futures import ThreadPoolExecutor
from itertools import combinations
from pathlib import Path
import sys
import tempfile
import typing as tp

import torch

from audiocraft_ti.evaluation import BASELINES, REAL
from audiocraft_ti.evaluation.embedders import CachedEmbedder, ClapEmbedder
from audiocraft_ti.evaluation.evaluate import embed_recordings, read_samples, score_real, score_system
from audiocraft_ti.evaluation.listeners import TinyJudge
from audiocraft_ti.evaluation.table import means
from audiocraft_ti.data import audio
from audiocraft_ti.models.concepts import load_concept, unload_concept
from audiocraft_ti.models.samples import write_sample
from audiocraft_ti.tiny.recordings import recording
from audiocraft_ti.tiny.voice import SAMPLE_RATE
from benchmarks.tiny_world import NEUTRAL, World, learn

# Sounds, and the word nearest to each: eight that the base has never heard, and two that it has a word of its own for.
SOUNDS = {'zither': 'guitar', 'sitar': 'guitar', 'bassoon': 'oboe', 'kalimba': 'marimba', 'harmonica': 'accordion',
          'theremin': 'flute', 'conga': 'snare', 'tambourine': 'shaker', 'banjo': 'guitar', 'cowbell': 'bell'}
SEEDS = range(12)
FRESH = range(100, 112)  # recordings that nothing was learned from
BAR = 0.9


def agree(one: tp.Mapping[str, float], other: tp.Mapping[str, float]) -> bool:
    """Whether no two systems that both tell apart come in another order."""
    return all((one[a] - one[b]) * (other[a] - other[b]) >= 0 for a, b in combinations(other, 2))


def make(world: World, sound: str, concept: Path, folder: Path) -> tp.Dict[str, Path]:
    """Samples of the three systems."""
    word = f'my-{sound}'
    load_concept(world.music, concept, word)
    words = dict(zip((*BASELINES, 'learned'), ('', SOUNDS[sound], f'<{word}>')))
    for system, given in words.items():
        for seed in SEEDS:
            write_sample(world.music, NEUTRAL.format(given).strip(), seed, folder / system,
                         task=NEUTRAL.format(f'<{word}>'))
    unload_concept(world.music, word)
    return {system: folder / system for system in words}


def rank(world: World, embedder: CachedEmbedder, sound: str, concept: Path, folder: Path) -> tp.Dict[str, tp.Any]:
    """Mean scores of the three systems and of real recordings, and whether both orders are one."""
    for index in FRESH:
        audio.write(folder / 'fresh' / f'{index}.wav', torch.from_numpy(recording(sound, index))[None], SAMPLE_RATE)
    train = embed_recordings(concept.parents[4] / 'clips' / sound, embedder)
    fresh = embed_recordings(folder / 'fresh', embedder)
    listeners = [TinyJudge(sound)]
    lines = list(score_real(f'my-{sound}', train, fresh, embedder, listeners))
    systems = make(world, sound, concept, folder)
    for system, where in systems.items():
        lines += score_system(system, read_samples(where, embedder), train, fresh, embedder, None, listeners)
    found = {system: means(lines, system) for system in (REAL, *systems)}
    clap, judge, distance = ({system: scores[key] for system, scores in found.items()}
                             for key in ('reconstruction_held_out', 'heard_sound', 'kernel_distance'))
    made = {system: judge[system] for system in systems}
    return {'clap': clap, 'judge': judge, 'agree': agree(clap, made),
            'between': clap['no concept'] < clap['learned'] < clap[REAL],
            'between by distance': distance['no concept'] > distance['learned'] > distance[REAL]}


VERDICTS = ('agree', 'between', 'between by distance')


def row(sound: str, found: tp.Dict[str, tp.Any]) -> str:
    cells = [f"{score:.3f} ({found['judge'][system]:.2f})" for system, score in found['clap'].items()]
    return f"| {sound} | {' | '.join(cells)} | {' | '.join(str(found[verdict]) for verdict in VERDICTS)} |"


def main(sounds: tp.Sequence[str]) -> None:
    world, embedder = World(), CachedEmbedder(ClapEmbedder('tiny'))
    print(f"| reconstruction (judge) | real | no concept | class word | learned | {' | '.join(VERDICTS)} |")
    print('|---|---|---|---|---|---|---|---|')
    with tempfile.TemporaryDirectory() as temporary, ThreadPoolExecutor(2) as pool:  # each waits for a process
        folder = Path(temporary)
        concepts = pool.map(lambda sound: learn(sound, f'my-{sound}', folder), sounds)
        found = {}
        for sound, concept in zip(sounds, concepts):
            found[sound] = rank(world, embedder, sound, concept, folder / 'samples' / sound)
            print(row(sound, found[sound]), flush=True)
    counts = {verdict: sum(one[verdict] for one in found.values()) for verdict in VERDICTS}
    said = ', '.join(f'{verdict} {count}' for verdict, count in counts.items())
    print(f'\nOf {len(found)} sounds: {said} (bar of the first: {BAR:.0%}).')
    sys.exit(counts['agree'] < BAR * len(found))


if __name__ == '__main__':
    main(sys.argv[1:] or list(SOUNDS))
