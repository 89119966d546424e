"""A whole study in headless Chromium: consent, headphones, pairs by mouse and by keyboard, a reload, and the end."""
import json
import shutil

import pytest

from audiocraft_ti.study.store import Store
from benchmarks.study_load import serving, write_study
from tests.app.test_page import until

pytestmark = pytest.mark.skipif(not shutil.which('chromedriver'), reason='chromium and chromedriver are not installed')


@pytest.fixture(scope='module')
def study(tmp_path_factory):
    return write_study(tmp_path_factory.mktemp('page') / 'study', seconds=0.6)


@pytest.fixture(scope='module')
def url(study):
    with serving(study.path) as (url, _):
        yield url


@pytest.fixture
def browser(url):
    from selenium import webdriver
    from selenium.webdriver.chrome.service import Service
    options = webdriver.ChromeOptions()
    for argument in ('--headless=new', '--no-sandbox', '--disable-dev-shm-usage', '--window-size=1280,1100'):
        options.add_argument(argument)
    options.set_capability('goog:loggingPrefs', {'browser': 'ALL'})
    browser = webdriver.Chrome(options, Service(shutil.which('chromedriver')))
    try:
        # The tones' order is drawn in the page: with this, the second is always the quietest.
        browser.execute_cdp_cmd('Page.addScriptToEvaluateOnNewDocument', {'source': 'Math.random = () => 0'})
        browser.get(url)
        until(lambda: browser.find_element('id', 'welcome').is_displayed())
        yield browser
    finally:
        browser.quit()


def click(browser, selector):
    until(lambda: browser.find_element('css selector', selector).is_enabled())
    browser.find_element('css selector', selector).click()


def press(browser, key):
    browser.find_element('css selector', 'body').send_keys(key)


def begin(browser):
    click(browser, '[name=music] option:nth-child(2)')
    click(browser, '#consent')
    click(browser, '#begin button')


def check(browser, tone):
    until(lambda: browser.find_element('id', 'headphones').is_displayed())
    for _ in range(3):
        click(browser, '#tones')
        click(browser, f'[data-tone="{tone}"]')


def progress(browser):
    return browser.find_element('id', 'progress').text


def hear(browser):
    """Both clips, which open the answers."""
    buttons = browser.find_elements('css selector', '[data-choice]')
    for player in ('left', 'right'):
        assert not any(button.is_enabled() for button in buttons)
        click(browser, f'#{player} .play')
        until(lambda: 'heard' in browser.find_element('css selector', f'#{player} .heard').text)
    until(lambda: all(button.is_enabled() for button in buttons))


def phone(browser):
    """The browser as a small telephone; whether all of the page is as wide as that."""
    size = {'width': 360, 'height': 740, 'deviceScaleFactor': 2, 'mobile': True}
    browser.execute_cdp_cmd('Emulation.setDeviceMetricsOverride', size)
    return browser.execute_script('return document.documentElement.scrollWidth <= 360')


def complaints(browser):
    return [entry['message'] for entry in browser.get_log('browser')
            if entry['level'] == 'SEVERE' and '/api/state' not in entry['message']]  # where nobody has begun


def test_a_whole_study(browser, study, tmp_path):
    begin(browser)
    check(browser, 1)
    until(lambda: progress(browser) == 'Pair 1 of 5')
    assert 'drum break' in browser.find_element('id', 'prompt').text
    hear(browser)
    browser.save_screenshot(str(tmp_path / 'desktop.png'))
    click(browser, '[data-choice=left]')

    until(lambda: progress(browser) == 'Pair 2 of 5')
    press(browser, 'a')  # before anything was heard, it does nothing
    for key, player in (('1', 'left'), ('2', 'right')):
        until(lambda: browser.find_element('css selector', f'#{player} .play').is_enabled())
        press(browser, key)
        until(lambda: 'heard' in browser.find_element('css selector', f'#{player} .heard').text)
    assert progress(browser) == 'Pair 2 of 5'
    press(browser, 'n')
    until(lambda: progress(browser) == 'Pair 3 of 5')

    browser.refresh()
    until(lambda: progress(browser) == 'Pair 3 of 5')
    press(browser, '\ue003')  # Backspace
    until(lambda: progress(browser) == 'Pair 2 of 5')
    assert browser.find_element('css selector', '[aria-pressed=true][data-choice]').text == 'Neither'
    assert phone(browser)
    hear(browser)
    browser.save_screenshot(str(tmp_path / 'phone.png'))
    click(browser, '[data-choice=undecided]')
    for number in (3, 4, 5):
        until(lambda: progress(browser) == f'Pair {number} of 5')
        hear(browser)
        click(browser, '[data-choice=right]')
    until(lambda: browser.find_element('id', 'done').is_displayed())
    assert complaints(browser) == []
    rater, given = Store(study.database).all()[-1]
    assert [one.choice for one in given] == ['left', 'undecided', 'right', 'right', 'right']
    assert rater.headphones == 3 and rater.about == {'music': 'yes'}


def test_without_headphones(browser, study, tmp_path):
    assert phone(browser)
    browser.save_screenshot(str(tmp_path / 'welcome.png'))
    begin(browser)
    check(browser, 0)
    until(lambda: browser.find_element('id', 'again').is_displayed())
    assert not browser.find_element('id', 'without').is_displayed()  # not before a second try
    click(browser, '#again')
    check(browser, 2)
    browser.save_screenshot(str(tmp_path / 'headphones.png'))
    click(browser, '#without')
    until(lambda: progress(browser) == 'Pair 1 of 5')
    assert Store(study.database).all()[-1][0].headphones == 0


def test_everything_has_a_name_that_is_read_aloud(browser):
    begin(browser)
    check(browser, 1)
    until(lambda: progress(browser))
    tree = browser.execute_cdp_cmd('Accessibility.getFullAXTree', {})['nodes']
    controls = [node for node in tree if not node.get('ignored')
                and node.get('role', {}).get('value') in ('button', 'slider', 'group', 'progressbar')]
    assert len(controls) > 10 and all(node['name']['value'] for node in controls), json.dumps(controls)
