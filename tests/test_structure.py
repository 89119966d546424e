"""Data flows one way through the package, and so do imports."""
import ast
from pathlib import Path
import re

ROOT = Path(__file__).parent.parent / 'audiocraft_ti'
# A room imports from those before it, and from itself.
ROOMS = ['errors', 'environment', 'hashes', 'rng', 'concept', 'data', 'modules', 'optim', 'tiny', 'models',
         'evaluation', 'report', 'study', 'solvers', 'train', 'grids', 'app', 'cli', '__main__']


def imported_rooms(path: Path):
    """Rooms that a file of the package imports, by relative imports, which are the only ones it has."""
    package = path.relative_to(ROOT.parent).parent.parts
    for node in ast.walk(ast.parse(path.read_text())):
        if isinstance(node, ast.Import):
            assert not any(alias.name.startswith('audiocraft_ti') for alias in node.names), path
        if not isinstance(node, ast.ImportFrom):
            continue
        if not node.level:
            assert not (node.module or '').startswith('audiocraft_ti'), path
            continue
        parts = (*package[:len(package) - node.level + 1], *(node.module.split('.') if node.module else ()))
        names = [parts[1]] if len(parts) > 1 else [alias.name for alias in node.names]
        yield from (name for name in names if name != '__version__')


def test_imports_point_one_way():
    for path in ROOT.rglob('*.py'):
        room = path.relative_to(ROOT).parts[0].removesuffix('.py')
        if room == '__init__':
            continue
        for other in imported_rooms(path):
            assert ROOMS.index(other) <= ROOMS.index(room), f'{path} imports {other}'


def test_every_room_is_listed():
    found = {path.stem for path in ROOT.iterdir() if path.suffix == '.py' or (path / '__init__.py').exists()}
    assert found - {'__init__'} == set(ROOMS)


def test_tests_that_the_docs_name_are_there():
    tests = Path(__file__).parent
    pages = ''.join(path.read_text() for path in (ROOT.parent / 'docs').glob('*.md'))
    named = re.findall(r'(test_\w+\.py)(?:::(test_\w+))?', pages + (ROOT.parent / 'benchmarks/ablation.py').read_text())
    assert len(named) > 20
    for file, name in named:
        path, = tests.rglob(file)
        assert not name or f'def {name}(' in path.read_text(), f'{file}::{name}'
