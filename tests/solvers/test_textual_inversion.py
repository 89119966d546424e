import json
import shutil

import numpy as np
from omegaconf import OmegaConf
import pytest
import torch

from audiocraft_ti import tiny
from audiocraft_ti.data.dataset import describe
from audiocraft_ti.errors import UserError
from audiocraft_ti.hashes import tensors_hash
from audiocraft_ti.models.loaders import load_base
from audiocraft_ti.modules.init import initial_vectors
from audiocraft_ti.rng import generator

SHORT = ('optim.epochs=2', 'optim.updates_per_epoch=3', 'dataset.batch_size=4', 'dataset.valid.num_samples=8',
         'generate.duration=1', 'generate.num_samples=1', 'schedule.warmup_exponential.warmup=0')


@pytest.fixture
def solver(make_solver, recordings):
    return make_solver(f'datasource.folder={recordings}', 'concept.class_word=guitar', *SHORT)


def base_hash(solver) -> str:
    """Every tensor of language model, text encoder and codec, but for the concept's."""
    tensors = {f'lm.{key}': value for key, value in solver.base.lm.state_dict().items() if '.bank.' not in key}
    tensors.update({f't5.{key}': value for key, value in solver.model.conditioner.t5.state_dict().items()})
    tensors.update({f'codec.{key}': value for key, value in solver.base.codec.state_dict().items()})
    return tensors_hash(tensors)


def test_training_changes_ten_vectors_and_not_a_bit_of_the_base(solver):  # P1, P2, P4
    before, vectors = base_hash(solver), solver.vectors.detach().clone()
    solver.run()
    assert base_hash(solver) == before
    assert (solver.vectors != vectors).all()
    trainable = [p for p in [*solver.base.lm.parameters(), *solver.base.codec.parameters(),
                             *solver.model.conditioner.t5.parameters(), *solver.model.parameters()] if p.requires_grad]
    assert {id(p) for p in trainable} == {id(solver.vectors)} and list(solver.vectors.shape) == [10, 128]
    groups = solver.optimizer.param_groups
    assert [id(p) for group in groups for p in group['params']] == [id(solver.vectors)]


def test_trainable_weights_are_counted(make_solver, recordings, caplog):  # P4
    caplog.set_level('INFO')
    make_solver(f'datasource.folder={recordings}', *SHORT)
    assert '<amen>: 10 vectors of width 128, 1280 trainable weights' in caplog.text


def test_the_optimizer_is_the_papers(solver):  # P10, P13, P14
    group, = solver.optimizer.param_groups
    rows = solver.model.conditioner.t5.get_input_embeddings().weight[:solver.model.bank.first_id].double()
    assert isinstance(solver.optimizer, torch.optim.AdamW)
    assert group['betas'] == (0.9, 0.999) and group['weight_decay'] == 0
    assert group['initial_lr'] == pytest.approx(0.05 * rows.square().mean().sqrt().item())
    assert solver.ema.decay == 0.95


def after_one_update(make_solver, recordings, *overrides):
    solver = make_solver(f'datasource.folder={recordings}', *SHORT, *overrides)
    solver._current_stage = 'train'
    start = solver.vectors.detach().clone()
    metrics = solver.run_step(0, next(iter(solver.dataloaders['train'])), {})
    return solver, start, metrics


def test_l1_decay_follows_the_optimizers_step(make_solver, recordings):  # P11
    (without, _, _), (with_, _, metrics) = (
        after_one_update(make_solver, recordings, f'optim.l1_decay={decay}') for decay in (0, 0.5))
    stepped = without.vectors.detach().double()
    least = 0.5 * metrics['lr']
    shrunk = torch.where(stepped.abs() > least, stepped - least * stepped.sign(), 0)
    assert (shrunk != stepped).all()
    torch.testing.assert_close(with_.vectors.detach().double(), shrunk, rtol=0, atol=1e-6)


def test_the_rate_warms_up_for_ten_updates_and_falls_after_that(make_solver, recordings):  # P12
    solver = make_solver(f'datasource.folder={recordings}', *SHORT[:-1])
    solver._current_stage = 'train'
    batch = next(iter(solver.dataloaders['train']))
    rates = [solver.run_step(idx, batch, {})['lr'] for idx in range(12)]
    full = solver.optimizer.param_groups[0]['initial_lr']
    assert rates == pytest.approx([full * 10. ** (t - 10) for t in range(11)] + [0.99 * full])


