"""How a question is answered, whatever family asks: bytes in, a request, a place, a plan, the members, and bytes out again."""

from __future__ import annotations

import asyncio
import re
import time
from collections.abc import Iterator, Sequence
from contextlib import aclosing
from dataclasses import dataclass, field, replace
from decimal import Decimal
from typing import Literal, Self

from aiohttp import web
from multidict import CIMultiDictProxy

from fusiond.admission import Body
from fusiond.catalog import Fusion
from fusiond.chat import Limit, Request
from fusiond.config.tree import Config, Privacy
from fusiond.connection import BROKEN, BROKEN_BODY, INTERNAL
from fusiond.errors import BadRequest, FusiondError, UnknownModel
from fusiond.events import Failed, Finished, Progress, Text, Thinking, ToolCall, Transcript
from fusiond.keep import Keep
from fusiond.merge import beside
from fusiond.outlet import ClientGone, Outlet
from fusiond.plan import Plan, plan, sought
from fusiond.policy.privacy import strictest
from fusiond.report import Report, plain
from fusiond.revision import Revision
from fusiond.run import Answer, answering
from fusiond.server import REQUEST_ID, REVISION, Server, common_headers
from fusiond.telemetry import Given, log_refusal, log_request, recorded, refused
from fusiond.wire.openai_answer import KEEP_ALIVE, Encoder, whole
from fusiond.wire.openai_chat import decode, model_of
from fusiond.wire.openai_overrides import privacy

LARGE_BODY = 1024 * 1024
"""Bytes. A larger body is decoded beside the loop, which would stand still meanwhile."""

PRIVACY, MAX_COST = "X-Fusiond-Privacy", "X-Fusiond-Max-Cost"
DEPTHS = ("X-Fusiond-Depth", "x-openrouter-fusion-depth")
DEEPEST = 1
"""A fusion may have another as a member, which then has models as members; what is deeper is taken for a circle."""

_LONGEST_DEPTH = 6
_AMOUNT = re.compile(r"\d{1,9}(?:\.\d{1,18})?|\.\d{1,18}")
_UNPRINTABLE = re.compile(r"[^\x21-\x2b\x2d-\x7e]")
_IGNORED_LIMIT = 32


class ClientLeft(FusiondError):
    """What a request is told to have ended in, in the log and the records, whose client did not wait."""

    status = 499
    code = "client_gone"


async def answer(server: Server, http: web.Request) -> web.StreamResponse:
    """The response to one question. Raises FusiondError as long as nothing of it has gone out."""
    began = asyncio.get_running_loop().time()
    with server.admission.arrived(), _Unasked(server, http[REQUEST_ID], began) as known, server.bodies.body(http.content_length) as held:
        known.body = await _body(server, http, held)
        known.request = request = await _decoded(known.body, http)
        async with server.admission.admitted(), server.revisions.lease() as revision:
            http[REVISION] = revision.number
            known.revision = revision
            await revision.looked(request)
            known.request = request = await _guarded(request, revision, len(known.body))
            planned = await _planned(request, revision, server.keep)
            async with answering(planned, revision, server.keep) as heard:
                known.asked = True
                return await Reply(server=server, http=http, planned=planned, answer=heard, began=began, config=revision.config).given()


async def _body(server: Server, http: web.Request, held: Body) -> bytes:
    """What was asked, once it is all there; mostly it is when it is looked at."""
    if not http.content.is_eof():
        async with server.until_shutdown():
            return await held.read(http.content.iter_any())
    content = http.content.read_nowait()
    held.grow(len(content))
    return content


async def _planned(request: Request, revision: Revision, keep: Keep) -> Plan:
    """The plan for a request. What leaves is recorded and what is paid is counted, from the first byte on: that alone waits for the disk."""
    planned = plan(request, revision.catalog, keep.situation(revision))
    if keep.opened.is_set() or not (planned.leaves or any(member.paid for member in planned.members)):
        return planned
    await keep.known()
    return plan(request, revision.catalog, keep.situation(revision))


