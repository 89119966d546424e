"""A run of the solver in a process of its own, and how far it is."""
from dataclasses import dataclass, field
import json
import os
from pathlib import Path
import re
import shutil
import subprocess
import sys
import typing as tp
import weakref

from ..concept import check_name
from ..data.manifest import announced_duration, check_recording
from ..errors import UserError

EPOCH = 10  # updates between two looks at the held-out loss
LONGEST = 600  # seconds of a recording
_COLOUR = re.compile('\x1b\\[[0-9;]*m')
_PLAIN_WORDS = re.compile(r'[\w -]*')  # since Hydra reads them


@dataclass
class Progress:
    """What is known of a run.

    Args:
        updates (int): Updates that are done.
        losses (list of float): Held-out loss after every epoch, in nats.
        references (dict[str, float]): What it is compared with: before learning, without text, with the class word.
        message (str): Its last word.
        running (bool): Whether it still runs.
    """
    updates: int = 0
    losses: tp.List[float] = field(default_factory=list)
    references: tp.Dict[str, float] = field(default_factory=dict)
    message: str = ''
    running: bool = True


class Learning:
    """Learns a concept with `dora run`, in a folder that is nobody else's.

    Args:
        folder (Path): For recordings, run and log; is made.
        recordings (list of str): Files to learn from; they are copied.
        name (str): Name of the concept.
        base (str): Base model.
        class_word (str): What a word of English would be for it, or nothing.
        updates (int): How many.
    Raises:
        UserError: If there are no recordings, one is too long, or the name will not do.
    """
    def __init__(self, folder: Path, recordings: tp.Sequence[str], name: str, base: str, class_word: str, updates: int):
        check_name(name)
        if not _PLAIN_WORDS.fullmatch(class_word):
            raise UserError(f'{class_word!r} is no plain words: use letters, spaces and hyphens.')
        self.recordings = _copy(recordings, folder / 'recordings')
        self.folder, self.updates = folder, updates
        solver = 'musicgen/ti_tiny' if base == 'tiny' else 'musicgen/ti'
        overrides = {'solver': solver, 'continue_from': base, 'datasource.folder': folder / 'recordings',
                     'concept.name': name, 'optim.updates_per_epoch': EPOCH, 'optim.epochs': -(-updates // EPOCH)}
        if class_word:
            overrides['concept.class_word'] = f'"{class_word}"'
        command = [str(Path(sys.executable).with_name('dora')), '-P', 'audiocraft_ti', 'run',
                   *(f'{key}={value}' for key, value in overrides.items())]
        with open(folder / 'log', 'wb') as log:
            self.process = subprocess.Popen(command, stdout=log, stderr=subprocess.STDOUT, cwd=folder,
                                            env={**os.environ, 'AUDIOCRAFT_DORA_DIR': str(folder / 'runs')})
        weakref.finalize(self, self.process.terminate)  # it ends with its visitor and with the page

    def stop(self) -> None:
        """End it; what was learned up to the last epoch is there."""
        if self.process.poll() is None:
            self.process.terminate()
            self.process.wait()

    @property
    def run_folder(self) -> tp.Optional[Path]:
        return next((self.folder / 'runs/xps').glob('*'), None)

    def find(self, pattern: str) -> tp.List[Path]:
        """Files of the run, `concept.safetensors` or `samples/*/*.wav`."""
        return sorted(self.run_folder.glob(pattern)) if self.run_folder else []

    def progress(self) -> Progress:
        """How far it is.

        Raises:
            UserError: If it failed, with its own words.
        """
        code = self.process.poll()
        log = (self.folder / 'log').read_text(encoding='utf-8', errors='replace')
        lines = _COLOUR.sub('', log).splitlines()
        if code is not None and code > 0:
            raise UserError(self._reason(lines) or f'The run ended with status {code}.')
        history = json.loads(self.find('history.json')[0].read_text()) if self.find('history.json') else []
        losses = [epoch['valid']['ce'] for epoch in history]
        references = history[0]['start'] if history else {}
        said = [line.partition(' - ')[2] for line in lines if ' learning' in line or ' gained ' in line]
        return Progress(len(losses) * EPOCH, losses, references, said[-1] if said else '', code is None)

    def _reason(self, lines: tp.List[str]) -> str:
        """Why it failed, with files by their names in its folder."""
        said = [line for line in lines if line.startswith('error: ')] or lines[-1:]
        return ''.join(said[:1]).removeprefix('error: ').replace(f'{self.folder}/', '')


def _copy(recordings: tp.Sequence[str], folder: Path) -> tp.List[Path]:
    if not recordings:
        raise UserError('There is nothing to learn from: add recordings first.')
    folder.mkdir(parents=True)
    copies = []
    for number, path in enumerate(recordings):
        _check(path)
        copies.append(Path(shutil.copy(path, folder / f'{number:03} {Path(path).name}')))
    return copies


def _check(path: str) -> None:
    """Refuse what the run would only leave out, and, by its header, what would take long to read."""
    name, seconds = Path(path).name, announced_duration(path, default=0.)
    if seconds > LONGEST:
        raise UserError(f'{name} is {seconds / 60:.0f} minutes long: cut out the parts that have the sound, '
                        f'{LONGEST / 60:.0f} minutes at most.')
    try:
        check_recording(path)
    except ValueError as error:
        raise UserError(f'{name} cannot be learned from: {error}; take it out of the list.') from error
