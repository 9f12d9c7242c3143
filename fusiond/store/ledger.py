"""The ledger: every paid call, set aside at its worst before it goes out, and settled at its bill.

What counts is kept in memory, so that a decision needs no disk; with every change the call's row is written anew, and a call goes out only when the
row that sets its money aside is on the disk. A call whose bill stays unknown (cut off, killed) counts at its worst case until the truth is known.
"""

from __future__ import annotations

import asyncio
import logging
import time
from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from decimal import Decimal
from functools import lru_cache
from pathlib import Path

from fusiond.store.amounts import exact, joined, split, usd, whole
from fusiond.store.calls import CALLS, COSTS, SAVED, SAVED_BY, SAVINGS, SCHEMA, SPENT, UNKNOWN, CallRow
from fusiond.store.database import Database, StoreError, Table, Value

log = logging.getLogger(__name__)

FILE = "ledger.db"

ASKED_SECONDS = 7 * 86_400.0
"""A bill that has not come in so long is not asked for any more after a start."""

DAY_SECONDS = 86_400


@dataclass(frozen=True, slots=True, kw_only=True)
class PaidCall:
    """Who is paid, and for which request."""

    request: str
    fusion: str
    member: str
    provider: str


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
        self._open: dict[int, CallRow] = {}
        self._held = 0  # 1e-18 USD set aside for them
        self._early: list[tuple[PaidCall, Decimal]] = []  # bills that came while there was no file for them
        self.unknown: dict[int, CallRow] = {}  # over, and the provider may still tell what it cost

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
            self._enter_early()
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
        self._database.put("UPDATE calls SET state = 'assumed' WHERE state = 'reserved'")
        last = await self._database.read("SELECT id, day, time FROM calls ORDER BY id DESC LIMIT 1")
        spent, saved = await self._database.read(SPENT), await self._database.read(SAVED)
        unknown = await self._database.read(UNKNOWN, (self._clock() - ASKED_SECONDS,))
        for known in (self._spent, self._named, self._saved):  # from here on nothing comes in between
            known.clear()
        for key, day, seconds in last:
            self._next, self._day, self._seen = key + 1, day, _date(seconds)
        for day, member, fusion, nano, atto in spent:
            self._count(day, member, fusion, joined(nano, atto))
        for day, nano, atto in saved:
            self._saved[_month(day)] += joined(nano, atto)
        self.unknown = {row.id: row for row in (CallRow(*columns) for columns in unknown)}

    def _enter_early(self) -> None:
        early, self._early = self._early, []
        for call, amount in early:
            self.surprise(call, amount)

    def day(self) -> str:
        """Today (UTC). A clock that jumps back does not open a day again that is over: the last one goes on until the clock's next midnight."""
        now = _date(self._clock())
        if now > self._seen:
            self._day = now
        self._seen = now
        return self._day

    def today(self) -> Decimal:
        """USD settled today."""
        return usd(self._spent[self.day()])

    def month(self) -> Decimal:
        """USD settled in this month."""
        return usd(self._spent[_month(self.day())])

    def reserved(self) -> Decimal:
        """USD set aside for calls that are not over."""
        return usd(self._held)

    def gone(self) -> tuple[Decimal, Decimal]:
        """USD settled or set aside, today and in this month."""
        day = self.day()
        return exact(self._spent[day] + self._held), exact(self._spent[_month(day)] + self._held)

    def reserve(self, call: PaidCall, amount: Decimal) -> int:
        """Set money aside, from now on; returns the call's number. It may go out after `durable`. Raises StoreError where the ledger is not open."""
        if self._closed:
            raise StoreError(self._closed)
        row = self._entered(call, "reserved", amount)
        self._open[row.id] = row
        self._held += row.units
        return row.id

    def durable(self, within: float | None = None) -> asyncio.Future[None]:
        """Done when everything so far is on the disk, after so many seconds at most; its exception is a StoreError. Raises StoreError if closed."""
        if self._closed:
            raise StoreError(self._closed)
        return self._database.flushing(within)

    def opened(self, key: int, generation: str) -> None:
        """What the provider knows the call by: if this daemon is killed, the next one can ask for the bill."""
        self._open[key] = row = self._open[key]._replace(generation=generation)
        self._keep(CALLS, row)

    def settle(self, key: int, amount: Decimal) -> None:
        """The bill of a call."""
        nano, atto = split(whole(amount))
        self._over(self._taken(key)._replace(state="settled", day=self.day(), nano=nano, atto=atto))

    def release(self, key: int) -> None:
        """A call that was not made, or that surely cost nothing."""
        self._taken(key)
        self._put("DELETE FROM calls WHERE id = ?", key)

    def assume(self, key: int, generation: str | None) -> None:
        """A call that is over without a bill: it stays at what was set aside, until `correct`. `generation`: what the provider knows it by."""
        row = self._taken(key)._replace(state="assumed", day=self.day(), generation=generation)
        if generation is not None:
            self.unknown[key] = row
        self._over(row)

    def correct(self, key: int, amount: Decimal) -> None:
        """The bill of a call that had none: it counts on the day on which the worst was assumed."""
        assumed, units = self.unknown.pop(key), whole(amount)
        nano, atto = split(units)
        self._count(assumed.day, assumed.member, assumed.fusion, units - assumed.units)
        self._keep(CALLS, assumed._replace(state="settled", nano=nano, atto=atto))

    def abandon(self, key: int) -> None:
        """A bill that will not come: the worst case stands."""
        del self.unknown[key]

    def surprise(self, call: PaidCall, amount: Decimal) -> None:
        """A bill for which nothing was set aside. Where there is no file for it yet it counts, and gets its row once there is."""
        self._count(self.day(), call.member, call.fusion, whole(amount))
        if self._closed:
            self._early.append((call, amount))
            log.error("a bill of %s waits to be recorded: %s", call.member, self._closed)
        else:
            self._entered(call, "settled", amount, hurry=True)

    def doubt(self, call: PaidCall, generation: str) -> None:
        """A call that should cost nothing, and was cut off before it was told that it does not: that is asked for."""
        if not self._closed:
            row = self._entered(call, "assumed", Decimal(0), generation=generation)
            self.unknown[row.id] = row

    def saved(self, request: str, fusion: str, amount: Decimal) -> None:
        """What a cascade saved, or (less than nothing) cost more."""
        units, day = whole(amount), self.day()
        self._saved[_month(day)] += units
        self._keep(SAVED_BY, (request, day, fusion, *split(units)))

    def summary(self) -> Summary:
        """What is spent, set aside and saved, all at one moment."""
        month = _month(self.day())
        return Summary(
            today=self.today(),
            month=self.month(),
            reserved=self.reserved(),
            saved=usd(self._saved[month]),
            by_member=self._by(month, "member"),
            by_fusion=self._by(month, "fusion"),
        )

    async def costs(self, since: str = "") -> tuple[Sequence[Cost], Sequence[Saving]]:
        """Every day since *since* (YYYY-MM-DD): what was spent, newest first, and what was saved. Raises StoreError."""
        await self._database.flushed()
        costs = await self._database.read(COSTS, (since,))
        savings = await self._database.read(SAVINGS, (since,))
        return (
            [
                Cost(day=day, member=member, fusion=fusion, calls=calls, usd=usd(joined(nano, atto)))
                for day, member, fusion, calls, nano, atto in costs
            ],
            [Saving(day=day, fusion=fusion, requests=requests, usd=usd(joined(nano, atto))) for day, fusion, requests, nano, atto in savings],
        )

    async def aclose(self) -> None:
        """Write what waits, and let the file go. A call that is still under way stays counted at its worst."""
        self._closed = "the ledger is closed"
        await self._database.aclose()

    def _by(self, month: str, kind: str) -> dict[str, Decimal]:
        return {name: usd(units) for (when, what, name), units in sorted(self._named.items()) if (when, what) == (month, kind)}

    def _entered(self, call: PaidCall, state: str, amount: Decimal, *, generation: str | None = None, hurry: bool = False) -> CallRow:
        """A new row."""
        nano, atto = split(whole(amount))
        whose = call.request, call.fusion, call.member, call.provider
        row = CallRow(self._next, self.day(), self._clock(), *whose, state, nano, atto, generation)
        self._next += 1
        self._keep(CALLS, row, hurry=hurry)
        return row

    def _taken(self, key: int) -> CallRow:
        """A call for which nothing is set aside any more."""
        row = self._open.pop(key)
        self._held -= row.units
        return row

    def _over(self, row: CallRow) -> None:
        """What a call has cost, as far as that is known."""
        self._count(row.day, row.member, row.fusion, row.units)
        self._keep(CALLS, row)

    def _count(self, day: str, member: str, fusion: str, units: int) -> None:
        month = _month(day)
        self._spent[day] += units
        self._spent[month] += units
        self._named[month, "member", member] += units
        self._named[month, "fusion", fusion] += units

    def _keep(self, table: Table, row: tuple[Value, ...], *, hurry: bool = False) -> None:
        """Never fails, as `_put`."""
        try:
            self._database.keep(table, row, hurry=hurry)
        except StoreError as error:
            _unrecorded(error)

    def _put(self, sql: str, *values: Value) -> None:
        """Never fails: calls end while the daemon does, and what was set aside for them is on the disk."""
        try:
            self._database.put(sql, values)
        except StoreError as error:
            _unrecorded(error)


def _unrecorded(error: StoreError) -> None:
    log.error("not recorded, what was set aside stays counted: %s", error)


def _date(seconds: float) -> str:
    return _date_of(int(seconds // DAY_SECONDS))


@lru_cache(maxsize=2)
def _date_of(days: int) -> str:
    """So many days after 1970 began."""
    return datetime.fromtimestamp(days * DAY_SECONDS, UTC).date().isoformat()


def _month(day: str) -> str:
    return day[:7]
