"""The page that raters see, and the researcher's. Which system is which never leaves the server."""
from importlib.resources import files
from itertools import islice
import secrets
import socket
import threading
import typing as tp

from fastapi import APIRouter, Cookie, Depends, FastAPI, HTTPException, Request, Response
from fastapi.responses import HTMLResponse, JSONResponse
from fastapi.security import HTTPBasic, HTTPBasicCredentials
from jinja2 import Environment, PackageLoader, StrictUndefined
from pydantic import BaseModel, ConfigDict, Field
import sqlalchemy as sa
import uvicorn

from . import design, export
from .folder import StudyFolder
from .guard import Guard, Limiter
from .store import Rater, Store
from ..errors import UserError

COOKIE = 'rater'
TYPES = {'study.js': 'text/javascript', 'study.css': 'text/css'}
NOT_ITS_TURN = HTTPException(409, 'It is not the turn of this pair.')
router = APIRouter()
templates = Environment(loader=PackageLoader('audiocraft_ti.study'), autoescape=True, undefined=StrictUndefined)


class Pages:
    """What all requests share.

    Args:
        folder (StudyFolder): The study.
        store (Store): Where answers go.
    """
    def __init__(self, folder: StudyFolder, store: Store) -> None:
        self.folder, self.study, self.store, self.limiter = folder, folder.study, store, Limiter()
        self._plans = design.plans(self.study.pairs, self.study.pairs_per_rater, self.study.seed)
        self._made: tp.List[tp.List[design.Trial]] = []
        self._lock = threading.Lock()

    def plan(self, number: int) -> tp.List[design.Trial]:
        """Of the rater with that number, from 1."""
        with self._lock:
            self._made += islice(self._plans, max(0, number - len(self._made)))
            return self._made[number - 1]


class Start(BaseModel):
    """A rater's consent, with the headphone check's result and answers to the researcher's questions."""
    model_config = ConfigDict(extra='forbid')
    consent: tp.Literal[True]
    headphones: tp.Optional[int] = Field(default=None, ge=0, le=3)
    about: tp.Dict[str, tp.Annotated[str, Field(max_length=1000)]] = {}


class Answer(BaseModel):
    """An answer, with the seconds of each clip that were heard."""
    model_config = ConfigDict(extra='forbid')
    position: int = Field(ge=0, lt=2 ** 31)
    choice: tp.Literal['left', 'right', 'neither', 'undecided']
    heard_left: float = Field(ge=0, allow_inf_nan=False)
    heard_right: float = Field(ge=0, allow_inf_nan=False)


class Back(BaseModel):
    """From which pair to go back."""
    model_config = ConfigDict(extra='forbid')
    position: int = Field(ge=0, lt=2 ** 31)


class State(BaseModel):
    """Where a rater is. After the last pair there is no prompt.

    Args:
        position (int): Number of answered pairs.
        total (int): Number of pairs.
        prompt (str): Of this pair.
        question (str): What is asked of it.
        reference (bool): Whether there is a recording of what the prompt is about.
        hear_left (float): Seconds of the left clip to be heard before an answer.
        hear_right (float): Of the right one.
        choice (str, optional): What was answered before going back.
    """
    position: int
    total: int
    prompt: str = ''
    question: str = ''
    reference: bool = False
    hear_left: float = 0.
    hear_right: float = 0.
    choice: tp.Optional[str] = None


class Problem(BaseModel):
    """Why not."""
    detail: str


def _pages(request: Request) -> Pages:
    return request.app.state.pages


TheKey = tp.Annotated[tp.Optional[str], Cookie(alias=COOKIE, max_length=64)]


def _rater_of(pages: Pages, key: tp.Optional[str]) -> Rater:
    found = pages.store.rater(key) if key else None
    if found is None:
        raise HTTPException(401, 'This browser has not begun the study, or it was another one.')
    return found


def _rater(request: Request, key: TheKey = None) -> Rater:
    return _rater_of(_pages(request), key)


