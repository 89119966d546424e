"""A study's answers as text, as csv and as webMUSHRA's configurations, by the commands."""
import csv
import json
import re
import shutil

import numpy as np
from omegaconf import OmegaConf
import pytest
import soundfile

from audiocraft_ti.errors import UserError
from audiocraft_ti.study.answers import answers_of, careful
from audiocraft_ti.study.export import csv_of
from audiocraft_ti.study.store import Store
from tests.test_cli import run

RATERS = 8


@pytest.fixture
def answered(study, store):
    """Everyone prefers `ours`, but the first two; the last does not listen, the one before has no headphones."""
    pairs = study.study.pairs
    for number in range(RATERS):
        plan = [trial for trial in _plan(study) if pairs[trial.pair].kind != 'attention' or number == RATERS - 1]
        key = store.add_rater(lambda _: plan, {'music': 'yes'}, 1 if number == RATERS - 2 else 3)
        for trial in plan:
            wanted = 'noise' if pairs[trial.pair].kind == 'attention' else 'theirs' if number < 2 else 'ours'
            is_left = (pairs[trial.pair].systems[trial.swapped] == wanted)
            assert store.answer(store.rater(key), 'left' if is_left else 'right')
    return study


def _plan(study):
    from audiocraft_ti.study.design import plans
    return next(plans(study.study.pairs, study.study.pairs_per_rater, 0))


def test_systems_are_found_behind_the_sides(answered, store):
    answers = answers_of(answered.study, store.all())
    assert {answer.choice for answer in answers if answer.rater <= 2} == {'theirs'}
    assert {answer.choice for answer in answers if 2 < answer.rater < RATERS} == {'ours'}
    assert [(answer.rater, answer.choice) for answer in answers if answer.kind == 'attention'] == [(RATERS, 'noise')]
    assert careful(store.all(), answers) == set(range(1, RATERS - 1))


def test_table_1_of_a_study(answered):
    text = run('study', 'results', answered.path)
    assert text.startswith(f'{4 * RATERS} answers of 8 raters; of all 8 raters, 6 passed every check.')
    assert all(row in text for row in ('|  | Editability | Reconstruction |', '| ours | 75.0% (', '| Neither | 0.0% ('))
    assert '- ours 12, theirs 4: does not stand out from chance, p = 0.077 (sign test).' in text
    assert text.count('(mixed Bradley-Terry; ') + text.count('No Bradley-Terry fit') == 2
    latex = run('study', 'results', answered.path, '--latex', '--only-careful')
    assert latex.startswith('24 answers of 6 raters') and r'ours & 66.7\% (' in latex and r'\toprule' in latex


def test_clap_scores_beside_the_answers(answered, tmp_path):
    scores = tmp_path / 'scores.jsonl'
    lines = [{'system': system, 'file': clip.source, 'kind': clip.source[len(f'/samples/{system}/'):-6],
              clip.source[len(f'/samples/{system}/'):-6]: index / 100}
             for index, clip in enumerate(answered.study.clips.values())
             for system in ('ours', 'theirs') if clip.source.startswith(f'/samples/{system}/')]
    scores.write_text(''.join(json.dumps(line) + '\n' for line in lines))
    assert 'CLAP scores: too few pairs' in run('study', 'results', answered.path, '--scores', scores)
    scores.write_text('{"file": "/elsewhere.wav", "kind": "editability", "editability": 1}')
    run('study', 'results', answered.path, '--scores', scores, fails='a score of none of the clips')
    scores.write_text('no json')
    run('study', 'results', answered.path, '--scores', scores, fails='cannot be read as scores')


def test_nobody_answered(study):
    run('study', 'results', study.path, fails='There is no answer yet')


def test_csv_and_webmushra(answered, tmp_path):
    out = tmp_path / 'exported'
    run('study', 'export', answered.path, '--out', out, '--raters', 2)
    rows = list(csv.DictReader((out / 'answers.csv').open()))
    assert len(rows) == 4 * RATERS + 1 and {row['about_music'] for row in rows} == {'yes'}
    assert {row['choice'] for row in rows if row['rater'] == '1'} == {'theirs'}
    assert {row['prompt'] for row in rows} == {pair.prompt for pair in answered.study.pairs}
    configs = [OmegaConf.load(out / f'webmushra/configs/study_{number}.yaml') for number in (1, 2)]
    for config in configs:
        types = [page.type for page in config.pages]
        assert types == ['consent', *['likert_single_stimulus'] * 5, 'finish']
        assert config.remoteService == 'service/write.php'
        for page in config.pages[1:-1]:
            assert [one.label for one in page.response] == ['A', 'B', 'Neither', 'Cannot decide']
            assert page.mustPlayback == 'ended' and 'drum break' in page.content
            (names, path), = page.stimuli.items()
            first, second = (soundfile.read(answered.clip(name))[0] for name in names.split())
            heard, rate = soundfile.read(out / 'webmushra' / path)
            assert np.array_equal(heard, np.concatenate([first, np.zeros(rate), second]))
            reference, = re.findall('src="(.*?)"', page.content)
            assert (out / 'webmushra' / reference).is_file()
    assert configs[0].pages != configs[1].pages
    heard = [next(iter(page.stimuli)).split() for page in configs[0].pages[1:-1]]
    pairs = [answered.study.pairs[int(page.id.removeprefix('pair_'))] for page in configs[0].pages[1:-1]]
    plan = _plan(answered)
    assert [names[0] for names in heard] == [pair.clips[trial.swapped] for pair, trial in zip(pairs, plan)]
    assert 'ours' not in (out / 'webmushra/configs/study_1.yaml').read_text()
    run('study', 'export', answered.path, '--out', out, fails='is there already')


def test_no_spreadsheet_takes_an_answer_for_a_formula(study, store):
    key = store.add_rater(lambda _: _plan(study), {'music': '=1+1'}, None)
    store.answer(store.rater(key), 'left')
    assert ",'=1+1" in csv_of(study.study, store.all())


@pytest.mark.skipif(not shutil.which('initdb'), reason='PostgreSQL is not installed')
def test_postgresql(study, postgresql, tmp_path):
    store = Store(postgresql)
    key = store.add_rater(lambda number: _plan(study)[:number + 1], {'music': 'yes'}, 3)
    rater = store.rater(key)
    assert len(rater.plan) == 2 and store.answer(rater, 'left') and not store.answer(rater, 'right')
    assert store.back(store.rater(key)) and store.choice(store.rater(key)) == 'left'
    assert store.answer(store.rater(key), 'neither')
    assert [[one.choice for one in given] for _, given in store.all()] == [['neither']]
    store.close()
    assert 'Neither | 100.0% (' in run('study', 'results', study.path, '--database', postgresql)
    with pytest.raises(UserError, match='check --database'):
        Store(postgresql.replace('/study', '/nothing'))
