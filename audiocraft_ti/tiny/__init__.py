"""A base model small enough for a laptop, in the real formats: EnCodec, MusicGen's language model, T5."""
import os
from pathlib import Path
import shutil
import tempfile

from .. import environment

WEIGHTS = Path(__file__).parent / 'weights'  # made by make.py
BASE = WEIGHTS / 'base'  # EnCodec and MusicGen in audiocraft's export format, with their T5
CLAP = WEIGHTS / 'clap'  # in transformers' format
JUDGE = WEIGHTS / 'judge.safetensors'
MADE = WEIGHTS / 'made.json'  # when, where and of what
VERSION = 2  # of the recipe in build.py; a new one makes a new folder


def folder() -> Path:
    """The tiny base in audiocraft's export format, built on first use; a few seconds and two megabytes."""
    target = environment.CACHE / f'tiny-{VERSION}'
    if not target.exists():
        from .build import build
        target.parent.mkdir(parents=True, exist_ok=True)
        temporary = Path(tempfile.mkdtemp(dir=target.parent))
        build(temporary)
        try:
            os.replace(temporary, target)
        except OSError:  # another process was faster, and made the same
            shutil.rmtree(temporary)
    return target
