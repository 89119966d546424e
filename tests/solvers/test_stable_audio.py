import json
import logging
import math

from audiocraft.models import MusicGen
import pytest
import soundfile
import torch

from audiocraft_ti import tiny
from audiocraft_ti.concept import Concept
from audiocraft_ti.data import audio
from audiocraft_ti.errors import UserError
from audiocraft_ti.hashes import tensors_hash
from audiocraft_ti.models.concepts import add_concept, load_concept, set_concept_params, unload_concept
from audiocraft_ti.models.stable_audio import load_stable_audio
from audiocraft_ti.rng import generator

SHORT = ('solver=stable_audio/ti', 'device=cpu', 'dataset.segment_duration=4', 'dataset.batch_size=4',
         'dataset.valid.num_samples=8', 'optim.accumulate=1', 'optim.epochs=2', 'optim.updates_per_epoch=3',
         'schedule.lr_scheduler=null', 'generate.duration=1', 'generate.num_samples=1', 'generate.diffusion.steps=2')
CLAP = ('evaluate.metrics.clap_reconstruction=true', 'evaluate.metrics.clap_editability=true',
        'metrics.clap.checkpoint=tiny')


@pytest.fixture
def make(make_solver, stable_audio, recordings, tmp_path):
    def make(*overrides: str):
        return make_solver(*SHORT, f'continue_from={stable_audio}', f'datasource.folder={recordings}',
                           f'tokens.cache_path={tmp_path}/cache', *overrides)
    return make


@pytest.fixture
def model(stable_audio):
    return load_stable_audio(str(stable_audio))


def base_hash(model) -> str:
    return tensors_hash({f'{name}.{key}': value for name, module in model.modules.items()
                         for key, value in module.state_dict().items()})


def test_the_vectors_change_and_not_a_bit_of_the_base(make, model):
    solver = make(*CLAP, 'concept.class_word=guitar')
    before, vectors = base_hash(solver.base), solver.vectors.detach().clone()
    solver.run()
    assert base_hash(solver.base) == before == base_hash(model)
    assert (solver.vectors != vectors).all() and list(solver.vectors.shape) == [10, 128]
    groups = solver.optimizer.param_groups
    assert [id(p) for group in groups for p in group['params']] == [id(solver.vectors)]
    assert (solver.folder / 'checkpoint.th').stat().st_size < 50_000
    concept = Concept.load(solver.folder / 'concept.safetensors')
    assert torch.equal(concept.vectors, solver.best_state.states['model']['bank.vectors.<amen>'])
    assert concept.metadata['base_fingerprint'] == model.fingerprint
    lines = [json.loads(line) for line in (solver.folder / 'samples/2/samples.jsonl').read_text().splitlines()]
    assert [line['prompt'] for line in lines] == ['A recording of a <amen>', 'A disco song with a <amen>']
    wav, rate = soundfile.read(solver.folder / 'samples/2' / lines[0]['file'])
    assert wav.shape == (16000, 2) and rate == 16000
    for epoch in solver.history:
        assert {'mse', 'mse_start', 'mse_no_text', 'mse_class_word'} <= set(epoch['valid'])
        assert {'mse', 'lr', 'vector_norm', 'orthogonality'} <= set(epoch['train'])
    assert {'clap_reconstruction_held_out', 'clap_editability'} <= set(solver.history[-1]['evaluate'])


def test_the_held_out_loss_falls(make):
    solver = make('optim.updates_per_epoch=15', 'optim.lr=0.3')
    solver.run()
    assert solver.best_losses['mse'] < solver.best_losses['mse_start']


