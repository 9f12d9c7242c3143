"""HTTP/1.1 on a loopback socket, every byte of the answer in the hands of whoever gives it: it may be broken in any way.

Requests are read whole. A client that closes its side before the end of its answer has left: the answer is cancelled there and then.
"""

from __future__ import annotations

import asyncio
import json
import socket
import struct
from collections.abc import Awaitable, Callable, Mapping
from http import HTTPStatus
from typing import Any, TypeAlias, cast

from tests.upstreams.record import Asked, Record

FLOOD_PIECE = 64 * 1024


class Reply:
    """The answer to one request, on its way. `kind`: the content type of a stream; `over`: nothing more can be said.

    `gap`: seconds between two bytes; None: bytes are not parted.
    """

    def __init__(self, connection: Connection, kind: str) -> None:
        self._connection = connection
        self._kind = kind
        self._framed = True
        self.begun = False
        self.over = False
        self.gap: float | None = None

    async def head(self, headers: Mapping[str, str], *, framed: bool = True) -> None:
        """A stream's status and headers."""
        self.begun, self._framed = True, framed
        framing = {"Transfer-Encoding": "chunked"} if framed else {"Connection": "close"}
        await self.wire(_head(200, {"Content-Type": self._kind, **framing, **headers}))

    async def send(self, data: bytes) -> None:
        """A piece of the stream."""
        if not self.begun:
            await self.head({})
        if data:
            await self.wire(b"%x\r\n%b\r\n" % (len(data), data) if self._framed else data)

    async def flood(self, size: int) -> None:
        """So many bytes as a piece after the other, as fast as the client takes them."""
        for start in range(0, size, FLOOD_PIECE):
            await self.send(b"x" * min(FLOOD_PIECE, size - start))

    async def end(self) -> None:
        """The end as HTTP wants it, where there was no other."""
        if self.over:
            return
        if not self.begun:
            await self.head({})
        if self._framed:
            await self.wire(b"0\r\n\r\n")
        else:
            self.close()

    async def whole(self, status: int, body: Any, headers: Mapping[str, str] | None = None) -> None:
        """An answer at once: a string as plain text, anything else as JSON."""
        if self.begun:
            raise ValueError(f"status {status}: the answer has begun already")
        kind = "text/plain; charset=utf-8" if isinstance(body, str) else "application/json; charset=utf-8"
        data = (body if isinstance(body, str) else json.dumps(body)).encode()
        self.begun = self.over = True
        await self.wire(_head(status, {"Content-Type": kind, "Content-Length": str(len(data)), **(headers or {})}) + data)

    async def wire(self, data: bytes) -> None:
        """Bytes, whatever they mean."""
        self.begun = True
        if self.gap is None:
            await self._connection.write(data)
            return
        for at in range(len(data)):
            await self._connection.write(data[at : at + 1])
            await asyncio.sleep(self.gap)  # even if for no time: the client may run, and see this byte alone

    def close(self) -> None:
        """End the connection after what was written."""
        self.over = True
        self._connection.close()

    def reset(self) -> None:
        """Break the connection."""
        self.over = True
        self._connection.reset()


Answer: TypeAlias = Callable[[Asked, Reply], Awaitable[None]]


class Loopback:
    """The server: *answer* is called for each request, and what happens is written into *record*. `kind`: the content type of streams."""

    def __init__(self, record: Record, answer: Answer, kind: str) -> None:
        self.record = record
        self.answer = answer
        self.kind = kind
        self.open: set[Connection] = set()
        self.tasks: set[asyncio.Task[None]] = set()
        self.failures: list[BaseException] = []

    async def start(self, port: int) -> int:
        """Listen on *port*, or on a free one. Returns which."""
        self._server = await asyncio.get_running_loop().create_server(lambda: Connection(self), "127.0.0.1", port, backlog=1024)
        return int(self._server.sockets[0].getsockname()[1])

    async def stop(self) -> None:
        """End every connection. Returns once nothing is left of them."""
        self._server.close()
        for connection in self.open:
            connection.abandon()
        await self.record.gone()
        if self.tasks:
            await asyncio.wait(self.tasks)

    async def forever(self) -> None:
        """Serve until cancelled."""
        await self._server.serve_forever()


