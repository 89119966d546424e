"""How the tiny base is made: `make base` draws the world and trains on it, with audiocraft's own solvers.

Every part is made once: what is interrupted goes on where it was, and what is done is left alone. To make a part anew,
delete its file in `outputs/tiny/made` and its folder beside that. Parts that need nothing of each other are made side
by side, each on a core of its own.
"""
from concurrent.futures import FIRST_COMPLETED, Future, ProcessPoolExecutor, wait
from contextlib import contextmanager
import importlib.metadata
import json
import multiprocessing
import os
from pathlib import Path
import shutil
import subprocess
import sys
import time
import typing as tp

from .. import environment
environment.prepare(lean=True)
from audiocraft.models import builders
from audiocraft.utils.export import export_encodec, export_lm
from flashy.utils import write_and_rename
import numpy as np
from omegaconf import OmegaConf
import soundfile
import torch

from . import audioldm, clap, judge, text, AUDIOLDM, BASE, CLAP, JUDGE, MADE
from .dataset import write_dataset
from .voice import STEP

WORK = Path('outputs/tiny')  # as in config/solver/*/tiny.yaml
AUTOENCODER = ['solver=compression/tiny', 'encodec.quantizer=no_quant', 'optim.epochs=6']
CODEC = ['solver=compression/tiny', f'continue_from={WORK}/autoencoder.th', 'optim.epochs=6']
# First the first second of many clips, which tells timbres and styles apart since clips begin with a bar; then whole
# ones.
BEGINNINGS = ['solver=musicgen/tiny', 'dataset.segment_duration=1', 'dataset.min_segment_ratio=4', 'optim.epochs=12']
LANGUAGE_MODEL = ['solver=musicgen/tiny', f'continue_from={WORK}/beginnings.th']
WORKERS = 2  # of the language model: one process has no use for a second core, its matrices are too small
ENVIRONMENT = {
    'OMP_NUM_THREADS': '1',
    'TORCH_FORCE_NO_WEIGHTS_ONLY_LOAD': '1',  # audiocraft's checkpoints hold pickled configurations; these are ours
}


def _dora(name: str, overrides: tp.List[str], workers: int = 1) -> Path:
    """Train in a Dora folder of its own, with so many processes, and return the checkpoint."""
    folder = WORK / 'dora' / name
    environ = {**os.environ, 'AUDIOCRAFT_DORA_DIR': str(folder)}
    dora = str(Path(sys.executable).with_name('dora'))
    distributed = ['--ddp', f'--ddp_workers={workers}'] if workers > 1 else []
    subprocess.run([dora, '-P', 'audiocraft_ti', 'run', *distributed, *overrides], env=environ, check=True)
    checkpoint, = (folder / 'xps').glob('*/checkpoint.th')
    return checkpoint


def _save(pkg: tp.Any, path: Path) -> None:
    with write_and_rename(path) as file:
        torch.save(pkg, file)


def _halve(path: Path) -> tp.Dict[str, tp.Any]:
    """An exported package, with its weights in half precision."""
    pkg = torch.load(path)
    pkg['best_state'] = {key: value.half() for key, value in pkg['best_state'].items()}
    return pkg


def add_codebooks(checkpoint: Path, path: Path) -> None:
    """Give an autoencoder codebooks, by audiocraft's own k-means of what it makes of some clips.

    Args:
        checkpoint (Path): Of a run with `encodec.quantizer=no_quant`.
        path (Path): Where to write what a run with codebooks can continue from.
    """
    state = torch.load(checkpoint)
    cfg = OmegaConf.merge(state['xp.cfg'], {'encodec': {'quantizer': 'rvq'}})
    codec: tp.Any = builders.get_compression_model(tp.cast(tp.Any, cfg)).train()
    codec.load_state_dict(state['best_state']['model'], strict=False)
    with torch.random.fork_rng(), torch.no_grad():
        torch.manual_seed(0)
        latents = codec.encoder(_beginnings_of_clips(600)).transpose(1, 2).flatten(0, 1)  # [N, D]
        norms = latents.norm(dim=-1)
        loud = latents[norms > norms.median()]  # there is more than one way to be silent, and none is worth an entry
        codec.quantizer(loud[torch.randperm(len(loud))[:6000]].T[None], codec.frame_rate)
    _save({'best_state': {'model': codec.state_dict()}, 'xp.cfg': cfg}, path)


def _beginnings_of_clips(count: int, steps: int = 50) -> torch.Tensor:
    """Audio of shape [count, 1, T]."""
    paths = sorted((WORK / 'world/train').glob('*.wav'))[:count]
    wavs = [soundfile.read(path, steps * STEP, dtype='float32')[0] for path in paths]
    return torch.from_numpy(np.stack(wavs))[:, None]


def _clips() -> None:
    write_dataset((WORK / 'world').resolve())


def _text_encoder() -> None:
    text.make_t5(WORK / 'base/t5')
    text.pretrain(WORK / 'base/t5')


def _autoencoder() -> None:
    add_codebooks(_dora('autoencoder', AUTOENCODER), WORK / 'autoencoder.th')


