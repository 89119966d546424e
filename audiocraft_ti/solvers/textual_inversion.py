"""Textual inversion: a few vectors are learned through a frozen MusicGen."""
from contextlib import contextmanager
import copy
from functools import cached_property
import json
from pathlib import Path
import typing as tp

from .. import environment
environment.prepare()
from audiocraft.data.audio_dataset import save_audio_meta
from audiocraft.data.audio_utils import normalize_audio
from audiocraft.modules.conditioners import SegmentWithAttributes
from audiocraft.solvers import builders
from audiocraft.solvers.musicgen import MusicGenSolver
from audiocraft.utils.utils import dict_from_config, get_loader
import flashy
from flashy.logging import LogProgressBar
from omegaconf import DictConfig, OmegaConf
import torch
from torch.utils.data import DataLoader

from .. import __version__
from ..concept import Concept, placeholder
from ..data import audio, manifest
from ..data.dataset import ConceptDataset, describe
from ..data.prompts import load_prompts
from ..data.tokens import TokenCache
from ..evaluation.scores import editability, reconstruction
from ..errors import UserError
from ..hashes import tensors_hash
from ..models.concept_lm import ConceptLM
from ..models.loaders import CONCEPT_SOLVER, find_base, load_base
from ..modules.init import initial_vectors
from ..modules.orthogonality import orthogonality
from ..optim.l1_decay import L1Decay
from ..rng import generator
from .builders import get_lr_scheduler
from .checks import check_config
from .verdict import gap_closure, REFERENCES, verdict

_TRAIN, _VALID, _GENERATE, _ROWS = range(4)  # which draws of random numbers a stage takes


