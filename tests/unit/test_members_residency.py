"""Whose turn it is with a model, and who loads it: one load for all who wait, and nobody's leaving stops it."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Coroutine
from contextlib import asynccontextmanager
from typing import Any

import pytest

from fusiond.errors import MemberError, Rejected, TimedOut, Unreachable
from fusiond.members import residency
from fusiond.members.residency import Residency
from tests.asking import soon

KEY = ("http://here", "qwen:latest")
MEMORY = (*KEY, 4096)
OTHER = (*KEY, 8192)
NEVER = float("inf")


class Server:
    """What the model's server does: whether it is in memory, and a load that goes on until the test ends it."""

    def __init__(self, *, loaded: bool = False, failure: MemberError | None = None) -> None:
        self.loaded = loaded
        self.failure = failure
        self.looks = self.loads = self.aborted = 0
        self.loading = asyncio.Event()
        self.gate = asyncio.Event()

    async def look(self) -> bool:
        """Whether it is there."""
        self.looks += 1
        return self.loaded

    async def load(self) -> None:
        """Load it."""
        self.loads += 1
        self.loading.set()
        try:
            await self.gate.wait()
        except asyncio.CancelledError:
            self.aborted += 1
            raise
        if self.failure:
            raise self.failure


@pytest.fixture
async def models() -> AsyncIterator[Residency]:
    """A residency whose loads are over with the test."""
    tasks: list[asyncio.Task[None]] = []

    def spawn(work: Coroutine[Any, Any, None]) -> asyncio.Task[None]:
        tasks.append(asyncio.create_task(work))
        return tasks[-1]

    yield Residency(spawn)
    for task in tasks:
        task.cancel()
    if tasks:
        await asyncio.wait(tasks)


def waiting(models: Residency, server: Server, key: tuple[str, str, int] = MEMORY, deadline: float = NEVER) -> asyncio.Task[None]:
    """Somebody who wants the model."""
    return asyncio.create_task(models.loaded(key, server.look, server.load, deadline))


@asynccontextmanager
async def busy(models: Residency, parallel: int = 1) -> AsyncIterator[asyncio.Event]:
    """A call that has the model's only slot until the event is set."""
    done, inside = asyncio.Event(), asyncio.Event()

    async def work() -> None:
        async with models.slot(KEY, parallel, NEVER):
            inside.set()
            await done.wait()

    task = asyncio.create_task(work())
    await inside.wait()
    yield done
    done.set()
    await soon(task)


async def turn(models: Residency, name: str, order: list[str], deadline: float = NEVER) -> None:
    """Wait for a slot, and note that it came."""
    async with models.slot(KEY, 1, deadline):
        order.append(name)


async def settled() -> None:
    """Let every task run until it waits for something."""
    for _ in range(10):
        await asyncio.sleep(0)


async def test_slots_are_given_in_order(models: Residency) -> None:
    """First come, first served, and never more at once than the model takes."""
    order: list[str] = []
    async with busy(models) as done:
        calls = []
        for name in ("first", "second", "third"):
            calls.append(asyncio.create_task(turn(models, name, order)))
            await settled()
        assert order == []
        done.set()
        for task in calls:
            await soon(task)
    assert order == ["first", "second", "third"]


async def test_the_deadline_passes_while_waiting(models: Residency) -> None:
    """Who waits too long is told so, and takes no slot with him."""
    order: list[str] = []
    async with busy(models):
        with pytest.raises(TimedOut, match="busy with other requests"):
            await turn(models, "late", order, asyncio.get_running_loop().time())
    await soon(asyncio.create_task(turn(models, "next", order)))
    assert order == ["next"]


async def test_cancelled_while_waiting(models: Residency) -> None:
    """Who leaves the queue leaves no gap in it, even in the moment in which it is his turn."""
    order: list[str] = []
    async with busy(models) as done:
        gone, chosen, last = (asyncio.create_task(turn(models, name, order)) for name in ("gone", "chosen", "last"))
        await settled()
        gone.cancel()
        await settled()
        done.set()
        await asyncio.sleep(0)
        chosen.cancel()
        await soon(last)
    await asyncio.wait([gone, chosen])
    assert gone.cancelled()
    assert order[-1] == "last"
    await soon(asyncio.create_task(turn(models, "next", order)))


async def test_a_slot_is_given_back_after_an_error(models: Residency) -> None:
    """However a call ends."""
    with pytest.raises(Unreachable):
        async with models.slot(KEY, 1, NEVER):
            raise Unreachable("gone")
    await soon(asyncio.create_task(turn(models, "next", [])))


