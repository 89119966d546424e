"""A CLAP for the tiny world: transformers' own model and processor, small, trained on its clips and captions.

Most clips are disturbed, since it is asked about what models make: it would hear little but the noise under that, where
the world's own clips are silent.
"""
import math
from pathlib import Path
import typing as tp

import numpy as np
import soundfile
import torch
from tokenizers import ByteLevelBPETokenizer
from tqdm import tqdm
from transformers import ClapConfig, ClapFeatureExtractor, ClapModel, ClapProcessor, RobertaTokenizer

from .captions import caption, full
from .dataset import attributes_of
from .judge import disturb
from .text import sentences
from .voice import SAMPLE_RATE
from .world import Attributes, DURATION
from ..data import lines as files

HOP = 256
PROJECTION = 64
DISTURBED = 0.75  # of clips
DECIBELS = 10 / math.log(10)
LOUDEST = 9.5  # of the spectrograms that the judge makes of clips
TEXT = {'hidden_size': 64, 'num_hidden_layers': 2, 'num_attention_heads': 4, 'intermediate_size': 128,
        'max_position_embeddings': 64, 'hidden_dropout_prob': 0., 'attention_probs_dropout_prob': 0.}
AUDIO = {'num_mel_bins': 64, 'spec_size': 128, 'patch_size': 8, 'patch_stride': [8, 8], 'patch_embeds_hidden_size': 64,
         'depths': [2, 2], 'num_attention_heads': [4, 8], 'num_hidden_layers': 2, 'hidden_size': 128,
         'hidden_dropout_prob': 0.}


def _make_processor(folder: Path) -> ClapProcessor:
    tokenizer = ByteLevelBPETokenizer()
    lines = (text for line in sentences() for text in (line, line.lower()))
    tokenizer.train_from_iterator(lines, vocab_size=1600, show_progress=False,
                                  special_tokens=['<s>', '<pad>', '</s>', '<unk>', '<mask>'])
    tokenizer.save_model(str(folder))
    extractor = ClapFeatureExtractor(
        feature_size=AUDIO['num_mel_bins'], sampling_rate=SAMPLE_RATE, hop_length=HOP, max_length_s=int(DURATION),
        fft_window_size=512, frequency_min=40, frequency_max=SAMPLE_RATE // 2, truncation='rand_trunc')
    processor = ClapProcessor(extractor, RobertaTokenizer(str(folder / 'vocab.json'), str(folder / 'merges.txt')))
    processor.save_pretrained(folder)
    return processor


def _make_model(vocabulary: int) -> ClapModel:
    return ClapModel(ClapConfig(
        text_config={**TEXT, 'vocab_size': vocabulary, 'projection_dim': PROJECTION},
        audio_config={**AUDIO, 'projection_dim': PROJECTION}, projection_dim=PROJECTION))


def _features(processor: ClapProcessor, manifest: Path, count: int) -> tp.Tuple[torch.Tensor, tp.List[Attributes]]:
    """Spectrograms [N, 1, frames, bins] of a manifest's clips from their beginning, and what is true of the clips."""
    paths = [Path(line['path']) for line in files.read(manifest)[:count]]
    features = []
    for path in tqdm(paths, 'spectrograms'):
        wav, _ = soundfile.read(path, int(DURATION * SAMPLE_RATE), dtype='float32')
        features.append(processor.feature_extractor(wav, sampling_rate=SAMPLE_RATE)['input_features'][0])
    return torch.from_numpy(np.stack(features)), [attributes_of(path) for path in paths]


def _disturb(features: torch.Tensor, rng: torch.Generator) -> torch.Tensor:
    """Spectrograms in decibels [B, 1, frames, bins], disturbed as the judge's are, noisier, and louder or softer."""
    logs = features[:, 0].transpose(1, 2) / DECIBELS
    lift, loudness, noise = torch.rand(3, len(logs), 1, 1, generator=rng)
    lift = LOUDEST + 3 * lift - logs.amax((1, 2), keepdim=True)
    noisy = logs + noise * torch.randn(logs.shape, generator=rng)
    return ((disturb(noisy + lift, rng) - lift + 4 * loudness - 3) * DECIBELS).transpose(1, 2)[:, None]


def train(folder: Path, manifest: Path, count: int = 12000, epochs: int = 7, batch_size: int = 64, seed: int = 21
          ) -> None:
    """Train on the first clips of a manifest, contrastively, and write model and processor in transformers' format."""
    folder.mkdir(parents=True, exist_ok=True)
    torch.manual_seed(seed)
    rng, noise = np.random.default_rng(seed), torch.Generator().manual_seed(seed)
    processor = _make_processor(folder)
    features, truth = _features(processor, manifest, count)
    model = _make_model(len(processor.tokenizer)).train()
    optimizer = torch.optim.AdamW(model.parameters(), lr=1e-3, weight_decay=0.02)
    batches = len(features) // batch_size
    schedule = torch.optim.lr_scheduler.OneCycleLR(optimizer, 1e-3, epochs * batches)
    bar = tqdm(total=epochs * batches, desc='CLAP')
    for _ in range(epochs):
        for indices in rng.permutation(len(features))[:batches * batch_size].reshape(batches, batch_size):
            texts = [full(truth[i]) if rng.random() < 0.6 else caption(truth[i], rng) for i in indices]
            text = processor.tokenizer(texts, padding=True, return_tensors='pt')
            heard = features[indices]
            disturbed = torch.rand(batch_size, generator=noise) < DISTURBED
            heard[disturbed] = _disturb(heard[disturbed], noise)
            loss = model(**text, input_features=heard, return_loss=True).loss
            optimizer.zero_grad()
            loss.backward()
            optimizer.step()
            schedule.step()
            bar.update()
            bar.set_postfix(loss=f'{loss.item():.3f}')
    model.half().save_pretrained(folder)
