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
from collections import Counter, defaultdict
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from decimal import ROUND_CEILING, Context, Decimal
from pathlib import Path

from fusiond.store.database import Database, Schema, StoreError, Value

log = logging.getLogger(__name__)

FILE = "ledger.db"

MOST = Decimal(1_000_000)
"""USD: a call that is said to cost more is a provider's mistake, and counts as this."""

ASKED_SECONDS = 7 * 86_400.0
"""A bill that has not come in so long is not asked for any more after a start."""

SCHEMA = Schema(
    version=1,
    create="""
CREATE TABLE calls (
  id INTEGER PRIMARY KEY,
  day TEXT NOT NULL,          -- UTC; of the reservation, then of the settlement
  time REAL NOT NULL,         -- of the reservation, seconds since 1970
  request TEXT NOT NULL,
  fusion TEXT NOT NULL,       -- the model that the client asked for: fusion/NAME, or a member's own name
  member TEXT NOT NULL,
  provider TEXT NOT NULL,
  state TEXT NOT NULL,        -- reserved, settled, or assumed: over, and its bill not known
  nano INTEGER NOT NULL,      -- 1e-9 USD
  atto INTEGER NOT NULL,      -- 1e-18 USD, less than one nano
  generation TEXT             -- the provider's own id of the call
) STRICT;
CREATE INDEX calls_by_day ON calls (day, member, fusion, state, nano, atto);
CREATE TABLE savings (
  request TEXT PRIMARY KEY,
  day TEXT NOT NULL,
  fusion TEXT NOT NULL,
  nano INTEGER NOT NULL,      -- less than nothing where the members asked cost more than the strongest alone
  atto INTEGER NOT NULL
) STRICT, WITHOUT ROWID;
CREATE INDEX savings_by_day ON savings (day, fusion, nano, atto);
""",
    holds="the record of what was spent",
)

_COSTS = """
SELECT day, member, fusion, count(*), sum(nano), sum(atto) FROM calls
WHERE state != 'reserved' AND day BETWEEN ? AND ? GROUP BY day, member, fusion ORDER BY day DESC, member, fusion
"""

_SAVINGS = "SELECT day, fusion, count(*), sum(nano), sum(atto) FROM savings WHERE day BETWEEN ? AND ? GROUP BY day, fusion ORDER BY day DESC, fusion"

_UNKNOWN = "SELECT id, day, provider, generation, nano, atto FROM calls WHERE state != 'settled' AND generation IS NOT NULL AND time >= ?"

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
        self._open: dict[int, int] = {}
        self._assumed: dict[int, tuple[str, int]] = {}
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
        self._database.put("UPDATE calls SET state = 'assumed' WHERE state = 'reserved'")
        for key, day, seconds in await self._database.read("SELECT id, day, time FROM calls ORDER BY id DESC LIMIT 1"):
            self._next, self._day, self._seen = key + 1, day, _date(seconds)
        for day, nano, atto in await self._database.read("SELECT day, sum(nano), sum(atto) FROM calls GROUP BY day"):
            self._count(day, _joined(nano, atto))
        for key, day, provider, generation, nano, atto in await self._database.read(_UNKNOWN, (self._clock() - ASKED_SECONDS,)):
            self._assumed[key] = (day, _joined(nano, atto))
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
        return _usd(sum(self._open.values()))

    def reserve(self, call: PaidCall, amount: Decimal) -> int:
        """Set money aside, from now on; returns the call's number. It may go out after `durable`. Raises StoreError where the ledger is not open."""
        if self._closed:
            raise StoreError(self._closed)
        key, units = self._entered(call, "reserved", amount)
        self._open[key] = units
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
        del self._open[key]
        day, units = self.day(), _units(amount)
        self._count(day, units)
        self._put("UPDATE calls SET state = 'settled', day = ?, nano = ?, atto = ? WHERE id = ?", day, *_split(units), key)

    def release(self, key: int) -> None:
        """A call that was not made, or that surely cost nothing."""
        del self._open[key]
        self._put("DELETE FROM calls WHERE id = ?", key)

    def assume(self, key: int, provider: str, generation: str | None) -> None:
        """A call that is over without a bill: it stays at what was set aside, until `correct`. `generation`: what the provider knows it by."""
        units, day = self._open.pop(key), self.day()
        self._count(day, units)
        if generation is not None:
            self._assumed[key] = (day, units)
            self.unknown[key] = Unknown(id=key, provider=provider, generation=generation)
        self._put("UPDATE calls SET state = 'assumed', day = ?, generation = ? WHERE id = ?", day, generation, key)

    def correct(self, key: int, amount: Decimal) -> None:
        """The bill of a call that had none: it counts on the day on which the worst was assumed."""
        day, assumed = self._assumed.pop(key)
        del self.unknown[key]
        units = _units(amount)
        self._count(day, units - assumed)
        self._put("UPDATE calls SET state = 'settled', nano = ?, atto = ? WHERE id = ?", *_split(units), key)

    def abandon(self, key: int) -> None:
        """A bill that will not come: the worst case stands."""
        del self._assumed[key], self.unknown[key]

    def surprise(self, call: PaidCall, amount: Decimal) -> None:
        """A bill for which nothing was set aside."""
        _, units = self._entered(call, "settled", amount)
        self._count(self.day(), units)

    def saved(self, request: str, fusion: str, amount: Decimal) -> None:
        """What a cascade saved, or (less than nothing) cost more."""
        self._put("INSERT OR REPLACE INTO savings VALUES (?, ?, ?, ?, ?)", request, self.day(), fusion, *_split(_units(amount)))

    async def summary(self) -> Summary:
        """What is spent, set aside and saved; a call that is settled meanwhile may count as both, and never as neither. Raises StoreError."""
        today, reserved = self.day(), self.reserved()
        costs, savings = await self._lines(f"{_month(today)}-01", f"{_month(today)}-31")
        return Summary(
            today=sum((cost.usd for cost in costs if cost.day == today), Decimal(0)),
            month=sum((cost.usd for cost in costs), Decimal(0)),
            reserved=reserved,
            saved=sum((saving.usd for saving in savings), Decimal(0)),
            by_member=_summed((cost.member, cost.usd) for cost in costs),
            by_fusion=_summed((cost.fusion, cost.usd) for cost in costs),
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
        costs = await self._database.read(_COSTS, (first, last))
        savings = await self._database.read(_SAVINGS, (first, last))
        return (
            [
                Cost(day=day, member=member, fusion=fusion, calls=calls, usd=_usd(_joined(nano, atto)))
                for day, member, fusion, calls, nano, atto in costs
            ],
            [Saving(day=day, fusion=fusion, requests=requests, usd=_usd(_joined(nano, atto))) for day, fusion, requests, nano, atto in savings],
        )

    def _entered(self, call: PaidCall, state: str, amount: Decimal) -> tuple[int, int]:
        """A new row: its number and its amount."""
        key, units = self._next, _units(amount)
        self._next += 1
        row = (key, self.day(), self._clock(), call.request, call.fusion, call.member, call.provider, state, *_split(units), None)
        self._put("INSERT INTO calls VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?)", *row)
        return key, units

    def _count(self, day: str, units: int) -> None:
        self._spent[day] += units
        self._spent[_month(day)] += units

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


def _summed(amounts: Iterable[tuple[str, Decimal]]) -> dict[str, Decimal]:
    """By name."""
    sums: dict[str, Decimal] = defaultdict(Decimal)
    for name, usd in amounts:
        sums[name] += usd
    return dict(sorted(sums.items()))
