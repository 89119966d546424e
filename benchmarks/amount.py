"""How much is enough: `python -m benchmarks.amount --out docs/TRAINING.md`, from the runs of `make amount` alone."""
from pathlib import Path
import statistics
import typing as tp

from tqdm import tqdm

from audiocraft_ti import environment, tiny
environment.prepare()

from audiocraft_ti.concept import Concept
from audiocraft_ti.grids.ti import ablation as ablation_grid, amount, learning_rate
from audiocraft_ti.models.concept_lm import ConceptLM
from audiocraft_ti.tiny import judge as judges
from benchmarks import ablation, full_length, tiny_world

FRESH = 20  # clips that no run has seen
ENOUGH = ('recordings', 'vectors', 'updates', 'seconds of a crop')  # what costs more the more there is of it
CROPS = {'1 s crops': 1, '2 s crops': 2, ablation_grid.THE_PAPER: 4}  # of the ablation's settings, in seconds
TITLE = """# How much is enough

Written by `make amount`, from {count} runs on the tiny base ([TINY.md](TINY.md)). What is not varied is as
`solver=musicgen/ti_tiny` has it: twenty recordings of four seconds, learned from whole, ten vectors, {updates} updates
of {batch} clips. The sounds are

- {concepts}, with two seeds each;
- for learning rates, which the default was chosen from, {others}, with two seeds each;
- for the length of crops {cropped}, with three seeds each, in the paper's setting.

What the tables say:

- **loss** is the cross-entropy of {fresh} fresh clips of four seconds with the concept, nats a token; in brackets what
  is won against no text.
- **sound** is the share of samples for "A recording of a `<s>`" in which the judge hears the concept's sound.
- **Enough** is the least by which 95 % of the most is won. On another base the numbers are others, and the shape of the
  curves is what carries over.

A run says the same of itself while it learns, on recordings that it holds out, and `optim.patience=N` ends it once the
held-out loss has not improved for N updates. The learning rate is in units of the base's own embeddings
(`optim.lr_relative`), so that it need not be found anew for another base; the default is {rate:g}.
"""


class Listener:
    """Asks the base what it makes of a concept."""
    def __init__(self) -> None:
        self.world = tiny_world.World()
        self.model = ConceptLM(self.world.base.lm).eval()
        wavs = {name: judges.draw_clips(tiny_world.SEED + 5, FRESH, [name])[0]
                for name in {**amount.CONCEPTS, **learning_rate.CONCEPTS, **ablation_grid.CONCEPTS}}
        self.codes = {name: self.world.encode(wav) for name, wav in wavs.items()}

    def loss(self, timbre: str, path: Path) -> tp.Tuple[float, float]:
        """Loss of fresh clips with a concept, and what is won against no text."""
        concept = Concept.load(path)
        self.model.conditioner.add(concept.name, concept.vectors)
        self.model.conditioner.generator.manual_seed(0)
        prompts = [tiny_world.NEUTRAL.format(concept.placeholder), None]
        try:
            learned, nothing = (self.world.losses(self.codes[timbre], prompt).mean().item() for prompt in prompts)
        finally:
            self.model.bank.remove(concept.name)
        return learned, nothing - learned


def crops() -> tp.Iterator[amount.Run]:
    """The ablation's runs that say how long crops have to be."""
    for run in ablation_grid.runs():
        if run.setting in CROPS:
            yield amount.Run('seconds of a crop', CROPS[run.setting], run.timbre, run.overrides)


def rows(what: str, found: tp.Sequence[tp.Tuple[amount.Run, float, float, tp.List[bool]]]) -> tp.Iterator[str]:
    """A table of one thing that is varied."""
    yield from ('', f'## {what.capitalize()}', '', '| | loss | sound |', '|---|---|---|')
    mine = [one for one in found if one[0].what == what]
    won = {}
    for number in sorted({run.amount for run, *_ in mine}):
        losses, gains, heard = zip(*((loss, gain, hits) for run, loss, gain, hits in mine if run.amount == number))
        won[number] = statistics.mean(gains)
        yield (f'| {number} | {statistics.mean(losses):.3f} ({won[number]:.3f}) '
               f'| {ablation.share([hit for hits in heard for hit in hits])} |')
    most = max(won, key=won.__getitem__)
    enough = min(number for number in won if won[number] >= 0.95 * won[most])
    yield from ('', f'Best: {most}.' + (f' Enough: {enough}.' if what in ENOUGH else ''))


def page() -> str:
    """All of docs/TRAINING.md."""
    todo = ablation.stored((*amount.runs(), *learning_rate.runs(), *crops()), 'make ablation amount')
    listener, judge, found = Listener(), judges.load(tiny.JUDGE), []
    for run, xp in tqdm(todo, 'runs'):
        sound, _ = ablation.hear(xp.folder / 'samples' / str(len(xp.link.history)), run.timbre, judge)
        found.append((run, *listener.loss(run.timbre, xp.folder / 'concept.safetensors'), sound))
    cfg = todo[0][1].cfg
    title = TITLE.format(count=len({xp.sig for _, xp in todo}), concepts=', '.join(amount.CONCEPTS), fresh=FRESH,
                         others=', '.join(learning_rate.CONCEPTS), cropped=', '.join(ablation_grid.CONCEPTS),
                         rate=cfg.optim.lr,
                         updates=cfg.optim.epochs * cfg.optim.updates_per_epoch, batch=cfg.dataset.batch_size)
    tables = [line for what in dict.fromkeys(run.what for run, _ in todo) for line in rows(what, found)]
    return '\n'.join([title, *tables, full_length.section(judge), ''])


if __name__ == '__main__':
    ablation.write(page, __doc__)
