"""What an update of each of the paper's systems takes, in one table: `python -m benchmarks.systems`.

    python -m benchmarks.systems --real --device cuda --folder my/clips

With the tiny bases, or with the real ones where their weights can be had. Every system has a process of its own, so
that none is counted for another's memory.
"""
import argparse
from concurrent.futures import ProcessPoolExecutor
import multiprocessing
from pathlib import Path
import tempfile
import typing as tp

from audiocraft_ti import train
import torch

from audiocraft_ti.grids.ti.systems import SYSTEMS
from audiocraft_ti.tiny.recordings import write_recordings
from benchmarks.real_shape import peak_memory, time_updates


class Cost(tp.NamedTuple):
    """Of one system, in MB and seconds."""
    system: str
    batch_size: int
    loaded: float
    peak: float
    update: float
    trained: float


def measure(system: str, solver_name: str, overrides: tp.List[str], folder: Path) -> Cost:
    """Load a base, learn for some updates, and say what that took."""
    torch.set_num_threads(1)
    train.main.dora.dir = folder / 'dora'
    xp = train.main.get_xp([f'solver={solver_name}', *overrides])
    train.main.init_xp(xp)
    with xp.enter():
        solver = train.get_solver(xp.cfg)
        device = str(solver.device)
        loaded = peak_memory(device)
        if device != 'cpu':
            torch.cuda.reset_peak_memory_stats()
        times = sorted(time_updates(solver))
    trained = sum(p.numel() * p.element_size() for p in solver.model.parameters() if p.requires_grad)
    return Cost(system, solver.cfg.dataset.batch_size, 1024 * loaded, 1024 * peak_memory(device),
                times[len(times) // 2], trained / 1e6)


def table(costs: tp.Sequence[Cost]) -> str:
    """A row a system, as markdown."""
    rows = ['| system | clips an update | loaded, MB | peak, MB | update, s | what is trained, MB |', '|' + '---|' * 6]
    rows += [f'| {one.system} | {one.batch_size} | {one.loaded:.0f} | {one.peak:.0f} | {one.update:.2f} | '
             f'{one.trained:.3f} |' for one in costs]
    return '\n'.join(rows)


def costs(real: bool = False, device: str = 'cpu', folder: tp.Optional[Path] = None, updates: int = 5
          ) -> tp.List[Cost]:
    """Of all systems, on the tiny bases or the real ones; recordings are drawn where there is no folder."""
    found = []
    with tempfile.TemporaryDirectory() as temporary:
        if folder is None:
            folder = Path(temporary) / 'recordings'
            write_recordings(folder, count=6)
        overrides = [f'datasource.folder={folder}', f'device={device}', f'tokens.cache_path={temporary}/tokens',
                     'concept.name=sound', 'concept.class_word=guitar', f'optim.updates_per_epoch={updates + 1}',
                     'dataset.valid.num_samples=8']
        for system, (family, kind) in SYSTEMS.items():
            name = f"{family.lower()}/{kind}{'' if real else '_tiny'}"
            few = ['concept.prior.num_samples=4'] if kind == 'dreambooth' else []
            with ProcessPoolExecutor(1, multiprocessing.get_context('spawn')) as pool:
                found.append(pool.submit(measure, system, name, [*overrides, *few], Path(temporary)).result())
    return found


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.split('\n')[0])
    parser.add_argument('--real', action='store_true', help='the real bases, not the tiny ones')
    parser.add_argument('--device', default='cpu')
    parser.add_argument('--folder', type=Path, help='recordings; drawn where there are none')
    parser.add_argument('--updates', type=int, default=5)
    print(table(costs(**vars(parser.parse_args()))))


if __name__ == '__main__':
    main()
