"""A small study, made without a model: what the page and the analysis need."""
from pathlib import Path

import numpy as np
import pytest
import soundfile

from audiocraft_ti.study import folder
from audiocraft_ti.study.design import ATTENTION, Pair
from audiocraft_ti.study.store import Store

SYSTEMS = ('ours', 'theirs')
TOKEN = 'a-token-of-the-researcher'
PROMPTS = {'editability': 'A disco song with a <amen>', 'reconstruction': 'A recording of a <amen>'}


def write_study(path: Path, seconds: float = 0.5, counts=None, **changes) -> folder.StudyFolder:
    """Three pairs of each kind and one to see who listens; every clip is a tone of its own."""
    clips = path.with_name('clips')
    clips.mkdir()
    made = {}

    def clip(source):
        name = f'{len(made):016x}'
        tone = 0.1 * np.sin(2 * np.pi * (200 + 40 * len(made)) * np.arange(int(32000 * seconds)) / 32000)
        soundfile.write(clips / f'{name}.wav', tone, 32000)
        made[name] = folder.Clip(source=f'/samples/{source}.wav', seconds=seconds)
        return name
    pairs = [Pair(kind, 'amen', prompt, SYSTEMS, tuple(clip(f'{system}/{kind}_{index}') for system in SYSTEMS))
             for kind, prompt in PROMPTS.items() for index in range(3)]
    pairs.append(Pair(ATTENTION, 'amen', PROMPTS['editability'], ('ours', 'noise'), (pairs[0].clips[0], clip('noise'))))
    study = folder.Study(**{
        'systems': list(SYSTEMS), 'pairs_per_rater': counts or {'editability': 2, 'reconstruction': 2, ATTENTION: 1},
        'labels': {'amen': 'drum break'}, 'references': {'amen': clip('amen')}, 'pairs': pairs, 'clips': made,
        'questions': [folder.Question(name='music', text='Do you make music?', options=['yes', 'no'], required=True)],
        **changes})
    return folder.write(path, study, TOKEN, clips)


@pytest.fixture
def study(tmp_path):
    return write_study(tmp_path / 'study')


@pytest.fixture
def store(study):
    store = Store(study.database)
    yield store
    store.close()
