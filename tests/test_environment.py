"""What is imported, in processes of their own."""
import subprocess
import sys


def python(code: str) -> str:
    return subprocess.run([sys.executable, '-c', code], text=True, check=True, stdout=subprocess.PIPE,
                          stderr=subprocess.DEVNULL).stdout


def test_importing_the_package_imports_nothing_heavy():
    loaded = python('import sys, audiocraft_ti.concept, audiocraft_ti.environment; print(*sys.modules)').split()
    assert not {'audiocraft', 'transformers', 'spacy', 'hydra', 'flashy'} & set(loaded)


def test_a_run_imports_only_what_it_uses():
    loaded = python('import sys, audiocraft_ti.train as t, audiocraft_ti.solvers.builders as b; '
                    'import audiocraft_ti.solvers.textual_inversion; print(*sys.modules)').split()
    assert not {'spacy.tokens', 'librosa.core', 'xformers.checkpoint', 'gradio', 'demucs',
                'laion_clap.hook'} & set(loaded)


def test_a_run_keeps_the_memory_of_its_batches():
    faults = """
from audiocraft_ti import environment
environment.prepare(lean={})
import resource, torch
for update in range(20):
    if update == 10:  # by then there is room
        before = resource.getrusage(resource.RUSAGE_SELF).ru_minflt
    torch.ones(2 ** 24)  # 64 MB, which glibc would map anew
print(resource.getrusage(resource.RUSAGE_SELF).ru_minflt - before)
"""
    kept, mapped = (int(python(faults.format(lean))) for lean in (True, False))
    assert kept < 0.01 * mapped


def test_what_stands_in_gives_way_to_the_real_thing():
    assert python("""
from audiocraft_ti import environment
environment.prepare(lean=True)
import audiocraft.modules.chroma, audiocraft.modules.conditioners as c
print(audiocraft.modules.chroma.filters.chroma(sr=16000, n_fft=512).shape, c.spacy.blank('en').lang)
import librosa, spacy
print(librosa.note_to_midi('A4'), spacy.blank('de').lang)
import importlib.util
print(*(importlib.util.find_spec(name) is not None for name in ('xformers', 'spacy', 'librosa')))
""").split('\n')[:3] == ['(12, 257) en', '69 de', 'True True True']


def test_real_xformers_where_it_is_asked_for():
    assert python("""
from audiocraft_ti import environment
environment.prepare(lean=True)
environment.use_xformers()
from audiocraft.modules import transformer
print(transformer.ops.__file__.count('xformers'), transformer.ops.memory_efficient_attention.__module__)
""").split() == ['1', 'xformers.ops.fmha']


def test_upstream_finds_our_train_module():
    assert python("""
from audiocraft_ti.solvers.textual_inversion import TextualInversionSolver
from audiocraft import train
print(train.main.package, train.get_solver_from_sig.__module__)
""").split() == ['audiocraft_ti', 'audiocraft_ti.train']


def test_audiocraft_imports_where_there_is_no_xformers():
    assert python("""
import importlib.util, sys
class NoXformers:
    def find_spec(self, name, *args):
        if name.startswith('xformers'):
            raise ModuleNotFoundError(name)
sys.meta_path.insert(0, NoXformers())
find = importlib.util.find_spec
importlib.util.find_spec = lambda name, *args: None if name == 'xformers' else find(name, *args)
from audiocraft_ti import environment, errors
environment.prepare()
import audiocraft
print(sys.modules['xformers'].ops.unbind.__name__)
try:
    environment.use_xformers()
except errors.UserError as error:
    print(str(error).split()[0])
""").split() == ['<lambda>', 'efficient_attention_backend=xformers']
