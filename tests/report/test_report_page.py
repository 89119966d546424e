"""The report of score files and runs: its figures in data, and the page in a browser without a network."""
import json

import numpy as np
import pytest
from selenium import webdriver

from audiocraft_ti.report import figures, page as pages, sources
from audiocraft_ti.tiny.recordings import write_recordings
from tests.test_cli import run

PROMPTS = {'A recording of a <amen>': 'reconstruction', 'A disco song with a <amen>': 'editability'}
SCALES = {'ours': 0.1, 'theirs': 0.2, 'real': 0.05}


@pytest.fixture
def scored(tmp_path):
    """Lines of scores of two systems and of recordings, whose audio is there."""
    write_recordings(tmp_path / 'audio', count=3)
    rng = np.random.default_rng(0)
    lines = []
    for system, scale in SCALES.items():
        for prompt, key in PROMPTS.items():
            for number in range(3 if system == 'real' else 20):
                if (system, key) != ('real', 'editability'):
                    lines.append({'system': system, 'concept': 'amen', 'prompt': prompt, 'kind': key,
                                  'file': str(tmp_path / f'audio/zither_{number % 3}.wav'), 'embedder': 'clap',
                                  'checkpoint': 'tiny', key: 0.5 + scale * rng.standard_normal()})
    path = tmp_path / 'scores.jsonl'
    path.write_text(''.join(json.dumps(line) + '\n' for line in lines))
    return path


@pytest.fixture
def make_run(tmp_path):
    """The folder of a Dora run that has learned for some epochs."""
    def make(name, *overrides, epochs=3):
        folder = tmp_path / name
        folder.mkdir()
        losses = [{'ce': 2 - 0.1 * epoch, 'ce_start': 2.2, 'ce_no_text': 2.1, 'ce_class_word': 1.9}
                  for epoch in range(epochs)]
        (folder / '.argv.json').write_text(json.dumps(['solver=musicgen/ti_tiny', *overrides]))
        (folder / 'history.json').write_text(json.dumps([{'valid': one} for one in losses]))
        return folder
    return make


def test_violins_are_split_with_dashed_median_and_dotted_quartiles(scored):  # P24
    lines = sources.read_scores(scored)
    ax, = figures.violins(lines).axes
    drawn = [(line.get_ydata()[0], np.mean(line.get_xdata())) for line in ax.lines]
    dashes = [line._unscaled_dash_pattern[1][0] for line in ax.lines]
    assert [dash > 2 for dash in dashes] == [False, True, False] * 4 and min(dashes) > 0
    for at, key in enumerate(('reconstruction', 'editability')):
        for side, system in ((-1, 'ours'), (1, 'theirs')):
            mine = [line[key] for line in lines if line['system'] == system and key in line]
            found = sorted(y for y, x in drawn if 0 < side * (x - at) < 0.5)
            assert found == pytest.approx(np.quantile(mine, (0.25, 0.5, 0.75)), abs=1e-9)


def test_curves_are_what_is_won_against_no_text(make_run):
    runs = sources.read_runs([make_run('a', 'seed=1'), make_run('b', 'seed=2', epochs=2)])
    assert [one.name for one in runs] == ['seed=1', 'seed=2']
    curves = [line.get_ydata() for line in figures.curves(runs).axes[0].lines if line.get_label() == 'seed=1']
    assert curves[0] == pytest.approx([-0.1, 0.1, 0.2, 0.3])


def test_of_several_runs_each_is_a_system_and_recordings_come_once(make_run, scored):
    folders = [make_run('a', 'seed=1'), make_run('b', 'seed=2')]
    lines = [line for line in sources.read_scores(scored) if line['system'] != 'theirs']
    for folder in folders:
        (folder / 'samples/3').mkdir(parents=True)
        (folder / 'samples/3/scores.jsonl').write_text(''.join(json.dumps(line) + '\n' for line in lines))
    found = sources.all_lines([], sources.read_runs(folders))
    assert {one: len([line for line in found if line['system'] == one]) for one in ('seed=1', 'seed=2', 'real')} == {
        'seed=1': 40, 'seed=2': 40, 'real': 3}


def test_systems_stand_in_the_order_of_the_table_whatever_comes_later(scored):
    lines = sources.read_scores(scored)
    rows = dict(pages.players([*lines, lines[0]], 'amen'))
    assert [one['system'] for one in rows['A recording of a <amen>']] == ['ours', 'theirs']


@pytest.fixture(params=[1280, 390])
def browser(request):
    """Chromium without a network, as wide as a desktop and as a phone."""
    options = webdriver.ChromeOptions()
    for argument in ('headless=new', 'no-sandbox', 'disable-dev-shm-usage', 'host-resolver-rules=MAP * ~NOTFOUND'):
        options.add_argument(f'--{argument}')
    options.add_experimental_option('mobileEmulation', {'deviceMetrics': {'width': request.param, 'height': 900}})
    driver = webdriver.Chrome(options)
    yield driver
    driver.quit()


def test_the_page_opens_without_a_network_and_plays(scored, make_run, browser, tmp_path):
    out = tmp_path / 'out'
    page = run('report', scored, '--run', make_run('a', 'seed=1'), '--out', out).strip()
    assert page == str(out / 'index.html')
    assert {path.name for path in (out / 'figures').iterdir()} == {
        'scores.svg', 'scores.pdf', 'learning.svg', 'learning.pdf'}
    (out / 'index.html').rename(tmp_path / 'alone.html')  # it needs nothing beside it
    browser.get(f'file://{tmp_path}/alone.html')
    script = browser.execute_script
    assert script('return [...document.images].every(one => one.complete && one.naturalWidth > 0)')
    assert script('return document.documentElement.scrollWidth <= screen.width')
    assert script("return [...document.querySelectorAll('.drawn')].every(one => one.width > 0.9 * one.naturalWidth)")
    assert script("return [...document.querySelectorAll('h3')].map(one => one.innerText)") == [
        'Recordings', 'A recording of a <amen>', 'A disco song with a <amen>']
    rows = script("return [...document.querySelectorAll('.row')].map(row => "
                  "[...row.querySelectorAll('figcaption')].map(one => one.innerText.split('\\n')[0]))")
    assert rows == [['real'] * 3, ['ours', 'theirs'], ['ours', 'theirs']]
    duration = browser.execute_async_script(
        "const done = arguments[0], one = document.querySelector('audio'); one.onerror = () => done(-1);"
        "one.onloadedmetadata = () => done(one.duration); one.preload = 'metadata'; one.load()")
    assert duration == pytest.approx(4, abs=0.2)


def test_what_report_cannot_do(scored, make_run, tmp_path):
    out = ('--out', tmp_path / 'out')
    run('report', *out, fails='nothing to report')
    run('report', tmp_path / 'none', *out, fails='cannot be read as scores')
    (tmp_path / 'bad').write_text('{"system": "a"}')
    run('report', tmp_path / 'bad', *out, fails="a line lacks 'kind'")
    (tmp_path / 'other').write_text(scored.read_text().replace('"tiny"', '"large"'))
    run('report', scored, tmp_path / 'other', *out, fails='large and tiny, which cannot be compared')
    run('report', '--run', tmp_path, *out, fails='give the folder of a run')
    run('report', '--run', make_run('new', epochs=0), *out, fails='has not finished an epoch')
