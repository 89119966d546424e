"""From a folder of recordings to two manifests, what is learned from and what is held out.

A manifest is audiocraft's: one `AudioMeta` a line, as json. Ours may add `start`, for a clip that is a part of a file.
"""
from dataclasses import dataclass, replace
import gzip
import json
import logging
import math
import os
from pathlib import Path
import typing as tp

from .. import environment
environment.prepare()
from audiocraft.data.audio import audio_info
from audiocraft.data.audio_dataset import AudioMeta, DEFAULT_EXTS, save_audio_meta
from tqdm import tqdm

from . import audio
from .folders import whole_folder
from ..errors import UserError
from ..hashes import file_hash

logger = logging.getLogger(__name__)
SILENCE = 1e-4  # peak below which a recording is taken for silent, -80 dB of full scale
TRUNCATED = 0.9  # share of the announced duration that must be there
ENOUGH_FILES = 5  # with that many files or more, whole files are held out
HELD_OUT = 0.2  # share of the files, or of each file, that is held out


@dataclass(order=True)
class Clip(AudioMeta):
    """A stretch of a recording, from `start` to `duration` seconds from the beginning of its file."""
    start: float = 0.

    @property
    def length(self) -> float:
        """Length in seconds."""
        return self.duration - self.start


def check_recording(path: tp.Union[str, Path]) -> Clip:
    """Decode a file once, as a whole, and describe it.

    Raises:
        ValueError: If it cannot be learned from, saying what is wrong with it.
    """
    if os.path.getsize(path) == 0:
        raise ValueError('the file is empty')
    try:
        wav, sample_rate = audio.read(path)
    except Exception as error:
        raise ValueError(f'it cannot be decoded as audio ({error})') from error
    duration = wav.shape[-1] / sample_rate
    if duration == 0:
        raise ValueError('it holds no audio')
    if not wav.isfinite().all():
        raise ValueError('it holds samples that are not numbers (NaN or infinite)')
    if wav.abs().max() < SILENCE:
        raise ValueError('it is silent')
    if duration < TRUNCATED * announced_duration(path, default=duration):
        raise ValueError('it is truncated: it ends before the duration its header gives')
    return Clip(str(path), duration, sample_rate)


def announced_duration(path: tp.Union[str, Path], default: float) -> float:
    """Length in seconds by a file's header, or `default` where the header has none."""
    try:
        return audio_info(path).duration
    except Exception:  # formats that only libsndfile reads, or without a duration in the header
        return default


def find_recordings(folder: tp.Union[str, Path]) -> tp.List[Path]:
    """All audio files below a folder, by the endings that audiocraft knows, in order of their paths.

    Raises:
        UserError: If there is no such folder or no audio file in it.
    """
    folder = Path(folder)
    if not folder.is_dir():
        raise UserError(f"datasource.folder={folder} is not a folder: give the folder that holds your recordings.")
    paths = sorted(path for path in folder.rglob('*')
                   if path.suffix.lower() in DEFAULT_EXTS and path.is_file() and not path.name.startswith('.'))
    if not paths:
        raise UserError(f"datasource.folder={folder} holds no audio file ({', '.join(DEFAULT_EXTS)}): "
                        "put your recordings there.")
    return paths


def check_recordings(clips: tp.Iterable[Clip], min_length: float, where: str) -> tp.List[Clip]:
    """Keep what can be learned from, and say of every other file why it is left out.

    Args:
        clips (iterable of Clip): Clips to check; a `duration` of 0 stands for the whole file.
        min_length (float): Shortest useful length in seconds, that of a crop.
        where (str): What the clips come from, to name in an error.
    Raises:
        UserError: If nothing is left.
    """
    kept: tp.List[Clip] = []
    problems: tp.List[str] = []
    seen: tp.Dict[tp.Tuple[str, float], str] = {}
    for clip in tqdm(list(clips), desc='Checking recordings', unit='file', leave=False, disable=None):
        try:
            found = check_recording(clip.path)
            if clip.duration:
                found = replace(clip, duration=min(clip.duration, found.duration))
            if found.length < min_length:
                raise ValueError(f'its {found.length:.2f} s are shorter than a crop of {min_length:g} s '
                                 '(dataset.segment_duration)')
            other = seen.setdefault((file_hash(found.path), found.start), found.path)
            if other != found.path:
                raise ValueError(f'it is a copy of {other}')
        except (ValueError, OSError) as error:
            problems.append(f'{clip.path}: {error}')
            logger.warning("Left out %s", problems[-1])
        else:
            kept.append(found)
    if not kept:
        more = f" (and {len(problems) - 1} more)" if len(problems) > 1 else ""
        raise UserError(f"{where} holds no recording that can be learned from; {problems[0]}{more}.")
    return kept


