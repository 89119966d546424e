"""A visitor in headless Chromium: upload, learn, generate, download, stop; and what goes wrong on the way."""
from pathlib import Path
import pickle
import shutil
import socket
import subprocess
import sys
import time

import httpx
import pytest
import torch

from audiocraft_ti.concept import Concept
from .test_session import write_recording

pytestmark = pytest.mark.skipif(not shutil.which('chromedriver'), reason='chromium and chromedriver are not installed')


@pytest.fixture(scope='module')
def address():
    with socket.socket() as free:
        free.bind(('127.0.0.1', 0))
        return free.getsockname()


@pytest.fixture(scope='module')
def server(address):
    server = subprocess.Popen([sys.executable, '-m', 'audiocraft_ti', 'app', '--port', str(address[1])])
    try:
        yield server
    finally:
        server.terminate()
        server.wait()


@pytest.fixture(scope='module')
def url(server, address):
    return 'http://{}:{}'.format(*address)


@pytest.fixture(scope='module')
def chromium(tmp_path_factory):
    from selenium import webdriver
    from selenium.webdriver.chrome.service import Service
    options = webdriver.ChromeOptions()
    for argument in ('--headless=new', '--no-sandbox', '--disable-dev-shm-usage', '--window-size=1280,1400'):
        options.add_argument(argument)
    downloads = tmp_path_factory.mktemp('downloads')
    options.add_experimental_option('prefs', {'download.default_directory': str(downloads)})
    chromium = webdriver.Chrome(options, Service(shutil.which('chromedriver')))
    chromium.downloads = downloads
    try:
        yield chromium
    finally:
        chromium.quit()


@pytest.fixture
def browser(chromium, url):
    """The page, as a visitor finds it."""
    until(lambda: chromium.get(url) or True)
    until(lambda: chromium.find_elements('id', 'learn'))
    return chromium


def until(true, seconds=300):
    """Wait for something that becomes true, and return it."""
    from selenium.common.exceptions import WebDriverException
    end = time.monotonic() + seconds
    while True:
        try:
            value = true()
        except WebDriverException:
            value = None
        if value:
            return value
        assert time.monotonic() < end, 'waited in vain'
        time.sleep(0.2)


def upload(browser, element, *paths):
    files = browser.find_element('css selector', f'#{element} input[type=file]')
    files.send_keys('\n'.join(map(str, paths)))
    until(lambda: all(path.stem[:12] in browser.find_element('id', element).text for path in paths))


def write(browser, element, text):
    from selenium.webdriver import Keys
    box = browser.find_element('css selector', f'#{element} input, #{element} textarea')
    box.send_keys(Keys.CONTROL, 'a')
    box.send_keys(text)


def learn(browser, name='amen'):
    write(browser, 'name', name)
    browser.find_element('id', 'learn').click()


def go_and_play(browser, prompt):
    browser.find_element('css selector', 'button[role=tab]:not([aria-selected=true])').click()
    until(lambda: browser.find_element('css selector', '#prompt textarea').is_displayed())
    write(browser, 'prompt', prompt)


def message(browser):
    """What the page says when something did not work."""
    return until(lambda: browser.find_element('css selector', '.toast-body').text)


def test_from_recordings_to_music(browser, recordings, tmp_path):
    upload(browser, 'recordings', *sorted(recordings.glob('*.wav')))
    write(browser, 'updates', '20\t')
    learn(browser)
    until(lambda: 'of 20 updates' in browser.find_element('id', 'status').text)
    until(lambda: browser.find_elements('css selector', '#curve canvas, #curve svg.marks'))
    link = until(lambda: browser.find_elements('css selector', '#concept a[href*="concept.safetensors"]'))[0]
    assert '<amen>' in browser.find_element('id', 'status').text
    browser.execute_script('arguments[0].click()', link)
    path = browser.downloads / 'concept.safetensors'
    until(path.exists)
    assert Concept.load(path).name == 'amen'
    for players in ('reference', 'reconstruction', 'edit'):
        until(lambda: browser.find_elements('css selector', f'#{players} a[href*=".wav"]'))
    browser.save_screenshot(str(tmp_path / 'learned.png'))

    go_and_play(browser, 'A disco song with a')
    until(lambda: browser.find_element('xpath', '//*[@id="chips"]//*[contains(text(), "<amen>")]')).click()
    box = browser.find_element('css selector', '#prompt textarea')
    until(lambda: box.get_attribute('value') == 'A disco song with a <amen>')
    browser.find_element('id', 'generate').click()
    until(lambda: browser.find_elements('css selector', '#music a[href*=".wav"]'))
    browser.find_element('id', 'compare').click()
    links = until(lambda: browser.find_elements('css selector', '#compared a[href*=".wav"]')[2:3]
                  and browser.find_elements('css selector', '#compared a[href*=".wav"]'))
    assert len({link.get_attribute('href') for link in links}) == 3


