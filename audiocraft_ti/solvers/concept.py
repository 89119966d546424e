"""What all solvers that learn a concept share: recordings and prompts go in, samples and scores come out."""
from abc import abstractmethod
import copy
from functools import cached_property
from pathlib import Path
import typing as tp

from .. import environment
environment.prepare()
from audiocraft.data.audio_dataset import AudioDataset
from audiocraft.data.audio_utils import normalize_audio
from audiocraft.solvers import builders
from audiocraft.solvers.base import StandardSolver
from audiocraft.utils.utils import dict_from_config, get_dataset_from_loader, get_loader, with_rank_rng
import flashy
from flashy.logging import LogProgressBar
from omegaconf import DictConfig, OmegaConf
import torch
from torch.utils.data import DataLoader

from ..concept import placeholder
from ..data import audio, lines as files, manifest
from ..data.dataset import ConceptDataset
from ..data.prompts import load_edits, load_prompts
from ..evaluation import BASELINES
from ..models.loaders import find_base
from ..models.samples import LISTING
from .builders import get_lr_scheduler
from .checks import check_config
from .verdict import gap_closure, verdict

if tp.TYPE_CHECKING:
    from ..evaluation.embedders import CachedEmbedder
    from ..evaluation.listeners import Listener

T = tp.TypeVar('T')
TRAIN, VALID, GENERATE, ROWS, PRIOR = range(5)  # which draws of random numbers


