"""What can be asked of a single clip, beside embeddings of it."""
from pathlib import Path
import typing as tp

from ..data import audio
from ..errors import UserError

Listener = tp.Callable[[Path, str], tp.Dict[str, float]]  # of a file and its prompt
AXES = {'PQ': 'production_quality', 'PC': 'production_complexity', 'CE': 'content_enjoyment',
        'CU': 'content_usefulness'}


class Aesthetics:
    """What people would say of a clip, on four scales of 1 to 10 (Tjandra et al., 2025), by audiobox-aesthetics.

    Args:
        checkpoint (str, optional): File of weights; those of `facebook/audiobox-aesthetics` where there is none.
    Raises:
        UserError: If package or weights cannot be had.
    """
    def __init__(self, checkpoint: tp.Optional[str] = None):
        try:
            from audiobox_aesthetics.infer import initialize_predictor
            self.predictor = initialize_predictor(checkpoint)
        except ImportError as error:
            raise UserError(f"aesthetics cannot be had ({error}): pip install 'audiocraft_ti[aesthetics]'.") from error
        except (OSError, ValueError, RuntimeError) as error:
            raise UserError(f"the weights of audiobox-aesthetics cannot be loaded ({type(error).__name__}): check the "
                            "connection, or leave the option out.") from error

    def __call__(self, path: Path, prompt: str) -> tp.Dict[str, float]:
        wav, sample_rate = audio.read(path)
        found, = self.predictor.forward([{'path': wav, 'sample_rate': sample_rate}])
        return {name: found[axis] for axis, name in AXES.items()}


class TinyJudge:
    """Whether the tiny world's judge hears a sound in a clip, and the style that its prompt names.

    Args:
        sound (str): Of the world's named sounds, what the concept is.
    Raises:
        UserError: If there is no such sound.
    """
    def __init__(self, sound: str):
        from .. import tiny
        from ..tiny import judge
        if sound not in judge.TIMBRES:
            raise UserError(f"--judge {sound} is no sound of the tiny world: choose one of {', '.join(judge.TIMBRES)}.")
        self.sound, self.styles = sound, judge.STYLE_NAMES
        self.judge = judge.load(tiny.JUDGE)

    def __call__(self, path: Path, prompt: str) -> tp.Dict[str, float]:
        from ..tiny.voice import SAMPLE_RATE
        (sound,), (style,) = self.judge.hear(audio.read_as(path, SAMPLE_RATE, 1))
        asked = [name for name in self.styles if name in prompt.lower().split()]
        found = {'heard_sound': float(sound == self.sound)}
        return {**found, 'heard_style': float(style in asked)} if asked else found
