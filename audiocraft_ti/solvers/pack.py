"""Several concepts in one run: `concept.name=[amen,oud]`."""
from contextlib import contextmanager
import copy
import json
from pathlib import Path
import typing as tp

from .. import environment
environment.prepare()
from audiocraft.utils import utils
import flashy
from flashy.utils import write_and_rename
from omegaconf import DictConfig, ListConfig, OmegaConf
import torch

from ..concept import placeholder
from ..data.dataset import PackedDataset
from ..errors import UserError
from .checks import check_config, check_vectors
from .concept import GENERATE, TRAIN
from .textual_inversion import TextualInversionSolver

EACH = ('concept.name', 'concept.class_word', 'concept.init_word', 'datasource.folder', 'datasource.train',
        'datasource.valid')  # what every concept has of its own


def unpack(cfg: DictConfig) -> tp.List[DictConfig]:
    """The configuration of each concept, as it would be if it were learned alone.

    Raises:
        UserError: If the lists are of unequal length, a name is there twice, or a setting does not fit several.
    """
    names = [str(name) for name in cfg.concept.name]
    twice = {name for name in names if names.count(name) > 1}
    if twice or not names:
        raise UserError(f"concept.name={cfg.concept.name} has {', '.join(sorted(twice)) or 'no name'} "
                        f"{'twice: give each concept a name of its own' if twice else 'in it: give one or more'}.")
    if cfg.optim.patience is not None:
        raise UserError(f"optim.patience={cfg.optim.patience} would end the run of all concepts where one has stalled: "
                        "leave it empty, or learn them one by one.")
    parts = [copy.deepcopy(cfg) for _ in names]
    for key in EACH:
        values = OmegaConf.select(cfg, key)
        if values is None:
            continue
        if not isinstance(values, ListConfig) or len(values) != len(names):
            raise UserError(f"{key}={values} does not go with the {len(names)} names of concept.name: give a list of "
                            "as many.")
        for part, value in zip(parts, values):
            OmegaConf.update(part, key, value)
    return parts


@contextmanager
def draws_of(count: int) -> tp.Iterator[None]:
    """Draw the tokens of each of `count` equal parts of a batch as if it were the whole."""
    draw = utils.multinomial

    def each(probs: torch.Tensor, *args: tp.Any, **kwargs: tp.Any) -> torch.Tensor:
        *others, last = probs.chunk(count)
        drawn = []
        for part in others:
            with torch.random.fork_rng([probs.device] if probs.is_cuda else []):
                drawn.append(draw(part, *args, **kwargs))
        return torch.cat([*drawn, draw(last, *args, **kwargs)])
    setattr(utils, 'multinomial', each)
    try:
        yield
    finally:
        setattr(utils, 'multinomial', draw)