def test_vectors_are_pulled_away_from_embeddings_that_are_drawn_afresh(make_solver, recordings):  # P17
    (without, start, _), (with_, _, first) = (
        after_one_update(make_solver, recordings, f'concept.orthogonality.weight={weight}') for weight in (0, 3))
    gradients = [solver.optimizer.state[solver.vectors]['exp_avg'] / 0.1 for solver in (without, with_)]

    def term(vectors, update):
        rows = with_.conditioner.rows.double()
        drawn = rows[torch.randint(len(rows), (256,), generator=generator(with_.cfg.seed, 3, update))]
        return ((vectors @ drawn.T) / (vectors.norm(dim=1)[:, None] * drawn.norm(dim=1)[None])).square().mean()
    v = start.double().requires_grad_()
    expected = term(v, 0)
    (3 * expected).backward()
    torch.testing.assert_close((gradients[1] - gradients[0]).double(), v.grad, rtol=1e-3, atol=1e-6)
    assert first['orthogonality'].item() == pytest.approx(expected.item(), rel=1e-4)
    moved = with_.vectors.detach().double()
    second = with_.run_step(1, next(iter(with_.dataloaders['train'])), {})['orthogonality'].item()
    assert second == pytest.approx(term(moved, 1).item(), rel=1e-4) != pytest.approx(term(moved, 0).item(), rel=1e-4)


@pytest.mark.parametrize('overrides', [('concept.class_word=guitar',),
                                       ('concept.class_word=organ', 'concept.init_word=guitar')])
def test_a_concept_can_start_from_a_word(make_solver, recordings, overrides):  # P3
    solver = make_solver(f'datasource.folder={recordings}', 'concept.init=token', *overrides, *SHORT)
    word, = solver.model.conditioner.word_ids('guitar')
    rows = solver.conditioner.rows
    assert torch.allclose(solver.vectors, rows[word], atol=0.1 * rows.square().mean().sqrt().item())


@pytest.mark.parametrize('init', ['gaussian', 'gaussian_diag', 'mean'])
def test_a_concept_starts_where_it_is_told(make_solver, recordings, init):  # P3
    solver = make_solver(f'datasource.folder={recordings}', f'concept.init={init}', *SHORT)
    assert torch.equal(solver.vectors, initial_vectors(init, solver.conditioner.rows, 10, solver.cfg.seed))


def test_the_loss_is_the_mean_cross_entropy_of_delayed_codebooks(solver):  # P7
    """Against a float64 computation from the model's own layers, the delay written out by hand."""
    solver._current_stage = 'valid'
    batch = next(iter(solver.dataloaders['valid']))
    ce = solver.run_step(0, batch, {})['ce']

    solver.seed_draws(1, 0)
    codes, infos = batch
    B, K, T = codes.shape
    lm = solver.base.lm.double()
    solver.model.conditioner.t5.double()
    special = 256
    sequence = torch.full((B, K, T + 1), special)  # the first step asks for everything, with nothing known
    for k in range(K):
        sequence[:, k, k + 1:] = codes[:, k, :T - k]
    attributes = [info.to_condition_attributes() for info in infos]
    tokenized = lm.condition_provider.tokenize(attributes)
    logits = lm(sequence, [], lm.condition_provider(tokenized))  # [B, K, T + 1, card]
    losses = []
    for k in range(K):
        predicted = logits[:, k, k:T].reshape(-1, 256)  # step s + k predicts the code of time s
        losses.append(torch.nn.functional.cross_entropy(predicted, codes[:, k, :T - k].reshape(-1)))
    assert ce.item() == pytest.approx(torch.stack(losses).mean().item(), abs=1e-5)


@pytest.mark.parametrize('name', ['step', 'exponential', 'cosine', 'polynomial_decay', 'inverse_sqrt', 'linear_warmup'])
def test_audiocrafts_schedules_are_a_word_away(make_solver, recordings, name):
    solver = make_solver(f'datasource.folder={recordings}', f'schedule.lr_scheduler={name}', *SHORT)
    solver._current_stage = 'train'
    batch = next(iter(solver.dataloaders['train']))
    rates = [solver.run_step(idx, batch, {})['lr'] for idx in range(3)]
    assert all(rate >= 0 for rate in rates) and (name == 'step' or len(set(rates)) == 3)


def test_a_run_ends_when_nothing_is_gained_any_more(make_solver, recordings, monkeypatch):
    solver = make_solver(f'datasource.folder={recordings}', *SHORT, 'optim.epochs=9', 'optim.patience=6')
    losses = iter([3., 2., 2.5, 2.4, 1.])
    valid = type(solver).valid
    monkeypatch.setattr(type(solver), 'valid', lambda self: {**valid(self), 'ce': next(losses)})
    solver.run()  # epochs of three updates
    assert len(solver.history) == 4 and solver.best_losses['ce'] == 2.
    assert [path.name for path in (solver.folder / 'samples').iterdir()] == ['4']
    assert solver.should_stop_training()


@pytest.mark.parametrize('seconds, steps', [(2, 100), (4, 200)])
def test_crops_and_prompts_of_a_batch(make_solver, recordings, seconds, steps):  # P5, P8
    solver = make_solver(f'datasource.folder={recordings}', 'dataset.batch_size=4',
                         f'dataset.segment_duration={seconds}')
    codes, infos = next(iter(solver.dataloaders['train']))
    assert codes.shape == (4, 2, steps)
    assert all('<amen>' in info.description for info in infos)


