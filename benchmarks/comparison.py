"""The paper's systems side by side: `python -m benchmarks.comparison --out docs/SYSTEMS.md`, from the runs of
`make systems`; what an update takes is measured when the page is made.
"""
from dataclasses import dataclass, replace
import statistics
import typing as tp

import torch
from tqdm import tqdm

from audiocraft_ti import environment, tiny
environment.prepare()
from dora import XP

from audiocraft_ti.grids.ti import systems as grid
from audiocraft_ti.models.audioldm import load_audioldm
from audiocraft_ti.models.loaders import load_base
from audiocraft_ti.report.markdown import markdown
from audiocraft_ti.tiny import judge as judges
from benchmarks import ablation, systems, tiny_world

TITLE = """# The paper's systems side by side

Written by `make systems`, from {count} runs on the tiny MusicGen and the tiny AudioLDM ([TINY.md](TINY.md)), of
{concepts} sounds that neither has a word for. It is what the paper compares (P26), and all of it is tiny: two models of
a million weights and synthetic sounds, whose ground truth a judge knows. Which base is the better one is so of these
two alone; what carries over is that the systems share recordings, prompts and scores. Nothing here is of the real
models: with a GPU and their weights, the same command makes figure 2 and table 1's study of those, on a folder of
concepts ([GRIDS.md](GRIDS.md#the-papers-comparison-of-your-concepts)). Figure 2 of the tiny ones, with sound:
[systems/index.html](systems/index.html). `audiocraft-ti study serve outputs/table_1` asks people (table 1).
"""
COLUMNS = """
- **sound**: share of the samples for "A recording of a `<s>`" in which the judge hears the sound that was learned;
  beside it, of the untouched base's for the class word in its place, and with nothing there.
- **disco**: share of the samples for "A disco song with a `<s>`" in which the judge hears disco.
- **better than the word**: for how many sounds the judge hears it more often with the concept than with the class word.
- **reconstruction**, **editability**: the paper's CLAP scores (P20 with held-out clips, P21), by the tiny CLAP.
- **seconds** of learning, **kB** of what is stored of the concept.
"""
BY_SOUND = """## Sound by sound

Share of samples with the concept, and with the class word, in which the sound is heard; beside them, of recordings that
have been through the base's own codec alone, which no system on it can exceed by much. A sound that the AudioLDM's
autoencoder and vocoder lose cannot be learned there. Textual inversion, moreover, can say only what the diffusion model
listens to, which follows even the words that it was trained on no more often than [TINY.md](TINY.md) says; DreamBooth,
which changes that model, is not bound by it.
"""
COST = """
## What an update takes

In a process of its own for each, on one core of a CPU.
"""
LEARNED, WORD, NOTHING = '', 'class_word', 'no_concept'  # folders of samples


@dataclass
class Outcome:
    """What came of one run: in which samples the sound is heard, for each folder of them, and in which disco."""
    run: grid.Run
    sound: tp.Dict[str, tp.List[bool]]
    disco: tp.List[bool]
    reconstruction: float
    editability: float
    seconds: float
    kilobytes: float

    @property
    def is_better(self) -> bool:
        return sum(self.sound[LEARNED]) > sum(self.sound[WORD])


def read(run: grid.Run, xp: XP, judge: judges.Judge) -> Outcome:
    """An experiment's history and samples."""
    history = xp.link.history
    samples = xp.folder / 'samples' / str(len(history))
    heard = {name: ablation.hear(samples / name, run.concept, judge) for name in (LEARNED, WORD, NOTHING)
             if (samples / name).exists()}
    stored = next(path for name in ('concept', 'difference') for path in xp.folder.glob(f'{name}.safetensors'))
    return Outcome(run, {name: sound for name, (sound, _) in heard.items()}, heard[LEARNED][1],
                   history[-1]['evaluate']['clap_reconstruction_held_out'], history[-1]['evaluate']['clap_editability'],
                   sum(epoch['train']['duration'] for epoch in history), stored.stat().st_size / 1e3)


