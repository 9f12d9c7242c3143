"""A file of SQLite: what was promised is in it, on a full disk too, and nobody waits for the disk but who asks to."""

from __future__ import annotations

import asyncio
import logging
import threading
from collections.abc import Callable, Mapping, Sequence
from contextlib import nullcontext, suppress
from pathlib import Path

import pytest

from fusiond.store import database, opening
from fusiond.store.database import Database, Schema, StoreError, Table
from fusiond.store.transaction import Queued
from tests.storing import ALL, INSERT, NUMBERS, elsewhere, mounted, opened, prints, rows


async def written(store: Database) -> None:
    """Wait for it, now that the disk takes it: a try that began before may still fail, the next one may not."""
    with suppress(StoreError):
        await store.flushed()
    await store.flushed()


def why(store: Database) -> str | None:
    """Why the last commit failed, which may change while others run."""
    return store.failing


@pytest.fixture
def path(tmp_path: Path) -> Path:
    """Where the file of a test is."""
    return tmp_path / "numbers.db"


async def test_what_is_flushed_is_read_here_and_elsewhere(path: Path) -> None:
    """Committed rows are in the file; a read sees them, with its parameters, and cannot write."""
    async with opened(path) as store:
        assert store.put(INSERT, (1, "one"), (2, "two"))
        assert store.put("DELETE FROM numbers WHERE n = 1")
        await store.flushed()
        assert await store.read("SELECT * FROM numbers WHERE n > ?", (0,)) == [(2, "two")]
        assert rows(path) == [(2,)]
        with pytest.raises(StoreError, match=r"numbers\.db cannot be read.*readonly"):
            await store.read("DELETE FROM numbers")
        with pytest.raises(StoreError, match="no such table: letters"):
            await store.read("SELECT * FROM letters")
        await store.flushed()  # nothing waits: at once


async def test_a_closed_file_is_whole_and_opens_again(path: Path) -> None:
    """What waits when it is closed is committed, and the log is taken in; the schema is made once."""
    async with opened(path) as store:
        for n in range(100):
            store.put(INSERT, (n, "word"))
    assert prints(path).keys() == {path.name}
    async with opened(path) as store:
        assert await store.read(ALL) == [(n,) for n in range(100)]


@pytest.mark.parametrize(("durable", "synchronous"), [(True, 2), (False, 1)])
async def test_what_is_durable_is_synced(path: Path, durable: bool, synchronous: int) -> None:
    """FULL for what must survive a power cut, NORMAL for the rest; a write-ahead log for both."""
    async with opened(path, durable=durable) as store:
        assert store._writing.execute("PRAGMA synchronous").fetchone() == (synchronous,)
        assert store._writing.execute("PRAGMA journal_mode").fetchone() == ("wal",)


async def test_two_hundred_who_wait_cost_few_commits(path: Path) -> None:
    """While one commit is held up, all others come together into the next; the event loop and readers go on meanwhile."""
    async with opened(path) as store:
        statements: list[str] = []
        store._writing.set_trace_callback(statements.append)

        async def write(n: int) -> None:
            store.put(INSERT, (n, "word"))
            await store.flushed()

        async with asyncio.TaskGroup() as tasks:
            with elsewhere(path):
                writers = [tasks.create_task(write(n)) for n in range(200)]
                assert await store.read(ALL) == []
                assert not any(writer.done() for writer in writers)
        assert 1 <= statements.count("COMMIT") <= 3
        assert await store.read(ALL) == [(n,) for n in range(200)]


