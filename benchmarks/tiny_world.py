"""What the tiny base can do, on music that it never heard: `python -m benchmarks.tiny_world [--card docs/TINY.md]`.

All in a quarter of an hour or two on two cores. Rates come with 95 % Wilson intervals, `ok` says whether the bar of the
last column is met. Clips are drawn from seeds that no training uses.
"""
import argparse
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from itertools import product
import json
import os
from pathlib import Path
import statistics
import subprocess
import sys
import tempfile
import time
import typing as tp

from statsmodels.stats.proportion import proportion_confint
import torch
from torch.nn import functional as F
from tqdm import tqdm

from audiocraft_ti import environment, tiny
environment.prepare()
from audiocraft.modules.conditioners import ConditioningAttributes

from audiocraft_ti.concept import Concept
from audiocraft_ti.evaluation.embedders import ClapEmbedder
from audiocraft_ti.grids.ti._tiny import RELEARNED
from audiocraft_ti.models.audioldm import load_audioldm
from audiocraft_ti.models.concept_lm import ConceptLM
from audiocraft_ti.models.loaders import BaseModel, load_base
from audiocraft_ti.tiny import captions, judge as judges, timbres
from audiocraft_ti.tiny.recordings import write_recordings
from audiocraft_ti.tiny.styles import STYLES
from audiocraft_ti.tiny.voice import SAMPLE_RATE

SEED = 777  # of fresh clips
NEUTRAL = 'A recording of a {}'
TITLE = """# The tiny base

What ships in `audiocraft_ti/tiny/weights`: a MusicGen (EnCodec, language model, T5), an AudioLDM, a CLAP and a judge,
trained on a small world of synthetic music (`audiocraft_ti/tiny/world.py`). Written by
`python -m benchmarks.tiny_world --card docs/TINY.md`; the weights are made by `make base`, from fixed seeds.

All sounds of the world come from one synthesizer and are combinations of traits: a pitch, a body, an envelope, and
some tremble, fall, thud or rattle. 18 have real names, 464 have invented ones such as "segu", and there are ten rhythm
styles and words for tempo, register and mood. Eight combinations are kept out of all training but the judge's: they
stand for a user's recordings, and the best word for one of them is the best of all 482.
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
    low, high = proportion_confint(sum(hits), len(hits), method='wilson')
    return Result(what, sum(hits) / len(hits), bar, f'{low:.2f} to {high:.2f}, n = {len(hits)}')


class World:
    """The tiny base, and a judge of what comes out of it."""
    def __init__(self, base: tp.Optional[BaseModel] = None) -> None:
        self.base = base or load_base('tiny')
        self.judge = judges.load(tiny.JUDGE)
        self.music = self.base.music_gen(duration=4)

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


def audioldm_results(world: World) -> tp.List[Result]:
    """The same songs by the tiny AudioLDM, as its solvers sample."""
    model = load_audioldm('tiny')
    conditioner, draws = model.make_conditioner(), torch.Generator().manual_seed(0)
    truth = list(product(timbres.KNOWN, STYLES))
    prompts = [f'A {style} song with a {timbre}' for timbre, style in truth]
    wavs = torch.cat([model.sample(conditioner, prompts[i:i + 30], 4., 50, 2.5, draws)[:, 0]
                      for i in tqdm(range(0, len(prompts), 30), 'samples of the AudioLDM')])
    return [rate(f'songs by the AudioLDM: {what}', hits)
            for what, hits in zip(('timbre', 'style'), hears(world, wavs, truth))]


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
    """Learn a timbre of the world as a new word, from twenty recordings; the concept's file."""
    clips = folder / 'clips' / name
    write_recordings(clips, name)
    dora = str(Path(sys.executable).with_name('dora'))
    runs = folder / 'runs' / name
    subprocess.run([dora, '-P', 'audiocraft_ti', 'run', 'solver=musicgen/ti_tiny', f'datasource.folder={clips}',
                    f'concept.name={word}'], check=True, capture_output=True,
                   env={**os.environ, 'AUDIOCRAFT_DORA_DIR': str(runs), 'OMP_NUM_THREADS': '1'})
    path, = runs.glob('xps/*/concept.safetensors')
    return path