def test_the_loss_is_the_error_of_v(make):
    """Against a computation from diffusers' own parts, in float64, of the recordings' four seconds."""
    solver = make()
    solver._current_stage = 'valid'
    moments, infos = next(iter(solver.dataloaders['valid']))
    assert moments.shape == (4, 16, 128)
    mse = solver.run_step(1, (moments, infos), {})['mse']

    draws = generator(solver.cfg.seed, 1, 1, 0)
    mean, scale = moments.double().chunk(2, 1)
    latents = mean + ((1 + scale.exp()).log() + 1e-4) * torch.randn(mean.shape, generator=draws).double()
    noise = torch.randn(latents.shape, generator=draws).double()
    times = (torch.arange(4, 8).double() + 0.5) / 8
    cos, sin = (function(math.pi * times / 2)[:, None, None] for function in (torch.cos, torch.sin))
    solver.conditioner.generator = draws
    states, mask = solver.conditioner([info.description for info in infos])
    pipeline = solver.base.pipeline
    pipeline.projection_model.double()
    projected = pipeline.projection_model(states.double(), torch.zeros(4), torch.full((4,), 4.))
    start, end = projected.seconds_start_hidden_states, projected.seconds_end_hidden_states
    places = torch.arange(129)[:, None] / 10000 ** (torch.arange(0, 8, 2) / 8)
    rotary = tuple(torch.cat([function(places)] * 2, dim=-1) for function in (torch.cos, torch.sin))
    found = pipeline.transformer.double()(
        cos * latents + sin * noise, times,
        encoder_hidden_states=torch.cat([projected.text_hidden_states * mask[..., None], start, end], 1),
        global_hidden_states=torch.cat([start, end], 2), rotary_embedding=rotary).sample
    error = (found - (cos * noise - sin * latents))[..., :100]
    assert mse.item() == pytest.approx(error.square().mean().item(), rel=1e-4)


def test_a_model_that_its_scheduler_would_follow_to_the_recording_has_no_loss(model, monkeypatch):
    latents, noise = torch.randn(2, 3, 8, 128, generator=generator(0)).double()
    texts = model.make_conditioner()(['A guitar'] * 3)
    times = torch.tensor([0.2, 0.5, 0.9]).double()
    scheduler, asked = model.pipeline.scheduler, []

    def right(noisy, times, **kwargs):
        sigmas = (math.pi / 2 * times).tan()[:, None, None]
        asked.append((scheduler.precondition_noise(sigmas).flatten(), times))
        mixed = noisy / scheduler.precondition_inputs(torch.ones(1), sigmas)
        nothing = scheduler.precondition_outputs(mixed, torch.zeros(1), sigmas)
        slope = scheduler.precondition_outputs(torch.zeros(1), torch.ones(1), sigmas)
        return type('Output', (), {'sample': (latents - nothing) / slope})

    monkeypatch.setattr(model.pipeline.transformer, 'forward', right)
    monkeypatch.setattr(type(model.pipeline.transformer), 'dtype', torch.float64)
    model.pipeline.projection_model.double()
    assert model.noise_loss(latents, texts, times, noise, 4.).item() < 1e-10
    torch.testing.assert_close(*asked[0])
    assert model.noise_loss(latents + 1, texts, times, noise, 4.).item() > 0.1


def test_the_transformer_is_told_what_the_pipeline_tells_it(model, monkeypatch):
    told, forward = [], model.pipeline.transformer.forward
    monkeypatch.setattr(model.pipeline.transformer, 'forward',
                        lambda *args, **kwargs: told.append(kwargs) or forward(*args, **kwargs))
    model.pipeline(['A disco song', 'A guitar'], audio_end_in_s=3., num_inference_steps=1, guidance_scale=2.)
    conditioner = model.make_conditioner()
    noisy, times = torch.randn(4, 8, 128), torch.full((4,), 0.5)
    model._find(noisy, conditioner([None, None, 'A disco song', 'A guitar']), times, 3.)  # nothing comes first
    model.sample(conditioner, ['A disco song', 'A guitar'], 3., 1, 2., generator(0))
    theirs, *ours = told
    for one in ours:
        for key in ('encoder_hidden_states', 'global_hidden_states'):
            torch.testing.assert_close(one[key], theirs[key], rtol=0, atol=1e-5)
        assert all(map(torch.equal, one['rotary_embedding'], theirs['rotary_embedding']))


