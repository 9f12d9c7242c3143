"""Places for requests, the queue before them, and the bytes of bodies: who gets in, in which order, and that everything is given back."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import AsyncIterator

import pytest

from fusiond import admission as limits
from fusiond.admission import BODIES_LIMIT, BODY_LIMIT, RETRY_AFTER, Admission, Bodies, Body
from fusiond.errors import Busy, TooLarge, TooSlow
from tests.asking import soon


class Visitor:
    """A request that stays in its place until it is told to leave."""

    def __init__(self, admission: Admission, order: list[str], name: str) -> None:
        self._name = name
        self._order = order
        self._leave = asyncio.Event()
        self.task = asyncio.create_task(self._visit(admission))

    async def _visit(self, admission: Admission) -> None:
        with admission.arrived():
            await self._answered(admission)

    async def _answered(self, admission: Admission) -> None:
        async with admission.admitted():
            self._order.append(self._name)
            await self._leave.wait()

    async def leave(self) -> None:
        """Give the place back."""
        self._leave.set()
        await soon(self.task)

    async def vanish(self) -> None:
        """Be cancelled, wherever it is."""
        self.task.cancel()
        with contextlib.suppress(asyncio.CancelledError):
            await soon(self.task)


async def turns() -> None:
    """Let every task run as far as it can: a few turns of the loop."""
    for _ in range(5):
        await asyncio.sleep(0)


class Door:
    """An admission and who has got in, by name and in order."""

    def __init__(self, running: int, queue: int) -> None:
        self.admission = Admission(running, queue)
        self.order: list[str] = []
        self.visitors: list[Visitor] = []

    async def come(self, name: str) -> Visitor:
        """One more request."""
        self.visitors.append(Visitor(self.admission, self.order, name))
        await turns()
        return self.visitors[-1]

    @property
    def counts(self) -> tuple[int, int]:
        """How many run, and how many wait."""
        return self.admission.running, self.admission.waiting


@contextlib.asynccontextmanager
async def door(running: int, queue: int) -> AsyncIterator[Door]:
    """A door behind which nobody is left in the end, and which knows that."""
    opened = Door(running, queue)
    yield opened
    for visitor in opened.visitors:
        await visitor.vanish()
    assert opened.counts == (0, 0)
    async with asyncio.timeout(5):
        await opened.admission.empty()


async def test_first_come_first_served() -> None:
    """Who finds no place waits, and gets in when one is free, in the order of coming."""
    async with door(2, 8) as it:
        first, second, *_ = [await it.come(name) for name in "abcd"]
        assert (it.order, it.counts) == (["a", "b"], (2, 2))
        await second.leave()
        await turns()
        assert (it.order, it.counts) == (["a", "b", "c"], (2, 1))
        await first.leave()
        await turns()
        assert (it.order, it.counts) == (["a", "b", "c", "d"], (2, 0))


async def test_nobody_overtakes_the_queue() -> None:
    """A place that is given to one who waits is not free for one who comes in the same turn."""
    async with door(1, 8) as it:
        first, _ = [await it.come(name) for name in "ab"]
        await first.leave()
        await it.come("c")
        assert (it.order, it.counts) == (["a", "b"], (1, 1))


async def test_a_full_queue_says_when_to_come_back() -> None:
    """Beyond the queue there is only Busy, with the figures; the places of others are untouched."""
    async with door(1, 1) as it:
        for name in "ab":
            await it.come(name)
        with pytest.raises(Busy, match="1 requests run and 1 wait") as refused:
            await soon((await it.come("c")).task)
        assert (refused.value.status, refused.value.retry_after, it.counts) == (503, RETRY_AFTER, (1, 1))
        it.visitors.pop()


async def test_without_a_queue_nobody_waits() -> None:
    """`queue = 0` turns away at once whoever finds no place."""
    async with door(1, 0) as it:
        await it.come("a")
        with pytest.raises(Busy):
            await soon((await it.come("b")).task)
        it.visitors.pop()


async def test_who_leaves_the_queue_leaves_no_gap() -> None:
    """Cancelled while waiting: the next in the queue gets the place, and the queue has room again."""
    async with door(1, 2) as it:
        first, second, _ = [await it.come(name) for name in "abc"]
        await second.vanish()
        assert it.counts == (1, 1)
        await it.come("d")
        await first.leave()
        await turns()
        assert (it.order, it.counts) == (["a", "c"], (1, 1))


async def test_a_place_given_to_one_who_leaves_in_that_turn_goes_on_to_the_next() -> None:
    """Cancelled between being given the place and taking it: it is not lost."""
    async with door(1, 2) as it:
        _, second, _ = [await it.come(name) for name in "abc"]
        it.admission.resize(2, 2)
        second.task.cancel()
        await turns()
        assert (it.order, it.counts) == (["a", "c"], (2, 0))


async def test_the_last_who_leaves_in_the_turn_of_its_admission_leaves_it_empty() -> None:
    """Nobody runs and nobody waits: who waits for that is told."""
    admission = Admission(1, 1)
    async with admission.admitted():
        waiting = Visitor(admission, [], "b")
        await turns()
    waiting.task.cancel()
    await turns()
    assert (admission.running, admission.waiting) == (0, 0)
    async with asyncio.timeout(5):
        await admission.empty()


async def test_who_left_the_queue_is_not_given_a_place() -> None:
    """Cancelled first, and a place free in the same turn: it goes to the next in the queue."""
    async with door(1, 2) as it:
        _, second, _ = [await it.come(name) for name in "abc"]
        second.task.cancel()
        it.admission.resize(2, 2)
        await turns()
        assert (it.order, it.counts) == (["a", "c"], (2, 0))


async def test_new_limits_hold_at_once() -> None:
    """More places let in who waits; fewer end nobody, and are kept as requests end."""
    async with door(1, 8) as it:
        first, second, third, _ = [await it.come(name) for name in "abcd"]
        it.admission.resize(3, 1)
        await turns()
        assert (it.order, it.counts) == (["a", "b", "c"], (3, 1))
        with pytest.raises(Busy):
            await soon((await it.come("e")).task)
        it.visitors.pop()
        it.admission.resize(1, 1)
        await first.leave()
        await second.leave()
        assert (it.order, it.counts) == (["a", "b", "c"], (1, 1))
        await third.leave()
        await turns()
        assert it.order == ["a", "b", "c", "d"]


async def test_empty_waits_for_those_who_run_and_those_who_wait() -> None:
    """It comes with the last one's leaving, and stays as long as nobody comes."""
    admission = Admission(1, 2)
    order: list[str] = []
    first, second = (Visitor(admission, order, name) for name in "ab")
    await turns()
    empty = asyncio.create_task(admission.empty())
    await first.leave()
    await turns()
    assert (order, empty.done()) == (["a", "b"], False)
    await second.leave()
    await soon(empty)
    await admission.empty()