def test_no_dropout_of_the_base_touches_a_prompt(make_solver, recordings, tmp_path):
    """The base's own settings drop words and conditions in training; here every update sees every placeholder."""
    export = shutil.copytree(tiny.BASE, tmp_path / 'export')
    pkg = torch.load(export / 'state_dict.bin')
    cfg = OmegaConf.create(pkg['xp.cfg'])
    cfg.conditioners.description.t5.word_dropout = cfg.classifier_free_guidance.training_dropout = 0.3  # as MusicGen's
    torch.save({**pkg, 'xp.cfg': OmegaConf.to_yaml(cfg)}, export / 'state_dict.bin')
    solver = make_solver(f'continue_from={export}', f'datasource.folder={recordings}', 'concept.train_ratio=1', *SHORT)
    assert solver.base.cfg.conditioners.description.t5.word_dropout == 0.3
    assert solver.base.cfg.classifier_free_guidance.training_dropout == 0.3
    solver.model.train()
    batch = next(iter(solver.dataloaders['train']))
    tokenize = solver.model.condition_provider.tokenize
    for _ in range(20):
        ids = tokenize([info.to_condition_attributes() for info in batch[1]])['description']['input_ids']
        assert ((ids >= solver.model.bank.first_id).sum(dim=1) == 10).all()


def test_what_is_left_in_the_runs_folder(solver):
    solver.run()
    files = {path.relative_to(solver.folder) for path in solver.folder.rglob('*') if path.is_file()}
    names = {str(path) for path in files}
    assert {'concept.safetensors', 'history.json', 'checkpoint.th', 'manifest/train.jsonl', 'manifest/valid.jsonl',
            'samples/2/samples.jsonl', 'samples/2/reconstruction_0.wav', 'samples/2/editability_0.wav'} <= names
    assert any('events.out.tfevents' in name for name in names)
    silent = sum((solver.folder / path).stat().st_size for path in files
                 if path.suffix != '.wav' and 'tfevents' not in path.name)
    assert silent < 1_000_000 and (solver.folder / 'checkpoint.th').stat().st_size < 50_000
    lines = [json.loads(line) for line in (solver.folder / 'samples/2/samples.jsonl').read_text().splitlines()]
    assert [line['prompt'] for line in lines] == ['A recording of a <amen>', 'A disco song with a <amen>']


def test_history_and_tensorboard_hold_what_is_worth_watching(solver):
    from tensorboard.backend.event_processing.event_accumulator import EventAccumulator
    solver.run()
    for epoch in solver.history:
        assert {'ce', 'lr', 'grad_norm', 'vector_norm', 'orthogonality'} <= set(epoch['train'])
        assert {'ce', 'ce_start', 'ce_no_text', 'ce_class_word'} <= set(epoch['valid'])
        assert all(np.isfinite(value) for stage in epoch.values() for value in stage.values())
    events = EventAccumulator(str(next(solver.folder.rglob('*tfevents*')).parent)).Reload()
    tags = events.Tags()
    assert {'train/ce', 'train/lr', 'train/grad_norm', 'train/vector_norm', 'valid/ce'} <= set(tags['scalars'])
    assert {'generate/reconstruction_0', 'generate/editability_0'} <= set(tags['audio'])


def test_reference_losses_are_those_of_the_prompts_they_name(solver):
    solver.run()
    solver._current_stage = 'valid'
    base = load_base('tiny').lm
    prompts = {'ce_no_text': lambda text: None, 'ce_class_word': lambda text: text.replace('<amen>', 'guitar')}
    for key, rewrite in prompts.items():
        losses = []
        for codes, infos in solver.dataloaders['valid']:
            output = base.compute_predictions(codes, [describe(rewrite(i.description)).to_condition_attributes()
                                                      for i in infos])
            losses.append(solver._compute_cross_entropy(output.logits, codes, output.mask)[0].item())
        assert solver.history[0]['valid'][key] == pytest.approx(np.mean(losses), abs=1e-6)
    assert len({epoch['valid']['ce_no_text'] for epoch in solver.history}) == 1


def test_a_run_that_gains_nothing_says_so_and_names_the_learning_rate(make_solver, recordings, caplog):
    caplog.set_level('INFO')
    make_solver(f'datasource.folder={recordings}', 'optim.lr=1e-7', *SHORT).run()
    sentences = [message for message in caplog.messages if message.startswith('<amen> ')]
    assert len(sentences) == 3  # after each epoch, and at the end
    assert all('gained nothing' in sentence and 'optim.lr' in sentence for sentence in sentences)


