"""One request's money, however its calls end: what each costs, what stays set aside, and that no cap is passed at any moment."""

from __future__ import annotations

import asyncio
import random
import re
from collections.abc import AsyncGenerator, AsyncIterator
from contextlib import AsyncExitStack, aclosing, suppress
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime
from decimal import Decimal
from pathlib import Path
from typing import Any

import pytest

from fusiond.call import Call
from fusiond.chat import ImagePart, Message, Sampling
from fusiond.errors import ContextTooSmall, Empty, MemberError, Misshapen, Rejected, TimedOut, TooDear, Truncated, Unreachable, Unwilling
from fusiond.events import Event, Failed, Finished, FinishReason, Opened, Text, Thinking, Usage
from fusiond.policy.bound import most_tokens
from fusiond.policy.budget import Caps
from fusiond.purse import Purse
from fusiond.store.database import StoreError
from fusiond.store.ledger import FILE, Ledger, PaidCall
from fusiond.tariff import Override, Rates, Tariff
from tests.asking import call, collected, failure, question
from tests.storing import elsewhere, rows

USD = Decimal
NONE = USD(0)
NOON = datetime(2026, 11, 24, 12, 0, tzinfo=UTC)
TARIFF = Tariff(base=Rates(prompt=USD("1e-6"), completion=USD("1e-5")), overrides=(Override(min_prompt_tokens=100_000, prompt=USD("2e-6")),))
WIDE = Caps(request=USD(1), day=USD(100))
STATES = "SELECT state, nano * 1000000000 + atto, generation FROM calls ORDER BY id"


MEMBER: dict[str, Any] = {"name": "sonnet", "provider": "openrouter", "api": "openrouter", "place": "remote", "tariff": TARIFF}


def paid(max_tokens: int | None = 1000, **facts: Any) -> Call:
    """A question to a paid member."""
    return call(question(sampling=Sampling(max_tokens=max_tokens)), **(MEMBER | facts))


WORST = TARIFF.worst(most_tokens(paid().request).tokens, 1000)


def usage(prompt: int = 100, completion: int = 10, cost: str | None = None) -> Usage:
    """What the member counted."""
    told = None if cost is None else USD(cost)
    return Usage(member="sonnet", prompt_tokens=prompt, completion_tokens=completion, reasoning_tokens=0, cache_write_tokens=0, cost=told)


TEXT, THOUGHT = Text(member="sonnet", text="four"), Thinking(member="sonnet", text="2+2")
OPENED = Opened(member="sonnet", generation="gen-1")


def finished(reason: FinishReason = "stop") -> Finished:
    """The end of an answer."""
    return Finished(member="sonnet", reason=reason)


def failed(error: MemberError) -> Failed:
    """The end of what is none."""
    return Failed(member="sonnet", error=error)


@dataclass
class Script:
    """A member that says the same each time: an exception is raised, an `asyncio.Event` awaited. `asked`: what has left for it."""

    events: tuple[Event | BaseException | asyncio.Event, ...]
    asked: list[Call] = field(default_factory=list)
    begun: asyncio.Event = field(default_factory=asyncio.Event)
    closed: int = 0

    async def __call__(self, call: Call) -> AsyncGenerator[Event, None]:
        """Its stream."""
        try:
            if call.cleared:
                await call.cleared()
        except MemberError as error:
            yield failed(error)
            return
        self.asked.append(call)
        self.begun.set()
        try:
            for event in self.events:
                match event:
                    case BaseException():
                        raise event
                    case asyncio.Event():
                        await event.wait()
                    case _:
                        yield event
        finally:
            self.closed += 1


def script(*events: Event | BaseException | asyncio.Event) -> Script:
    """Its stream's events, in order."""
    return Script(events)


@pytest.fixture
async def ledger(tmp_path: Path) -> AsyncIterator[Ledger]:
    """An empty one."""
    async with aclosing(Ledger(tmp_path, NOON.timestamp)) as opened:
        await opened.open()
        yield opened


def purse(ledger: Ledger, caps: Caps | None = WIDE, *, final: bool = False, calls: int = 1) -> Purse:
    """A request's, which may still make so many paid calls."""
    return Purse(ledger=ledger, caps=caps, final=final, request_id="r1", asked_for="fusion/default", paid=calls, now=lambda: NOON)


async def written(ledger: Ledger, path: Path) -> list[tuple[object, ...]]:
    """What is on the disk of each call."""
    await ledger.durable()
    return rows(path / FILE, STATES)