async def test_empty_waits_for_those_who_are_not_let_in_yet() -> None:
    """A request whose body is still on its way is one."""
    admission = Admission(1, 0)
    with admission.arrived():
        empty = asyncio.create_task(admission.empty())
        await turns()
        assert (admission.present, admission.running, empty.done()) == (1, 0, False)
    await soon(empty)


async def test_an_error_gives_the_place_back() -> None:
    """However a request ends."""
    admission = Admission(1, 0)
    with pytest.raises(ZeroDivisionError):
        async with admission.admitted():
            raise ZeroDivisionError
    assert admission.running == 0
    async with admission.admitted():
        assert admission.running == 1


def test_a_body_that_is_too_large_is_refused_before_it_is_read() -> None:
    """By what it announces; the limit itself is allowed."""
    bodies = Bodies()
    with bodies.body(BODY_LIMIT) as body:
        assert body.size == 0
    with pytest.raises(TooLarge, match=f"{BODY_LIMIT} bytes"), bodies.body(BODY_LIMIT + 1):
        pass


@pytest.mark.parametrize("announced", [None, 10])
def test_a_body_that_grows_too_large_is_refused(announced: int | None) -> None:
    """What it announced, or did not, is not believed."""
    with Bodies().body(announced) as body:
        body.grow(BODY_LIMIT)
        with pytest.raises(TooLarge):
            body.grow(BODY_LIMIT + 1)


