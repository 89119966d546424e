"""Whether CLAP ranks systems as the judge does: `python -m benchmarks.ranking [SOUND ...]`, on the tiny base.

Ten sounds are learned, and each is asked for by its concept, by the word nearest to it, and not at all. The tiny CLAP
ranks the three by reconstruction against fresh recordings; the judge, who knows the truth, by how probable it finds the
sound.
"""
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
import sys
import tempfile
import typing as tp

import torch

from audiocraft_ti.evaluation import BASELINES, REAL
from audiocraft_ti.evaluation.embedders import CachedEmbedder, ClapEmbedder
from audiocraft_ti.evaluation.evaluate import embed_recordings, read_samples, score_real, score_system
from audiocraft_ti.evaluation.listeners import Listener
from audiocraft_ti.evaluation.table import means
from audiocraft_ti.data import audio
from audiocraft_ti.models.concepts import load_concept, unload_concept
from audiocraft_ti.models.samples import write_sample
from audiocraft_ti.tiny import judge as judges
from audiocraft_ti.tiny.recordings import recording
from audiocraft_ti.tiny.voice import SAMPLE_RATE
from benchmarks.tiny_world import NEUTRAL, World, learn

# Sounds, and the word nearest to each: eight that the base has never heard, and two that it has a word of its own for.
SOUNDS = {'zither': 'guitar', 'sitar': 'guitar', 'bassoon': 'oboe', 'kalimba': 'marimba', 'harmonica': 'accordion',
          'theremin': 'flute', 'conga': 'snare', 'tambourine': 'shaker', 'banjo': 'guitar', 'cowbell': 'bell'}
SEEDS = range(12)
FRESH = range(100, 112)  # recordings that nothing was learned from
BAR = 0.9


def knows(judge: judges.Judge, sound: str) -> Listener:
    """Asks the judge how probable a sound is, as a logarithm."""
    def listen(path: Path, prompt: str) -> tp.Dict[str, float]:
        with torch.no_grad():
            logits, _ = judge(judge.features(audio.read_as(path, SAMPLE_RATE, 1)))
        return {'heard_sound': logits.log_softmax(-1)[0, judges.TIMBRES.index(sound)].item()}
    return listen


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
    listeners = [knows(world.judge, sound)]
    lines = list(score_real(f'my-{sound}', train, fresh, embedder, listeners))
    systems = make(world, sound, concept, folder)
    for system, where in systems.items():
        lines += score_system(system, read_samples(where, embedder), train, fresh, embedder, None, listeners)
    found = {system: means(lines, system) for system in (REAL, *systems)}
    by_clap, by_judge = (sorted(systems, key=lambda system: found[system][key])
                         for key in ('reconstruction_held_out', 'heard_sound'))
    clap = {system: scores['reconstruction_held_out'] for system, scores in found.items()}
    return {'clap': clap, 'judge': {system: scores['heard_sound'] for system, scores in found.items()},
            'agree': by_clap == by_judge, 'between': clap['no concept'] < clap['learned'] < clap[REAL]}


def row(sound: str, found: tp.Dict[str, tp.Any]) -> str:
    cells = [f"{score:.3f} ({found['judge'][system]:.1f})" for system, score in found['clap'].items()]
    return f"| {sound} | {' | '.join(cells)} | {found['agree']} | {found['between']} |"


def main(sounds: tp.Sequence[str]) -> None:
    world, embedder = World(), CachedEmbedder(ClapEmbedder('tiny'))
    print('| reconstruction (judge) | real | no concept | class word | learned | one order | between |')
    print('|---|---|---|---|---|---|---|')
    with tempfile.TemporaryDirectory() as temporary, ThreadPoolExecutor(2) as pool:  # each waits for a process
        folder = Path(temporary)
        concepts = pool.map(lambda sound: learn(sound, f'my-{sound}', folder), sounds)
        found = {}
        for sound, concept in zip(sounds, concepts):
            found[sound] = rank(world, embedder, sound, concept, folder / 'samples' / sound)
            print(row(sound, found[sound]), flush=True)
    agree = sum(one['agree'] for one in found.values())
    between = sum(one['between'] for one in found.values())
    print(f'\nOne order for {agree} of {len(found)} sounds (bar: {BAR:.0%}); learned concepts between floor and '
          f'ceiling for {between}.')
    sys.exit(agree < BAR * len(found))


if __name__ == '__main__':
    main(sys.argv[1:] or list(SOUNDS))
