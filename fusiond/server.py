"""The HTTP server: what all endpoints share. The gate stands before each of them, and the one tree of errors is rendered once, here.

How a question is answered stands in `handler`, which is loaded beside the first requests: a daemon is there at once.
"""

from __future__ import annotations

import asyncio
import logging
import secrets
import time
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from math import ceil
from urllib.parse import urlsplit

from aiohttp import hdrs, web

from fusiond.admission import BODY_LIMIT, Admission, Bodies
from fusiond.connection import BROKEN, BROKEN_BODY, INTERNAL, Handler, Runner
from fusiond.errors import BadRequest, FusiondError, MethodNotAllowed, NotFound, TooSlow, Unavailable
from fusiond.gate import Knock
from fusiond.keep import Keep
from fusiond.outlet import ClientGone
from fusiond.revision import Revisions
from fusiond.wire.openai_errors import envelope

log = logging.getLogger(__name__)

REQUEST_ID = web.RequestKey("request_id", str)
REVISION = web.RequestKey("revision", int)
"""The number of the revision that the request began with, and that answers it."""

ORIGIN = web.RequestKey("origin", str)
"""The page's origin, where it is one that may use the daemon; else empty."""


class Server:
    """What every connection shares, over all revisions."""

    def __init__(self, revisions: Revisions, keep: Keep) -> None:
        limits = revisions.current.config.server
        self.revisions = revisions
        self.keep = keep
        self.admission = Admission(limits.max_requests, limits.queue)
        self.bodies = Bodies()
        self.started = int(time.time())
        self.served = 0
        self._loop = asyncio.get_running_loop()
        self._limits: set[asyncio.Timeout] = set()
        self._leaving = self._closing = False

    def runner(self, others: Callable[[web.UrlDispatcher], None], *, shutdown_timeout: float) -> web.AppRunner:
        """What serves the question endpoints, and those that `others` adds, behind the gate."""
        app = web.Application(client_max_size=0)
        app.router.add_post("/v1/chat/completions", self._chat)
        others(app.router)
        app.on_response_prepare.append(self._parting)
        return Runner(app, self._rules, shutdown_timeout=shutdown_timeout)

    async def _chat(self, http: web.Request) -> web.StreamResponse:
        from fusiond.handler import answer  # noqa: PLC0415  # see above

        return await answer(self, http)

    async def drain(self, seconds: float) -> None:
        """Wait for the answers in flight; those that take longer end in an error."""
        self._leaving = True
        if self.admission.present:
            log.info("finishing %d requests, for %g s at the most", self.admission.present, seconds)
        try:
            async with asyncio.timeout(seconds):
                await self.admission.empty()
        except TimeoutError:
            self.cut()

    def cut(self) -> None:
        """End the answers in flight, and the requests that still wait or come in, in an error."""
        self._closing = True
        for limit in self._limits:
            limit.reschedule(self._loop.time())

    async def _parting(self, _http: web.Request, response: web.StreamResponse) -> None:
        """A daemon that leaves lets go of every connection with the next answer on it, or busy clients would keep it here."""
        if self._leaving:
            response.force_close()
            response.headers[hdrs.CONNECTION] = "close"

    async def _rules(self, request: web.Request, handler: Handler) -> web.StreamResponse:
        """The gate before, and the envelope around everything. Raises ClientGone, which nobody is left to be told."""
        revision = self.revisions.current
        knock = _knock(request)
        request[REQUEST_ID] = secrets.token_hex(12)
        request[REVISION] = revision.number
        request[ORIGIN] = knock.origin if knock.origin and revision.gate.trusts(knock) else ""
        try:
            revision.gate.check(knock)
            response = _preflight(request) if request.method == "OPTIONS" and knock.origin else await handler(request)
        except FusiondError as error:
            response = _refusal(request, error)
        except web.HTTPException as error:
            response = _refusal(request, _translated(request, error))
        except BROKEN:
            response = _refusal(request, BROKEN_BODY)
            response.force_close()
        except ClientGone:
            raise
        except Exception:  # a bug: the client gets its family's envelope, the log all there is to know
            log.exception("request %s failed", request[REQUEST_ID])
            response = _refusal(request, INTERNAL)
        if not response.prepared:
            response.headers.update(common_headers(request))
            await self._parting(request, response)
        return response

    @asynccontextmanager
    async def until_shutdown(self) -> AsyncIterator[None]:
        """The part of a request that the daemon finishes before it leaves, but not at any price. Raises Unavailable."""
        try:
            async with asyncio.timeout(0 if self._closing else None) as limit:
                self._limits.add(limit)
                yield
        except TimeoutError:
            raise Unavailable("the daemon is shutting down", retry_after=5) from None
        finally:
            self._limits.discard(limit)