def _codec() -> None:
    path = export_encodec(_dora('codec', CODEC), WORK / 'codec.bin')
    _save(_halve(path), WORK / 'base/compression_state_dict.bin')


def _beginnings() -> None:
    shutil.copy(_dora('beginnings', BEGINNINGS, WORKERS), WORK / 'beginnings.th')


def _language_model() -> None:
    path = export_lm(_dora('language_model', LANGUAGE_MODEL, WORKERS), WORK / 'lm.bin')
    pkg = _halve(path)
    cfg = OmegaConf.create(pkg['xp.cfg'])
    cfg.conditioners.description.t5.name = 't5'  # the folder beside it
    shutil.copytree(WORK / 'base', BASE, dirs_exist_ok=True)  # codec and text encoder
    _save({**pkg, 'xp.cfg': OmegaConf.to_yaml(cfg)}, BASE / 'state_dict.bin')


def _clap() -> None:
    clap.train(CLAP, WORK / 'world/train.jsonl')


def _clips_of_audioldm() -> audioldm.Clips:
    return audioldm.Clips(WORK / 'world/train.jsonl')


def _mel_autoencoder() -> None:
    audioldm.train_vae(_clips_of_audioldm()).save_pretrained(WORK / 'audioldm/vae')


def _vocoder() -> None:
    audioldm.train_vocoder(_clips_of_audioldm()).save_pretrained(WORK / 'audioldm/vocoder')


def _audioldm() -> None:
    audioldm.train(AUDIOLDM, WORK / 'audioldm', _clips_of_audioldm(), CLAP)


def _judge() -> None:
    judge.train(JUDGE)


class Part(tp.NamedTuple):
    """A step, and the parts that it starts from."""
    step: tp.Callable[[], None]
    needs: tp.Tuple[str, ...] = ()


PARTS = {
    'clips': Part(_clips), 'autoencoder': Part(_autoencoder, ('clips',)), 'text encoder': Part(_text_encoder),
    'codec': Part(_codec, ('autoencoder',)), 'beginnings': Part(_beginnings, ('codec', 'text encoder')),
    'language model': Part(_language_model, ('beginnings',)), 'CLAP': Part(_clap, ('clips',)), 'judge': Part(_judge),
    'mel autoencoder': Part(_mel_autoencoder, ('clips',)), 'vocoder': Part(_vocoder, ('clips',)),
    'AudioLDM': Part(_audioldm, ('mel autoencoder', 'vocoder', 'CLAP'))}
CORES = 2


def _made(part: str) -> Path:
    return WORK / 'made' / f'{part}.json'


def _read(part: str) -> tp.Dict[str, tp.Any]:
    return json.loads(_made(part).read_text()) if _made(part).exists() else {}


@contextmanager
def _record(part: str) -> tp.Iterator[None]:
    """Write down at which commit, in how many minutes and with which packages a part was made."""
    begin = time.monotonic()
    commit = subprocess.run(['git', 'rev-parse', '--short', 'HEAD'], capture_output=True, text=True).stdout.strip()
    done = False
    try:
        yield
        done = True
    finally:
        minutes = _read(part).get('minutes', 0) + (time.monotonic() - begin) / 60
        versions = {name: importlib.metadata.version(name) for name in ('audiocraft', 'torch', 'transformers')}
        _made(part).write_text(json.dumps({'done': done, 'minutes': round(minutes, 1), 'commit': commit, **versions}))


def _make(part: str, step: tp.Callable[[], None]) -> None:
    print(f'Making the {part}.', flush=True)
    with _record(part):
        step()


def _with_needs(part: str) -> tp.Set[str]:
    return {part}.union(*map(_with_needs, PARTS[part].needs))


def make(last: tp.Optional[str] = None) -> None:
    """Make all parts that are not there yet, or one part and what it needs."""
    os.environ.update(ENVIRONMENT)
    for folder in (WORK / 'made', MADE.parent):
        folder.mkdir(parents=True, exist_ok=True)
    left = [part for part in PARTS if part in (_with_needs(last) if last else PARTS) and not _read(part).get('done')]
    running: tp.Dict[Future, str] = {}
    with ProcessPoolExecutor(CORES, multiprocessing.get_context('spawn')) as pool:  # fork does not go with threads
        while left or running:
            missing = {*left, *running.values()}
            ready = [part for part in left if not missing.intersection(PARTS[part].needs)]
            for part in ready[:CORES - len(running)]:
                left.remove(part)
                running[pool.submit(_make, part, PARTS[part].step)] = part
            for future in wait(running, return_when=FIRST_COMPLETED).done:
                del running[future]
                future.result()
    if last is None:
        MADE.write_text(json.dumps({part: _read(part) for part in PARTS}, indent=1) + '\n')


if __name__ == '__main__':
    if not set(sys.argv[1:]) <= set(PARTS):
        sys.exit(f"error: {' '.join(sys.argv[1:])} is no part of the tiny base: name one of {', '.join(PARTS)} to make "
                 "it and what it needs, or none for all.")
    make(*sys.argv[1:])