@dataclass(slots=True)
class _Unasked:
    """What is known so far of a request that nobody was asked for yet. Where it ends there, that is logged and recorded here, whatever ends it."""

    server: Server
    id: str
    began: float
    body: bytes = b""
    request: Request | None = None
    revision: Revision | None = None
    asked: bool = False

    def __enter__(self) -> Self:
        return self

    def __exit__(self, _kind: object, error: BaseException | None, _traceback: object) -> None:
        if error is not None and not self.asked:
            self._end(_meaning(error))

    def _end(self, error: FusiondError) -> None:
        self.server.served += 1
        took = (asyncio.get_running_loop().time() - self.began) * 1000
        model = "" if self.request or len(self.body) >= LARGE_BODY else model_of(self.body)
        request = self.request or Request(id=self.id, model=model, messages=())
        fusion, privacy = self._wish(request)
        log_refusal(request, error, took)
        given = Given(status=error.status, milliseconds=took, error=None if isinstance(error, ClientLeft) else error)
        self.server.keep.records.add(refused(request, given, fusion, privacy))

    def _wish(self, request: Request) -> tuple[str | None, Privacy | Literal[""]]:
        """The fusion that was asked for, and how far the request might go, as far as it was known what is served."""
        if self.revision is None:
            return None, ""
        try:
            target = sought(request, self.revision.catalog)
        except UnknownModel:
            return None, ""
        name, own = (target.name, target.config.privacy) if isinstance(target, Fusion) else (None, None)
        return name, strictest(self.revision.config.privacy.default, own, *(limit.privacy for limit in request.limits))


def _meaning(error: BaseException) -> FusiondError:
    """What a request has ended in."""
    match error:
        case FusiondError():
            return error
        case asyncio.CancelledError() | ConnectionError():
            return ClientLeft("the client did not wait")
        case _:
            return BROKEN_BODY if isinstance(error, BROKEN) else INTERNAL


@dataclass(slots=True, kw_only=True)
class Reply:
    """One answer on its way to its client. `began`: the loop's clock; `config`: of the revision that answers."""

    server: Server
    http: web.Request
    planned: Plan
    answer: Answer
    began: float
    config: Config
    transcript: Transcript = field(default_factory=Transcript)
    failure: FusiondError | None = None

    async def given(self) -> web.StreamResponse:
        """Give it, whole or streamed, and log what became of it."""
        try:
            return await (self._streamed() if self.planned.request.stream else self._whole())
        except FusiondError as error:
            self.failure = error
            error.spent = self.answer.report().cost_usd > 0
            raise
        finally:
            self._over()

    def _over(self) -> None:
        """What became of it, for the log and the records. Many clients leave at the last word, before the end of the body: they have their answer."""
        self.server.served += 1
        status = self.failure.status if self.failure else 200 if self.answer.finished else ClientLeft.status
        took = (asyncio.get_running_loop().time() - self.began) * 1000
        text = self.transcript.text if self.config.records.text else None
        given = Given(status=status, milliseconds=took, error=self.failure, text=text)
        report = self.answer.report()
        log_request(self.planned, report, given)
        self.server.keep.records.add(recorded(self.planned, report, given))

    async def _whole(self) -> web.StreamResponse:
        transcript = self.transcript
        async with self.server.until_shutdown(), aclosing(self.answer.events()) as events:
            async for event in events:
                transcript.hear(event)
        if isinstance(transcript.end, Failed):
            raise transcript.end.error
        report = self.answer.report()
        body = whole(self.planned.request, int(time.time()), transcript, report)
        headers = {**self._headers(report), "X-Fusiond-Cost-Usd": plain(report.cost_usd)}
        return web.Response(body=body, content_type="application/json", headers=headers)

    async def _streamed(self) -> web.StreamResponse:
        encoder = Encoder(self.planned.request, int(time.time()))
        outlet = Outlet(self.http, self._stream_headers, keep_alive=KEEP_ALIVE, heartbeat=self.config.server.heartbeat_seconds)
        async with beside(outlet.beat()):
            try:
                async with self.server.until_shutdown():
                    finished = await self._poured(encoder, outlet)
                await outlet.write(encoder.end(finished.reason, self.answer.report()))
                return await outlet.end()
            except FusiondError as error:
                if not outlet.begun:
                    raise
                self.failure = error
                return await outlet.fail(encoder.failure(error))
            except ClientGone:
                raise
            except Exception:
                self.failure = INTERNAL
                if outlet.begun:
                    await outlet.fail(encoder.failure(INTERNAL))
                raise

    async def _poured(self, encoder: Encoder, outlet: Outlet) -> Finished:
        """Every event of the answer as it comes. Raises the error that ends it."""
        kept = self.transcript if self.config.records.text else None
        async with aclosing(self.answer.events()) as events:
            async for event in events:
                if kept is not None:
                    kept.hear(event)
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

    def _stream_headers(self) -> dict[str, str]:
        """What is known before the first content. Nobody between here and the client may hold the stream back or keep it."""
        held_by_nobody = {"Content-Type": "text/event-stream", "Cache-Control": "no-cache", "X-Accel-Buffering": "no"}
        return {**held_by_nobody, **self._headers(self.answer.report())}

    def _headers(self, report: Report) -> dict[str, str]:
        headers = common_headers(self.http)
        headers["X-Fusiond-Overhead-Ms"] = f"{self.answer.overhead(self.began) * 1000:.1f}"
        if ignored := (*self.planned.request.ignored, *self.planned.ignored):
            headers["X-Fusiond-Ignored"] = _list_of(ignored)
        if report.confidence is not None:
            headers["X-Fusiond-Confidence"] = f"{report.confidence:.4f}"
        if report.agreement is not None:
            headers["X-Fusiond-Agreement"] = f"{report.agreement:.4f}"
        if report.degraded:
            headers["X-Fusiond-Degraded"] = ",".join(report.degraded)
        return headers


