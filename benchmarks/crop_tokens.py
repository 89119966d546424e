"""How the tokens of a crop differ when they are cut from those of the whole recording.

    python benchmarks/crop_tokens.py [--base tiny] [--folder FOLDER] [--crops 200]

Prints the share of equal tokens, by codebook and by place in a two-second crop. The recordings are the tiny base's own
unless a folder is given.
"""
import argparse
import tempfile

import torch

from audiocraft_ti.data import audio
from audiocraft_ti.data.manifest import find_recordings
from audiocraft_ti.data.tokens import encode
from audiocraft_ti.models.loaders import BaseModel, load_base
from audiocraft_ti.rng import generator
from audiocraft_ti.tiny.recordings import write_recordings

DURATION = 2  # seconds


def compare(base: BaseModel, folder: str, crops: int) -> torch.Tensor:
    """Whether tokens are equal, for random crops of a folder's recordings: bool of shape [crops, K, T_s]."""
    codec, steps = base.codec, round(DURATION * base.codec.frame_rate)
    hop = round(codec.sample_rate / codec.frame_rate)
    wavs = [audio.read_as(path, codec.sample_rate, codec.channels) for path in find_recordings(folder)]
    whole = [encode(codec, wav) for wav in wavs]
    equal = []
    for index in range(crops):
        draw = generator(index)
        which = int(torch.randint(len(wavs), (1,), generator=draw))
        begin = int(torch.randint(whole[which].shape[-1] - steps + 1, (1,), generator=draw))
        alone = encode(codec, wavs[which][:, begin * hop:(begin + steps) * hop])
        equal.append(alone == whole[which][:, begin:begin + steps])
    return torch.stack(equal)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.split('\n')[0])
    parser.add_argument('--base', default='tiny')
    parser.add_argument('--folder')
    parser.add_argument('--crops', type=int, default=200)
    args = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        write_recordings(folder)
        equal = compare(load_base(args.base), args.folder or folder, args.crops).float()
    print(f'equal tokens: {equal.mean():.1%}, by codebook: '
          + ' '.join(f'{share:.1%}' for share in equal.mean(dim=(0, 2)).tolist()))
    by_step = equal.mean(dim=(0, 1))
    for begin, end in ((0, 5), (5, 10), (10, 20), (20, 50), (50, 96), (96, 100)):
        print(f'steps {begin:3d} to {end:3d}: {by_step[begin:end].mean():.2%}')


if __name__ == '__main__':
    main()