class ConceptSolver(StandardSolver):
    """Learns a concept from recordings, and says whether it does; subclasses say what is trained in which model."""
    NAME: str
    LOSS: str  # what is minimised, by its name among the metrics
    base: tp.Any
    scaler: tp.Any

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
            self.dataloaders[split] = self._loader(self._dataset(split, *self.encode(split, clips), prompts))

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

    def _dataset(self, split: str, clips: tp.List[manifest.Clip], codes: tp.List[torch.Tensor], steps: int,
                 prompts: tp.List[str]) -> ConceptDataset:
        cfg, codec = self.cfg.dataset, self.base.codec
        updates = self.cfg.optim.updates_per_epoch * flashy.distrib.world_size()
        return ConceptDataset(
            clips, codes, prompts, self.word, steps=steps, frame_rate=codec.frame_rate,
            num_samples=updates * cfg.batch_size if split == 'train' else cfg.valid.num_samples,
            seed=self.cfg.seed, shuffle=split == 'train', sample_rate=codec.sample_rate, channels=codec.channels)

    def _loader(self, dataset: AudioDataset) -> DataLoader:
        """Batches of crops. Their order is kept: each is random by itself, and follows from its index."""
        cfg = self.cfg.dataset
        return get_loader(dataset, None, batch_size=cfg.batch_size, num_workers=cfg.num_workers, seed=self.cfg.seed,
                          collate_fn=dataset.collater)

    def _clips(self) -> tp.List[tp.List[manifest.Clip]]:
        """What is learned from and what is held out: the manifests of the run's folder, made once."""
        self._make_manifests()
        flashy.distrib.barrier()
        return self._read_manifests()

    @flashy.distrib.rank_zero_only
    def _make_manifests(self) -> None:
        folder = self.folder / 'manifest'
        if not folder.exists():
            source = manifest.collect(**self.cfg.datasource, min_length=self.cfg.dataset.segment_duration)
            manifest.write(folder, *source)

    def _read_manifests(self) -> tp.List[tp.List[manifest.Clip]]:
        return [manifest.load(self.folder / 'manifest' / f'{split}.jsonl', 'manifest') for split in ('train', 'valid')]

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

    @cached_property
    def _configuration(self) -> str:
        return OmegaConf.to_yaml(self.xp.cfg)

    def state_dict(self) -> tp.Dict[str, tp.Any]:
        """The solver's state in plain types, which `torch.load` reads without unpickling anything."""
        state = super().state_dict()
        state['xp.cfg'] = self._configuration
        if self.ema is not None:
            averages = {name: dict(tensors) for name, tensors in self.ema.state.items()}
            state['ema'] = {'state': averages, 'count': self.ema.count}
        return state

    # Stages

    def get_formatter(self, stage_name: str) -> flashy.Formatter:
        return flashy.Formatter({'lr': '.2E', 'grad_norm': '.3E'}, exclude_keys=['ce_q*', 'ppl_q*'])

    def run_epoch(self) -> None:
        if not self.history and 'start' not in self._pending_metrics:
            with torch.no_grad():
                self.run_stage('start', self.start)
        super().run_epoch()

    def train(self) -> tp.Dict[str, float]:
        """An epoch of updates, on crops of its own."""
        dataset = tp.cast(AudioDataset, get_dataset_from_loader(self.dataloaders['train']))
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
        metrics.update(self.start_losses)
        if f'{self.LOSS}_class_word' in metrics:
            closure = gap_closure(*(metrics[self.LOSS + end] for end in ('', '_no_text', '_class_word')))
            metrics.update({} if closure is None else {'gap_closure': closure})
        self.logger.info(self._verdict(metrics))
        return metrics

    def _verdict(self, metrics: tp.Mapping[str, float]) -> str:
        return verdict(self.word, metrics[self.LOSS], metrics, self.cfg.concept.class_word, self.LOSS)

    @property
    def start_losses(self) -> tp.Dict[str, float]:
        """Held-out losses from before anything was learned."""
        return (self.history[0] if self.history else self._pending_metrics)['start']

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
        """Make what is drawn in prompts follow from stage and index; nothing is, unless a subclass does."""

    @flashy.distrib.rank_zero_only
    def generate(self) -> None:
        """Make music with the concept: `samples/<epoch>/`, with one line a sample in its `samples.jsonl`."""
        self._samples()

    @flashy.distrib.rank_zero_only
    def evaluate(self) -> tp.Dict[str, float]:
        """Score the samples (section 3 of the paper); their `scores.jsonl` is put beside them.

        Returns:
            dict[str, float]: Means of the scores, as far as `evaluate.metrics` asks for them.
        """
        metrics = self.cfg.evaluate.metrics
        if not any(metrics.values()):
            return {}
        from ..evaluation.evaluate import embed_clips, score_systems
        from ..evaluation.table import history_of, metric_of
        embedder, listeners = self._judges
        folders = self._samples()
        recordings = [embed_clips(clips, embedder) for clips in self._recordings()]
        lines = score_systems(folders, embedder, recordings, self.cfg.concept.class_word, listeners)
        files.write(lines, folders[self.NAME] / 'scores.jsonl')
        unasked = tuple(key for key in ('clap_reconstruction', 'clap_editability') if not metrics[key])
        return {key: value for key, value in history_of(lines, self.NAME).items() if metric_of(key) not in unasked}

    @cached_property
    def _judges(self) -> tp.Tuple['CachedEmbedder', tp.List['Listener']]:
        """What scores samples, loaded when it is first needed: CLAP, and whom else `evaluate.metrics` asks for."""
        from ..evaluation.embedders import CachedEmbedder, load_embedder
        from ..evaluation.listeners import Aesthetics
        embedder = CachedEmbedder(load_embedder(self.cfg.metrics.clap.checkpoint, self.device))
        return embedder, [Aesthetics()] if self.cfg.evaluate.metrics.aesthetics else []

    def _recordings(self) -> tp.List[tp.List[manifest.Clip]]:
        """What was learned from and what was held out, if the run knows it."""
        if self.cfg.datasource.folder is None and self.cfg.datasource.train is None:
            return []
        self._make_manifests()
        return self._read_manifests()

    def _tasks(self) -> tp.Iterator[tp.Tuple[str, str, str]]:
        """Name, kind and text of each prompt to make music of."""
        cfg = self.cfg.generate
        yield from ((kind, kind, prompt) for kind, prompt in cfg.prompts.items())
        yield from ((f'edit{index}', 'editability', prompt)
                    for index, prompt in enumerate(load_edits(cfg.editability_prompts)))

    def _samples(self) -> tp.Dict[str, Path]:
        """Folders with what the concept and its baselines sound like in this epoch; made once."""
        finished = bool(self.cfg.execute_only and self.history)  # then the next epoch will never come
        folder = self.folder / 'samples' / str(self.epoch - finished)
        systems = {self.NAME: (folder, self.word)}
        if self.cfg.generate.baselines:
            words = zip(BASELINES, ('', self.cfg.concept.class_word))
            systems.update({name: (folder / name.replace(' ', '_'), word) for name, word in words if word is not None})
        for name, (where, word) in systems.items():
            if not (where / LISTING).exists():
                with_rank_rng()(self._make_samples)(where, word)
        return {name: where for name, (where, _) in systems.items()}

    def _make_samples(self, folder: Path, word: str) -> None:
        """Make the samples of one folder, a word standing in the concept's place."""
        lines = []
        for index, (name, kind, prompt) in enumerate(self._tasks()):
            self.seed_draws(GENERATE, index)
            text = ' '.join(prompt.replace('{}', word).split())
            self.logger.info("Generating %d samples of '%s' into %s", self.cfg.generate.num_samples, text, folder)
            wavs = self.sample(text, self.cfg.generate.num_samples, self.cfg.generate.duration)
            for number, wav in enumerate(wavs):
                file = audio.write(folder / f'{name}_{number}.wav', wav, self.base.codec.sample_rate)
                lines.append({'kind': kind, 'prompt': prompt.replace('{}', placeholder(self.cfg.concept.name)),
                              'text': text, 'file': file.name, 'concept': self.cfg.concept.name})
                if word == self.word:
                    self._log_to_tensorboard(f'{name}_{number}', wav)
        files.write(lines, folder / LISTING)

    def run_one_stage(self, stage_name: str) -> None:
        """Run one stage, as upstream does; in place, what comes of it is added to the last epoch's history."""
        super().run_one_stage(stage_name)
        if self.cfg.execute_inplace and self.history and flashy.distrib.is_rank_zero():
            self.history[-1].update(self._pending_metrics)
            self.xp.link.update_history(self.history)

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
        wavs = self.play([prompt] * num_samples, duration).float().cpu()
        options = dict_from_config(self.cfg.generate.audio)
        return [normalize_audio(wav, sample_rate=self.base.codec.sample_rate, **options) for wav in wavs]

    @abstractmethod
    def play(self, prompts: tp.List[str], duration: float) -> torch.Tensor:
        """Audio of shape [B, C, T], as the model makes it of B prompts."""

    def _log_to_tensorboard(self, key: str, wav: torch.Tensor) -> None:
        logger = self.result_logger._experiment_loggers.get('tensorboard')
        if logger is not None:
            logger.log_audio(key=key, prefix='generate', audio=wav, sample_rate=self.base.codec.sample_rate,
                             step=self.epoch)

    def run(self) -> None:
        """Train to the last epoch, and say what came of it."""
        super().run()
        if flashy.distrib.is_rank_zero():  # a kill may have come between the last checkpoint and the history
            self.xp.link.update_history(self.history)
        self.report()

    def report(self) -> None:
        """Say what came of a run."""
        best = self.best_losses
        self.logger.info("Done after %d updates: held-out loss went from %.3f to %.3f at best",
                         len(self.history) * self.train_updates_per_epoch, best[f'{self.LOSS}_start'], best[self.LOSS])
        self.logger.info(self._verdict(best))
        self.logger.info("Samples: %s", self.folder / 'samples' / str(len(self.history)))
