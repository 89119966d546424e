"""Raters who all answer at once, while the server is killed: `python -m benchmarks.study_load [--raters 200]`.

Each rater fetches both clips of every pair and answers without a pause, which people do not. Half-way the server gets
a SIGKILL and is started again; raters go on where it says they are. At the end, every answer that was acknowledged has
to be in the database, as it was given, and no pair twice.
"""
import argparse
import asyncio
import contextlib
from dataclasses import dataclass, field
from pathlib import Path
import re
import subprocess
import sys
import tempfile
import time
import typing as tp

import httpx
import numpy as np
import soundfile

from audiocraft_ti.study import folder
from audiocraft_ti.study.design import ATTENTION, Pair
from audiocraft_ti.study.store import Store

SYSTEMS = ('ours', 'theirs')
TOKEN = 'a-token-of-the-researcher'
PROMPTS = {'editability': 'A disco song with a <amen>', 'reconstruction': 'A recording of a <amen>'}
CHOICES = ['left', 'right', 'neither', 'undecided']
START = {'consent': True, 'headphones': 3, 'about': {'music': 'yes'}}
UNBOUNDED = folder.Limits(requests='1000000/minute', starts='1000000/minute', tokens='1000000/minute')


def write_study(path: Path, seconds: float = 0.5, takes: int = 3, **changes: tp.Any) -> folder.StudyFolder:
    """A study made without a model: some pairs of each kind and one to see who listens, of tones."""
    clips = path.with_name('clips')
    clips.mkdir()
    made: tp.Dict[str, folder.Clip] = {}

    def clip(source: str) -> str:
        name = f'{len(made):016x}'
        tone = 0.1 * np.sin(2 * np.pi * (200 + 40 * len(made)) * np.arange(int(32000 * seconds)) / 32000)
        soundfile.write(clips / f'{name}.wav', tone, 32000)
        made[name] = folder.Clip(source=f'/samples/{source}.wav', seconds=seconds)
        return name
    pairs = [Pair(kind, 'amen', prompt, SYSTEMS, (clip(f'ours/{kind}_{take}'), clip(f'theirs/{kind}_{take}')))
             for kind, prompt in PROMPTS.items() for take in range(takes)]
    pairs.append(Pair(ATTENTION, 'amen', PROMPTS['editability'], ('ours', 'noise'), (pairs[0].clips[0], clip('noise'))))
    settings: tp.Dict[str, tp.Any] = {
        'systems': list(SYSTEMS), 'pairs_per_rater': {'editability': 2, 'reconstruction': 2, ATTENTION: 1},
        'labels': {'amen': 'drum break'}, 'references': {'amen': clip('amen')}, 'pairs': pairs, 'clips': made,
        'questions': [folder.Question(name='music', text='Do you make music?', options=['yes', 'no'], required=True)]}
    return folder.write(path, folder.Study(**{**settings, **changes}), TOKEN, clips)


@contextlib.contextmanager
def serving(path: Path, port: int = 0, *options: str) -> tp.Iterator[tp.Tuple[str, subprocess.Popen]]:
    """A server of its own, as URL and process; it is killed at the end, without a word."""
    command = [sys.executable, '-m', 'audiocraft_ti', 'study', 'serve', str(path), '--port', str(port), *options]
    process = subprocess.Popen(command, text=True, stdout=subprocess.PIPE, stderr=subprocess.STDOUT)
    assert process.stdout is not None
    try:
        said = process.stdout.readline()
        found = re.search(r'http://\S+:\d+', said)
        assert found, said + process.stdout.read()
        yield found[0], process
    finally:
        process.kill()
        process.communicate()


