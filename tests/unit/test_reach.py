"""Who is lost, who is looked for and when; the clock is passed in, and what a probe finds is scripted."""

from __future__ import annotations

import asyncio
import socket
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

import pytest

from fusiond import reach as module
from fusiond.reach import FIRST_PROBE, LONGEST_PROBE, Lost, Reach, answers
from tests.asking import soon

NOW = 100.0
URL = "https://a.example/v1"


class Net:
    """What answers: addresses to be found, and gates that hold a probe until they open. `probed`: every look, in order."""

    def __init__(self, *there: str) -> None:
        self.there = set(there)
        self.gates: dict[str, asyncio.Event] = {}
        self.probed: list[str] = []

    async def answers(self, url: str) -> bool:
        """One look."""
        self.probed.append(url)
        if gate := self.gates.get(url):
            await gate.wait()
        return url in self.there


@pytest.fixture
def net(monkeypatch: pytest.MonkeyPatch) -> Net:
    """A network on which nobody answers."""
    made = Net()
    monkeypatch.setattr(module, "answers", made.answers)
    return made


def lost(*providers: str, now: float = NOW) -> Reach:
    """A record of providers that were lost at the same time; each has its name for an address."""
    reach = Reach()
    for provider in providers:
        reach.lose(provider, provider, "refused", now)
    return reach


@asynccontextmanager
async def begun(work: Any) -> AsyncIterator[asyncio.Task[Any]]:
    """Work that has gone as far as it can without help."""
    task = asyncio.create_task(work)
    for _ in range(3):
        await asyncio.sleep(0)
    yield task
    task.cancel()
    await asyncio.wait([task])


def test_the_first_failure_counts() -> None:
    """What comes of calls that were under way changes nothing; after it was found it may be lost anew."""
    reach = lost("a")
    reach.lose("a", "a", "timed out", NOW + 5)
    assert reach.lost == {"a": Lost(url="a", why="refused", since=NOW, pause=FIRST_PROBE, due=NOW + FIRST_PROBE)}
    reach.find("a")
    reach.find("never lost")
    assert reach.lost == {}
    reach.lose("a", "a", "timed out", NOW + 5)
    assert (reach.lost["a"].why, reach.lost["a"].since) == ("timed out", NOW + 5)


def test_those_that_are_gone_are_forgotten() -> None:
    """And nobody else."""
    reach = lost("a", "b")
    reach.keep(frozenset({"b", "c"}))
    assert set(reach.lost) == {"b"}


async def test_only_who_is_due_is_looked_for(net: Net) -> None:
    """And who answers is back."""
    reach = lost("a")
    reach.lose("b", "b", "refused", NOW + 1)
    net.there = {"a", "b"}
    await reach.probe(NOW + FIRST_PROBE - 0.01)
    assert net.probed == []
    await reach.probe(NOW + FIRST_PROBE)
    assert (net.probed, set(reach.lost)) == (["a"], {"b"})


async def test_the_pauses_grow_and_end_growing(net: Net) -> None:
    """Twice as long each time, up to the longest; the reason and the time of the loss stay."""
    reach, now, pauses = lost("a"), NOW, []
    for _ in range(8):
        due = reach.lost["a"].due
        pauses.append(due - now)
        now = due
        await reach.probe(now)
    assert pauses == [0.5, 1, 2, 4, 8, 15, 15, 15]
    assert max(pauses) == LONGEST_PROBE
    assert len(net.probed) == 8
    assert (reach.lost["a"].why, reach.lost["a"].since) == ("refused", NOW)


async def test_a_late_probe_counts_from_its_own_time(net: Net) -> None:
    """Nothing is made up for."""
    reach = lost("a")
    await reach.probe(NOW + 60)
    assert reach.lost["a"].due == NOW + 60 + 2 * FIRST_PROBE


async def test_two_probes_at_once(net: Net) -> None:
    """Look once, and the pause grows once."""
    reach, net.gates["a"] = lost("a"), asyncio.Event()
    async with begun(reach.probe(NOW + 1)) as first:
        await reach.probe(NOW + 1)
        net.gates["a"].set()
        await soon(first)
    assert (net.probed, reach.lost["a"].pause) == (["a"], 2 * FIRST_PROBE)


async def test_one_that_hangs_keeps_nobody_from_being_back(net: Net) -> None:
    """All are looked for at the same time, and each result counts as soon as it is there."""
    reach, net.gates["b"], net.there = lost("a", "b", "c"), asyncio.Event(), {"a", "c"}
    async with begun(reach.probe(NOW + 1)):
        assert set(reach.lost) == {"b"}


@pytest.mark.parametrize("there", [False, True])
async def test_found_while_it_is_looked_for(net: Net, there: bool) -> None:
    """It stays found, whatever the probe says."""
    reach, net.gates["a"], net.there = lost("a"), asyncio.Event(), {"a"} if there else set()
    async with begun(reach.probe(NOW + 1)) as probe:
        reach.find("a")
        net.gates["a"].set()
        await soon(probe)
    assert reach.lost == {}


@pytest.mark.parametrize("there", [False, True])
async def test_lost_anew_while_it_is_looked_for(net: Net, there: bool) -> None:
    """The newer loss stands: an old probe neither prolongs its pause nor ends it."""
    reach, net.gates["a"], net.there = lost("a"), asyncio.Event(), {"a"} if there else set()
    async with begun(reach.probe(NOW + 1)) as probe:
        reach.find("a")
        reach.lose("a", "a", "again", NOW + 2)
        net.gates["a"].set()
        await soon(probe)
    assert reach.lost["a"] == Lost(url="a", why="again", since=NOW + 2, pause=FIRST_PROBE, due=NOW + 2 + FIRST_PROBE)


