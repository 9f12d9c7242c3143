"""The HTTP server: one handler for every family that answers questions, and the rules that all endpoints share.

The way of a request: gate, body, decode, a place, a plan, the members, and bytes again. Errors come out of it as the one tree and are rendered once,
in the middleware.
"""

from __future__ import annotations

import asyncio
import logging
import re
import secrets
import time
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import aclosing, asynccontextmanager
from typing import TypeAlias
from urllib.parse import urlsplit

from aiohttp import hdrs, web

from fusiond.admission import BODY_LIMIT, Admission, Bodies, Body
from fusiond.chat import Request
from fusiond.errors import BadRequest, FusiondError, MethodNotAllowed, NotFound, Unavailable
from fusiond.events import Failed, Finished, Progress, Text, Thinking, ToolCall, Transcript
from fusiond.gate import Gate, Knock
from fusiond.merge import beside
from fusiond.outlet import Outlet
from fusiond.plan import Plan, plan
from fusiond.report import Report
from fusiond.revision import Revisions
from fusiond.run import Answer, answering
from fusiond.telemetry import log_request
from fusiond.wire.openai_answer import KEEP_ALIVE, Encoder, whole
from fusiond.wire.openai_chat import decode
from fusiond.wire.openai_errors import envelope

log = logging.getLogger(__name__)

Handler: TypeAlias = Callable[[web.Request], Awaitable[web.StreamResponse]]

REQUEST_ID = web.RequestKey("request_id", str)
REVISION = web.RequestKey("revision", int)
"""The number of the revision that the request began with, and that answers it."""

LARGE_BODY = 1024 * 1024
"""Bytes. A larger body is decoded beside the loop, which would stand still meanwhile."""

CLIENT_GONE = 499
"""The status in the log of a request whose client did not wait."""

INTERNAL = FusiondError("internal error, see the daemon's log")

_UNPRINTABLE = re.compile(r"[^\x21-\x2b\x2d-\x7e]")
_IGNORED_LIMIT = 32


