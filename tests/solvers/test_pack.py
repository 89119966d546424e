"""Several concepts in one run, against each learned alone."""
import json

import pytest
import torch

from audiocraft_ti.concept import Concept
from audiocraft_ti.data import audio
from audiocraft_ti.errors import UserError
from audiocraft_ti.tiny.recordings import write_recordings

SHORT = ('optim.epochs=3', 'optim.updates_per_epoch=4', 'dataset.batch_size=4', 'dataset.segment_duration=2',
         'dataset.valid.num_samples=6', 'generate.duration=1', 'generate.num_samples=1',
         'schedule.warmup_exponential.warmup=2')
TIMBRES = {'amen': ('conga', 5), 'oud': ('zither', 7)}  # of unequal number, so that the crops drawn differ
WORDS = {'amen': 'snare', 'oud': 'guitar'}


@pytest.fixture(scope='module')
def folders(tmp_path_factory):
    root = tmp_path_factory.mktemp('concepts')
    for name, (timbre, count) in TIMBRES.items():
        write_recordings(root / name, timbre, count)
    return {name: root / name for name in TIMBRES}


@pytest.fixture
def pack(folders):
    return ('concept.name=[amen,oud]', f'datasource.folder=[{folders["amen"]},{folders["oud"]}]',
            'concept.class_word=[snare,guitar]', *SHORT)


def test_a_pack_learns_what_each_concept_learns_alone(make_solver, folders, pack):
    """To rounding: a product of matrices with more rows is summed in another order, and Adam divides by what is small.

    Prompts and drawn vectors are the same, to the token; the start is the same to the bit.
    """
    together = make_solver(*pack)
    start = {name: together.model.bank[name].detach().clone() for name in WORDS}
    together.run()
    for name, word in WORDS.items():
        alone = make_solver(f'concept.name={name}', f'datasource.folder={folders[name]}', f'concept.class_word={word}',
                            *SHORT)
        assert torch.equal(alone.vectors, start[name])
        alone.run()
        moved = (alone.vectors - start[name]).abs().mean()
        assert (alone.vectors - together.model.bank[name]).abs().max() < 1e-3 * moved
        files = [Concept.load(folder / 'concept.safetensors') for folder in (alone.folder, together.folder / name)]
        assert (files[0].vectors - files[1].vectors).abs().max() < 1e-3 * moved
        assert files[0].metadata['class_word'] == files[1].metadata['class_word'] == word
        history = json.loads((together.folder / name / 'history.json').read_text())
        for epoch, own in zip(alone.history, history):
            for key in ('ce', 'ce_start', 'ce_no_text', 'ce_class_word', 'gap_closure'):
                assert own['valid'].get(key) == pytest.approx(epoch['valid'].get(key), abs=1e-4), key


@pytest.mark.parametrize('rows, batches', [(4, 2 * (1 + 1 + 2)), (1, 2 * (2 + 1 + 2))])
def test_samples_of_all_concepts_are_made_at_once_and_are_what_each_makes_alone(make_solver, folders, pack, monkeypatch,
                                                                                rows, batches):
    """Of two prompts, for the concepts, for no concept, and for two class words; to rounding, as vectors are."""
    settings = (f'dataset.batch_size={rows}', 'generate.num_samples=2', 'generate.baselines=true')
    together = make_solver(*pack, *settings)
    generated, step = [], type(together).run_generate_step
    with monkeypatch.context() as patch:
        patch.setattr(type(together), 'run_generate_step', lambda self, batch, **kwargs: (
            generated.append(len(batch[1])), step(self, batch, **kwargs))[1])
        together.generate()
    assert len(generated) == batches
    for name, word in WORDS.items():
        alone = make_solver(f'concept.name={name}', f'datasource.folder={folders[name]}', f'concept.class_word={word}',
                            *SHORT, *settings)
        alone.generate()
        files = sorted(alone.folder.glob('samples/**/*.wav'))
        assert len(files) == 3 * 2 * 2
        for file in files:
            wavs = [audio.read(path)[0] for path in (file, together.folder / name / file.relative_to(alone.folder))]
            assert wavs[0].abs().max() > 0.01 and (wavs[0] - wavs[1]).abs().max() < 1e-3


def test_each_concept_has_its_best_epoch_and_its_samples(make_solver, pack, monkeypatch):
    solver = make_solver(*pack)
    losses = {'amen': iter([3., 1., 2.]), 'oud': iter([3., 2., 1.])}
    base = type(solver).__mro__[1]
    valid = base.valid
    monkeypatch.setattr(base, 'valid', lambda self: {**valid(self), 'ce': next(losses[self.cfg.concept.name])})
    kept = []
    save = type(solver).save_checkpoints
    monkeypatch.setattr(type(solver), 'save_checkpoints', lambda self: (
        kept.append({key: tensor.clone() for key, tensor in self.ema.state['model'].items()}), save(self)))
    solver.run()
    for name, best in (('amen', 1), ('oud', 2)):
        concept = Concept.load(solver.folder / name / 'concept.safetensors')
        assert torch.equal(concept.vectors, kept[best][f'bank.vectors.<{name}>'])
        line, _ = (solver.folder / name / 'samples' / '3' / 'samples.jsonl').read_text().splitlines()
        assert json.loads(line)['prompt'] == f'A recording of a <{name}>'
        assert (solver.folder / name / 'samples' / '3' / 'editability_0.wav').exists()
    assert [epoch['valid']['ce'] for epoch in solver.history] == [3., 1.5, 1.5]


def test_a_pack_resumes_to_the_same_bits(make_solver, pack, monkeypatch):
    whole = make_solver(*pack)
    whole.run()
    other = make_solver(*pack, 'label=other', 'checkpoint.save_every_updates=2')
    step = type(other)._update

    def killed(self, idx, batch, metrics):
        if self.epoch == 2 and idx == 3:
            raise KeyboardInterrupt
        return step(self, idx, batch, metrics)
    with monkeypatch.context() as patch, pytest.raises(KeyboardInterrupt):
        patch.setattr(type(other), '_update', killed)
        other.run()
    again = make_solver(*pack, 'label=other', 'checkpoint.save_every_updates=2')
    again.run()
    for name in TIMBRES:
        assert torch.equal(whole.model.bank[name], again.model.bank[name])


@pytest.mark.parametrize('overrides, message', [
    (('concept.name=[amen,amen]', 'datasource.folder=[a,b]'), 'concept.name.*amen twice'),
    (('concept.name=[amen,oud]', 'datasource.folder=a'), 'datasource.folder=.*a does not go with the 2 names'),
    (('concept.name=[amen,oud]', 'datasource.folder=[a,b,c]'), 'datasource.folder=.* as many'),
    (('concept.name=[amen,"a b"]', 'datasource.folder=[a,b]'), "concept.name='a b'"),
    (('concept.name=[amen,oud]', 'datasource.folder=[a,b]', 'optim.patience=10'), 'optim.patience=10'),
    (('concept.name=[]', 'datasource.folder=[]'), 'concept.name=.* no name')])
def test_lists_that_do_not_fit_are_refused(make_solver, overrides, message):
    with pytest.raises(UserError, match=message):
        make_solver(*overrides)