def read_all(todo: tp.Sequence[tp.Tuple[grid.Run, XP]], judge: judges.Judge) -> tp.List[Outcome]:
    """All runs, each with what its untouched base makes; where that was tuned, another run on it has those samples."""
    outcomes = [read(run, xp, judge) for run, xp in tqdm(todo, 'runs')]
    untouched = {(one.run.base, one.run.concept): one.sound for one in outcomes if WORD in one.sound}
    return [replace(one, sound={**untouched[one.run.base, one.run.concept], **one.sound}) for one in outcomes]


def row(system: str, outcomes: tp.Sequence[Outcome]) -> tp.List[str]:
    sounds = [ablation.share([hit for one in outcomes for hit in one.sound[name]]) for name in (LEARNED, WORD, NOTHING)]
    return [system, *sounds, ablation.share([hit for one in outcomes for hit in one.disco]),
            f'{sum(one.is_better for one in outcomes)} of {len(outcomes)}',
            ablation.mean([one.reconstruction for one in outcomes]),
            ablation.mean([one.editability for one in outcomes]),
            f'{statistics.mean(one.seconds for one in outcomes):.0f}',
            f'{statistics.mean(one.kilobytes for one in outcomes):.0f}']


def by_system(outcomes: tp.Sequence[Outcome]) -> str:
    """A row a system."""
    head = ['', 'sound', 'by the word', 'by nothing', 'disco', 'better than the word', 'reconstruction', 'editability',
            'seconds', 'kB']
    return markdown([head, *(row(system, [one for one in outcomes if one.run.setting == system])
                             for system in grid.SYSTEMS)])


@torch.no_grad()
def through_codecs(judge: judges.Judge, count: int = 20) -> tp.Dict[str, tp.List[float]]:
    """For each sound, the share of recordings in which it is heard after either base's codec."""
    codec, model = load_base('tiny').codec, load_audioldm('tiny')
    vae, vocoder = model.pipeline.vae, model.pipeline.vocoder
    shares: tp.Dict[str, tp.List[float]] = {}
    for sound in tqdm(grid.CONCEPTS, 'codecs'):
        wavs, _ = judges.draw_clips(tiny_world.SEED + 6, count, [sound])
        mels = torch.cat([model.codec.mel(wav[None]) for wav in wavs])
        decoded = (codec.decode(codec.encode(wavs[:, None])[0], None)[:, 0],
                   vocoder(vae.decode(vae.encode(mels).latent_dist.mean).sample[:, 0]))
        shares[sound] = [statistics.mean(name == sound for name in judge.hear(one)[0]) for one in decoded]
    return shares


def by_sound(outcomes: tp.Sequence[Outcome], carried: tp.Dict[str, tp.List[float]]) -> str:
    """A row a sound: how often it is heard with the concept, and with the class word."""
    found = {(one.run.concept, one.run.setting): one for one in outcomes}
    rows = [['sound, and its class word', *grid.SYSTEMS, "MusicGen's codec", "AudioLDM's codec"]]
    for timbre, word in grid.CONCEPTS.items():
        cells = [found[timbre, system].sound for system in grid.SYSTEMS]
        rows.append([f'{timbre}, {word}', *(f'{statistics.mean(one[LEARNED]):.1f}, {statistics.mean(one[WORD]):.1f}'
                                            for one in cells), *(f'{share:.2f}' for share in carried[timbre])])
    return markdown(rows)


def page() -> str:
    """All of docs/SYSTEMS.md."""
    todo = ablation.stored(grid.runs(), 'make systems')
    judge = judges.load(tiny.JUDGE)
    outcomes = read_all(todo, judge)
    title = TITLE.format(count=len(todo), concepts=len(grid.CONCEPTS))
    return '\n'.join([title, by_system(outcomes), COLUMNS, BY_SOUND, by_sound(outcomes, through_codecs(judge)), COST,
                      systems.table(systems.costs()), ''])


if __name__ == '__main__':
    ablation.write(page, __doc__)
