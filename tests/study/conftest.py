"""A small study, made without a model: what the page and the analysis need."""
import os
import shutil
import subprocess
import tempfile

import pytest

from audiocraft_ti.study.store import Store
from benchmarks.study_load import write_study


@pytest.fixture
def study(tmp_path):
    return write_study(tmp_path / 'study')


@pytest.fixture
def store(study):
    store = Store(study.database)
    yield store
    store.close()


@pytest.fixture
def postgresql():
    """URL of an empty database, of a server of its own that listens on no port."""
    with tempfile.TemporaryDirectory() as folder:  # the path of a socket has to be short
        # PostgreSQL does not run as root.
        user = ['runuser', '-u', 'postgres', '--'] if os.getuid() == 0 else []
        shutil.chown(folder, *['postgres'] * bool(user) or [os.getuid()])
        options = f"-c listen_addresses='' -k {folder}"

        def command(*args):
            subprocess.run([*user, *args], check=True, cwd=folder, stdout=subprocess.DEVNULL)
        command('initdb', '-D', f'{folder}/data', '-A', 'trust', '-U', 'rater', '--no-sync')
        command('pg_ctl', '-D', f'{folder}/data', '-o', options, '-l', f'{folder}/log', '-w', 'start')
        try:
            command('psql', '-h', folder, '-U', 'rater', '-c', 'CREATE DATABASE study', 'postgres')
            yield f'postgresql+psycopg://rater@/study?host={folder}'
        finally:
            command('pg_ctl', '-D', f'{folder}/data', '-m', 'immediate', '-w', 'stop')