@dataclass
class Load:
    """What raters saw.

    Args:
        acknowledged (dict): Choice of each rater's key and position.
        waits (list of float): Seconds from an answer to its acknowledgement.
        half (asyncio.Event): Set when half of all answers are acknowledged.
    """
    raters: int
    acknowledged: tp.Dict[tp.Tuple[str, int], str] = field(default_factory=dict)
    waits: tp.List[float] = field(default_factory=list)
    half: asyncio.Event = field(default_factory=asyncio.Event)

    async def take_part(self, url: str) -> None:
        """One rater, from the beginning to the end, through the server's death."""
        async with httpx.AsyncClient(base_url=url, timeout=120, verify=False) as client:
            state = await _insist(lambda: client.post('/api/start', json=START))
            while state['position'] < state['total']:
                try:
                    state = await self._answer(client, state)
                except httpx.TransportError:
                    state = await _insist(lambda: client.get('/api/state'))

    async def _answer(self, client: httpx.AsyncClient, state: tp.Dict[str, tp.Any]) -> tp.Dict[str, tp.Any]:
        position = state['position']
        for side in ('left', 'right'):
            (await client.get(f'/api/clip/{position}/{side}')).raise_for_status()
        choice = CHOICES[(position + len(self.acknowledged)) % 4]
        begin = time.monotonic()
        response = await client.post('/api/answer', json={
            'position': position, 'choice': choice, 'heard_left': state['hear_left'],
            'heard_right': state['hear_right']})
        response.raise_for_status()
        self.waits.append(time.monotonic() - begin)
        self.acknowledged[client.cookies['rater'], position] = choice
        if len(self.waits) > self.raters * state['total'] / 2:
            self.half.set()
        return response.json()


async def _insist(ask: tp.Callable[[], tp.Awaitable[httpx.Response]]) -> tp.Any:
    while True:
        try:
            response = await ask()
        except httpx.TransportError:
            await asyncio.sleep(0.2)
        else:
            response.raise_for_status()
            return response.json()


async def run(study: folder.StudyFolder, raters: int) -> tp.Tuple[Load, float]:
    """All raters' whole study with a kill in the middle; the seconds are those in which the server was up."""
    load = Load(raters)
    with serving(study.path) as (url, process):
        begin = time.monotonic()
        people = [asyncio.create_task(load.take_part(url)) for _ in range(raters)]
        await load.half.wait()
        process.kill()
        up = time.monotonic() - begin
        await asyncio.to_thread(process.wait)
    # Raters keep trying while the server comes up, so this thread does not wait for it.
    again = serving(study.path, int(url.rpartition(':')[2]))
    await asyncio.to_thread(again.__enter__)
    begin = time.monotonic()
    try:
        await asyncio.gather(*people)
        return load, up + time.monotonic() - begin
    finally:
        again.__exit__(None, None, None)


def lost_and_doubled(study: folder.StudyFolder, load: Load) -> tp.Tuple[int, int]:
    """How many acknowledged answers are not in the database as they were given, and how many are there twice."""
    kept = [((rater.key, one.position), one.choice) for rater, given in Store(study.database).all() for one in given]
    there = dict(kept)
    lost = sum(there.get(which) != choice for which, choice in load.acknowledged.items())
    return lost, len(kept) - len(there)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument('--raters', type=int, default=200)
    parser.add_argument('--seconds', type=float, default=10., help='Length of clips.')
    args = parser.parse_args()
    with tempfile.TemporaryDirectory() as temporary:
        study = write_study(Path(temporary) / 'study', args.seconds, 5, limits=UNBOUNDED,
                            pairs_per_rater={'editability': 5, 'reconstruction': 5})
        load, seconds = asyncio.run(run(study, args.raters))
        lost, doubled = lost_and_doubled(study, load)
    waits = np.quantile(load.waits, [0.5, 0.99])
    print(f'{args.raters} raters, {len(load.waits)} answers acknowledged in {seconds:.1f} s: '
          f'{len(load.waits) / seconds:.0f} answers/s, with {2 * len(load.waits) / seconds:.0f} clips/s beside them; '
          f'an answer took {waits[0]:.2f} s at the median, {waits[1]:.2f} s at the 99th percentile; '
          f'{lost} lost, {doubled} doubled.')


if __name__ == '__main__':
    main()
