"""The ledger: every paid call, set aside at its worst before it goes out, and settled at its bill.

What counts is kept in memory, so that a decision needs no disk; every change of it is a statement to the database, and a call goes out only when
the one that sets its money aside is on the disk. A call whose bill stays unknown (cut off, killed) counts at its worst case until the truth is known.

Amounts are whole numbers, so that sums are exact: 1e-18 USD in memory, and on the disk billionths of a dollar and billionths of those, for SQLite's
integers have 64 bits.
"""

from __future__ import annotations

import asyncio
import logging
import time
from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from decimal import ROUND_CEILING, Context, Decimal
from pathlib import Path
from typing import NamedTuple

from fusiond.store.calls import COSTS, SAVED, SAVINGS, SCHEMA, SPENT, UNKNOWN
from fusiond.store.database import Database, StoreError, Value

log = logging.getLogger(__name__)

FILE = "ledger.db"

MOST = Decimal(1_000_000)
"""USD: a call that is said to cost more is a provider's mistake, and counts as this."""

ASKED_SECONDS = 7 * 86_400.0
"""A bill that has not come in so long is not asked for any more after a start."""

_UNITS = Context(prec=60, rounding=ROUND_CEILING)


def kept(amount: Decimal) -> Decimal:
    """An amount as it is kept: rounded up to whole 1e-18 USD."""
    return min(amount, MOST).quantize(Decimal("1e-18"), context=_UNITS)


@dataclass(frozen=True, slots=True, kw_only=True)
class PaidCall:
    """Who is paid, and for which request."""

    request: str
    fusion: str
    member: str
    provider: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Unknown:
    """A call that is over, whose bill the provider may still tell."""

    id: int
    provider: str
    generation: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Cost:
    """One line of what was spent: a day, a member and a fusion."""

    day: str
    member: str
    fusion: str
    calls: int
    usd: Decimal


@dataclass(frozen=True, slots=True, kw_only=True)
class Saving:
    """What the cascades of a fusion saved on a day."""

    day: str
    fusion: str
    requests: int
    usd: Decimal


@dataclass(frozen=True, slots=True, kw_only=True)
class Summary:
    """Today's and this month's money; the sums by name and the savings are the month's."""

    today: Decimal
    month: Decimal
    reserved: Decimal
    saved: Decimal
    by_member: Mapping[str, Decimal]
    by_fusion: Mapping[str, Decimal]


class _Amount(NamedTuple):
    """1e-18 USD, and whose."""

    units: int
    member: str
    fusion: str


