import json

from audiocraft.data.audio_dataset import AudioMeta, save_audio_meta
import pytest
from safetensors.torch import load_file
import torch

from audiocraft_ti import tiny
from audiocraft_ti.concept import Concept
from audiocraft_ti.errors import UserError
from audiocraft_ti.hashes import tensors_hash
from audiocraft_ti.models.audioldm import load_audioldm
from audiocraft_ti.models.difference import add_difference
from audiocraft_ti.rng import generator
from audiocraft_ti.tiny.recordings import write_recordings

SHORT = ('optim.epochs=2', 'optim.updates_per_epoch=3', 'dataset.batch_size=4', 'dataset.valid.num_samples=8',
         'generate.duration=1', 'generate.num_samples=1', 'generate.diffusion.steps=2')
TI = ('solver=audioldm/ti_tiny', *SHORT)
DREAMBOOTH = ('solver=audioldm/dreambooth_tiny', 'concept.class_word=guitar', 'concept.prior.num_samples=2', *SHORT)


@pytest.fixture
def make(make_solver, recordings, tmp_path):
    def make(*overrides: str):
        return make_solver(f'datasource.folder={recordings}', f'tokens.cache_path={tmp_path}/cache', *overrides)
    return make


def base_hash(base, *without: str) -> str:
    return tensors_hash({f'{name}.{key}': value for name, module in base.modules.items() if name not in without
                         for key, value in module.state_dict().items()})


def test_the_held_out_loss_falls(make_solver, tmp_path):
    write_recordings(tmp_path / 'recordings', 'tambourine', count=10)  # two of which are held out
    solver = make_solver(f'datasource.folder={tmp_path}/recordings', f'tokens.cache_path={tmp_path}/cache', *TI,
                         'optim.updates_per_epoch=10', 'optim.lr=1')
    solver.run()
    assert solver.best_losses['mse'] < 0.97 * solver.best_losses['mse_start']


def test_dreambooths_held_out_loss_falls(make_solver, recordings, tmp_path):
    manifest = tmp_path / 'clips.jsonl'  # learned from and held out alike: few updates are enough to lower their loss
    save_audio_meta(manifest, [AudioMeta(str(path), 4., 16000) for path in sorted(recordings.glob('*.wav'))[:1]])
    solver = make_solver(f'datasource.train={manifest}', f'datasource.valid={manifest}',
                         f'tokens.cache_path={tmp_path}/cache', *DREAMBOOTH, 'optim.updates_per_epoch=10',
                         'concept.prior.weight=0')
    solver.run()
    assert solver.best_losses['mse'] < solver.best_losses['mse_start']


def batch(solver, split='train', stage=None):
    solver._current_stage = stage or split
    return next(iter(solver.dataloaders[split]))


def test_textual_inversion_changes_the_vectors_and_not_a_bit_of_the_base(make):  # P26, eq. 1
    solver = make(*TI, 'concept.class_word=guitar')
    before, vectors = base_hash(solver.base), solver.vectors.detach().clone()
    solver.run()
    assert base_hash(solver.base) == before == base_hash(load_audioldm('tiny'))
    assert (solver.vectors != vectors).all() and list(solver.vectors.shape) == [1, 64]
    groups = solver.optimizer.param_groups
    assert [id(p) for group in groups for p in group['params']] == [id(solver.vectors)]
    assert (solver.folder / 'checkpoint.th').stat().st_size < 50_000
    concept = Concept.load(solver.folder / 'concept.safetensors')
    assert torch.equal(concept.vectors, solver.best_state.states['model']['bank.vectors.<amen>'])
    assert concept.metadata['base_fingerprint'] == solver.base.fingerprint
    lines = [json.loads(line) for line in (solver.folder / 'samples/2/samples.jsonl').read_text().splitlines()]
    assert [line['prompt'] for line in lines] == ['A recording of a <amen>', 'A disco song with a <amen>']
    for epoch in solver.history:
        assert {'mse', 'mse_start', 'mse_no_text', 'mse_class_word'} <= set(epoch['valid'])
        assert {'mse', 'lr', 'vector_norm'} <= set(epoch['train'])
    assert {'clap_reconstruction_held_out', 'clap_editability'} <= set(solver.history[-1]['evaluate'])


