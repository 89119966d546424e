"""Music from prompts, as files that say what they are."""
from pathlib import Path
import re
import typing as tp

from .. import environment
environment.prepare()
from audiocraft.data.audio_utils import normalize_audio
from audiocraft.models import MusicGen
import torch

from .concepts import set_concept_params
from ..data import audio, lines as files
from ..hashes import bytes_hash

LISTING = 'samples.jsonl'


def write_sample(music: MusicGen, prompt: str, seed: int, folder: Path, loudness: float = -16.,
                 progress: bool = False, task: tp.Optional[str] = None) -> Path:
    """Make one clip; the same model, prompt and seed give the same file, whatever else is made.

    Args:
        music (MusicGen): A model, its generation parameters and concepts set.
        prompt (str): Text, with the placeholders of loaded concepts.
        seed (int): Of sampling, and of what is drawn of concepts.
        folder (Path): Where to. Its `samples.jsonl` gets a line, in the place of one for the same file.
        loudness (float): In dB LUFS.
        progress (bool): Whether to call the model's progress callback.
        task (str, optional): The prompt that it is to be listed under, where it is not the text itself.
    Returns:
        Path: A wav file, with prompt and seed in its header.
    """
    torch.manual_seed(seed)
    set_concept_params(music, seed=seed)
    wav = music.generate([prompt], progress=progress)[0].float().cpu()
    wav = normalize_audio(wav, strategy='loudness', loudness_headroom_db=-loudness, sample_rate=music.sample_rate)
    comment = f'{prompt} (seed {seed}, {music.name})'
    path = audio.write(folder / file_name(prompt, seed), wav, music.sample_rate, comment)
    _list(folder / LISTING, {'prompt': task or prompt, 'file': path.name, 'seed': seed, 'base': music.name})
    return path


def file_name(prompt: str, seed: int) -> str:
    """A name that a person can read and no other prompt has."""
    words = '-'.join(re.findall('[a-z0-9]+', prompt.lower()))[:40]
    return f'{words}-{bytes_hash(prompt.encode())[:6]}_{seed}.wav'


def _list(path: Path, line: tp.Dict[str, tp.Any]) -> None:
    lines = files.read(path) if path.exists() else []
    lines = [other for other in lines if other['file'] != line['file']] + [line]
    files.write(lines, path)
