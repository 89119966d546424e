"""The spectrograms that AudioLDM's autoencoder and vocoder speak."""
import torch
from torchaudio.transforms import MelSpectrogram

WINDOW = 1024  # samples, Hann
FLOOR = 1e-5  # of magnitudes
PEAK = 0.5  # of audio before it is taken apart


class LogMel(torch.nn.Module):
    """Log-mel spectrogram of audio: natural logarithm of magnitudes in Slaney's bands, which are of equal area.

    AudioLDM's own has 64 bands and a hop of 160 samples at 16 kHz (Liu et al., 2023, section 4).

    Args:
        sample_rate (int): Of the audio, Hz.
        hop (int): Samples from one frame to the next.
        bins (int): Number of bands.
        window (int): Samples that a frame is made from.
    """
    def __init__(self, sample_rate: int, hop: int, bins: int, window: int = WINDOW):
        super().__init__()
        self.hop = hop
        self.mel = MelSpectrogram(sample_rate, window, hop_length=hop, n_mels=bins, f_max=sample_rate / 2, power=1.,
                                  norm='slaney', mel_scale='slaney')

    def forward(self, wav: torch.Tensor) -> torch.Tensor:
        """Spectrograms of shape [B, 1, T / hop, bins] of audio of shape [B, T], which is centred and brought to one
        peak first, as AudioLDM's is."""
        B, T = wav.shape
        wav = wav - wav.mean(-1, keepdim=True)
        wav = PEAK * wav / wav.abs().amax(-1, keepdim=True).clamp(min=1e-8)
        bands = self.mel(wav)[..., :round(T / self.hop)]  # [B, bins, T / hop]
        return bands.clamp(min=FLOOR).log().transpose(1, 2)[:, None]