class TextualInversionSolver(MusicGenSolver):
    """Learns a concept from recordings (Thomé, Sturm, Pertoft and Jonason, 2024, section 2).

    The base model is frozen; `self.model` shows the concept's vectors as its only parameters, so that upstream's
    optimisation, averaging, best state and checkpoints hold those and nothing else.
    """
    NAME = CONCEPT_SOLVER
    model: ConceptLM  # type: ignore

    def __init__(self, cfg: DictConfig):
        cfg = check_config(copy.deepcopy(cfg))
        # What continues a concept is kept for upstream to load, what names a base is not.
        base, run = find_base(cfg.continue_from)
        self.base = load_base(base, cfg.device, cfg.dtype)
        cfg.continue_from = run
        self.placeholder = placeholder(cfg.concept.name)
        self._start: tp.Optional[torch.Tensor] = None
        super().__init__(cfg)

    # Data

    def build_dataloaders(self) -> None:
        """Loaders of token crops and prompts, for what is learned from and for what is held out."""
        if self.cfg.execute_only in ('generate', 'evaluate'):
            return
        prompts = load_prompts(self.cfg.dataset.neutral_prompts)
        cache = TokenCache(self.cfg.tokens.cache_path or environment.CACHE / 'tokens', self.base.codec, self.device)
        for split, clips in zip(('train', 'valid'), self._clips()):
            length = sum(clip.length for clip in clips)
            self.logger.info("%s: %d clips, %.1f s in all", split.capitalize(), len(clips), length)
            bar = LogProgressBar(self.logger, clips, name=f'Codec tokens | {split}', updates=5)
            self.dataloaders[split] = self._loader(split, clips, [cache(clip) for clip in bar], prompts)

    def _loader(self, split: str, clips: tp.List[manifest.Clip], codes: tp.List[torch.Tensor],
                prompts: tp.List[str]) -> DataLoader:
        """Batches of a split's crops. Their order is kept: each is random by itself, and follows from its index."""
        cfg, codec = self.cfg.dataset, self.base.codec
        updates = self.cfg.optim.updates_per_epoch * flashy.distrib.world_size()
        dataset = ConceptDataset(
            clips, codes, prompts, self.placeholder,
            steps=round(cfg.segment_duration * codec.frame_rate), frame_rate=codec.frame_rate,
            num_samples=updates * cfg.batch_size if split == 'train' else cfg.valid.num_samples,
            seed=self.cfg.seed, shuffle=split == 'train', sample_rate=codec.sample_rate, channels=codec.channels)
        return get_loader(dataset, None, batch_size=cfg.batch_size, num_workers=cfg.num_workers, seed=self.cfg.seed,
                          collate_fn=dataset.collater)

    def _clips(self) -> tp.Tuple[tp.List[manifest.Clip], tp.List[manifest.Clip]]:
        """The two manifests, made once and kept in the run's folder."""
        folder = self.folder / 'manifest'
        if flashy.distrib.is_rank_zero() and not folder.exists():
            source = manifest.collect(**self.cfg.datasource, min_length=self.cfg.dataset.segment_duration)
            temporary = folder.with_suffix('.tmp')
            for split, clips in zip(('train', 'valid'), source):
                save_audio_meta(temporary / f'{split}.jsonl', tp.cast(list, clips))
            temporary.rename(folder)
        flashy.distrib.barrier()
        return manifest.load(folder / 'train.jsonl', 'manifest'), manifest.load(folder / 'valid.jsonl', 'manifest')

    # Model

    def build_model(self) -> None:
        """Put the concept's vectors into the frozen base, and nothing else into the optimizer."""
        cfg = self.cfg.concept
        self.compression_model = self.base.codec
        self.model = ConceptLM(
            self.base.lm, shuffle=cfg.shuffle, sample_ratio=cfg.sample_ratio, max_length=cfg.max_length)
        if self.base.lm.fuser.fuse2cond['prepend']:
            self.logger.warning("This base model prepends its conditions to the audio tokens, which the paper found "
                                "to leave a concept without effect (section 2): prefer one without melody or style.")
        self.model.conditioner.add(cfg.name, self._initial_vectors())
        self._log_sizes()
        self.register_ema('model')
        optim = OmegaConf.merge(self.cfg.optim, {'lr': self._learning_rate()})
        self.optimizer = builders.get_optimizer(self.model.parameters(), tp.cast(DictConfig, optim))
        self.optimizer.register_step_post_hook(L1Decay(self.cfg.optim.l1_decay))
        self.lr_scheduler = get_lr_scheduler(self.optimizer, self.cfg.schedule, self.total_updates)
        self.best_state.dtype = None  # upstream would keep the best vectors in the type of autocast
        self.register_stateful('model', 'optimizer', 'lr_scheduler')
        self.register_best_state('model')
        self.autocast_dtype = getattr(torch, self.cfg.autocast_dtype)
        self.scaler = None
        if self.cfg.autocast and self.autocast_dtype is torch.float16:
            self.scaler = torch.amp.GradScaler(self.device)  # type: ignore
            self.register_stateful('scaler')

    @property
    def _rows(self) -> torch.Tensor:
        """Embeddings of the tokenizer's real tokens, [N, D]; the matrix may have more rows than there are tokens."""
        return self.model.conditioner.t5.get_input_embeddings().weight[:self.model.bank.first_id]

    def _initial_vectors(self) -> torch.Tensor:
        cfg, rows = self.cfg.concept, self._rows
        if cfg.init == 'token':
            rows = rows[self.model.conditioner.word_ids(cfg.init_word or cfg.class_word)]
        return initial_vectors(cfg.init, rows, cfg.num_vectors, self.cfg.seed)

    @cached_property
    def _embedding_hash(self) -> str:
        return tensors_hash({'rows': self._rows})  # a hundred megabytes for t5-base, and written with every checkpoint

    @property
    def vectors(self) -> torch.Tensor:
        """The concept's vectors, [V, D]."""
        return self.model.bank[self.cfg.concept.name]

    def _learning_rate(self) -> float:
        """The learning rate in the units of the embeddings, whose scale differs by orders of magnitude (P13)."""
        scale = self._rows.pow(2).mean().sqrt().item() if self.cfg.optim.lr_relative else 1.
        return self.cfg.optim.lr * scale

    def _log_sizes(self) -> None:
        modules = (self.base.lm, self.base.codec, self.model.conditioner.t5)
        everything = [parameter for module in modules for parameter in module.parameters()]
        trainable = [parameter for parameter in everything if parameter.requires_grad]
        assert len(trainable) == 1 and trainable[0] is self.vectors
        count, total = self.vectors.numel(), sum(parameter.numel() for parameter in everything)
        self.logger.info("%s: %d vectors of width %d, %d trainable weights, %.2g %% of the model's %.4g million",
                         self.placeholder, *self.vectors.shape, count, 100 * count / total, total / 1e6)

    def show(self) -> None:
        """Describe the frozen models and what is trained."""
        super().show()
        self.logger.info("Base language model, frozen:")
        self.log_model_summary(self.base.lm)

    # State

    def state_dict(self) -> tp.Dict[str, tp.Any]:
        """The solver's state in plain types, which `torch.load` reads without unpickling anything."""
        state = super().state_dict()
        state['xp.cfg'] = OmegaConf.to_yaml(self.xp.cfg)
        if self.ema is not None:
            averages = {name: dict(tensors) for name, tensors in self.ema.state.items()}
            state['ema'] = {'state': averages, 'count': self.ema.count}
        return state

    def load_state_dict(self, state: tp.Dict[str, tp.Any]) -> None:
        best = state.get('best_state', {}).get('model', self.model.state_dict())
        theirs = {key: list(tensor.shape) for key, tensor in best.items()}
        ours = {key: list(tensor.shape) for key, tensor in self.model.state_dict().items()}
        if theirs != ours:  # upstream would broadcast the one to the other
            raise UserError(f"the run to continue from holds {theirs}, this one {ours}: "
                            "give the same concept.name and concept.num_vectors.")
        super().load_state_dict(state)

    def save_checkpoints(self) -> None:
        super().save_checkpoints()
        self.export_concept()

    @flashy.distrib.rank_zero_only
    def export_concept(self) -> Path:
        """Write the best vectors, averaged if there is an average, to `concept.safetensors`."""
        vectors = self.best_state.states['model'][f'bank.vectors.{self.placeholder}']
        return Concept(self.cfg.concept.name, vectors, self._metadata()).save(self.folder / 'concept.safetensors')

    def _metadata(self) -> tp.Dict[str, str]:
        cfg = self.cfg.concept
        text_encoder = self.model.conditioner.name
        metadata = {
            'base_model': self.base.name,
            'base_fingerprint': self.base.fingerprint,
            'text_encoder': Path(text_encoder).name if Path(text_encoder).is_dir() else text_encoder,
            'vocabulary_size': str(self.model.bank.first_id),
            'embedding_hash': self._embedding_hash,
            'class_word': cfg.class_word,
            'origin': cfg.origin,
            'licence': cfg.licence,
            'dora_sig': self.xp.sig,
            'training': json.dumps({key: dict_from_config(self.cfg[key]) for key in ('concept', 'optim', 'schedule')}),
            'scores': json.dumps(self._best_losses),
            'software': f'audiocraft_ti {__version__}',
        }
        return {key: str(value) for key, value in metadata.items() if value is not None}

    @property
    def _best_losses(self) -> tp.Dict[str, float]:
        """Held-out losses of the epoch whose vectors are the best."""
        return min((epoch['valid'] for epoch in self.history), key=lambda losses: losses['ce'])

    # Stages

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

    def get_formatter(self, stage_name: str) -> flashy.Formatter:
        return flashy.Formatter({'lr': '.2E', 'grad_norm': '.3E'}, exclude_keys=['ce_q*', 'ppl_q*'])

    def _prepare_tokens_and_attributes(self, batch: tp.Any, check_synchronization_points: bool = False):
        codes, infos = batch  # [B, K, T]
        codes = codes.to(self.device)
        tokenized = self.model.condition_provider.tokenize([info.to_condition_attributes() for info in infos])
        with self.autocast:
            conditions = self.model.condition_provider(tokenized)
        return conditions, codes, torch.ones_like(codes, dtype=torch.bool)

    def run_step(self, idx: int, batch: tp.Any, metrics: dict) -> dict:
        """One update, or one held-out batch; placeholders are drawn afresh, in a way that follows from the index."""
        update = (self.epoch - 1) * self.train_updates_per_epoch + idx if self.is_training else idx
        self._seed_draws(_TRAIN if self.is_training else _VALID, update)
        if self.is_training:
            metrics['orthogonality'] = self._repel(update)
        metrics = super().run_step(idx, batch, metrics)
        if self.is_training:
            metrics['vector_norm'] = self.vectors.norm(dim=-1).mean()
        return {key: value.detach() if isinstance(value, torch.Tensor) else value for key, value in metrics.items()}

    def _repel(self, update: int) -> torch.Tensor:
        """Add the gradient of the orthogonality term to the vectors', which the loss's will follow (P17)."""
        cfg = self.cfg.concept.orthogonality
        drawn = torch.randint(len(self._rows), (cfg.num_samples,), generator=generator(self.cfg.seed, _ROWS, update))
        term = orthogonality(self.vectors, self._rows[drawn.to(self._rows.device)])
        loss = cfg.weight * term
        (loss if self.scaler is None else self.scaler.scale(loss)).backward()
        return term

    def _seed_draws(self, stage: int, index: int) -> None:
        self.model.conditioner.generator = generator(self.cfg.seed, stage, index, flashy.distrib.rank())

    def train(self) -> dict:
        if not self.history:
            self._start = self.vectors.detach().clone()
        return super().train()

    def valid(self) -> dict:
        """Held-out loss with the concept, and in the first epoch also what it is without."""
        metrics = super().valid()
        first = self.history[0]['valid'] if self.history else None
        metrics.update(self._reference_losses() if first is None else
                       {key: first[key] for key in REFERENCES if key in first})
        if 'ce_class_word' in metrics:
            closure = gap_closure(metrics['ce'], metrics['ce_no_text'], metrics['ce_class_word'])
            metrics.update({} if closure is None else {'gap_closure': closure})
        self.logger.info(verdict(self.placeholder, metrics['ce'], metrics, self.cfg.concept.class_word))
        return metrics

    def _reference_losses(self) -> tp.Dict[str, float]:
        class_word = self.cfg.concept.class_word
        losses = {'ce_no_text': self._held_out_loss(lambda prompt: None)}
        if class_word is not None:
            losses['ce_class_word'] = self._held_out_loss(lambda prompt: prompt.replace(self.placeholder, class_word))
        if self._start is not None:
            with self._vectors_as(self._start):
                losses['ce_start'] = self._held_out_loss(lambda prompt: prompt)
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

    @contextmanager
    def _vectors_as(self, vectors: torch.Tensor):
        ours = self.vectors.detach().clone()
        self.vectors.data.copy_(vectors)
        try:
            yield
        finally:
            self.vectors.data.copy_(ours)

    @flashy.distrib.rank_zero_only
    def generate(self) -> tp.Dict[str, float]:
        """Make music with the concept: `samples/<epoch>/`, with one line a sample in its `samples.jsonl`.

        Returns:
            dict[str, float]: Scores of the samples, as far as `evaluate.metrics` asks for them.
        """
        folder = self.folder / 'samples' / str(self.epoch)
        lines, samples = [], {}
        for index, (kind, prompt) in enumerate(self.cfg.generate.prompts.items()):
            self._seed_draws(_GENERATE, index)
            text = prompt.replace('{}', self.placeholder)
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
            scores['clap_editability'] = editability(outputs['editability'], embedder.text([text])[0])
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
            prompt (str): Text, with the concept as `<name>`.
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
        self.export_concept()
        best = self._best_losses
        self.logger.info("Done after %d updates: held-out loss went from %.3f to %.3f at best",
                         len(self.history) * self.train_updates_per_epoch, best['ce_start'], best['ce'])
        self.logger.info(verdict(self.placeholder, best['ce'], best, self.cfg.concept.class_word))
        self.logger.info("Concept: %s", self.folder / 'concept.safetensors')
        self.logger.info("Samples: %s", self.folder / 'samples' / str(len(self.history)))
