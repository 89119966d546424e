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

from ..data.latents import AugmentedCache, LatentCache, windows
from ..data.manifest import Clip
from ..errors import UserError
from ..hashes import bytes_hash
from ..models.audioldm import AudioLDM, load_audioldm
from ..models.difference import save_difference
from ..modules.clap import ClapConditioner
from ..rng import generator
from .checks import check_positive
from .concept import ConceptSolver, PRIOR
from .textual_inversion import TextualInversion


class AudioLDMSolver(ConceptSolver):
    """Learns from latents of recordings, by the noise that the model finds in them (eq. 1)."""
    LOSS = 'mse'
    base: AudioLDM
    conditioner: ClapConditioner

    def __init__(self, cfg: DictConfig):
        check_positive(cfg, 'optim.accumulate', 'generate.diffusion.steps', 'generate.diffusion.guidance')
        super().__init__(cfg)

    def load_base(self, name: str, cfg: DictConfig) -> AudioLDM:
        return load_audioldm(name, cfg.device, cfg.dtype)

    def make_conditioner(self, **kwargs: tp.Any) -> ClapConditioner:
        """A conditioner of the base's text encoder."""
        pipeline = self.base.pipeline
        name = pipeline.text_encoder.config.name_or_path
        return ClapConditioner(pipeline.text_encoder, pipeline.tokenizer, name, **kwargs).to(self.device)

    def show(self) -> None:
        """Describe what is trained."""
        self.log_model_summary(self.model)

    # Data

    def encode(self, split: str, clips: tp.List[Clip]) -> tp.Tuple[tp.List[Clip], tp.List[torch.Tensor], int]:
        where: tp.Dict[str, tp.Any] = {'folder': self.cache_path, 'codec': self.base.codec, 'device': self.device}
        versions = self.cfg.dataset.augment if split == 'train' else 0
        caches = [LatentCache(**where), *(AugmentedCache(version, **where) for version in range(versions))]
        stretches = [one for clip in clips for one in windows(clip, self.cfg.dataset.segment_duration)]
        moments = [one for cache in caches for one in self.encode_all(split, stretches, cache)]
        return stretches * len(caches), moments, moments[0].shape[-1]

    # Stages

    def seed_draws(self, stage: int, index: int) -> None:
        """Make placeholders, noise and steps of diffusion follow from stage and index."""
        self.conditioner.generator = generator(self.cfg.seed, stage, index, flashy.distrib.rank())

    def run_step(self, idx: int, batch: tp.Any, metrics: dict) -> dict:
        """One update, or one held-out batch, in as many parts as gradients are accumulated over."""
        self.seed_step(idx)
        moments, infos = batch
        prompts, times = [info.description for info in infos], self._draw_times(idx, len(infos))
        places = torch.arange(len(infos)).chunk(self.cfg.optim.accumulate if self.is_training else 1)
        total = torch.zeros((), device=self.device)
        for part in places:
            share = len(part) / len(infos)
            mse = self.noise_loss(moments[part], [prompts[i] for i in part], times[part])
            if self.is_training:
                self.backward(share * (mse + self.other_loss(len(part), metrics)))
            total += share * mse.detach()
        if self.is_training:
            self._step(metrics)
        return {**metrics, self.LOSS: total}

    def noise_loss(self, moments: torch.Tensor, prompts: tp.List[tp.Optional[str]], times: torch.Tensor
                   ) -> torch.Tensor:
        """Eq. 1 for moments of latents, [B, 2C, F, T'], their prompts, and steps of diffusion [B]."""
        draws = self.conditioner.generator
        latents = self.base.codec.draw(moments.to(self.device), draws)
        noise = torch.randn(latents.shape, generator=draws).to(latents)
        with self.autocast:
            return self.base.noise_loss(latents, self.conditioner(prompts), times.to(self.device), noise)

    def other_loss(self, count: int, metrics: dict) -> tp.Union[float, torch.Tensor]:
        """What else is to be small, beside the loss of so many clips."""
        return 0.

    def _draw_times(self, idx: int, count: int) -> torch.Tensor:
        """Steps of diffusion, [count]: drawn in training, spread evenly over what is held out."""
        steps = self.base.pipeline.scheduler.config.num_train_timesteps
        if self.is_training:
            return torch.randint(steps, (count,), generator=self.conditioner.generator)
        places = idx * self.cfg.dataset.batch_size + torch.arange(count)
        return ((places + 0.5) * steps / self.cfg.dataset.valid.num_samples).long() % steps

    def _step(self, metrics: dict) -> None:
        metrics['lr'] = self.optimizer.param_groups[0]['lr']
        flashy.distrib.sync_model(self.model)
        if self.scaler is not None:
            self.scaler.unscale_(self.optimizer)
        if self.cfg.optim.max_norm:
            norm = torch.nn.utils.clip_grad_norm_(self.model.parameters(), self.cfg.optim.max_norm)
            metrics['grad_norm'] = norm.detach()
        if self.scaler is None:
            self.optimizer.step()
        else:
            self.scaler.step(self.optimizer)
            self.scaler.update()
        if self.lr_scheduler:
            self.lr_scheduler.step()
        self.optimizer.zero_grad()

    @torch.no_grad()
    def play(self, prompts: tp.List[str], duration: float) -> torch.Tensor:
        texts, nothing = self.conditioner(prompts), self.conditioner([None] * len(prompts))
        return self.base.sample(texts, nothing, duration, generator=self.conditioner.generator,
                                **self.cfg.generate.diffusion)


class AudioLDMTextualInversionSolver(TextualInversion, AudioLDMSolver):
    """Textual inversion on AudioLDM: new words of its CLAP text encoder."""
    NAME = 'audioldm_ti'
    model: ClapConditioner
    conditioner: ClapConditioner

    def build_model(self) -> None:
        """Let the frozen base read the concept's vectors."""
        cfg = self.cfg.concept
        self.model = self.conditioner = self.make_conditioner(
            shuffle=cfg.shuffle, sample_ratio=cfg.sample_ratio, train_ratio=cfg.train_ratio)
        self.learn_vectors()

    @property
    def frozen(self) -> tp.List[torch.nn.Module]:
        return list(self.base.modules.values())


class DreamBoothSolver(AudioLDMSolver):
    """DreamBooth on AudioLDM, as DreamSound has it (Plitsis et al., 2024): the whole UNet learns a concept.

    In prompts the concept is a word that is hardly ever used, before its class word: "sks guitar".
    """
    NAME = 'audioldm_dreambooth'

    def __init__(self, cfg: DictConfig):
        if not cfg.concept.class_word:
            raise UserError("concept.class_word is not set: DreamBooth's prompts speak of 'sks guitar', so add "
                            "concept.class_word=guitar or what it is.")
        check_positive(cfg, *(['concept.prior.num_samples'] if cfg.concept.prior.weight else []))
        super().__init__(cfg)

    @property
    def word(self) -> str:
        return f'{self.cfg.concept.instance_word} {self.cfg.concept.class_word}'

    def build_model(self) -> None:
        """Let the whole UNet be trained."""
        self.conditioner = self.make_conditioner()
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
        times = torch.randint(self.base.pipeline.scheduler.config.num_train_timesteps, (count,), generator=draws)
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