def common_headers(http: web.Request) -> dict[str, str]:
    """What every response carries."""
    headers = {"X-Request-Id": http[REQUEST_ID], "X-Fusiond-Revision": str(http[REVISION])}
    if origin := http[ORIGIN]:
        headers |= {hdrs.ACCESS_CONTROL_ALLOW_ORIGIN: origin, hdrs.VARY: hdrs.ORIGIN}
    return headers


def _knock(http: web.Request) -> Knock:
    headers = http.headers
    bearer = headers.get(hdrs.AUTHORIZATION, "")
    token = bearer[7:].strip() if bearer[:7].lower() == "bearer " else headers.get("x-api-key")
    name = http.transport.get_extra_info("sockname") if http.transport else None
    return Knock(
        method=http.method,
        path=http.path,
        host=_whole(http, hdrs.HOST),
        address=name[0].partition("%")[0].removeprefix("::ffff:") if isinstance(name, tuple) else None,
        target_host=None if http.raw_path.startswith("/") else _target_host(http.raw_path),
        origin=_whole(http, hdrs.ORIGIN),
        fetch_site=_whole(http, "Sec-Fetch-Site"),
        content_type=_whole(http, hdrs.CONTENT_TYPE),
        content_encoding=_whole(http, hdrs.CONTENT_ENCODING),
        token=token,
        local=isinstance(name, str | bytes),
    )


def _whole(http: web.Request, name: str) -> str | None:
    """A header that comes several times is the list of its values: what is allowed alone is not, with something beside it."""
    return ", ".join(http.headers.getall(name)) if name in http.headers else None


def _target_host(target: str) -> str | None:
    """The host of a request line with a whole URL; one that cannot be read is nobody's."""
    try:
        return urlsplit(target).netloc or None
    except ValueError:
        return target


def _preflight(http: web.Request) -> web.Response:
    allowed = {
        hdrs.ACCESS_CONTROL_ALLOW_METHODS: "GET, POST, HEAD",
        hdrs.ACCESS_CONTROL_ALLOW_HEADERS: http.headers.get(hdrs.ACCESS_CONTROL_REQUEST_HEADERS, "authorization, content-type"),
        hdrs.ACCESS_CONTROL_MAX_AGE: "600",
    }
    return web.Response(status=204, headers=allowed)


def _translated(http: web.Request, error: web.HTTPException) -> FusiondError:
    """The framework's own errors in our tree."""
    if error.status == 404:
        return NotFound(f"there is nothing at {http.path}")
    if error.status == 405:
        return MethodNotAllowed(f"{http.method} is not possible at {http.path}")
    wrong = BadRequest("nothing but 100-continue can be expected" if error.status == 417 else error.reason or "bad request")
    wrong.status = error.status
    return wrong


def _refusal(http: web.Request, error: FusiondError) -> web.Response:
    spent = {"x-should-retry": "false"} if error.spent else {}
    headers = spent if error.retry_after is None else spent | {hdrs.RETRY_AFTER: str(max(1, ceil(error.retry_after)))}
    response = web.Response(status=error.status, body=envelope(error, http[REQUEST_ID]), content_type="application/json", headers=headers)
    if isinstance(error, TooSlow) or (http.can_read_body and (http.content_length or BODY_LIMIT + 1) > BODY_LIMIT):
        response.force_close()
    return response