def _list_of(names: Sequence[str]) -> str:
    """The client's own words, fit for a header: printable, and not without end."""
    told = [_UNPRINTABLE.sub("?", name)[:64] for name in names[:_IGNORED_LIMIT]]
    return ", ".join([*told, "..."] if len(names) > _IGNORED_LIMIT else told)


async def _decoded(body: bytes, http: web.Request) -> Request:
    request = decode(body, http[REQUEST_ID]) if len(body) < LARGE_BODY else await asyncio.to_thread(decode, body, http[REQUEST_ID])
    if depth := _depth(http.headers):
        request = replace(request, depth=depth)
    request = request.limited(*_limits(http.headers))
    return request if http.headers.get("X-Fusiond-Trace") in (None, "0") else request.traced()


def _limits(headers: CIMultiDictProxy[str]) -> Iterator[Limit]:
    """The limits that the headers set. Raises BadRequest."""
    for word in headers.getall(PRIVACY, ()):
        yield Limit(name=PRIVACY, privacy=privacy(PRIVACY, word.strip().lower()))
    for amount in headers.getall(MAX_COST, ()):
        if not _AMOUNT.fullmatch(amount.strip()):
            raise BadRequest(f"{MAX_COST} must be an amount in USD, such as 0.01", param=MAX_COST)
        yield Limit(name=MAX_COST, max_cost_usd=Decimal(amount.strip()))


def _depth(headers: CIMultiDictProxy[str]) -> int:
    """How many fusions the question has come through. Raises BadRequest where they ask each other."""
    told = [word.strip() for name in DEPTHS for word in headers.getall(name, ())]
    if not all(word.isascii() and word.isdecimal() for word in told):
        raise BadRequest(f"{' and '.join(DEPTHS)} must be small numbers", param=DEPTHS[0])
    depth = max((int(word[:_LONGEST_DEPTH]) for word in told), default=0)
    if depth > DEEPEST:
        raise BadRequest(f"this question has come through {depth} fusions: does one ask itself? ({', '.join(DEPTHS)})", param=DEPTHS[0])
    return depth


async def _guarded(request: Request, revision: Revision, size: int) -> Request:
    """The request, kept on this machine where one of the patterns is found in it that must not leave."""
    patterns = revision.never_remote
    found = patterns.match(request) if size < LARGE_BODY else await asyncio.to_thread(patterns.match, request)
    return request.limited(Limit(name="privacy.never_remote", privacy="local")) if found else request
