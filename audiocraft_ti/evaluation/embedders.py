"""From audio and text to embeddings of one space."""
from abc import ABC, abstractmethod
from pathlib import Path
import pickle
from types import SimpleNamespace
import typing as tp

from .. import environment, tiny
environment.prepare()
from audiocraft.data.audio_utils import normalize_audio
from flashy.utils import write_and_rename
from safetensors.torch import load_file, save
import torch
from transformers import ClapModel, ClapProcessor

from ..data import audio
from ..errors import UserError
from ..hashes import tensors_hash

CLAP = 'laion/clap-htsat-unfused'
LAION = 'music_audioset_epoch_15_esc_90.14.pt'
NO_TEXT = 'larger_clap_music'  # its text tower gives nearly the same for all texts


class Embedder(ABC):
    """A model of audio and text.

    Args:
        checkpoint (str): Which weights, to be named beside every score.
        sample_rate (int): Of the audio that it takes, Hz.
        longest (int): How much of it at a time, in samples.
    """
    name: str
    model: tp.Any  # its torch.nn.Module

    def __init__(self, checkpoint: str, sample_rate: int, longest: int):
        self.checkpoint = checkpoint
        self.sample_rate = sample_rate
        self.longest = longest

    @torch.no_grad()
    def audio(self, wavs: tp.Sequence[torch.Tensor], sample_rate: int) -> torch.Tensor:
        """Embeddings of unit length, [N, D], of clips of shape [C, T]."""
        mono = [audio.convert_audio(wav, sample_rate, self.sample_rate, 1)[0] for wav in wavs]
        return self._unit(torch.cat([self._mean(wav) for wav in mono]))

    def _mean(self, wav: torch.Tensor) -> torch.Tensor:
        """Mean over the stretches of what is long; left to themselves, CLAP's packages take one at random."""
        parts = wav.split(self.longest)
        enough = [part for part in parts if len(part) > len(parts[0]) / 2]
        return torch.cat([self._unit(self._audio(part)) for part in enough]).mean(0, keepdim=True)

    @torch.no_grad()
    def text(self, texts: tp.Sequence[str]) -> torch.Tensor:
        """Embeddings of unit length, [N, D]."""
        return self._unit(self._text(list(texts)))

    @abstractmethod
    def _audio(self, wav: torch.Tensor) -> torch.Tensor:
        """Embedding [1, D] of mono audio [T]."""

    @abstractmethod
    def _text(self, texts: tp.List[str]) -> torch.Tensor:
        """Embeddings [N, D]."""

    @staticmethod
    def _unit(embeddings: torch.Tensor) -> torch.Tensor:
        return torch.nn.functional.normalize(embeddings.float().cpu(), dim=-1)


class ClapEmbedder(Embedder):
    """CLAP (Wu et al., 2023), by transformers (P22).

    Args:
        checkpoint (str): `tiny`, a folder in transformers' format, or a name on the model hub.
        device (str): Where to compute.
    """
    name = 'clap'

    def __init__(self, checkpoint: str = CLAP, device: str = 'cpu'):
        source = str(tiny.CLAP) if checkpoint == 'tiny' else checkpoint
        try:
            self.model = ClapModel.from_pretrained(source).float().eval().to(device)
            self.processor = ClapProcessor.from_pretrained(source)
        except (OSError, ValueError) as error:
            raise _not_to_be_had(checkpoint, error) from error
        extractor = self.processor.feature_extractor
        super().__init__(checkpoint, extractor.sampling_rate, extractor.nb_max_samples)

    def _audio(self, wav: torch.Tensor) -> torch.Tensor:
        features = self.processor.feature_extractor(wav.numpy(), sampling_rate=self.sample_rate, return_tensors='pt')
        return self._pooled(self.model.get_audio_features(**features.to(self.model.device)))

    def _text(self, texts: tp.List[str]) -> torch.Tensor:
        if NO_TEXT in self.checkpoint:
            raise UserError(f"{self.checkpoint} is no use for editability: its text encoder gives nearly the same for "
                            f"all texts. Take {CLAP}.")
        tokens = self.processor.tokenizer(texts, padding=True, return_tensors='pt').to(self.model.device)
        return self._pooled(self.model.get_text_features(**tokens))

    @staticmethod
    def _pooled(output: tp.Any) -> torch.Tensor:
        return getattr(output, 'pooler_output', output)  # transformers 4 gives the tensor itself


