"""How a question is answered, whatever family asks: bytes in, a request, a place, a plan, the members, and bytes out again."""

from __future__ import annotations

import asyncio
import re
import time
from collections.abc import Sequence
from contextlib import aclosing
from dataclasses import dataclass

from aiohttp import web

from fusiond.admission import Body
from fusiond.chat import Request
from fusiond.errors import BadRequest, FusiondError
from fusiond.events import Failed, Finished, Progress, Text, Thinking, ToolCall, Transcript
from fusiond.merge import beside
from fusiond.outlet import Outlet
from fusiond.plan import Plan, plan
from fusiond.report import Report
from fusiond.run import Answer, answering
from fusiond.server import INTERNAL, REQUEST_ID, REVISION, Server, common_headers
from fusiond.telemetry import log_request
from fusiond.wire.openai_answer import KEEP_ALIVE, Encoder, whole
from fusiond.wire.openai_chat import decode

LARGE_BODY = 1024 * 1024
"""Bytes. A larger body is decoded beside the loop, which would stand still meanwhile."""

CLIENT_GONE = 499
"""The status in the log of a request whose client did not wait."""

_UNPRINTABLE = re.compile(r"[^\x21-\x2b\x2d-\x7e]")
_IGNORED_LIMIT = 32


async def answer(server: Server, http: web.Request) -> web.StreamResponse:
    """The response to one question. Raises FusiondError as long as nothing of it has gone out."""
    clock = asyncio.get_running_loop().time
    began = clock()
    with server.bodies.body(http.content_length) as held:
        request = await _decoded(await _read(http, held), http)
        async with server.admission.admitted(), server.revisions.lease() as revision:
            http[REVISION] = revision.number
            await revision.looked()
            planned = plan(request, revision.catalog, clock())
            async with answering(planned, revision.listen) as heard:
                heartbeat = revision.config.server.heartbeat_seconds
                return await Reply(server=server, http=http, planned=planned, answer=heard, began=began, heartbeat=heartbeat).given()


@dataclass(frozen=True, slots=True, kw_only=True)
class Reply:
    """One answer on its way to its client. `began`: the loop's clock; `heartbeat` in seconds."""

    server: Server
    http: web.Request
    planned: Plan
    answer: Answer
    began: float
    heartbeat: float

    async def given(self) -> web.StreamResponse:
        """Give it, whole or streamed, and log what became of it."""
        status: int | None = None
        failure: FusiondError | None = None
        try:
            response = await (self._streamed() if self.planned.request.stream else self._whole())
            status = response.status
            return response
        except FusiondError as error:
            status, failure = error.status, error
            raise
        finally:
            self.server.served += 1
            if status is None:  # many clients leave at the last word, before the end of the body: they have their answer
                status = 200 if self.answer.finished else CLIENT_GONE
            took = asyncio.get_running_loop().time() - self.began
            log_request(self.planned, self.answer.report(), status, took * 1000, failure)

    async def _whole(self) -> web.StreamResponse:
        transcript = Transcript()
        async with self.server.until_shutdown(), aclosing(self.answer.events()) as events:
            async for event in events:
                transcript.hear(event)
        if isinstance(transcript.end, Failed):
            raise transcript.end.error
        report = self.answer.report()
        body = whole(self.planned.request, int(time.time()), transcript, report)
        headers = {**self._headers(report), "X-Fusiond-Cost-Usd": str(report.cost_usd)}
        return web.Response(body=body, content_type="application/json", headers=headers)

    async def _streamed(self) -> web.StreamResponse:
        encoder = Encoder(self.planned.request, int(time.time()))
        outlet = Outlet(self.http, self._stream_headers, keep_alive=KEEP_ALIVE, heartbeat=self.heartbeat)
        async with beside(outlet.beat()):
            try:
                async with self.server.until_shutdown():
                    finished = await _poured(self.answer, encoder, outlet)
                await outlet.write(encoder.end(finished.reason, self.answer.report()))
                return await outlet.end()
            except FusiondError as error:
                if not outlet.begun:
                    raise
                return await outlet.fail(encoder.failure(error))
            except Exception:
                if outlet.begun:
                    await outlet.fail(encoder.failure(INTERNAL))
                raise

    def _stream_headers(self) -> dict[str, str]:
        """What is known before the first content. Nobody between here and the client may hold the stream back or keep it."""
        held_by_nobody = {"Content-Type": "text/event-stream", "Cache-Control": "no-cache", "X-Accel-Buffering": "no"}
        return {**held_by_nobody, **self._headers(self.answer.report())}

    def _headers(self, report: Report) -> dict[str, str]:
        headers = common_headers(self.http)
        headers["X-Fusiond-Overhead-Ms"] = f"{self.answer.overhead(self.began) * 1000:.1f}"
        if ignored := self.planned.request.ignored:
            headers["X-Fusiond-Ignored"] = _list_of(ignored)
        if report.confidence is not None:
            headers["X-Fusiond-Confidence"] = f"{report.confidence:.4f}"
        if report.degraded:
            headers["X-Fusiond-Degraded"] = ",".join(report.degraded)
        return headers


def _list_of(names: Sequence[str]) -> str:
    """The client's own words, fit for a header: printable, and not without end."""
    told = [_UNPRINTABLE.sub("?", name)[:64] for name in names[:_IGNORED_LIMIT]]
    return ", ".join([*told, "..."] if len(names) > _IGNORED_LIMIT else told)


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
