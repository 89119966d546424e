"""The command line, as processes of their own where start-up counts, else by click's own runner."""
import json
from pathlib import Path
import shlex
import shutil
import subprocess
import sys

from click.testing import CliRunner
import pytest
import soundfile
import torch
import torchaudio

from audiocraft_ti.app import page
from audiocraft_ti.cli import cli
from audiocraft_ti.concept import Concept
from audiocraft_ti.data.manifest import load
from audiocraft_ti.errors import UserError
from audiocraft_ti.models import hub


ELSEWHERE = {'benchmark', 'collect', 'study'}  # with all that they need, in tests/evaluation, grids and study


@pytest.fixture
def concept(tmp_path):
    vectors = torch.randn(10, 128, generator=torch.Generator().manual_seed(0))
    metadata = {'base_model': 'tiny', 'origin': 'a shed,\nat night', 'scores': '{"ce": 1.5}',
                'training': '{"optim": {"lr\\u001b[2J": "\\u202e0.05"}}'}
    return Concept('amen', vectors, metadata).save(tmp_path / 'amen.safetensors')


def run(*args, fails=None):
    result = CliRunner().invoke(cli, [str(arg) for arg in args])
    if fails is None:
        assert result.exit_code == 0, result.output
        return result.output
    assert isinstance(result.exception, UserError) and fails in str(result.exception)


def test_music_for_every_prompt_and_seed_and_the_same_twice(concept, tmp_path):
    out = tmp_path / 'music'
    options = ['--concept', concept, '--duration', 1, '--out', out]
    prompts = ['--prompt', 'a disco song with a <amen>', '--prompt', 'a <amen:0.2>']
    assert 'Generating' in run('generate', *options, *prompts, '--seed', 0, '--seed', 7)
    lines = [json.loads(line) for line in (out / 'samples.jsonl').read_text().splitlines()]
    assert [(line['prompt'], line['seed']) for line in lines] == [
        ('a disco song with a <amen>', 0), ('a disco song with a <amen>', 7), ('a <amen:0.2>', 0), ('a <amen:0.2>', 7)]
    assert {line['base'] for line in lines} == {'tiny'}
    files = {line['file']: (out / line['file']).read_bytes() for line in lines}
    assert len(files) == len(set(files.values())) == 4
    with soundfile.SoundFile(out / lines[1]['file']) as file:
        assert file.samplerate == 16000 and len(file) == 16000 and abs(file.read()).max() > 0.01
        assert file.comment == 'a disco song with a <amen> (seed 7, tiny)'

    run('generate', *options, '--prompt', 'a <amen:0.2>', '--seed', 7)  # alone, it is what it was among others
    assert {line['file']: (out / line['file']).read_bytes() for line in lines} == files
    assert len((out / 'samples.jsonl').read_text().splitlines()) == 4


def test_what_generate_cannot_do(concept, tmp_path):
    options = ['generate', '--duration', 1, '--out', tmp_path]
    run(*options, '--prompt', 'a song', fails='--base is missing')
    run(*options, '--concept', concept, '--prompt', 'a <oud>', fails='<oud>, which is not among the loaded concepts')
    run(*options, '--concept', tmp_path / 'none.safetensors', '--prompt', 'a <oud>', fails='none.safetensors')
    run(*options, '--concept', concept, '--prompt', 'a <amen>', '--strength', 2, fails='sample_ratio=2')


def test_loudness_is_what_was_asked_for(concept, tmp_path):
    for loudness in (-16, -30):
        run('generate', '--concept', concept, '--duration', 2, '--prompt', 'a <amen>', '--loudness', loudness,
            '--out', tmp_path / str(loudness))
        path, = (tmp_path / str(loudness)).glob('*.wav')
        wav, rate = soundfile.read(path, dtype='float32', always_2d=True)
        assert torchaudio.functional.loudness(torch.from_numpy(wav.T), rate) == pytest.approx(loudness, abs=1)


def test_examples_of_help_work_as_typed(concept, recordings, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    shutil.copytree(recordings, 'recordings')
    shutil.copytree(recordings, 'my/recordings')
    monkeypatch.setattr(hub.HfApi, 'create_repo', lambda self, repo, **kwargs: f'page of {repo}')
    monkeypatch.setattr(hub.HfApi, 'upload_folder', lambda self, **kwargs: None)
    monkeypatch.setattr(hub, 'hf_hub_download', lambda repo, file: concept)
    monkeypatch.setattr(page, 'serve', lambda *args: print(*args))  # which would never end
    said = {}
    commands = {name: command for name, command in cli.commands.items() if name not in ELSEWHERE}
    for name, command in commands.items():  # each as it stands in its help, in the order in which they follow
        program, *words = shlex.split(command.epilog.partition('Example:')[2])
        assert program == 'audiocraft-ti' and words[0] == name
        said[name] = run(*words)
    assert Path(said['generate'].split()[-1]).exists() and '<amen>' in said['inspect'] and 'ours' in said['evaluate']
    assert said['push'] == 'page of me/amen\n' and said['pull'] == 'concepts/amen.safetensors\n'
    assert '127.0.0.1 7860 tiny' in said['app'] and len(said) == len(commands) >= 8


def test_inspect_says_everything_and_moves_no_cursor(concept):
    lines = dict(line.split(None, 1) for line in run('inspect', concept).splitlines())
    assert lines == {'concept': '<amen>', 'vectors': '10 of width 128', 'base_model': 'tiny',
                     'origin': 'a shed,?at night', 'training.optim.lr?[2J': '?0.05', 'scores.ce': '1.5'}


def test_a_manifest_of_a_folder(recordings, tmp_path):
    output = run('manifest', recordings, '--out', tmp_path / 'manifest').split()
    assert output == [str(tmp_path / 'manifest/train.jsonl'), str(tmp_path / 'manifest/valid.jsonl')]
    assert [len(load(path, '')) for path in output] == [5, 1]
    run('manifest', tmp_path / 'nowhere', '--out', tmp_path / 'other', fails='is not a folder')


def test_help_is_fast_since_it_imports_no_torch():
    code = ("import sys; sys.argv = ['audiocraft-ti', 'generate', '--help']\n"
            "try:\n    from audiocraft_ti.cli import main; main()\n"
            "finally:\n    print('torch' in sys.modules, file=sys.stderr)")
    done = subprocess.run([sys.executable, '-c', code], capture_output=True, text=True)
    assert done.returncode == 0 and done.stderr.strip() == 'False' and 'Example:' in done.stdout


def test_an_error_is_one_sentence_and_status_1(tmp_path):
    command = [sys.executable, '-m', 'audiocraft_ti', 'inspect', str(tmp_path / 'none')]
    done = subprocess.run(command, capture_output=True, text=True)
    assert done.returncode == 1 and done.stderr.startswith('error: ') and len(done.stderr.splitlines()) == 1
