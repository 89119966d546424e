"""What the server answers, whoever asks and whatever they send."""
import re

from fastapi.testclient import TestClient
import pytest
import schemathesis
from schemathesis.checks import not_a_server_error
from schemathesis.specs.openapi.checks import response_schema_conformance, status_code_conformance

from audiocraft_ti.study import guard, page
from audiocraft_ti.study.folder import Limits
from audiocraft_ti.study.store import Store
from benchmarks.study_load import START, SYSTEMS, TOKEN, UNBOUNDED, write_study


@pytest.fixture
def app(study, store):
    return page.build(study, store)


@pytest.fixture
def client(app):
    return TestClient(app)


def begin(app):
    client = TestClient(app)
    assert client.post('/api/start', json=START).status_code == 200
    return client


def answer(client, position, choice='left', heard=0.5):
    return client.post('/api/answer', json={'position': position, 'choice': choice, 'heard_left': heard,
                                            'heard_right': heard})


def test_a_whole_study_once_there_and_back(app, store):
    client = begin(app)
    for position, choice in enumerate(['left', 'right', 'neither', 'undecided']):
        assert answer(client, position, choice).json()['position'] == position + 1
    assert client.post('/api/back', json={'position': 4}).json()['choice'] == 'undecided'
    assert answer(client, 3, 'left').json()['choice'] is None
    assert answer(client, 4, 'right').json() == {'position': 5, 'total': 5, 'prompt': '', 'question': '',
                                                 'reference': False, 'hear_left': 0, 'hear_right': 0, 'choice': None}
    (rater, given), = store.all()
    assert [one.choice for one in given] == ['left', 'right', 'neither', 'left', 'right']
    assert rater.headphones == 3 and rater.about == {'music': 'yes'} and all(one.seconds >= 0 for one in given)


def test_an_answer_counts_once_and_only_in_its_turn(app, store):
    client = begin(app)
    assert answer(client, 1).status_code == 409
    assert answer(client, 0, 'left').status_code == 200
    assert answer(client, 0, 'right').status_code == 409  # replayed, or meant otherwise
    assert client.post('/api/back', json={'position': 0}).status_code == 409
    assert [one.choice for one in store.all()[0][1]] == ['left']
    for position in range(1, 5):
        answer(client, position)
    assert answer(client, 5).status_code == 409 and len(store.all()[0][1]) == 5


def test_both_clips_are_heard_first(app):
    client = begin(app)
    assert answer(client, 0, heard=0.4).status_code == 409  # of 0.5 s, 90 % are asked for
    assert answer(client, 0, heard=0.46).status_code == 200


def test_beginning_twice_is_beginning_once(app, store):
    client = begin(app)
    answer(client, 0)
    assert client.post('/api/start', json=START).json()['position'] == 1
    assert len(store.all()) == 1


def test_nothing_tells_which_system_is_which(app, study):
    client, seen = begin(app), []
    for path in ('/', '/static/study.js', '/static/study.css', '/api/state', '/api/clip/0/left', '/api/clip/0/right'):
        response = client.get(path)
        assert response.status_code == 200, path
        seen.append(str(dict(response.headers)).encode() + response.content)
    secret = [*SYSTEMS, '/samples/', TOKEN, *study.study.clips, 'etag', 'last-modified']
    assert not [word for word in secret if any(word.encode() in text for text in seen)]
    assert client.get('/api/state').json()['prompt'].endswith(' a drum break')


def test_clips_are_of_ones_own_turn(app, study):
    client = begin(app)
    left, right = (client.get(f'/api/clip/0/{side}').content for side in ('left', 'right'))
    assert {left, right} <= {study.clip(name).read_bytes() for name in study.study.clips} and left != right
    assert client.get('/api/clip/0/reference').content == study.clip(study.study.references['amen']).read_bytes()
    assert client.get('/api/clip/1/left').status_code == 404
    assert client.get('/api/clip/0/study.json').status_code == 422
    for path in ('/api/clip/0/..%2f..%2fstudy.json', '/static/..%2f..%2fstudy.json', '/static/%2e%2e/page.py',
                 '/study.json', '/clips/', '/answers.db', '/openapi.json', '/docs'):
        assert client.get(path).status_code in (404, 422), path


def test_a_rater_is_nobody_else(app):
    client, other = begin(app), begin(app)
    answer(client, 0)
    assert other.get('/api/state').json()['position'] == 0
    for stranger in ('', '1', 'x' * 32, "' OR 1=1 --"):
        alone = TestClient(app, cookies={'rater': stranger})
        assert alone.get('/api/state').status_code == answer(alone, 0).status_code == 401
        assert alone.get('/api/clip/0/left').status_code == 401
    cookie = TestClient(app).post('/api/start', json=START).headers['set-cookie']
    assert 'HttpOnly' in cookie and 'SameSite=strict' in cookie and len(re.findall(r'rater=([\w-]{32});', cookie)) == 1


