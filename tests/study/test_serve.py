"""The server as a process: what it refuses, and that nothing acknowledged is lost when it is killed."""
import asyncio
import socket

import pytest

from audiocraft_ti.errors import UserError
from audiocraft_ti.study import page
from audiocraft_ti.study.folder import StudyFolder, TOKEN
from audiocraft_ti.study.store import Store
from benchmarks import study_load


def test_what_was_acknowledged_survives_a_kill(study):
    load, _ = asyncio.run(study_load.run(study, raters=12))
    assert study_load.lost_and_doubled(study, load) == (0, 0)
    assert len(load.waits) == len(load.acknowledged) >= 12 * 5 - 12  # the last word to each rater may be lost, once
    assert [len(given) for _, given in Store(study.database).all()] == [5] * 12


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
