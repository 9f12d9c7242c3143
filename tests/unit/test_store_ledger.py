"""The ledger against a simple account of the same calls, and against everything that can come between a call and its bill."""

from __future__ import annotations

import asyncio
import os
import random
import shutil
import signal
import sqlite3
import subprocess
import sys
import tempfile
from collections.abc import AsyncIterator, Callable, Sequence
from contextlib import aclosing, asynccontextmanager, closing, suppress
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime
from decimal import Decimal
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from fusiond.store import opening
from fusiond.store.amounts import MOST, kept
from fusiond.store.calls import SCHEMA
from fusiond.store.database import StoreError, Value
from fusiond.store.ledger import FILE, Ledger, PaidCall, Summary
from tests.storing import elsewhere, mounted, prints, rows

USD = Decimal
TINY = USD("1e-18")
ALL = "SELECT id, state, day, nano * 1000000000 + atto, generation FROM calls ORDER BY id"
NOVEMBER, EVENING = "2026-11-30", "2026-11-30T23:59:50"


def call(member: str = "sonnet", fusion: str = "fusion/default", request: str = "r1") -> PaidCall:
    """A call of a paid member."""
    return PaidCall(request=request, fusion=fusion, member=member, provider="openrouter")


@dataclass
class Clock:
    """A clock that is set by hand (UTC)."""

    now: str = EVENING

    def __call__(self) -> float:
        """Seconds since 1970."""
        return datetime.fromisoformat(self.now).replace(tzinfo=UTC).timestamp()


@asynccontextmanager
async def ledger(path: Path, clock: Clock | None = None) -> AsyncIterator[Ledger]:
    """One that is open, or at least was to be, and closed in the end."""
    async with aclosing(Ledger(path, clock or Clock())) as opened:
        await opened.open()
        yield opened


def state(opened: Ledger | Summary) -> tuple[Decimal | int, ...]:
    """Today's, the month's, and what is set aside."""
    if isinstance(opened, Summary):
        return opened.today, opened.month, opened.reserved
    return opened.today(), opened.month(), opened.reserved()


def dated(opened: Ledger) -> tuple[str | Decimal | int, ...]:
    """What day it is, and what was settled on it and in its month."""
    return opened.day(), opened.today(), opened.month()


def fault(opened: Ledger) -> str | None:
    """Why nothing can be paid, which may change while others run."""
    return opened.fault


async def test_a_call_from_reservation_to_bill(tmp_path: Path) -> None:
    """Each end of a call counts at once, in memory and, once it is durable, on the disk."""
    async with ledger(tmp_path) as opened:
        assert fault(opened) is None
        assert opened._database._writing.execute("PRAGMA synchronous").fetchone() == (2,)  # a power cut takes nothing away
        keys = [opened.reserve(call(), USD(amount)) for amount in ("0.5", "0.25", "0.125", "0.0625")]
        assert state(opened) == (0, 0, USD("0.9375"))
        await opened.durable()
        assert [row[1] for row in rows(tmp_path / FILE, ALL)] == ["reserved"] * 4
        opened.settle(keys[0], USD("0.1"))
        opened.release(keys[1])
        opened.assume(keys[2], "gen-3")
        opened.assume(keys[3], None)
        assert state(opened) == (USD("0.2875"), USD("0.2875"), 0)
        assert {key: (row.provider, row.generation) for key, row in opened.unknown.items()} == {keys[2]: ("openrouter", "gen-3")}
        opened.correct(keys[2], USD("0.01"))
        assert state(opened) == (USD("0.1725"), USD("0.1725"), 0)
        assert opened.unknown == {}
        await opened.durable()
        written = [(1, "settled", 10**17), (3, "settled", 10**16), (4, "assumed", 625 * 10**14)]
        assert [(key, told, amount) for key, told, _, amount, _ in rows(tmp_path / FILE, ALL)] == written
    async with ledger(tmp_path) as again:
        assert state(again) == (USD("0.1725"), USD("0.1725"), 0)
        assert again.reserve(call(), USD(1)) == 5


