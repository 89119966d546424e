"""What all solvers that learn a concept share: recordings and prompts go in, samples and scores come out."""
from abc import abstractmethod
import copy
import json
import typing as tp

from .. import environment
environment.prepare()
from audiocraft.data.audio_dataset import AudioDataset
from audiocraft.data.audio_utils import normalize_audio
from audiocraft.modules.conditioners import SegmentWithAttributes
from audiocraft.solvers import builders
from audiocraft.solvers.musicgen import MusicGenSolver
from audiocraft.utils.utils import dict_from_config, get_loader
import flashy
from flashy.logging import LogProgressBar
from omegaconf import DictConfig, OmegaConf
import torch
from torch.nn import functional as F
from torch.utils.data import DataLoader

from ..data import audio, manifest
from ..data.dataset import ConceptDataset, describe
from ..data.prompts import load_prompts
from ..data.tokens import TokenCache
from ..evaluation.scores import editability, reconstruction
from ..models.loaders import find_base, load_base
from .builders import get_lr_scheduler
from .checks import check_config
from .verdict import gap_closure, verdict

GENERATE = 2  # which draws of random numbers the stage takes; a subclass has others


def pad_alike(tokenized: tp.Mapping[str, tp.Any], device: tp.Union[str, torch.device]) -> None:
    """Pad tokenized prompts to the longest that any worker has.

    The language model attends to padding too, so it belongs to what a batch is: with it, workers do together what one
    does with the whole batch.
    """
    if not flashy.distrib.is_distributed():
        return
    for inputs in tokenized.values():
        if isinstance(inputs, tp.MutableMapping):  # a prompt, and no melody
            length = inputs['input_ids'].shape[1]
            longest = torch.tensor(length, device=device)
            flashy.distrib.all_reduce(longest, torch.distributed.ReduceOp.MAX)
            for key in inputs:
                inputs[key] = F.pad(inputs[key], (0, int(longest) - length))