class Server:
    """What every connection shares, over all revisions."""

    def __init__(self, revisions: Revisions) -> None:
        limits = revisions.current.config.server
        self.revisions = revisions
        self.admission = Admission(limits.max_requests, limits.queue)
        self.started = int(time.time())
        self.served = 0
        self._bodies = Bodies()
        self._loop = asyncio.get_running_loop()
        self._limits: set[asyncio.Timeout] = set()
        self._leaving = self._closing = False

    def app(self) -> web.Application:
        """The application, with the question endpoints; others are added to its router."""
        app = web.Application(middlewares=[self._rules], client_max_size=0)
        app.router.add_post("/v1/chat/completions", self._chat)
        app.on_response_prepare.append(self._parting)
        return app

    async def drain(self, seconds: float) -> None:
        """Wait for the answers in flight; those that take longer end in an error."""
        self._leaving = True
        if unfinished := self.admission.running + self.admission.waiting:
            log.info("finishing %d requests, for %g s at the most", unfinished, seconds)
        try:
            async with asyncio.timeout(seconds):
                await self.admission.empty()
        except TimeoutError:
            self._closing = True
            for limit in self._limits:
                limit.reschedule(self._loop.time())

    async def _parting(self, _http: web.Request, response: web.StreamResponse) -> None:
        """A daemon that leaves lets go of every connection with the next answer on it, or busy clients would keep it here."""
        if self._leaving:
            response.force_close()
            response.headers[hdrs.CONNECTION] = "close"

    @web.middleware
    async def _rules(self, request: web.Request, handler: Handler) -> web.StreamResponse:
        """The gate before, and the envelope around everything."""
        request[REQUEST_ID] = secrets.token_hex(12)
        request[REVISION] = self.revisions.current.number
        gate = self.revisions.current.gate
        knock = _knock(request)
        try:
            gate.check(knock)
            response = _preflight(request) if request.method == "OPTIONS" and knock.origin else await handler(request)
        except FusiondError as error:
            response = _refusal(request, error)
        except web.HTTPException as error:
            response = _refusal(request, _translated(request, error))
        except Exception:  # a bug: the client gets its family's envelope, the log all there is to know
            log.exception("request %s failed", request[REQUEST_ID])
            response = _refusal(request, INTERNAL)
        if not response.prepared:
            response.headers.update(self._common_headers(request, gate, knock))
        return response

    def _common_headers(self, http: web.Request, gate: Gate, knock: Knock) -> dict[str, str]:
        headers = {"X-Request-Id": http[REQUEST_ID], "X-Fusiond-Revision": str(http[REVISION])}
        if knock.origin is not None and gate.trusts(knock):
            headers |= {hdrs.ACCESS_CONTROL_ALLOW_ORIGIN: knock.origin, hdrs.VARY: hdrs.ORIGIN}
        return headers

    async def _chat(self, http: web.Request) -> web.StreamResponse:
        began = self._loop.time()
        with self._bodies.body(http.content_length) as held:
            request = await _decoded(await _read(http, held), http)
            async with self.admission.admitted(), self.revisions.lease() as revision:
                http[REVISION] = revision.number
                await revision.looked()
                planned = plan(request, revision.catalog, self._loop.time())
                async with answering(planned, revision.listen) as answer:
                    headers = _Headers(self._common_headers(http, revision.gate, _knock(http)), request, answer, began)
                    return await self._answered(http, planned, answer, headers, revision.config.server.heartbeat_seconds)

    async def _answered(self, http: web.Request, planned: Plan, answer: Answer, headers: _Headers, heartbeat: float) -> web.StreamResponse:
        status: int | None = None
        failure: FusiondError | None = None
        try:
            if planned.request.stream:
                response = await self._streamed(http, planned.request, answer, headers, heartbeat)
            else:
                response = await self._whole(planned.request, answer, headers)
            status = response.status
            return response
        except FusiondError as error:
            status, failure = error.status, error
            raise
        finally:
            self.served += 1
            if status is None:  # many clients leave at the last word, before the end of the body: they have their answer
                status = 200 if answer.finished else CLIENT_GONE
            log_request(planned, answer.report(), status, (self._loop.time() - headers.began) * 1000, failure)

    async def _whole(self, request: Request, answer: Answer, headers: _Headers) -> web.StreamResponse:
        transcript = Transcript()
        async with self._until_shutdown(), aclosing(answer.events()) as events:
            async for event in events:
                transcript.hear(event)
        if isinstance(transcript.end, Failed):
            raise transcript.end.error
        report = answer.report()
        body = whole(request, int(time.time()), transcript, report)
        return web.Response(body=body, content_type="application/json", headers=headers.whole(report))

    async def _streamed(self, http: web.Request, request: Request, answer: Answer, headers: _Headers, heartbeat: float) -> web.StreamResponse:
        encoder = Encoder(request, int(time.time()))
        outlet = Outlet(http, headers.stream, keep_alive=KEEP_ALIVE, heartbeat=heartbeat)
        async with beside(outlet.beat()):
            try:
                async with self._until_shutdown():
                    finished = await _poured(answer, encoder, outlet)
                await outlet.write(encoder.end(finished.reason, answer.report()))
                return await outlet.end()
            except FusiondError as error:
                if not outlet.begun:
                    raise
                return await outlet.fail(encoder.failure(error))
            except Exception:
                if outlet.begun:
                    await outlet.fail(encoder.failure(INTERNAL))
                raise

    @asynccontextmanager
    async def _until_shutdown(self) -> AsyncIterator[None]:
        """The part of a request that the daemon finishes before it leaves, but not at any price. Raises Unavailable."""
        try:
            async with asyncio.timeout(0 if self._closing else None) as limit:
                self._limits.add(limit)
                yield
        except TimeoutError:
            raise Unavailable("the daemon is shutting down", retry_after=5) from None
        finally:
            self._limits.discard(limit)


