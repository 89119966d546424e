"""Two visitors of the page side by side."""
from concurrent.futures import ThreadPoolExecutor
import gc
import re

import pytest
import soundfile
import torch

from audiocraft_ti.app.session import Session
from audiocraft_ti.concept import Concept
from audiocraft_ti.errors import UserError

PROMPT = 'A disco song with a <amen>'


@pytest.fixture
def concepts(tmp_path):
    """Two visitors' concepts of the same name, and one of another base."""
    paths = []
    for visitor, shape in (('one', (10, 128)), ('other', (4, 128)), ('wide', (1, 768))):
        (tmp_path / visitor).mkdir()
        name = 'wide' if visitor == 'wide' else 'amen'
        vectors = torch.randn(shape, generator=torch.Generator().manual_seed(shape[0]))
        paths.append(Concept(name, vectors).save(tmp_path / visitor / 'concept.safetensors'))
    return paths


def play(session, prompt=PROMPT, strength=0.5):
    return session.play('tiny', prompt, strength, 1., 0).read_bytes()


def learn(session, paths, name='amen', class_word=''):
    return session.learn([str(path) for path in paths], name, 'tiny', class_word, 10)


def test_concepts_of_one_visitor_are_no_others(concepts):
    one, other = Session(), Session()
    one.add(concepts[0])
    with pytest.raises(UserError, match='<amen>, which is not among the loaded concepts .none.'):
        play(other)
    other.add(concepts[1])
    alone = [play(one), play(other)]
    assert alone[0] != alone[1]
    with ThreadPoolExecutor(4) as pool:
        assert list(pool.map(play, [one, other] * 2)) == alone * 2
    assert play(one, strength=1.) != alone[0]


def test_a_concept_of_another_base_matters_only_where_it_is_spoken_of(concepts):
    session = Session()
    session.add(concepts[0])
    alone = play(session)
    session.add(concepts[2])
    assert play(session) == alone
    for prompt in ('<amen> and a <wide>', '<wide:0.3>'):
        with pytest.raises(UserError, match='width 768'):
            play(session, prompt)
    assert play(session) == alone


def test_an_empty_prompt():
    with pytest.raises(UserError, match='no prompt'):
        Session().play('tiny', ' ', 0.5, 1., 0)


@pytest.fixture
def paths(recordings):
    return sorted(recordings.glob('*.wav'))


def test_who_stops_or_leaves_or_learns_anew_stops_nobody_else(paths):
    sessions = [Session() for _ in range(3)]
    processes = [learn(session, paths).process for session in sessions]
    sessions[0].close()
    sessions[1].learning = None
    gc.collect()
    assert [process.wait() < 0 for process in processes[:2]] == [True, True] and processes[2].poll() is None
    assert learn(sessions[2], paths).process.poll() is None and processes[2].poll() < 0
    sessions[2].close()
    assert len({session.folder for session in sessions}) == 3


def test_recordings_are_copied_by_their_names_alone(paths):
    session, path = Session(), paths[0]
    learning = learn(session, [f'{path.parent}/../{path.parent.name}/{path.name}'])
    session.close()
    assert [copy.parent for copy in learning.recordings] == [session.folder / 'run1/recordings']
    assert learning.recordings[0].read_bytes() == path.read_bytes()


def write_recording(path, kind):
    if kind == 'text':
        path.write_text('la la la')
    elif kind == 'nothing':
        path.write_bytes(b'')
    elif kind == 'playlist':  # by which FFmpeg would read other files
        path.write_text('#EXTM3U\n#EXTINF:4,\n/tmp/other.wav\n#EXT-X-ENDLIST\n')
    else:
        soundfile.write(path, [0.] * (7200 * 100 if kind == 'long' else 0), 100, subtype='PCM_U8')
    return path


@pytest.mark.parametrize('kind, said', [
    ('text', 'cannot be decoded'), ('nothing', 'the file is empty'), ('playlist', 'cannot be decoded'),
    ('empty', 'it holds no audio'), ('long', '120 minutes long')])
def test_recordings_that_cannot_be_learned_from_are_named(tmp_path, kind, said):
    path = write_recording(tmp_path / 'a.wav', kind)
    with pytest.raises(UserError, match=f'^a[.]wav .*{said}'):
        learn(Session(), [path])


@pytest.mark.parametrize('changes, said', [
    ({'paths': []}, 'nothing to learn from'), ({'name': '../up'}, "concept.name='../up'"),
    ({'class_word': 'a ${oc.env:HOME}'}, 'no plain words')])
def test_what_else_cannot_be_learned(paths, changes, said):
    with pytest.raises(UserError, match=re.escape(said)):
        learn(Session(), **{'paths': paths, **changes})