class ConceptSolver(MusicGenSolver):
    """Learns a concept from recordings, and says whether it does; subclasses say what is trained."""
    def __init__(self, cfg: DictConfig):
        cfg = check_config(copy.deepcopy(cfg))
        # What continues a concept is kept for upstream to load, what names a base is not.
        base, run = find_base(cfg.continue_from)
        self.base = load_base(base, cfg.device, cfg.dtype)
        cfg.continue_from = run
        given = {key: value for key, value in cfg.generate.lm.items() if value is not None}
        cfg.generate.lm = {**self.base.sampling, **given}
        super().__init__(cfg)

    @property
    @abstractmethod
    def word(self) -> str:
        """The concept as it is written in prompts."""

    # Data

    def build_dataloaders(self) -> None:
        """Loaders of token crops and prompts, for what is learned from and for what is held out."""
        if self.cfg.execute_only in ('generate', 'evaluate'):
            return
        prompts = load_prompts(self.cfg.dataset.neutral_prompts)
        cache = TokenCache(self.cfg.tokens.cache_path or environment.CACHE / 'tokens', self.base.codec, self.device)
        self._write_manifests()
        for split, clips in zip(('train', 'valid'), self._clips()):
            length = sum(clip.length for clip in clips)
            self.logger.info("%s: %d clips, %.1f s in all", split.capitalize(), len(clips), length)
            bar = LogProgressBar(self.logger, clips, name=f'Codec tokens | {split}', updates=5)
            self.dataloaders[split] = self._loader(self._dataset(split, clips, [cache(clip) for clip in bar], prompts))

    def _dataset(self, split: str, clips: tp.List[manifest.Clip], codes: tp.List[torch.Tensor],
                 prompts: tp.List[str]) -> ConceptDataset:
        cfg, codec = self.cfg.dataset, self.base.codec
        updates = self.cfg.optim.updates_per_epoch * flashy.distrib.world_size()
        return ConceptDataset(
            clips, codes, prompts, self.word,
            steps=round(cfg.segment_duration * codec.frame_rate), frame_rate=codec.frame_rate,
            num_samples=updates * cfg.batch_size if split == 'train' else cfg.valid.num_samples,
            seed=self.cfg.seed, shuffle=split == 'train', sample_rate=codec.sample_rate, channels=codec.channels)

    def _loader(self, dataset: AudioDataset) -> DataLoader:
        """Batches of crops. Their order is kept: each is random by itself, and follows from its index."""
        cfg = self.cfg.dataset
        return get_loader(dataset, None, batch_size=cfg.batch_size, num_workers=cfg.num_workers, seed=self.cfg.seed,
                          collate_fn=dataset.collater)

    def _write_manifests(self) -> None:
        """Make the two manifests, once, to be kept in the run's folder."""
        folder = self.folder / 'manifest'
        if flashy.distrib.is_rank_zero() and not folder.exists():
            source = manifest.collect(**self.cfg.datasource, min_length=self.cfg.dataset.segment_duration)
            manifest.write(folder, *source)
        flashy.distrib.barrier()

    def _clips(self) -> tp.Tuple[tp.List[manifest.Clip], tp.List[manifest.Clip]]:
        """What is learned from and what is held out."""
        train, valid = (manifest.load(self.folder / 'manifest' / f'{split}.jsonl', 'manifest')
                        for split in ('train', 'valid'))
        return train, valid

    def _prepare_tokens_and_attributes(self, batch: tp.Any, check_synchronization_points: bool = False):
        codes, infos = batch  # [B, K, T]
        codes = codes.to(self.device)
        attributes = self.model.att_dropout(self.model.cfg_dropout([info.to_condition_attributes() for info in infos]))
        tokenized = self.model.condition_provider.tokenize(attributes)
        pad_alike(tokenized, self.device)
        with self.autocast:
            conditions = self.model.condition_provider(tokenized)
        return conditions, codes, torch.ones_like(codes, dtype=torch.bool)

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

    # Stages

    def get_formatter(self, stage_name: str) -> flashy.Formatter:
        return flashy.Formatter({'lr': '.2E', 'grad_norm': '.3E'}, exclude_keys=['ce_q*', 'ppl_q*'])

    def run_epoch(self) -> None:
        if not self.history and 'start' not in self._pending_metrics:
            with torch.no_grad():
                self.run_stage('start', self.start)
        super().run_epoch()

    def run_step(self, idx: int, batch: tp.Any, metrics: dict) -> dict:
        """One update, or one held-out batch."""
        metrics = super().run_step(idx, batch, metrics)
        return {key: value.detach() if isinstance(value, torch.Tensor) else value for key, value in metrics.items()}

    def start(self) -> tp.Dict[str, float]:
        """Held-out losses before anything is learned: under the prompts, without text, and with the class word."""
        self.model.eval()
        class_word = self.cfg.concept.class_word
        losses = {'ce_start': self._held_out_loss(lambda prompt: prompt),
                  'ce_no_text': self._held_out_loss(lambda prompt: None)}
        if class_word is not None:
            losses['ce_class_word'] = self._held_out_loss(lambda prompt: prompt.replace(self.word, class_word))
        return losses

    def _held_out_loss(self, rewrite: tp.Callable[[str], tp.Optional[str]]) -> float:
        """Cross-entropy of the held-out crops under their prompts, each rewritten first."""
        average = flashy.averager()
        loader = self.dataloaders['valid']
        for idx, (codes, infos) in enumerate(loader):
            for info in infos:
                info.description = rewrite(info.description)
            metrics = average({'ce': self.run_step(idx, (codes, infos), {})['ce']})
        return flashy.distrib.average_metrics(metrics, len(loader))['ce']

    def valid(self) -> dict:
        """Held-out loss with the concept, beside what it was at the start."""
        metrics = super().valid()
        metrics.update(self.start_losses)
        if 'ce_class_word' in metrics:
            closure = gap_closure(metrics['ce'], metrics['ce_no_text'], metrics['ce_class_word'])
            metrics.update({} if closure is None else {'gap_closure': closure})
        self.logger.info(verdict(self.word, metrics['ce'], metrics, self.cfg.concept.class_word))
        return metrics

    @property
    def start_losses(self) -> tp.Dict[str, float]:
        """Held-out losses from before anything was learned."""
        return (self.history[0] if self.history else self._pending_metrics)['start']

    @property
    def best_losses(self) -> tp.Dict[str, float]:
        """Held-out losses of the epoch whose state is the best."""
        return min((epoch['valid'] for epoch in self.history), key=lambda losses: losses['ce'])

    @property
    def _has_stalled(self) -> bool:
        """Whether the held-out loss has not improved for `optim.patience` updates."""
        losses = [epoch['valid']['ce'] for epoch in (*self.history, self._pending_metrics) if 'valid' in epoch]
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
        infos: tp.List[SegmentWithAttributes] = [describe(prompt) for _ in range(num_samples)]
        no_audio = torch.zeros(num_samples, self.base.codec.channels, 0)
        wavs = self.run_generate_step((no_audio, infos), gen_duration=duration)['gen_audio'].float().cpu()
        options = dict_from_config(self.cfg.generate.audio)
        return [normalize_audio(wav, sample_rate=self.base.codec.sample_rate, **options) for wav in wavs]

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
                         len(self.history) * self.train_updates_per_epoch, best['ce_start'], best['ce'])
        self.logger.info(verdict(self.word, best['ce'], best, self.cfg.concept.class_word))
        self.logger.info("Samples: %s", self.folder / 'samples' / str(len(self.history)))
