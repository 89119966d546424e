"""Base models, by any name that a user has for one."""
from dataclasses import dataclass
import pickle
from pathlib import Path
import typing as tp

from .. import environment
environment.prepare()
from audiocraft.models import builders, loaders, MusicGen
from audiocraft.models.encodec import CompressionModel
from audiocraft.models.lm import LMModel
from audiocraft.utils.checkpoint import resolve_checkpoint_path
from omegaconf import DictConfig, OmegaConf
import torch

from .. import tiny
from ..errors import UserError
from ..hashes import tensors_hash
from ..modules.conditioner import register_t5

PRETRAINED = '//pretrained/'
RUN = '//sig/'
TINY = 'tiny'
CONCEPT_SOLVERS = ('textual_inversion', 'audioldm_ti', 'audioldm_dreambooth', 'stable_audio_ti')  # from a base
State = tp.Dict[str, torch.Tensor]
_EXPORT = ('state_dict.bin', 'compression_state_dict.bin')


@dataclass
class BaseModel:
    """A pretrained text-to-music model.

    Args:
        name (str): What the user called it.
        cfg (DictConfig): Its own configuration, the checkpoint's `xp.cfg`.
        lm (LMModel): Language model with its text encoder, frozen and in eval mode.
        codec (CompressionModel): Codec, likewise.
        fingerprint (str): Hash of the projection between text encoder and language model, which no other model shares.
    """
    name: str
    cfg: DictConfig
    lm: LMModel
    codec: CompressionModel
    fingerprint: str

    @property
    def sampling(self) -> tp.Dict[str, tp.Any]:
        """How its makers sample from it, by the names of `generate.lm`.

        MusicGen's checkpoints leave `top_k` at none, and MusicGen's own interface takes 250.
        """
        lm = OmegaConf.select(self.cfg, 'generate.lm') or {}
        return {'use_sampling': True, 'temp': lm.get('temp') or 1., 'top_k': lm.get('top_k') or 250, 'top_p': 0.}

    def music_gen(self, duration: float = 10.) -> MusicGen:
        """audiocraft's own interface to it, for clips of so many seconds."""
        max_duration = OmegaConf.select(self.cfg, 'dataset.segment_duration') or 30
        music = MusicGen(self.name, self.codec, self.lm, max_duration=max(max_duration, 30))
        options = {**self.sampling, 'temperature': self.sampling['temp']}
        del options['temp']
        music.set_generation_params(**options, duration=duration, cfg_coef=self.lm.cfg_coef)
        return music


def load_base(name: str, device: str = 'cpu', dtype: str = 'float32') -> BaseModel:
    """Load a base model.

    Args:
        name (str): `tiny`; a folder that audiocraft exported (`state_dict.bin`, `compression_state_dict.bin`); a name
            on the model hub; any of these may follow `//pretrained/`. Or `//sig/SIG`, a Dora run of the user's own
            that trained a model of the MusicGen family.
        device (str): Device to load it to.
        dtype (str): Type of the language model's weights, 'float16', 'bfloat16' or 'float32'.
    Raises:
        UserError: If it cannot be reached, is no such model, or has no T5 text conditioner.
    """
    open_ = _open_run if name.startswith(RUN) else _open_export
    cfg, state, load_codec = one_sentence(name, lambda: open_(name))
    conditioners = cfg.get('conditioners') or {}
    if not any(conditioner.get('model') == 't5' for conditioner in conditioners.values()):
        raise UserError(f"continue_from={name} has no T5 text conditioner: textual inversion needs one, as every "
                        "text-to-music model of MusicGen has.")
    lm = one_sentence(name, lambda: _build_lm(cfg, state, device, dtype))
    codec = one_sentence(name, lambda: load_codec(device))
    codec = builders.get_wrapped_compression_model(codec, cfg)
    return BaseModel(name, cfg, lm.eval().requires_grad_(False), codec.eval().requires_grad_(False), fingerprint(state))


def load_music(name: str, device: tp.Optional[str] = None, duration: float = 10.) -> MusicGen:
    """audiocraft's own interface to a base model, on a GPU in half precision where there is one.

    Args:
        name (str): As for `load_base`.
        device (str, optional): Device to load it to.
        duration (float): Length of clips in seconds.
    Raises:
        UserError: As `load_base`.
    """
    device = device or ('cuda' if torch.cuda.is_available() else 'cpu')
    return load_base(name, device, 'float16' if device.startswith('cuda') else 'float32').music_gen(duration)


def fingerprint(state: State) -> str:
    """Hash of the projections between text encoder and language model, which no other model shares.

    It is that of the numbers in float16, the type in which models are published and run.
    """
    return tensors_hash({key: value.half() for key, value in state.items() if key.endswith('output_proj.weight')})