def test_stop_keeps_what_was_learned(browser, recordings):
    upload(browser, 'recordings', *sorted(recordings.glob('*.wav')))
    learn(browser)
    until(lambda: '10 of 100 updates' in browser.find_element('id', 'status').text)
    browser.find_element('id', 'stop').click()
    until(lambda: browser.find_elements('css selector', '#concept a[href*="concept.safetensors"]'))


@pytest.mark.parametrize('kind, said', [
    ('text', 'a.wav cannot be learned from: it cannot be decoded'), ('empty', 'it holds no audio'),
    ('long', '120 minutes long'), ('none', 'nothing to learn from'), ('name', "concept.name='../up'")])
def test_what_cannot_be_learned_from_is_said(browser, recordings, tmp_path, kind, said):
    path = next(recordings.glob('*.wav')) if kind == 'name' else write_recording(tmp_path / 'a.wav', kind)
    if kind != 'none':
        upload(browser, 'recordings', path)
    learn(browser, '../up' if kind == 'name' else 'amen')
    assert said in message(browser) and '/gradio/' not in message(browser)
    assert browser.find_element('id', 'status').text == ''


def test_an_unknown_concept_and_a_file_that_is_none_are_said(browser, tmp_path):
    go_and_play(browser, 'A <oud> song')
    browser.find_element('id', 'generate').click()
    assert 'the prompt speaks of <oud>' in message(browser)
    browser.find_element('css selector', '.toast-close').click()
    (tmp_path / 'a.safetensors').write_bytes(pickle.dumps(print))
    browser.find_element('css selector', '#concepts input[type=file]').send_keys(str(tmp_path / 'a.safetensors'))
    until(lambda: 'a.safetensors cannot be read as a concept file' in message(browser))
    assert '/gradio/' not in message(browser)


def test_a_phone_shows_all_of_it(browser):
    browser.execute_cdp_cmd('Emulation.setDeviceMetricsOverride',
                            {'width': 390, 'height': 800, 'deviceScaleFactor': 1, 'mobile': True})
    try:
        for tab, button in (('Learn', 'learn'), ('Play', 'compare')):
            browser.find_element('xpath', f'//button[@role="tab"][contains(., "{tab}")]').click()
            right = until(lambda: browser.find_element('id', button).rect['width']
                          and browser.find_element('id', button).rect)
            assert right['x'] >= 0 and right['x'] + right['width'] <= 390
            assert browser.execute_script('return document.documentElement.scrollWidth') <= 390
    finally:
        browser.execute_cdp_cmd('Emulation.clearDeviceMetricsOverride', {})


def ask(url, function, *data):
    """The last event of a call, as any program can make one: 'complete' or 'error'."""
    event = httpx.post(f'{url}/gradio_api/call/{function}', json={'data': data}).json()['event_id']
    answer = httpx.get(f'{url}/gradio_api/call/{function}/{event}', timeout=60).text
    return [line for line in answer.splitlines() if line.startswith('event: ')][-1].removeprefix('event: ')


def test_only_files_that_the_visitor_gave_are_read(browser, url, tmp_path):
    mine = Concept('mine', torch.zeros(1, 128)).save(tmp_path / 'mine.safetensors')
    files = {'files': ('../../up.safetensors', mine.read_bytes())}
    uploaded, = httpx.post(f'{url}/gradio_api/upload', files=files).json()
    assert Path(uploaded).name == 'up.safetensors' and '..' not in uploaded
    for path, event in ((uploaded, 'complete'), (str(mine), 'error')):
        assert ask(url, '_load', [{'path': path, 'meta': {'_type': 'gradio.FileData'}}]) == event
        assert httpx.get(f'{url}/gradio_api/file={path}').status_code == (200 if event == 'complete' else 403)
    assert ask(url, '_play', str(tmp_path), 'A song', 0.5, 1, 0) == 'error'  # a base that the page does not offer


def test_no_other_machine_is_let_in(browser, url):
    port = int(url.rpartition(':')[2])
    socket.create_connection(('127.0.0.1', port)).close()
    with pytest.raises(ConnectionRefusedError):  # which a server for all addresses would not do
        socket.create_connection(('127.0.0.2', port))


def test_a_page_that_ends_takes_what_it_is_learning_along(browser, server, recordings):  # so it comes last
    upload(browser, 'recordings', *sorted(recordings.glob('*.wav')))
    learn(browser)
    child, = until(lambda: [child for thread in Path(f'/proc/{server.pid}/task').glob('*/children')
                            for child in thread.read_text().split()])
    server.terminate()
    server.wait()
    until(lambda: not Path(f'/proc/{child}').exists())
