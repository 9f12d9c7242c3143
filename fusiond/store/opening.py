"""How a file of SQLite is opened: locked, looked at, created or brought to today's version.

No file is deleted or replaced: one that cannot be used is named in a `StoreError`, with the way out, and left as it is. A new one is made under
another name, and has its own when it is complete: one that is empty was not left so by us, but has lost what was in it. An old one is looked at
without a right to write first, since SQLite's own opening and closing would already move what waits in the write-ahead log. That log is there only
after a kill or a power cut, and only then is the whole file checked (measured: 20 ms for 100,000 rows in 12 MB).
"""

from __future__ import annotations

import fcntl
import logging
import os
import sqlite3
from collections.abc import Iterator, Mapping
from contextlib import ExitStack, closing, contextmanager
from dataclasses import dataclass, field
from pathlib import Path

from fusiond.places import private_directory

log = logging.getLogger(__name__)

BUSY_SECONDS = 5.0
"""How long another program (a shell of SQLite, a backup) may hold the file before a statement gives up."""


class StoreError(Exception):
    """A file that cannot be used, or a write that did not reach the disk. The message is for people: it names the file and the way out."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Schema:
    """The tables of a file, and the way to them from every older version. No script has a BEGIN or COMMIT of its own."""

    version: int  # 1 or more; the file keeps it as its `user_version`
    create: str  # script for a new file
    steps: Mapping[int, str] = field(default_factory=dict)  # script from the version that is its key to the next one
    holds: str = "everything recorded in it"  # what is lost with the file, for messages


@dataclass(frozen=True, slots=True, kw_only=True)
class _Look:
    """What can be seen of a file without changing it."""

    version: int = 0
    tables: int = 0
    damage: str | None = None


@contextmanager
def opened(path: Path, schema: Schema, *, durable: bool) -> Iterator[tuple[sqlite3.Connection, sqlite3.Connection]]:
    """One connection to write and one to read, kept by this process alone. Blocks. Raises StoreError, and then nothing is held."""
    with ExitStack() as held:
        try:
            place = path.resolve()
            held.callback(os.close, _locked(place))
            if new := not _left(place):
                _create(place, schema)
            found = _version(place, schema)
            writing = held.enter_context(closing(_connect(place, "mode=rw")))
            _prepare(writing, place, durable=durable)
            if found == 0 or new:  # which begins the log: the first write that somebody waits for need not
                _run_script(writing, schema.create if found == 0 else "", schema.version)
            elif found < schema.version:
                _migrate(writing, place, found, schema)
            reading = held.enter_context(closing(_connect(place, "mode=ro")))
        except (OSError, sqlite3.Error) as error:
            raise StoreError(f"{path} cannot be opened: {error}") from error
        yield writing, reading


def _locked(place: Path) -> int:
    """The lock of this file; it ends with the process. Raises StoreError where another has it."""
    if not place.parent.exists():
        private_directory(place.parent)
    lock = os.open(_beside(place, ".lock"), os.O_RDWR | os.O_CREAT, 0o600)
    try:
        fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        os.ftruncate(lock, 0)
        os.write(lock, str(os.getpid()).encode())
    except BlockingIOError:
        keeper = os.read(lock, 20).decode(errors="replace") or "unknown"
        os.close(lock)
        raise StoreError(
            f"another fusiond (pid {keeper}) keeps {place}: stop it, or give this one a state directory of its own ($XDG_STATE_HOME)"
        ) from None
    except OSError:
        os.close(lock)
        raise
    return lock


def _left(place: Path) -> bool:
    """Whether there is a file, or what one has left: a log alone is taken for a file that has lost all else."""
    return os.path.lexists(place) or _size(_beside(place, "-wal")) > 0


def _create(place: Path, schema: Schema) -> None:
    """A new file, complete before it has its name: whatever ends this process, the name stands for all of it or for nothing."""
    new = _beside(place, ".new")
    for unfinished in (new, _beside(new, "-journal")):
        unfinished.unlink(missing_ok=True)
    os.close(os.open(new, os.O_RDWR | os.O_CREAT | os.O_EXCL, 0o600))
    with closing(_connect(new, "mode=rw")) as connection:
        _run_script(connection, schema.create, schema.version)
    new.rename(place)
    directory = os.open(place.parent, os.O_RDONLY)
    try:
        os.fsync(directory)
    finally:
        os.close(directory)


def _version(place: Path, schema: Schema) -> int:
    """The version of the file; 0: a database without anything in it. Raises StoreError where it cannot be used."""
    look = _look(place)
    away = f"move it away ({place.name}, and {place.name}-wal where there is one), and a new one begins; {schema.holds} is lost with it"
    if look.damage:
        raise StoreError(f"{place} is damaged, or no database: {look.damage}; {away}")
    if look.version > schema.version:
        raise StoreError(f"{place} was written by a newer fusiond (version {look.version}, this one knows {schema.version}): use that one, or {away}")
    if look.version == 0 and look.tables:
        raise StoreError(f"{place} is the database of another program: choose another path")
    if look.version and not schema.steps.keys() >= set(range(look.version, schema.version)):
        raise StoreError(f"{place} has version {look.version}, and this fusiond knows no way from there to {schema.version}: {away}")
    return look.version


def _look(place: Path) -> _Look:
    """Raises OSError or sqlite3.Error where the file cannot be read for another reason than what is in it."""
    unclean = _size(_beside(place, "-wal")) > 0
    if place.exists():
        os.close(os.open(place, os.O_RDWR))  # while SQLite does not have it yet: closing would end SQLite's own locks
    if _size(place) == 0:  # SQLite would take it for a new one, and delete the log
        return _Look(damage="it is empty, its write-ahead log is not" if unclean else "it is empty, and no fusiond leaves it so")
    try:
        with closing(_connect(place, _way_to_look(place, unclean=unclean))) as connection:
            (version,) = connection.execute("PRAGMA user_version").fetchone()
            (tables,) = connection.execute("SELECT count(*) FROM sqlite_master").fetchone()
            (health,) = connection.execute("PRAGMA quick_check(1)").fetchone() if unclean else ("ok",)
    except sqlite3.DatabaseError as error:
        if error.sqlite_errorcode & 0xFF in {sqlite3.SQLITE_CORRUPT, sqlite3.SQLITE_NOTADB}:
            return _Look(damage=str(error))
        raise
    return _Look(version=version, tables=tables, damage=None if health == "ok" else health)


def _way_to_look(place: Path, *, unclean: bool) -> str:
    if _size(_beside(place, "-journal")) > 0:
        return "mode=rw"  # killed while it was created: only a writer can take that back
    return "mode=ro" if unclean else "mode=ro&immutable=1"  # the latter leaves no file behind, but does not see the log


def _connect(place: Path, how: str) -> sqlite3.Connection:
    """Transactions begin and end only where it is said; one thread at a time uses a connection."""
    return sqlite3.connect(f"{place.as_uri()}?{how}", uri=True, timeout=BUSY_SECONDS, isolation_level=None, check_same_thread=False)


def _prepare(connection: sqlite3.Connection, place: Path, *, durable: bool) -> None:
    if connection.execute("PRAGMA journal_mode = WAL").fetchone() != ("wal",):
        raise StoreError(f"{place}: this file system cannot hold a write-ahead log of SQLite; choose a path on a local disk")
    connection.execute(f"PRAGMA synchronous = {'FULL' if durable else 'NORMAL'}")


def _run_script(connection: sqlite3.Connection, script: str, version: int) -> None:
    """One transaction, which ends with the version. Raises sqlite3.Error, and then nothing has changed."""
    try:
        connection.executescript(f"BEGIN IMMEDIATE;\n{script}\n;PRAGMA user_version = {version};COMMIT")
    finally:
        if connection.in_transaction:
            connection.execute("ROLLBACK")


def _migrate(connection: sqlite3.Connection, place: Path, found: int, schema: Schema) -> None:
    """Bring the file to the schema's version; a copy of what it was is kept beside it, under a name that was free."""
    copy = _free_name(place, found)
    try:
        os.close(os.open(copy, os.O_RDWR | os.O_CREAT | os.O_EXCL, 0o600))
        with closing(_connect(copy, "mode=rw")) as target:
            connection.backup(target)
        _run_script(connection, "\n;".join(schema.steps[version] for version in range(found, schema.version)), schema.version)
    except (OSError, sqlite3.Error) as error:
        copy.unlink(missing_ok=True)  # made a moment ago, of a file that has not changed
        reason = f"{place} could not be brought from version {found} to {schema.version}, and is unchanged: {error}"
        raise StoreError(f"{reason}; make room on the disk, or use the fusiond that wrote it") from error
    log.warning("%s is of version %d now (it was %d); a copy of what it was is %s", place, schema.version, found, copy)


def _free_name(place: Path, version: int) -> Path:
    copy, number = _beside(place, f".v{version}.bak"), 2
    while os.path.lexists(copy):
        copy, number = _beside(place, f".v{version}.{number}.bak"), number + 1
    return copy


def _beside(place: Path, suffix: str) -> Path:
    return place.with_name(place.name + suffix)


def _size(path: Path) -> int:
    try:
        return path.stat().st_size
    except FileNotFoundError:
        return 0
