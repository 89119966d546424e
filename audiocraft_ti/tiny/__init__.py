"""A base model small enough for a laptop, in the real formats, of a small world of synthetic music."""
from pathlib import Path

WEIGHTS = Path(__file__).parent / 'weights'  # made by make.py
BASE = WEIGHTS / 'base'  # EnCodec and MusicGen in audiocraft's export format, with their T5
CLAP = WEIGHTS / 'clap'  # in transformers' format
AUDIOLDM = WEIGHTS / 'audioldm'  # in diffusers' format
JUDGE = WEIGHTS / 'judge.safetensors'
MADE = WEIGHTS / 'made.json'  # when, where and of what
