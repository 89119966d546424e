"""What the runs of `make ablation` say: `python benchmarks/ablation.py --out docs/RESULTS.md`, from stored runs alone.

Rates come with 95 % Wilson intervals, means with 95 % bootstrap intervals over runs.
"""
import argparse
from dataclasses import dataclass
from pathlib import Path
import statistics
import typing as tp

import numpy as np
import torch
from tqdm import tqdm

from audiocraft_ti import environment, tiny
environment.prepare()
from dora import XP
from flashy.utils import write_and_rename

from audiocraft_ti import train
from audiocraft_ti.data import audio, lines as files
from audiocraft_ti.grids import local
from audiocraft_ti.grids.ti import ablation, plain as plain_grid
from audiocraft_ti.models.loaders import BaseModel, load_base
from audiocraft_ti.models.samples import LISTING
from audiocraft_ti.report.markdown import markdown
from audiocraft_ti.report.sources import best_losses
from audiocraft_ti.tiny import judge as judges
from audiocraft_ti.tiny.voice import SAMPLE_RATE
from benchmarks import plain, tiny_world

TITLE = """# What the paper's choices are worth

Written by `make ablation`, from {count} runs on the tiny base ([TINY.md](TINY.md)): {concepts}, each learned from
twenty recordings with {seeds} seeds, {updates} updates of {batch} clips. Zither and conga are sounds that the base was
never trained on; the flute it has a word for. All of it is tiny: a model of a million weights and synthetic sounds,
whose ground truth a judge knows. The same as a page with sound: [ablation/index.html](ablation/index.html).
"""
COLUMNS = """
- **held-out loss**: cross-entropy of held-out clips with the concept, nats a token; less is better. In brackets, what
  is won against no text. Of shorter crops it is the loss of such crops, and not to be held against the others'.
- **sound**: share of the samples for "A recording of a `<s>`" in which the judge hears the concept's sound.
- **disco**: share of the samples for "A disco song with a `<s>`" in which the judge hears disco.
- **reconstruction**, **editability**: the paper's CLAP scores (P20 with held-out clips, P21), by the tiny CLAP.
- **seconds** of learning, the median; **kB** of what is stored of the concept.
"""
HALF = """
## Half of the vectors, or all

The paper draws half of the vectors at test time, for the sake of editing. With half of them the judge hears disco in
{half} of the disco songs, with all of them in {all}. {verdict}
"""
WITHOUT = """
## Prompts without the concept

With a concept loaded they give the same music as before, bit for bit
(`test_concepts.py::test_without_a_placeholder_nothing_changes_by_a_bit`). After fine-tuning of all weights, "A {style}
song with a {sound}" for every known sound and style:
"""


@dataclass
class Outcome:
    """What came of one run."""
    setting: str
    loss: float
    gain: float
    closure: tp.Optional[float]
    sound: tp.List[bool]
    disco: tp.List[bool]
    reconstruction: float
    editability: float
    seconds: float
    kilobytes: float


def read(run: ablation.Run, xp: XP, judge: judges.Judge) -> Outcome:
    """An experiment's history and samples."""
    xp.link.load()
    history = xp.link.history
    best = best_losses(history)
    scores = history[-1]['evaluate']
    stored = next(xp.folder.glob('concept.safetensors'), xp.folder / 'checkpoint.th')
    return Outcome(
        run.setting, best['ce'], best['ce_no_text'] - best['ce'], best.get('gap_closure'),
        *hear(xp.folder / 'samples' / str(len(history)), run.timbre, judge),
        scores['clap_reconstruction_held_out'], scores['clap_editability'],
        sum(epoch['train']['duration'] for epoch in history), stored.stat().st_size / 1e3)


def hear(folder: Path, timbre: str, judge: judges.Judge) -> tp.Tuple[tp.List[bool], tp.List[bool]]:
    """In which reconstructions the sound is heard, and in which edits disco."""
    lines = files.read(folder / LISTING)
    heard = {kind: judge.hear(torch.cat([audio.read_as(folder / line['file'], SAMPLE_RATE, 1) for line in lines
                                         if line['kind'] == kind])) for kind in ('reconstruction', 'editability')}
    return ([name == timbre for name in heard['reconstruction'][0]],
            [name == 'disco' for name in heard['editability'][1]])


def interval(values: tp.Sequence[float], draws: int = 2000) -> tp.Tuple[float, float]:
    """Of the mean, by the bootstrap."""
    rng = np.random.default_rng(0)
    means = rng.choice(values, (draws, len(values))).mean(1)
    low, high = np.quantile(means, (0.025, 0.975))
    return float(low), float(high)


def mean(values: tp.Sequence[float], digits: int = 3) -> str:
    low, high = interval(values)
    return f'{statistics.mean(values):.{digits}f} ({low:.{digits}f} to {high:.{digits}f})'