def test_the_exported_concept_is_the_best_average(solver):
    from audiocraft_ti.concept import Concept
    solver.run()
    concept = Concept.load(solver.folder / 'concept.safetensors')
    best = min(range(2), key=lambda i: solver.history[i]['valid']['ce'])
    if best == 1:
        assert torch.equal(concept.vectors, solver.ema.state['model']['bank.vectors.<amen>'])
    assert not torch.equal(concept.vectors, solver.vectors)
    metadata = concept.metadata
    assert metadata['base_model'] == 'tiny' and metadata['base_fingerprint'] == solver.base.fingerprint
    assert metadata['vocabulary_size'] == str(solver.model.bank.first_id) and metadata['text_encoder'] == 't5'
    assert metadata['class_word'] == 'guitar' and json.loads(metadata['training'])['concept']['num_vectors'] == 10


def test_a_checkpoint_of_another_shape_is_refused(make_solver, recordings):
    options = (f'datasource.folder={recordings}', *SHORT)
    first = make_solver('concept.num_vectors=1', *options)
    first.run()
    sig = first.xp.sig
    for other in ('concept.num_vectors=10', 'concept.name=other'):
        second = make_solver(f'continue_from=//sig/{sig}', other, *options)
        with pytest.raises(UserError, match='num_vectors'):
            second.restore()


def test_continuing_a_run_starts_from_its_vectors(make_solver, recordings):
    options = (f'datasource.folder={recordings}', *SHORT)
    first = make_solver(*options)
    first.run()
    best = first.best_state.states['model']['bank.vectors.<amen>']
    second = make_solver(f'continue_from=//sig/{first.xp.sig}', *options)
    assert second.base.name == 'tiny' and second.xp.sig != first.xp.sig
    second.restore()
    assert torch.equal(second.vectors, best) and not second.history


def test_a_finished_run_comes_back_from_its_signature(make_solver, recordings):
    from audiocraft_ti.solvers.textual_inversion import TextualInversionSolver
    solver = make_solver(f'datasource.folder={recordings}', *SHORT)
    solver.run()
    make_solver.leave()
    again = TextualInversionSolver.get_eval_solver_from_sig(solver.xp.sig, device='cpu')
    assert torch.equal(again.vectors, solver.best_state.states['model']['bank.vectors.<amen>'])
    wavs = again.sample('A jazz song with a <amen>', num_samples=3, duration=1.5)
    assert [list(wav.shape) for wav in wavs] == [[1, 24000]] * 3 and all(wav.isfinite().all() for wav in wavs)
    assert not again.model.training


def test_melody_style_models_get_the_papers_warning(make_solver, recordings, monkeypatch, caplog):  # P18
    from audiocraft_ti.solvers import musicgen

    def prepending(*args):
        base = load_base(*args)
        base.lm.fuser.fuse2cond = {**base.lm.fuser.fuse2cond, 'prepend': ['self_wav']}
        return base
    monkeypatch.setattr(musicgen, 'load_base', prepending)
    make_solver(f'datasource.folder={recordings}', *SHORT)
    assert any('section 2' in message for message in caplog.messages)


def test_half_precision_never_reaches_the_vectors(make_solver, recordings):
    """Under autocast, as on a GPU; weights stay in float32, since layer norms on a CPU do not mix types."""
    options = (f'datasource.folder={recordings}', *SHORT)
    exact = make_solver(*options)
    exact.run()
    solver = make_solver('label=half', *options)
    solver.cfg.autocast = True
    solver.generate = dict  # on a GPU, audiocraft takes T5 out of autocast; on a CPU it does not
    solver.run()
    assert solver.history[-1]['valid']['ce'] == pytest.approx(exact.history[-1]['valid']['ce'], abs=0.02)
    best = solver.best_state.states['model']['bank.vectors.<amen>']
    assert best.dtype == torch.float32
    assert not torch.equal(best, best.bfloat16().float())


def test_signatures_change_with_the_result_and_with_nothing_else(make_solver):
    from audiocraft_ti.train import main

    def sig(*overrides):
        return main.get_xp(['solver=musicgen/ti', 'concept.name=a', *overrides]).sig
    same = ['device=cpu', 'dataset.num_workers=2', 'logging.log_updates=3', 'tokens.cache_path=/tmp', 'num_threads=1',
            'tensorboard.with_media_logging=false', 'generate.every=1', 'concept.licence=CC0', 'execute_inplace=true']
    other = ['concept.num_vectors=9', 'optim.lr=0.1', 'seed=1', 'dataset.batch_size=16', 'optim.epochs=1',
             'dtype=float16', 'datasource.folder=/tmp', 'continue_from=tiny', 'concept.shuffle=false',
             'dataset.segment_duration=1']
    assert {sig(override) for override in same} == {sig()}
    assert len({sig(), *(sig(override) for override in other)}) == 1 + len(other)
