import json

from audiocraft.data.audio_dataset import AudioMeta, save_audio_meta
import pytest
import torch

from audiocraft_ti.errors import UserError
from audiocraft_ti.hashes import tensors_hash

SHORT = ('solver=musicgen/finetune_tiny', 'optim.epochs=2', 'optim.updates_per_epoch=3', 'dataset.batch_size=4',
         'dataset.valid.num_samples=8', 'generate.duration=1', 'generate.num_samples=1')


@pytest.fixture
def solver(make_solver, recordings):
    return make_solver(f'datasource.folder={recordings}', 'concept.class_word=guitar', *SHORT)


def test_the_whole_language_model_is_trained_and_nothing_else(solver):
    t5 = solver.base.lm.condition_provider.conditioners['description'].t5
    frozen = [tensors_hash(module.state_dict()) for module in (solver.base.codec, t5)]
    before = {name: parameter.detach().clone() for name, parameter in solver.model.named_parameters()}
    solver.run()
    assert [tensors_hash(module.state_dict()) for module in (solver.base.codec, t5)] == frozen
    trained = {id(p) for group in solver.optimizer.param_groups for p in group['params']}
    assert trained == {id(parameter) for parameter in solver.base.lm.parameters()}
    assert all((parameter != before[name]).any() for name, parameter in solver.model.named_parameters())


def test_a_tuned_base_makes_no_baselines(make_solver, recordings):
    with pytest.raises(UserError, match='music of the untouched base, which this solver tunes'):
        make_solver(f'datasource.folder={recordings}', *SHORT, 'generate.baselines=true')


def test_it_reports_as_textual_inversion_does(make_solver, recordings, tmp_path):
    manifest = tmp_path / 'clips.jsonl'  # learned from and held out alike: few updates are enough to lower their loss
    save_audio_meta(manifest, [AudioMeta(str(path), 4., 16000) for path in sorted(recordings.glob('*.wav'))[:1]])
    solver = make_solver(f'datasource.train={manifest}', f'datasource.valid={manifest}', 'concept.class_word=guitar',
                         *SHORT)
    solver.run()
    first, last = solver.history[0], solver.history[-1]
    assert {'ce_start', 'ce_no_text', 'ce_class_word'} <= set(first['valid'])
    assert last['valid']['ce'] < first['start']['ce_start']
    lines = [json.loads(line) for line in (solver.folder / 'samples/2/samples.jsonl').read_text().splitlines()]
    assert [line['text'] for line in lines] == ['A recording of a amen', 'A disco song with a amen']
    assert lines[0]['prompt'] == 'A recording of a <amen>'


def test_the_bases_dropouts_of_conditions_are_on_while_it_trains(solver):
    solver._current_stage = 'train'
    solver.model.train()
    torch.manual_seed(0)
    codes, infos = next(iter(solver.dataloaders['train']))
    masks = [solver._prepare_tokens_and_attributes((codes, infos))[0]['description'][1] for _ in range(20)]
    absent = torch.cat([mask.sum(1) == 0 for mask in masks]).float().mean()
    assert 0.02 < absent < 0.4  # of prompts, 15 % in the tiny base