def find_base(name: str) -> tp.Tuple[str, tp.Optional[str]]:
    """Tell what `continue_from` continues: a base model, or a run that learned a concept on one.

    Returns:
        tuple of str and optional str: Name of the base model, and of the concept's run where `name` is that.
    """
    run = None
    while name.startswith(RUN):
        try:
            state = torch.load(_run_path(name), 'cpu', weights_only=True)
        except pickle.UnpicklingError:  # a run of upstream's, whose checkpoint holds its configuration pickled
            break
        cfg = OmegaConf.create(state['xp.cfg'])
        if cfg.solver not in CONCEPT_SOLVERS:
            break
        run = run or name
        name = cfg.continue_from
    return name, run


def _build_lm(cfg: DictConfig, state: State, device: str, dtype: str) -> LMModel:
    # As `audiocraft.models.loaders.load_lm_model`, which forces float16 wherever there is a GPU.
    cfg = tp.cast(DictConfig, OmegaConf.merge(cfg, {'device': device, 'dtype': dtype}))
    loaders._delete_param(cfg, 'conditioners.self_wav.chroma_stem.cache_path')
    lm = builders.get_lm_model(cfg)
    lm.load_state_dict(state)
    lm.transformer.to(getattr(torch, dtype))  # upstream leaves the norms of queries and keys in float32
    return lm


def _open_export(name: str) -> tp.Tuple[DictConfig, State, tp.Callable[[str], CompressionModel]]:
    where = _find_export(name[len(PRETRAINED):] if name.startswith(PRETRAINED) else name)
    pkg = loaders.load_lm_model_ckpt(where)
    if 'xp.cfg' not in pkg or 'best_state' not in pkg:
        raise UserError(f"continue_from={name} has no configuration (xp.cfg) beside its weights in state_dict.bin: "
                        "export the model with audiocraft.utils.export.export_lm.")
    cfg = tp.cast(DictConfig, OmegaConf.create(pkg['xp.cfg']))
    use_local_t5(cfg, Path(where))
    return cfg, pkg['best_state'], lambda device: loaders.load_compression_model(where, device=device)


def _find_export(name: str) -> str:
    """Folder of an export, or the name on the hub."""
    if name == TINY:
        return str(tiny.BASE)
    path = Path(name).expanduser()
    missing = [file for file in _EXPORT if not (path / file).is_file()]
    if path.is_dir() and missing:
        raise UserError(f"continue_from={name} is a folder without {' and '.join(missing)}: "
                        "export the model into it with audiocraft.utils.export.")
    if not path.is_dir() and (name.startswith(('/', '.', '~')) or name.count('/') != 1):
        raise UserError(f"continue_from={name} does not exist: give 'tiny', a folder that audiocraft exported, or a "
                        "name on the model hub such as facebook/musicgen-large.")
    return str(path)


def use_local_t5(cfg: DictConfig, folder: Path) -> None:
    """Let a base bring its text encoder along, in a folder within its own or anywhere."""
    for conditioner in (cfg.get('conditioners') or {}).values():
        if conditioner.get('model') == 't5' and (folder / conditioner.t5.name).is_dir():
            conditioner.t5.name = register_t5(folder / conditioner.t5.name)


def _run_path(name: str) -> Path:
    path = resolve_checkpoint_path(name)
    if path is None:
        raise UserError(f"continue_from={name} is no run in Dora's folder, or one without a checkpoint: "
                        "see the signatures with 'dora info', or set AUDIOCRAFT_DORA_DIR.")
    return path


def _read_run(name: str) -> tp.Tuple[DictConfig, State]:
    # Dora's folder holds what the user's own code wrote, and upstream's checkpoints cannot be read without pickle.
    state = torch.load(_run_path(name), 'cpu', weights_only=False)
    best = state.get('fsdp_best_state') or state['best_state']
    return state['xp.cfg'], best['model']


def _open_run(name: str) -> tp.Tuple[DictConfig, State, tp.Callable[[str], CompressionModel]]:
    cfg, state = _read_run(name)
    use_local_t5(cfg, Path())
    return cfg, state, lambda device: _codec_of_run(cfg.compression_model_checkpoint, device)


def _codec_of_run(name: str, device: str) -> CompressionModel:
    if not name.startswith(RUN):
        return CompressionModel.get_pretrained(name[len(PRETRAINED):], device)
    cfg, state = _read_run(name)
    codec = builders.get_compression_model(tp.cast(DictConfig, OmegaConf.merge(cfg, {'device': device})))
    codec.load_state_dict(state)
    return codec


T = tp.TypeVar('T')


def one_sentence(name: str, load: tp.Callable[[], T]) -> T:
    """Call `load`, and say in one sentence in which of many ways a hub, a file or a configuration failed."""
    try:
        return load()
    except UserError:
        raise
    except Exception as error:
        reason = str(error).strip().split('\n')[0]
        raise UserError(f"continue_from={name} cannot be loaded as a base model ({type(error).__name__}: {reason}); "
                        "check its name and the connection, or give a folder that holds one.") from error
