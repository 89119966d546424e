"""What all solvers that learn a concept share: recordings and prompts go in, samples and scores come out."""
from abc import abstractmethod
import copy
import json
from pathlib import Path
import typing as tp

from .. import environment
environment.prepare()
from audiocraft.data.audio_utils import normalize_audio
from audiocraft.solvers import builders
from audiocraft.solvers.base import StandardSolver
from audiocraft.utils.utils import dict_from_config, get_dataset_from_loader, get_loader
import flashy
from flashy.logging import LogProgressBar
from omegaconf import DictConfig, OmegaConf
import torch
from torch.utils.data import DataLoader

from ..data import audio, manifest
from ..data.dataset import ConceptDataset
from ..data.prompts import load_prompts
from ..evaluation.scores import editability, reconstruction
from ..models.loaders import find_base
from ..rng import generator
from .builders import get_lr_scheduler
from .checks import check_config
from .verdict import gap_closure, verdict

T = tp.TypeVar('T')
TRAIN, VALID, GENERATE, ROWS, PRIOR = range(5)  # which draws of random numbers


class ConceptSolver(StandardSolver):
    """Learns a concept from recordings, and says whether it does; subclasses say what is trained in which model."""
    LOSS: str  # what is minimised, by its name among the metrics
    base: tp.Any
    scaler: tp.Any
    conditioner: tp.Any = None  # draws vectors of concepts, where there is one

    def __init__(self, cfg: DictConfig):
        cfg = check_config(copy.deepcopy(cfg))
        # What continues a concept is kept for upstream to load, what names a base is not.
        base, cfg.continue_from = find_base(cfg.continue_from)
        self.base = self.load_base(base, cfg)
        super().__init__(cfg)

    @abstractmethod
    def load_base(self, name: str, cfg: DictConfig) -> tp.Any:
        """The pretrained model of that name, whose `codec` has `sample_rate`, `channels` and `frame_rate`."""

    @property
    @abstractmethod
    def word(self) -> str:
        """The concept as it is written in prompts."""

    # Data

    def build_dataloaders(self) -> None:
        """Loaders of crops and prompts, for what is learned from and for what is held out."""
        if self.cfg.execute_only in ('generate', 'evaluate'):
            return
        prompts = load_prompts(self.cfg.dataset.neutral_prompts)
        for split, clips in zip(('train', 'valid'), self._clips()):
            length = sum(clip.length for clip in clips)
            self.logger.info("%s: %d clips, %.1f s in all", split.capitalize(), len(clips), length)
            self.dataloaders[split] = self._loader(split, *self.encode(split, clips), prompts)

    @abstractmethod
    def encode(self, split: str, clips: tp.List[manifest.Clip]
               ) -> tp.Tuple[tp.List[manifest.Clip], tp.List[torch.Tensor], int]:
        """Clips as the model knows them: the stretches, each one's tokens or latents with its steps last, and how many
        steps a crop has."""

    def encode_all(self, what: str, clips: tp.Sequence[T], encode: tp.Callable[[T], torch.Tensor]
                   ) -> tp.List[torch.Tensor]:
        """Encode clips one by one, and show how far it is."""
        return [encode(clip) for clip in LogProgressBar(self.logger, clips, name=f'Encoding | {what}', updates=5)]

    @property
    def cache_path(self) -> Path:
        """Where what is computed of clips is kept."""
        return Path(self.cfg.tokens.cache_path or environment.CACHE / 'tokens')

    def _loader(self, split: str, clips: tp.List[manifest.Clip], codes: tp.List[torch.Tensor], steps: int,
                prompts: tp.List[str]) -> DataLoader:
        """Batches of a split's crops. Their order is kept: each is random by itself, and follows from its index."""
        cfg, codec = self.cfg.dataset, self.base.codec
        updates = self.cfg.optim.updates_per_epoch * flashy.distrib.world_size()
        dataset = ConceptDataset(
            clips, codes, prompts, self.word, steps=steps, frame_rate=codec.frame_rate,
            num_samples=updates * cfg.batch_size if split == 'train' else cfg.valid.num_samples,
            seed=self.cfg.seed, shuffle=split == 'train', sample_rate=codec.sample_rate, channels=codec.channels)
        return get_loader(dataset, None, batch_size=cfg.batch_size, num_workers=cfg.num_workers, seed=self.cfg.seed,
                          collate_fn=dataset.collater)

    def _clips(self) -> tp.Tuple[tp.List[manifest.Clip], tp.List[manifest.Clip]]:
        """The two manifests, made once and kept in the run's folder."""
        folder = self.folder / 'manifest'
        if flashy.distrib.is_rank_zero() and not folder.exists():
            source = manifest.collect(**self.cfg.datasource, min_length=self.cfg.dataset.segment_duration)
            manifest.write(folder, *source)
        flashy.distrib.barrier()
        return manifest.load(folder / 'train.jsonl', 'manifest'), manifest.load(folder / 'valid.jsonl', 'manifest')

    # Model

    def register_training(self, parameters: tp.Any, lr: float) -> None:
        """Make optimizer, schedule, average and the rest of what training `self.model` needs, as upstream does.

        Args:
            parameters (iterable): Parameters to train, or groups of them.
            lr (float): Learning rate.
        """
        self.register_ema('model')
        optim = OmegaConf.merge(self.cfg.optim, {'lr': lr})
        self.optimizer = builders.get_optimizer(parameters, tp.cast(DictConfig, optim))
        self.lr_scheduler = get_lr_scheduler(self.optimizer, self.cfg.schedule, self.total_updates)
        self.best_state.dtype = None  # upstream would keep the best state in the type of autocast
        self.register_stateful('model', 'optimizer', 'lr_scheduler')
        self.register_best_state('model')
        self.autocast_dtype = getattr(torch, self.cfg.autocast_dtype)
        self.scaler = None
        if self.cfg.autocast and self.autocast_dtype is torch.float16:
            self.scaler = torch.amp.GradScaler(self.device)  # type: ignore
            self.register_stateful('scaler')

    def backward(self, loss: torch.Tensor) -> None:
        """Add a loss's gradients to those that are there."""
        (loss if self.scaler is None else self.scaler.scale(loss)).backward()

    # State

    def state_dict(self) -> tp.Dict[str, tp.Any]:
        """The solver's state in plain types, which `torch.load` reads without unpickling anything."""
        state = super().state_dict()
        state['xp.cfg'] = OmegaConf.to_yaml(self.xp.cfg)
        if self.ema is not None:
            averages = {name: dict(tensors) for name, tensors in self.ema.state.items()}
            state['ema'] = {'state': averages, 'count': self.ema.count}
        return state

    # Stages

    def get_formatter(self, stage_name: str) -> flashy.Formatter:
        return flashy.Formatter({'lr': '.2E', 'grad_norm': '.3E'}, exclude_keys=['ce_q*', 'ppl_q*'])

    def run_epoch(self) -> None:
        if not self.history:
            with torch.no_grad():
                self.run_stage('start', self.start)
        super().run_epoch()

    def train(self) -> tp.Dict[str, float]:
        """An epoch of updates, on crops of its own."""
        dataset = tp.cast(ConceptDataset, get_dataset_from_loader(self.dataloaders['train']))
        dataset.current_epoch = self.epoch
        return super().train()

    def seed_step(self, idx: int) -> None:
        """Make what is drawn in an update, or for a held-out batch, follow from its number alone."""
        update = (self.epoch - 1) * self.train_updates_per_epoch + idx if self.is_training else idx
        self.seed_draws(TRAIN if self.is_training else VALID, update)

    def start(self) -> tp.Dict[str, float]:
        """Held-out losses before anything is learned: under the prompts, without text, and with the class word."""
        self.model.eval()
        class_word = self.cfg.concept.class_word
        losses = {'start': self._held_out_loss(lambda prompt: prompt),
                  'no_text': self._held_out_loss(lambda prompt: None)}
        if class_word is not None:
            losses['class_word'] = self._held_out_loss(lambda prompt: prompt.replace(self.word, class_word))
        return {f'{self.LOSS}_{key}': value for key, value in losses.items()}

    def _held_out_loss(self, rewrite: tp.Callable[[str], tp.Optional[str]]) -> float:
        """The loss of the held-out crops under their prompts, each rewritten first."""
        average = flashy.averager()
        loader = self.dataloaders['valid']
        for idx, (codes, infos) in enumerate(loader):
            for info in infos:
                info.description = rewrite(info.description)
            metrics = average({self.LOSS: self.run_step(idx, (codes, infos), {})[self.LOSS]})
        return flashy.distrib.average_metrics(metrics, len(loader))[self.LOSS]

    def valid(self) -> dict:
        """Held-out loss with the concept, beside what it was at the start."""
        metrics = super().valid()
        metrics.update((self.history[0] if self.history else self._pending_metrics)['start'])
        if f'{self.LOSS}_class_word' in metrics:
            closure = gap_closure(*(metrics[self.LOSS + end] for end in ('', '_no_text', '_class_word')))
            metrics.update({} if closure is None else {'gap_closure': closure})
        self.logger.info(self._verdict(metrics))
        return metrics

    def _verdict(self, metrics: tp.Mapping[str, float]) -> str:
        return verdict(self.word, metrics[self.LOSS], metrics, self.cfg.concept.class_word, self.LOSS)

    @property
    def best_metric_name(self) -> tp.Optional[str]:
        return self.LOSS

    @property
    def best_losses(self) -> tp.Dict[str, float]:
        """Held-out losses of the epoch whose state is the best."""
        return min((epoch['valid'] for epoch in self.history), key=lambda losses: losses[self.LOSS])

    @property
    def _has_stalled(self) -> bool:
        """Whether the held-out loss has not improved for `optim.patience` updates."""
        losses = [epoch['valid'][self.LOSS] for epoch in (*self.history, self._pending_metrics) if 'valid' in epoch]
        if self.cfg.optim.patience is None or not losses:
            return False
        return (len(losses) - 1 - losses.index(min(losses))) * self.train_updates_per_epoch >= self.cfg.optim.patience

    def should_stop_training(self) -> bool:
        return super().should_stop_training() or self._has_stalled

    def should_run_stage(self, stage_name: str) -> bool:
        return super().should_run_stage(stage_name) or self._has_stalled  # this epoch is the last one

    def seed_draws(self, stage: int, index: int) -> None:
        """Make what is drawn follow from stage and index; nothing is where there is no conditioner of ours."""
        if self.conditioner is not None:
            self.conditioner.generator = generator(self.cfg.seed, stage, index, flashy.distrib.rank())

    @flashy.distrib.rank_zero_only
    def generate(self) -> tp.Dict[str, float]:
        """Make music with the concept: `samples/<epoch>/`, with one line a sample in its `samples.jsonl`.

        Returns:
            dict[str, float]: Scores of the samples, as far as `evaluate.metrics` asks for them.
        """
        folder = self.folder / 'samples' / str(self.epoch)
        lines, samples = [], {}
        for index, (kind, prompt) in enumerate(self.cfg.generate.prompts.items()):
            self.seed_draws(GENERATE, index)
            text = prompt.replace('{}', self.word)
            self.logger.info("Generating %d samples of '%s' into %s", self.cfg.generate.num_samples, text, folder)
            samples[kind] = wavs = self.sample(text, self.cfg.generate.num_samples, self.cfg.generate.duration)
            for number, wav in enumerate(wavs):
                file = audio.write(folder / f'{kind}_{number}.wav', wav, self.base.codec.sample_rate)
                lines.append({'kind': kind, 'prompt': text, 'file': file.name, 'concept': self.cfg.concept.name})
                self._log_to_tensorboard(f'{kind}_{number}', wav)
        (folder / 'samples.jsonl').write_text(''.join(json.dumps(line) + '\n' for line in lines), encoding='utf-8')
        return self._clap_scores(samples)

    def _clap_scores(self, samples: tp.Dict[str, tp.List[torch.Tensor]]) -> tp.Dict[str, float]:
        """Reconstruction and editability (P20, P21) of the samples of each kind, as far as they are asked for."""
        wanted = {kind for kind in samples if self.cfg.evaluate.metrics.get(f'clap_{kind}')}
        if not wanted:
            return {}
        from ..evaluation.embedders import ClapEmbedder
        sample_rate, channels = self.base.codec.sample_rate, self.base.codec.channels
        embedder = ClapEmbedder(self.cfg.metrics.clap.checkpoint, self.device)
        outputs = {kind: embedder.audio(samples[kind], sample_rate) for kind in wanted}
        scores = {}
        if 'editability' in wanted:
            text = self.cfg.generate.prompts.editability.replace('{}', self.cfg.concept.class_word or '').strip()
            edits = outputs['editability']
            scores['clap_editability'] = editability(edits, embedder.text([text]).expand_as(edits))
        if 'reconstruction' in wanted and 'valid' in self.dataloaders:
            for split, clips in zip(('train', 'valid'), self._clips()):
                wavs = [audio.read_as(clip.path, sample_rate, channels) for clip in clips]
                scores[f'clap_reconstruction_{split}'] = reconstruction(
                    outputs['reconstruction'], embedder.audio(wavs, sample_rate))
        return scores

    @torch.no_grad()
    def sample(self, prompt: str, num_samples: int = 1, duration: float = 10.) -> tp.List[torch.Tensor]:
        """Generate music, normalised as configured.

        Args:
            prompt (str): Text, with the concept's word.
            num_samples (int): Number of samples.
            duration (float): Duration of each, in seconds.
        Returns:
            list of torch.Tensor: Samples of shape [C, T], at the rate of the base model's codec.
        """
        self.model.eval()
        wavs = self.play(prompt, num_samples, duration).float().cpu()
        options = dict_from_config(self.cfg.generate.audio)
        return [normalize_audio(wav, sample_rate=self.base.codec.sample_rate, **options) for wav in wavs]

    @abstractmethod
    def play(self, prompt: str, num_samples: int, duration: float) -> torch.Tensor:
        """Audio of shape [num_samples, C, T], as the model makes it of a prompt."""

    def _log_to_tensorboard(self, key: str, wav: torch.Tensor) -> None:
        logger = self.result_logger._experiment_loggers.get('tensorboard')
        if logger is not None:
            logger.log_audio(key=key, prefix='generate', audio=wav, sample_rate=self.base.codec.sample_rate,
                             step=self.epoch)

    def run(self) -> None:
        """Train to the last epoch, and say what came of it."""
        super().run()
        best = self.best_losses
        self.logger.info("Done after %d updates: held-out loss went from %.3f to %.3f at best",
                         len(self.history) * self.train_updates_per_epoch, best[f'{self.LOSS}_start'], best[self.LOSS])
        self.logger.info(self._verdict(best))
        self.logger.info("Samples: %s", self.folder / 'samples' / str(len(self.history)))
