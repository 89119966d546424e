"""What a concept costs when music is made with it: `python -m benchmarks.generation [--base tiny]`.

One model, with audiocraft's own conditioner and with ours, each with a prompt of as many tokens. A round has them in
the order without, with, with, without, so that what else the machine does hits both alike; on a CPU it is the process's
own time that counts. The ratio of their times comes with the 95 % interval of its mean over rounds.
"""
import argparse
import statistics
import time
import typing as tp

import torch

from audiocraft_ti import environment
environment.prepare()
from audiocraft.models import MusicGen

from audiocraft_ti.models.concept_lm import install
from audiocraft_ti.models.concepts import set_concept_params
from audiocraft_ti.models.loaders import load_music
from benchmarks.ablation import interval

WORDS = 'guitar flute organ bass bell'  # as many tokens as half of ten vectors
Case = tp.Tuple[tp.Dict[str, torch.nn.Module], str]


def cases(music: MusicGen) -> tp.Tuple[Case, Case]:
    """Conditioners and prompt without a concept, and with one."""
    conditioners = music.lm.condition_provider.conditioners
    untouched = dict(conditioners)
    conditioner = install(music.lm)
    conditioner.add('amen', torch.randn(10, conditioner.bank.dim))
    set_concept_params(music, seed=0)
    return (untouched, f'A disco song with a {WORDS}'), (dict(conditioners), 'A disco song with a <amen>')


def seconds(music: MusicGen, case: Case) -> float:
    """Time of one generation."""
    conditioners, prompt = case
    music.lm.condition_provider.conditioners.update(conditioners)
    clock = time.process_time if music.device.type == 'cpu' else time.perf_counter
    torch.manual_seed(0)
    begin = clock()
    music.generate([prompt]).cpu()
    return clock() - begin


def ratios(music: MusicGen, rounds: int) -> tp.List[float]:
    """Time with a concept over time without, once a round."""
    without, with_ = cases(music)
    order = (without, with_, with_, without)
    times = [[seconds(music, case) for case in order] for _ in range(rounds + 1)][1:]  # the first warms up
    return [(b + c) / (a + d) for a, b, c, d in times]


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument('--base', default='tiny')
    parser.add_argument('--duration', type=float, default=4.)
    parser.add_argument('--rounds', type=int, default=30)
    args = parser.parse_args()
    found = ratios(load_music(args.base, duration=args.duration), args.rounds)
    low, high = interval(found)
    print(f'time with a concept over time without: {statistics.mean(found):.4f} ({low:.4f} to {high:.4f})')


if __name__ == '__main__':
    main()