def test_the_loss_is_the_error_of_the_noise_that_is_found(make):  # eq. 1
    """Against a computation from diffusers' own parts, in float64."""
    solver = make(*TI)
    moments, infos = batch(solver, 'valid')
    mse = solver.run_step(1, (moments, infos), {})['mse']

    draws = generator(solver.cfg.seed, 1, 1, 0)
    solver.conditioner.generator = generator(solver.cfg.seed, 1, 1, 0)
    pipe = solver.base.pipeline
    mean, log_variance = moments.double().transpose(2, 3).chunk(2, 1)
    latents = mean + (log_variance / 2).exp() * torch.randn(mean.shape, generator=draws).double()
    latents = latents * pipe.vae.config.scaling_factor
    noise = torch.randn(latents.shape, generator=draws).double()
    times = ((torch.arange(4, 8) + 0.5) * 1000 / 8).long()
    alphas = torch.cumprod(1 - torch.linspace(0.0015 ** 0.5, 0.0195 ** 0.5, 1000).double() ** 2, 0)[times]
    noisy = alphas.sqrt()[:, None, None, None] * latents + (1 - alphas).sqrt()[:, None, None, None] * noise
    solver.conditioner.generator = generator(solver.cfg.seed, 1, 1, 0)
    texts = solver.conditioner([info.description for info in infos]).double()
    found = pipe.unet.double()(noisy, times, encoder_hidden_states=None, class_labels=texts).sample
    assert mse.item() == pytest.approx((found - noise).square().mean().item(), rel=1e-4)


def test_what_is_accumulated_is_the_gradient_of_the_whole_batch(make):
    solver = make(*TI)
    moments, infos = batch(solver)
    solver.optimizer.zero_grad = lambda: None
    solver.optimizer.step = lambda: None
    gradients = []
    for idx, parts in enumerate((1, 4)):
        solver.cfg.optim.accumulate = parts
        solver.vectors.grad = None
        times = torch.tensor([100, 300, 500, 700])
        solver._draw_times = lambda *args: times
        solver.noise_loss = lambda moments, prompts, times: (
            solver.conditioner(prompts) * moments.mean((1, 2, 3))[:, None] * times[:, None]).mean()
        solver.run_step(idx, (moments, infos), {})
        gradients.append(solver.vectors.grad.clone())
    torch.testing.assert_close(*gradients, rtol=1e-4, atol=1e-6)


def test_held_out_clips_meet_every_part_of_diffusion(make):
    solver = make(*TI)
    solver._current_stage = 'valid'
    assert torch.cat([solver._draw_times(idx, 4) for idx in range(2)]).tolist() == list(range(62, 1000, 125))


def test_dreambooth_trains_the_whole_unet_and_nothing_else(make):
    solver = make(*DREAMBOOTH)
    unet = solver.base.pipeline.unet
    frozen = base_hash(solver.base, 'unet')
    before = {name: parameter.detach().clone() for name, parameter in unet.named_parameters()}
    solver.run()
    assert base_hash(solver.base, 'unet') == frozen
    assert {id(p) for group in solver.optimizer.param_groups for p in group['params']} == {
        id(p) for p in unet.parameters()}
    assert all((parameter != before[name]).any() for name, parameter in unet.named_parameters())
    lines = [json.loads(line) for line in (solver.folder / 'samples/2/samples.jsonl').read_text().splitlines()]
    assert [line['prompt'] for line in lines] == ['A recording of a <amen>', 'A disco song with a <amen>']
    assert [line['text'] for line in lines] == ['A recording of a sks guitar', 'A disco song with a sks guitar']
    assert 'mse_prior' in solver.history[-1]['train']

    base = load_audioldm('tiny')
    assert add_difference(base, solver.folder / 'difference.safetensors') == 'sks guitar'
    best = solver.best_state.states['model']
    for name, value in base.pipeline.unet.state_dict().items():
        torch.testing.assert_close(value, best[name], rtol=0, atol=1e-6)
    with pytest.raises(UserError, match='load that base'):
        base.fingerprint = 'another'
        add_difference(base, solver.folder / 'difference.safetensors')