async def test_a_bill_above_what_was_set_aside_counts_in_full(tmp_path: Path) -> None:
    """It should not be, but what was spent is never told as less; so it is with a bill that comes afterwards, or for a member that was to be free."""
    async with ledger(tmp_path) as opened:
        opened.settle(opened.reserve(call(), USD("0.01")), USD("0.75"))
        key = opened.reserve(call(), USD("0.01"))
        opened.assume(key, "gen")
        opened.correct(key, USD("0.5"))
        opened.surprise(call("free"), USD(2))
        assert state(opened) == (USD("3.25"), USD("3.25"), 0)
        summary = opened.summary()
        assert (summary.today, summary.by_member) == (USD("3.25"), {"free": USD(2), "sonnet": USD("1.25")})


async def test_a_bill_that_comes_while_there_is_no_file_is_not_forgotten(tmp_path: Path) -> None:
    """Another daemon keeps the file; once it lets go, what was billed meanwhile is entered, once."""
    async with ledger(tmp_path):
        second = Ledger(tmp_path, Clock())
        await second.open()
        second.surprise(call("free"), USD("0.25"))
        assert second.closed
        assert second.today() == USD("0.25")
    await second.open()
    assert second.today() == USD("0.25")
    await second.durable()
    assert [row[1] for row in rows(tmp_path / FILE, ALL)] == ["settled"]
    await second.aclose()
    async with ledger(tmp_path) as again:
        assert again.today() == USD("0.25")


