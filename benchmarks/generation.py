"""What a concept costs when music is made with it: `python -m benchmarks.generation [--base tiny]`, some ten minutes.

"A disco song with a <amen>", of which five vectors are drawn, is compared with the same prompt that has five times
"guitar" in the place of `<amen>`, as many tokens, on one model: with a concept in a conditioner of ours, and with
audiocraft's own conditioner. Two things are measured, by the clock on the wall and by the time of the process itself,
which others disturb less:

- making short clips, in many pairs that are each in an order by lot: the mean of the logarithm of their ratio;
- reading the prompt, which is all that a concept has a part in, once a clip: the mean difference, as a share of the
  time of a clip. It tells hundredths of a per cent apart where the first tells tenths.

Clips are of a fifth of a second: the longer they are, the less a prompt weighs. Means leave out the fifth at either
end, and come with 95 % bootstrap intervals over pairs. It ends with status 1 unless the interval of the first lies
below 1 %: by own time on a CPU, by the wall on a GPU. Four times as many pairs make an interval half as wide.
"""
import argparse
from functools import partial
import sys
import time
import typing as tp

import numpy as np
from scipy import stats
import torch

from audiocraft_ti import environment
environment.prepare()
from audiocraft.models import MusicGen
from audiocraft.modules.conditioners import ClassifierFreeGuidanceDropout, ConditioningAttributes

from audiocraft_ti.models.concept_lm import install
from audiocraft_ti.models.concepts import set_concept_params
from audiocraft_ti.models.loaders import load_music

TOKENS = 5  # half of ten vectors
BAR = 1.  # per cent
CLOCKS = {'own time': time.process_time, 'wall time': time.perf_counter}
CUT = 0.2
READINGS = 10  # of a prompt, for each clip that is made
Case = tp.Tuple[tp.Dict[str, torch.nn.Module], str]
Estimate = tp.Tuple[float, float, float]  # with its interval


def cases(music: MusicGen) -> tp.Tuple[Case, Case]:
    """Conditioners and prompt without a concept, and with one."""
    conditioners = music.lm.condition_provider.conditioners
    untouched = dict(conditioners)
    conditioner = install(music.lm)
    conditioner.add('amen', torch.randn(2 * TOKENS, conditioner.bank.dim))
    set_concept_params(music, seed=0)
    prompt = 'A disco song with a'
    found = (untouched, prompt + TOKENS * ' guitar'), (dict(conditioners), f'{prompt} <amen>')
    lengths = {one['description'].tokenize([prompt])['input_ids'].shape for one, prompt in found}
    assert len(lengths) == 1, lengths
    return found


def generate(music: MusicGen, case: Case) -> None:
    """Make a clip."""
    conditioners, prompt = case
    music.lm.condition_provider.conditioners.update(conditioners)
    torch.manual_seed(0)
    music.generate([prompt]).cpu()


@torch.no_grad()
def read(music: MusicGen, case: Case) -> None:
    """Read the prompt, and no prompt, as a language model does before it makes a clip."""
    conditioners, prompt = case
    provider = music.lm.condition_provider
    provider.conditioners.update(conditioners)
    attributes = [ConditioningAttributes(text={'description': prompt})]
    attributes += ClassifierFreeGuidanceDropout(p=1.)(attributes)
    for embeds, _ in provider(provider.tokenize(attributes)).values():
        embeds.cpu()


def now() -> np.ndarray:
    return np.array([clock() for clock in CLOCKS.values()])


def seconds(calls: tp.Sequence[tp.Callable[[], None]], count: int) -> np.ndarray:
    """Times of pairs of calls, each pair in an order by lot; shape [count, call, clock]."""
    rng = np.random.default_rng(0)
    found = np.empty((count, len(calls), len(CLOCKS)))
    for pair in found:
        for index in rng.permutation(len(calls)):
            begin = now()
            calls[index]()
            pair[index] = now() - begin
    return found


def estimate(values: np.ndarray) -> Estimate:
    """Trimmed mean of values [N] with its interval."""
    mean = partial(stats.trim_mean, proportiontocut=CUT)
    low, high = stats.bootstrap((values,), mean, method='percentile', rng=0).confidence_interval
    return mean(values), low, high


def measure(music: MusicGen, pairs: int) -> tp.Tuple[tp.Dict[str, Estimate], tp.Dict[str, Estimate]]:
    """By each clock, what a concept adds to the time of a clip, and what reading adds to it, in per cent."""
    found = cases(music)
    making, reading = ([partial(do, music, case) for case in found] for do in (generate, read))
    seconds(making, 2), seconds(reading, 2)  # warm up
    clips, prompts = seconds(making, pairs), seconds(reading, READINGS * pairs)
    logs = np.log(clips[:, 1] / clips[:, 0])  # [N, clock]
    shares = (prompts[:, 1] - prompts[:, 0]) / np.median(clips[:, 0], 0)
    for name, clip, prompt in zip(CLOCKS, *(np.median(one[:, 0], 0) for one in (clips, prompts))):
        print(f'without a concept, {name}: {1000 * clip:.1f} ms a clip, {1000 * prompt:.2f} ms of it for the prompt')
    return ({name: tuple(100 * np.expm1(estimate(one))) for name, one in zip(CLOCKS, logs.T)},
            {name: tuple(100 * np.array(estimate(one))) for name, one in zip(CLOCKS, shares.T)})


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument('--base', default='tiny')
    parser.add_argument('--device')
    parser.add_argument('--duration', type=float, default=0.2, help='of a clip, seconds')
    parser.add_argument('--pairs', type=int, default=2500)
    args = parser.parse_args()
    torch.set_num_threads(1)  # or those that wait for each other would count
    music = load_music(args.base, args.device, args.duration)
    making, reading = measure(music, args.pairs)
    for what, found in (('clips', making), ('prompts alone', reading)):
        for name, (mean, low, high) in found.items():
            print(f'a concept adds to a clip, by {name} of {what}: {mean:+.3f} % ({low:+.3f} to {high:+.3f})')
    _, low, high = making['own time' if music.device.type == 'cpu' else 'wall time']
    verdict = 'shown' if high <= BAR else 'refuted' if low > BAR else 'not decided, more --pairs are needed'
    print(f'at most {BAR:g} % more time: {verdict}')
    sys.exit(high > BAR)


if __name__ == '__main__':
    main()