def _researcher(request: Request,
                given: tp.Annotated[HTTPBasicCredentials, Depends(HTTPBasic(realm='the token as password'))]) -> None:
    pages = _pages(request)
    pages.limiter(pages.study.limits.tokens, 'tokens', request.client)
    if not secrets.compare_digest(given.password.encode(), pages.folder.token.encode()):
        raise HTTPException(401, 'That is not the token.', {'WWW-Authenticate': 'Basic realm="the token as password"'})


ThePages = tp.Annotated[Pages, Depends(_pages)]
TheRater = tp.Annotated[Rater, Depends(_rater)]


def _problems(*codes: int) -> tp.Dict[tp.Union[int, str], tp.Dict[str, tp.Any]]:
    return {code: {'model': Problem} for code in (400, 411, 413, 429, 503, *codes)}


@router.get('/', response_class=HTMLResponse, responses=_problems())
def page(pages: ThePages) -> str:
    """The page of the study."""
    return templates.get_template('page.html').render(study=pages.study)


@router.get('/static/{name}', responses={**_problems(), 200: {'content': {kind: {} for kind in TYPES.values()}}},
            response_class=Response)
def static(name: tp.Literal['study.js', 'study.css']) -> Response:
    """What the page is made of."""
    return Response((files(__package__) / 'static' / name).read_text('utf-8'), media_type=TYPES[name])


@router.post('/api/start', responses=_problems(409))
def start(start: Start, pages: ThePages, request: Request, response: Response,
          key: TheKey = None) -> State:
    """Begin, unless this browser has begun already."""
    known = pages.store.rater(key) if key else None
    if known is not None:
        return _state(pages, known)
    _check_about(pages, start.about)
    pages.limiter(pages.study.limits.starts, 'starts', request.client)
    key = pages.store.add_rater(pages.plan, start.about, start.headphones)
    response.set_cookie(COOKIE, key, max_age=30 * 24 * 3600, secure=request.url.scheme == 'https', httponly=True,
                        samesite='strict')
    return _state(pages, _rater_of(pages, key))


def _check_about(pages: Pages, about: tp.Mapping[str, str]) -> None:
    questions = {question.name: question for question in pages.study.questions}
    if unknown := set(about) - set(questions):
        raise HTTPException(409, f'There is no question {min(unknown)!r}.')
    for question in questions.values():
        answer = about.get(question.name, '')
        if question.required and not answer.strip() or answer and question.options and answer not in question.options:
            raise HTTPException(409, f'An answer is missing: {question.text}')


def _state(pages: Pages, rater: Rater) -> State:
    if rater.position == len(rater.plan):
        return State(position=rater.position, total=len(rater.plan))
    pair = _playing(pages, rater)[0]
    left, right = _to_hear(pages, rater)
    return State(position=rater.position, total=len(rater.plan), prompt=pages.study.shown(pair.prompt),
                 question=getattr(pages.study.texts, pair.kind), reference=pair.concept in pages.study.references,
                 hear_left=left, hear_right=right, choice=pages.store.choice(rater))


def _to_hear(pages: Pages, rater: Rater) -> tp.List[float]:
    """Seconds of the clips, left and right, to be heard before an answer."""
    return [pages.study.hear * pages.study.clips[clip].seconds for clip in _playing(pages, rater)[1:]]


def _playing(pages: Pages, rater: Rater) -> tp.Tuple[design.Pair, str, str]:
    """The rater's next pair, with the clips on the left and on the right."""
    trial = rater.plan[rater.position]
    pair = pages.study.pairs[trial.pair]
    return (pair, *(pair.clips[::-1] if trial.swapped else pair.clips))  # type: ignore[return-value]


@router.get('/api/state', responses=_problems(401))
def state(pages: ThePages, rater: TheRater) -> State:
    """Where this browser's rater is."""
    return _state(pages, rater)


@router.get('/api/clip/{position}/{side}', response_class=Response,
            responses={**_problems(401, 404), 200: {'content': {'audio/wav': {}}}})