def units(amount: Decimal) -> int:
    """As it is on the disk."""
    return int(amount.scaleb(18))


# How calls end

LISTED = TARIFF.base.prompt * 100 + TARIFF.base.completion * 10


@pytest.mark.parametrize(
    ("events", "cost"),
    [
        ((OPENED, THOUGHT, TEXT, usage(cost="0.0031"), finished()), USD("0.0031")),
        ((TEXT, usage(cost="0"), finished()), USD(0)),
        ((TEXT, usage(cost="0.5"), finished()), USD("0.5")),  # more than was set aside
        ((TEXT, usage(cost="1e-20"), finished()), USD("1e-18")),
        ((TEXT, usage(cost="0.0031"), failed(Truncated("cut"))), USD("0.0031")),
        ((usage(cost="0.0031"), failed(Empty("said nothing"))), USD("0.0031")),
        ((TEXT, usage(cost="0.0031")), USD("0.0031")),  # dismissed after its bill had come
        ((TEXT, usage(), finished()), LISTED),
        ((TEXT, usage(), finished("length")), LISTED),
        ((usage(), failed(Empty("said nothing"))), LISTED),
        ((TEXT, usage(), failed(Misshapen("no document"))), LISTED),
        ((usage(1, 1), TEXT, usage(), finished()), LISTED),  # counted as it goes on
    ],
)
async def test_a_bill(ledger: Ledger, tmp_path: Path, events: tuple[Event, ...], cost: Decimal) -> None:
    """What the provider says, whatever the end; else, for an answer that came to its end, the list's price."""
    spending = purse(ledger)
    heard = await collected(spending.listen(paid(), script(*events)))
    assert heard == [event for event in events if event != OPENED]
    assert spending.costs == {"sonnet": cost}
    assert (spending.spent(), ledger.today(), ledger.reserved()) == (cost, cost, USD(0))
    assert await written(ledger, tmp_path) == [("settled", units(cost), OPENED.generation if OPENED in events else None)]


@pytest.mark.parametrize(
    "events",
    [
        (OPENED, TEXT, finished()),
        (TEXT, usage()),
        (OPENED,),
        (),
        (TEXT, replace(usage(cost="0.0031"), final=False)),  # counted as it goes on, and cut off
        (TEXT, replace(usage(cost="0.0031"), final=False), failed(Truncated("cut"))),
        (TEXT, usage(), failed(Truncated("cut"))),
        (TEXT, usage(), failed(TimedOut("stalled"))),
        (failed(Rejected("HTTP 504", upstream_status=504)),),
        (failed(Unreachable("broke before the first byte")),),
        (OPENED, failed(ContextTooSmall("the answer grew too long"))),
        (TEXT, failed(ContextTooSmall("the answer grew too long"))),
        (usage(), failed(Rejected("no", unbilled=True))),
        (TEXT, usage(0, 10), finished()),  # a usage that counts no prompt, or no answer
        (TEXT, usage(100, 0), finished()),
        (THOUGHT, usage(100, 0), failed(Empty("said nothing"))),
    ],
)
async def test_no_bill(ledger: Ledger, tmp_path: Path, events: tuple[Event, ...]) -> None:
    """Whatever is not surely free, and not surely counted to its end, stays at its worst."""
    spending = purse(ledger)
    await collected(spending.listen(paid(), script(*events)))
    generation = "gen-1" if OPENED in events else None
    assert spending.costs == {"sonnet": WORST}
    assert (spending.spent(), ledger.today(), ledger.reserved()) == (WORST, WORST, USD(0))
    assert await written(ledger, tmp_path) == [("assumed", units(WORST), generation)]
    assert [unknown.generation for unknown in ledger.unknown.values()] == ([generation] if generation else [])


@pytest.mark.parametrize(
    "error",
    [
        Unreachable("no connection", lost=True),
        Rejected("HTTP 429", upstream_status=429, unbilled=True),
        ContextTooSmall("too long"),
        Unwilling("no key"),
    ],
)
async def test_what_surely_cost_nothing_is_forgotten(ledger: Ledger, tmp_path: Path, error: MemberError) -> None:
    """It never began."""
    spending = purse(ledger)
    assert failure(await collected(spending.listen(paid(), script(failed(error))))) is error
    assert spending.costs == {}
    assert (spending.spent(), ledger.today(), ledger.reserved()) == (NONE, NONE, NONE)
    assert await written(ledger, tmp_path) == []


