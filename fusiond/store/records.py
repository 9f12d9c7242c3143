"""The records: one row for every request, and one for every exchange that left this machine.

Recording is no part of answering: nothing here blocks or raises on the way of a request. What cannot be kept is dropped and counted.

Times are whole milliseconds since 1970 in the file, and ISO 8601 (UTC, with milliseconds) wherever rows are told. The newest row is the one of the
latest time, of equal times the one that came last: a page ends at such a place, so that rows that are added meanwhile move no other.
"""

from __future__ import annotations

import asyncio
import json
import logging
import re
import time
from collections.abc import Callable, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass, fields
from datetime import UTC, datetime
from decimal import Decimal
from pathlib import Path
from typing import Any

from pydantic_core import PydanticSerializationError, to_json

from fusiond.report import plain
from fusiond.store.database import Database, Schema, StoreError, Value

log = logging.getLogger(__name__)

FILE = "records.db"

WAITING = 20_000
"""So many writes wait at most for a disk that takes none."""

EARLY = 1000
"""So many rows are kept in memory until the file is open."""

CHUNK = 200
"""So many old rows are deleted at once, so that others' writes come in between."""

DAY = 86_400_000
"""Milliseconds."""

SCHEMA = Schema(
    version=1,
    create="""
CREATE TABLE requests (
  number INTEGER PRIMARY KEY,
  id TEXT NOT NULL UNIQUE,
  time INTEGER NOT NULL,
  model TEXT NOT NULL,        -- as the client asked
  fusion TEXT,
  strategy TEXT NOT NULL,
  status INTEGER NOT NULL,    -- of HTTP
  decision TEXT,
  confidence REAL,
  agreement REAL,
  key TEXT,
  degraded TEXT NOT NULL,     -- JSON
  privacy TEXT NOT NULL,
  error TEXT,
  milliseconds REAL NOT NULL,
  prompt_tokens INTEGER NOT NULL,
  completion_tokens INTEGER NOT NULL,
  cost_usd TEXT NOT NULL,     -- in plain decimal digits, as is saved_usd
  saved_usd TEXT NOT NULL,
  members TEXT NOT NULL,      -- JSON
  prompt TEXT,
  answer TEXT
) STRICT;
-- Every filter is decided in this one index, without a look at the row: 10 ms of processor for 100,000 rows of which none fits.
CREATE INDEX requests_by_time ON requests (time, number, model, fusion, status);
CREATE TABLE egress (
  number INTEGER PRIMARY KEY,
  time INTEGER NOT NULL,      -- when it was about to leave
  request_id TEXT,
  member TEXT,
  host TEXT NOT NULL,
  bytes_sent INTEGER NOT NULL,
  bytes_received INTEGER NOT NULL
) STRICT;
CREATE INDEX egress_by_time ON egress (time, number, request_id);
""",
    holds="every request that was recorded",
)


@dataclass(frozen=True, slots=True, kw_only=True)
class RequestRow:
    """What became of a request. `time`: seconds since 1970; `key`: the one that stands; `error`: its code; texts only where they are to be kept.

    A member has `member, sample, role, place, status, key, first_token_ms, total_ms, prompt_tokens, completion_tokens, cost_usd` (a decimal string)
    and `error`.
    """

    id: str
    time: float
    model: str
    fusion: str | None
    strategy: str
    status: int
    decision: str | None
    confidence: float | None
    agreement: float | None
    key: str | None
    degraded: tuple[str, ...]
    privacy: str
    error: str | None
    milliseconds: float
    prompt_tokens: int
    completion_tokens: int
    cost_usd: Decimal
    saved_usd: Decimal
    members: tuple[Mapping[str, str | int | float | None], ...]
    prompt: str | None = None
    answer: str | None = None


_ALL = tuple(field.name for field in fields(RequestRow))
_FACTS = _ALL[: _ALL.index("prompt")]
_ROUTE = ("time", "request_id", "member", "host", "bytes_sent", "bytes_received")

