"""One streamed response: when its headers go out, what keeps it alive, and the two ways in which it ends.

The headers wait for the first content, or for `heartbeat` seconds at the most: until then a failure can still have its own HTTP status. What comes
before the content (thinking) waits with them. A stream that fails later is cut off after its error, since half of all clients take a clean end
for the whole answer.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager, suppress

from aiohttp import HttpVersion11, web

WRITE_STALL_SECONDS = 120.0
"""A client that takes nothing for so long is gone."""


class ClientGone(ConnectionError):
    """There is nobody to write to any more, which is no error of anybody's."""


class Outlet:
    """The response to one request. `headers` is asked when they go out; `keep_alive` is what a silent stream sends, `heartbeat` in seconds."""

    def __init__(self, http: web.Request, headers: Callable[[], Mapping[str, str]], *, keep_alive: bytes, heartbeat: float) -> None:
        self._http = http
        self._headers = headers
        self._keep_alive = keep_alive
        self._heartbeat = heartbeat
        self._loop = asyncio.get_running_loop()
        self._response = web.StreamResponse()
        self._opening = asyncio.Lock()
        self._held: list[bytes] = []
        self._last = self._loop.time()
        self._writing: float | None = None
        self._ended: float | None = None
        self.begun = False

    async def hold(self, data: bytes) -> None:
        """Send *data* with the headers, if they are still to come."""
        if self.begun:
            await self.write(data)
        else:
            self._held.append(data)

    async def write(self, data: bytes) -> None:
        """Send *data* now. Raises ClientGone."""
        with _to_client():
            if not self.begun:
                await self._open()
            self._last = self._writing = self._loop.time()
            await self._response.write(data)
            self._writing = None

    async def end(self) -> web.StreamResponse:
        """The success end, after which nothing may come. Raises ClientGone."""
        self._ended = self._loop.time()
        with _to_client():
            await self._response.write_eof()
        return self._response

    async def fail(self, error: bytes) -> web.StreamResponse:
        """The other end: the error in the stream, and the connection closed without the end of the body."""
        with suppress(ClientGone):
            await self.write(error)
        if self._http.transport is not None:
            self._http.transport.close()
        return self._response

    async def beat(self) -> None:
        """Keep the stream alive for as long as this runs and its client is there, beside whoever writes; give up a client that takes nothing."""
        with suppress(ClientGone):
            while True:
                await asyncio.sleep(self._last + self._heartbeat - self._loop.time())
                now = self._loop.time()
                waiting = self._ended if self._writing is None else self._writing
                if waiting is not None:
                    self._give_up(now - waiting)
                    self._last = now
                elif now >= self._last + self._heartbeat:
                    await self.write(self._keep_alive)

    def _give_up(self, waited: float) -> None:
        if waited > WRITE_STALL_SECONDS and self._http.transport is not None:
            self._http.transport.abort()

    async def _open(self) -> None:
        async with self._opening:
            if self.begun:
                return
            self._response.headers.update(self._headers())
            if self._http.version < HttpVersion11:
                self._response.force_close()  # it has no other way to know where the body ends
            await self._response.prepare(self._http)
            self.begun = True
            if self._held:
                await self._response.write(b"".join(self._held))


@contextmanager
def _to_client() -> Iterator[None]:
    """Raises ClientGone where what is written has nowhere to go."""
    try:
        yield
    except ConnectionError as error:
        raise ClientGone(str(error)) from error