async def test_forgotten_while_another_is_looked_for(net: Net) -> None:
    """What is found of it then changes nothing: it is none of ours."""
    reach, net.gates["b"], net.there = lost("a", "b"), asyncio.Event(), {"b"}
    async with begun(reach.probe(NOW + 1)) as probe:
        reach.keep(frozenset({"a"}))
        net.gates["b"].set()
        await soon(probe)
    assert set(reach.lost) == {"a"}


async def test_a_cancelled_probe_loses_nobody(net: Net) -> None:
    """They are looked for again when they are due the next time."""
    reach, net.gates["a"] = lost("a", "b"), asyncio.Event()
    async with begun(reach.probe(NOW + 1)):
        pass
    assert {provider: found.due for provider, found in reach.lost.items()} == {"a": NOW + 2, "b": NOW + 2}


async def test_nobody_is_lost_and_then_somebody() -> None:
    """The wait is over with the loss, and the next one lasts again."""
    reach = Reach()
    async with begun(reach.wait(NOW)) as wait:
        assert not wait.done()
        reach.lose("a", "a", "refused", NOW)
        await soon(wait)
    reach.find("a")
    async with begun(reach.wait(NOW)) as wait:
        assert not wait.done()


async def test_who_is_lost_before_the_wait_is_waited_for_until_it_is_due() -> None:
    """Its news are old; who is due already is not waited for."""
    reach = lost("a")
    async with begun(reach.wait(NOW - 60)) as wait:
        assert not wait.done()
    await soon(asyncio.create_task(reach.wait(NOW + FIRST_PROBE)))
    await soon(asyncio.create_task(reach.wait(NOW + 60)))


async def test_a_loss_ends_a_long_wait(net: Net) -> None:
    """Who is lost while another is waited for is not looked for as late as that one."""
    reach = lost("a")
    for _ in range(6):
        await reach.probe(reach.lost["a"].due)
    async with begun(reach.wait(reach.lost["a"].due - LONGEST_PROBE)) as wait:
        assert not wait.done()
        reach.lose("b", "b", "refused", NOW)
        await soon(wait)


@pytest.mark.parametrize("others", [(), ("a",)])
async def test_a_cancelled_wait_is_cancelled(others: tuple[str, ...]) -> None:
    """And leaves nothing behind: the next one hears of a loss as the first would have."""
    reach = lost(*others)
    async with begun(reach.wait(NOW - 60)) as wait:
        wait.cancel()
        await asyncio.wait([wait])
        assert wait.cancelled()
    async with begun(reach.wait(NOW - 60)) as first, begun(reach.wait(NOW - 60)) as second:
        reach.lose("b", "b", "refused", NOW)
        await soon(first)
        await soon(second)


async def test_a_real_address() -> None:
    """Something listens there and is told nothing; when it is gone, the connection is refused."""
    heard: asyncio.Queue[bytes] = asyncio.Queue()

    async def hear(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        heard.put_nowait(await reader.read())
        writer.close()

    server = await asyncio.start_server(hear, "127.0.0.1", 0)
    port = server.sockets[0].getsockname()[1]
    async with server:
        assert await answers(f"http://127.0.0.1:{port}/v1")
        assert await heard.get() == b""
    assert not await answers(f"http://127.0.0.1:{port}/v1")


@pytest.mark.parametrize(
    ("url", "address"), [(URL, ("a.example", 443)), ("http://a.example/v1", ("a.example", 80)), ("https://[::1]:8443", ("::1", 8443))]
)
async def test_where_a_probe_goes(url: str, address: tuple[str, int], monkeypatch: pytest.MonkeyPatch) -> None:
    """To the address's own port, or its scheme's."""
    seen: list[tuple[str, int]] = []

    async def open_connection(host: str, port: int) -> None:
        seen.append((host, port))
        raise socket.gaierror

    monkeypatch.setattr(asyncio, "open_connection", open_connection)
    assert not await answers(url)
    assert seen == [address]


@pytest.mark.parametrize("error", [ConnectionRefusedError(), OSError(101, "unreachable"), UnicodeError("label too long")], ids=repr)
async def test_no_way(error: Exception, monkeypatch: pytest.MonkeyPatch) -> None:
    """Whatever stands in it."""

    async def open_connection(_host: str, _port: int) -> None:
        raise error

    monkeypatch.setattr(asyncio, "open_connection", open_connection)
    assert not await answers(URL)


async def test_what_swallows_everything_is_not_waited_for(monkeypatch: pytest.MonkeyPatch) -> None:
    """No longer than a probe lasts."""

    async def open_connection(_host: str, _port: int) -> None:
        await asyncio.Event().wait()

    monkeypatch.setattr(asyncio, "open_connection", open_connection)
    monkeypatch.setattr(module, "PROBE_SECONDS", 0.0)
    assert not await answers(URL)


async def test_a_connection_that_ends_badly_was_one(monkeypatch: pytest.MonkeyPatch) -> None:
    """It is closed in any case."""

    class Writer:
        closed = False

        def close(self) -> None:
            self.closed = True

        async def wait_closed(self) -> None:
            raise ConnectionResetError

    writer = Writer()

    async def open_connection(_host: str, _port: int) -> tuple[None, Writer]:
        return None, writer

    monkeypatch.setattr(asyncio, "open_connection", open_connection)
    assert await answers(URL)
    assert writer.closed