async def _poured(answer: Answer, encoder: Encoder, outlet: Outlet) -> Finished:
    """Every event of the answer as it comes. Raises the error that ends it."""
    async with aclosing(answer.events()) as events:
        async for event in events:
            match event:
                case Text() | ToolCall():
                    await outlet.write(encoder.event(event))
                case Thinking():
                    await outlet.hold(encoder.event(event))
                case Progress():
                    if shown := encoder.event(event):
                        await outlet.write(shown)
                case Finished():
                    return event
                case Failed():
                    raise event.error
    raise RuntimeError("an answer without an end")


class _Headers:
    """The headers of one answer, as far as they are known when they go out."""

    def __init__(self, common: dict[str, str], request: Request, answer: Answer, began: float) -> None:
        self._common = common
        self._answer = answer
        self.began = began
        if request.ignored:
            names = [_UNPRINTABLE.sub("?", name)[:64] for name in request.ignored]
            self._common["X-Fusiond-Ignored"] = ", ".join(names[:_IGNORED_LIMIT] + (["..."] if len(names) > _IGNORED_LIMIT else []))

    def whole(self, report: Report) -> dict[str, str]:
        """Everything is known."""
        return {**self._known(report), "X-Fusiond-Cost-Usd": str(report.cost_usd)}

    def stream(self) -> dict[str, str]:
        """What is known before the first content. Nobody between here and the client may hold it back or keep it."""
        held_by_nobody = {"Content-Type": "text/event-stream", "Cache-Control": "no-cache", "X-Accel-Buffering": "no"}
        return {**held_by_nobody, **self._known(self._answer.report())}

    def _known(self, report: Report) -> dict[str, str]:
        headers = {**self._common, "X-Fusiond-Overhead-Ms": f"{self._answer.overhead(self.began) * 1000:.1f}"}
        if report.confidence is not None:
            headers["X-Fusiond-Confidence"] = f"{report.confidence:.4f}"
        if report.degraded:
            headers["X-Fusiond-Degraded"] = ",".join(report.degraded)
        return headers


async def _read(http: web.Request, held: Body) -> bytes:
    content = bytearray()
    async for piece in http.content.iter_any():
        content += piece
        held.grow(len(content))
    return bytes(content)


async def _decoded(body: bytes, http: web.Request) -> Request:
    request = decode(body, http[REQUEST_ID]) if len(body) < LARGE_BODY else await asyncio.to_thread(decode, body, http[REQUEST_ID])
    wish = http.headers.get("X-Fusiond-Trace")
    for later in ("X-Fusiond-Privacy", "X-Fusiond-Max-Cost"):
        if later in http.headers:
            raise BadRequest(f"{later} is not supported yet", param=later)
    return request if wish in (None, "0") else request.traced()


def _knock(http: web.Request) -> Knock:
    headers = http.headers
    bearer = headers.get(hdrs.AUTHORIZATION, "")
    token = bearer[7:].strip() if bearer[:7].lower() == "bearer " else headers.get("x-api-key")
    name = http.transport.get_extra_info("sockname") if http.transport else None
    return Knock(
        method=http.method,
        path=http.path,
        host=headers.get(hdrs.HOST),
        target_host=urlsplit(http.raw_path).netloc or None if "://" in http.raw_path else None,
        origin=headers.get(hdrs.ORIGIN),
        fetch_site=headers.get("Sec-Fetch-Site"),
        content_type=headers.get(hdrs.CONTENT_TYPE),
        content_encoding=headers.get(hdrs.CONTENT_ENCODING),
        token=token,
        local=isinstance(name, str | bytes),
    )


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
    log.warning("the server refused a request: %s", error)
    wrong = BadRequest(error.reason or "bad request")
    wrong.status = error.status
    return wrong


def _refusal(http: web.Request, error: FusiondError) -> web.Response:
    headers = {} if error.retry_after is None else {hdrs.RETRY_AFTER: str(max(1, round(error.retry_after)))}
    response = web.Response(status=error.status, body=envelope(error, http[REQUEST_ID]), content_type="application/json", headers=headers)
    if http.can_read_body and (http.content_length or BODY_LIMIT + 1) > BODY_LIMIT:
        response.force_close()
    return response