async def test_an_error_of_ours_leaves_it_at_its_worst(ledger: Ledger) -> None:
    """It goes on as it is, with the money in order."""
    spending = purse(ledger)
    with pytest.raises(KeyError, match="a bug"):
        await collected(spending.listen(paid(), script(TEXT, KeyError("a bug"))))
    assert spending.costs == {"sonnet": WORST}
    assert (ledger.today(), ledger.reserved()) == (WORST, NONE)


async def test_left_in_the_middle(ledger: Ledger) -> None:
    """By closing it, or by a cancellation while it waits: the member is closed first, then the worst is assumed, before anything else happens."""
    spending, member = purse(ledger), script(OPENED, TEXT, asyncio.Event(), finished())
    async with aclosing(spending.listen(paid(), member)) as events:
        assert await anext(events) == TEXT
        assert (ledger.today(), ledger.reserved(), spending.spent()) == (NONE, WORST, WORST)
    assert (ledger.today(), ledger.reserved(), spending.spent()) == (WORST, NONE, WORST)
    assert member.closed == 1
    member.begun.clear()
    waiting = asyncio.create_task(collected(spending.listen(paid(), member)))
    await member.begun.wait()
    waiting.cancel()
    with pytest.raises(asyncio.CancelledError):
        await waiting
    assert (ledger.today(), ledger.reserved(), spending.spent()) == (2 * WORST, NONE, 2 * WORST)
    assert member.closed == 2
    assert len(ledger.unknown) == 2


@pytest.mark.parametrize("end", [finished(), failed(Truncated("cut")), failed(Unreachable("no connection", lost=True))])
async def test_what_it_cost_is_known_when_its_end_is_heard(ledger: Ledger, end: Event) -> None:
    """Whoever hears the end can tell the client; closing it afterwards counts nothing twice."""
    spending = purse(ledger)
    async with aclosing(spending.listen(paid(), script(end))) as events:
        assert await anext(events) == end
        cost = spending.spent()
        assert (ledger.today(), ledger.reserved()) == (cost, NONE)
    assert spending.spent() == ledger.today() == sum(spending.costs.values()) == cost


async def test_several_calls_with_one_voice_add_up(ledger: Ledger) -> None:
    """A writer of several rounds has cost all of them."""
    spending = purse(ledger)
    for cost in ("0.25", "0.5"):
        await collected(spending.listen(paid(), script(TEXT, usage(cost=cost), finished())))
    spending.billed(call(name="free", voice="sonnet"), USD("0.125"))
    assert spending.costs == {"sonnet": USD("0.875")}
    assert spending.spent() == ledger.today() == USD("0.875")
    assert (ledger.summary()).by_member == {"free": USD("0.125"), "sonnet": USD("0.75")}


async def test_a_bill_for_what_should_be_free_is_kept_even_unwritten(tmp_path: Path) -> None:
    """Where the ledger cannot be used it is told to the client all the same."""
    spending = purse(Ledger(tmp_path, NOON.timestamp))
    spending.billed(call(name="free"), USD("0.125"))
    assert (spending.costs, spending.ledger.today()) == ({"free": USD("0.125")}, USD("0.125"))


async def test_a_bill_beyond_all_measure(ledger: Ledger) -> None:
    """A provider's mistake stops the spending, and nothing else."""
    spending = purse(ledger)
    await collected(spending.listen(paid(), script(TEXT, usage(cost="1e999999999"), finished())))
    assert spending.spent() == ledger.today() == USD(1_000_000)
    assert "left of the request's $1" in failure(await collected(spending.listen(paid(), script()))).message


# What is asked, and what is not


async def test_the_client_limit_and_the_largest_affordable(ledger: Ledger) -> None:
    """Without the client's own limit ours is sent; an answer that it cut is named, one that the client's own cut is not."""
    tight = Caps(request=WORST)
    for limit, sent, capped in ((None, 1000, {"sonnet"}), (800, 800, set())):
        member, spending = script(TEXT, usage(cost="0"), finished("length")), purse(ledger, tight)
        await collected(spending.listen(paid(limit), member))
        assert [asked.most_tokens for asked in member.asked] == [sent]
        assert spending.capped == capped
    whole = purse(ledger, tight)
    await collected(whole.listen(paid(None), script(TEXT, usage(cost="0"), finished())))
    assert whole.capped == set()


