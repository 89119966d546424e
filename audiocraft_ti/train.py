"""Entry point of Dora: `dora run solver=musicgen/ti ...`.

The names that audiocraft looks for in its own `audiocraft.train` are here too (`main`, `get_solver`,
`get_solver_from_xp`, `get_solver_from_sig`), since upstream's solvers are pointed at this module.
"""
from dataclasses import replace
import errno
from functools import lru_cache, partial
import logging
import os
from pathlib import Path
import random
import shutil
import sys
import typing as tp

from dora import git_save, XP
from dora.conf import SlurmConfig
from dora.hydra import HydraMain
from hydra.errors import HydraException, OverrideParseException
import omegaconf
from omegaconf.errors import OmegaConfBaseException

from . import environment
from .errors import UserError

sys.modules.setdefault('audiocraft_ti.train', sys.modules[__name__])  # under `python -m` it has another name
environment.prepare(lean=True)

logger = logging.getLogger(__name__)
_DISK_FULL = (errno.ENOSPC, errno.EDQUOT)
Override = tp.Union[dict, omegaconf.DictConfig]


def _absolute(path: str) -> str:
    return git_save.to_absolute_path(str(Path(path).expanduser()))


def resolve_paths(cfg: omegaconf.DictConfig) -> None:
    """Make data paths absolute, also when Dora runs from a clone of the repository."""
    for key, value in cfg.datasource.items():
        if isinstance(value, str):
            cfg.datasource[key] = _absolute(value)
        elif isinstance(value, omegaconf.ListConfig):  # one for each of several concepts
            cfg.datasource[key] = [_absolute(one) for one in value]
    for section, key in ((cfg.dataset, 'neutral_prompts'), (cfg.generate, 'editability_prompts')):
        if isinstance(section.get(key), str):
            section[key] = _absolute(section[key])


def get_solver(cfg: omegaconf.DictConfig):
    """The solver of a configuration, its batch size divided among the workers."""
    import flashy
    from .solvers.builders import get_solver
    world_size = flashy.distrib.world_size()
    if cfg.dataset.batch_size % world_size:
        raise UserError(f"dataset.batch_size={cfg.dataset.batch_size} cannot be divided among {world_size} workers: "
                        "choose a multiple.")
    cfg.dataset.batch_size //= world_size
    resolve_paths(cfg)
    return get_solver(cfg)


def get_solver_from_xp(xp: XP, override_cfg: tp.Optional[Override] = None, restore: bool = True,
                       load_best: bool = True, ignore_state_keys: tp.List[str] = [], disable_fsdp: bool = True):
    """The solver of a Dora experiment, outside of a run: to listen to it from a notebook, say.

    Args:
        xp (XP): Experiment.
        override_cfg (dict, optional): Nested values to put over its configuration; its signature stays.
        restore (bool): Whether to load its last checkpoint.
        load_best (bool): Whether to use the best state of it.
        ignore_state_keys (list of str): Parts of the checkpoint to leave alone, such as `optimizer`.
        disable_fsdp (bool): Sharded training is never used here; upstream's callers pass it.
    """
    from hydra.core.global_hydra import GlobalHydra
    cfg: tp.Any = omegaconf.OmegaConf.merge(xp.cfg, omegaconf.DictConfig(override_cfg or {}))
    cfg.fsdp.use = cfg.fsdp.use and not disable_fsdp
    try:
        with xp.enter():
            solver = get_solver(cfg)
            if restore:
                solver.restore(load_best=load_best, ignore_state_keys=ignore_state_keys)
        return solver
    finally:
        GlobalHydra.instance().clear()


def get_solver_from_sig(sig: str, *args: tp.Any, **kwargs: tp.Any):
    """The solver of a Dora signature; see `get_solver_from_xp`."""
    return get_solver_from_xp(main.get_xp_from_sig(sig), *args, **kwargs)


def set_seeds_and_threads(cfg: omegaconf.DictConfig) -> None:
    """Seed every generator, and give torch the configured number of threads."""
    import numpy as np
    import torch
    random.seed(cfg.seed)
    np.random.seed(cfg.seed)
    torch.manual_seed(cfg.seed)
    if cfg.num_threads:
        torch.set_num_threads(cfg.num_threads)
    if cfg.efficient_attention_backend == 'xformers':
        from audiocraft.modules.transformer import set_efficient_attention_backend
        environment.use_xformers()
        set_efficient_attention_backend('xformers')


