"""How the tiny base is made: random weights from fixed seeds, in every other respect a MusicGen."""
from pathlib import Path
import typing as tp

from .. import environment
environment.prepare()
import audiocraft
from audiocraft.models import builders
from omegaconf import DictConfig, OmegaConf
import numpy as np
import sentencepiece
import torch
from transformers import T5Config, T5EncoderModel, T5Tokenizer

from .recordings import phrase
from ..data.prompts import NEUTRAL_PROMPTS
from ..modules.conditioner import register_t5

SAMPLE_RATE = 16000  # Hz
CODEC = {
    'solver': 'compression',
    'sample_rate': SAMPLE_RATE,
    'channels': 1,
    'compression_model': 'encodec',
    'encodec': {'autoencoder': 'seanet', 'quantizer': 'rvq', 'sample_rate': '${sample_rate}', 'channels': 1,
                'causal': False, 'renormalize': False},
    'seanet': {'dimension': 32, 'channels': 1, 'causal': False, 'n_filters': 4, 'n_residual_layers': 1,
               'ratios': [8, 5, 4, 2], 'norm': 'weight_norm', 'lstm': 2, 'encoder': {}, 'decoder': {}},
    'rvq': {'n_q': 4, 'q_dropout': False, 'bins': 64, 'decay': 0.99, 'kmeans_init': True, 'kmeans_iters': 20,
            'threshold_ema_dead_code': 0},
}
LM = {
    'solver': 'musicgen',
    'sample_rate': SAMPLE_RATE,
    'channels': 1,
    'dtype': 'float32',
    'lm_model': 'transformer_lm',
    'transformer_lm': {'n_q': 4, 'card': 64, 'dim': 64, 'num_heads': 4, 'num_layers': 3, 'hidden_scale': 4,
                       'norm_first': True, 'bias_proj': False, 'bias_ff': False, 'bias_attn': False,
                       'weight_init': 'gaussian', 'memory_efficient': True, 'causal': True},
    'codebooks_pattern': {'modeling': 'delay', 'delay': {'delays': [0, 1, 2, 3]}},
    'fuser': {'sum': [], 'prepend': [], 'cross': ['description'], 'input_interpolate': []},
    'conditioners': {'description': {'model': 't5', 't5': {'name': 't5', 'finetune': False, 'word_dropout': 0.3}}},
    'attribute_dropout': {},
    'classifier_free_guidance': {'training_dropout': 0.3, 'inference_coef': 3.0},
    'dataset': {'segment_duration': 10},
}
T5 = {'d_model': 64, 'd_kv': 16, 'd_ff': 128, 'num_layers': 2, 'num_heads': 4, 'is_encoder_decoder': False,
      'use_cache': False}
SPARE_ROWS = 28  # t5-base has that many rows more than its tokenizer has tokens
WORDS = ['disco song', 'jazz song', 'rock song', 'techno song', 'drum beat', 'guitar', 'zither', 'string instrument']


def build(folder: Path) -> None:
    """Write the tiny base into a folder, in audiocraft's export format, its text encoder in `t5` within."""
    with torch.random.fork_rng():
        for seed, make in enumerate((_make_t5, _make_codec, _make_lm)):
            torch.manual_seed(seed)  # each from its own, since other releases of transformers draw other numbers
            make(folder)


def _export(model: torch.nn.Module, cfg: dict, path: Path) -> None:
    torch.save({'best_state': model.state_dict(), 'xp.cfg': OmegaConf.to_yaml(OmegaConf.create(cfg)),
                'version': audiocraft.__version__, 'exported': True}, path)


def _make_codec(folder: Path) -> None:
    """An untrained EnCodec, whose codebooks are those of k-means on its own latents of a few recordings."""
    codec = builders.get_compression_model(OmegaConf.create({**CODEC, 'device': 'cpu'}))
    wavs = [torch.from_numpy(phrase(np.random.default_rng([1, i])))[None, ::2] for i in range(4)]  # [1, T] at 16 kHz
    with torch.no_grad():
        codec.train()(torch.stack(wavs))
    _export(codec, CODEC, folder / 'compression_state_dict.bin')


def _make_t5(folder: Path) -> None:
    """A small T5 encoder and its sentencepiece tokenizer, with the special tokens where T5 has them."""
    folder = folder / 't5'
    folder.mkdir(parents=True)
    sentences = [prompt.replace('{}', word) for prompt in NEUTRAL_PROMPTS for word in WORDS]
    sentencepiece.SentencePieceTrainer.train(
        sentence_iterator=iter(sentences), model_prefix=str(folder / 'spiece'), vocab_size=150,
        hard_vocab_limit=False, pad_id=0, eos_id=1, unk_id=2, bos_id=-1, minloglevel=2, num_threads=1)
    (folder / 'spiece.vocab').unlink()
    tokenizer = T5Tokenizer.from_pretrained(folder)
    T5EncoderModel(T5Config(vocab_size=len(tokenizer) + SPARE_ROWS, **T5)).save_pretrained(folder)


def _make_lm(folder: Path) -> None:
    cfg = OmegaConf.create({**LM, 'device': 'cpu'})
    cfg.conditioners.description.t5.name = register_t5(folder / 't5')
    _export(builders.get_lm_model(tp.cast(DictConfig, cfg)), LM, folder / 'state_dict.bin')
