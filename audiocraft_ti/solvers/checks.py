"""Configuration values that cannot work, found before anything is loaded."""
import flashy
from omegaconf import DictConfig, OmegaConf
import torch

from ..concept import check_name
from ..data.prompts import load_edits, load_prompts
from ..errors import UserError
from ..modules.init import INITS
from ..modules.placeholders import check_share

_POSITIVE = ('dataset.segment_duration', 'dataset.batch_size', 'dataset.valid.num_samples', 'optim.epochs',
             'optim.updates_per_epoch', 'optim.lr')


def check_config(cfg: DictConfig) -> DictConfig:
    """Settle what follows from the device, and refuse what cannot work.

    Raises:
        UserError: If a value does not fit, naming its key.
    """
    for key in ('concept.name', 'continue_from'):
        if OmegaConf.select(cfg, key, throw_on_missing=False) is None:
            raise UserError(f"{key} is not set: add {key}=... to the command.")
    cfg.concept.name = check_name(str(cfg.concept.name))
    if cfg.datasource.folder is None and cfg.datasource.train is None:
        if cfg.execute_only not in ('generate', 'evaluate'):
            raise UserError("datasource.folder is not set: add datasource.folder=... with your recordings' folder.")
    optional = ['optim.patience'] if cfg.optim.patience is not None else []
    check_positive(cfg, *_POSITIVE, *optional)
    if cfg.dataset.valid.num_samples % flashy.distrib.world_size():
        raise UserError(f"dataset.valid.num_samples={cfg.dataset.valid.num_samples} cannot be divided among "
                        f"{flashy.distrib.world_size()} workers: choose a multiple.")
    for kind, prompt in cfg.generate.prompts.items():
        load_prompts([prompt], f'generate.prompts.{kind}')
    load_edits(cfg.generate.editability_prompts)
    if str(cfg.device).startswith('cuda') and not torch.cuda.is_available():
        raise UserError(f"device={cfg.device} was asked for, and there is no usable GPU: add device=cpu.")
    if cfg.device == 'cpu':  # half precision is slower there, and most of its operations are missing
        cfg.dtype, cfg.autocast = 'float32', False
    return cfg


def check_vectors(cfg: DictConfig) -> None:
    """Refuse what cannot work of the settings of a concept's vectors.

    Raises:
        UserError: If a value does not fit, naming its key.
    """
    concept = cfg.concept
    check_positive(cfg, 'concept.num_vectors')
    for key in ('sample_ratio', 'train_ratio'):
        check_share(concept[key], f'concept.{key}={concept[key]}')
    if concept.init not in INITS:
        raise UserError(f"concept.init={concept.init} is no initialisation: choose one of {', '.join(INITS)}.")
    if concept.init == 'token' and not (concept.init_word or concept.class_word):
        raise UserError("concept.init=token starts from a word: add concept.init_word=...")


def check_no_baselines(cfg: DictConfig) -> None:
    """Refuse baselines where the base itself is tuned: they are what it makes untouched.

    Raises:
        UserError: If they are asked for.
    """
    if cfg.generate.baselines:
        raise UserError("generate.baselines=true asks for music of the untouched base, which this solver tunes: take "
                        "it from a run of textual inversion on the same base.")


def check_positive(cfg: DictConfig, *keys: str) -> None:
    """Refuse what is not a number above zero.

    Raises:
        UserError: Naming its key.
    """
    for key in keys:
        value = OmegaConf.select(cfg, key)
        if not isinstance(value, (int, float)) or not value > 0:
            raise UserError(f"{key}={value} must be a number above zero.")