class Concepts:
    """Timbres of the world learned as new words, in the tiny base's vocabulary."""
    def __init__(self, world: World, names: tp.Sequence[str], folder: Path, count: int = 20) -> None:
        self.world = world
        fresh = {name: judges.draw_clips(SEED + 3, count, [name])[0] for name in names}
        self.codes = {name: world.encode(wavs) for name, wavs in fresh.items()}
        self.model = ConceptLM(world.base.lm)
        with ThreadPoolExecutor(os.cpu_count()) as pool:  # each waits for a process of its own
            paths = list(tqdm(pool.map(lambda name: learn(name, f'my-{name}', folder), names), 'learning', len(names)))
        for name, path in zip(names, paths):
            self.model.conditioner.add(f'my-{name}', Concept.load(path).vectors)
        self.model.eval()

    def loss(self, name: str, word: tp.Optional[str]) -> float:
        """Mean loss of the fresh clips of a timbre under a word, or no text."""
        return self.world.losses(self.codes[name], word and NEUTRAL.format(word)).mean().item()

    def best_word(self, name: str, finalists: int = 12) -> tp.Tuple[str, float]:
        """The word of the whole vocabulary that suits the fresh clips best, and their loss under it.

        All words are tried on the first clips' first bars, and those that do best there on everything.
        """
        few = self.codes[name][:4, :, :50]
        first = {word: self.world.losses(few, NEUTRAL.format(word)).mean().item()
                 for word in (*timbres.KNOWN, *timbres.invented())}
        losses = {word: self.loss(name, word) for word in sorted(first, key=first.__getitem__)[:finalists]}
        return min(losses.items(), key=lambda item: item[1])

    def learned_loss(self, name: str, draws: int = 4) -> float:
        """The same under the concept, with other vectors of it in each draw."""
        self.model.conditioner.generator.manual_seed(0)
        return sum(self.loss(name, f'<my-{name}>') for _ in range(draws)) / draws


def relearned_results(concepts: Concepts, names: tp.Sequence[str]) -> tp.List[Result]:
    """Words that the model knows, learned anew."""
    closures = {}
    for name in names:
        nothing, learned, word = concepts.loss(name, None), concepts.learned_loss(name), concepts.loss(name, name)
        closures[name] = (nothing - learned) / (nothing - word)
    return [Result('gap closure of known words, median', statistics.median(closures.values()), 0.95,
                   ', '.join(f'{name} {closure:.2f}' for name, closure in closures.items())),
            Result('gap closure of known words, least', min(closures.values()), 0.8)]


def unknown_results(concepts: Concepts, names: tp.Sequence[str], count: int = 20) -> tp.List[Result]:
    """Sounds that no word of the model stands for: against its best word, and as they are heard in guided samples."""
    gains, heard = {}, []
    for name in tqdm(names, 'unknown sounds'):
        best, loss = concepts.best_word(name)
        gains[f'{name} over {best}'] = loss - concepts.learned_loss(name)
        wavs = concepts.world.generate([NEUTRAL.format(f'<my-{name}>')] * count)
        heard.append([timbre == name for timbre in concepts.world.judge.hear(wavs)[0]])
    shares = [sum(hits) / len(hits) for hits in heard]
    most = len(names) - 1
    learned, recognised = (sum(good) for good in ((gain > 0 for gain in gains.values()),
                                                  (share >= 0.6 for share in shares)))
    return [Result('unknown sounds whose concept is better than the best word', learned, most,
                   ', '.join(f'{who} {gain:.3f} nats' for who, gain in gains.items())),
            Result('unknown sounds that are heard in 60 % of their guided samples', recognised, most,
                   ', '.join(f'{name} {share:.2f}' for name, share in zip(names, shares))),
            rate('guided samples in which the unknown sound is heard', sum(heard, []), 0.6)]


def edit_results(concepts: Concepts, known: tp.Sequence[str], names: tp.Sequence[str], count: int = 20
                 ) -> tp.List[Result]:
    """How often a disco song is one, with known words and with concepts."""
    def disco(words: tp.Sequence[str]) -> tp.List[bool]:
        wavs = concepts.world.generate([f'A disco song with a {word}' for word in words for _ in range(count)])
        return [style == 'disco' for style in concepts.world.judge.hear(wavs)[1]]
    with_words = rate('disco songs with a known word: disco', disco(known))
    learned = [f'<my-{name}>' for name in names]
    return [with_words, rate('disco songs with a concept: disco', disco(learned), round(0.9 * with_words.value, 3))]