async def test_what_is_left_is_divided_between_the_calls_to_come(ledger: Ledger) -> None:
    """Each of three that run side by side takes a third, and then there is nothing left; one that was too dear leaves its part to the others."""
    spending, member = purse(ledger, Caps(request=3 * WORST), calls=3), script(TEXT, usage(cost="0"), finished())
    async with AsyncExitStack() as running:
        for _ in range(3):
            assert await anext(await running.enter_async_context(aclosing(spending.listen(paid(None), member)))) == TEXT
        assert [asked.most_tokens for asked in member.asked] == [1000] * 3
        assert spending.spent() == ledger.reserved() == 3 * WORST
        assert isinstance(failure(await collected(spending.listen(paid(None), member))), TooDear)
    spending = purse(ledger, Caps(request=WORST), calls=2)
    assert isinstance(failure(await collected(spending.listen(paid(10**9), member))), TooDear)
    await collected(spending.listen(paid(None), member))
    assert [asked.most_tokens for asked in member.asked] == [1000] * 4


IMAGE = Message(role="user", parts=(ImagePart(url="https://elsewhere.test/picture"),))
LOOKS = call(question(messages=(IMAGE,)), **MEMBER)


@pytest.mark.parametrize("final", [True, False])
@pytest.mark.parametrize(
    ("asked", "caps", "why"),
    [
        (paid(), None, r"costs money, and there is no \[budget\]"),
        (paid(tariff=None), WIDE, "its price is not known"),
        (paid(10**9), WIDE, r"could cost .* left of the request's \$1"),
        (paid(), Caps(day=WORST - USD("1e-18")), "left of the day's"),
        (paid(), Caps(month=WORST - USD("1e-18")), "left of the month's"),
        (paid(), Caps(request=USD(0)), "left of the request's"),
        (LOOKS, WIDE, "what it could cost is not known"),
    ],
)
async def test_too_dear(ledger: Ledger, asked: Call, caps: Caps | None, why: str, final: bool) -> None:
    """Nothing is asked, nothing is set aside, and the request ends with it where the budget says so."""
    spending, member = purse(ledger, caps, final=final), script()
    error = failure(await collected(spending.listen(asked, member)))
    assert isinstance(error, TooDear)
    assert error.final is final
    assert re.search(why, error.message)
    assert member.asked == []
    assert (spending.spent(), ledger.reserved()) == (NONE, NONE)


@pytest.mark.parametrize("caps", [Caps(request=WORST, day=3 * WORST), Caps(request=WORST, month=3 * WORST)])
async def test_other_requests_count_in_the_day_and_not_in_the_request(ledger: Ledger, caps: Caps) -> None:
    """What they have set aside and what they have spent."""
    other = PaidCall(request="r0", fusion="fusion/default", member="opus", provider="openrouter")
    ledger.reserve(other, WORST)
    ledger.settle(ledger.reserve(other, WORST), WORST)
    assert isinstance((await collected(purse(ledger, caps).listen(paid(), script(TEXT, finished()))))[-1], Finished)
    assert isinstance(failure(await collected(purse(ledger, caps).listen(paid(), script()))), TooDear)


# When the disk refuses, or the ledger is gone


async def test_a_call_that_cannot_be_recorded_is_not_made(ledger: Ledger, tmp_path: Path) -> None:
    """The first learns it while it waits, the next ones at once; nothing stays set aside, and as soon as it can be written calls are made again."""
    ledger._database._writing.execute("PRAGMA busy_timeout = 0")
    spending, member = purse(ledger), script(TEXT, usage(cost="0.25"), finished())
    with elsewhere(tmp_path / FILE):
        for _ in range(2):
            error = failure(await collected(spending.listen(paid(), member)))
            assert isinstance(error, Unwilling)
            assert error.message == f"what it costs cannot be recorded: {tmp_path / FILE} cannot be written: database is locked"
            assert member.asked == []
            assert (spending.spent(), ledger.reserved(), ledger.today()) == (NONE, NONE, NONE)
    with suppress(StoreError):
        await ledger.durable()  # a try that began before
    assert await written(ledger, tmp_path) == []
    await collected(spending.listen(paid(), member))
    assert await written(ledger, tmp_path) == [("settled", units(USD("0.25")), None)]


async def test_cancelled_before_it_is_on_the_disk(ledger: Ledger, tmp_path: Path) -> None:
    """Nothing has gone out, and nothing is left, in memory or on the disk, although the row was on its way already."""
    spending, member = purse(ledger), script()
    with elsewhere(tmp_path / FILE):
        waiting = asyncio.create_task(collected(spending.listen(paid(), member)))
        await asyncio.sleep(0)
        assert spending.spent() == ledger.reserved() == WORST
        waiting.cancel()
        with pytest.raises(asyncio.CancelledError):
            await waiting
        assert member.asked == []
        assert (spending.spent(), ledger.reserved()) == (NONE, NONE)
    assert await written(ledger, tmp_path) == []


