"""The paper's table of concepts: every sub-folder of a root is one, learned as in the paper; docs/GRIDS.md says how."""
from .. import _concepts
from .._explorers import ConceptExplorer


@ConceptExplorer
def explorer(launcher):
    for base, sub in _concepts.launchers(launcher):
        with sub.job_array():
            for seed in _concepts.seeds():
                for pack in _concepts.packs():
                    sub(_concepts.learner(base), pack, seed=seed)
