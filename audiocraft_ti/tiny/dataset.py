"""The tiny world as files, in the formats of audiocraft's own datasets."""
from concurrent.futures import ProcessPoolExecutor
from dataclasses import fields
import json
from pathlib import Path
import sys
import typing as tp

import numpy as np
import soundfile
from tqdm import tqdm

from . import timbres, world
from .captions import caption
from .voice import SAMPLE_RATE
from ..data import lines as files

COUNTS = {'train': 12000, 'valid': 200}
SHARE_INVENTED = 0.75
SEEDS = {'train': 1, 'valid': 2}  # the first number of each clip's seed


def draw_name(rng: np.random.Generator) -> str:
    """The name of a sound that the base model is trained on."""
    return str(rng.choice(list(timbres.invented() if rng.random() < SHARE_INVENTED else timbres.KNOWN)))


def draw_clip(split: str, index: int) -> tp.Tuple[np.ndarray, world.Attributes, str]:
    """The clip of a split with that index: samples of shape [T], its attributes and its caption."""
    rng = np.random.default_rng([SEEDS[split], index])
    wav, attributes = world.clip(draw_name(rng), rng)
    return wav, attributes, caption(attributes, np.random.default_rng([SEEDS[split], index, 1]))


def _write_clip(folder: Path, split: str, index: int) -> dict:
    wav, attributes, text = draw_clip(split, index)
    path = folder / split / f'{index:05}.wav'
    soundfile.write(path, wav, SAMPLE_RATE)
    path.with_suffix('.json').write_text(json.dumps({**vars(attributes), 'description': text}))
    return {'path': str(path), 'duration': world.DURATION, 'sample_rate': SAMPLE_RATE, 'amplitude': None,
            'weight': None, 'info_path': None}


def attributes_of(path: tp.Union[str, Path]) -> world.Attributes:
    """What is true of a clip that was written."""
    stored = json.loads(Path(path).with_suffix('.json').read_text())
    return world.Attributes(**{field.name: stored[field.name] for field in fields(world.Attributes)})


def _write_part(args: tp.Tuple[Path, str, range]) -> tp.List[dict]:
    folder, split, indices = args
    return [_write_clip(folder, split, index) for index in indices]


def write_dataset(folder: Path) -> None:
    """Write both splits: clips as wav, a json with the caption beside each, and a manifest `<split>.jsonl`.

    Args:
        folder (Path): Where to. A split whose manifest is there already is left alone.
    """
    for split, count in COUNTS.items():
        manifest = folder / f'{split}.jsonl'
        if manifest.exists():
            continue
        (folder / split).mkdir(parents=True, exist_ok=True)
        parts = [(folder, split, range(start, min(start + 50, count))) for start in range(0, count, 50)]
        with ProcessPoolExecutor() as pool:
            metas = [meta for part in tqdm(pool.map(_write_part, parts), split, len(parts)) for meta in part]
        files.write(metas, manifest)


if __name__ == '__main__':
    write_dataset(Path(sys.argv[1]).resolve())
