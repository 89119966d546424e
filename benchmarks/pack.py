"""What packing is worth: sixteen concepts in one run, against sixteen runs, on the tiny base; start-up included.

    python -m benchmarks.pack

Each run is a process of its own, as it is a job of its own on a cluster, and they follow one another. The sixteen
together come first, so they make the codec tokens that the others find. The vectors are compared, too.
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


def run(folder: Path, names: tp.List[str], overrides: tp.Sequence[str]) -> tp.Tuple[float, tp.List[Path]]:
    """Seconds that a run takes, and the folder of each of its concepts."""
    one = len(names) == 1
    folders = [str(folder / 'concepts' / name) for name in names]
    many = [f'concept.name=[{",".join(names)}]', f'datasource.folder=[{",".join(folders)}]']
    given = [f'concept.name={names[0]}', f'datasource.folder={folders[0]}'] if one else many
    dora_dir = folder / 'dora' / '-'.join(names)
    begin = time.perf_counter()
    subprocess.run([*DORA, *given, *overrides], check=True, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL,
                   env={**os.environ, 'AUDIOCRAFT_DORA_DIR': str(dora_dir)})
    seconds = time.perf_counter() - begin
    xp, = (dora_dir / 'xps').iterdir()
    return seconds, [xp] if one else [xp / name for name in names]


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
        together, packed = run(folder, names, overrides)
        singles = [run(folder, [name], overrides) for name in names[:alone]]
        apart = [largest_difference(one, many) for (_, (one,)), many in zip(singles, packed)]
    alone_seconds = sum(seconds for seconds, _ in singles) * count / alone
    print(json.dumps({'concepts': count, 'packed_s': round(together, 1), 'single_runs_s': round(alone_seconds, 1),
                      'ratio': round(together / alone_seconds, 3), 'largest_difference': max(apart)}))


if __name__ == '__main__':
    main()