_ADD = f"INSERT INTO requests (number, {', '.join(_ALL)}) VALUES (?{', ?' * len(_ALL)})"  # noqa: S608
_LEAVING = "INSERT INTO egress VALUES (?, ?, ?, ?, ?, ?, 0)"
_LEFT = "UPDATE egress SET bytes_sent = ?2, bytes_received = ?3 WHERE number = ?1"
_LAST = "SELECT max((SELECT coalesce(max(number), 0) FROM requests), (SELECT coalesce(max(number), 0) FROM egress))"
_REQUEST = f"SELECT {', '.join(_ALL)} FROM requests WHERE id = ?"  # noqa: S608
_PLACE = "SELECT time, number FROM requests WHERE id = ?"
_REQUESTS = f"""SELECT time, number, {", ".join(_FACTS)} FROM requests
WHERE (time, number) < (?1, ?2) AND time >= ?3 AND (?4 IS NULL OR model = ?4) AND (?5 IS NULL OR fusion = ?5) AND (?6 IS NULL OR status = ?6)
ORDER BY time DESC, number DESC LIMIT ?7"""  # noqa: S608
_EGRESS = f"""SELECT time, number, {", ".join(_ROUTE)} FROM egress
WHERE (time, number) < (?1, ?2) AND (?3 IS NULL OR request_id = ?3) ORDER BY time DESC, number DESC LIMIT ?4"""  # noqa: S608
_OLD = "SELECT EXISTS (SELECT 1 FROM {table} WHERE time < ?)"
_PRUNE = "DELETE FROM {table} WHERE number IN (SELECT number FROM {table} WHERE time < ? LIMIT ?)"

Place = tuple[int, int]
"""Time and number of a row."""

Page = tuple[list[dict[str, Any]], str | None]
"""Rows that are ready for JSON, and the `before` of the next page; None: this was the last."""

_NEWEST: Place = (2**62, 0)
"""Beyond every row."""

_MARK = re.compile(r"([0-9]{1,16})-([0-9]{1,18})")


class Records:
    """Every request and every byte that left, for as long as they are kept. `dropped` counts the writes that were not kept.

    What comes before `open` waits in memory.
    """

    def __init__(self, directory: Path, clock: Callable[[], float] = time.time) -> None:
        self.dropped = 0
        self._database = Database(directory / FILE, SCHEMA, durable=False, limit=WAITING)
        self._clock = clock
        self._closed: str | None = None
        self._numbers = 0  # rows of this process, of both tables
        self._last: int | None = None  # the highest number in the file when it was opened; None: not open yet
        self._early: list[tuple[str, int, tuple[Value, ...]]] = []

    @property
    def fault(self) -> str | None:
        """Why nothing is recorded now; None: all is well."""
        return self._closed or self._database.failing

    async def open(self) -> None:
        """Open the file, and write what waits. Does not raise: `fault` says it."""
        try:
            await asyncio.to_thread(self._database.open)
            ((self._last,),) = await self._database.read(_LAST)
            self._closed = None
        except StoreError as error:
            if self._closed != str(error):
                log.warning("no request is recorded: %s", error)
            self._closed = str(error)
        self._put_early()

    @property
    def closed(self) -> bool:
        """Whether it is worth trying to open it (again)."""
        return self._closed is not None

    def add(self, row: RequestRow) -> None:
        """Keep a request."""
        self._put(_ADD, self._number(), *_values(row))

    def leaving(self, *, host: str, member: str | None, request_id: str | None, sent: int) -> int:
        """So many bytes, or a little more, are about to leave. Returns the number of this entry."""
        entry = self._number()
        self._put(_LEAVING, entry, _ms(self._clock()), request_id, member, host, sent, hurry=True)
        return entry

    def left(self, entry: int, *, sent: int, received: int) -> None:
        """So many bytes have left, and come back."""
        self._put(_LEFT, entry, sent, received)

    async def requests(  # noqa: PLR0913
        self,
        *,
        limit: int = 50,
        before: str | None = None,
        model: str | None = None,
        fusion: str | None = None,
        status: int | None = None,
        since: float | None = None,
    ) -> Page:
        """At most so many requests (1 to 500) without their texts, newest first: the fields of a `RequestRow`, amounts as decimal strings.

        `before`: the mark of an earlier page, or the id of a request; `since`: seconds since 1970. Raises StoreError, and ValueError for a `before`
        that is neither.
        """
        await self._caught_up()
        place = _NEWEST if before is None else _place(before) or await self._place_of(before)
        return _page(_FACTS, await self._database.read(_REQUESTS, (*place, _ms(since or 0), model, fusion, status, limit + 1)), limit)

    async def request(self, request_id: str) -> dict[str, Any] | None:
        """One request with its `prompt` and `answer`, which are None where they were not to be kept. Raises StoreError."""
        await self._caught_up()
        found = await self._database.read(_REQUEST, (request_id,))
        return _told(_ALL, found[0]) if found else None

    async def egress(self, *, limit: int = 50, before: str | None = None, request_id: str | None = None) -> Page:
        """At most so many exchanges (1 to 500), newest first: `time, request_id, member, host, bytes_sent, bytes_received`.

        `before`: the mark of an earlier page. Raises StoreError, and ValueError for a `before` that is none.
        """
        await self._caught_up()
        place = _NEWEST if before is None else _place(before)
        if place is None:
            raise ValueError("before must be the `next` of an earlier page")
        return _page(_ROUTE, await self._database.read(_EGRESS, (*place, request_id, limit + 1)), limit)

    async def prune(self, keep_days: int) -> None:
        """Delete what is older, a little at a time. Does not raise."""
        if self._closed:
            return
        until = max(0, _ms(self._clock()) - keep_days * DAY)
        try:
            for table in ("requests", "egress"):
                while await self._database.read(_OLD.format(table=table), (until,)) == [(1,)]:
                    self._database.put(_PRUNE.format(table=table), (until, CHUNK))
                    await self._database.flushed()
        except StoreError as error:
            log.warning("old records stay: %s", error)

    async def flushed(self) -> None:
        """Wait until everything so far is in the file. Raises StoreError."""
        self._check_open()
        await self._database.flushed()

    async def aclose(self) -> None:
        """Write what waits, and let the file go."""
        self._closed = "the records are closed"
        self._put_early()
        await self._database.aclose()

    def _number(self) -> int:
        self._numbers += 1
        return self._numbers

    def _put(self, sql: str, number: int, *values: Value, hurry: bool = False) -> None:
        if self._closed:
            self.dropped += 1
        elif self._last is None:
            self._wait(sql, number, values)
        elif not self._database.put(sql, (self._last + number, *map(_storable, values)), hurry=hurry):
            self.dropped += 1

    def _wait(self, sql: str, number: int, values: tuple[Value, ...]) -> None:
        if len(self._early) < EARLY:
            self._early.append((sql, number, values))
        else:
            self.dropped += 1

    def _put_early(self) -> None:
        """What has waited, now that it is known whether there is a file for it."""
        early, self._early = self._early, []
        for sql, number, values in early:
            self._put(sql, number, *values)

    def _check_open(self) -> None:
        if self._closed or self._last is None:
            raise StoreError(self._closed or "the records are not open yet")

    async def _caught_up(self) -> None:
        """Wait for what was put before, so that it can be read. Where the disk takes nothing, what it took earlier can still be read."""
        self._check_open()
        with suppress(StoreError):
            await self._database.flushed()

    async def _place_of(self, name: str) -> Place:
        found = await self._database.read(_PLACE, (name,))
        if not found:
            raise ValueError("before must be the `next` of an earlier page, or the id of a request that is recorded")
        ((moment, number),) = found
        return moment, number


