"""What the tiny base can do, on music that it never heard: `python benchmarks/tiny_world.py [--card docs/TINY.md]`.

All in a quarter of an hour or two on two cores. Rates come with 95 % Wilson intervals, `ok` says whether the bar of the
last column is met. Clips are drawn from seeds that no training uses.
"""
import argparse
from dataclasses import dataclass
from itertools import product
import json
import math
import os
from pathlib import Path
import subprocess
import sys
import tempfile
import time
import typing as tp

import torch
from torch.nn import functional as F
from tqdm import tqdm

from audiocraft_ti import environment, tiny
environment.prepare()
from audiocraft.models import MusicGen
from audiocraft.modules.conditioners import ConditioningAttributes

from audiocraft_ti.concept import Concept
from audiocraft_ti.evaluation.embedders import ClapEmbedder
from audiocraft_ti.models.concept_lm import ConceptLM
from audiocraft_ti.models.loaders import BaseModel, load_base
from audiocraft_ti.tiny import captions, judge as judges, timbres
from audiocraft_ti.tiny.recordings import write_recordings
from audiocraft_ti.tiny.styles import STYLES
from audiocraft_ti.tiny.voice import SAMPLE_RATE

SEED = 777  # of fresh clips
NEUTRAL = 'A recording of a {}'
RELEARNED = ['flute', 'clarinet', 'accordion', 'guitar', 'bass', 'bell', 'kick', 'snare']
TITLE = """# The tiny base

What ships in `audiocraft_ti/tiny/weights`: a MusicGen (EnCodec, language model, T5) and a judge, trained on a
small world of synthetic music (`audiocraft_ti/tiny/world.py`). Written by
`python benchmarks/tiny_world.py --card docs/TINY.md`; the weights are made by `make base`, from fixed seeds.
"""


@dataclass
class Result:
    """A line of the table."""
    what: str
    value: float
    bar: tp.Optional[float] = None
    spread: str = ''
    at_most: bool = False  # whether the bar is one from above

    @property
    def ok(self) -> tp.Optional[bool]:
        if self.bar is None:
            return None
        return self.value <= self.bar if self.at_most else self.value >= self.bar

    def row(self) -> str:
        bar = '' if self.bar is None else f"{'≤' if self.at_most else '≥'} {self.bar:g}"
        return f"| {self.what} | {self.value:.3g} | {self.spread} | {bar} | {'' if self.ok is None else self.ok} |"


def rate(what: str, hits: tp.Sequence[bool], bar: tp.Optional[float] = None) -> Result:
    """A share, with its 95 % Wilson interval."""
    n, p, z = len(hits), sum(hits) / len(hits), 1.96
    middle, half = p + z * z / (2 * n), z * math.sqrt(p * (1 - p) / n + z * z / (4 * n * n))
    low, high = ((middle + sign * half) / (1 + z * z / n) for sign in (-1, 1))
    return Result(what, p, bar, f'{low:.2f} to {high:.2f}, n = {n}')


class World:
    """The tiny base, and a judge of what comes out of it."""
    def __init__(self, base: tp.Optional[BaseModel] = None) -> None:
        self.base = base or load_base('tiny')
        self.judge = judges.load(tiny.JUDGE)
        self.music = MusicGen('tiny', self.base.codec, self.base.lm, max_duration=30)
        self.music.set_generation_params(top_k=50, duration=4, cfg_coef=3)

    def generate(self, prompts: tp.Sequence[str], seed: int = 0, batch_size: int = 30) -> torch.Tensor:
        """Guided samples, [N, T]."""
        torch.manual_seed(seed)
        parts = [list(prompts[i:i + batch_size]) for i in range(0, len(prompts), batch_size)]
        return torch.cat([self.music.generate(part) for part in tqdm(parts, 'samples')])[:, 0]

    @torch.no_grad()
    def encode(self, wavs: torch.Tensor) -> torch.Tensor:
        """Codes [N, K, T'] of audio [N, T]."""
        return torch.cat([self.base.codec.encode(part[:, None])[0] for part in wavs.split(30)])

    @torch.no_grad()
    def decode(self, codes: torch.Tensor) -> torch.Tensor:
        return torch.cat([self.base.codec.decode(part, None)[:, 0] for part in codes.split(30)])

    @torch.no_grad()
    def losses(self, codes: torch.Tensor, prompt: tp.Optional[str]) -> torch.Tensor:
        """Cross-entropy of each clip [N] under one prompt, in nats a token."""
        attributes = [ConditioningAttributes(text={'description': prompt}) for _ in codes]
        out = self.base.lm.compute_predictions(codes, attributes)
        ce = F.cross_entropy(out.logits.flatten(0, 2).float(), codes.flatten(), reduction='none').view(codes.shape)
        return torch.where(out.mask, ce, 0.).sum((1, 2)) / out.mask.sum((1, 2))  # elsewhere it is not a number


