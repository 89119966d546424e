"""Pairs of a crop's codec tokens and a neutral prompt."""
import typing as tp

from .. import environment
environment.prepare()
from audiocraft.data.audio_dataset import AudioDataset
from audiocraft.data.music_dataset import MusicInfo
from audiocraft.modules.conditioners import WavCondition
import torch

from .manifest import Clip
from ..rng import generator


def describe(text: tp.Optional[str], clip: tp.Optional[Clip] = None, seek_time: float = 0.,
             duration: float = 0., sample_rate: int = 1, channels: int = 1) -> MusicInfo:
    """What audiocraft's conditioners are told about a crop: its text, and that there is no melody to follow."""
    frames = round(duration * sample_rate)
    info = MusicInfo(meta=clip or Clip('', duration, sample_rate), seek_time=seek_time, n_frames=frames,
                     total_frames=frames, sample_rate=sample_rate, channels=channels, description=text)
    info.self_wav = WavCondition(torch.zeros(1, 1, 1), torch.tensor([0]), sample_rate=[sample_rate], path=[None],
                                 seek_time=[None])
    return info


class ConceptDataset(AudioDataset):
    """Random crops of the clips' tokens, each with a prompt drawn at random (P5, P8).

    Every draw follows from the seed, the epoch and the index alone, so an interrupted run goes on as it would have.

    Args:
        clips (list of Clip): Clips, none shorter than a crop.
        codes (list of torch.Tensor): Their tokens, each [K, T_s], or whatever else has its steps last.
        prompts (list of str): Prompts with `{}` in the concept's place.
        placeholder (str): What stands in that place, `<name>`.
        steps (int): Length of a crop in token steps.
        frame_rate (float): Token steps a second.
        num_samples (int): Number of crops an epoch.
        seed (int): Seed of all draws.
        shuffle (bool): Whether the crops of an epoch differ from those of the last.
        sample_rate (int): Sample rate of the model, in Hz.
        channels (int): Channels of the model.
    """
    def __init__(self, clips: tp.List[Clip], codes: tp.List[torch.Tensor], prompts: tp.List[str], placeholder: str,
                 steps: int, frame_rate: float, num_samples: int, seed: int, shuffle: bool, sample_rate: int,
                 channels: int):
        super().__init__(tp.cast(list, clips), segment_duration=steps / frame_rate, num_samples=num_samples,
                         sample_rate=sample_rate, channels=channels, shuffle=shuffle, shuffle_seed=seed,
                         return_info=True)
        assert all(c.shape[-1] >= steps for c in codes), "a clip is shorter than a crop"
        self.codes = codes
        self.prompts = [prompt.replace('{}', placeholder) for prompt in prompts]
        self.steps = steps
        self.frame_rate = frame_rate
        # Every possible crop is as likely as any other.
        self.positions = torch.tensor([c.shape[-1] - steps + 1 for c in codes], dtype=torch.float)

    def __getitem__(self, index: int) -> tp.Tuple[torch.Tensor, MusicInfo]:
        epoch = (self.current_epoch or 0) if self.shuffle else 0
        draw = generator(self.shuffle_seed, epoch, index)
        which = int(torch.multinomial(self.positions, 1, generator=draw))
        start = int(torch.randint(int(self.positions[which]), (1,), generator=draw))
        # by itself, so that it is the same whatever recordings there are
        of_prompt = generator(self.shuffle_seed, epoch, index, 1)
        prompt = self.prompts[int(torch.randint(len(self.prompts), (1,), generator=of_prompt))]
        clip = tp.cast(Clip, self.meta[which])
        info = describe(prompt, clip, clip.start + start / self.frame_rate, self.steps / self.frame_rate,
                        self.sample_rate, self.channels)
        return self.codes[which][..., start:start + self.steps], info


class PackedDataset(AudioDataset):
    """Crops of several concepts side by side: an index has that of each concept, as the concept's own data set has it.

    A batch holds all crops of the first concept, then all of the second, and so on.

    Args:
        datasets (list of ConceptDataset): One a concept, all of the same length and crop.
    """
    def __init__(self, datasets: tp.List[ConceptDataset]):
        first = datasets[0]
        super().__init__(first.meta, segment_duration=first.segment_duration, num_samples=first.num_samples,
                         sample_rate=first.sample_rate, channels=first.channels)
        self.datasets = datasets

    def __getitem__(self, index: int) -> tp.Any:
        for dataset in self.datasets:
            dataset.current_epoch = self.current_epoch
        return [dataset[index] for dataset in self.datasets]

    def collater(self, samples: tp.Any) -> tp.Any:
        return self.datasets[0].collater([crop for crops in zip(*samples) for crop in crops])
