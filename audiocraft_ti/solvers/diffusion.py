"""What solvers that learn a concept in a latent diffusion model share."""
import typing as tp

from .. import environment
environment.prepare()
import flashy
from omegaconf import DictConfig
import torch

from ..data.latents import LatentCache, windows
from ..data.manifest import Clip
from ..models.diffusion import DiffusionModel
from ..rng import generator
from .checks import check_positive
from .concept import ConceptSolver
from .textual_inversion import TextualInversion


class DiffusionSolver(ConceptSolver):
    """Learns from latents of recordings, by what the model finds in them once they are noisy (eq. 1)."""
    LOSS = 'mse'
    base: DiffusionModel
    conditioner: tp.Any

    def __init__(self, cfg: DictConfig):
        check_positive(cfg, 'optim.accumulate', 'generate.diffusion.steps', 'generate.diffusion.guidance')
        super().__init__(cfg)

    def show(self) -> None:
        """Describe what is trained."""
        self.log_model_summary(self.model)

    # Data

    def caches(self, split: str) -> tp.List[LatentCache]:
        """What encodes stretches of recordings: each is learned from as each of these has it."""
        return [LatentCache(self.cache_path, self.base.codec, self.device)]

    def encode(self, split: str, clips: tp.List[Clip]) -> tp.Tuple[tp.List[Clip], tp.List[torch.Tensor], int]:
        caches = self.caches(split)
        stretches = [one for clip in clips for one in windows(clip, self.cfg.dataset.segment_duration)]
        moments = [one for cache in caches for one in self.encode_all(split, stretches, cache)]
        return stretches * len(caches), moments, moments[0].shape[-1]

    # Stages

    def seed_draws(self, stage: int, index: int) -> None:
        """Make placeholders, noise and times of diffusion follow from stage and index."""
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
        """Eq. 1 for moments of latents, [B, ..., T'], their prompts, and times of diffusion [B]."""
        draws = self.conditioner.generator
        latents = self.base.codec.draw(moments.to(self.device), draws)
        noise = torch.randn(latents.shape, generator=draws).to(latents)
        with self.autocast:
            return self.base.noise_loss(latents, self.conditioner(prompts), times.to(self.device), noise,
                                        self.cfg.dataset.segment_duration)

    def other_loss(self, count: int, metrics: dict) -> tp.Union[float, torch.Tensor]:
        """What else is to be small, beside the loss of so many clips."""
        return 0.

    def _draw_times(self, idx: int, count: int) -> torch.Tensor:
        """Times of diffusion, [count]: drawn in training, spread evenly over what is held out."""
        if self.is_training:
            return self.base.times(torch.rand(count, generator=self.conditioner.generator))
        places = idx * self.cfg.dataset.batch_size + torch.arange(count)
        return self.base.times((places + 0.5) / self.cfg.dataset.valid.num_samples % 1)

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
        return self.base.sample(self.conditioner, prompts, duration, generator=self.conditioner.generator,
                                **self.cfg.generate.diffusion)


class DiffusionTextualInversion(TextualInversion, DiffusionSolver):
    """Textual inversion on a latent diffusion model: new words of its text encoder."""
    model: tp.Any
    conditioner: tp.Any

    def build_model(self) -> None:
        """Let the frozen base read the concept's vectors."""
        cfg = self.cfg.concept
        self.model = self.conditioner = self.base.make_conditioner(
            shuffle=cfg.shuffle, sample_ratio=cfg.sample_ratio, train_ratio=cfg.train_ratio)
        self.learn_vectors()

    @property
    def frozen(self) -> tp.List[torch.nn.Module]:
        return list(self.base.modules.values())