class PackSolver(TextualInversionSolver):
    """Learns several concepts at once, each from its own rows of every batch.

    The base model is frozen and a row speaks of one concept, so they have no part in each other's gradients: each
    learns what it would alone, with `dataset.batch_size` rows of its own. What a run keeps of one concept (concept
    file, manifest, samples, history) lies in a folder of its name within the run's; metrics are kept as `ce/amen`, and
    their means as `ce`.
    """
    _one: tp.Optional[str] = None  # name of the concept whose turn it is

    def __init__(self, cfg: DictConfig):
        self.parts = [check_config(part) for part in unpack(cfg)]
        for part in self.parts:
            check_vectors(part)
        self._held_out: tp.Dict[str, tp.Any] = {}
        self._played: tp.Dict[str, torch.Tensor] = {}  # by prompt, while concepts take turns
        super().__init__(self.parts[0])

    def concepts(self) -> tp.Iterator[str]:
        """Be the solver of one concept after the other, with its configuration, folder, history and held-out crops."""
        cfg, one = self.cfg, self._one
        self._played.clear()
        try:
            for part in self.parts:
                own = {'concept': part.concept, 'datasource': part.datasource}
                self.cfg, self._one = tp.cast(DictConfig, OmegaConf.merge(cfg, own)), part.concept.name
                self.dataloaders.update(self._held_out.get(part.concept.name, {}))
                self.folder.mkdir(parents=True, exist_ok=True)
                yield part.concept.name
        finally:
            self.cfg, self._one = cfg, one

    @property
    def folder(self) -> Path:
        return self.xp.folder / (self._one or '')

    @property
    def history(self) -> tp.List[tp.Dict[str, tp.Any]]:
        whole = self.xp.link.history
        return whole if self._one is None else [
            {stage: self._own(metrics) for stage, metrics in epoch.items()} for epoch in whole]

    @property
    def start_losses(self) -> tp.Dict[str, float]:
        return super().start_losses if self.history else self._own(self._pending_metrics['start'])

    def _own(self, metrics: tp.Dict[str, float]) -> tp.Dict[str, float]:
        """Metrics of the concept whose turn it is, and those that are not kept concept by concept."""
        suffix, split = f'/{self._one}', {key.partition('/')[0] for key in metrics if '/' in key}
        return {key.removesuffix(suffix): value for key, value in metrics.items()
                if key.endswith(suffix) or key.partition('/')[0] not in split}

    def _in_turn(self, stage: tp.Callable[[], tp.Optional[dict]]) -> tp.Dict[str, float]:
        """Run a stage for each concept; metrics of each, and their means."""
        each = {name: stage() or {} for name in self.concepts()}
        values: tp.Dict[str, tp.List[float]] = {}
        for metrics in each.values():
            for key, value in metrics.items():
                values.setdefault(key, []).append(value)
        means = {key: sum(many) / len(many) for key, many in values.items()}
        return {**means, **{f'{key}/{name}': value for name, metrics in each.items() for key, value in metrics.items()}}

    # Data and model

    def build_dataloaders(self) -> None:
        """Crops to learn from side by side; held-out ones concept by concept."""
        build, datasets = super().build_dataloaders, []
        for name in self.concepts():
            build()
            if self.dataloaders:
                datasets.append(utils.get_dataset_from_loader(self.dataloaders['train']))
                self._held_out[name] = {'valid': self.dataloaders['valid']}
        if datasets:
            self.dataloaders['train'] = self._loader(PackedDataset(datasets))

    def add_concepts(self) -> None:
        add = super().add_concepts
        for _ in self.concepts():
            add()

    # Training

    def seed_draws(self, stage: int, index: int) -> None:
        """As alone: a row's place is that among the rows of its concept."""
        super().seed_draws(stage, index)
        draw = self.conditioner.row_generator
        rows = {TRAIN: self.cfg.dataset.batch_size, GENERATE: self.cfg.generate.num_samples}.get(stage)
        if rows is not None and draw is not None:
            self.conditioner.row_generator = lambda row: draw(row % rows)

    def _repel(self, update: int) -> torch.Tensor:
        repel = super()._repel
        return torch.stack([repel(update) for _ in self.concepts()]).mean()

    def _compute_cross_entropy(self, logits: torch.Tensor, targets: torch.Tensor, mask: torch.Tensor) -> tp.Any:
        """The mean over concepts, with the gradient of the sum: each concept gets that of its own rows' mean."""
        if not self.is_training:
            return super()._compute_cross_entropy(logits, targets, mask)
        parts = zip(*(tensor.chunk(len(self.parts)) for tensor in (logits, targets, mask)))
        compute = super()._compute_cross_entropy
        losses, of_codebooks = zip(*(compute(*part) for part in parts))
        total = torch.stack(losses).sum()
        means = [torch.stack(codebook).mean() for codebook in zip(*of_codebooks)]
        return total - (total - total / len(losses)).detach(), means

    def update_best_state_from_stage(self, stage_name: str = 'valid') -> None:
        """Keep each concept's vectors where its own held-out loss is the lowest."""
        now = self.model.state_dict()
        for _ in self.concepts():
            epochs = [*(epoch[stage_name] for epoch in self.history), self._own(self._pending_metrics[stage_name])]
            losses = [epoch['ce'] for epoch in epochs]
            if losses[-1] == min(losses):
                key = f'bank.vectors.{self.word}'
                self.best_state.states['model'][key].copy_(now[key])

    # Stages

    def start(self) -> tp.Dict[str, float]:
        return self._in_turn(super().start)

    def valid(self) -> tp.Dict[str, float]:
        return self._in_turn(super().valid)

    def evaluate(self) -> tp.Dict[str, float]:
        return self._in_turn(super().evaluate)

    @flashy.distrib.rank_zero_only
    def generate(self) -> tp.Dict[str, float]:
        return self._in_turn(super().generate)

    def play(self, prompts: tp.List[str], duration: float) -> torch.Tensor:
        """While concepts take turns, also for the next ones, of the same prompt: as many rows as an update may have."""
        if self._one is None:
            return super().play(prompts, duration)
        (prompt,), words = set(prompts), [placeholder(part.concept.name) for part in self.parts]
        if prompt not in self._played:
            fit = max(1, len(words) * self.cfg.dataset.batch_size // len(prompts))
            each = list(dict.fromkeys(prompt.replace(self.word, word) for word in words[words.index(self.word):][:fit]))
            with draws_of(len(each)):
                wavs = super().play([one for one in each for _ in prompts], duration)
            self._played.update(zip(each, wavs.chunk(len(each))))
        return self._played[prompt]

    def _log_to_tensorboard(self, key: str, wav: torch.Tensor) -> None:
        super()._log_to_tensorboard(f'{self._one}/{key}', wav)

    # What is left of a run

    @flashy.distrib.rank_zero_only
    def export_concept(self) -> tp.Any:
        """Write the file and the history of the concept whose turn it is, or of all."""
        if self._one is None:
            return [self.export_concept() for _ in self.concepts()]
        with write_and_rename(self.folder / 'history.json', 'w') as file:
            json.dump(self.history, file, indent=2)
        return super().export_concept()

    def report(self) -> None:
        report = super().report
        for _ in self.concepts():
            report()
