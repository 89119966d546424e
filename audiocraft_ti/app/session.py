"""What belongs to one visitor of the page: a folder, what is being learned, and the concepts loaded."""
from functools import lru_cache
from pathlib import Path
import tempfile
import threading
import typing as tp

from .. import environment
environment.prepare()
from audiocraft.models import MusicGen

from ..concept import Concept
from ..data.prompts import concepts_of
from ..errors import UserError
from ..models.concepts import list_concepts, load_concept, set_concept_params, unload_concept
from ..models.loaders import load_music
from ..models.samples import write_sample
from .learning import Learning

_ONE_AT_A_TIME = threading.Lock()  # models are shared by all visitors
_load_music = lru_cache(maxsize=1)(load_music)  # the last one is kept


class Session:
    """One visitor's."""
    def __init__(self) -> None:
        self._folder = tempfile.TemporaryDirectory(prefix='audiocraft_ti-', ignore_cleanup_errors=True)
        self.folder = Path(self._folder.name)
        self.learning: tp.Optional[Learning] = None
        self.runs = 0
        self.concepts: tp.Dict[str, Path] = {}

    def learn(self, recordings: tp.Sequence[str], name: str, base: str, class_word: str, updates: int) -> Learning:
        """Start to learn a concept; what is being learned is given up."""
        self.close()
        self.runs += 1
        folder = self.folder / f'run{self.runs}'
        folder.mkdir()
        self.learning = Learning(folder, recordings, name, base, class_word, updates)
        return self.learning

    def add(self, path: Path) -> str:
        """Load a concept file; its name."""
        name = Concept.load(path).name
        self.concepts[name] = path
        return name

    def play(self, base: str, prompt: str, strength: float, duration: float, seed: int,
             progress: tp.Optional[tp.Callable[[int, int], None]] = None) -> Path:
        """Make music from a prompt, with this visitor's concepts and no other's."""
        if not prompt.strip():
            raise UserError('There is no prompt: write what to play.')
        with _ONE_AT_A_TIME:
            music = _load_music(base)
            music.set_custom_progress_callback(progress)
            music.duration = duration
            try:
                self._load_concepts(music, prompt)
                set_concept_params(music, sample_ratio=strength)
                folder = self.folder / f'music-{strength:g}'
                return write_sample(music, prompt, seed, folder, progress=progress is not None)
            finally:
                for name in list_concepts(music):
                    unload_concept(music, name)

    def _load_concepts(self, music: MusicGen, prompt: str) -> None:
        """Load all that fit; that one does not matters only where the prompt speaks of it."""
        for name, path in self.concepts.items():
            try:
                load_concept(music, path, name)
            except UserError:
                if name in concepts_of(prompt):
                    raise

    def close(self) -> None:
        """Stop what is being learned."""
        if self.learning is not None:
            self.learning.stop()
