"""What each of the paper's choices is worth, on the tiny base: one at a time against all of them together."""
import typing as tp

from .._explorers import ConceptExplorer
from ._tiny import concept

CONCEPTS = {'zither': 'guitar', 'conga': 'snare', 'flute': 'flute'}  # and the word of the base nearest to each
SEEDS = (1, 2, 3)
SETTINGS: tp.Dict[str, tp.Dict[str, tp.Any]] = {
    'the paper': {},
    '1 vector': {'concept.num_vectors': 1},
    '5 vectors': {'concept.num_vectors': 5},
    '20 vectors': {'concept.num_vectors': 20},
    'all tokens at test time': {'concept.sample_ratio': 1},
    'no shuffle': {'concept.shuffle': False},
    'no orthogonality': {'concept.orthogonality.weight': 0},
    'no average': {'optim.ema.use': False},
    'no L1 decay': {'optim.l1_decay': 0},
    'start: diagonal Gaussian': {'concept.init': 'gaussian_diag'},
    'start: mean': {'concept.init': 'mean'},
    'start: class word': {'concept.init': 'token'},
    'constant rate': {'schedule.lr_scheduler': None},
    '1 s crops': {'dataset.segment_duration': 1},
    '4 s crops': {'dataset.segment_duration': 4},
    'one prompt': {'dataset.neutral_prompts': ['A recording of a {}']},
}


@ConceptExplorer
def explorer(launcher):
    launcher.bind_({'solver': 'musicgen/ti_tiny', 'generate.num_samples': 10})
    for timbre, class_word in CONCEPTS.items():
        for seed in SEEDS:
            one = launcher.bind(concept(timbre, class_word), seed=seed)
            for setting in SETTINGS.values():
                one(setting)
            one({'solver': 'musicgen/finetune_tiny'})
