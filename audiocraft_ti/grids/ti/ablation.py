"""What each of the paper's choices is worth, on the tiny base: one at a time against all of them together."""
import typing as tp

from .._explorers import listed
from ._tiny import concept

CONCEPTS = {'zither': 'guitar', 'conga': 'snare', 'flute': 'flute'}  # and the word of the base nearest to each
SEEDS = (1, 2, 3)
THE_PAPER = 'the paper'
ALL = 'all tokens at test time'
FINE_TUNING = 'fine-tuning of all weights'
PAPER: tp.Dict[str, tp.Any] = {'concept.train_ratio': 1, 'concept.init': 'gaussian'}  # the tiny base's differ
SETTINGS: tp.Dict[str, tp.Dict[str, tp.Any]] = {
    THE_PAPER: {},
    '1 vector': {'concept.num_vectors': 1},
    '5 vectors': {'concept.num_vectors': 5},
    '20 vectors': {'concept.num_vectors': 20},
    ALL: {'concept.sample_ratio': 1},
    'no shuffle': {'concept.shuffle': False},
    'no orthogonality': {'concept.orthogonality.weight': 0},
    'no average': {'optim.ema.use': False},
    'no L1 decay': {'optim.l1_decay': 0},
    'start: diagonal Gaussian': {'concept.init': 'gaussian_diag'},
    'start: mean': {'concept.init': 'mean'},
    'start: class word': {'concept.init': 'token'},
    'constant rate': {'schedule.lr_scheduler': None},
    '1 s crops': {'dataset.segment_duration': 1},
    '2 s crops': {'dataset.segment_duration': 2},
    'one prompt': {'dataset.neutral_prompts': ['A recording of a {}']},
    'half of them in training': {'concept.train_ratio': 0.5},
    'start: mean, half in training': {'concept.train_ratio': 0.5, 'concept.init': 'mean'},
    FINE_TUNING: {'solver': 'musicgen/finetune_tiny'},
}


class Run(tp.NamedTuple):
    """An experiment of the grid, and its overrides."""
    setting: str
    timbre: str
    seed: int
    overrides: tp.Dict[str, tp.Any]


def runs() -> tp.Iterator[Run]:
    """All of them, concept by concept and seed by seed."""
    for timbre, class_word in CONCEPTS.items():
        for seed in SEEDS:
            for setting, changes in SETTINGS.items():
                paper = {} if setting == FINE_TUNING else PAPER
                yield Run(setting, timbre, seed, {
                    'solver': 'musicgen/ti_tiny', 'generate.num_samples': 10, 'seed': seed,
                    **concept(timbre, class_word), **paper, **changes})


explorer = listed(runs)
