"""How long is waited for a member: on a clock that the test moves."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable

import pytest

from fusiond.errors import TimedOut
from fusiond.members.patience import Patience

Wait = Callable[[float], Awaitable[None]]


class Clock:
    """The loop's clock, which goes on while something waits, and only then: to the next timer at once."""

    def __init__(self, loop: asyncio.AbstractEventLoop) -> None:
        self._loop = loop
        self.now = 1000.0
        self.patience: Patience

    def time(self) -> float:
        """Seconds."""
        return self.now

    def made(self, *, first_token: float = 10, stall: float = 2, total: float = 100, deadline: float = float("inf")) -> Patience:
        """The patience of one call, from now on."""
        self.patience = Patience(first_token=first_token, stall=stall, total=total, deadline=deadline)
        return self.patience

    async def wait(self, seconds: float) -> str:
        """Wait for a provider that says something after so many seconds."""
        return await self.patience.wait(asyncio.sleep(seconds, "said"))

    def go_on(self) -> None:
        """Move to the next timer, where the loop has nothing else to do."""
        scheduled = [handle for handle in self._loop._scheduled if not handle.cancelled()]  # type: ignore[attr-defined]
        if scheduled and not self._loop._ready:  # type: ignore[attr-defined]
            self.now = max(self.now, min(handle.when() for handle in scheduled))


@pytest.fixture
async def clock(monkeypatch: pytest.MonkeyPatch) -> AsyncIterator[Clock]:
    """A loop whose time is the test's."""
    loop = asyncio.get_running_loop()
    clock = Clock(loop)
    run_once = loop._run_once  # type: ignore[attr-defined]

    def with_the_clock() -> None:
        clock.go_on()
        run_once()

    with monkeypatch.context() as patch:
        patch.setattr(loop, "time", clock.time)
        patch.setattr(loop, "_run_once", with_the_clock)
        yield clock


async def test_what_comes_in_time(clock: Clock) -> None:
    """The result of what was waited for."""
    clock.made()
    assert await clock.wait(9.9) == "said"


async def test_no_first_token(clock: Clock) -> None:
    """Silence before the first token has its own limit, shared by all waits before it."""
    clock.made(first_token=10)
    await clock.wait(6)
    with pytest.raises(TimedOut, match="no first token within 10 s"):
        await clock.wait(5)
    assert clock.now == 1010


async def test_silence_in_the_middle(clock: Clock) -> None:
    """After the first token each stall counts for itself."""
    patience = clock.made(first_token=10, stall=2)
    for _ in range(20):
        await clock.wait(1.9)
        patience.heard()
    with pytest.raises(TimedOut, match="silent for 2 s in the middle"):
        await clock.wait(2.1)


async def test_what_says_nothing_does_not_renew_it(clock: Clock) -> None:
    """Comments that come and say nothing use the patience up."""
    patience = clock.made(stall=2)
    patience.heard()
    await clock.wait(1.5)
    with pytest.raises(TimedOut, match="silent for 2 s"):
        await clock.wait(1)


async def test_the_total(clock: Clock) -> None:
    """A member that goes on for ever is stopped, however lively it is."""
    patience = clock.made(total=10, stall=2)

    async def chatter() -> None:
        while True:
            await clock.wait(1)
            patience.heard()

    with pytest.raises(TimedOut, match=r"not finished within 10 s$"):
        await chatter()
    assert clock.now == 1010


async def test_the_requests_own_deadline(clock: Clock) -> None:
    """It is never later than the request's."""
    clock.made(total=100, deadline=clock.now + 3)
    with pytest.raises(TimedOut, match="not finished within 3 s, which is all the time that the request had"):
        await clock.wait(4)
    assert clock.now == 1003


@pytest.mark.parametrize(
    ("seconds", "heard", "limits", "ours", "words"),
    [
        (3, False, {}, True, "within 3 s, which is all"),
        (3, True, {"stall": 9}, True, "within 3 s, which is all"),
        (20, False, {"first_token": 10}, False, "no first token within 10 s"),
        (10, False, {"first_token": 10}, False, "no first token within 10 s"),
        (9.9, False, {"first_token": 10}, False, "no first token within 10 s"),
        (8.9, False, {"first_token": 10}, True, "within 8.9 s, which is all"),
        (9.9, True, {"stall": 10}, False, "silent for 10 s"),
        (50, False, {"total": 7}, False, "not finished within 7 s$"),
        (6.9, False, {"total": 7}, False, "not finished within 7 s$"),
    ],
)
async def test_whose_limit_has_passed(clock: Clock, seconds: float, heard: bool, limits: dict[str, float], ours: bool, words: str) -> None:
    """The request's, which says nothing of the member, or one of the member's own; where both are about the same it is the member's."""
    patience = clock.made(**{"first_token": 30, "stall": 30, **limits}, deadline=clock.now + seconds)
    if heard:
        patience.heard()
    with pytest.raises(TimedOut, match=words) as late:
        await clock.wait(100)
    assert late.value.ours is ours


