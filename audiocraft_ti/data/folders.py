"""Folders that appear whole or not at all."""
from contextlib import contextmanager
from pathlib import Path
import shutil
import typing as tp


@contextmanager
def whole_folder(folder: Path) -> tp.Iterator[Path]:
    """A folder to fill, which gets its name once it is full; what a process left that was killed there is removed."""
    temporary = folder.with_name(folder.name + '.tmp')
    shutil.rmtree(temporary, ignore_errors=True)
    temporary.mkdir(parents=True)
    yield temporary
    temporary.rename(folder)