def test_what_is_announced_holds_nobody_up() -> None:
    """Only what has come is held, however much was promised."""
    bodies = Bodies()
    with contextlib.ExitStack() as stack:
        for _ in range(2 * BODIES_LIMIT // BODY_LIMIT):
            stack.enter_context(bodies.body(BODY_LIMIT)).grow(1)
        with bodies.body(None) as body:
            body.grow(BODY_LIMIT)
            assert body.size == BODY_LIMIT


def test_all_bodies_together_have_a_limit_and_give_back_what_they_held() -> None:
    """Too much at once is Busy with a time to come back; the refused one holds nothing, and what ended holds nothing more."""
    bodies = Bodies()
    with contextlib.ExitStack() as stack:
        for _ in range(BODIES_LIMIT // BODY_LIMIT):
            stack.enter_context(bodies.body(BODY_LIMIT)).grow(BODY_LIMIT)
        for _ in range(2):
            with bodies.body(1) as body, pytest.raises(Busy) as refused:
                body.grow(1)
            assert refused.value.retry_after == RETRY_AFTER
    with contextlib.ExitStack() as stack:
        for _ in range(BODIES_LIMIT // BODY_LIMIT):
            stack.enter_context(bodies.body(BODY_LIMIT)).grow(BODY_LIMIT)


def test_a_body_that_could_not_grow_keeps_what_it_has_and_gives_it_back() -> None:
    """Refused in the middle, and nothing is lost when it ends."""
    bodies = Bodies()
    with contextlib.ExitStack() as stack:
        for _ in range(BODIES_LIMIT // BODY_LIMIT - 1):
            stack.enter_context(bodies.body(BODY_LIMIT)).grow(BODY_LIMIT)
        with bodies.body(None) as one, bodies.body(None) as other:
            one.grow(BODY_LIMIT // 2)
            other.grow(BODY_LIMIT // 2)
            with pytest.raises(Busy):
                one.grow(BODY_LIMIT // 2 + 1)
            assert one.size == BODY_LIMIT // 2
        stack.enter_context(bodies.body(BODY_LIMIT)).grow(BODY_LIMIT)


async def coming(*pieces: bytes, end: bool = True) -> AsyncIterator[bytes]:
    """A body in pieces, and then its end, or a client that waits for ever."""
    for piece in pieces:
        yield piece
    if not end:
        await asyncio.Event().wait()


def new() -> Body:
    """One body's share of all the room there is."""
    return Body(Bodies())


async def test_a_body_is_read_to_its_end() -> None:
    """Whole, and held as it is."""
    body = new()
    assert await body.read(coming(b"ab", b"", b"cde")) == b"abcde"
    assert body.size == 5
    assert await new().read(coming()) == b""


async def test_a_body_is_refused_with_the_piece_that_is_too_much() -> None:
    """Without reading on."""
    with pytest.raises(TooLarge):
        await new().read(coming(bytes(BODY_LIMIT), b" ", end=False))


@pytest.mark.parametrize("pieces", [(), (b"{",)], ids=["nothing", "a beginning"])
async def test_a_body_that_does_not_come_is_not_waited_for(pieces: tuple[bytes, ...], monkeypatch: pytest.MonkeyPatch) -> None:
    """Neither for its first byte nor for its next."""
    monkeypatch.setattr(limits, "STALL_SECONDS", 0.0)
    monkeypatch.setattr(limits, "SLOWEST", 0.001)
    with pytest.raises(TooSlow, match=f"{len(pieces)} bytes") as slow:
        async with asyncio.timeout(5):
            await new().read(coming(*pieces, end=False))
    assert slow.value.status == 408


async def test_a_body_that_trickles_is_not_waited_for(monkeypatch: pytest.MonkeyPatch) -> None:
    """A byte now and then does not keep a place for ever: with every one there is only as much more time as it has brought."""
    clock = asyncio.get_running_loop().time

    async def trickle() -> AsyncIterator[bytes]:
        while True:
            await asyncio.sleep(0)
            yield b"x"

    monkeypatch.setattr(limits, "STALL_SECONDS", 0.05)
    monkeypatch.setattr(limits, "SLOWEST", 10**9)
    began = clock()
    with pytest.raises(TooSlow):
        await new().read(trickle())
    assert clock() - began < 5
