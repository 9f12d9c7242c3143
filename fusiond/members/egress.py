"""Every byte that leaves this machine is counted where it is written to a connection: whom it went to and for which request, never what it was.

Counted are the bytes of HTTP, before any encryption. What is about to leave is told before it does, and what has left when the exchange is over,
however it ends.
"""

from __future__ import annotations

from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from typing import Protocol
from urllib.parse import urlsplit

import aiohttp

from fusiond.call import Call

HEADERS = 1024
"""Bytes that a question's head takes at the most, nearly always: so many are counted until it is known, so that a kill leaves no figure too small."""


class Exchange(Protocol):
    """One entry of the record."""

    def left(self, *, sent: int, received: int) -> None:
        """So many bytes have left, and come back."""


class Egress(Protocol):
    """Who keeps the record."""

    async def leaving(self, *, host: str, member: str | None, request_id: str | None, sent: int) -> Exchange:
        """At most so many bytes are about to leave. Returns when that is kept, or would take too long to wait for."""


class Meter:
    """What one exchange has sent and received so far, in bytes."""

    __slots__ = ("received", "sent")

    def __init__(self) -> None:
        self.sent = self.received = 0


@asynccontextmanager
async def metered(egress: Egress | None, url: str, content: int, call: Call | None) -> AsyncIterator[Meter]:
    """The measure of one exchange, for as long as it lasts; told to `egress`, where it leaves this machine."""
    meter = Meter()
    if egress is None:
        yield meter
        return
    exchange = await egress.leaving(
        host=urlsplit(url).netloc, member=call.member.name if call else None, request_id=call.request.id if call else None, sent=content + HEADERS
    )
    try:
        yield meter
    finally:
        exchange.left(sent=meter.sent, received=meter.received)


def counting() -> aiohttp.TraceConfig:
    """What counts the bytes of a session's requests into the meters that they carry."""

    async def headers(_session: aiohttp.ClientSession, context: object, sent: aiohttp.TraceRequestHeadersSentParams) -> None:
        meter = _meter(context)
        meter.sent += len(f"{sent.method} {sent.url.raw_path_qs} HTTP/1.1\r\n\r\n") + _header_bytes(sent.headers)

    async def chunk(_session: aiohttp.ClientSession, context: object, sent: aiohttp.TraceRequestChunkSentParams) -> None:
        _meter(context).sent += len(sent.chunk)

    trace = aiohttp.TraceConfig()
    trace.on_request_headers_sent.append(headers)
    trace.on_request_chunk_sent.append(chunk)
    return trace


def received(response: aiohttp.ClientResponse) -> int:
    """The bytes of a response, as far as it has come."""
    line = len(f"HTTP/1.1 {response.status} {response.reason}\r\n\r\n")
    return line + sum(len(name) + len(value) + 4 for name, value in response.raw_headers) + response.content.total_bytes


def _meter(context: object) -> Meter:
    """What the request carries."""
    meter: Meter = context.trace_request_ctx  # type: ignore[attr-defined]  # aiohttp gives it as it was handed over
    return meter


def _header_bytes(headers: Mapping[str, str]) -> int:
    return sum(len(name.encode()) + len(value.encode()) + 4 for name, value in headers.items())