def _values(row: RequestRow) -> tuple[Value, ...]:
    """In the order of the columns."""
    values: dict[str, Value] = {name: getattr(row, name) for name in _ALL} | {
        "time": _ms(row.time),
        "degraded": _json(row.degraded),
        "cost_usd": plain(row.cost_usd),
        "saved_usd": plain(row.saved_usd),
        "members": _json([dict(member) for member in row.members]),
    }
    return tuple(values.values())


def _json(value: object) -> str:
    """Half of a surrogate pair, which members do send, is escaped; only the slower way can do that."""
    try:
        return to_json(value).decode()
    except PydanticSerializationError:
        return json.dumps(value)


def _told(columns: Sequence[str], values: Sequence[Any]) -> dict[str, Any]:
    """A row as it goes out."""
    row = dict(zip(columns, values, strict=True))
    row["time"] = datetime.fromtimestamp(row["time"] / 1000, UTC).isoformat(timespec="milliseconds").replace("+00:00", "Z")
    return row | {name: json.loads(row[name]) for name in ("degraded", "members") if name in row}


def _page(columns: Sequence[str], found: Sequence[Sequence[Any]], limit: int) -> Page:
    """Of the rows found, each after its place, so many; there is a next page where one more was found."""
    rows = [_told(columns, values) for _, _, *values in found[:limit]]
    if len(found) <= limit:
        return rows, None
    moment, number, *_ = found[limit - 1]
    return rows, f"{moment}-{number}"


def _place(before: str) -> Place | None:
    found = _MARK.fullmatch(before)
    return (int(found[1]), int(found[2])) if found else None


def _ms(seconds: float) -> int:
    return round(seconds * 1000)


def _storable(value: Value) -> Value:
    """Half of a surrogate pair, which JSON can bring in, is no text for SQLite."""
    return value.encode(errors="replace").decode() if isinstance(value, str) and not value.isascii() else value
