"""However a request ends, its members end with it."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncGenerator
from dataclasses import replace

import pytest

from fusiond.call import Call
from fusiond.errors import MemberError, NoTime, TimedOut
from fusiond.events import Event, Failed, Finished, Text, Thinking
from fusiond.merge import AHEAD, Hearing, Part, beside, gathering, together, waited
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


@pytest.mark.parametrize("heard", [False, True], ids=["dismissed", "heard"])
async def test_an_end_that_nobody_has_heard(heard: bool) -> None:
    """Is known of a member's part, whatever that end was."""
    stage = Stage({"a": ["x"], "b": ["y"]})
    async with gathering(stage.listen) as members:
        hearing = members.ask([call(name="a"), call(name="b")])
        while (event := await hearing.next()) is not None:
            if not heard and isinstance(event, Finished):
                break
        hearing.dismiss()
        assert all(part.transcript.complete for part in members.parts.values())
        assert [part.dismissed for part in members.parts.values()] == [False, not heard]


async def test_whoever_has_no_time_is_not_asked() -> None:
    """Its part says so, and nothing has begun that would have to end."""
    stage = Stage({"a": ["x"]})
    async with gathering(stage.listen) as members:
        asked = call(name="a", deadline=asyncio.get_running_loop().time())
        [end] = [event async for event in members.relay(asked)]
        assert members.parts["a"].transcript.end == end
    assert isinstance(end, Failed)
    assert isinstance(end.error, NoTime)
    assert stage.asked == []


async def ended(*, own: float, others: int, first: Event | None = None, deadline: float = 0.2) -> tuple[float, MemberError | None]:
    """After how many seconds, and in what, a call ends whose member says nothing, or nothing more. `own`: its limit for the first token."""
    loop = asyncio.get_running_loop()

    async def silent(asked: Call) -> AsyncGenerator[Event, None]:
        if first is not None:
            yield first
        await asyncio.sleep(min(own, asked.deadline - loop.time()))
        yield Failed(member=asked.voice, error=TimedOut("its own"))

    began = loop.time()
    async with gathering(silent) as members:
        *_, end = [event async for event in members.relay(call(name="a", deadline=began + deadline, first_token_seconds=own), others)]
    return loop.time() - began, end.error if isinstance(end, Failed) else None


@pytest.mark.parametrize(
    ("own", "others", "first", "seconds", "ours"),
    [
        (9, 0, None, 0.2, False),
        (9, 1, None, 0.1, True),
        (9, 3, None, 0.05, True),
        (0.05, 1, None, 0.05, False),
        (0.1, 1, None, 0.1, False),
        (9, 3, Text(member="a", text="x"), 0.2, False),
        (9, 3, Thinking(member="a", text="x"), 0.2, False),
    ],
    ids=["alone", "half", "a quarter", "its own", "both at once", "has begun", "thinks"],
)
async def test_whoever_may_take_over_has_a_share_of_the_time(own: float, others: int, first: Event | None, seconds: float, ours: bool) -> None:
    """A call has to begin before that; where it does not, it says nothing of the member, unless its own limit has passed."""
    took, error = await ended(own=own, others=others, first=first)
    assert isinstance(error, TimedOut)
    assert (error.ours, error.unbilled) == (ours, False)
    assert seconds <= took + 0.001
    assert took < seconds + 0.045


async def test_a_members_own_timeout_error_is_a_bug() -> None:
    """It is none of ours, and no failure of the member's."""

    async def broken(asked: Call) -> AsyncGenerator[Event, None]:
        if asked.sample:
            raise TimeoutError
        yield Text(member=asked.voice, text="")

    async def request() -> None:
        async with gathering(broken) as members:
            await members.ask([call(name="a", deadline=asyncio.get_running_loop().time() + 9)], others=1).out()

    with pytest.raises(ExceptionGroup) as group:
        await request()
    assert group.group_contains(TimeoutError)


@pytest.mark.parametrize(
    ("parts", "seconds"),
    [
        ([], 0),
        ([(1, None, 4)], 3),
        ([(1, None, 4), (2, None, 3)], 3),
        ([(1, None, 2), (3, None, 5)], 3),
        ([(1, None, 2), (1, None, None)], 9),
        ([(1, 2, None), (1, None, 4)], 3),
        ([(1, 2, None)], 1),
        ([(4, 6, None), (1, None, 3)], 4),
    ],
    ids=["nobody", "one", "at once", "one after the other", "one hangs", "the other goes on", "goes out", "a writer"],
)
def test_when_somebody_was_waited_for(parts: list[tuple[float, float | None, float | None]], seconds: float) -> None:
    """From when it was asked until it has ended, or until now; whoever delivers, until its answer has begun. All of them together."""
    made = [Part(call=call(name=name), asked=asked, spoke=spoke, ended=end) for name, (asked, spoke, end) in zip("ab", parts, strict=False)]
    assert waited(made, "a", 10) == seconds


async def all_of(hearing: Hearing) -> AsyncGenerator[Event, None]:
    """What is still said."""
    while (event := await hearing.next()) is not None:
        yield event


async def test_together_keeps_the_order_whoever_is_first() -> None:
    """And all is under way at once."""
    gates = [asyncio.Event(), asyncio.Event()]

    async def passed(mine: int) -> int:
        gates[mine].set()
        await gates[1 - mine].wait()
        return mine

    assert await together(passed(place) for place in (1, 0)) == [1, 0]
    assert await together([]) == []


async def test_together_ends_all_when_it_is_cancelled() -> None:
    """Nothing of it goes on."""
    ended = []

    async def endless(name: str) -> None:
        try:
            await asyncio.Event().wait()
        finally:
            ended.append(name)

    task = asyncio.create_task(together(endless(name) for name in "ab"))
    for _ in range(3):
        await asyncio.sleep(0)
    task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await task
    assert sorted(ended) == ["a", "b"]
