"""How much the daemon takes on at once: so many requests, so many more waiting, and so many bytes of bodies together.

What is too much is turned away at once with a time to come back: failing quickly is kinder than a queue that nobody sees.
"""

from __future__ import annotations

import asyncio
from collections import deque
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager, contextmanager

from fusiond.errors import Busy, TooLarge, TooSlow

BODY_LIMIT = 64 * 1024 * 1024
"""Bytes of one body."""

BODIES_LIMIT = 4 * BODY_LIMIT
"""Bytes of all bodies that are held at one time."""

STALL_SECONDS = 30.0
"""So long may a body take to begin, or pause."""

SLOWEST = 1000
"""Bytes a second: what a body must come with, once it has had the time of one pause."""

RETRY_AFTER = 2.0


class Admission:
    """The requests of all revisions. The limits may change while requests run and wait."""

    def __init__(self, running: int, queue: int) -> None:
        self._limit = running
        self._queue_limit = queue
        self._waiting: deque[asyncio.Future[None]] = deque()
        self._empty = asyncio.Event()
        self._empty.set()
        self.present = 0
        self.running = 0

    @property
    def waiting(self) -> int:
        """How many requests are in the queue."""
        return len(self._waiting)

    def resize(self, running: int, queue: int) -> None:
        """Take the limits of a new configuration; whoever waits and fits now goes on."""
        self._limit, self._queue_limit = running, queue
        self._admit()

    @contextmanager
    def arrived(self) -> Iterator[None]:
        """A request, from its head to the end of its answer: it is not lost because its body is still on its way."""
        self.present += 1
        self._empty.clear()
        try:
            yield
        finally:
            self.present -= 1
            if not self.present:
                self._empty.set()

    @asynccontextmanager
    async def admitted(self) -> AsyncIterator[None]:
        """Wait for a place, first come, first served. Raises Busy where the queue is full."""
        if self.running < self._limit and not self._waiting:
            self.running += 1
        else:
            await self._queue()
        try:
            yield
        finally:
            self._leave()

    async def empty(self) -> None:
        """Wait until no request is left."""
        await self._empty.wait()

    async def _queue(self) -> None:
        if len(self._waiting) >= self._queue_limit:
            raise Busy(f"{self.running} requests run and {self.waiting} wait: come back later", retry_after=RETRY_AFTER)
        place = asyncio.get_running_loop().create_future()
        self._waiting.append(place)
        here = False
        try:
            await place
            here = True
        finally:
            if place in self._waiting:
                self._waiting.remove(place)
            elif not here and not place.cancelled():
                self._leave()  # it was given its place, and is gone in the same turn

    def _leave(self) -> None:
        self.running -= 1
        self._admit()

    def _admit(self) -> None:
        while self._waiting and self.running < self._limit:
            place = self._waiting.popleft()
            if not place.done():
                self.running += 1
                place.set_result(None)


class Bodies:
    """The bytes of all bodies in flight."""

    def __init__(self) -> None:
        self._held = 0

    @contextmanager
    def body(self, announced: int | None) -> Iterator[Body]:
        """One body's share, held for as long as the block lasts. `announced`: its Content-Length. Raises TooLarge.

        What is announced costs nothing, and holds no room that others could use: only what has come is held.
        """
        body = Body(self)
        try:
            _check(announced or 0)
            yield body
        finally:
            self._held -= body.size

    def hold(self, size: int) -> None:
        """Raises Busy where that is too much together."""
        if self._held + size > BODIES_LIMIT:
            raise Busy("the bodies of the requests that run take all the memory they may: come back later", retry_after=RETRY_AFTER)
        self._held += size


class Body:
    """The bytes held for one request."""

    def __init__(self, bodies: Bodies) -> None:
        self._bodies = bodies
        self.size = 0

    def grow(self, size: int) -> None:
        """Hold at least *size* bytes. Raises TooLarge or Busy."""
        _check(size)
        if size > self.size:
            self._bodies.hold(size - self.size)
            self.size = size

    async def read(self, pieces: AsyncIterator[bytes]) -> bytes:
        """The whole body, held as it comes. Raises TooLarge, Busy or TooSlow."""
        clock = asyncio.get_running_loop().time
        content, began = bytearray(), clock()
        try:
            while True:
                async with asyncio.timeout_at(min(clock(), began + len(content) / SLOWEST) + STALL_SECONDS):
                    piece = await anext(pieces, None)
                if piece is None:
                    return bytes(content)
                content += piece
                self.grow(len(content))
        except TimeoutError:
            raise TooSlow(f"the body did not come: {len(content)} bytes in {clock() - began:.0f} s") from None


def _check(size: int) -> None:
    if size > BODY_LIMIT:
        raise TooLarge(f"a body may have {BODY_LIMIT} bytes")
