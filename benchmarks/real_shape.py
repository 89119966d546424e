"""Time and memory of learning at MusicGen's real sizes, with random weights, so that nothing is downloaded.

    python benchmarks/real_shape.py --scale large --device cuda

Makes a base of that shape in audiocraft's export format, weights in float16 as those on the hub are, learns from
recordings of the tiny base with the settings of `solver=musicgen/ti`, and prints what an update takes.
"""
import argparse
import io
import multiprocessing
from pathlib import Path
import re
import tempfile
import time

from audiocraft_ti import train
from audiocraft.models import builders
from omegaconf import OmegaConf
import torch
from transformers import T5Config, T5EncoderModel

from audiocraft_ti import tiny
from audiocraft_ti.modules.conditioner import register_t5
from audiocraft_ti.tiny.recordings import write_recordings

SCALES = {'small': (1024, 16, 24), 'medium': (1536, 24, 48), 'large': (2048, 32, 48)}  # width, heads, layers
T5_BASE = {'vocab_size': 32128, 'd_model': 768, 'd_kv': 64, 'd_ff': 3072, 'num_layers': 12, 'num_heads': 12}
CODEC = {'sample_rate': 32000, 'seanet': {'dimension': 128, 'n_filters': 64, 'ratios': [8, 5, 4, 4]},
         'rvq': {'bins': 2048, 'kmeans_init': False}}


def make_base(folder: Path, scale: str, device: str) -> None:
    """Write an export of the given shape: the tiny base's configuration, with the real sizes."""
    (folder / 't5').mkdir(parents=True)
    (folder / 't5' / 'spiece.model').write_bytes((tiny.BASE / 't5' / 'spiece.model').read_bytes())
    T5EncoderModel(T5Config(**T5_BASE)).save_pretrained(folder / 't5')
    dim, num_heads, num_layers = SCALES[scale]
    lm = {'dim': dim, 'num_heads': num_heads, 'num_layers': num_layers, 'card': 2048}
    for name, build, sizes in (('compression_state_dict.bin', builders.get_compression_model, CODEC),
                               ('state_dict.bin', builders.get_lm_model, {'transformer_lm': lm})):
        pkg = torch.load(tiny.BASE / name)
        cfg = OmegaConf.merge(OmegaConf.create(pkg['xp.cfg']), sizes, {'device': device, 'dtype': 'float16'})
        pkg['xp.cfg'] = OmegaConf.to_yaml(cfg)
        if name == 'state_dict.bin':
            cfg.conditioners.description.t5.name = register_t5(folder / 't5')
        state = build(cfg).state_dict()
        pkg['best_state'] = {key: value.cpu().half() if name == 'state_dict.bin' else value.cpu()
                             for key, value in state.items()}
        torch.save(pkg, folder / name)


def peak_memory(device: str) -> float:
    """In GB: of the GPU, or of this process."""
    if device == 'cpu':
        return int(re.findall(r'VmHWM:\s+(\d+)', Path('/proc/self/status').read_text())[0]) / 2 ** 20
    return torch.cuda.max_memory_allocated() / 2 ** 30


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.split('\n')[0])
    parser.add_argument('--scale', choices=SCALES, default='small')
    parser.add_argument('--device', default='cpu')
    parser.add_argument('--batch-size', type=int, default=32)
    parser.add_argument('--updates', type=int, default=5)
    args = parser.parse_args()
    with tempfile.TemporaryDirectory() as temporary:
        folder = Path(temporary)
        # in a process of its own, whose memory is not counted
        maker = multiprocessing.get_context('spawn').Process(
            target=make_base, args=(folder / 'base', args.scale, args.device))
        maker.start()
        maker.join()
        write_recordings(folder / 'recordings')
        train.main.dora.dir = folder / 'dora'
        xp = train.main.get_xp([
            'solver=musicgen/ti', f'continue_from={folder}/base', f'datasource.folder={folder}/recordings',
            f'device={args.device}', f'dataset.batch_size={args.batch_size}', 'optim.epochs=1', 'generate.duration=2',
            f'optim.updates_per_epoch={args.updates + 1}', 'concept.name=zither', f'tokens.cache_path={folder}/tokens'])
        train.main.init_xp(xp)
        if args.device != 'cpu':
            torch.cuda.reset_peak_memory_stats()
        with xp.enter():
            solver = train.get_solver(xp.cfg)
            loaded = peak_memory(args.device)
            times = time_updates(solver)
            checkpoint = io.BytesIO()
            torch.save(solver.state_dict(), checkpoint)
        modules = (solver.base.lm, solver.model.conditioner.t5, solver.base.codec)
        weights = sum(p.numel() * p.element_size() for module in modules for p in module.parameters()) / 2 ** 30
        print(f'{args.scale} on {args.device}, batch {args.batch_size}: weights {weights:.2f} GB, peak after loading '
              f'{loaded:.2f} GB, peak of learning {peak_memory(args.device):.2f} GB, '
              f'update {sorted(times)[len(times) // 2]:.2f} s, vectors {list(solver.vectors.shape)}, '
              f'checkpoint {checkpoint.tell() / 1e3:.0f} kB')


def time_updates(solver) -> list:
    """Seconds of each update but the first."""
    solver._current_stage = 'train'
    solver.model.train()
    times = []
    for idx, batch in enumerate(solver.dataloaders['train']):
        begin = time.monotonic()
        solver.run_step(idx, batch, {})[solver.LOSS].item()
        times.append(time.monotonic() - begin)
    return times[1:]


if __name__ == '__main__':
    main()
