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
    temporary = path.with_name(path.name + '.tmp')
    temporary.write_text(''.join(json.dumps(line) + '\n' for line in lines), encoding='utf-8')
    return temporary.replace(path)
