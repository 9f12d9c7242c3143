"""What waits for the disk, and how it gets there: everything as one transaction.

Every step of SQLite gives the interpreter's lock away, and getting it back from the event loop costs more than the step. So rows that are kept whole
go in many at a time, and of those with the same key only the last.
"""

from __future__ import annotations

import sqlite3
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from functools import cache
from itertools import chain, groupby
from typing import cast

REFUSALS = frozenset({
    sqlite3.SQLITE_BUSY,
    sqlite3.SQLITE_CANTOPEN,
    sqlite3.SQLITE_CORRUPT,
    sqlite3.SQLITE_FULL,
    sqlite3.SQLITE_IOERR,
    sqlite3.SQLITE_LOCKED,
    sqlite3.SQLITE_NOMEM,
    sqlite3.SQLITE_NOTADB,
    sqlite3.SQLITE_PERM,
    sqlite3.SQLITE_PROTOCOL,
    sqlite3.SQLITE_READONLY,
})  # fmt: skip
"""Primary result codes that blame the disk or its neighbours; with any other, the statement itself is wrong. https://sqlite.org/rescode.html"""

MOST_ROWS = 32
"""So many rows go in with one statement at most: SQLite has places for 32,766 values (https://sqlite.org/limits.html)."""

Value = str | int | float | bytes | None


@dataclass(frozen=True, slots=True)
class Table:
    """A table whose rows are kept whole: one that comes again replaces what is there under its key, the first column."""

    name: str
    columns: tuple[str, ...]


@dataclass(frozen=True, slots=True, eq=False)
class Statement:
    """One statement, run once for every row (without rows: once)."""

    sql: str
    rows: tuple[tuple[Value, ...], ...] = ()

    def run(self, connection: sqlite3.Connection) -> None:
        """Raises sqlite3.Error where the disk refuses, Wrong where the statement is to blame."""
        try:
            if self.rows:
                connection.executemany(self.sql, self.rows)
            else:
                connection.execute(self.sql)
        except (sqlite3.Error, sqlite3.Warning, TypeError, ValueError, OverflowError) as error:
            if _primary(error) in REFUSALS:
                raise
            raise Wrong(f"{error} ({self.sql})") from error


@dataclass(frozen=True, slots=True, eq=False)
class Row:
    """A row that is kept whole."""

    table: Table
    values: tuple[Value, ...]


Queued = Statement | Row


class Wrong(Exception):
    """A statement that no disk would take. The message is the reason."""


def commit(connection: sqlite3.Connection, batch: Sequence[Queued]) -> dict[Queued, str]:
    """All that is queued in one transaction, but what is wrong in itself, which is returned with the reasons. Raises sqlite3.Error."""
    wrong: dict[Queued, str] = {}
    together = True
    while True:  # a wrong one may have ended the transaction: the others begin a new one
        at: Queued | None = None
        try:
            connection.execute("BEGIN IMMEDIATE")
            for queued, statement in _statements([each for each in batch if each not in wrong], together=together):
                at = queued
                statement.run(connection)
            connection.execute("COMMIT")
            return wrong
        except Wrong as error:
            if at is None:  # any of several rows
                together = False
            else:
                wrong[at] = str(error)
        finally:
            if connection.in_transaction:
                connection.execute("ROLLBACK")


def _statements(batch: Iterable[Queued], *, together: bool) -> Iterator[tuple[Queued | None, Statement]]:
    """What is to be run, in order, and for whom; None: for all rows that follow each other."""
    for kind, run in groupby(batch, key=type):
        if together and kind is Row:
            yield from ((None, statement) for statement in _bulks(cast("Iterable[Row]", run)))
        else:
            yield from ((queued, queued if isinstance(queued, Statement) else _upsert(queued.table, [queued.values])) for queued in run)


def _bulks(rows: Iterable[Row]) -> Iterator[Statement]:
    """Of every key its last row, in statements for 32, 16, 8, 4, 2 and 1 of them: few that differ, which SQLite has read before."""
    tables: dict[Table, dict[Value, tuple[Value, ...]]] = {}
    for row in rows:
        tables.setdefault(row.table, {})[row.values[0]] = row.values
    for table, last in tables.items():
        left = list(last.values())
        while left:
            size = min(MOST_ROWS, 1 << (len(left).bit_length() - 1))
            yield _upsert(table, left[:size])
            left = left[size:]


def _upsert(table: Table, rows: Sequence[tuple[Value, ...]]) -> Statement:
    return Statement(_sql(table, len(rows)), (tuple(chain.from_iterable(rows)),))


@cache
def _sql(table: Table, rows: int) -> str:
    row = f"({', '.join('?' * len(table.columns))})"
    key, *others = table.columns
    changes = ", ".join(f"{column} = excluded.{column}" for column in others)
    into = f"INSERT INTO {table.name} ({', '.join(table.columns)})"
    return f"{into} VALUES {', '.join([row] * rows)} ON CONFLICT ({key}) DO UPDATE SET {changes}"


def _primary(error: Exception) -> int | None:
    code: int | None = getattr(error, "sqlite_errorcode", None)  # none where the module itself refused, before SQLite
    return None if code is None else code & 0xFF
