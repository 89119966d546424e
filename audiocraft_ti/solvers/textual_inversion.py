"""Textual inversion: a few vectors are learned through a frozen model, a MusicGen first of all."""
from abc import abstractmethod
import io
import json
from pathlib import Path
from pickle import UnpicklingError
import typing as tp

from .. import environment
environment.prepare()
from audiocraft.utils.utils import dict_from_config
import flashy
from flashy.utils import write_and_rename
from omegaconf import DictConfig
import torch

from .. import __version__
from ..concept import Concept, placeholder
from ..errors import UserError
from ..models.concept_lm import ConceptLM
from ..modules.init import initial_vectors
from ..modules.orthogonality import orthogonality
from ..modules.placeholders import Placeholders
from ..optim.l1_decay import L1Decay
from ..rng import generator
from .checks import check_vectors
from .concept import ConceptSolver, ROWS
from .musicgen import MusicGenConceptSolver


class TextualInversion(ConceptSolver):
    """Learns a concept as new words of the text encoder (Thomé, Sturm, Pertoft and Jonason, 2024, section 2).

    The base model is frozen; `self.model` shows the concept's vectors as its only parameters, in `model.bank`, so that
    upstream's optimisation, averaging, best state and checkpoints hold those and nothing else.
    """
    conditioner: Placeholders
    model: tp.Any
    _average: tp.Optional[tp.Dict[str, tp.Any]] = None  # of the vectors, as the checkpoint had it

    def __init__(self, cfg: DictConfig):
        check_vectors(cfg)
        super().__init__(cfg)

    @property
    def word(self) -> str:
        return placeholder(self.cfg.concept.name)

    # Model

    def learn_vectors(self) -> None:
        """Put concepts' vectors into `self.conditioner`, and nothing else into the optimizer."""
        self.add_concepts()
        self._log_sizes()
        self.register_training(self.model.parameters(), self._learning_rate())
        self.optimizer.register_step_post_hook(L1Decay(self.cfg.optim.l1_decay))
        self.progress: tp.Dict[str, tp.Any] = {'updates': [], 'pending': {}}  # of the epoch, up to now
        self.register_stateful('progress')

    def add_concepts(self) -> None:
        """Put what is learned into the model."""
        self.conditioner.add(self.cfg.concept.name, self._initial_vectors())

    @property
    @abstractmethod
    def frozen(self) -> tp.List[torch.nn.Module]:
        """All models of the base."""

    def _initial_vectors(self) -> torch.Tensor:
        cfg, rows = self.cfg.concept, self.conditioner.rows
        if cfg.init == 'token':
            rows = rows[self.conditioner.word_ids(cfg.init_word or cfg.class_word)]
        return initial_vectors(cfg.init, rows, cfg.num_vectors, self.cfg.seed)

    @property
    def vectors(self) -> torch.Tensor:
        """The concept's vectors, [V, D]."""
        return self.model.bank[self.cfg.concept.name]

    def _learning_rate(self) -> float:
        """The learning rate in the units of the embeddings, whose scale differs by orders of magnitude (P13)."""
        scale = self.conditioner.rows.pow(2).mean().sqrt().item() if self.cfg.optim.lr_relative else 1.
        return self.cfg.optim.lr * scale

    def _log_sizes(self) -> None:
        everything = {id(one): one for module in (*self.frozen, self.model) for one in module.parameters()}.values()
        trainable = [parameter for parameter in everything if parameter.requires_grad]
        concepts = self.model.bank.vectors
        assert {id(parameter) for parameter in trainable} == {id(vectors) for vectors in concepts.values()}
        count, total = (sum(parameter.numel() for parameter in part) for part in (trainable, everything))
        self.logger.info("%s: %d vectors of width %d, %d trainable weights, %.2g %% of the model's %.4g million",
                         ', '.join(concepts), len(self.model.bank), self.model.bank.dim, count, 100 * count / total,
                         total / 1e6)

    def show(self) -> None:
        """Describe what is trained, and the frozen models."""
        super().show()  # type: ignore
        self.logger.info("The base, frozen:")
        for module in self.frozen:
            self.log_model_summary(module)

    # State

    def load_state_dict(self, state: tp.Dict[str, tp.Any]) -> None:
        best = state.get('best_state', {}).get('model', self.model.state_dict())
        theirs = {key: list(tensor.shape) for key, tensor in best.items()}
        ours = {key: list(tensor.shape) for key, tensor in self.model.state_dict().items()}
        if theirs != ours:  # upstream would broadcast the one to the other
            raise UserError(f"the run to continue from holds {theirs}, this one {ours}: "
                            "give the same concept.name and concept.num_vectors.")
        super().load_state_dict(state)
        self._pending_metrics = dict(self.progress['pending'])
        self._average = state.get('ema')

    def load_checkpoints(self, *args: tp.Any, **kwargs: tp.Any) -> tp.Optional[dict]:
        """As upstream, in one sentence where the state is none of ours."""
        try:
            return super().load_checkpoints(*args, **kwargs)
        except (AttributeError, LookupError, OSError, RuntimeError, TypeError, ValueError, UnpicklingError) as error:
            raise UserError(f"{self.checkpoint_path()} cannot be continued, being of another version of audiocraft_ti "
                            "or damaged: start the run anew with --clear, or go on with the version that wrote it."
                            ) from error

    def save_checkpoints(self) -> None:
        """Write the state at the end of an epoch, and the concept."""
        self.progress.update(updates=[], pending={})
        self._write_checkpoint(self.checkpoint_path())
        every = self.cfg.checkpoint.save_every
        if every and (self.epoch - 1) % every == 0:
            self._write_checkpoint(self.epoch_checkpoint_path(self.epoch - 1))
        self.export_concept()

    @flashy.distrib.rank_zero_only
    def _write_checkpoint(self, path: Path) -> None:
        """Write the state beside its place and rename it: at every moment there is a whole checkpoint.

        Upstream's function would take a file for finished that a kill left in part.
        """
        data = io.BytesIO()
        torch.save(self.state_dict(), data)
        with write_and_rename(path) as file:
            file.write(data.getbuffer())

    def _replay(self, idx: int) -> tp.Optional[tp.Dict[str, float]]:
        """Metrics of an update that was done before this process began; None for one that is still to be done.

        Upstream counts the updates of an epoch from its start, and averages vectors and metrics with each.
        """
        if idx < len(self.progress['updates']):
            return self.progress['updates'][idx]
        if self._average is not None and self.ema is not None:
            self.ema.load_state_dict(self._average)
        self._average = None
        return None

    def _keep_progress(self, idx: int) -> None:
        """Write the state every so many updates, before the one of index `idx`."""
        every = self.cfg.checkpoint.save_every_updates
        if every and idx and idx % every == 0:
            self.progress['pending'] = dict(self._pending_metrics)
            self._write_checkpoint(self.checkpoint_path())

    @flashy.distrib.rank_zero_only
    def export_concept(self) -> Path:
        """Write the best vectors, averaged if there is an average, to `concept.safetensors`."""
        vectors = self.best_state.states['model'][f'bank.vectors.{self.word}']
        return Concept(self.cfg.concept.name, vectors, self._metadata()).save(self.folder / 'concept.safetensors')

    def _metadata(self) -> tp.Dict[str, str]:
        cfg = self.cfg.concept
        text_encoder = self.conditioner.name
        metadata = {
            'solver': self.cfg.solver,
            'base_model': self.base.name,
            'base_fingerprint': self.base.fingerprint,
            'text_encoder': Path(text_encoder).name if Path(text_encoder).is_dir() else text_encoder,
            'vocabulary_size': str(self.model.bank.first_id),
            'embedding_hash': self.conditioner.embedding_hash,
            'class_word': cfg.class_word,
            'origin': cfg.origin,
            'licence': cfg.licence,
            'dora_sig': self.xp.sig,
            'training': json.dumps({key: dict_from_config(self.cfg[key]) for key in ('concept', 'optim', 'schedule')}),
            'scores': json.dumps(self.best_losses),
            'software': f'audiocraft_ti {__version__}',
        }
        return {key: str(value) for key, value in metadata.items() if value is not None}

    # Stages

    def run_step(self, idx: int, batch: tp.Any, metrics: dict) -> dict:
        """One update, unless it was done before, or one held-out batch."""
        if self.is_training:
            return self._replay(idx) or self._update(idx, batch, metrics)
        return super().run_step(idx, batch, metrics)  # type: ignore

    def _update(self, idx: int, batch: tp.Any, metrics: dict) -> dict:
        self._keep_progress(idx)
        metrics['orthogonality'] = self._repel((self.epoch - 1) * self.train_updates_per_epoch + idx)
        metrics = super().run_step(idx, batch, metrics)  # type: ignore
        metrics['vector_norm'] = torch.cat([*self.model.bank.vectors.values()]).detach().norm(dim=-1).mean()
        self.progress['updates'].append({key: float(value) for key, value in metrics.items()})
        return metrics

    def _repel(self, update: int) -> torch.Tensor:
        """Add the gradient of the orthogonality term to the vectors', which the loss's will follow (P17)."""
        cfg, rows = self.cfg.concept.orthogonality, self.conditioner.rows
        drawn = torch.randint(len(rows), (cfg.num_samples,), generator=generator(self.cfg.seed, ROWS, update))
        term = orthogonality(self.vectors, rows[drawn.to(rows.device)])
        self.backward(cfg.weight * term)
        return term.detach()

    def report(self) -> None:
        super().report()
        self.logger.info("Concept: %s", self.export_concept())