class LaionEmbedder(Embedder):
    """CLAP (Wu et al., 2023), by its authors' package and with their checkpoint for music (P22).

    Args:
        checkpoint (str): File of weights; it is fetched where there is none of that name.
        device (str): Where to compute.
    """
    name = 'laion'

    def __init__(self, checkpoint: str = LAION, device: str = 'cpu'):
        try:
            from huggingface_hub import hf_hub_download
            import laion_clap
            path = checkpoint if Path(checkpoint).exists() else hf_hub_download('lukewys/laion_clap', checkpoint)
            self.model = laion_clap.CLAP_Module(enable_fusion=False, amodel='HTSAT-base', device=device)
            self.model.model.load_state_dict(_read_laion(path))
        except ImportError as error:
            raise UserError(f"the embedder laion cannot be had ({error}): pip install laion_clap, and the torchvision "
                            "of the same torch release.") from error
        except (OSError, ValueError, RuntimeError, KeyError, pickle.UnpicklingError) as error:
            raise _not_to_be_had(checkpoint, error) from error
        super().__init__(Path(checkpoint).name, 48000, 480000)

    def _audio(self, wav: torch.Tensor) -> torch.Tensor:
        return self.model.get_audio_embedding_from_data(wav[None], use_tensor=True)

    def _text(self, texts: tp.List[str]) -> torch.Tensor:
        return self.model.get_text_embedding([*texts, ''], use_tensor=True)[:len(texts)]  # it cannot take one alone


class _TensorsAlone(pickle.Unpickler):
    """Reads a checkpoint as pickle does, and refuses to call anything but what makes tensors and numbers.

    The authors' checkpoints hold numbers of numpy's, which torch's own `weights_only` does not read, and their package
    loads them with no guard at all.
    """
    ALLOWED = {('collections', 'OrderedDict'), ('torch._utils', '_rebuild_tensor_v2'), ('_codecs', 'encode'),
               ('torch', 'FloatStorage'), ('torch', 'LongStorage'), ('numpy', 'dtype'),
               ('numpy.core.multiarray', 'scalar'), ('numpy._core.multiarray', 'scalar')}

    def find_class(self, module: str, name: str) -> tp.Any:
        if (module, name) not in self.ALLOWED:
            raise pickle.UnpicklingError(f'it wants to call {module}.{name}')
        return super().find_class(module, name)


def _read_laion(path: tp.Union[str, Path]) -> tp.Dict[str, torch.Tensor]:
    """Weights of a checkpoint of laion_clap's, under the names of its model."""
    pickles = SimpleNamespace(Unpickler=_TensorsAlone, __name__='pickle')
    state = torch.load(path, 'cpu', pickle_module=pickles, weights_only=False)['state_dict']
    unused = 'text_branch.embeddings.position_ids'  # by transformers since 4.31
    return {key.removeprefix('module.'): value for key, value in state.items() if not key.endswith(unused)}


def _not_to_be_had(checkpoint: str, error: Exception) -> UserError:
    reason = str(error).strip().split('\n')[0]
    return UserError(f"the embedder {checkpoint} cannot be loaded ({type(error).__name__}: {reason}); check its name "
                     "and the connection, or give a folder in transformers' format.")


def load_embedder(name: str, device: str = 'cpu') -> Embedder:
    """An embedder by the name that the command line has for it.

    Args:
        name (str): `tiny`, `clap`, `laion`, or a checkpoint of transformers' CLAP.
        device (str): Where to compute.
    Raises:
        UserError: If it cannot be had.
    """
    return LaionEmbedder(device=device) if name == 'laion' else ClapEmbedder(CLAP if name == 'clap' else name, device)


class CachedEmbedder:
    """An embedder that keeps what it made of audio, by the audio's content and its own weights.

    Args:
        embedder (Embedder): Which one.
        folder (Path, optional): Where to keep embeddings; the user's cache folder where there is none.
        loudness (float, optional): To bring all audio to first, dB LUFS.
    """
    def __init__(self, embedder: Embedder, folder: tp.Optional[Path] = None, loudness: tp.Optional[float] = None):
        self.embedder = embedder
        self.folder = (folder or environment.CACHE / 'embeddings') / tensors_hash(embedder.model.state_dict())[:16]
        self.loudness = loudness

    @property
    def names(self) -> tp.Dict[str, str]:
        """What is to stand beside every score."""
        return {'embedder': self.embedder.name, 'checkpoint': self.embedder.checkpoint}

    def audio(self, wav: torch.Tensor, sample_rate: int) -> torch.Tensor:
        """Embedding [D] of a clip [C, T]."""
        path = self.folder / f"{tensors_hash({str(sample_rate): wav})}.safetensors"
        if not path.exists():
            self.folder.mkdir(parents=True, exist_ok=True)
            with write_and_rename(path, pid=True) as file:
                file.write(save({'embedding': self.embedder.audio([wav], sample_rate)[0]}))
        return load_file(path)['embedding']

    def clip(self, path: Path, start: float = 0., end: tp.Optional[float] = None) -> torch.Tensor:
        """Embedding [D] of a file, or of a part of it in seconds."""
        wav, sample_rate = audio.read(path)
        wav = wav[:, round(start * sample_rate):None if end is None else round(end * sample_rate)]
        if self.loudness is not None:
            wav = normalize_audio(wav, strategy='loudness', loudness_headroom_db=-self.loudness,
                                  sample_rate=sample_rate)
        return self.audio(wav, sample_rate)