async def test_without_a_limit_nobody_waits(models: Residency) -> None:
    """None: the server takes what comes. Two models do not wait for each other either."""
    async with models.slot(KEY, None, NEVER), models.slot(KEY, None, NEVER), models.slot(KEY, 1, NEVER), models.slot(("there", "qwen"), 1, NEVER):
        pass


async def test_a_new_limit_takes_effect(models: Residency) -> None:
    """A configuration that lets more run at once does not wait for the calls of the old one."""
    async with busy(models), models.slot(KEY, 2, NEVER), models.slot(KEY, 2, NEVER):
        pass


async def test_a_load_is_shared(models: Residency) -> None:
    """All who want a cold model wait for the same load; then it is ready, and not looked for again so soon."""
    server = Server()
    assert models.state(MEMORY) == "cold"
    several = [waiting(models, server) for _ in range(3)]
    await server.loading.wait()
    late = waiting(models, server)
    await settled()
    assert (models.state(MEMORY), server.loads, late.done()) == ("loading", 1, False)
    server.gate.set()
    for task in (*several, late):
        await soon(task)
    looks = server.looks
    await soon(waiting(models, server))
    assert (models.state(MEMORY), server.loads, server.looks) == ("ready", 1, looks)


async def test_who_leaves_does_not_stop_the_load(models: Residency) -> None:
    """Neither one of several nor the last one, nor one whose deadline passes."""
    server = Server()
    several = [waiting(models, server) for _ in range(2)]
    await server.loading.wait()
    for task in several:
        task.cancel()
        await asyncio.wait([task])
    with pytest.raises(TimedOut, match="still being loaded"):
        await soon(waiting(models, server, deadline=asyncio.get_running_loop().time()))
    assert (models.state(MEMORY), server.aborted) == ("loading", 0)
    server.gate.set()
    await soon(waiting(models, server))
    assert (models.state(MEMORY), server.loads) == ("ready", 1)


async def test_its_failure_is_everybodys(models: Residency) -> None:
    """All who waited are told why; the next one tries again."""
    server = Server(failure=Rejected("out of memory", upstream_status=500))
    several = [waiting(models, server) for _ in range(3)]
    await server.loading.wait()
    server.gate.set()
    for task in several:
        with pytest.raises(Rejected, match="out of memory"):
            await soon(task)
    assert models.state(MEMORY) == "cold"
    server.failure = None
    await soon(waiting(models, server))
    assert (models.state(MEMORY), server.loads) == ("ready", 2)


async def test_what_is_in_memory_is_not_loaded(models: Residency) -> None:
    """The server is asked, and believed."""
    server = Server(loaded=True)
    await soon(waiting(models, server))
    assert (models.state(MEMORY), server.looks, server.loads) == ("ready", 1, 0)


async def test_it_is_looked_for_again_later(models: Residency, monkeypatch: pytest.MonkeyPatch) -> None:
    """Others use the server too: what was seen there some time ago may be gone."""
    server = Server(loaded=True)
    await soon(waiting(models, server))
    monkeypatch.setattr(residency, "FRESH_SECONDS", 0)
    server.loaded = False
    server.gate.set()
    await soon(waiting(models, server))
    assert (server.looks, server.loads) == (2, 1)


async def test_the_window_is_part_of_the_name(models: Residency) -> None:
    """A model in memory with another window is cold, and has to be loaded anew."""
    server = Server(loaded=True)
    await soon(waiting(models, server))
    assert models.state(OTHER) == "cold"
    server.loaded = False
    server.gate.set()
    await soon(waiting(models, server, OTHER))
    assert (models.state(OTHER), server.loads) == ("ready", 1)


async def test_what_a_look_at_the_server_finds(models: Residency) -> None:
    """It is all there is on that server; others are not concerned."""
    elsewhere = ("http://there", "qwen:latest", 4096)
    models.seen(MEMORY)
    models.seen(elsewhere)
    models.found("http://here", {OTHER})
    assert [models.state(key) for key in (MEMORY, OTHER, elsewhere)] == ["cold", "ready", "ready"]
    server = Server(loaded=True)
    await soon(waiting(models, server))
    assert server.looks == 1


async def test_a_look_lasts_no_longer_than_the_request(models: Residency) -> None:
    """A server that does not say what it has in memory does not hold a request beyond its deadline."""

    async def look() -> bool:
        await asyncio.Event().wait()
        return True

    with pytest.raises(TimedOut):
        await soon(asyncio.create_task(models.loaded(MEMORY, look, Server().load, asyncio.get_running_loop().time() + 0.05)))
