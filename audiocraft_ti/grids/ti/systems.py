"""The three systems that the paper compares (P26, figure 2 and table 1): on every sound that no tiny base knows, or on
the real bases, where there is a root of concepts.
"""
import os
import typing as tp

from ...errors import UserError
from ...train import job
from .. import _concepts
from .._explorers import ConceptExplorer
from ._tiny import concept

CONCEPTS = {'zither': 'guitar', 'sitar': 'synth', 'bassoon': 'bass', 'kalimba': 'marimba', 'harmonica': 'accordion',
            'theremin': 'flute', 'conga': 'snare', 'tambourine': 'hihat'}  # and a word that is near to each
MUSICGEN, AUDIOLDM, DREAMBOOTH = 'MusicGen, textual inversion', 'AudioLDM, textual inversion', 'AudioLDM, DreamBooth'
SYSTEMS = {MUSICGEN: ('MusicGen', 'ti'), AUDIOLDM: ('AudioLDM', 'ti'), DREAMBOOTH: ('AudioLDM', 'dreambooth')}
REAL = f'{_concepts.LARGE},cvssp/audioldm-m-full'
TINY = 'tiny,audioldm-tiny'


class Run(tp.NamedTuple):
    """An experiment of the grid: its system, concept and kind of base, and the overrides."""
    setting: str
    concept: str
    base: str
    overrides: tp.List[tp.Any]


def runs() -> tp.Iterator[Run]:
    """All of them, concept by concept."""
    on_root = _concepts.ROOT in os.environ
    bases = _bases(REAL if on_root else TINY)
    for name, overrides in _of_root() if on_root else _of_the_tiny_world():
        for system, (family, kind) in SYSTEMS.items():
            yield Run(system, name, family, [
                _concepts.learner(bases[family], kind),
                {'generate.num_samples': 10, 'generate.baselines': kind == 'ti', **overrides},
                *_concepts.overrides()])


def _bases(default: str) -> tp.Dict[str, str]:
    """The base of each kind."""
    found = {_concepts.family(base): base for base in _concepts.bases(default)}
    if set(found) != {'MusicGen', 'AudioLDM'}:
        raise UserError(f"{_concepts.BASES}={','.join(found.values())} does not name a MusicGen and an AudioLDM, as "
                        f"{default} does.")
    return found


def _of_root() -> tp.Iterator[tp.Tuple[str, tp.Dict[str, tp.Any]]]:
    for overrides in _concepts.packs(1):
        if 'concept.class_word' not in overrides:
            raise UserError(f"{overrides['datasource.folder']} has no {_concepts.CLASS_WORD}, which DreamBooth needs: "
                            "write into it what the recordings are of, 'guitar' for one.")
        yield overrides['concept.name'], overrides


def _of_the_tiny_world() -> tp.Iterator[tp.Tuple[str, tp.Dict[str, tp.Any]]]:
    for timbre, class_word in CONCEPTS.items():
        yield timbre, concept(timbre, class_word)


@ConceptExplorer
def explorer(launcher):
    for run in runs():
        launcher.slurm(**job(run.overrides[0].get('continue_from', 'tiny')))(run.overrides)