async def test_a_bill_that_comes_while_the_file_is_opened_takes_nobodys_place(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The rows that are there stay as they are, and it counts once."""
    async with ledger(tmp_path) as opened:
        opened.settle(opened.reserve(call(), USD(1)), USD(1))
    second = Ledger(tmp_path, Clock())
    read = second._database.read

    async def interrupted(sql: str, parameters: Sequence[Value] = ()) -> list[tuple[Any, ...]]:
        found = await read(sql, parameters)
        second.surprise(call("free"), USD("0.125"))
        return found

    monkeypatch.setattr(second._database, "read", interrupted)
    await second.open()
    monkeypatch.undo()
    await second.durable()
    bills = len(rows(tmp_path / FILE, ALL))
    assert second.today() == USD(1) + (bills - 1) * USD("0.125")
    assert bills == 5
    await second.aclose()
    async with ledger(tmp_path) as again:
        assert again.today() == USD("1.5")


async def test_what_should_be_free_and_was_cut_off_is_asked_for(tmp_path: Path) -> None:
    """It counts as nothing until the provider tells otherwise, and is not forgotten with the process."""
    async with ledger(tmp_path) as opened:
        opened.doubt(call("free"), "gen-1")
        assert state(opened) == (0, 0, 0)
    async with ledger(tmp_path) as again:
        (key,) = again.unknown
        assert (again.unknown[key].generation, again.unknown[key].member) == ("gen-1", "free")
        again.correct(key, USD("0.5"))
        assert state(again) == (USD("0.5"), USD("0.5"), 0)
    async with ledger(tmp_path) as third:
        assert (third.unknown, third.today()) == ({}, USD("0.5"))


async def test_what_is_asked_for_waits_for_its_file(tmp_path: Path) -> None:
    """Nothing is forgotten that was cut off while there was no file for it."""
    opened = Ledger(tmp_path)
    opened.doubt(call("free"), "gen-1")
    assert opened.unknown == {}
    await opened.open()
    (row,) = opened.unknown.values()
    assert (row.generation, row.member) == ("gen-1", "free")
    await opened.aclose()
    async with ledger(tmp_path) as again:
        assert [row.generation for row in again.unknown.values()] == ["gen-1"]


async def test_what_is_gone_is_settled_or_set_aside(tmp_path: Path) -> None:
    """Today and in this month, exactly."""
    async with ledger(tmp_path) as opened:
        opened.settle(opened.reserve(call(), USD(1)), USD("0.1"))
        opened.reserve(call(), USD("0.25"))
        released = opened.reserve(call(), USD("0.125"))
        assert opened.gone() == (USD("0.475"), USD("0.475"))
        opened.release(released)
        assert opened.gone() == (USD("0.35"), USD("0.35"))


async def test_amounts_are_exact_and_never_rounded_down(tmp_path: Path) -> None:
    """What is smaller than the smallest unit counts as one; what no call can cost counts as the most; their sums still fit."""
    assert [kept(USD(amount)) for amount in ("0", "1e-30", "0.1")] == [0, TINY, USD("0.1")]
    assert kept(USD("1.0000000000000000010000000000000001")) == USD("1.000000000000000002")
    assert kept(USD("1e999999999")) == kept(MOST + TINY) == MOST
    async with ledger(tmp_path) as opened:
        for amount in ["0.1"] * 10 + ["1e-18", "1e-40", "123.456789012345678901"]:
            opened.settle(opened.reserve(call(), USD(amount)), USD(amount))
        assert opened.today() == (opened.summary()).today == USD("124.456789012345678903")
        for _ in range(100):
            opened.settle(opened.reserve(call(), USD("1e30")), USD("1e999999999"))
        assert opened.today() == (opened.summary()).today == USD("100000124.456789012345678903")
        assert fault(opened) is None


async def test_sums_by_name_day_and_fusion(tmp_path: Path) -> None:
    """The sums by name are this month's; every day is told apart where the whole past is asked for."""
    clock = Clock("2026-10-31T12:00:00")
    async with ledger(tmp_path, clock) as opened:
        opened.settle(opened.reserve(call(), USD(4)), USD(4))
        opened.saved("r0", "fusion/default", USD(9))
        assert state(opened.summary()) == (4, 4, 0)
        clock.now = "2026-11-01T12:00:00"
        opened.settle(opened.reserve(call("opus", "fusion/code"), USD(2)), USD(1))
        opened.saved("r1", "fusion/code", USD("0.5"))
        clock.now = "2026-11-02T12:00:00"
        opened.settle(opened.reserve(call("opus"), USD(1)), USD("0.5"))
        opened.assume(opened.reserve(call(), USD("0.25")), None)
        opened.reserve(call(), USD("0.125"))
        opened.saved("r2", "fusion/default", USD("-1.25"))
        summary = opened.summary()
        assert (state(summary), summary.saved) == ((USD("0.75"), USD("1.75"), USD("0.125")), USD("-0.75"))
        assert summary.by_member == {"opus": USD("1.5"), "sonnet": USD("0.25")}
        assert summary.by_fusion == {"fusion/code": USD(1), "fusion/default": USD("0.75")}
        costs, savings = await opened.costs()
        assert [(cost.day[5:], cost.member, cost.fusion, cost.calls, cost.usd) for cost in costs] == [
            ("11-02", "opus", "fusion/default", 1, USD("0.5")),
            ("11-02", "sonnet", "fusion/default", 1, USD("0.25")),
            ("11-01", "opus", "fusion/code", 1, USD(1)),
            ("10-31", "sonnet", "fusion/default", 1, USD(4)),
        ]
        assert [(saving.day[5:], saving.requests, saving.usd) for saving in savings] == [
            ("11-02", 1, USD("-1.25")),
            ("11-01", 1, USD("0.5")),
            ("10-31", 1, USD(9)),
        ]
        costs, savings = await opened.costs("2026-11-02")
        assert (len(costs), len(savings)) == (2, 1)


# Days


async def test_a_call_over_midnight_counts_on_both_sides(tmp_path: Path) -> None:
    """Set aside it counts wherever caps are looked at, its bill on the day and in the month in which it comes."""
    clock = Clock()
    async with ledger(tmp_path, clock) as opened:
        key, other = opened.reserve(call(), USD(1)), opened.reserve(call(), USD(1))
        clock.now = "2026-12-01T00:00:10"
        assert state(opened) == (0, 0, 2)
        opened.settle(key, USD("0.5"))
        opened.assume(other, "gen")
        assert state(opened) == (USD("1.5"), USD("1.5"), 0)
        clock.now = "2026-12-02T00:00:10"
        opened.correct(other, USD("0.25"))
        assert state(opened) == (0, USD("0.75"), 0)
        assert state(opened.summary()) == (0, USD("0.75"), 0)


async def test_what_was_under_way_when_it_was_killed_counts_on_its_own_day(tmp_path: Path) -> None:
    """At its worst, on the day on which it went out; its bill cannot be asked for."""
    clock = Clock()
    async with ledger(tmp_path, clock) as opened:
        opened.reserve(call(), USD(1))
    clock.now = "2026-12-01T00:00:10"
    async with ledger(tmp_path, clock) as opened:
        assert state(opened) == (0, 0, 0)
        await opened.durable()
        assert rows(tmp_path / FILE, ALL) == [(1, "assumed", NOVEMBER, 10**18, None)]
        assert [cost.usd for cost in (await opened.costs())[0]] == [1]
    clock.now = EVENING  # back again
    async with ledger(tmp_path, clock) as opened:
        assert state(opened) == (1, 1, 0)


async def test_a_clock_that_jumps_back_opens_no_day_again(tmp_path: Path) -> None:
    """What is spent until it is midnight again counts on the newest day, also after a start."""
    clock = Clock("2026-12-01T00:00:10")
    async with ledger(tmp_path, clock) as opened:
        opened.settle(opened.reserve(call(), USD(2)), USD(2))
        clock.now = EVENING
        assert opened.today() == 2
        opened.settle(opened.reserve(call(), USD(1)), USD(1))
    for now in ("2026-11-30T23:59:59", "2026-11-03T00:00:00", "1970-01-01T00:00:00"):
        clock.now = now
        async with ledger(tmp_path, clock) as opened:
            assert dated(opened) == ("2026-12-01", 3, 3)
    clock.now = "2026-12-01T12:00:00"
    async with ledger(tmp_path, clock) as opened:
        assert opened.today() == 3


@pytest.mark.parametrize("restarted", [True, False])
async def test_a_clock_that_was_far_ahead_once_does_not_stop_the_days(tmp_path: Path, restarted: bool) -> None:
    """The wrong day lasts until the clock's next midnight; then the days go on as they are, with all that was spent on them before."""
    clock = Clock("2026-11-29T12:00:00")
    async with ledger(tmp_path, clock) as opened:
        opened.settle(opened.reserve(call(), USD(1)), USD(1))
        clock.now = "2099-01-01T00:00:00"
        opened.settle(opened.reserve(call(), USD(2)), USD(2))
        clock.now = "2026-11-29T12:00:01"
        opened.settle(opened.reserve(call(), USD(4)), USD(4))
        assert dated(opened) == ("2099-01-01", 6, 6)
        summary = opened.summary()
        assert (state(summary), summary.by_member) == ((6, 6, 0), {"sonnet": USD(6)})
        if not restarted:
            clock.now = EVENING
            assert dated(opened) == (NOVEMBER, 0, 1)
    clock.now = EVENING
    async with ledger(tmp_path, clock) as opened:
        assert dated(opened) == (NOVEMBER, 0, 1)
        opened.settle(opened.reserve(call(), USD(8)), USD(8))
        assert state(opened.summary()) == (8, 9, 0)


async def test_bills_are_asked_for_after_a_start_too(tmp_path: Path) -> None:
    """For a week; those that were given up until then."""
    clock = Clock("2026-11-30T12:00:00")
    async with ledger(tmp_path, clock) as opened:
        for generation in ("gen-1", "gen-2", None):
            opened.assume(opened.reserve(call(), USD(1)), generation)
        opened.abandon(1)
        assert opened.unknown.keys() == {2}
    clock.now = "2026-12-07T11:00:00"
    async with ledger(tmp_path, clock) as opened:
        assert opened.unknown.keys() == {1, 2}
        opened.correct(1, USD("0.25"))
        assert {cost.day: cost.usd for cost in (await opened.costs())[0]} == {NOVEMBER: USD("2.25")}
    clock.now = "2026-12-07T13:00:00"
    async with ledger(tmp_path, clock) as opened:
        assert opened.unknown == {}


# Against a simple account


@dataclass(kw_only=True)
class Entry:
    """One call in the simple account: `amount` is what counts, `bill` what it has really cost."""

    member: str
    time: str
    day: str
    amount: Decimal
    bill: Decimal
    state: str = "reserved"


@dataclass
class Account:
    """What a ledger should say, from all calls each time anew."""

    clock: Clock
    entries: dict[int, Entry] = field(default_factory=dict)
    day: str = ""
    seen: str = ""

    def look(self) -> str:
        """The day that it is."""
        today = self.clock.now[:10]
        self.day, self.seen = (today if today > self.seen else self.day), today
        return self.day

    def total(self, period: str, *states: str) -> Decimal:
        """Of all calls in these states, on a day or in a month."""
        return sum((entry.amount for entry in self.entries.values() if entry.state in states and entry.day.startswith(period)), USD(0))

    def crash(self) -> None:
        """What is open stays at its worst; what day it is is known from the last call."""
        for entry in self.entries.values():
            entry.state = "assumed" if entry.state == "reserved" else entry.state
        last = self.entries[max(self.entries)] if self.entries else None
        self.day, self.seen = (last.day, last.time[:10]) if last else ("", "")

    def follow(self, opened: Ledger, step: str, pick: int, amount: Decimal, eighths: int) -> None:
        """One step in the ledger and here."""
        if step == "reserve":
            member = f"m{pick % 3}"
            key, bill = opened.reserve(call(member, f"fusion/{pick % 2}"), amount), kept(amount * eighths / 8)
            self.entries[key] = Entry(member=member, time=self.clock.now, day=self.look(), amount=kept(amount), bill=bill)
            return
        keys = [*opened.unknown] if step == "correct" else [key for key, entry in self.entries.items() if entry.state == "reserved"]
        if not keys:
            return
        key = keys[pick % len(keys)]
        entry = self.entries[key]
        match step:
            case "settle":
                opened.settle(key, entry.bill)
                self.entries[key] = replace(entry, state="settled", amount=entry.bill, day=self.look())
            case "release":
                opened.release(key)
                del self.entries[key]
            case "assume":
                opened.assume(key, f"gen-{key}" if eighths else None)
                self.entries[key] = replace(entry, state="assumed", day=self.look())
            case "correct":
                opened.correct(key, entry.bill)
                self.entries[key] = replace(entry, state="settled", amount=entry.bill)

    def agrees(self, opened: Ledger) -> None:
        """The ledger says the same, and nothing that was billed is missing in it."""
        today = self.look()
        assert state(opened) == (self.total(today, *OVER), self.total(today[:7], *OVER), self.total("", "reserved"))
        assert self.total("", *OVER, "reserved") >= sum(entry.bill for entry in self.entries.values())

    async def agrees_on_the_disk(self, opened: Ledger) -> None:
        """So does its file."""
        summary = opened.summary()
        assert state(summary) == state(opened)
        assert sum(summary.by_member.values()) == sum(summary.by_fusion.values()) == summary.month
        costs, _ = await opened.costs()
        assert sum(cost.usd for cost in costs) == self.total("", *OVER)


OVER = ("settled", "assumed")
STEPS = ("reserve", "reserve", "reserve", "settle", "release", "assume", "correct", "crash", "clock")
TIMES = ("2026-11-29T10:00", EVENING, "2026-12-01T00:00:10", "2026-12-01T18:00", "2026-10-01T00:00", "1970-01-01T00:00", "2077-07-07T07:07")
steps = st.tuples(st.sampled_from(STEPS), st.integers(0, 9), st.decimals(0, 2, places=20), st.integers(0, 8), st.sampled_from(TIMES))


@settings(max_examples=50, deadline=None)
@given(st.lists(steps, max_size=40))
def test_any_order_of_events(events: list[tuple[str, int, Decimal, int, str]]) -> None:
    """Calls begin and end, the clock jumps, the daemon is killed: all sums are exact, and never below what was billed."""
    asyncio.run(_replayed(events))


async def _replayed(events: list[tuple[str, int, Decimal, int, str]]) -> None:
    with tempfile.TemporaryDirectory() as directory:
        path, clock = Path(directory), Clock()
        account, opened = Account(clock), Ledger(path, clock)
        await opened.open()
        for step, pick, amount, eighths, now in events:
            if step == "crash":
                await account.agrees_on_the_disk(opened)
                path, opened = await _killed(path, opened)
                account.crash()
            elif step == "clock":
                clock.now = now
            else:
                account.follow(opened, step, pick, amount, eighths)
            account.agrees(opened)
        await account.agrees_on_the_disk(opened)
        await opened.aclose()


async def _killed(path: Path, opened: Ledger) -> tuple[Path, Ledger]:
    """A ledger that begins with what lay on the disk at this moment."""
    left = path / "left"
    left.mkdir()
    for file in (FILE, f"{FILE}-wal"):
        shutil.copy(path / file, left / file)
    await opened.aclose()
    again = Ledger(left, opened._clock)
    await again.open()
    return left, again


# When the daemon ends, or is ended


async def test_calls_that_end_after_the_ledger_is_closed(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    """No end of a call fails; it is said, and what was set aside stays counted. No new one begins."""
    async with ledger(tmp_path) as opened:
        settled, released, assumed = (opened.reserve(call(), USD(1)) for _ in range(3))
        opened.assume(opened.reserve(call(), USD(1)), "gen-4")
    opened.settle(settled, USD("0.5"))
    opened.release(released)
    opened.assume(assumed, "gen")
    opened.correct(4, USD("0.5"))
    opened.saved("r1", "fusion/default", USD(1))
    opened.surprise(call(), USD(1))
    assert len(caplog.records) == 6
    assert opened.fault == "the ledger is closed"
    with pytest.raises(StoreError, match="the ledger is closed"):
        opened.reserve(call(), USD(1))
    with pytest.raises(StoreError, match="the ledger is closed"):
        await opened.durable()
    async with ledger(tmp_path) as again:
        assert again.today() == 4


CHILD = r"""
import asyncio, os, random, sys
from decimal import Decimal
from pathlib import Path
from typing import Any
from fusiond.store.ledger import Ledger, PaidCall

async def calls(ledger, bills, number):
    while True:
        worst = Decimal(random.randrange(10**18)).scaleb(-20)
        key = ledger.reserve(PaidCall(request="r", fusion="f", member=f"m{number % 3}", provider="p"), worst)
        await ledger.durable()
        bill = worst * random.randrange(101) / 100
        os.write(bills, f"{key} {bill}\n".encode())
        os.fsync(bills)
        end = random.randrange(4)
        if end == 0:
            ledger.assume(key, f"gen-{key}")
            await asyncio.sleep(0)
            ledger.correct(key, bill)
        elif end == 1:
            ledger.assume(key, None)
        else:
            ledger.settle(key, bill)
        ledger.release(ledger.reserve(PaidCall(request="r", fusion="f", member="m", provider="p"), worst))
        print(key, flush=True)

async def main():
    ledger = Ledger(Path(sys.argv[1]))
    await ledger.open()
    assert ledger.fault is None, ledger.fault
    bills = os.open(sys.argv[2], os.O_WRONLY | os.O_APPEND | os.O_CREAT)
    async with asyncio.TaskGroup() as tasks:
        for number in range(8):
            tasks.create_task(calls(ledger, bills, number))

asyncio.run(main())
"""


def _kill_in_the_middle(*arguments: Path) -> None:
    with subprocess.Popen([sys.executable, "-c", CHILD, *arguments], stdout=subprocess.PIPE) as child:
        assert child.stdout
        for _ in range(random.randrange(1, 60)):
            assert child.stdout.readline()
        child.send_signal(signal.SIGKILL)
    assert child.returncode == -signal.SIGKILL


async def test_kill_9(tmp_path: Path) -> None:
    """Killed again and again in the middle of its calls: every bill is in the ledger, and none as less than it was."""
    bills = tmp_path / "bills"
    for _ in range(4):
        _kill_in_the_middle(tmp_path, bills)
    async with ledger(tmp_path, Clock("1970-01-01T00:00:00")) as opened:
        assert (fault(opened), opened.reserved()) == (None, USD(0))
        await opened.durable()
        counted = {key: USD(str(amount)).scaleb(-18) for key, _, _, amount, _ in rows(tmp_path / FILE, ALL)}
        billed = {int(key): USD(bill) for key, _, bill in (line.partition(" ") for line in bills.read_text().splitlines())}
        assert len(billed) >= 4
        assert [key for key, bill in billed.items() if counted[key] < bill] == []
        assert sum(cost.usd for cost in (await opened.costs())[0]) == sum(counted.values())


# When the disk refuses


async def test_a_full_disk(tmp_path: Path) -> None:
    """What cannot be written is not set aside for ever: with room again everything is as if it had not been tried, and settled bills are written."""
    with mounted(tmp_path / "small", "size=1m"):
        ballast = tmp_path / "small" / "ballast"
        async with ledger(tmp_path / "small") as opened:
            paid = opened.reserve(call(), USD(1))
            await opened.durable()
            ballast.write_bytes(bytes(_room(tmp_path / "small")))
            opened.settle(paid, USD("0.5"))
            keys: list[int] = []
            with pytest.raises(StoreError, match=r"ledger\.db cannot be written: database or disk is full"):
                await _refused(opened, keys)
            for key in keys:
                opened.release(key)
            assert "cannot be written" in (fault(opened) or "")
            assert opened.reserved() == 0
            assert opened.today() == USD("0.5")
            ballast.unlink()
            await _written(opened)
            assert fault(opened) is None
            assert [row[:2] + row[3:4] for row in rows(tmp_path / "small" / FILE, ALL)] == [(1, "settled", 5 * 10**17)]


def _room(where: Path) -> int:
    left = os.statvfs(where)
    return left.f_bavail * left.f_bsize


async def _refused(opened: Ledger, keys: list[int]) -> None:
    """Calls until one is refused."""
    while True:
        keys.append(opened.reserve(call(request="long " * 1000), USD(1)))
        await opened.durable()


async def _written(opened: Ledger) -> None:
    """Now that the disk takes it: a try that began before may still fail."""
    with suppress(StoreError):
        await opened.durable()
    await opened.durable()


async def test_a_disk_that_is_full_at_the_start(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """What the last daemon left is counted although it cannot be written, nothing can be paid, and it needs no new start when there is room."""
    async with ledger(tmp_path) as opened:
        opened.reserve(call(), USD(1))
    monkeypatch.setattr(opening, "BUSY_SECONDS", 0.0)
    with elsewhere(tmp_path / FILE) as other:
        async with ledger(tmp_path) as opened:
            assert opened.today() == 1
            with pytest.raises(StoreError, match="database is locked"):
                await opened.durable()
            assert fault(opened) == f"{tmp_path / FILE} cannot be written: database is locked"
            other.execute("COMMIT")
            await _written(opened)
            assert fault(opened) is None
            assert [row[1] for row in rows(tmp_path / FILE, ALL)] == ["assumed"]


def _newer(path: Path) -> str:
    with closing(sqlite3.connect(path)) as connection:
        connection.execute(f"PRAGMA user_version = {SCHEMA.version + 1}")
    return "was written by a newer fusiond"


def _foreign(path: Path) -> str:
    path.write_bytes(b"no database at all" * 1000)
    return "is damaged, or no database"


def _torn(path: Path) -> str:
    path.write_bytes(path.read_bytes()[:4096] + bytes(8192))
    return "malformed"


@pytest.mark.parametrize("spoil", [_newer, _foreign, _torn])
async def test_a_file_that_cannot_be_used(tmp_path: Path, spoil: Callable[[Path], str], caplog: pytest.LogCaptureFixture) -> None:
    """Nothing can be paid, and it is said why; the daemon goes on, and leaves the file as it is."""
    async with ledger(tmp_path) as opened:
        opened.settle(opened.reserve(call(), USD(1)), USD(1))
    why = spoil(tmp_path / FILE)
    before = prints(tmp_path / FILE)
    async with ledger(tmp_path) as opened:
        assert why in (fault(opened) or "")
        with pytest.raises(StoreError, match=why):
            opened.reserve(call(), USD(1))
        with pytest.raises(StoreError, match=why):
            await opened.durable()
        opened.surprise(call("free"), USD("0.5"))
        assert opened.today() >= USD("0.5")
    assert before == prints(tmp_path / FILE)


async def test_a_ledger_is_kept_by_one_daemon_alone(tmp_path: Path) -> None:
    """The second one says who has it."""
    async with ledger(tmp_path), ledger(tmp_path) as second:
        assert f"another fusiond (pid {os.getpid()}) keeps" in (fault(second) or "")