def test_the_gradient_is_the_finite_difference(make):
    solver = make()
    solver.conditioner.double()
    for module in solver.base.modules.values():
        module.double()
    latents, noise = torch.randn(2, 2, 8, 128, generator=generator(0)).double()
    times = torch.tensor([0.3, 0.7]).double()

    def loss():
        solver.conditioner.generator = generator(1)
        texts = solver.conditioner(['A recording of a <amen>', 'The <amen>'])
        return solver.base.noise_loss(latents, texts, times, noise, 4.)
    loss().backward()
    vectors, differences = solver.vectors, []
    slope = vectors.grad.norm()
    for step in (2e-3, -2e-3):  # T5's norms and softmax stay in float32
        with torch.no_grad():
            vectors += step * vectors.grad / slope
            differences.append(loss().item())
            vectors -= step * vectors.grad / slope
    assert (differences[0] - differences[1]) / 4e-3 == pytest.approx(slope.item(), rel=0.05)


def test_mono_is_heard_on_both_channels_with_silence_after_it(model, recordings, tmp_path):
    path = sorted(recordings.glob('*.wav'))[0]
    wav = audio.read_as(path, 16000, 2)
    assert wav.shape == (2, 64000) and torch.equal(wav[0], wav[1])
    moments = model.codec.moments(wav)
    whole = torch.cat([wav, torch.zeros(2, 128 * 640 - 64000)], dim=1)
    assert torch.equal(moments, model.pipeline.vae.encode(whole[None]).latent_dist.parameters[0])
    assert model.codec.frame_rate == 25 and model.codec.duration == 5.12


@pytest.mark.parametrize('every', [None, 2])
def test_interrupted_equals_uninterrupted(make, monkeypatch, every):
    whole = make()
    whole.run()
    parts = make('label=parts', *([] if every is None else [f'checkpoint.save_every_updates={every}']))
    if every is None:
        parts.cfg.optim.epochs = 1
        parts.run()
    else:
        update, done = parts._update, []

        def killed(*args):
            if len(done) == 5:  # within the second epoch
                raise KeyboardInterrupt
            done.append(update(*args))
            return done[-1]
        monkeypatch.setattr(parts, '_update', killed)
        with pytest.raises(KeyboardInterrupt):
            parts.run()
    again = make('label=parts', *([] if every is None else [f'checkpoint.save_every_updates={every}']))
    assert again.folder == parts.folder
    again.run()
    assert len(again.history) == 2
    for name in ('model', 'optimizer'):
        assert str(whole.state_dict()[name]) == str(again.state_dict()[name])
    assert tensors_hash(whole.model.state_dict()) == tensors_hash(again.model.state_dict())
    assert whole.history[-1]['valid']['mse'] == again.history[-1]['valid']['mse']
    for name in ('reconstruction_0.wav', 'editability_0.wav'):
        assert (whole.folder / 'samples/2' / name).read_bytes() == (again.folder / 'samples/2' / name).read_bytes()


def test_a_run_can_be_continued_by_its_signature(make):
    first = make('optim.epochs=1')
    first.run()
    second = make('optim.epochs=1', f'continue_from=//sig/{first.xp.sig}')
    second.restore()
    assert torch.equal(second.vectors, first.best_state.states['model']['bank.vectors.<amen>'])


# A concept of the one in the other

def test_a_concept_of_stable_audio_is_read_by_a_musicgen_with_its_t5(make, base, caplog):
    solver = make('optim.epochs=1', 'optim.updates_per_epoch=1', 'dataset.valid.num_samples=4')
    solver.run()
    music = MusicGen('tiny', base.codec, base.lm, max_duration=30)
    music.set_generation_params(duration=1)
    with caplog.at_level(logging.WARNING):
        load_concept(music, solver.folder / 'concept.safetensors')
    assert 'has the same text encoder, so it may work' in caplog.text
    set_concept_params(music, sample_ratio=1, seed=0)
    clips = []
    for prompt in ('A <amen> song', 'A song'):
        torch.manual_seed(0)
        clips.append(music.generate([prompt]))
    assert not torch.equal(*clips)
    unload_concept(music, 'amen')


