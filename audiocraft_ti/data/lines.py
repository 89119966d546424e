"""Files with a line of json each."""
import json
from pathlib import Path
import typing as tp

Line = tp.Dict[str, tp.Any]


def read(path: Path) -> tp.List[Line]:
    """Read all lines.

    Raises:
        OSError: If the file cannot be read.
        ValueError: If it is not json.
    """
    return [json.loads(line) for line in path.read_text(encoding='utf-8').splitlines() if line.strip()]


def write(lines: tp.Iterable[Line], path: Path) -> Path:
    """Write lines into a file that appears whole or not at all."""
    from flashy.utils import write_and_rename  # takes torch along, which those who only read do without
    with write_and_rename(path) as file:
        file.writelines(f'{json.dumps(line)}\n'.encode() for line in lines)
    return path