def test_the_prior_is_what_the_untouched_base_makes_of_the_class_word(make, tmp_path):
    solver = make(*DREAMBOOTH)
    assert solver.class_prompt == 'A recording of a guitar' and len(solver.prior) == 2
    kept, = (tmp_path / 'cache').glob('prior-*.safetensors')
    solver.seed_draws(4, 1)
    wav = solver.play(['A recording of a guitar'], 4)[0]
    assert torch.equal(solver.base.codec.moments(wav), load_file(kept)['moments'][1])
    with_, metrics = solver.other_loss(2, {}), {}
    assert solver.other_loss(2, metrics) != with_ and metrics['mse_prior'] > 0
    assert make(*DREAMBOOTH, 'concept.prior.weight=0').other_loss(2, metrics) == 0


@pytest.mark.parametrize('overrides', [TI, DREAMBOOTH], ids=['ti', 'dreambooth'])
def test_interrupted_equals_uninterrupted(make, overrides):
    whole = make(*overrides)
    whole.run()
    parts = make(*overrides, 'label=parts')
    parts.cfg.optim.epochs = 1
    parts.run()
    again = make(*overrides, 'label=parts')
    assert again.folder == parts.folder
    again.run()
    assert len(again.history) == 2
    for name in ('model', 'optimizer'):
        assert str(whole.state_dict()[name]) == str(again.state_dict()[name])
    assert tensors_hash(whole.model.state_dict()) == tensors_hash(again.model.state_dict())
    assert whole.history[-1]['valid']['mse'] == again.history[-1]['valid']['mse']


def test_a_run_can_be_continued_by_its_signature(make):
    first = make(*TI)
    first.run()
    second = make(*TI, f'continue_from=//sig/{first.xp.sig}')
    second.restore()
    assert torch.equal(second.vectors, first.best_state.states['model']['bank.vectors.<amen>'])


@pytest.mark.parametrize('overrides, sentence', [
    ((*TI, f'continue_from={tiny.BASE}'), 'is a folder without a model_index.json of diffusers'),
    ((*TI, 'continue_from=musicgen'), 'is no AudioLDM: give'),
    ((*TI, 'dataset.segment_duration=10'), 'shorter than a crop of 10 s'),
    ((*DREAMBOOTH, 'concept.class_word=null'), 'concept.class_word is not set'),
    ((*TI, 'optim.accumulate=0'), 'optim.accumulate=0 must be a number above zero'),
    ((*DREAMBOOTH, 'generate.baselines=true'), 'music of the untouched base, which this solver tunes'),
], ids=['folder', 'name', 'short', 'class word', 'accumulate', 'baselines'])
def test_what_cannot_work_is_refused_in_a_sentence(make, overrides, sentence):
    with pytest.raises(UserError, match=sentence) as error:
        make(*overrides)
    assert '\n' not in str(error.value) and str(error.value).endswith('.')


def test_an_audioldm_is_no_base_for_musicgen(make):
    with pytest.raises(UserError, match='is a folder without state_dict.bin'):
        make('solver=musicgen/ti_tiny', f'continue_from={tiny.AUDIOLDM}')


def test_another_pipeline_is_refused_by_its_name(make, tmp_path):
    index = json.loads((tiny.AUDIOLDM / 'model_index.json').read_text())
    (tmp_path / 'model_index.json').write_text(json.dumps({**index, '_class_name': 'AudioLDM2Pipeline'}))
    with pytest.raises(UserError, match='holds a pipeline of class AudioLDM2Pipeline: this solver needs'):
        make(*TI, f'continue_from={tmp_path}')


def test_a_diffusers_without_the_pipeline_is_named(make, monkeypatch):
    import diffusers
    monkeypatch.delitem(diffusers._class_to_module, 'AudioLDMPipeline')
    monkeypatch.delattr(diffusers, 'AudioLDMPipeline', raising=False)
    with pytest.raises(UserError, match='has no AudioLDMPipeline'):
        make(*TI)