class Ledger:
    """Everything that was ever paid. `fault` says why nothing can be; it is not open before `open`."""

    def __init__(self, directory: Path, clock: Callable[[], float] = time.time) -> None:
        self._database = Database(directory / FILE, SCHEMA, durable=True)
        self._clock = clock
        self._closed: str | None = "the ledger is not open yet"
        self._next = 1
        self._day = ""  # that what is settled counts on
        self._seen = ""  # by the clock, when it was last looked at
        self._spent: Counter[str] = Counter()  # 1e-18 USD settled or assumed, by day and by month
        self._named: Counter[tuple[str, str, str]] = Counter()  # the same by month, of a member or a fusion, and its name
        self._saved: Counter[str] = Counter()  # 1e-18 USD by month
        self._open: dict[int, _Amount] = {}
        self._assumed: dict[int, tuple[str, _Amount]] = {}
        self.unknown: dict[int, Unknown] = {}

    @property
    def fault(self) -> str | None:
        """Why nothing can be paid now; None: all is well."""
        return self._closed or self._database.failing

    async def open(self) -> None:
        """Take up what the last daemon left: what it had set aside and not settled counts at its worst. Does not raise: `fault` says it."""
        try:
            await asyncio.to_thread(self._database.open)
            await self._take_up()
            self._closed = None
        except StoreError as error:
            if self._closed != str(error):
                log.warning("nothing can be paid: %s", error)
            self._closed = str(error)

    @property
    def closed(self) -> bool:
        """Whether it is worth trying to open it (again)."""
        return self._closed is not None

    async def _take_up(self) -> None:
        """What was set aside counts on the day on which its call went out. A disk that is full does not keep it from being counted."""
        for known in (self._spent, self._named, self._saved, self._assumed, self.unknown):
            known.clear()
        self._database.put("UPDATE calls SET state = 'assumed' WHERE state = 'reserved'")
        for key, day, seconds in await self._database.read("SELECT id, day, time FROM calls ORDER BY id DESC LIMIT 1"):
            self._next, self._day, self._seen = key + 1, day, _date(seconds)
        for day, member, fusion, nano, atto in await self._database.read(SPENT):
            self._count(day, _Amount(_joined(nano, atto), member, fusion))
        for day, nano, atto in await self._database.read(SAVED):
            self._saved[_month(day)] += _joined(nano, atto)
        for key, day, member, fusion, provider, generation, nano, atto in await self._database.read(UNKNOWN, (self._clock() - ASKED_SECONDS,)):
            self._assumed[key] = (day, _Amount(_joined(nano, atto), member, fusion))
            self.unknown[key] = Unknown(id=key, provider=provider, generation=generation)

    def day(self) -> str:
        """Today (UTC). A clock that jumps back does not open a day again that is over: the last one goes on until the clock's next midnight."""
        now = _date(self._clock())
        if now > self._seen:
            self._day = now
        self._seen = now
        return self._day

    def today(self) -> Decimal:
        """USD settled today."""
        return _usd(self._spent[self.day()])

    def month(self) -> Decimal:
        """USD settled in this month."""
        return _usd(self._spent[_month(self.day())])

    def reserved(self) -> Decimal:
        """USD set aside for calls that are not over."""
        return _usd(sum(amount.units for amount in self._open.values()))

    def reserve(self, call: PaidCall, amount: Decimal) -> int:
        """Set money aside, from now on; returns the call's number. It may go out after `durable`. Raises StoreError where the ledger is not open."""
        if self._closed:
            raise StoreError(self._closed)
        key, held = self._entered(call, "reserved", amount)
        self._open[key] = held
        return key

    async def durable(self) -> None:
        """Wait until everything so far is on the disk. Raises StoreError."""
        if self._closed:
            raise StoreError(self._closed)
        await self._database.flushed()

    def opened(self, key: int, generation: str) -> None:
        """What the provider knows the call by: if this daemon is killed, the next one can ask for the bill."""
        self._put("UPDATE calls SET generation = ? WHERE id = ?", generation, key)

    def settle(self, key: int, amount: Decimal) -> None:
        """The bill of a call."""
        billed, day = self._open.pop(key)._replace(units=_units(amount)), self.day()
        self._count(day, billed)
        self._put("UPDATE calls SET state = 'settled', day = ?, nano = ?, atto = ? WHERE id = ?", day, *_split(billed.units), key)

    def release(self, key: int) -> None:
        """A call that was not made, or that surely cost nothing."""
        del self._open[key]
        self._put("DELETE FROM calls WHERE id = ?", key)

    def assume(self, key: int, provider: str, generation: str | None) -> None:
        """A call that is over without a bill: it stays at what was set aside, until `correct`. `generation`: what the provider knows it by."""
        amount, day = self._open.pop(key), self.day()
        self._count(day, amount)
        if generation is not None:
            self._assumed[key] = (day, amount)
            self.unknown[key] = Unknown(id=key, provider=provider, generation=generation)
        self._put("UPDATE calls SET state = 'assumed', day = ?, generation = ? WHERE id = ?", day, generation, key)

    def correct(self, key: int, amount: Decimal) -> None:
        """The bill of a call that had none: it counts on the day on which the worst was assumed."""
        day, assumed = self._assumed.pop(key)
        del self.unknown[key]
        units = _units(amount)
        self._count(day, assumed._replace(units=units - assumed.units))
        self._put("UPDATE calls SET state = 'settled', nano = ?, atto = ? WHERE id = ?", *_split(units), key)

    def abandon(self, key: int) -> None:
        """A bill that will not come: the worst case stands."""
        del self._assumed[key], self.unknown[key]

    def surprise(self, call: PaidCall, amount: Decimal) -> None:
        """A bill for which nothing was set aside."""
        _, billed = self._entered(call, "settled", amount)
        self._count(self.day(), billed)

    def saved(self, request: str, fusion: str, amount: Decimal) -> None:
        """What a cascade saved, or (less than nothing) cost more."""
        units, day = _units(amount), self.day()
        self._saved[_month(day)] += units
        self._put("INSERT OR REPLACE INTO savings VALUES (?, ?, ?, ?, ?)", request, day, fusion, *_split(units))

    def summary(self) -> Summary:
        """What is spent, set aside and saved, all at one moment."""
        month = _month(self.day())
        return Summary(
            today=self.today(),
            month=self.month(),
            reserved=self.reserved(),
            saved=_usd(self._saved[month]),
            by_member=self._by(month, "member"),
            by_fusion=self._by(month, "fusion"),
        )

    async def costs(self, since: str = "") -> tuple[Sequence[Cost], Sequence[Saving]]:
        """Every day since *since* (YYYY-MM-DD): what was spent, newest first, and what was saved. Raises StoreError."""
        return await self._lines(since, "9999-12-31")

    async def aclose(self) -> None:
        """Write what waits, and let the file go. A call that is still under way stays counted at its worst."""
        self._closed = "the ledger is closed"
        await self._database.aclose()

    async def _lines(self, first: str, last: str) -> tuple[Sequence[Cost], Sequence[Saving]]:
        """What the days from one to another cost and saved."""
        await self._database.flushed()
        costs = await self._database.read(COSTS, (first, last))
        savings = await self._database.read(SAVINGS, (first, last))
        return (
            [
                Cost(day=day, member=member, fusion=fusion, calls=calls, usd=_usd(_joined(nano, atto)))
                for day, member, fusion, calls, nano, atto in costs
            ],
            [Saving(day=day, fusion=fusion, requests=requests, usd=_usd(_joined(nano, atto))) for day, fusion, requests, nano, atto in savings],
        )

    def _by(self, month: str, kind: str) -> dict[str, Decimal]:
        return {name: _usd(units) for (when, what, name), units in sorted(self._named.items()) if (when, what) == (month, kind)}

    def _entered(self, call: PaidCall, state: str, amount: Decimal) -> tuple[int, _Amount]:
        """A new row: its number and its amount."""
        key, units = self._next, _units(amount)
        self._next += 1
        row = (key, self.day(), self._clock(), call.request, call.fusion, call.member, call.provider, state, *_split(units), None)
        self._put("INSERT INTO calls VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?)", *row)
        return key, _Amount(units, call.member, call.fusion)

    def _count(self, day: str, amount: _Amount) -> None:
        month = _month(day)
        for when in (day, month):
            self._spent[when] += amount.units
        for kind, name in (("member", amount.member), ("fusion", amount.fusion)):
            self._named[month, kind, name] += amount.units

    def _put(self, sql: str, *values: Value) -> None:
        """Never fails: calls end while the daemon does, and what was set aside for them is on the disk."""
        try:
            self._database.put(sql, values)
        except StoreError as error:
            log.error("not recorded, what was set aside stays counted: %s", error)  # noqa: TRY400  # it is no bug


def _date(seconds: float) -> str:
    return datetime.fromtimestamp(seconds, UTC).date().isoformat()


def _month(day: str) -> str:
    return day[:7]


def _units(amount: Decimal) -> int:
    return int(kept(amount).scaleb(18, _UNITS))


def _usd(units: int) -> Decimal:
    """In as few digits as it takes."""
    return _UNITS.add(Decimal(units).scaleb(-18, _UNITS).normalize(_UNITS), 0)


def _split(units: int) -> tuple[int, int]:
    return divmod(units, 10**9)


def _joined(nano: int, atto: int) -> int:
    return nano * 10**9 + atto