def share(hits: tp.Sequence[bool]) -> str:
    return _cell(tiny_world.rate('', hits))


def _cell(result: tiny_world.Result) -> str:
    return f"{result.value:.2f} ({result.spread.partition(',')[0]})"


def loss(outcomes: tp.Sequence[Outcome]) -> str:
    return (f'{statistics.mean(one.loss for one in outcomes):.3f} '
            f'({statistics.mean(one.gain for one in outcomes):.3f})')


def sound(outcomes: tp.Sequence[Outcome]) -> str:
    return share([hit for one in outcomes for hit in one.sound])


def row(setting: str, outcomes: tp.Sequence[Outcome]) -> tp.List[str]:
    closures = [one.closure for one in outcomes if one.closure is not None]
    return [setting, loss(outcomes), f'{statistics.median(closures):.2f}' if closures else '', sound(outcomes),
            share([hit for one in outcomes for hit in one.disco]),
            mean([one.reconstruction for one in outcomes]), mean([one.editability for one in outcomes]),
            f'{statistics.median(one.seconds for one in outcomes):.0f}',
            f'{statistics.mean(one.kilobytes for one in outcomes):.0f}']


def table(outcomes: tp.Sequence[Outcome]) -> str:
    """A row a setting, in the grid's order."""
    head = ['', 'held-out loss', 'gap closure, median', 'sound', 'disco', 'reconstruction', 'editability', 'seconds',
            'kB']
    return markdown([head, *(row(setting, [one for one in outcomes if one.setting == setting])
                             for setting in ablation.SETTINGS)])


def half_or_all(outcomes: tp.Sequence[Outcome]) -> str:
    """Whether half of the vectors makes for better editing than all of them, by the judge."""
    half, whole = ([hit for one in outcomes if one.setting == setting for hit in one.disco]
                   for setting in (ablation.THE_PAPER, ablation.ALL))
    verdict = ('So it is here, too.' if sum(half) / len(half) > sum(whole) / len(whole) else
               'On this base it is not so: half of them does not make for better editing.')
    return HALF.format(half=share(half), all=share(whole), verdict=verdict)


def forgetting(xps: tp.Sequence[XP]) -> str:
    """Songs with words that have nothing to do with the concept: of the base, and of models that were fine-tuned."""
    base = load_base('tiny')
    lines = ['| | right sound | right style |', '|---|---|---|',
             f"| the base, and the base with any concept loaded | {' | '.join(_songs(base))} |"]
    for xp in tqdm(xps, 'fine-tuned models'):
        tuned = train.get_solver_from_xp(xp).base
        lines.append(f"| after fine-tuning on {xp.cfg.concept.name} | {' | '.join(_songs(tuned))} |")
    return '\n'.join(lines)


def _songs(base: BaseModel) -> tp.List[str]:
    return [_cell(result) for result in tiny_world.song_results(tiny_world.World(base))]


def stored(runs: tp.Iterable[tp.Any], command: str) -> tp.List[tp.Tuple[tp.Any, XP]]:
    """Runs of grids with their experiments, all of which must be done."""
    todo = [(run, local.experiment(run.overrides)) for run in runs]
    missing = [xp for _, xp in todo if not local.is_done(xp)]
    if missing:
        raise SystemExit(f'error: {len(missing)} of {len(todo)} runs of the grid are not done, the first of them '
                         f"{' '.join(missing[0].argv)}: {command} runs them.")
    return todo


def page() -> str:
    """All of docs/RESULTS.md."""
    todo = stored(ablation.runs(), 'make ablation')
    judge = judges.load(tiny.JUDGE)
    outcomes = [read(run, xp, judge) for run, xp in tqdm(todo, 'runs')]
    tuned = [xp for run, xp in todo if run.setting == ablation.FINE_TUNING and run.seed == ablation.SEEDS[0]]
    cfg = todo[0][1].cfg
    title = TITLE.format(count=len(todo), concepts=', '.join(ablation.CONCEPTS), seeds=len(ablation.SEEDS),
                         updates=cfg.optim.epochs * cfg.optim.updates_per_epoch, batch=cfg.dataset.batch_size)
    against_plain = plain.section(stored(plain_grid.runs(), 'make ablation'), outcomes)
    return '\n'.join([title, table(outcomes), COLUMNS, half_or_all(outcomes), against_plain, WITHOUT, forgetting(tuned),
                      ''])


def write(make_page: tp.Callable[[], str], doc: str) -> None:
    """The command of a results page: writes it to `--out`, whole or not at all."""
    parser = argparse.ArgumentParser(description=doc.splitlines()[0])
    parser.add_argument('--out', type=Path, required=True)
    path = parser.parse_args().out
    page = make_page()
    with write_and_rename(path) as file:
        file.write(page.encode())


if __name__ == '__main__':
    write(page, __doc__)
