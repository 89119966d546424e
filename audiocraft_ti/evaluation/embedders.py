"""From audio and text to embeddings of one space."""
import typing as tp

import torch
from transformers import ClapModel, ClapProcessor

from .. import tiny
from ..data.audio import convert_audio


class ClapEmbedder:
    """CLAP (Wu et al., 2023), by transformers (P22).

    Args:
        checkpoint (str): `tiny`, a folder in transformers' format, or a name on the model hub.
        device (str): Where to compute.
    """
    def __init__(self, checkpoint: str, device: str = 'cpu'):
        self.checkpoint = checkpoint
        source = str(tiny.CLAP) if checkpoint == 'tiny' else checkpoint
        self.model = ClapModel.from_pretrained(source).float().eval().to(device)
        self.processor = ClapProcessor.from_pretrained(source)
        self.sample_rate: int = self.processor.feature_extractor.sampling_rate  # Hz

    @torch.no_grad()
    def audio(self, wavs: tp.Sequence[torch.Tensor], sample_rate: int) -> torch.Tensor:
        """Embeddings of unit length, [N, D], of clips of shape [C, T]."""
        mono = [convert_audio(wav, sample_rate, self.sample_rate, 1)[0].numpy() for wav in wavs]
        features = [self.processor.feature_extractor(wav, sampling_rate=self.sample_rate, return_tensors='pt')
                    for wav in mono]
        return self._unit(torch.cat([self._pooled(self.model.get_audio_features(**one.to(self.model.device)))
                                     for one in features]))

    @torch.no_grad()
    def text(self, texts: tp.Sequence[str]) -> torch.Tensor:
        """Embeddings of unit length, [N, D]."""
        tokens = self.processor.tokenizer(list(texts), padding=True, return_tensors='pt').to(self.model.device)
        return self._unit(self._pooled(self.model.get_text_features(**tokens)))

    @staticmethod
    def _pooled(output: tp.Any) -> torch.Tensor:
        return getattr(output, 'pooler_output', output)  # transformers 4 gives the tensor itself

    @staticmethod
    def _unit(embeddings: torch.Tensor) -> torch.Tensor:
        return torch.nn.functional.normalize(embeddings.float().cpu(), dim=-1)
