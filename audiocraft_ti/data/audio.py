"""Reading and writing audio without the ffmpeg program."""
from pathlib import Path
import typing as tp

from .. import environment
environment.prepare()
from audiocraft.data.audio import audio_read
from audiocraft.data.audio_utils import convert_audio, i16_pcm
from flashy.utils import write_and_rename
import soundfile
import torch


def read(path: tp.Union[str, Path]) -> tp.Tuple[torch.Tensor, int]:
    """Decode a whole file.

    Whole, because seeking in an mp3 lands some thousand samples off.

    Args:
        path (str or Path): A file of any format that FFmpeg's libraries or libsndfile know.
    Returns:
        tuple of torch.Tensor, int: Audio of shape [C, T] in float32, and its sample rate in Hz.
    """
    try:
        wav, sample_rate = audio_read(path)
    except Exception:  # 8-bit wav among others: upstream's reader has no rule for its sample type
        samples, sample_rate = soundfile.read(path, dtype='float32', always_2d=True)
        wav = torch.from_numpy(samples.T)
    return wav.float(), sample_rate


def read_as(path: tp.Union[str, Path], sample_rate: int, channels: int) -> torch.Tensor:
    """Decode a whole file and convert it, to shape [channels, T] at `sample_rate` Hz."""
    wav, from_rate = read(path)
    return convert_audio(wav, from_rate, sample_rate, channels)


def write(path: tp.Union[str, Path], wav: torch.Tensor, sample_rate: int, comment: str = '') -> Path:
    """Write audio of shape [C, T] as 16-bit wav, with a comment in its header; it appears whole or not at all."""
    path = Path(path)
    path.parent.mkdir(parents=True, exist_ok=True)
    samples = i16_pcm(wav.detach().cpu().clamp(-1, 1)).T.numpy()
    with write_and_rename(path) as whole, \
            soundfile.SoundFile(whole, 'w', sample_rate, samples.shape[1], 'PCM_16', format='WAV') as file:
        if comment:
            file.comment = comment
        file.write(samples)
    return path
