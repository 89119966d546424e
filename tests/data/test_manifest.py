from dataclasses import replace
import json

from audiocraft.data.audio_dataset import load_audio_meta, save_audio_meta
import numpy as np
import pytest
import soundfile

from audiocraft_ti.data import manifest
from audiocraft_ti.data.manifest import Clip
from audiocraft_ti.errors import UserError

RATE = 16000


def write(path, seconds=3., value=None, seed=0):
    samples = np.random.default_rng(seed).uniform(-0.5, 0.5, int(seconds * RATE))
    if value is not None:
        samples[:] = value
    path.parent.mkdir(exist_ok=True, parents=True)
    soundfile.write(path, samples, RATE, 'FLOAT')


def truncate(path, seconds=3.):
    write(path, seconds)
    path.write_bytes(path.read_bytes()[:len(path.read_bytes()) // 2])


BAD = {
    'text.wav': lambda path: path.write_text('not audio'),
    'empty.wav': lambda path: path.write_bytes(b''),
    'header.wav': lambda path: write(path, 0),
    'half.wav': truncate,
    'silent.wav': lambda path: write(path, value=0),
    'nan.wav': lambda path: write(path, value=float('nan')),
    'short.wav': lambda path: write(path, 1.9),
}


@pytest.mark.parametrize('name', BAD)
def test_one_bad_file_is_named(tmp_path, name):
    BAD[name](tmp_path / name)
    with pytest.raises(UserError, match=name) as error:
        manifest.collect(str(tmp_path), None, None, min_length=2)
    assert str(error.value).count('\n') == 0


def test_bad_files_among_good_ones_are_left_out_with_a_warning(tmp_path, caplog):
    for name, make in BAD.items():
        make(tmp_path / name)
    for i in range(5):
        write(tmp_path / f'good{i}.wav', seed=i)
    write(tmp_path / 'copy.wav', seed=3)
    train, valid = manifest.collect(str(tmp_path), None, None, min_length=2)
    assert len(train) + len(valid) == 5
    for name in (*BAD, 'copy.wav', 'good3.wav'):
        assert any(name in message for message in caplog.messages), name
    assert len(caplog.messages) == len(BAD) + 1


def test_folder_absent_empty_or_without_audio(tmp_path):
    (tmp_path / 'notes.txt').write_text('hello')
    (tmp_path / '._hidden.wav').write_bytes(b'resource fork')
    for folder in (tmp_path / 'gone', tmp_path):
        with pytest.raises(UserError, match='datasource.folder='):
            manifest.collect(str(folder), None, None, min_length=2)


def test_sub_folders_are_searched(tmp_path):
    for name in ('a/1.wav', 'a/b/2.WAV', '3.wav'):
        write(tmp_path / name)
    assert [path.name for path in manifest.find_recordings(tmp_path)] == ['3.wav', '1.wav', '2.WAV']


@pytest.mark.parametrize('count', [5, 6, 12])
def test_with_enough_files_whole_files_are_held_out(count):
    clips = [Clip(f'{i}.wav', 6., RATE) for i in range(count)]
    train, valid = manifest.split(clips, 2., 'here')
    assert sorted(train + valid) == sorted(clips)
    assert len(valid) == pytest.approx(0.2 * count, abs=0.6)


@pytest.mark.parametrize('durations', [[4.], [4.01, 3.], [60.], [5.333, 10., 2.]])
def test_with_few_files_their_ends_are_held_out(durations):
    clips = [Clip(f'{i}.wav', duration, RATE) for i, duration in enumerate(durations)]
    train, valid = manifest.split(clips, 2., 'here')
    assert valid and all(clip.length >= 2 for clip in train + valid)
    for held_out in valid:
        learned, = [clip for clip in train if clip.path == held_out.path]
        assert learned.start == 0 and learned.duration == held_out.start  # no moment is in both
        assert held_out.duration == clips[int(held_out.path[0])].duration
        assert held_out.length >= 0.2 * held_out.duration


def test_where_no_file_can_be_cut_one_is_held_out():
    train, valid = manifest.split([Clip('a.wav', 3., RATE), Clip('b.wav', 3., RATE)], 2., 'here')
    assert [clip.path for clip in train] == ['a.wav'] and [clip.path for clip in valid] == ['b.wav']
    with pytest.raises(UserError, match='4 s'):
        manifest.split([Clip('a.wav', 3., RATE)], 2., 'here')


def test_upstream_reads_our_manifest_and_we_read_upstreams(tmp_path):
    clips = [replace(Clip('/a.wav', 6., RATE), start=4.), Clip('/b.wav', 5., RATE)]
    save_audio_meta(tmp_path / 'm.jsonl', clips)
    assert manifest.load(tmp_path / 'm.jsonl', 'key') == clips
    assert [meta.path for meta in load_audio_meta(tmp_path / 'm.jsonl')] == ['/a.wav', '/b.wav']
    save_audio_meta(tmp_path / 'folder' / 'data.jsonl', load_audio_meta(tmp_path / 'm.jsonl'))
    assert manifest.load(tmp_path / 'folder', 'key')[0] == Clip('/a.wav', 6., RATE)
    save_audio_meta(tmp_path / 'm.jsonl.gz', clips)
    assert manifest.load(tmp_path / 'm.jsonl.gz', 'key') == clips


@pytest.mark.parametrize('content', ['{', '{"a": 1}', '[]'])
def test_bad_manifest_is_named(tmp_path, content):
    (tmp_path / 'm.jsonl').write_text(content + '\n')
    with pytest.raises(UserError, match='datasource.train=.*m.jsonl'):
        manifest.collect(None, str(tmp_path / 'm.jsonl'), None, min_length=2)


def test_ready_manifests(tmp_path):
    write(tmp_path / 'a.wav', 6, seed=1)
    write(tmp_path / 'b.wav', 6, seed=2)
    for name in 'ab':
        line = {'path': str(tmp_path / f'{name}.wav'), 'duration': 6., 'sample_rate': RATE}
        (tmp_path / f'{name}.jsonl').write_text(json.dumps(line))
    train, valid = manifest.collect(None, str(tmp_path / 'a.jsonl'), str(tmp_path / 'b.jsonl'), min_length=2)
    assert [train[0].path[-5:], valid[0].path[-5:]] == ['a.wav', 'b.wav']
    train, valid = manifest.collect(None, str(tmp_path / 'a.jsonl'), None, min_length=2)
    assert valid[0].start == train[0].duration == 4.
