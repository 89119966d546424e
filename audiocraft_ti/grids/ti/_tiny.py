"""Concepts of the tiny world to run experiments with."""
from pathlib import Path
import typing as tp

from ...tiny.recordings import write_recordings

RELEARNED = ('flute', 'clarinet', 'accordion', 'guitar', 'bass', 'bell', 'kick', 'snare')  # known, and learned anew
FOLDER = Path('outputs/concepts')  # relative, so that a run has the same signature on every machine


def concept(timbre: str, class_word: str, count: int = 20) -> tp.Dict[str, str]:
    """Overrides for learning a timbre from so many recordings, which are drawn if they are not there."""
    folder = FOLDER / f'{timbre}-{count}'
    if not folder.exists():
        write_recordings(folder, timbre, count)
    return {'datasource.folder': str(folder), 'concept.name': f'my-{timbre}', 'concept.class_word': class_word}
