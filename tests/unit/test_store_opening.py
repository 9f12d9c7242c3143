"""How a file is opened: by one process alone, whole after a kill, brought to today's version, and left as it is where it cannot be used."""

from __future__ import annotations

import asyncio
import os
import signal
import sqlite3
import subprocess
import sys
from contextlib import closing
from pathlib import Path

import pytest

from fusiond.store import opening
from fusiond.store.database import Database, Schema, StoreError
from tests.storing import ALL, INSERT, NUMBERS, elsewhere, mounted, opened, prints, rows

TOP = Path(__file__).parents[2]
LATER = Schema(
    version=3,
    create="CREATE TABLE numbers (n INTEGER PRIMARY KEY, word TEXT NOT NULL, even INTEGER); CREATE TABLE more (n)",
    steps={1: "ALTER TABLE numbers ADD COLUMN even INTEGER; UPDATE numbers SET even = n % 2 = 0 -- a comment", 2: "CREATE TABLE more (n) -- ends it"},
    holds="every number",
)


WRITE = """
import asyncio, sys
from itertools import count
from pathlib import Path
from fusiond.store.database import Database, Schema
async def main():
    store = Database(Path(sys.argv[1]), Schema(version=1, create="CREATE TABLE numbers (n INTEGER PRIMARY KEY, word TEXT NOT NULL)"), durable=True)
    store.open()
    async def writer(first):
        for n in count(first, 20):
            store.put("INSERT INTO numbers VALUES (?, 'word')", (n,))
            await store.flushed()
            print(n, flush=True)
    async with asyncio.TaskGroup() as writers:
        for first in range(20):
            writers.create_task(writer(first))
asyncio.run(main())
"""
"""A process that says which numbers it was promised, until it is killed."""


def killed(path: Path, *, after: int = 60) -> list[int]:
    """The numbers that a process was promised before it was killed."""
    with subprocess.Popen([sys.executable, "-c", WRITE, str(path)], stdout=subprocess.PIPE) as writer:
        assert writer.stdout
        lines = [writer.stdout.readline() for _ in range(after)]
        writer.send_signal(signal.SIGKILL)
        lines += writer.stdout.readlines()
    assert writer.returncode == -signal.SIGKILL
    return [int(line) for line in lines if line.endswith(b"\n")]


def left_by_a_kill(path: Path, rows: int = 0) -> None:
    """A file of version 1 with so many rows, and one more that is still in its write-ahead log."""
    with closing(sqlite3.connect(path, isolation_level=None)) as connection, elsewhere(path, "SELECT 1"):
        connection.execute("PRAGMA journal_mode = WAL")
        connection.executescript(f"{NUMBERS.create}; PRAGMA user_version = 1; PRAGMA synchronous = OFF")
        connection.executemany(INSERT, [(n, "word" * 100) for n in range(1000, 1000 + rows)])
        connection.executescript("PRAGMA wal_checkpoint; INSERT INTO numbers VALUES (7, 'seven')")
        left = {name: Path(f"{path}{name}").read_bytes() for name in ("", "-wal")}
    for name, content in left.items():
        Path(f"{path}{name}").write_bytes(content)


def opens_and_closes(path: Path, schema: Schema) -> None:
    """All is well with the file."""
    store = Database(path, schema, durable=True)
    store.open()
    asyncio.run(store.aclose())


def refused(path: Path, schema: Schema = NUMBERS) -> str:
    """Why the file cannot be opened; that it is left as it is, and that nothing is held."""
    before = prints(path) if path.parent.is_dir() else {}
    for _ in range(2):
        with pytest.raises(StoreError) as error:
            Database(path, schema, durable=True).open()
        assert path.name in str(error.value)
        assert "another fusiond" not in str(error.value)
        assert (prints(path) if path.parent.is_dir() else {}) == before
    return str(error.value)


@pytest.fixture
def path(tmp_path: Path) -> Path:
    """Where the file of a test is."""
    return tmp_path / "numbers.db"


async def test_a_second_one_is_refused(path: Path) -> None:
    """It hears who keeps the file."""
    async with opened(path):
        with pytest.raises(StoreError, match=rf"another fusiond \(pid {os.getpid()}\) keeps .*numbers\.db"):
            Database(path, NUMBERS, durable=True).open()
        (path.parent / "alias.db").symlink_to(path)
        with pytest.raises(StoreError, match="another fusiond"):
            Database(path.parent / "alias.db", NUMBERS, durable=True).open()
    async with opened(path):
        pass


