"""The server as a process: what it refuses, and that nothing acknowledged is lost when it is killed."""
import contextlib
import re
import signal
import socket
import subprocess
import sys
import threading

import httpx
import pytest

from audiocraft_ti.errors import UserError
from audiocraft_ti.study import page
from audiocraft_ti.study.folder import StudyFolder, TOKEN
from audiocraft_ti.study.store import Store
from tests.study.conftest import write_study
from tests.study.test_api import START


@contextlib.contextmanager
def serving(path, *options, port=0):
    """A server of its own, as URL and process; it is killed at the end, without a word."""
    command = [sys.executable, '-m', 'audiocraft_ti', 'study', 'serve', str(path), '--port', str(port), *options]
    process = subprocess.Popen(command, text=True, stdout=subprocess.PIPE, stderr=subprocess.STDOUT)
    try:
        said = process.stdout.readline()
        found = re.search(r'http://\S+:\d+', said)
        assert found, said + process.stdout.read()
        yield found[0], process
    finally:
        process.kill()
        process.communicate()


def take_part(url, acknowledged, lock, enough):
    """A rater, again and again, until the server is gone; what it acknowledged is noted."""
    try:
        while True:
            with httpx.Client(base_url=url, timeout=60) as client:
                total = client.post('/api/start', json=START).json()['total']
                for position in range(total):
                    choice = ['left', 'right', 'neither', 'undecided'][position % 4]
                    given = {'position': position, 'choice': choice, 'heard_left': 1, 'heard_right': 1}
                    response = client.post('/api/answer', json=given)
                    assert response.status_code == 200, response.text
                    with lock:
                        acknowledged.add((client.cookies['rater'], position, choice))
                        if len(acknowledged) == 60:
                            enough.set()
    except httpx.TransportError:
        pass


def test_what_was_acknowledged_survives_a_kill(tmp_path):
    study = write_study(tmp_path / 'study')
    acknowledged, lock, enough = set(), threading.Lock(), threading.Event()
    with serving(study.path) as (url, process):
        raters = [threading.Thread(target=take_part, args=(url, acknowledged, lock, enough)) for _ in range(6)]
        for rater in raters:
            rater.start()
        assert enough.wait(120)
        process.send_signal(signal.SIGKILL)
        for rater in raters:
            rater.join()
    key = next(iter(acknowledged))[0]
    with serving(study.path) as (url, _):
        again = httpx.get(f'{url}/api/state', cookies={'rater': key}, timeout=60).json()
    kept = [(rater.key, given.position, given.choice) for rater, all_given in Store(study.database).all()
            for given in all_given]
    assert len(acknowledged) >= 60 and acknowledged <= set(kept)
    assert len(kept) == len({(key, position) for key, position, _ in kept})
    assert again['position'] >= sum(one[0] == key for one in acknowledged)


def test_a_port_that_is_taken_and_a_study_in_use(study):
    with socket.create_server(('127.0.0.1', 0)) as other, pytest.raises(UserError, match='cannot be had'):
        page.listen('127.0.0.1', other.getsockname()[1])
    with study.lock(), pytest.raises(UserError, match='in use by another server'):
        page.serve(study, None, '127.0.0.1', 0)
    with pytest.raises(UserError, match='check --database'):
        Store('nonsense://')
    with pytest.raises(UserError, match='check --database'):
        Store(f'sqlite:///{study.path}/no/such/folder/answers.db')


@pytest.mark.parametrize('change, said', [
    (lambda text: 'x', 'its beginning'), (lambda text: text.replace('"hear": 0.9', '"hear": 2'), 'hear: '),
    (lambda text: text.replace('"seed"', '"sead"'), 'sead: Extra'), (lambda text: '{}', 'systems: Field required'),
    (lambda text: text.replace('"attention": 1', '"attention": 9'), 'wants 9 pairs of attention'),
    (lambda text: text.replace('"amen": "0', '"amen": "z'), 'has no clip z')])
def test_a_study_file_that_does_not_fit(study, change, said):
    file = study.path / 'study.json'
    file.write_text(change(file.read_text()))
    with pytest.raises(UserError, match=said):
        StudyFolder(study.path)


def test_a_folder_that_is_none(tmp_path):
    with pytest.raises(UserError, match='study create` made'):
        StudyFolder(tmp_path)


def test_the_token_is_for_its_owner_alone(study):
    assert (study.path / TOKEN).stat().st_mode & 0o077 == 0