def hears(world: World, wavs: torch.Tensor, truth: tp.Sequence[tp.Tuple[str, str]]
          ) -> tp.Tuple[tp.List[bool], tp.List[bool]]:
    """Whether each clip has the timbre and the style that it ought to."""
    timbre, style = world.judge.hear(wavs)
    return ([heard == right for heard, (right, _) in zip(timbre, truth)],
            [heard == right for heard, (_, right) in zip(style, truth)])


def judge_results(world: World, count: int = 700) -> tp.List[Result]:
    """The judge on fresh clips, and on the same after the codec."""
    wavs, attributes = judges.draw_clips(SEED, count)
    truth = [(one.timbre, one.style) for one in attributes]
    results = []
    for where, audio, bar in (('fresh', wavs, 0.95), ('after the codec', world.decode(world.encode(wavs)), 0.9)):
        for what, hits in zip(('timbre', 'style'), hears(world, audio, truth)):
            results.append(rate(f'judge, {where}: {what}', hits, bar))
    return results


def song_results(world: World, per: int = 1) -> tp.List[Result]:
    """'A disco song with a guitar', for all styles and known timbres."""
    truth = [(timbre, style) for style, timbre in product(STYLES, timbres.KNOWN) for _ in range(per)]
    wavs = world.generate([f'A {style} song with a {timbre}' for timbre, style in truth])
    return [rate(f'songs: {what}', hits, 0.8) for what, hits in zip(('timbre', 'style'), hears(world, wavs, truth))]


def word_results(world: World, names: tp.Sequence[str] = tuple(timbres.KNOWN), per: int = 10) -> tp.List[Result]:
    """Fresh clips of every known timbre under their own word, no text, and every other word."""
    wavs, attributes = judges.draw_clips(SEED + 1, per * len(names), names)
    codes = world.encode(wavs)
    prompts = [None, *(NEUTRAL.format(name) for name in names)]
    table = torch.stack([world.losses(codes, prompt) for prompt in tqdm(prompts, 'words')])  # [prompts, clips]
    mean = table.view(len(prompts), per, len(names)).mean(1)  # clips come in turn
    own = mean[1:].diagonal()
    others = mean[1:].clone().fill_diagonal_(float('inf')).amin(0)
    gap, lead = mean[0] - own, others - own
    return [Result('words better than no text', float((gap > 0).float().mean()), 1.,
                   f'gap {gap.min():.3f} to {gap.max():.3f}, median {gap.median():.3f} nats'),
            Result('words better than every other', float((lead > 0).float().mean()), 1.,
                   f'lead {lead.min():.3f} to {lead.max():.3f}, median {lead.median():.3f} nats')]


def learn(name: str, word: str, folder: Path) -> Path:
    """Learn a timbre of the world as a new word, from twelve recordings; the concept's file."""
    clips = folder / 'clips' / name
    write_recordings(clips, name, count=12)
    dora = str(Path(sys.executable).with_name('dora'))
    runs = folder / 'runs' / name
    subprocess.run([dora, '-P', 'audiocraft_ti', 'run', 'solver=musicgen/ti_tiny', f'datasource.folder={clips}',
                    f'concept.name={word}'], check=True, capture_output=True,
                   env={**os.environ, 'AUDIOCRAFT_DORA_DIR': str(runs)})
    path, = runs.glob('xps/*/concept.safetensors')
    return path


class Concepts:
    """Timbres learned as new words, in the tiny base's vocabulary."""
    def __init__(self, world: World, names: tp.Sequence[str], folder: Path) -> None:
        self.world = world
        self.model = ConceptLM(world.base.lm)
        for name in tqdm(names, 'learning'):
            path = learn(name, f'my-{name}', folder)
            self.model.conditioner.add(f'my-{name}', Concept.load(path).vectors)
        self.model.eval()

    def placeholder(self, name: str) -> str:
        return f'<my-{name}>'

    def losses(self, name: str, codes: torch.Tensor, draws: int = 4) -> float:
        """Of fresh clips under the concept, each prompt with other vectors of it."""
        self.model.conditioner.generator.manual_seed(0)
        return sum(self.world.losses(codes, NEUTRAL.format(self.placeholder(name))).mean().item()
                   for _ in range(draws)) / draws