def clip(position: int, side: tp.Literal['left', 'right', 'reference'], pages: ThePages, rater: TheRater) -> Response:
    """A clip of the pair whose turn it is."""
    if position != rater.position or position >= len(rater.plan):
        raise HTTPException(404, NOT_ITS_TURN.detail)
    pair, left, right = _playing(pages, rater)
    name = {'left': left, 'right': right, 'reference': pages.study.references.get(pair.concept)}[side]
    if name is None:
        raise HTTPException(404, 'There is no recording of it.')
    return Response(pages.folder.clip(name).read_bytes(), media_type='audio/wav')


@router.post('/api/answer', responses=_problems(401, 409))
def answer(answer: Answer, pages: ThePages, rater: TheRater) -> State:
    """Answer the pair whose turn it is, both clips heard."""
    if answer.position != rater.position or rater.position == len(rater.plan):
        raise NOT_ITS_TURN
    left, right = _to_hear(pages, rater)
    if answer.heard_left < left or answer.heard_right < right:
        raise HTTPException(409, 'Both clips have to be heard first.')
    if not pages.store.answer(rater, answer.choice):
        raise NOT_ITS_TURN
    return _state(pages, _rater_of(pages, rater.key))


@router.post('/api/back', responses=_problems(401, 409))
def back(back: Back, pages: ThePages, rater: TheRater) -> State:
    """Return to the pair before, to answer it anew."""
    if back.position != rater.position or not rater.position or not pages.store.back(rater):
        raise NOT_ITS_TURN
    return _state(pages, _rater_of(pages, rater.key))


@router.get('/admin', response_class=HTMLResponse, responses=_problems(401), dependencies=[Depends(_researcher)])
def admin(pages: ThePages) -> str:
    """How far the study is, for the researcher."""
    raters = pages.store.all()
    finished = sum(rater.position == len(rater.plan) for rater, _ in raters)
    return templates.get_template('admin.html').render(
        study=pages.study, raters=len(raters), finished=finished, answers=sum(len(given) for _, given in raters))


@router.get('/admin/answers.csv', response_class=Response, dependencies=[Depends(_researcher)],
            responses={**_problems(401), 200: {'content': {'text/csv': {}}}})
def answers(pages: ThePages) -> Response:
    """All answers, for the researcher."""
    return Response(export.csv_of(pages.study, pages.store.all()), media_type='text/csv',
                    headers={'Content-Disposition': 'attachment; filename="answers.csv"'})


def _unavailable(_: Request, __: Exception) -> JSONResponse:
    return JSONResponse({'detail': 'The answers cannot be reached right now: try again.'}, 503, {'Retry-After': '5'})


def build(folder: StudyFolder, store: Store) -> FastAPI:
    """The application. It has no pages of documentation, since those load scripts from elsewhere."""
    app = FastAPI(title='A listening study', openapi_url=None)
    app.state.pages = Pages(folder, store)
    app.include_router(router)
    app.add_middleware(Guard, limiter=app.state.pages.limiter, limit=folder.study.limits.requests)
    for problem in (sa.exc.OperationalError, sa.exc.TimeoutError):
        app.add_exception_handler(problem, _unavailable)
    return app


def listen(host: str, port: int) -> socket.socket:
    """A socket that listens.

    Raises:
        UserError: If the port is taken, or there is no such address.
    """
    try:
        return socket.create_server((host, port), backlog=2048)
    except OSError as error:
        raise UserError(f'--port {port} of {host} cannot be had ({error.strerror}): give another one.') from error


def serve(folder: StudyFolder, database: tp.Optional[str], host: str, port: int) -> None:
    """Serve the study until it is interrupted."""
    with folder.lock(), listen(host, port) as listening:
        app = build(folder, Store(database or folder.database))
        print(f'Serving on http://{host}:{listening.getsockname()[1]}, until Ctrl-C; /admin asks for the token in '
              f'{folder.path}/admin_token.', flush=True)
        # No log of who asked for what: an address says who somebody is.
        uvicorn.Server(uvicorn.Config(app, log_level='warning', access_log=False)).run([listening])