async def test_the_file_is_this_users_alone(tmp_path: Path) -> None:
    """0600 in a directory of 0700, its log too, whatever the mask."""
    path = tmp_path / "state" / "numbers.db"
    mask = os.umask(0)
    try:
        async with opened(path) as store:
            store.put(INSERT, (1, "one"))
            await store.flushed()
            assert {file.name: file.stat().st_mode & 0o777 for file in path.parent.iterdir()} == dict.fromkeys(
                ["numbers.db", "numbers.db-wal", "numbers.db-shm", "numbers.db.lock"], 0o600
            )
            assert path.parent.stat().st_mode & 0o777 == 0o700
    finally:
        os.umask(mask)


async def test_what_was_promised_survives_a_kill(path: Path) -> None:
    """Every number whose `flushed` returned is there, each writer's without a gap; the lock died with its process."""
    promised = killed(path)
    assert len(promised) >= 60
    async with opened(path) as store:
        found = {n for (n,) in await store.read(ALL)}
    assert set(promised) <= found
    for writer in range(20):
        assert sorted(n for n in found if n % 20 == writer) == [writer + 20 * i for i in range(sum(n % 20 == writer for n in found))]


# Versions


async def test_an_older_file_is_brought_to_today(path: Path) -> None:
    """Step by step, and what it was, with what was still in its log, is kept beside it."""
    left_by_a_kill(path)
    async with opened(path, LATER) as store:
        assert await store.read("SELECT n, word, even FROM numbers") == [(7, "seven", 0)]
        assert await store.read("PRAGMA user_version") == [(3,)]
        assert await store.read("SELECT * FROM more") == []
    copy = Path(f"{path}.v1.bak")
    assert rows(copy, "SELECT * FROM numbers") == [(7, "seven")]
    assert rows(copy, "PRAGMA user_version") == [(1,)]


def test_a_copy_never_takes_the_place_of_another(path: Path) -> None:
    """The next free name is used."""
    left_by_a_kill(path)
    first, second = Path(f"{path}.v1.bak"), Path(f"{path}.v1.2.bak")
    first.symlink_to("somebody's")
    opens_and_closes(path, LATER)
    assert second.stat().st_mode & 0o777 == 0o600
    assert first.readlink() == Path("somebody's")
    assert not first.exists()
    assert rows(second) == [(7,)]


async def test_a_step_that_fails_changes_nothing(path: Path) -> None:
    """Neither does it leave copies behind, however often it is tried."""
    async with opened(path) as store:
        store.put(INSERT, (7, "seven"))
    steps = {1: LATER.steps[1], 2: "CREATE TABLE more (n); INSERT INTO nowhere VALUES (1)"}
    reason = refused(path, Schema(version=3, create=LATER.create, steps=steps))
    assert "could not be brought from version 1 to 3, and is unchanged: no such table: nowhere" in reason
    async with opened(path) as store:
        assert await store.read("SELECT * FROM numbers") == [(7, "seven")]


def test_a_newer_file_is_left_alone(path: Path) -> None:
    """Even its log is where it was."""
    left_by_a_kill(path)
    with closing(sqlite3.connect(path)) as connection:
        connection.execute("PRAGMA user_version = 5")
    assert "written by a newer fusiond (version 5, this one knows 3)" in refused(path, LATER)
    path.unlink()
    left_by_a_kill(path)
    assert "use that one, or move it away" in refused(path, Schema(version=0, create=""))
    assert prints(path).keys() == {"numbers.db", "numbers.db-wal"}


async def test_a_way_that_is_missing(path: Path) -> None:
    """A version that no step leads on from."""
    async with opened(path):
        pass
    assert "knows no way from there to 3" in refused(path, Schema(version=3, create="", steps={2: ""}))


async def test_a_schema_that_is_wrong_leaves_an_empty_file(path: Path) -> None:
    """All of it or nothing; the right one is then made in its place."""
    with pytest.raises(StoreError, match="cannot be opened"):
        Database(path, Schema(version=1, create=f"{NUMBERS.create}; CREATE TABEL"), durable=True).open()
    async with opened(path) as store:
        assert await store.read(ALL) == []


# Files that cannot be used


@pytest.mark.parametrize("content", [b"\x93 no database at all " * 1000, b"short", b"SQLite format 3\x00" + b"\xa7" * 5000])
def test_what_is_no_database_is_left_alone(path: Path, content: bytes) -> None:
    """It is named, with the way out and what that costs."""
    path.write_bytes(content)
    assert "move it away (numbers.db, and numbers.db-wal where there is one), and a new one begins; every number is lost with it" in refused(path)


def test_a_file_cut_short_is_left_alone(path: Path) -> None:
    """Found without a check of the whole file."""
    left_by_a_kill(path, rows=500)
    rows(path)  # a clean end: the log is taken in
    path.write_bytes(path.read_bytes()[:20_000])
    assert prints(path).keys() == {path.name}
    assert "numbers.db is damaged, or no database: database disk image is malformed; move it away" in refused(path)