def concept_results(world: World, folder: Path, known: tp.Sequence[str] = tuple(RELEARNED),
                    kept_out: tp.Sequence[str] = tuple(timbres.KEPT_OUT), per: int = 20) -> tp.List[Result]:
    """Known words learned anew, and sounds that no word stands for."""
    words = list(timbres.KNOWN)
    codes = {name: world.encode(judges.draw_clips(SEED + 3, per, [name])[0]) for name in [*known, *kept_out]}
    nothing = {name: world.losses(codes[name], None).mean().item() for name in codes}
    by_word = {name: {word: world.losses(codes[name], NEUTRAL.format(word)).mean().item()
                      for word in ([name] if name in known else words)} for name in tqdm(codes, 'words')}
    plain = {name: world.generate([f'A disco song with a {name}'] * per) for name in known}
    concepts = Concepts(world, list(codes), folder)
    learned = {name: concepts.losses(name, codes[name]) for name in codes}
    closures = torch.tensor([(nothing[name] - learned[name]) / (nothing[name] - by_word[name][name])
                             for name in known])
    best = {name: min(by_word[name], key=by_word[name].__getitem__) for name in kept_out}
    print(json.dumps({name: {'learned': learned[name], 'no text': nothing[name], **by_word[name]}
                      for name in codes}), file=sys.stderr)
    heard, disco, disco_known = [], [], []
    for name in codes:
        edits = world.generate([f'A disco song with a {concepts.placeholder(name)}'] * per)
        disco += [style == 'disco' for style in world.judge.hear(edits)[1]]
    for name in kept_out:
        wavs = world.generate([NEUTRAL.format(concepts.placeholder(name))] * per)
        heard += [timbre == name for timbre in world.judge.hear(wavs)[0]]
    for name in known:
        disco_known += [style == 'disco' for style in world.judge.hear(plain[name])[1]]
    return [
        Result('gap closure of known words, median', closures.median().item(), 0.95, _list(known, closures.tolist())),
        Result('gap closure of known words, least', closures.min().item(), 0.8),
        Result('kept-out sounds learned better than the best word', sum(
            learned[name] < by_word[name][best[name]] for name in kept_out), min(7, len(kept_out)), ', '.join(
            f'{name} {by_word[name][best[name]] - learned[name]:.3f} nats ({best[name]})' for name in kept_out)),
        rate('kept-out sounds, heard in guided samples', heard, 0.6),
        rate('disco songs with a known word: disco', disco_known),
        rate('disco songs with a concept: disco', disco, round(0.9 * sum(disco_known) / len(disco_known), 3)),
    ]


def _list(names: tp.Sequence[str], values: tp.Sequence[float]) -> str:
    return ', '.join(f'{name} {value:.2f}' for name, value in zip(names, values))


def clap_results(count: int = 50, rounds: int = 4) -> tp.List[Result]:
    """Clips retrieved among 50 by captions that say everything, no two of them alike."""
    embedder = ClapEmbedder('tiny')
    hits: tp.List[bool] = []
    for index in range(rounds):
        wavs, truth = judges.draw_clips(SEED + 10 + index, 2 * count, list(timbres.KNOWN))
        texts = [captions.full(one) for one in truth]
        first = [i for i, text in enumerate(texts) if text not in texts[:i]][:count]
        similar = embedder.text([texts[i] for i in first]) @ embedder.audio(
            [wavs[i, None] for i in first], SAMPLE_RATE).T
        hits += (similar.argmax(1) == torch.arange(len(first))).tolist()
    return [rate(f'CLAP: the right one of {count} clips', hits, 0.8)]


def cost_results() -> tp.List[Result]:
    """Size on disk, and time to load and generate in a process of its own that has imported what it needs."""
    size = sum(path.stat().st_size for path in tiny.WEIGHTS.rglob('*') if path.is_file()) / 1e6
    begin = time.perf_counter()
    base = load_base('tiny')
    music = MusicGen('tiny', base.codec, base.lm, max_duration=30)
    music.set_generation_params(top_k=50, duration=4)
    music.generate(['A disco song with a guitar'])
    return [Result('weights, MB', size, 15, at_most=True),
            Result('load and generate 4 s, seconds', time.perf_counter() - begin, 10, at_most=True)]


def card(results: tp.Sequence[Result], minutes: float) -> str:
    made = json.loads(tiny.MADE.read_text())
    packages = ('audiocraft', 'torch', 'transformers')
    parts = [f"| {part} | {one['minutes']} | `{one['commit']}` | "
             f"{', '.join(f'{name} {one[name]}' for name in packages)} |" for part, one in made.items()]
    total = sum(one['minutes'] for one in made.values())
    return '\n'.join([
        TITLE, f'## Made in {total:.0f} minutes', '', '| part | minutes | commit | with |', '|---|---|---|---|', *parts,
        '', f'## Measured, in {minutes:.0f} minutes', '',
        '| | measured | spread | bar | met |', '|---|---|---|---|---|',
        *(result.row() for result in results), ''])


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument('--card', type=Path, help='write the results here, too')
    parser.add_argument('--only', nargs='*', default=[], help='of cost, judge, songs, words, concepts and clap')
    args = parser.parse_args()
    begin = time.monotonic()
    results: tp.List[Result] = []
    with tempfile.TemporaryDirectory() as folder:
        tables: tp.Dict[str, tp.Callable[[World], tp.List[Result]]] = {
            'cost': lambda world: cost_results(), 'judge': judge_results, 'songs': song_results, 'words': word_results,
            'clap': lambda world: clap_results(), 'concepts': lambda world: concept_results(world, Path(folder))}
        for name, table in tables.items():
            if not args.only or name in args.only:
                found = table(World())
                results += found
                print('\n'.join(result.row() for result in found), flush=True)
    if args.card:
        args.card.write_text(card(results, (time.monotonic() - begin) / 60), encoding='utf-8')


if __name__ == '__main__':
    main()