@pytest.mark.parametrize('body, code', [
    ({}, 422), ({**START, 'consent': False}, 422), ({**START, 'headphones': 4}, 422), ({**START, 'admin': True}, 422),
    ({**START, 'about': {}}, 409), ({**START, 'about': {'music': 'perhaps'}}, 409),
    ({**START, 'about': {'music': 'yes', 'name': 'me'}}, 409), ({**START, 'about': {'music': 'y' * 1001}}, 422)])
def test_beginnings_that_are_refused(client, store, body, code):
    response = client.post('/api/start', json=body)
    assert response.status_code == code and response.json()['detail'] and not store.all()


def test_posts_are_small_and_say_so(client):
    assert client.post('/api/start', content=b' ' * (guard.LARGEST + 1)).status_code == 413
    assert client.post('/api/start', content=iter([b'{}'])).status_code == 411
    assert client.post('/api/start', content=b'{', headers={'Content-Type': 'application/json'}).status_code == 422


def test_the_admin_page_is_behind_the_token(app, client):
    answer(begin(app), 0)
    assert client.get('/admin').status_code == client.get('/admin/answers.csv').status_code == 401
    assert client.get('/admin', auth=('', TOKEN[:-1])).status_code == 401
    text = client.get('/admin', auth=('', TOKEN)).text
    assert '<td>ours, theirs</td>' in text and re.search(r'answers</th><td>1<', text)
    lines = client.get('/admin/answers.csv', auth=('', TOKEN)).text.splitlines()
    assert len(lines) == 2 and lines[0].startswith('rater,pair,kind,') and 'yes' in lines[1]


def test_limits(tmp_path):
    study = write_study(tmp_path / 'study', limits=Limits(requests='12/minute', starts='2/minute', tokens='3/minute'))
    app = page.build(study, Store(study.database))
    assert [TestClient(app).post('/api/start', json=START).status_code for _ in range(3)] == [200, 200, 429]
    client = TestClient(app)
    codes = [client.get('/admin', auth=('', 'guess')).status_code for _ in range(3)]
    refused = client.get('/admin', auth=('', TOKEN))
    assert codes == [401] * 3 and refused.status_code == 429 and refused.headers['retry-after']
    assert [client.get('/').status_code for _ in range(6)] == [200] * 5 + [429]


def test_headers_are_everywhere(client):
    for path in ('/', '/static/study.js', '/nothing', '/api/state', '/admin'):
        headers = client.get(path).headers
        assert headers['content-security-policy'].startswith("default-src 'none'")
        assert headers['x-content-type-options'] == 'nosniff' and headers['cache-control'] == 'no-store'


def test_the_page_loads_nothing_from_elsewhere(client):
    for path in ('/', '/static/study.js', '/static/study.css'):
        assert not re.search(r'(https?:)?//\w', client.get(path).text.replace('// ', '')), path


def test_a_database_that_is_gone_is_no_500(study, monkeypatch):
    store = Store(study.database)
    client = begin(page.build(study, store))
    monkeypatch.setattr(store.engine.pool, '_timeout', 0.01)
    with store.engine.connect():  # the only connection is taken
        assert client.get('/api/state').status_code == 503


def test_whatever_is_sent_is_no_500(tmp_path):
    """Schemathesis sends what the page's own schema allows, and what it does not, as a rater in the middle."""
    study = write_study(tmp_path / 'study', limits=UNBOUNDED)
    store = Store(study.database)
    app = page.build(study, store)
    rater = begin(app).cookies['rater']
    app.openapi_url = '/openapi.json'
    schema = schemathesis.openapi.from_dict(app.openapi())
    schema.app = app
    tried = [_fuzz(operation.ok(), cookies) for operation in schema.get_all_operations()
             for cookies in ({}, {'rater': rater})]
    assert len(tried) == 2 * 9 and sum(tried) > 100
    assert {one.choice for _, given in store.all() for one in given} <= {'left', 'right', 'neither', 'undecided'}


def _fuzz(operation, cookies):
    from hypothesis import given, HealthCheck, seed, settings
    count = 0

    @seed(0)
    @settings(max_examples=20, deadline=None, database=None, suppress_health_check=list(HealthCheck))
    @given(case=operation.as_strategy(generation_mode=schemathesis.GenerationMode.NEGATIVE)
           | operation.as_strategy())
    def send(case):
        nonlocal count
        count += 1
        case.call_and_validate(cookies=cookies, checks=[
            not_a_server_error, status_code_conformance, response_schema_conformance])
    send()
    return count
