"""A grid without a cluster: `python -m audiocraft_ti.grids.local ti.ablation` runs what of it is not done yet."""
from concurrent.futures import ProcessPoolExecutor
import importlib
import multiprocessing
import os
import sys
import typing as tp

from dora import XP
from dora.explore import Herd, Launcher
from dora.shep import Shepherd
import torch
from tqdm import tqdm

from .. import train
from ..errors import UserError


def experiments(grid: str) -> tp.List[XP]:
    """The experiments of a grid, `ti.ablation` for one."""
    try:
        explorer = importlib.import_module(f'.{grid}', __package__).explorer
    except (AttributeError, ModuleNotFoundError) as error:
        raise UserError(f"there is no grid {grid}: 'dora grid' lists those there are.") from error
    herd = Herd()
    explorer(Launcher(Shepherd(train.main, log=lambda message: None), train.main.get_slurm_config(), herd))
    return [sheep.xp for sheep in herd.sheeps.values()]


def experiment(overrides: tp.Any) -> XP:
    """The experiment of some overrides, written as for a launcher of Dora."""
    return train.main.get_xp(train.main.value_to_argv(overrides))


def is_done(xp: XP) -> bool:
    """Whether the last epoch of an experiment is in its history; nothing is generated before that."""
    xp.link.load()
    return bool(xp.link.history) and 'generate' in xp.link.history[-1]


def _run(argv: tp.List[str]) -> None:
    torch.set_num_threads(1)
    xp = train.main.get_xp(argv)
    train.main.init_xp(xp)
    with xp.enter():
        train.get_solver(xp.cfg).run()


def _take_gpu(gpus: tp.List[str], taken: tp.Any) -> None:
    """Leave a worker with one of the GPUs, where there are any, before it looks for them."""
    if gpus:
        with taken.get_lock():
            os.environ['CUDA_VISIBLE_DEVICES'] = gpus[taken.value]
            taken.value += 1


def _gpus(xps: tp.Sequence[XP]) -> tp.List[str]:
    """Those that experiments are to run on, by the names that CUDA_VISIBLE_DEVICES takes."""
    if all(xp.cfg.device == 'cpu' for xp in xps):
        return []
    visible = os.environ.get('CUDA_VISIBLE_DEVICES')
    return visible.split(',') if visible else [str(index) for index in range(torch.cuda.device_count())]


def run(grid: str) -> None:
    """Run a grid, as many experiments at a time as there are cores, or GPUs where they run on those."""
    todo = [xp for xp in experiments(grid) if not is_done(xp)]
    gpus, context = _gpus(todo), multiprocessing.get_context('spawn')
    with ProcessPoolExecutor(len(gpus) or os.cpu_count(), context, _take_gpu, (gpus, context.Value('i'))) as pool:
        for _ in tqdm(pool.map(_run, [xp.argv for xp in todo]), grid, len(todo)):
            pass


if __name__ == '__main__':
    try:
        run(sys.argv[1])
    except UserError as error:
        sys.exit(f'error: {error}')
