"""However a request ends, its members end with it."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncGenerator
from dataclasses import replace

import pytest

from fusiond.call import Call
from fusiond.events import Event, Finished, Text
from fusiond.merge import AHEAD, Hearing, beside, gathering
from tests.asking import call
from tests.planning import Stage


async def test_leaving_ends_every_member() -> None:
    """By leaving the block early, with members that would never end."""
    stage = Stage({"a": ["x", asyncio.Event()], "b": [asyncio.Event()]})
    async with gathering(stage.listen) as members:
        hearing = members.ask([call(name="a"), call(name="b")])
        assert isinstance(await hearing.next(), Text)
    assert stage.closed == {"a", "b"}
    assert asyncio.all_tasks() == {asyncio.current_task()}


@pytest.mark.parametrize("times", [1, 2])
async def test_being_cancelled_ends_every_member(times: int) -> None:
    """Once, or again while it is ending."""
    stage = Stage({"a": [asyncio.Event()], "b": [asyncio.Event()]})
    started = asyncio.Event()

    async def request() -> None:
        async with gathering(stage.listen) as members:
            hearing = members.ask([call(name="a"), call(name="b")])
            started.set()
            await hearing.out()

    task = asyncio.create_task(request())
    await started.wait()
    await asyncio.sleep(0)
    for _ in range(times):
        task.cancel()
    await asyncio.wait([task])
    assert task.cancelled()
    assert stage.closed == {"a", "b"}


async def test_the_consumers_own_error_comes_out_as_it_is() -> None:
    """Not wrapped in a group."""
    stage = Stage({"a": [asyncio.Event()]})

    async def request() -> None:
        async with gathering(stage.listen) as members:
            members.ask([call(name="a")])
            await asyncio.sleep(0)
            raise KeyError("mine")

    with pytest.raises(KeyError, match="mine"):
        await request()
    assert stage.closed == {"a"}


async def test_a_bug_in_a_member_is_no_members_failure() -> None:
    """It comes out, as a group."""

    async def broken(asked: Call) -> AsyncGenerator[Event, None]:
        yield Text(member=asked.voice, text=str(1 // asked.sample))

    async def request() -> None:
        async with gathering(broken) as members:
            await members.ask([replace(call(name="a"), sample=0)]).out()

    with pytest.raises(ExceptionGroup) as group:
        await request()
    assert group.group_contains(ZeroDivisionError)


async def test_who_is_dismissed_is_not_heard_any_more() -> None:
    """Not even what was already on its way; the others are."""
    go = asyncio.Event()
    stage = Stage({"a": ["x", "y", asyncio.Event()], "b": ["1", go, "2"]})
    async with gathering(stage.listen) as members:
        hearing = members.ask([call(name="a"), call(name="b")])
        assert (await hearing.next()) == Text(member="a", text="x")
        hearing.dismiss(but="b")
        go.set()
        heard = [event async for event in all_of(hearing)]
    assert heard == [Text(member="b", text="1"), Text(member="b", text="2"), Finished(member="b", reason="stop")]


async def test_a_slow_strategy_holds_its_members_back() -> None:
    """They are no further ahead than the queue is long."""
    said = 0

    async def endless(asked: Call) -> AsyncGenerator[Event, None]:
        nonlocal said
        while True:
            said += 1
            yield Text(member=asked.voice, text="x")

    async with gathering(endless) as members:
        hearing = members.ask([call(name="a")])
        await hearing.next()
        for _ in range(10):
            await asyncio.sleep(0)
        assert said <= AHEAD + 3


async def test_waiting_has_an_end() -> None:
    """At the time that is given, nothing is heard."""
    stage = Stage({"a": [asyncio.Event()]})
    async with gathering(stage.listen) as members:
        hearing = members.ask([call(name="a")])
        assert await hearing.next(asyncio.get_running_loop().time()) is None
        assert hearing.speaking == ("a",)


async def test_what_runs_beside_ends_with_the_block() -> None:
    """Like a member."""
    ended = asyncio.Event()

    async def forever() -> None:
        try:
            await asyncio.Event().wait()
        finally:
            ended.set()

    async with beside(forever()):
        await asyncio.sleep(0)
    assert ended.is_set()


async def all_of(hearing: Hearing) -> AsyncGenerator[Event, None]:
    """What is still said."""
    while (event := await hearing.next()) is not None:
        yield event
