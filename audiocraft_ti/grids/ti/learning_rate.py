"""Which learning rate is the default: on concepts of the tiny base that no table reports."""
from .._explorers import ConceptExplorer
from ._tiny import concept

CONCEPTS = {'sitar': 'synth', 'tambourine': 'hihat', 'guitar': 'guitar'}
SEEDS = (1, 2)
RATES = (0.01, 0.02, 0.05, 0.1, 0.2, 0.5)  # in units of the embeddings' root mean square


@ConceptExplorer
def explorer(launcher):
    launcher.bind_(solver='musicgen/ti_tiny')
    for timbre, class_word in CONCEPTS.items():
        for seed in SEEDS:
            one = launcher.bind(concept(timbre, class_word), seed=seed)
            for rate in RATES:
                one({'optim.lr': rate})