def concept_results(world: World, folder: Path, known: tp.Sequence[str] = RELEARNED,
                    kept_out: tp.Sequence[str] = tuple(timbres.KEPT_OUT)) -> tp.List[Result]:
    """Known words learned anew, and sounds that no word stands for."""
    concepts = Concepts(world, [*known, *kept_out], folder)
    return [*relearned_results(concepts, known), *unknown_results(concepts, kept_out),
            *edit_results(concepts, known, [*known, *kept_out])]


def clap_results(world: World, count: int = 50, rounds: int = 4) -> tp.List[Result]:
    """Clips retrieved among 50 by captions that say everything, no two of them alike; and after the codec."""
    embedder = ClapEmbedder('tiny')
    found: tp.Dict[str, tp.List[bool]] = {'': [], ' after the codec': []}
    for index in range(rounds):
        wavs, truth = judges.draw_clips(SEED + 10 + index, 2 * count, list(timbres.KNOWN))
        texts = [captions.full(one) for one in truth]
        first = [i for i, text in enumerate(texts) if text not in texts[:i]][:count]
        clips = wavs[first]
        embedded = embedder.text([texts[i] for i in first])
        for hits, heard in zip(found.values(), (clips, world.decode(world.encode(clips)))):
            similar = embedded @ embedder.audio(list(heard[:, None]), SAMPLE_RATE).T
            hits += (similar.argmax(1) == torch.arange(len(first))).tolist()
    return [rate(f'CLAP: the right one of {count} clips{where}', hits, 0.8) for where, hits in found.items()]


def cost_results() -> tp.List[Result]:
    """Size on disk, and time to load and generate in a process of its own that has imported what it needs."""
    size, audioldm = (sum(path.stat().st_size for path in folder.rglob('*') if path.is_file()) / 1e6
                      for folder in (tiny.WEIGHTS, tiny.AUDIOLDM))
    begin = time.perf_counter()
    load_base('tiny').music_gen(duration=4).generate(['A disco song with a guitar'])
    return [Result('weights, MB', size - audioldm, 15, at_most=True),
            Result("the AudioLDM's, MB", audioldm, 15, at_most=True),
            Result('load and generate 4 s, seconds', time.perf_counter() - begin, 10, at_most=True)]


def card(results: tp.Sequence[Result], minutes: float) -> str:
    made = json.loads(tiny.MADE.read_text())
    packages = ('audiocraft', 'torch', 'transformers')
    parts = [f"| {part} | {one['minutes']} | `{one['commit']}` | "
             f"{', '.join(f'{name} {one[name]}' for name in packages)} |" for part, one in made.items()]
    total = sum(one['minutes'] for one in made.values())
    return '\n'.join([
        TITLE, f'## Made in {total:.0f} minutes of work, two parts side by side', '',
        '| part | minutes | commit | with |', '|---|---|---|---|', *parts, '',
        f'## Measured, in {minutes:.0f} minutes', '', '| | measured | spread | bar | met |', '|---|---|---|---|---|',
        *(result.row() for result in results), ''])


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument('--card', type=Path, help='write the results here, too')
    parser.add_argument('--only', nargs='*', default=[],
                        help='of cost, judge, songs, audioldm, words, concepts and clap')
    args = parser.parse_args()
    begin = time.monotonic()
    results: tp.List[Result] = []
    with tempfile.TemporaryDirectory() as folder:
        tables: tp.Dict[str, tp.Callable[[], tp.List[Result]]] = {
            'cost': cost_results, 'judge': lambda: judge_results(World()), 'songs': lambda: song_results(World()),
            'audioldm': lambda: audioldm_results(World()), 'words': lambda: word_results(World()),
            'clap': lambda: clap_results(World()), 'concepts': lambda: concept_results(World(), Path(folder))}
        for name, table in tables.items():
            if not args.only or name in args.only:
                found = table()
                results += found
                print('\n'.join(result.row() for result in found), flush=True)
    if args.card:
        args.card.write_text(card(results, (time.monotonic() - begin) / 60), encoding='utf-8')


if __name__ == '__main__':
    main()
