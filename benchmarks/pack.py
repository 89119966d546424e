"""What packing is worth: sixteen concepts in one run, against sixteen runs, on the tiny base; start-up included.

    python -m benchmarks.pack

Each run is a process of its own, as it is a job of its own on a cluster, and they follow one another. The sixteen
together come first, so they make the codec tokens that the others find. The vectors are compared, too, and stages by
themselves: where a processor is busy with the rows of one concept, those of sixteen take sixteen times as long.
"""
import json
import os
from pathlib import Path
import subprocess
import sys
import tempfile
import time
import typing as tp

import click

from audiocraft_ti.concept import Concept
from audiocraft_ti.tiny.recordings import write_recordings
from audiocraft_ti.tiny.timbres import NAMED

DORA = [sys.executable, '-m', 'dora', '-P', 'audiocraft_ti', 'run', 'solver=musicgen/ti_tiny']


class Run(tp.NamedTuple):
    """Seconds that a run and its stages take on the clock, and it on processors; the folder of each of its concepts."""
    wall: float
    cpu: float
    stages: tp.Dict[str, float]
    folders: tp.List[Path]


def cpu_seconds() -> float:
    """Of all processes that were waited for."""
    times = os.times()
    return times.children_user + times.children_system


def run(folder: Path, names: tp.List[str], overrides: tp.Sequence[str]) -> Run:
    """Learn some concepts in one run."""
    one = len(names) == 1
    folders = [str(folder / 'concepts' / name) for name in names]
    many = [f'concept.name=[{",".join(names)}]', f'datasource.folder=[{",".join(folders)}]']
    given = [f'concept.name={names[0]}', f'datasource.folder={folders[0]}'] if one else many
    dora_dir = folder / 'dora' / '-'.join(names)
    begin, cpu = time.perf_counter(), cpu_seconds()
    subprocess.run([*DORA, *given, *overrides], check=True, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL,
                   env={**os.environ, 'AUDIOCRAFT_DORA_DIR': str(dora_dir)})
    wall, cpu = time.perf_counter() - begin, cpu_seconds() - cpu
    xp, = (dora_dir / 'xps').iterdir()
    return Run(wall, cpu, stage_seconds(xp), [xp] if one else [xp / name for name in names])


def stage_seconds(xp: Path) -> tp.Dict[str, float]:
    """Of all epochs of a run, on the clock."""
    seconds: tp.Dict[str, float] = {}
    for epoch in json.loads((xp / 'history.json').read_text()):
        for stage, metrics in epoch.items():
            seconds[stage] = seconds.get(stage, 0) + metrics['duration']
    return seconds


def largest_difference(*folders: Path) -> float:
    """Between the vectors of two concepts, as a share of the vectors' root mean square."""
    one, other = (Concept.load(folder / 'concept.safetensors').vectors for folder in folders)
    return ((one - other).abs().max() / one.square().mean().sqrt()).item()


@click.command(context_settings={'ignore_unknown_options': True})
@click.option('--count', default=16, show_default=True, help='Concepts.')
@click.option('--alone', default=16, show_default=True, help='How many of them to learn alone; the rest is inferred.')
@click.argument('overrides', nargs=-1)
def main(count: int, alone: int, overrides: tp.Sequence[str]) -> None:
    """Print a line of json; OVERRIDES are for all runs, as after `dora run`."""
    names = list(NAMED)[:count]
    with tempfile.TemporaryDirectory() as temporary:
        folder = Path(temporary)
        for name in names:
            write_recordings(folder / 'concepts' / name, name, 5)
        overrides = [*overrides, f'tokens.cache_path={folder}/tokens']
        together = run(folder, names, overrides)
        singles = [run(folder, [name], overrides) for name in names[:alone]]
        apart = [largest_difference(single.folders[0], packed) for single, packed in zip(singles, together.folders)]
    line: tp.Dict[str, tp.Any] = {'concepts': count, 'largest_difference': max(apart)}
    line['stage_ratios'] = {
        stage: round(packed / (sum(one.stages[stage] for one in singles) * count / alone), 3)
        for stage, packed in together.stages.items()}
    for clock in ('wall', 'cpu'):
        packed, all_alone = getattr(together, clock), sum(getattr(one, clock) for one in singles) * count / alone
        line.update({f'{clock}_packed_s': round(packed, 1), f'{clock}_single_runs_s': round(all_alone, 1),
                     f'{clock}_ratio': round(packed / all_alone, 3)})
    print(json.dumps(line))


if __name__ == '__main__':
    main()
