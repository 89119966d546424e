"""What textual inversion is to be compared with, for every sub-folder of a root: one vector, and all weights; on an
AudioLDM, DreamBooth.
"""
from .. import _concepts
from .._explorers import ConceptExplorer


@ConceptExplorer
def explorer(launcher):
    for base, sub in _concepts.launchers(launcher):
        with sub.job_array():
            for seed in _concepts.seeds():
                for concept in _concepts.packs(1):
                    sub(_concepts.learner(base), concept, seed=seed)
                    if _concepts.family(base) == 'AudioLDM':
                        sub(_concepts.learner(base, 'dreambooth'), concept, seed=seed)
                    else:
                        sub(_concepts.learner(base), concept, {'concept.num_vectors': 1}, seed=seed)
                        sub(_concepts.learner(base, 'finetune'), concept, seed=seed)
