"""Which models are in memory, which are on their way, and how many calls each takes at once.

It lives outside the revisions of the configuration, keyed by server and model. A load is the daemon's own work, shared by all who wait for it:
a client that leaves does not stop it, or a large model would never get loaded.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable, Coroutine
from contextlib import asynccontextmanager
from typing import Any, TypeAlias

from fusiond.errors import MemberError, TimedOut
from fusiond.members import State

Key: TypeAlias = tuple[str, str]
"""The server's address, the model's name: calls of it queue together."""

Memory: TypeAlias = tuple[str, str, int | None]
"""The same with the window: with another one the model is not in memory, but has to be loaded anew."""

Spawn: TypeAlias = Callable[[Coroutine[Any, Any, None]], asyncio.Task[None]]

FRESH_SECONDS = 2.0
"""So long it is believed that a model is in memory, from the moment it was seen there."""


class Residency:
    """What is known of every model on every server. `spawn` starts work that outlives a request."""

    def __init__(self, spawn: Spawn) -> None:
        self._spawn = spawn
        self._slots: dict[Key, tuple[int, asyncio.Semaphore]] = {}
        self._loads: dict[Memory, asyncio.Future[MemberError | None]] = {}
        self._seen: dict[Memory, float] = {}
        self._resident: set[Memory] = set()

    @asynccontextmanager
    async def slot(self, key: Key, parallel: int | None, deadline: float) -> AsyncIterator[None]:
        """One of the calls that the model takes at once; first come, first served. Raises TimedOut at *deadline* (the loop's clock)."""
        if parallel is None:
            yield
            return
        semaphore = self._semaphore(key, parallel)
        try:
            async with asyncio.timeout_at(deadline):
                await semaphore.acquire()
        except TimeoutError:
            raise TimedOut("the model was busy with other requests until the deadline", queued=True) from None
        try:
            yield
        finally:
            semaphore.release()

    async def loaded(self, key: Memory, look: Callable[[], Awaitable[bool]], load: Callable[[], Awaitable[None]], deadline: float) -> None:
        """Return once the model is in memory. `look` asks the server, `load` makes it load. Raises the load's own MemberError, or TimedOut."""
        if key not in self._loads and not self._fresh(key):
            if await _seen(look, deadline):
                self.seen(key)
            elif key not in self._loads:
                self._loads[key] = asyncio.get_running_loop().create_future()
                self._resident.discard(key)
                self._spawn(self._load(key, load))
        if (running := self._loads.get(key)) is not None:
            await _outcome(running, deadline)

    def seen(self, key: Memory) -> None:
        """The model was just seen in memory."""
        self._resident.add(key)
        self._seen[key] = asyncio.get_running_loop().time()

    def found(self, server: str, resident: set[Memory]) -> None:
        """These are all the models that a server has in memory now."""
        self._resident = {key for key in self._resident if key[0] != server} | resident
        self._seen = {key: when for key, when in self._seen.items() if key in self._resident}

    def state(self, key: Memory) -> State:
        """What was last known of the model."""
        if key in self._loads:
            return "loading"
        return "ready" if key in self._resident else "cold"

    def _semaphore(self, key: Key, parallel: int) -> asyncio.Semaphore:
        known = self._slots.get(key)
        if known is None or known[0] != parallel:
            known = self._slots[key] = parallel, asyncio.Semaphore(parallel)
        return known[1]

    def _fresh(self, key: Memory) -> bool:
        return asyncio.get_running_loop().time() - self._seen.get(key, float("-inf")) < FRESH_SECONDS

    async def _load(self, key: Memory, load: Callable[[], Awaitable[None]]) -> None:
        failure: MemberError | None = None
        try:
            await load()
            self.seen(key)
        except MemberError as error:
            failure = error
        finally:
            future = self._loads.pop(key)
            if not future.done():
                future.set_result(failure)


async def _seen(look: Callable[[], Awaitable[bool]], deadline: float) -> bool:
    try:
        async with asyncio.timeout_at(deadline):
            return await look()
    except TimeoutError:
        raise TimedOut("the server had not said by the deadline whether the model is in memory") from None


async def _outcome(running: asyncio.Future[MemberError | None], deadline: float) -> None:
    """Wait for a load without holding on to it: whoever stops waiting leaves it running."""
    try:
        async with asyncio.timeout_at(deadline):
            done, _ = await asyncio.wait([running])
    except TimeoutError:
        raise TimedOut("the model was still being loaded at the deadline", queued=True) from None
    if failure := next(iter(done)).result():
        raise failure
