"""How long a run takes to its first update, and what keeping unused imports out of it is worth.

    python benchmarks/startup.py [--repeats 3]

Every line is the median over processes of their own, taken in turns, after one round that is not counted.
"""
import argparse
from pathlib import Path
import statistics
import subprocess
import sys
import tempfile
import time
import typing as tp

ROOT = Path(__file__).parent.parent
UPSTREAM = 'import audiocraft.solvers.musicgen'
LEAN = f'from audiocraft_ti import environment; environment.prepare(lean=True); {UPSTREAM}'
DORA = 'from dora.__main__ import main; main()'
FIRST_UPDATE = 'Train Summary | Epoch 1'


def seconds(code: str, *args: str, until: tp.Optional[str] = None) -> float:
    """Wall time of `python -c code args`, to its end or to the first line that holds `until`."""
    begin = time.monotonic()
    process = subprocess.Popen([sys.executable, '-c', code, *args], cwd=ROOT, text=True, stdout=subprocess.PIPE,
                               stderr=subprocess.STDOUT)
    assert process.stdout is not None
    for line in process.stdout:
        if until is not None and until in line:
            break
    else:
        assert process.wait() == 0 and until is None, f"{code} failed or never said {until!r}"
    took = time.monotonic() - begin
    process.kill()
    process.communicate()
    return took


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.split('\n')[0])
    parser.add_argument('--repeats', type=int, default=3)
    repeats = parser.parse_args().repeats
    from audiocraft_ti.tiny.recordings import write_recordings
    with tempfile.TemporaryDirectory() as folder:
        write_recordings(folder)
        overrides = ['-P', 'audiocraft_ti', 'run', '--clear', 'solver=musicgen/ti_tiny', 'concept.name=zither',
                     f'datasource.folder={folder}', 'optim.epochs=1', 'optim.updates_per_epoch=1']
        cases: tp.Dict[str, tp.Callable[[], float]] = {
            'import torch': lambda: seconds('import torch'),
            'import of audiocraft, whole': lambda: seconds(UPSTREAM),
            'import of audiocraft, lean': lambda: seconds(LEAN),
            'dora run to first update, whole': lambda: seconds(f'{UPSTREAM}; {DORA}', *overrides, until=FIRST_UPDATE),
            'dora run to first update, lean': lambda: seconds(DORA, *overrides, until=FIRST_UPDATE),
        }
        rounds = [{name: case() for name, case in cases.items()} for _ in range(repeats + 1)][1:]
    for name in cases:
        times = [times[name] for times in rounds]
        print(f'{name:35s} {statistics.median(times):6.1f} s   ({min(times):.1f} to {max(times):.1f})')
    for what in ('import of audiocraft', 'dora run to first update'):
        ratio = statistics.median(times[f'{what}, lean'] / times[f'{what}, whole'] for times in rounds)
        print(f'{what}, lean over whole: {ratio:.2f}')


if __name__ == '__main__':
    main()
