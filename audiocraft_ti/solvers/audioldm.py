"""The paper's other two systems, textual inversion and DreamBooth on AudioLDM (P26)."""
import json
from pathlib import Path
import typing as tp

from .. import environment
environment.prepare()
from audiocraft.solvers import builders
from audiocraft.utils.utils import dict_from_config
import flashy
from flashy.utils import write_and_rename
from omegaconf import DictConfig
from safetensors.torch import load_file, save
import torch

from ..data.latents import AugmentedCache, LatentCache
from ..errors import UserError
from ..hashes import bytes_hash
from ..models.audioldm import AudioLDM, load_audioldm
from ..models.difference import save_difference
from .checks import check_no_baselines, check_positive
from .concept import PRIOR
from .diffusion import DiffusionSolver, DiffusionTextualInversion


class AudioLDMSolver(DiffusionSolver):
    """Learns a concept in an AudioLDM."""
    base: AudioLDM

    def load_base(self, name: str, cfg: DictConfig) -> AudioLDM:
        return load_audioldm(name, cfg.device, cfg.dtype)

    def caches(self, split: str) -> tp.List[LatentCache]:
        """The recordings as they are, and for training disturbed versions of them."""
        versions = self.cfg.dataset.augment if split == 'train' else 0
        where: tp.Dict[str, tp.Any] = {'folder': self.cache_path, 'codec': self.base.codec, 'device': self.device}
        return [*super().caches(split), *(AugmentedCache(version, **where) for version in range(versions))]


class AudioLDMTextualInversionSolver(DiffusionTextualInversion, AudioLDMSolver):
    """Textual inversion on AudioLDM: new words of its CLAP text encoder."""
    NAME = 'audioldm_ti'


class DreamBoothSolver(AudioLDMSolver):
    """DreamBooth on AudioLDM, as DreamSound has it (Plitsis et al., 2024): the whole UNet learns a concept.

    In prompts the concept is a word that is hardly ever used, before its class word: "sks guitar".
    """
    NAME = 'audioldm_dreambooth'

    def __init__(self, cfg: DictConfig):
        if not cfg.concept.class_word:
            raise UserError("concept.class_word is not set: DreamBooth's prompts speak of 'sks guitar', so add "
                            "concept.class_word=guitar or what it is.")
        check_no_baselines(cfg)
        check_positive(cfg, *(['concept.prior.num_samples'] if cfg.concept.prior.weight else []))
        super().__init__(cfg)

    @property
    def word(self) -> str:
        return f'{self.cfg.concept.instance_word} {self.cfg.concept.class_word}'

    def build_model(self) -> None:
        """Let the whole UNet be trained."""
        self.conditioner = self.base.make_conditioner()
        unet = self.base.pipeline.unet
        self.before = {name: tensor.detach().cpu().clone() for name, tensor in unet.state_dict().items()}
        self.prior = self._get_prior() if self.cfg.concept.prior.weight and 'train' in self.dataloaders else None
        self.model = unet.requires_grad_(True)
        self.register_training(builders.get_optim_parameter_groups(self.model), self.cfg.optim.lr)

    # Prior preservation

    @property
    def class_prompt(self) -> str:
        """What the base is to go on making as it did."""
        return self.cfg.generate.prompts.reconstruction.replace('{}', self.cfg.concept.class_word)

    def _get_prior(self) -> torch.Tensor:
        """Moments [N, 2C, F, T'] of what the untouched base makes of the class word, from the cache or put there."""
        count = self.cfg.concept.prior.num_samples
        what = [self.base.fingerprint, self.class_prompt, count, self.cfg.seed, self.cfg.dataset.segment_duration,
                dict_from_config(self.cfg.generate.diffusion)]
        path = self.cache_path / f'prior-{bytes_hash(json.dumps(what).encode())[:16]}.safetensors'
        if not path.exists():
            path.parent.mkdir(parents=True, exist_ok=True)
            moments = torch.stack(self.encode_all('prior', range(count), self._make_prior))
            with write_and_rename(path, pid=True) as file:
                file.write(save({'moments': moments}))
        return load_file(path)['moments']

    def _make_prior(self, index: int) -> torch.Tensor:
        self.seed_draws(PRIOR, index)
        wav = self.play([self.class_prompt], self.cfg.dataset.segment_duration)[0]
        return self.base.codec.moments(wav.to(self.device)).cpu()

    def other_loss(self, count: int, metrics: dict) -> tp.Union[float, torch.Tensor]:
        """The loss of as many clips of the base's own (Ruiz et al., 2023), weighted."""
        if self.prior is None:
            return 0.
        draws = self.conditioner.generator
        which = torch.randint(len(self.prior), (count,), generator=draws)
        times = self.base.times(torch.rand(count, generator=draws))
        loss = self.noise_loss(self.prior[which], [self.class_prompt] * count, times)
        metrics['mse_prior'] = loss.detach()
        return self.cfg.concept.prior.weight * loss

    # State

    def save_checkpoints(self) -> None:
        super().save_checkpoints()
        self.export_difference()

    @flashy.distrib.rank_zero_only
    def export_difference(self) -> Path:
        """Write what the best UNet has beyond the base's to `difference.safetensors`."""
        metadata = {'base_model': self.base.name, 'base_fingerprint': self.base.fingerprint, 'word': self.word}
        return save_difference(self.folder / 'difference.safetensors', self.before, self.best_state.states['model'],
                               metadata)

    def report(self) -> None:
        super().report()
        path = self.export_difference()
        self.logger.info("Tuned model: %s, %.1f MB beside its base", path, path.stat().st_size / 1e6)
