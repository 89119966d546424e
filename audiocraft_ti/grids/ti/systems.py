"""The three systems that the paper compares (P26, figure 2 and table 1), on every sound that no tiny base knows."""
import typing as tp

from .._explorers import listed
from ._tiny import concept

CONCEPTS = {'zither': 'guitar', 'sitar': 'synth', 'bassoon': 'bass', 'kalimba': 'marimba', 'harmonica': 'accordion',
            'theremin': 'flute', 'conga': 'snare', 'tambourine': 'hihat'}  # and a word that is near to each
MUSICGEN, AUDIOLDM, DREAMBOOTH = 'MusicGen, textual inversion', 'AudioLDM, textual inversion', 'AudioLDM, DreamBooth'
SYSTEMS = {MUSICGEN: 'musicgen/ti_tiny', AUDIOLDM: 'audioldm/ti_tiny', DREAMBOOTH: 'audioldm/dreambooth_tiny'}


class Run(tp.NamedTuple):
    """An experiment of the grid, and its overrides."""
    setting: str
    timbre: str
    base: str
    overrides: tp.Dict[str, tp.Any]


def runs() -> tp.Iterator[Run]:
    """All of them, concept by concept."""
    for timbre, class_word in CONCEPTS.items():
        for system, solver in SYSTEMS.items():
            yield Run(system, timbre, system.partition(',')[0], {
                'solver': solver, 'generate.num_samples': 10, 'generate.baselines': system != DREAMBOOTH,
                **concept(timbre, class_word)})


explorer = listed(runs)