def run(cfg: omegaconf.DictConfig) -> None:
    """What one worker does."""
    import flashy
    set_seeds_and_threads(cfg)
    log_name = f'{cfg.execute_only or "solver"}.log.{{rank}}'
    flashy.setup_logging(level=getattr(logging, cfg.logging.level.upper()), log_name=log_name)
    flashy.distrib.init(backend='nccl' if str(cfg.device).startswith('cuda') else 'gloo')
    solver = get_solver(cfg)
    if cfg.show:
        solver.show()
    elif not cfg.execute_only:
        solver.run()
    else:
        found = solver.restore(replay_metrics=False)
        if not found:
            raise UserError(f"execute_only={cfg.execute_only} finds nothing that was learned: add "
                            "continue_from=//sig/SIG of a run, or execute_inplace=true to a finished one's arguments.")
        solver.run_one_stage(cfg.execute_only)


def job(base: str) -> tp.Dict[str, tp.Any]:
    """Slurm settings of a job, by the size of its base model, from the team's configuration (config/teams).

    Args:
        base (str): Name or folder of the base model; what it ends in tells its size.
    """
    from audiocraft.environment import AudioCraftEnvironment
    sizes = AudioCraftEnvironment.instance()._get_cluster_config().get('slurm', {})
    size = next((size for size in sizes if base.rstrip('/').endswith(size)), '')
    return {'partition': AudioCraftEnvironment.get_slurm_partitions(), **sizes.get(size, {})}


class Main(HydraMain):
    """Dora's entry point, with a sentence in the place of a traceback for arguments that Hydra does not understand."""
    def get_xp(self, argv: tp.Sequence[str]) -> XP:
        try:
            return super().get_xp(argv)
        except OverrideParseException as error:
            sys.exit(f"error: {error.override} is not understood by Hydra: a value with braces, commas or quotes needs "
                     "quotes of its own, \"key='value'\".")
        except (HydraException, OmegaConfBaseException, AssertionError) as error:
            sys.exit(f"error: {' '.join(str(error).partition('Config search path')[0].split())}")

    def _get_base_config(self, overrides: tp.Sequence[str] = ()) -> tp.Tuple[omegaconf.DictConfig, tp.List]:
        """What the solver and data set of a run are by default; composed once, which halves the time of a grid's list.
        """
        cfg, delta = self._get_defaults(*(one for one in overrides if one.partition('=')[0] in self._config_groups))
        return cfg, list(delta)  # Dora appends to it

    @lru_cache
    def _get_defaults(self, *groups: str) -> tp.Tuple[omegaconf.DictConfig, tp.List]:
        return super()._get_base_config([*groups])

    def get_slurm_config(self) -> SlurmConfig:
        """What a job asks for unless it says otherwise; Dora wants it first of all when it is to schedule.

        A run that is launched asks for what its base needs, as those of grids do.
        """
        if shutil.which('sbatch') is None and _schedules(sys.argv[1:]):
            sys.exit("error: there is no Slurm here (sbatch is not on the path): log in where jobs are submitted, look "
                     "at the grid with --dry_run, or run it here with python -m audiocraft_ti.grids.local GRID.")
        slurm = super().get_slurm_config()
        if 'launch' not in sys.argv[1:]:
            return slurm
        overrides = [argument for argument in sys.argv[1:] if '=' in argument and not argument.startswith('-')]
        return replace(slurm, **job(str(self.get_xp(overrides).cfg.continue_from)))


def _schedules(argv: tp.Sequence[str]) -> bool:
    """Whether a command of Dora's submits jobs."""
    return any(action in argv for action in ('grid', 'launch')) and not {'--dry_run', '--cancel'} & set(argv)


@partial(Main, config_name='config', config_path=os.path.relpath(environment.CONFIG, environment.PACKAGE),
         version_base='1.3')
def main(cfg: omegaconf.DictConfig) -> None:
    try:
        run(cfg)
    except UserError as error:
        logger.debug("Traceback", exc_info=True)
        sys.exit(f'error: {error}')
    except OSError as error:
        if error.errno not in _DISK_FULL:
            raise
        sys.exit(f"error: the disk of {main.dora.dir} or of {environment.CACHE} is full: make room and give the same "
                 "command again, which goes on from the last checkpoint.")


def _use_team_settings() -> None:
    """Take folders and cluster from the team's configuration, as audiocraft does."""
    from audiocraft.environment import AudioCraftEnvironment
    from audiocraft.utils.cluster import get_slurm_parameters
    main.dora.dir = AudioCraftEnvironment.get_dora_dir()
    main._base_cfg.slurm = get_slurm_parameters(main._base_cfg.slurm)
    main._base_cfg.slurm.partition = main._base_cfg.slurm.partition or AudioCraftEnvironment.get_slurm_partitions()


_use_team_settings()

if __name__ == '__main__':
    main()
