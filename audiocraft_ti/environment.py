"""What must stand before audiocraft is imported.

Every module of ours that imports audiocraft imports this one first. It costs nothing by itself: it names a team
configuration (the audiocraft wheel ships none) and keeps out of the process what a run does not use.
"""
import ctypes
import importlib
from importlib.machinery import ModuleSpec
import importlib.util
import os
from pathlib import Path
import sys
import types
import typing as tp

from .errors import UserError

PACKAGE = Path(__file__).parent
# A wheel carries the configuration inside the package, a clone beside it.
CONFIG = PACKAGE / 'config' if (PACKAGE / 'config').is_dir() else PACKAGE.parent / 'config'
CACHE = Path(os.environ.get('XDG_CACHE_HOME') or Path.home() / '.cache') / 'audiocraft_ti'


class DeferredModule(types.ModuleType):
    """Stands in `sys.modules` for a module until one of its attributes is asked for.

    Args:
        name (str): Name under which the module is imported.
        target (str, optional): Module that answers, where it is not the one of that name.
    """
    def __init__(self, name: str, target: tp.Optional[str] = None):
        super().__init__(name)
        self.__target = target or name
        # `inspect` asks every loaded module for its file, and must not wake this one.
        self.__file__ = None
        if target is None and '.' not in name:
            self.__spec__ = importlib.util.find_spec(name)

    def __getattr__(self, key: str) -> tp.Any:
        if sys.modules.get(self.__target) is self:
            del sys.modules[self.__target]
        module = importlib.import_module(self.__target)
        sys.modules[self.__name__] = module
        return getattr(module, key)


def _xformers_stand_in() -> tp.Dict[str, types.ModuleType]:
    """The two names of xformers that audiocraft uses when attention is torch's, its default."""
    xformers, ops = types.ModuleType('xformers'), types.ModuleType('xformers.ops')
    for module in (xformers, ops):  # those who only ask whether it is there look for a spec
        module.__spec__ = ModuleSpec(module.__name__, None)
    ops.unbind = lambda x, dim: x.unbind(dim)  # type: ignore
    ops.LowerTriangularMask = type('LowerTriangularMask', (), {})  # type: ignore
    ops.memory_efficient_attention = None  # type: ignore
    xformers.ops = ops  # type: ignore
    xformers.__path__ = []
    return {'xformers': xformers, 'xformers.ops': ops}


def use_xformers() -> None:
    """Give audiocraft the real xformers.

    Raises:
        UserError: If it is not installed.
    """
    from audiocraft.modules import transformer
    for name in ('xformers', 'xformers.ops'):
        sys.modules.pop(name, None)
    try:
        transformer.ops = importlib.import_module('xformers.ops')
    except ImportError as error:
        raise UserError(f"efficient_attention_backend=xformers cannot be had ({error}): install xformers, or leave it "
                        "at torch.") from error


def _defer(name: str, *submodules: str) -> None:
    if name in sys.modules:
        return
    sys.modules[name] = module = DeferredModule(name)
    for submodule in submodules:
        setattr(module, submodule, DeferredModule(f'{name}.{submodule}'))


def _keep_memory() -> None:
    """Have glibc keep memory that is freed. It would give the activations of every batch back to the system, and on a
    CPU, being given them again takes up to a quarter of the time of learning from them."""
    mallopt = getattr(ctypes.CDLL(None), 'mallopt', None) if sys.platform == 'linux' else None
    if mallopt is not None:
        mallopt(-4, 0)   # M_MMAP_MAX: no allocation is a mapping of its own
        mallopt(-1, -1)  # M_TRIM_THRESHOLD: never


def prepare(lean: bool = False) -> None:
    """Make audiocraft importable.

    Args:
        lean (bool): Whether the process is ours alone, as a Dora run is. Then what only other models of audiocraft
            need (spaCy, librosa, xformers' kernels) is not imported unless something asks for it, and memory is kept.
    """
    team = os.environ.get('AUDIOCRAFT_TEAM', 'default')
    os.environ.setdefault('AUDIOCRAFT_CONFIG', str(CONFIG / 'teams' / f'{team}.yaml'))
    # Upstream reaches for `audiocraft.train`, which cannot be imported without upstream's repository.
    sys.modules.setdefault('audiocraft.train', DeferredModule('audiocraft.train', 'audiocraft_ti.train'))
    if 'audiocraft' in sys.modules:
        return
    if importlib.util.find_spec('laion_clap'):
        _defer('laion_clap')  # audiocraft's metrics import it, and it asks the model hub for tokenizers at once
    if lean:
        _keep_memory()
        _defer('spacy')
        _defer('librosa', 'filters')
    if 'xformers' not in sys.modules and (lean or importlib.util.find_spec('xformers') is None):
        sys.modules.update(_xformers_stand_in())