def test_a_damaged_page_is_found_after_a_kill(path: Path) -> None:
    """The whole file is checked where it was not closed."""
    left_by_a_kill(path, rows=500)
    with path.open("r+b") as file:
        file.seek(10 * 4096)
        file.write(b"\xff" * 4096)
    assert "numbers.db is damaged, or no database: " in refused(path)


def test_a_log_without_its_file_is_left_alone(path: Path) -> None:
    """SQLite would delete it, with all that it holds."""
    left_by_a_kill(path)
    path.write_bytes(b"")
    assert "it is empty, its write-ahead log is not" in refused(path)


def test_another_programs_database_is_left_alone(path: Path) -> None:
    """It has tables, and no version of ours."""
    with closing(sqlite3.connect(path)) as connection:
        connection.execute("CREATE TABLE theirs (n)")
    assert "another program" in refused(path)


def test_a_kill_while_it_is_created_is_taken_back(path: Path) -> None:
    """What was half made is in the file, and in a journal what to do about that."""
    with closing(sqlite3.connect(path, isolation_level=None)) as connection:
        connection.executescript("PRAGMA cache_size = 1; BEGIN; CREATE TABLE numbers (half)")
        connection.executemany("INSERT INTO numbers VALUES (?)", [("word" * 1000,)] * 100)
        left = {name: Path(f"{path}{name}").read_bytes() for name in ("", "-journal")}
    for name, content in left.items():
        Path(f"{path}{name}").write_bytes(content)
    assert len(left[""]) > 100_000
    opens_and_closes(path, NUMBERS)
    assert rows(path, "SELECT n, word FROM numbers") == []


def test_an_empty_file_is_left_alone(path: Path) -> None:
    """All that it held is gone, and nothing begins anew as if it had never been."""
    path.touch()
    words = "it is empty, and no fusiond leaves it so; move it away (numbers.db, and numbers.db-wal where there is one), and a new one begins"
    assert words in refused(path)
    path.unlink()
    opens_and_closes(path, NUMBERS)
    assert rows(path) == []


KILLED = """
import os, signal, sys
from contextlib import suppress
from itertools import count
from pathlib import Path
from fusiond.store import opening
from tests.storing import NUMBERS

path = Path(sys.argv[1])
left, connect = 0, opening._connect

def step(*_):
    global left
    left -= 1
    if left == 0:
        os.kill(os.getpid(), signal.SIGKILL)

def watched(place, how):
    connection = connect(place, how)
    connection.set_progress_handler(step, 10)
    return connection

def version():
    with opening.opened(path, NUMBERS, durable=True) as (_, reading):
        reading.execute("SELECT n, word FROM numbers").fetchall()
        return reading.execute("PRAGMA user_version").fetchone()

for left in count(1):
    child = os.fork()
    if child == 0:
        sys.addaudithook(step)
        opening._connect = watched
        version()
        os._exit(0)
    ended = os.waitpid(child, 0)[1]
    assert version() == (1,)
    if ended == 0:
        break
    assert ended == signal.SIGKILL, ended
    for file in path.parent.iterdir():
        file.unlink()
print(left)
"""
"""A file is created again and again, by a process that is killed at each step of it: before every call of the system, and within SQLite."""


def test_a_kill_at_any_moment_of_its_creation(path: Path) -> None:
    """The next one can use it, or begins anew."""
    done = subprocess.run([sys.executable, "-c", KILLED, str(path)], cwd=TOP, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    assert int(done.stdout) > 20


async def test_closing_after_a_failed_opening(tmp_path: Path) -> None:
    """Nothing is held, and nothing is to be done."""
    store = Database(tmp_path, NUMBERS, durable=True)
    with pytest.raises(StoreError):
        store.open()
    await store.aclose()


def test_a_directory_is_no_file(path: Path) -> None:
    """Neither is what lies below a file."""
    path.mkdir()
    assert "Is a directory" in refused(path)
    (path / "file").touch()
    assert "Not a directory" in refused(path / "file" / "numbers.db")


def test_a_disk_that_cannot_be_written(tmp_path: Path) -> None:
    """It is said when it is opened, not when the first write is lost."""
    with mounted(tmp_path / "fixed", "ro,size=1m"):
        assert "Read-only file system" in refused(tmp_path / "fixed" / "numbers.db")


def test_a_locked_file_is_not_called_damaged(path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Another program has it for itself: that passes."""
    monkeypatch.setattr(opening, "BUSY_SECONDS", 0.0)
    left_by_a_kill(path)
    with elsewhere(path, "PRAGMA locking_mode = EXCLUSIVE") as other:
        other.executescript("BEGIN EXCLUSIVE; INSERT INTO numbers VALUES (9, 'nine'); COMMIT")
        assert "cannot be opened: database is locked" in refused(path)