@pytest.mark.parametrize("events", [(TEXT, usage(cost="0.0031"), finished()), (TEXT,), (failed(Unwilling("no")),)])
async def test_a_call_that_outlives_the_ledger(tmp_path: Path, events: tuple[Event, ...]) -> None:
    """Its end raises nothing; what was set aside is counted by the next daemon, and no further call is made."""
    ledger = Ledger(tmp_path, NOON.timestamp)
    await ledger.open()
    spending, gate = purse(ledger), asyncio.Event()
    member = script(THOUGHT, gate, *events)
    running = asyncio.create_task(collected(spending.listen(paid(), member)))
    await member.begun.wait()
    await ledger.aclose()
    gate.set()
    assert (await running)[1:] == list(events)
    assert spending._held == {}
    error = failure(await collected(spending.listen(paid(), script())))
    assert isinstance(error, Unwilling)
    assert error.message == "what it costs cannot be recorded: the ledger is closed"
    async with aclosing(Ledger(tmp_path, NOON.timestamp)) as again:
        await again.open()
        assert again.today() == WORST


async def test_no_ledger_no_paid_call(tmp_path: Path) -> None:
    """It says so, be it not open yet or not usable at all."""
    spending = purse(Ledger(tmp_path, NOON.timestamp))
    assert failure(await collected(spending.listen(paid(), script()))).message == "what it costs cannot be recorded: the ledger is not open yet"
    (tmp_path / FILE).write_text("no database" * 1000)
    await spending.ledger.open()
    assert "damaged, or no database" in failure(await collected(spending.listen(paid(), script()))).message


# Many at once


class Watched(Ledger):
    """A ledger that looks at its caps each time money is set aside or spent."""

    cap = 7 * WORST
    most = USD(0)

    def reserve(self, call: PaidCall, amount: Decimal) -> int:
        """Never above the cap."""
        key = super().reserve(call, amount)
        self.look()
        return key

    def look(self) -> None:
        """What is spent and set aside."""
        counted = self.today() + self.reserved()
        assert counted <= self.cap
        self.most = max(self.most, counted)


async def _ends(ledger: Watched, call: Call, chance: random.Random) -> AsyncGenerator[Event, None]:
    """A member that takes its time, and ends in any way, with a bill of up to the worst."""
    for _ in range(chance.randrange(4)):
        await asyncio.sleep(0)
        ledger.look()
        yield TEXT
    match chance.randrange(5):
        case 0:
            yield failed(Unreachable("no connection", lost=True))
        case 1:
            yield failed(Truncated("cut"))
        case 2:
            yield usage(cost=str(WORST))
            yield finished()
        case _:
            yield usage(cost=str(WORST / 10))
            yield finished()
    ledger.look()


@pytest.mark.parametrize("seed", range(3))
async def test_two_hundred_requests_at_once(tmp_path: Path, seed: int) -> None:
    """Money for about seven calls, wanted by two hundred requests of two calls each, is never spent twice, and none of it stays set aside."""
    chance = random.Random(seed)
    async with aclosing(Watched(tmp_path, NOON.timestamp)) as ledger:
        await ledger.open()
        spendings = [purse(ledger, Caps(request=2 * WORST, day=ledger.cap), calls=2) for _ in range(200)]

        async def listens(spending: Purse, voice: str) -> Event:
            return (await collected(spending.listen(paid(voice=voice), lambda call: _ends(ledger, call, chance))))[-1]

        async with asyncio.TaskGroup() as tasks:
            running = [tasks.create_task(listens(spending, voice)) for spending in spendings for voice in ("one", "two")]
            for _ in range(20):
                await asyncio.sleep(0)
                chance.choice(running).cancel()
        ends = [task.result() for task in running if not task.cancelled()]
        assert any(isinstance(end, Finished) for end in ends)
        assert any(isinstance(end, Failed) and isinstance(end.error, TooDear) for end in ends)
        assert 6 * WORST < ledger.most <= ledger.cap
        assert ledger.reserved() == 0
        assert ledger.today() == sum(spending.spent() for spending in spendings) == (ledger.summary()).today
        assert all(spending.spent() <= 2 * WORST for spending in spendings)