def split(clips: tp.Sequence[Clip], min_length: float, where: str) -> tp.Tuple[tp.List[Clip], tp.List[Clip]]:
    """Divide clips into those learned from and those held out, which share no moment of audio.

    With five files or more a fifth of them is held out, evenly along their order. With fewer, the last fifth of each
    that has room for it (at least a crop on either side); and where none has, the last file.

    Args:
        clips (sequence of Clip): Clips, one a file.
        min_length (float): Length of a crop in seconds.
        where (str): What the clips come from, to name in an error.
    Returns:
        tuple of two lists of Clip: Train and valid.
    Raises:
        UserError: If there is too little to hold anything out.
    """
    if len(clips) >= ENOUGH_FILES:
        count = round(HELD_OUT * len(clips))
        held_out = {i * len(clips) // count for i in range(count)}
        return ([clip for i, clip in enumerate(clips) if i not in held_out], [clips[i] for i in sorted(held_out)])
    train: tp.List[Clip] = []
    valid: tp.List[Clip] = []
    for clip in clips:
        cut = clip.duration - max(min_length, HELD_OUT * clip.length)
        cut = math.floor(10 * cut) / 10  # a multiple of every codec's frame, or nearly
        if cut - clip.start < min_length:
            train.append(clip)
        else:
            train.append(replace(clip, duration=cut))
            valid.append(replace(clip, start=cut))
    if not valid:
        *train, last = train
        valid = [last]
    if not train:
        raise UserError(f"{where} holds {clips[0].length:.1f} s of audio, too little to learn from one part and hold "
                        f"out another: add recordings, {2 * min_length:g} s in all at least.")
    return train, valid


def collect(folder: tp.Optional[str], train: tp.Optional[str], valid: tp.Optional[str],
            min_length: float) -> tp.Tuple[tp.List[Clip], tp.List[Clip]]:
    """The clips to learn from and those held out, of a folder or of ready manifests.

    Args:
        folder (str, optional): Folder of recordings, unless there is a manifest.
        train (str, optional): Manifest of what is learned from.
        valid (str, optional): Manifest of what is held out; without it a part of `train` or of the folder is.
        min_length (float): Length of a crop in seconds.
    Raises:
        UserError: If there is nothing, or too little, to learn from.
    """
    if train is None:
        where = f'datasource.folder={folder}'
        clips = [Clip(str(path), 0., 0) for path in find_recordings(str(folder))]
    else:
        where = f'datasource.train={train}'
        clips = load(train, 'datasource.train')
    clips = check_recordings(clips, min_length, where)
    if valid is None:
        return split(clips, min_length, where)
    held_out = load(valid, 'datasource.valid')
    return clips, check_recordings(held_out, min_length, f'datasource.valid={valid}')


def write(folder: Path, train: tp.List[Clip], valid: tp.List[Clip]) -> tp.List[Path]:
    """Write both manifests, `train.jsonl` and `valid.jsonl`, into a folder that appears whole or not at all."""
    with whole_folder(folder) as temporary:
        for name, clips in (('train', train), ('valid', valid)):
            save_audio_meta(temporary / f'{name}.jsonl', tp.cast(list, clips))
    return [folder / f'{name}.jsonl' for name in ('train', 'valid')]


def load(path: tp.Union[str, Path], key: str) -> tp.List[Clip]:
    """Read a manifest: a jsonl file, or a folder with a `data.jsonl`.

    Args:
        path (str or Path): Manifest of ours or of audiocraft's.
        key (str): Configuration key to name in an error.
    Raises:
        UserError: If it cannot be read.
    """
    path = Path(path)
    if path.is_dir():
        path = path / 'data.jsonl'
    try:
        with (gzip.open if path.suffix == '.gz' else open)(path, 'rt', encoding='utf-8') as file:
            return [Clip.from_dict(json.loads(line)) for line in file if line.strip()]
    except (OSError, ValueError, TypeError) as error:
        raise UserError(f"{key}={path} cannot be read as a manifest, one AudioMeta in json a line: {error}.") from error
