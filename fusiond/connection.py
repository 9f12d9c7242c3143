"""Connections as the HTTP library has them, with our rules around everything that comes through one.

What is no request at all gets the envelope too. Nothing of it is repeated, neither to its sender nor in the log: a header that cannot be read may
well hold a token. And the rules stand before the routes, which would answer some headers (`Expect`) by themselves.
"""

from __future__ import annotations

import logging
import secrets
from collections.abc import Awaitable, Callable
from typing import Any, cast

from aiohttp import web
from aiohttp.http_exceptions import HttpProcessingError, LineTooLong

from fusiond.errors import BadRequest, FusiondError
from fusiond.outlet import ClientGone
from fusiond.wire.openai_errors import envelope

log = logging.getLogger(__name__)

IDLE_SECONDS = 120.0
"""So long a connection may wait for its next request, and take to say who it is: half a head is not waited for any longer than none.

More than the usual clients keep a connection for, so that they do not meet its end.
"""

INTERNAL = FusiondError("internal error, see the daemon's log")

BROKEN = (web.RequestPayloadError, HttpProcessingError)
"""What reading a body raises where it is not what its headers announce."""

BROKEN_BODY = BadRequest("the body is not what its headers announce")

Handler = Callable[[web.Request], Awaitable[web.StreamResponse]]
Rules = Callable[[web.Request, Handler], Awaitable[web.StreamResponse]]
"""What stands around the answer to every request."""


class Runner(web.AppRunner):
    """Serves an application, inside the rules. `shutdown_timeout` in seconds, for connections that are still busy at the end."""

    def __init__(self, app: web.Application, rules: Rules, *, shutdown_timeout: float) -> None:
        super().__init__(
            app, handler_cancellation=True, auto_decompress=False, access_log=None, keepalive_timeout=IDLE_SECONDS, shutdown_timeout=shutdown_timeout
        )
        self._rules = rules

    async def _make_server(self) -> web.Server:
        server = await super()._make_server()
        routed = cast("Handler", server.request_handler)  # it is the application that makes the requests, and handles them
        return _Connections(lambda request: self._rules(cast("web.Request", request), routed), request_factory=server.request_factory, **self._kwargs)


class _Connections(web.Server):
    def __call__(self) -> web.RequestHandler:
        return _Connection(self, loop=self._loop, **self._kwargs)


class _Connection(web.RequestHandler):
    """One connection, on which a fault of the client's is one line at the most."""

    __slots__ = ()

    def data_received(self, data: bytes) -> None:
        """Hand on what came. Where it is no more of a body that has not ended, whoever reads that body is told: it would be waited for."""
        super().data_received(data)
        reading = self._current_request
        if reading is not None and self._messages and not reading.content.is_eof():
            reading.content.set_exception(web.RequestPayloadError("what follows is no body"))

    def handle_error(
        self,
        request: web.BaseRequest,
        status: int = 500,
        exc: BaseException | None = None,
        message: str | None = None,  # noqa: ARG002  # it repeats what came
    ) -> web.StreamResponse:
        """The answer to what cannot be handled; after it the connection is closed. Raises ConnectionError where nobody can be told."""
        number = secrets.token_hex(12)
        if isinstance(exc, ClientGone):
            raise exc
        if status == 400:
            log.debug("request %s is none: %s", number, type(exc).__name__)
            error: FusiondError = BadRequest(
                "the request line or a header is too long" if isinstance(exc, LineTooLong) else "this is no HTTP request that can be read"
            )
        else:
            log.error("request %s failed", number, exc_info=exc)
            error = INTERNAL
        if request.writer.output_size > 0:
            raise ConnectionError("an answer has begun, and cannot become another")
        response = web.Response(status=error.status, body=envelope(error, number), content_type="application/json", headers={"X-Request-Id": number})
        response.force_close()
        return response

    def log_exception(self, *args: Any, **kw: Any) -> None:
        """What is left of a body that broke off is no news."""
        if isinstance(kw.get("exc_info"), BROKEN):
            log.debug("the rest of a body cannot be read")
        else:
            super().log_exception(*args, **kw)