async def test_a_slow_client_does_not_make_a_member_late(clock: Clock) -> None:
    """Time that is spent elsewhere between two waits is not the member's."""
    patience = clock.made(first_token=10, stall=2)
    await asyncio.sleep(50)
    await clock.wait(9)
    patience.heard()
    await asyncio.sleep(30)
    assert await clock.wait(1) == "said"


async def test_an_end_is_not_waited_for_as_long_as_a_word(clock: Clock) -> None:
    """However often it is said that only the end is missing; another word has its own time again."""
    patience = clock.made(first_token=10, stall=20)
    patience.heard()
    for _ in range(2):
        patience.ending(1)
        await clock.wait(0.4)
    patience.ending(1)
    with pytest.raises(TimedOut):
        await clock.wait(0.4)
    patience.heard()
    assert await clock.wait(19) == "said"


async def test_what_is_waited_for_is_cancelled(clock: Clock) -> None:
    """A wait that is over lets go of what it waited for."""
    clock.made(first_token=1)
    left = asyncio.Event()

    async def provider() -> None:
        try:
            await asyncio.sleep(100)
        finally:
            left.set()

    with pytest.raises(TimedOut):
        await clock.patience.wait(provider())
    assert left.is_set()


async def test_another_timeout_is_not_taken_for_ours(clock: Clock) -> None:
    """A timeout of what is waited for comes out as it is: it has its own words."""
    clock.made(first_token=10)

    async def connect() -> None:
        raise TimeoutError("no connection")

    with pytest.raises(TimeoutError, match="no connection"):
        await clock.patience.wait(connect())
    with pytest.raises(TimedOut):
        await clock.wait(11)
    with pytest.raises(TimeoutError, match="no connection"):
        await clock.patience.wait(connect())


def timers() -> list[float]:
    """When those that are set go off."""
    loop = asyncio.get_running_loop()
    return [handle.when() for handle in loop._scheduled if not handle.cancelled()]  # type: ignore[attr-defined]


async def test_many_waits_have_one_timer(clock: Clock) -> None:
    """It stays set from one to the next, and is gone when nobody waits any more."""
    patience = clock.made(first_token=10, stall=20)
    for _ in range(50):
        await clock.wait(0.1)
        assert timers() == [1010]
        patience.heard()
    patience.close()
    assert timers() == []
    assert await clock.wait(1) == "said"


async def test_the_timer_of_a_wait_that_is_over_stops_no_other(clock: Clock) -> None:
    """It goes off in the middle of the next one, which has its own time."""
    patience = clock.made(first_token=10, stall=20)
    await clock.wait(9)
    patience.heard()
    assert await clock.wait(19) == "said"
    patience.heard()
    began = clock.now
    with pytest.raises(TimedOut, match="silent for 20 s"):
        await clock.wait(21)
    assert clock.now == began + 20


async def test_a_timer_that_goes_off_between_two_waits(clock: Clock) -> None:
    """Nobody is stopped by it."""
    failures: list[object] = []
    asyncio.get_running_loop().set_exception_handler(lambda _, context: failures.append(context))
    clock.made(first_token=10)
    await clock.wait(1)
    await asyncio.sleep(50)
    assert (timers(), failures) == ([], [])
    assert await clock.wait(8.9) == "said"


async def test_a_timer_that_is_set_too_late_is_set_anew(clock: Clock) -> None:
    """A shorter wait after a longer one."""
    patience = clock.made(first_token=100, stall=2)
    await clock.wait(1)
    patience.heard()
    with pytest.raises(TimedOut, match="silent for 2 s"):
        await clock.wait(3)
    assert clock.now == 1003


@pytest.mark.parametrize("outcome", ["said", ConnectionError("lost")])
async def test_who_was_late_is_not_cancelled_further(clock: Clock, outcome: str | Exception) -> None:
    """Where what is waited for has its own answer to being cancelled, that is the outcome."""
    clock.made(first_token=1)

    async def stubborn() -> str:
        try:
            await asyncio.sleep(5)
        except asyncio.CancelledError:
            if isinstance(outcome, Exception):
                raise outcome from None
        return "said"

    if isinstance(outcome, Exception):
        with pytest.raises(ConnectionError):
            await clock.patience.wait(stubborn())
    else:
        assert await clock.patience.wait(stubborn()) == "said"
    task = asyncio.current_task()
    assert task is not None
    assert task.cancelling() == 0


async def test_cancelled_from_outside_at_the_same_time(clock: Clock) -> None:
    """Who cancels the request comes first."""
    clock.made(first_token=5)
    task = asyncio.create_task(clock.wait(10))
    asyncio.get_running_loop().call_at(clock.now + 5, task.cancel)
    await asyncio.wait([task])
    assert task.cancelled()


async def test_cancelled_from_outside(clock: Clock) -> None:
    """Whoever cancels the request does not see a member that was late."""
    clock.made()
    task = asyncio.create_task(clock.wait(5))
    await asyncio.sleep(1)
    task.cancel()
    await asyncio.wait([task])
    assert task.cancelled()