async def test_the_limit_counts_what_waits(path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Beyond it a write is dropped, and there is room again once the others are written."""
    monkeypatch.setattr(opening, "BUSY_SECONDS", 0.0)
    async with opened(path, limit=3) as store:
        with elsewhere(path):
            assert [store.put(INSERT, (n, "word")) for n in range(5)] == [True, True, True, False, False]
            with pytest.raises(StoreError):
                await store.flushed()
            assert not store.put(INSERT, (9, "word"))
        await written(store)
        assert store.put(INSERT, (6, "word"))
        await store.flushed()
        assert await store.read(ALL) == [(0,), (1,), (2,), (6,)]


# When the disk refuses


async def test_a_refused_commit_is_tried_again_in_order(path: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture) -> None:
    """Waiters are told, `failing` says why, and in the end everything is written once, in the order in which it was put."""
    monkeypatch.setattr(opening, "BUSY_SECONDS", 0.0)
    schema = Schema(version=1, create="CREATE TABLE numbers (n INTEGER)")
    async with opened(path, schema) as store:
        with elsewhere(path):
            for n in (3, 1, 2):
                store.put("INSERT INTO numbers VALUES (?)", (n,))
                with pytest.raises(StoreError, match=r"numbers\.db cannot be written: database is locked"):
                    await store.flushed()
            assert why(store) == f"{path} cannot be written: database is locked"
            assert [record.levelname for record in caplog.records] == ["ERROR"]
        store.put("INSERT INTO numbers VALUES (?)", (0,))
        await written(store)
        assert why(store) is None
        assert await store.read("SELECT n FROM numbers ORDER BY rowid") == [(3,), (1,), (2,), (0,)]
        assert [record.levelname for record in caplog.records] == ["ERROR", "WARNING"]


async def test_it_tries_again_without_being_called(path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Nobody puts or waits, and still it is written once the disk takes it."""
    monkeypatch.setattr(opening, "BUSY_SECONDS", 0.0)
    monkeypatch.setattr(database, "RETRY_SECONDS", 0.01)
    async with opened(path) as store:
        committed = threading.Event()
        with elsewhere(path):
            store.put(INSERT, (1, "one"))
            with pytest.raises(StoreError):
                await store.flushed()
            store._writing.set_trace_callback(lambda sql: committed.set() if sql == "COMMIT" else None)
        assert await asyncio.to_thread(committed.wait, 10)
        await store.flushed()
        assert rows(path) == [(1,)]


async def fills_up(store: Database, make_room: Callable[[], object]) -> None:
    """Write until the disk is full, make room, and see that everything is there."""
    flushed = -1

    async def fill() -> None:
        nonlocal flushed
        for flushed in range(10_000):
            store.put(INSERT, (flushed, "x" * 10_000))
            await store.flushed()

    with pytest.raises(StoreError, match=r"disk is full|disk I/O error"):
        await fill()
    assert flushed > 0
    assert why(store)
    assert await store.read(ALL) == [(n,) for n in range(flushed)]
    store.put(INSERT, (flushed + 1, "last"))
    with pytest.raises(StoreError):
        await store.flushed()
    make_room()
    await written(store)
    assert why(store) is None
    assert await store.read(ALL) == [(n,) for n in range(flushed + 2)]


async def test_a_full_file(path: Path) -> None:
    """The same refusal as a full disk's, from SQLite's own limit."""
    async with opened(path) as store:
        store._writing.execute("PRAGMA max_page_count = 100")
        await fills_up(store, lambda: store._writing.execute("PRAGMA max_page_count = 1000"))


async def test_a_full_disk(tmp_path: Path) -> None:
    """A real one, where the log and its index share what is left with another file."""
    with mounted(tmp_path / "small", "size=1m"):
        ballast = tmp_path / "small" / "ballast"
        ballast.write_bytes(bytes(300_000))
        async with opened(tmp_path / "small" / "numbers.db") as store:
            await fills_up(store, ballast.unlink)


async def test_a_full_disk_at_the_end_is_logged(path: Path, caplog: pytest.LogCaptureFixture, monkeypatch: pytest.MonkeyPatch) -> None:
    """What cannot be written when it is closed is lost, and said to be; the lock is let go."""
    monkeypatch.setattr(opening, "BUSY_SECONDS", 0.0)
    async with opened(path):
        pass
    with elsewhere(path, "SELECT 1") as other:
        async with opened(path) as store:
            other.execute("BEGIN IMMEDIATE")
            store.put(INSERT, (1, "one"))
            store.put(INSERT, (2, "two"))
    assert f"{path}: 2 writes are lost: {path} cannot be written: database is locked" in caplog.messages
    async with opened(path) as store:
        assert await store.read(ALL) == []


# Rows that are kept whole

TABLE = Table("numbers", ("n", "word"))
WORDS = "SELECT n, word FROM numbers ORDER BY n"


@pytest.mark.parametrize("count", [1, 2, 3, 31, 32, 33, 100])
async def test_rows_that_come_together_are_all_kept(path: Path, count: int) -> None:
    """However many; and what a statement between them does is done in its turn."""
    async with opened(path) as store:
        for n in range(count):
            store.keep(TABLE, (n, f"{n}"))
        store.put("UPDATE numbers SET word = word || '!'")
        store.keep(TABLE, (count, "last"))
        await store.flushed()
        assert await store.read(WORDS) == [*((n, f"{n}!") for n in range(count)), (count, "last")]


async def test_the_last_row_with_a_key_stands(path: Path) -> None:
    """Within one transaction, and over the one that was written before."""
    async with opened(path) as store:
        for word in ("first", "second"):
            store.keep(TABLE, (1, word))
        store.keep(TABLE, (2, "two"))
        await store.flushed()
        assert await store.read(WORDS) == [(1, "second"), (2, "two")]
        store.keep(TABLE, (1, "third"))
        await store.flushed()
        assert await store.read(WORDS) == [(1, "third"), (2, "two")]


async def test_a_row_that_is_wrong_takes_no_other_with_it(path: Path, caplog: pytest.LogCaptureFixture) -> None:
    """Those that came with it are kept, before and after it."""
    async with opened(path) as store:
        for n, word in enumerate(("zero", None, "two", "\ud800", "four")):
            store.keep(TABLE, (n, word))
        with pytest.raises(StoreError, match="does not take a statement"):
            await store.flushed()
        assert await store.read(WORDS) == [(0, "zero"), (2, "two"), (4, "four")]
        assert store.failing is None
    wrong = [record for record in caplog.messages if "a wrong statement is left out" in record]
    assert ["NOT NULL" in message for message in wrong] == [True, False]
    assert "surrogates not allowed" in wrong[1]


# Statements that are wrong


@pytest.mark.parametrize(
    ("sql", "values", "reason"),
    [
        (INSERT, ((1, "again"),), "UNIQUE constraint failed"),
        (INSERT, ((5, "five"), (6, None)), "NOT NULL constraint failed"),
        ("INSERT OR ROLLBACK INTO numbers VALUES (?, ?)", ((1, "again"),), "UNIQUE constraint failed"),
        ("INSERT INTO letters VALUES (?)", (("a",),), "no such table"),
        ("INSRET", (), "syntax error"),
        (INSERT, ((1,),), "bindings"),
        (INSERT, ((2**63, "large"),), "too large"),
        (INSERT, ((3, "\ud800"),), "surrogates"),
        (f"{INSERT}; {INSERT}", ((5, "five"),), "one statement"),
    ],
)
async def test_a_wrong_statement_is_left_out_alone(
    path: Path, caplog: pytest.LogCaptureFixture, sql: str, values: tuple[tuple[int | str, ...], ...], reason: str
) -> None:
    """Who waits for it is told and it is logged; those before and after it are written once, and nothing is held up."""
    async with opened(path) as store:
        with elsewhere(path):  # all of them come into one batch, or the first alone
            store.put(INSERT, (1, "one"))
            before = asyncio.ensure_future(store.flushed())
            await asyncio.sleep(0)
            store.put(INSERT, (2, "two"))
            store.put(sql, *values)
            store.put(INSERT, (4, "four"))
            after = asyncio.ensure_future(store.flushed())
            await asyncio.sleep(0)
        await before
        with pytest.raises(StoreError, match=reason):
            await after
        await store.flushed()
        assert why(store) is None
        assert await store.read(ALL) == [(1,), (2,), (4,)]
        assert [record.levelno for record in caplog.records] == [logging.ERROR]


async def test_a_wrong_statement_found_too_soon_is_told_to_the_next(path: Path) -> None:
    """The writer may be faster than whoever is about to wait."""
    async with opened(path) as store:
        done = threading.Event()
        store.put(INSERT, (1, "one"))
        await store.flushed()
        store._writing.set_trace_callback(lambda sql: done.set() if sql == "COMMIT" else None)
        store.put(INSERT, (1, "again"))
        done.wait(10)
        with pytest.raises(StoreError, match="UNIQUE"):
            await store.flushed()
        await store.flushed()


async def test_who_waited_for_the_first_leaves_the_second_to_its_own(path: Path) -> None:
    """Of two wrong statements in one batch each is told to whoever waits for it."""
    async with opened(path) as store:
        with store._turn:  # nothing is taken before all of it is there
            store.put("INSRET")
            first = asyncio.ensure_future(store.flushed())
            await asyncio.sleep(0)
            store.put("UPDTAE")
        with pytest.raises(StoreError, match="INSRET"):
            await first
        with pytest.raises(StoreError, match="UPDTAE"):
            await store.flushed()
        await store.flushed()


@pytest.mark.parametrize("together", [True, False])
async def test_who_waited_for_both_hears_it_once(path: Path, monkeypatch: pytest.MonkeyPatch, together: bool) -> None:
    """And the next one hears nothing of it, whether they were in one batch or in two."""
    began, settled = threading.Event(), threading.Semaphore(0)
    async with opened(path) as store:
        settle = store._settle

        def counted(batch: Sequence[Queued], wrong: Mapping[Queued, str]) -> None:
            settle(batch, wrong)
            for _ in batch:
                settled.release()

        monkeypatch.setattr(store, "_settle", counted)
        store._writing.set_trace_callback(lambda _: began.set())
        with elsewhere(path), store._turn if together else nullcontext():
            store.put("INSRET")
            assert together or await asyncio.to_thread(began.wait, 10)
            store.put("UPDTAE")
            both = asyncio.ensure_future(store.flushed())
            await asyncio.sleep(0)
        assert settled.acquire(timeout=10)
        assert settled.acquire(timeout=10)
        with pytest.raises(StoreError, match="INSRET"):
            await both
        await store.flushed()


# Waiters that leave


async def test_a_cancelled_waiter_harms_nobody(path: Path, caplog: pytest.LogCaptureFixture) -> None:
    """What it put is written, and others hear of it."""
    async with opened(path) as store:
        with elsewhere(path):
            store.put(INSERT, (1, "one"))
            gone, stays = asyncio.ensure_future(store.flushed()), asyncio.ensure_future(store.flushed())
            await asyncio.sleep(0)
            gone.cancel()
        await stays
        assert gone.cancelled()
        assert rows(path) == [(1,)]
        assert not caplog.records


def test_a_loop_that_is_closed_harms_nobody(path: Path) -> None:
    """The writer's thread goes on for those who come after."""
    store = Database(path, NUMBERS, durable=True)
    store.open()

    async def leave() -> None:
        store.put(INSERT, (1, "one"))
        with pytest.raises(TimeoutError):
            async with asyncio.timeout(0):
                await store.flushed()

    async def come() -> None:
        store.put(INSERT, (2, "two"))
        await store.flushed()
        await store.aclose()

    with elsewhere(path):
        asyncio.run(leave())
    asyncio.run(come())
    assert rows(path) == [(1,), (2,)]


async def test_what_is_not_open_says_so(path: Path) -> None:
    """Before it is opened and after it is closed nothing is taken; closing is safe at any time, and twice."""
    store = Database(path, NUMBERS, durable=True)
    await nothing_is_taken(store)
    store.open()
    store.put(INSERT, (1, "one"))
    await store.aclose()
    await nothing_is_taken(store)
    await store.aclose()
    await Database(path, NUMBERS, durable=True).aclose()
    assert rows(path) == [(1,)]


async def nothing_is_taken(store: Database) -> None:
    """Every way in is shut, and says so; nothing waits."""
    with pytest.raises(StoreError, match=r"numbers\.db is not open"):
        store.put(INSERT, (2, "two"))
    with pytest.raises(StoreError, match=r"numbers\.db is not open"):
        await store.read(ALL)
    await store.flushed()
