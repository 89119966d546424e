"""What stands before every page: limits, and headers that keep browsers from doing what no page asks for."""
import typing as tp

from fastapi import HTTPException
from limits import parse
from limits.storage import MemoryStorage
from limits.strategies import MovingWindowRateLimiter
from starlette.datastructures import Headers, MutableHeaders
from starlette.responses import JSONResponse
from starlette.types import ASGIApp, Message, Receive, Scope, Send

LARGEST = 16384  # bytes of a post
HEADERS = {
    'Content-Security-Policy': "default-src 'none'; script-src 'self'; style-src 'self'; connect-src 'self'; "
                               "media-src blob:; img-src data:; form-action 'none'; base-uri 'none'; "
                               "frame-ancestors 'none'",
    'Cross-Origin-Opener-Policy': 'same-origin',
    'Cross-Origin-Resource-Policy': 'same-origin',
    'Permissions-Policy': 'camera=(), geolocation=(), microphone=()',
    'Referrer-Policy': 'no-referrer',
    'X-Content-Type-Options': 'nosniff',
    'X-Frame-Options': 'DENY',
    'Cache-Control': 'no-store',
}


class Limiter:
    """Counts what each address does. Addresses are kept in memory alone."""
    def __init__(self) -> None:
        self._limiter = MovingWindowRateLimiter(MemoryStorage())

    def __call__(self, limit: str, what: str, address: tp.Optional[tp.Tuple[str, int]]) -> None:
        """Count one more, or raise a 429."""
        if not self._limiter.hit(parse(limit), what, address[0] if address else ''):
            raise HTTPException(429, 'Too much at once from this address: wait a little and try again.',
                                {'Retry-After': '60'})


class Guard:
    """Middleware: refuses too many requests and posts that are too large, and sets the headers of all answers.

    Args:
        app (ASGI application): What it stands before.
        limiter (Limiter): For counting.
        limit (str): How many requests an address may make.
    """
    def __init__(self, app: ASGIApp, limiter: Limiter, limit: str) -> None:
        self.app, self.limiter, self.limit = app, limiter, limit

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope['type'] != 'http':
            return await self.app(scope, receive, send)

        async def send_with_headers(message: Message) -> None:
            if message['type'] == 'http.response.start':
                MutableHeaders(scope=message).update(HEADERS)
            await send(message)
        app: ASGIApp = self.app
        try:
            self.limiter(self.limit, 'requests', scope.get('client'))
            self._check_size(Headers(scope=scope), scope['method'])
        except HTTPException as error:
            app = JSONResponse({'detail': error.detail}, error.status_code, error.headers)
        await app(scope, receive, send_with_headers)

    @staticmethod
    def _check_size(headers: Headers, method: str) -> None:
        """A post says how long it is; the server holds it to that."""
        if 'transfer-encoding' in headers:
            raise HTTPException(411, 'A post has to say how long it is.')
        length = headers.get('content-length', '0')
        if method == 'POST' and int(length if length.isascii() and length.isdigit() else LARGEST + 1) > LARGEST:
            raise HTTPException(413, f'A post has at most {LARGEST} bytes.')
