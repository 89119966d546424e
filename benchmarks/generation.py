"""What a concept costs when music is made with it: `python -m benchmarks.generation [--base tiny]`.

The same model with and without a concept, in turn, each with a prompt of as many tokens: the ratio of their times.
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
from audiocraft_ti.models.loaders import load_base

WORDS = 'guitar flute organ bass bell'  # as many tokens as half of ten vectors


def seconds(music: MusicGen, prompt: str) -> float:
    """Time of one generation."""
    torch.manual_seed(0)
    begin = time.perf_counter()
    music.generate([prompt])
    return time.perf_counter() - begin


def ratios(base: str, duration: float, rounds: int) -> tp.List[float]:
    """Time with a concept over time of an untouched model, once a round."""
    untouched, music = (load_base(base).music_gen(duration) for _ in range(2))
    conditioner = install(music.lm)
    conditioner.add('amen', torch.randn(10, conditioner.bank.dim))
    set_concept_params(music, seed=0)
    for one in (untouched, music):  # warm up
        seconds(one, WORDS)
    return [seconds(music, 'A disco song with a <amen>') / seconds(untouched, f'A disco song with a {WORDS}')
            for _ in range(rounds)]


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument('--base', default='tiny')
    parser.add_argument('--duration', type=float, default=4.)
    parser.add_argument('--rounds', type=int, default=21)
    args = parser.parse_args()
    found = ratios(args.base, args.duration, args.rounds)
    low, _, high = statistics.quantiles(found, n=4)
    print(f'time with a concept over time without: {statistics.median(found):.4f} (quartiles {low:.4f} to {high:.4f})')


if __name__ == '__main__':
    main()
