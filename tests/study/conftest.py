"""A small study, made without a model: what the page and the analysis need."""
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