def test_a_concept_of_a_musicgen_is_read_by_a_stable_audio_with_its_t5(
        make_solver, recordings, model, tmp_path, caplog):
    musicgen = make_solver(f'datasource.folder={recordings}', f'tokens.cache_path={tmp_path}/cache')
    metadata = {'base_model': 'tiny', 'base_fingerprint': musicgen.base.fingerprint,
                'embedding_hash': musicgen.conditioner.embedding_hash}
    path = Concept('amen', musicgen.vectors.detach(), metadata).save(tmp_path / 'amen.safetensors')
    conditioner = model.make_conditioner(sample_ratio=1.)
    with caplog.at_level(logging.WARNING):
        add_concept(conditioner, path, model.fingerprint)
    assert '<amen> was learned for tiny. This model has the same text encoder, so it may work' in caplog.text
    assert torch.equal(conditioner.bank['amen'], musicgen.vectors)
    clips = []
    for prompt in ('A <amen> song', 'A <amen> song', 'A song'):
        conditioner.generator = generator(0)
        clips.append(model.sample(conditioner, [prompt], 2., 2, 3., generator(0)))
    assert clips[0].shape == (1, 2, 32000)
    assert torch.equal(clips[0], clips[1]) and not torch.equal(clips[0], clips[2])


def test_a_concept_of_another_t5_is_refused_in_a_sentence(model, tmp_path):
    conditioner = model.make_conditioner()
    theirs = {'base_model': 'facebook/musicgen-small', 'embedding_hash': 'another'}
    path = Concept('amen', torch.zeros(1, 128), theirs).save(tmp_path / 'amen.safetensors')
    with pytest.raises(UserError, match='learned for facebook/musicgen-small, whose text encoder is another one'):
        add_concept(conditioner, path, model.fingerprint)
    path = Concept('amen', torch.zeros(1, 768)).save(path)
    with pytest.raises(UserError, match="width 768, the text encoder's have 128"):
        add_concept(conditioner, path, model.fingerprint)


def test_in_half_precision_t5_stays_as_it_is(stable_audio, model):
    half = load_stable_audio(str(stable_audio), dtype='float16')
    assert {name: next(module.parameters()).dtype for name, module in half.modules.items()} == {
        'vae': torch.float16, 'text_encoder': torch.float32, 'projection_model': torch.float16,
        'transformer': torch.float16}
    assert half.make_conditioner().embedding_hash == model.make_conditioner().embedding_hash
    assert half.fingerprint == model.fingerprint
    latents, noise = torch.randn(2, 1, 8, 128, generator=generator(0))
    losses = []
    for one in (half, model):
        texts = one.make_conditioner()(['A guitar'])
        losses.append(one.noise_loss(latents, texts, torch.tensor([0.4]), noise, 4.).item())
    assert losses[0] == pytest.approx(losses[1], rel=1e-2) and losses[0] != losses[1]
    wav = half.sample(half.make_conditioner(), ['A guitar'], 1., 2, 3., generator(0))
    assert wav.shape == (1, 2, 16000) and wav.isfinite().all()


# What cannot be

@pytest.mark.parametrize('overrides, sentence', [
    ([f'continue_from={tiny.BASE}'], 'without a model_index.json of diffusers: one of a StableAudioPipeline'),
    (['continue_from=tiny'], 'continue_from=tiny is no Stable Audio: give a folder'),
    (['dataset.segment_duration=6'], 'dataset.segment_duration=6 is longer than the 5.1 s'),
    (['generate.duration=60'], 'generate.duration=60 is longer than the 5.1 s'),
    (['generate.diffusion.steps=0'], 'generate.diffusion.steps=0 must be a number above zero'),
], ids=['folder', 'name', 'crop', 'sample', 'steps'])
def test_what_cannot_work_is_refused_in_a_sentence(make, overrides, sentence):
    with pytest.raises(UserError, match=sentence) as error:
        make(*overrides)
    assert '\n' not in str(error.value) and str(error.value).endswith('.')


def test_another_pipeline_is_refused_by_its_name(make):
    with pytest.raises(UserError, match='class AudioLDMPipeline: this solver needs StableAudioPipeline'):
        make(f'continue_from={tiny.AUDIOLDM}')
