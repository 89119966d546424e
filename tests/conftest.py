"""What several tests need: the tiny base, recordings, and Dora runs in processes of their own."""
import contextlib
from dataclasses import dataclass
import json
import os
from pathlib import Path
import subprocess
import sys
import typing as tp

import pytest

os.environ['HF_HUB_OFFLINE'] = '1'  # read when the hub's client is imported
ROOT = Path(__file__).parent.parent
DORA = str(Path(sys.executable).with_name('dora'))


def pytest_collection_modifyitems(items):
    """What starts processes comes last, and whole runs after that."""
    items.sort(key=lambda item: (2 if 'dora' in item.fixturenames else item.path.name == 'test_environment.py'))


@pytest.fixture(scope='session')
def base():
    """The tiny base model. Tests that change it load their own."""
    from audiocraft_ti.models.loaders import load_base
    return load_base('tiny')


@pytest.fixture(scope='session')
def recordings(tmp_path_factory) -> Path:
    """A folder with six recordings of four seconds."""
    from audiocraft_ti.tiny.recordings import write_recordings
    folder = tmp_path_factory.mktemp('recordings')
    write_recordings(folder, count=6)
    return folder


@pytest.fixture(scope='session')
def stable_audio(tmp_path_factory) -> Path:
    """A small Stable Audio of 5.12 s that reads with the tiny base's T5; nobody has trained it."""
    from diffusers import (AutoencoderOobleck, CosineDPMSolverMultistepScheduler, StableAudioDiTModel,
                           StableAudioPipeline)
    from diffusers.pipelines.stable_audio import StableAudioProjectionModel
    import torch
    from transformers import T5EncoderModel, T5TokenizerFast
    from audiocraft_ti import tiny
    width = 48
    with torch.random.fork_rng():
        torch.manual_seed(0)
        vae = AutoencoderOobleck(encoder_hidden_size=16, downsampling_ratios=[8, 8, 10], channel_multiples=[1, 1, 1],
                                 decoder_channels=8, decoder_input_channels=8, sampling_rate=16000)
        transformer = StableAudioDiTModel(
            sample_size=128, in_channels=8, out_channels=8, num_layers=2, attention_head_dim=16, num_attention_heads=2,
            num_key_value_attention_heads=1, cross_attention_dim=16, time_proj_dim=16,
            global_states_input_dim=2 * width, cross_attention_input_dim=width)
        projection = StableAudioProjectionModel(128, width, min_value=0, max_value=64)
    tokenizer = T5TokenizerFast.from_pretrained(tiny.BASE / 't5', model_max_length=32)
    text_encoder = T5EncoderModel.from_pretrained(tiny.BASE / 't5')
    folder = tmp_path_factory.mktemp('stable_audio')
    StableAudioPipeline(vae, text_encoder, projection, tokenizer, transformer, CosineDPMSolverMultistepScheduler()
                        ).save_pretrained(folder)
    return folder


@pytest.fixture
def make_solver(tmp_path, monkeypatch):
    """Builds the solver of some overrides, inside an experiment, in this process."""
    from audiocraft_ti import train
    monkeypatch.setattr(train.main.dora, 'dir', tmp_path / 'dora')
    with contextlib.ExitStack() as stack:
        def make(*overrides: str):
            stack.close()  # one experiment at a time
            xp = train.main.get_xp(['solver=musicgen/ti_tiny', 'concept.name=amen', *overrides])
            train.main.init_xp(xp)
            stack.enter_context(xp.enter())
            return train.get_solver(xp.cfg)
        make.leave = stack.close  # type: ignore
        yield make


@dataclass
class Dora:
    """Runs `dora` in a process of its own, with a folder of its own for what comes out."""
    folder: Path

    def start(self, *args: str, cwd: tp.Optional[Path] = None, **env: str) -> subprocess.Popen:
        environ = {**os.environ, 'AUDIOCRAFT_DORA_DIR': str(self.folder), **env}
        return subprocess.Popen([DORA, *args], cwd=cwd or ROOT, env=environ, text=True, stdout=subprocess.PIPE,
                                stderr=subprocess.STDOUT)

    def __call__(self, *args: str, status: int = 0, timeout: float = 300, **kwargs: tp.Any) -> str:
        """Output of a finished command, which must have left with the given exit status."""
        process = self.start(*args, **kwargs)
        try:
            output, _ = process.communicate(timeout=timeout)
        finally:
            process.kill()
        assert process.returncode == status, output
        return output

    def run(self, *overrides: str, **kwargs: tp.Any) -> str:
        return self('run', 'solver=musicgen/ti_tiny', *overrides, **kwargs)

    @property
    def xps(self) -> tp.List[Path]:
        """Folders of all runs."""
        return sorted((self.folder / 'xps').glob('*'))

    def history(self, xp: Path) -> tp.List[dict]:
        return json.loads((xp / 'history.json').read_text())


@pytest.fixture
def dora(tmp_path) -> Dora:
    return Dora(tmp_path / 'dora')
