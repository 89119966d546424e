"""A visitor in headless Chromium: upload, learn, generate, download, stop."""
import shutil
import socket
import subprocess
import sys
import time

import pytest

from audiocraft_ti.concept import Concept

pytestmark = pytest.mark.skipif(not shutil.which('chromedriver'), reason='chromium and chromedriver are not installed')


@pytest.fixture(scope='module')
def url():
    with socket.socket() as free:
        free.bind(('127.0.0.1', 0))
        port = free.getsockname()[1]
    server = subprocess.Popen([sys.executable, '-m', 'audiocraft_ti', 'app', '--port', str(port)])
    try:
        yield f'http://127.0.0.1:{port}'
    finally:
        server.terminate()
        server.wait()


@pytest.fixture
def browser(url, tmp_path):
    from selenium import webdriver
    from selenium.webdriver.chrome.service import Service
    options = webdriver.ChromeOptions()
    for argument in ('--headless=new', '--no-sandbox', '--disable-dev-shm-usage', '--window-size=1280,1400'):
        options.add_argument(argument)
    options.add_experimental_option('prefs', {'download.default_directory': str(tmp_path / 'downloads')})
    browser = webdriver.Chrome(options, Service(shutil.which('chromedriver')))
    try:
        until(lambda: browser.get(url) or True, 60)
        until(lambda: browser.find_elements('id', 'learn'), 30)
        yield browser
    finally:
        browser.quit()


def until(true, seconds=120):
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
    box = browser.find_element('css selector', f'#{element} input, #{element} textarea')
    box.clear()
    box.send_keys(text)


def learn(browser, name='amen'):
    write(browser, 'name', name)
    browser.find_element('id', 'learn').click()


def test_from_recordings_to_music(browser, recordings, tmp_path):
    upload(browser, 'recordings', *sorted(recordings.glob('*.wav')))
    learn(browser)
    until(lambda: 'of 100 updates' in browser.find_element('id', 'status').text)
    link = until(lambda: browser.find_elements('css selector', '#concept a[href*="concept.safetensors"]'), 180)[0]
    assert '<amen>' in browser.find_element('id', 'status').text
    browser.execute_script('arguments[0].click()', link)
    path = tmp_path / 'downloads/concept.safetensors'
    until(path.exists)
    assert Concept.load(path).name == 'amen'
    assert len(browser.find_elements('css selector', 'audio')) >= 3
    browser.save_screenshot(str(tmp_path / 'learned.png'))

    browser.find_element('css selector', 'button[role=tab]:not([aria-selected=true])').click()
    until(lambda: browser.find_element('css selector', '#prompt textarea').is_displayed())
    write(browser, 'prompt', 'A disco song with a')
    until(lambda: browser.find_element('xpath', '//*[@id="chips"]//*[contains(text(), "<amen>")]')).click()
    box = browser.find_element('css selector', '#prompt textarea')
    until(lambda: box.get_attribute('value') == 'A disco song with a <amen>')
    browser.find_element('id', 'generate').click()
    audio = until(lambda: browser.find_elements('css selector', '#music audio[src], #music a[href*=".wav"]'))[0]
    assert '.wav' in (audio.get_attribute('src') or audio.get_attribute('href'))


def test_stop_keeps_what_was_learned(browser, recordings):
    upload(browser, 'recordings', *sorted(recordings.glob('*.wav')))
    learn(browser)
    until(lambda: '10 of 100 updates' in browser.find_element('id', 'status').text)
    browser.find_element('id', 'stop').click()
    until(lambda: browser.find_elements('css selector', '#concept a[href*="concept.safetensors"]'))