class TextualInversionSolver(TextualInversion, MusicGenConceptSolver):
    """Textual inversion on MusicGen."""
    NAME = 'textual_inversion'
    model: ConceptLM  # type: ignore

    def build_model(self) -> None:
        """Let the frozen base read the concept's vectors."""
        cfg = self.cfg.concept
        self.compression_model = self.base.codec
        self.model = ConceptLM(self.base.lm, shuffle=cfg.shuffle, sample_ratio=cfg.sample_ratio,
                               train_ratio=cfg.train_ratio, max_length=cfg.max_length)
        self.conditioner = self.model.conditioner
        if self.base.lm.fuser.fuse2cond['prepend']:
            self.logger.warning("This base model prepends its conditions to the audio tokens, which the paper found "
                                "to leave a concept without effect (section 2): prefer one without melody or style.")
        self.learn_vectors()

    @property
    def frozen(self) -> tp.List[torch.nn.Module]:
        return [self.base.lm, self.base.codec, self.model.conditioner.t5]

    def seed_draws(self, stage: int, index: int) -> None:
        """Make each row's placeholders follow from its place in the batch of all workers, who take turns in it."""
        rank, world_size = flashy.distrib.rank(), flashy.distrib.world_size()
        self.conditioner.row_generator = lambda row: generator(
            self.cfg.seed, stage, index, row * world_size + rank)