class Connection(asyncio.Protocol):
    """One client, whose requests are answered one after the other."""

    def __init__(self, server: Loopback) -> None:
        self._server = server
        self._record = server.record
        self._heard = bytearray()
        self._asked: Asked | None = None
        self._task: asyncio.Task[None] | None = None
        self._writable = asyncio.Event()
        self._writable.set()

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """A client came."""
        self._transport = cast("asyncio.Transport", transport)
        self._server.open.add(self)
        self._record.connections.up()
        self._record.news()

    def data_received(self, data: bytes) -> None:
        """More of a request."""
        self._heard += data
        self._next()

    def eof_received(self) -> None:
        """The client closed its side."""
        self._leave()

    def connection_lost(self, exc: Exception | None) -> None:
        """The connection is no more."""
        self._leave()
        self._server.open.discard(self)
        self._record.connections.down()
        self._record.news()

    def pause_writing(self) -> None:
        """The client does not read as fast as it is written to."""
        self._writable.clear()

    def resume_writing(self) -> None:
        """It has caught up."""
        self._writable.set()

    async def write(self, data: bytes) -> None:
        """Returns once there is room for more."""
        self._transport.write(data)
        await self._writable.wait()

    def close(self) -> None:
        """A FIN after what was written."""
        self._transport.close()

    def reset(self) -> None:
        """An RST."""
        linger = struct.pack("ii", 1, 0)  # on, for no time at all: what is closed is reset
        self._transport.get_extra_info("socket").setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, linger)
        self._transport.abort()

    def abandon(self) -> None:
        """End at once: the upstream itself ends."""
        if self._asked is not None:
            self._record.over(self._asked)
        self._transport.abort()

    def _next(self) -> None:
        """Answer the next request that is complete."""
        head_end = self._heard.find(b"\r\n\r\n")
        if self._task is not None or head_end < 0:
            return
        method, path, headers = _parsed(bytes(self._heard[:head_end]))
        body_end = head_end + 4 + int(headers.get("content-length", 0))
        if len(self._heard) < body_end:
            return
        body = bytes(self._heard[head_end + 4 : body_end])
        del self._heard[:body_end]
        loop = asyncio.get_running_loop()
        self._asked = Asked(method=method, path=path.partition("?")[0], headers=headers, body=_json(body), came=loop.time())
        self._record.came(self._asked)
        self._task = loop.create_task(self._exchange(self._asked))
        self._server.tasks.add(self._task)
        self._task.add_done_callback(self._answered)

    async def _exchange(self, asked: Asked) -> None:
        reply = Reply(self, self._server.kind)
        try:
            await self._server.answer(asked, reply)
            await reply.end()
        finally:
            self._record.over(asked)

    def _answered(self, task: asyncio.Task[None]) -> None:
        self._task = self._asked = None
        self._server.tasks.discard(task)
        if task.cancelled():
            return
        if failure := task.exception():
            self._server.failures.append(failure)
            self._transport.abort()
        elif not self._transport.is_closing():
            self._next()

    def _leave(self) -> None:
        if self._asked is not None and self._asked.open:
            self._record.over(self._asked, left=True)
        if self._task is not None:
            self._task.cancel()


def _head(status: int, headers: Mapping[str, str]) -> bytes:
    phrase = HTTPStatus(status).phrase if status in list(HTTPStatus) else "Unusual"
    return "\r\n".join([f"HTTP/1.1 {status} {phrase}", *(f"{name}: {value}" for name, value in headers.items()), "", ""]).encode()


def _parsed(head: bytes) -> tuple[str, str, dict[str, str]]:
    """Method, target, and headers by their names in lower case."""
    first, *lines = head.decode("latin-1").split("\r\n")
    method, target, _ = first.split(" ", 2)
    return method, target, {name.lower(): value.strip() for name, _, value in (line.partition(":") for line in lines)}


def _json(body: bytes) -> Any:
    try:
        return json.loads(body) if body else None
    except ValueError:
        return None
