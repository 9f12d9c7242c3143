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
from collections.abc import Callable, Sequence
from contextlib import suppress
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from fusiond.store.database import Database, StoreError, Table, Value
from fusiond.store.requests import (
    ALL,
    EGRESS,
    FACTS,
    LAST,
    OLD,
    ONE_REQUEST,
    PLACE,
    PRUNE,
    REQUESTS,
    ROUTE,
    SCHEMA,
    SOME_EGRESS,
    SOME_REQUESTS,
    RequestRow,
    milliseconds,
    values,
)

log = logging.getLogger(__name__)

FILE = "records.db"

WAITING = 20_000
"""So many writes wait at most for a disk that takes none."""

EARLY = 1000
"""So many rows are kept in memory until the file is open."""

CHUNK = 200
"""So many old rows are deleted at once, so that others' writes come in between."""

LEAVING_SECONDS = 0.05
"""What leaves waits no longer for a disk: its row waits in memory then."""

DAY = 86_400_000
"""Milliseconds."""

Numbered = tuple[int, *tuple[Value, ...]]
"""A row, its number first."""

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
        self._early: list[tuple[Table, Numbered]] = []

    @property
    def fault(self) -> str | None:
        """Why nothing is recorded now; None: all is well."""
        return self._closed or self._database.failing

    async def open(self) -> None:
        """Open the file, and write what waits. Does not raise: `fault` says it."""
        try:
            await asyncio.to_thread(self._database.open)
            ((self._last,),) = await self._database.read(LAST)
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
        self._put(REQUESTS, (self._number(), *values(row)))

    async def leaving(self, *, host: str, member: str | None, request_id: str | None, sent: int) -> Exchange:
        """At most so many bytes are about to leave. Returns when that is in the file, or would take too long to wait for."""
        exchange = Exchange(self._put, (self._number(), milliseconds(self._clock()), request_id, member, host))
        exchange.leaving(sent)
        if self._last is not None and not self._closed:
            with suppress(StoreError):
                await self._database.flushed(within=LEAVING_SECONDS)
        return exchange

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
        return _page(FACTS, await self._database.read(SOME_REQUESTS, (*place, milliseconds(since or 0), model, fusion, status, limit + 1)), limit)

    async def request(self, request_id: str) -> dict[str, Any] | None:
        """One request with its `prompt` and `answer`, which are None where they were not to be kept. Raises StoreError."""
        await self._caught_up()
        found = await self._database.read(ONE_REQUEST, (request_id,))
        return _told(ALL, found[0]) if found else None

    async def egress(self, *, limit: int = 50, before: str | None = None, request_id: str | None = None) -> Page:
        """At most so many exchanges (1 to 500), newest first: `time, request_id, member, host, bytes_sent, bytes_received`.

        `before`: the mark of an earlier page. Raises StoreError, and ValueError for a `before` that is none.
        """
        await self._caught_up()
        place = _NEWEST if before is None else _place(before)
        if place is None:
            raise ValueError("before must be the `next` of an earlier page")
        return _page(ROUTE, await self._database.read(SOME_EGRESS, (*place, request_id, limit + 1)), limit)

    async def prune(self, keep_days: int) -> None:
        """Delete what is older, a little at a time. Does not raise."""
        if self._closed:
            return
        until = max(0, milliseconds(self._clock()) - keep_days * DAY)
        try:
            for table in ("requests", "egress"):
                while await self._database.read(OLD.format(table=table), (until,)) == [(1,)]:
                    self._database.put(PRUNE.format(table=table), (until, CHUNK))
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

    def _put(self, table: Table, row: Numbered) -> None:
        """A row whose number is counted from this process's first."""
        if self._closed:
            self.dropped += 1
        elif self._last is None:
            self._wait(table, row)
        elif not self._database.keep(table, (self._last + row[0], *map(_storable, row[1:]))):
            self.dropped += 1

    def _wait(self, table: Table, row: Numbered) -> None:
        if len(self._early) < EARLY:
            self._early.append((table, row))
        else:
            self.dropped += 1

    def _put_early(self) -> None:
        """What has waited, now that it is known whether there is a file for it."""
        early, self._early = self._early, []
        for table, row in early:
            self._put(table, row)

    def _check_open(self) -> None:
        if self._closed or self._last is None:
            raise StoreError(self._closed or "the records are not open yet")

    async def _caught_up(self) -> None:
        """Wait for what was put before, so that it can be read. Where the disk takes nothing, what it took earlier can still be read."""
        self._check_open()
        with suppress(StoreError):
            await self._database.flushed()

    async def _place_of(self, name: str) -> Place:
        found = await self._database.read(PLACE, (name,))
        if not found:
            raise ValueError("before must be the `next` of an earlier page, or the id of a request that is recorded")
        ((moment, number),) = found
        return moment, number


class Exchange:
    """What goes out to one host, and comes back."""

    __slots__ = ("_facts", "_put")

    def __init__(self, put: Callable[..., None], facts: Numbered) -> None:
        self._put = put
        self._facts = facts

    def leaving(self, sent: int) -> None:
        """At most so many bytes are about to leave."""
        self._put(EGRESS, (*self._facts, sent, 0))

    def left(self, *, sent: int, received: int) -> None:
        """So many bytes have left, and come back."""
        self._put(EGRESS, (*self._facts, sent, received))


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


def _storable(value: Value) -> Value:
    """Half of a surrogate pair, which JSON can bring in, is no text for SQLite."""
    return value.encode(errors="replace").decode() if isinstance(value, str) and not value.isascii() else value
