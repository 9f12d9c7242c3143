"""The records: a row for every request and every exchange, page by page, whatever the disk and the clock do."""

from __future__ import annotations

import asyncio
import json
import signal
import subprocess
import sys
import tempfile
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from dataclasses import replace
from datetime import datetime
from decimal import Decimal
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from fusiond.members.egress import Egress, Exchange
from fusiond.store import opening, records, requests
from fusiond.store.database import StoreError, Value
from fusiond.store.records import Records
from fusiond.store.requests import RequestRow
from tests.storing import elsewhere, rows

NOW = 1_764_000_000.123
"""2025-11-24, 16:00 UTC."""

DAY = 86_400

MEMBER: dict[str, str | int | float | None] = {
    "member": "sol",
    "sample": 1,
    "role": "panel",
    "place": "remote",
    "status": "answered",
    "key": "B",
    "first_token_ms": 12.5,
    "total_ms": 99.0,
    "prompt_tokens": 10,
    "completion_tokens": None,
    "cost_usd": "0.000000001234",
    "error": None,
}

ROW = RequestRow(
    id="0a1b",
    time=NOW,
    model="fusion/quick",
    fusion="quick",
    strategy="vote",
    status=200,
    decision="agreed",
    confidence=0.75,
    agreement=1.0,
    key="B",
    degraded=("offline", "members"),
    privacy="any",
    error=None,
    milliseconds=1234.5,
    prompt_tokens=10,
    completion_tokens=20,
    cost_usd=Decimal("1.5E-7"),
    saved_usd=Decimal("-0.10"),
    members=(MEMBER,),
)


class Clock:
    """Seconds since 1970, set by the test."""

    def __init__(self) -> None:
        self.now = NOW

    def __call__(self) -> float:
        """Now."""
        return self.now


@asynccontextmanager
async def kept(directory: Path, clock: Clock | None = None) -> AsyncIterator[Records]:
    """Records that are open, and closed in the end."""
    store = Records(directory, clock or Clock())
    await store.open()
    try:
        yield store
    finally:
        await store.aclose()


def ids(page: Sequence[dict[str, Any]]) -> list[str]:
    """The requests of a page."""
    return [row["id"] for row in page]


async def exchange(egress: Egress, sent: int, request_id: str | None = "0a1b") -> Exchange:
    """Something that is about to leave."""
    return await egress.leaving(host="example.org:443", member="sol", request_id=request_id, sent=sent)


async def sizes(store: Records) -> list[tuple[int, int]]:
    """Bytes sent and received of every exchange, oldest first."""
    page, _ = await store.egress(limit=500)
    return [(row["bytes_sent"], row["bytes_received"]) for row in reversed(page)]


def why(store: Records) -> str | None:
    """The fault, which may change while others run."""
    return store.fault


# What is told


async def test_a_request_is_told_as_it_was(tmp_path: Path) -> None:
    """Amounts are plain decimals, the time is UTC; a page has no texts, the request has those that were kept."""
    facts = {
        "id": "0a1b",
        "time": "2025-11-24T16:00:00.123Z",
        "model": "fusion/quick",
        "fusion": "quick",
        "strategy": "vote",
        "status": 200,
        "decision": "agreed",
        "confidence": 0.75,
        "agreement": 1.0,
        "key": "B",
        "degraded": ["offline", "members"],
        "privacy": "any",
        "error": None,
        "milliseconds": 1234.5,
        "prompt_tokens": 10,
        "completion_tokens": 20,
        "cost_usd": "0.00000015",
        "saved_usd": "-0.1",
        "members": [MEMBER],
    }
    async with kept(tmp_path) as store:
        store.add(ROW)
        store.add(replace(ROW, id="0a1c", time=NOW - 1, prompt="[user] Why?", answer="So."))
        page, following = await store.requests()
        assert page == [facts, facts | {"id": "0a1c", "time": "2025-11-24T15:59:59.123Z"}]
        assert following is None
        json.dumps(page)
        assert await store.request("0a1b") == facts | {"prompt": None, "answer": None}
        with_texts = await store.request("0a1c")
        assert with_texts
        assert (with_texts["prompt"], with_texts["answer"]) == ("[user] Why?", "So.")
        assert await store.request("0a1d") is None


async def test_an_exchange_counts_from_before_it_leaves(tmp_path: Path) -> None:
    """It is there with what is about to leave, then with what has left; whom it went to, and nothing else."""
    async with kept(tmp_path) as store:
        entry = await exchange(store, 500)
        assert await sizes(store) == [(500, 0)]
        entry.left(sent=640, received=70)
        await store.leaving(host="example.net", member=None, request_id=None, sent=1)
        page, following = await store.egress()
        first = {"time": "2025-11-24T16:00:00.123Z", "request_id": "0a1b", "member": "sol", "host": "example.org:443"}
        assert page == [
            {"time": first["time"], "request_id": None, "member": None, "host": "example.net", "bytes_sent": 1, "bytes_received": 0},
            first | {"bytes_sent": 640, "bytes_received": 70},
        ]
        assert following is None


@given(milliseconds=st.integers(0, 4_000_000_000_000))
def test_a_time_that_was_told_finds_its_row(milliseconds: int) -> None:
    """Neither the way into the file nor the way out of it moves a time by a millisecond."""
    told = records._told(("time",), (requests.milliseconds(milliseconds / 1000),))["time"]
    assert requests.milliseconds(datetime.fromisoformat(told).timestamp()) == milliseconds


async def test_text_that_is_no_text_is_kept_all_the_same(tmp_path: Path) -> None:
    """Half of a surrogate pair, a zero and any other sign."""
    async with kept(tmp_path) as store:
        store.add(replace(ROW, key="\ud800", prompt="ä\0é", answer="\udfff!", members=(MEMBER | {"key": "\ud800"},)))
        await store.leaving(host="\udc80", member=None, request_id=None, sent=1)
        await store.flushed()
        row = await store.request("0a1b")
        assert row
        assert (row["key"], row["prompt"], row["answer"], row["members"][0]["key"]) == ("?", "ä\0é", "?!", "\ud800")
        assert store.dropped == 0


# Pages

FEW = st.integers(0, 4)
"""So few times that many are the same."""

ROWS = st.lists(
    st.builds(
        replace,
        st.just(ROW),
        time=FEW.map(float),
        model=st.sampled_from(("a", "b")),
        fusion=st.sampled_from(("f", None)),
        status=st.sampled_from((200, 502)),
    ),
    max_size=12,
)


def fits(row: RequestRow, filters: dict[str, Any]) -> bool:
    """Whether a row is one of those that are asked for."""
    since = filters["since"]
    return all(filters[name] in {None, getattr(row, name)} for name in ("model", "fusion", "status")) and (since is None or row.time >= since)


def newest_first(added: Sequence[RequestRow]) -> list[str]:
    """Of equal times, the one that came last is first."""
    return [row.id for _, row in sorted(enumerate(added), key=lambda pair: (pair[1].time, pair[0]), reverse=True)]


@settings(max_examples=40, deadline=None)
@given(
    there=ROWS,
    meanwhile=ROWS,
    limit=st.integers(1, 6),
    filters=st.fixed_dictionaries(
        {
            "model": st.sampled_from((None, "a", "b")),
            "fusion": st.sampled_from((None, "f")),
            "status": st.sampled_from((None, 200, 502)),
            "since": st.none() | FEW.map(float),
        }
    ),
    by_id=st.booleans(),
)
async def test_every_row_is_on_one_page(
    there: list[RequestRow], meanwhile: list[RequestRow], limit: int, filters: dict[str, Any], by_id: bool
) -> None:
    """Whatever the filters, and whether a page begins after a mark or after a request; rows that come meanwhile move none of the others."""
    there = [replace(row, id=f"a{n}") for n, row in enumerate(there)]
    coming = [replace(row, id=f"b{n}") for n, row in enumerate(meanwhile)]
    seen: list[str] = []
    times: list[str] = []
    with tempfile.TemporaryDirectory() as directory:
        async with kept(Path(directory)) as store:
            for row in there:
                store.add(row)
            before, more = None, True
            while more:
                page, following = await store.requests(limit=limit, before=before, **filters)
                assert page or before is None  # a mark leads to something
                seen += ids(page)
                times += [row["time"] for row in page]
                assert len(page) == limit or following is None
                more = following is not None
                before = seen[-1] if by_id and seen else following
                if coming:
                    store.add(coming.pop())
    assert [name for name in seen if name.startswith("a")] == newest_first([row for row in there if fits(row, filters)])
    assert len(set(seen)) == len(seen)
    assert times == sorted(times, reverse=True)


@settings(max_examples=20, deadline=None)
@given(times=st.lists(FEW, max_size=12), limit=st.integers(1, 6), only=st.sampled_from((None, "even", "odd")))
async def test_every_exchange_is_on_one_page(times: list[int], limit: int, only: str | None) -> None:
    """Newest first, of one request or of all."""
    clock = Clock()
    seen: list[int] = []
    with tempfile.TemporaryDirectory() as directory:
        async with kept(Path(directory), clock) as store:
            for n, moment in enumerate(times):
                clock.now = moment
                await exchange(store, n, ("even", "odd")[n % 2])
            before, more = None, True
            while more:
                page, before = await store.egress(limit=limit, before=before, request_id=only)
                assert page or not seen
                seen += [row["bytes_sent"] for row in page]
                more = before is not None
    numbers = [n for n in range(len(times)) if only in {None, ("even", "odd")[n % 2]}]
    assert seen == sorted(numbers, key=lambda n: (times[n], n), reverse=True)


async def test_a_mark_outlives_its_row(tmp_path: Path) -> None:
    """A page goes on from where it was when the rows before it are gone; an id that is gone is no place."""
    clock = Clock()
    async with kept(tmp_path, clock) as store:
        for n in range(4):
            store.add(replace(ROW, id=f"a{n}", time=NOW - n))
        _, following = await store.requests(limit=2)
        store._database.put("DELETE FROM requests WHERE id = 'a1'")
        page, _ = await store.requests(before=following)
        assert ids(page) == ["a2", "a3"]
        for wrong in ("a1", "", "1-", "9" * 17 + "-1"):
            with pytest.raises(ValueError, match="before must be"):
                await store.requests(before=wrong)
        with pytest.raises(ValueError, match="before must be"):
            await store.egress(before="a2")


@pytest.mark.parametrize(
    ("sql", "parameters"),
    [(requests.SOME_REQUESTS, (*records._NEWEST, 0, "m", None, 502, 51)), (requests.SOME_EGRESS, (*records._NEWEST, "0a1b", 51))],
)
async def test_a_page_is_read_in_order(tmp_path: Path, sql: str, parameters: tuple[Value, ...]) -> None:
    """Out of the index by time: nothing is sorted, and no table is read from end to end."""
    async with kept(tmp_path) as store:
        ((*_, how),) = await store._database.read(f"EXPLAIN QUERY PLAN {sql}", parameters)
        assert "USING INDEX" in how
        assert "_by_time" in how


# Before it is open, and when it cannot be


async def test_what_comes_before_it_is_open_is_kept(tmp_path: Path) -> None:
    """Entries go on with their own numbers, beside those that are in the file; nothing can be read yet."""
    async with kept(tmp_path) as earlier:
        for sent in (1, 2, 3):
            await exchange(earlier, sent)
        for n in range(4):
            earlier.add(replace(ROW, id=f"a{n}", time=NOW - 1))
    store = Records(tmp_path, Clock())
    first, second, third = await exchange(store, 4), await exchange(store, 5), await exchange(store, 6)
    first.left(sent=40, received=400)
    store.add(ROW)
    assert (store.fault, store.dropped) == (None, 0)
    for reading in (store.requests(), store.egress(), store.request("0a1b"), store.flushed()):
        with pytest.raises(StoreError, match="not open yet"):
            await reading
    await store.open()
    third.left(sent=60, received=600)
    fourth = await exchange(store, 7)
    second.left(sent=50, received=500)
    fourth.left(sent=70, received=700)
    assert await sizes(store) == [(1, 0), (2, 0), (3, 0), (40, 400), (50, 500), (60, 600), (70, 700)]
    assert ids((await store.requests())[0]) == ["0a1b", "a3", "a2", "a1", "a0"]
    await store.aclose()
    assert store.dropped == 0


async def test_not_too_much_waits_for_it_to_open(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The rest is dropped, and counted."""
    monkeypatch.setattr(records, "EARLY", 2)
    store = Records(tmp_path, Clock())
    for sent in range(5):
        await exchange(store, sent)
    await store.open()
    await exchange(store, 5)
    assert await sizes(store) == [(0, 0), (1, 0), (5, 0)]
    assert store.dropped == 3
    await store.aclose()


async def test_without_a_file_everything_is_taken_and_dropped(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    """It is said once why; nobody is hindered, and who wants to read is told."""
    async with kept(tmp_path) as owner:
        owner.add(ROW)
        store = Records(tmp_path, Clock())
        store.add(replace(ROW, id="early"))
        await store.open()
        (await exchange(store, 1)).left(sent=1, received=1)
        await store.prune(30)
        assert store.fault
        assert "another fusiond" in store.fault
        assert store.dropped == 3
        assert [record.levelname for record in caplog.records] == ["WARNING"]
        for reading in (store.requests(), store.egress(), store.request("0a1b"), store.flushed()):
            with pytest.raises(StoreError, match="another fusiond"):
                await reading
        await store.aclose()
        assert ids((await owner.requests())[0]) == ["0a1b"]


async def test_after_the_end_nothing_is_taken(tmp_path: Path) -> None:
    """What was put before is in the file; what comes late is dropped."""
    async with kept(tmp_path) as store:
        store.add(ROW)
    store.add(replace(ROW, id="late"))
    assert store.dropped == 1
    assert store.fault == "the records are closed"
    assert rows(tmp_path / records.FILE, "SELECT id FROM requests") == [("0a1b",)]


async def test_closed_before_it_was_open(tmp_path: Path) -> None:
    """What waited is dropped."""
    store = Records(tmp_path, Clock())
    store.add(ROW)
    await store.aclose()
    assert store.dropped == 1


# When the disk refuses


async def test_a_full_disk(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """So many rows wait, the others are dropped and counted; those that waited are written when there is room."""
    monkeypatch.setattr(records, "WAITING", 5)
    async with kept(tmp_path) as store:
        store.add(ROW)
        await store.flushed()
        writing = store._database._writing
        (pages,) = writing.execute("PRAGMA page_count").fetchone()
        writing.execute(f"PRAGMA max_page_count = {pages}")
        store.add(replace(ROW, id="large", time=NOW + 1, answer="x" * 100_000))
        with pytest.raises(StoreError, match="disk is full"):
            await store.flushed()
        for n in range(10):
            store.add(replace(ROW, id=f"a{n}", time=NOW + 2 + n))
        assert store.dropped == 6
        assert "disk is full" in (why(store) or "")
        assert ids((await store.requests())[0]) == ["0a1b"]
        await store.prune(30)  # nothing is old, and it does not raise
        writing.execute("PRAGMA max_page_count = 100000")
        await store.requests()  # a try that began before may still fail, the next one may not
        await store.flushed()
        assert ids((await store.requests())[0]) == ["a3", "a2", "a1", "a0", "large", "0a1b"]
        assert why(store) is None
        assert store.dropped == 6


async def test_what_is_in_the_file_is_read_when_it_cannot_be_written(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A page shows what there is; old rows stay, and nothing is raised."""
    monkeypatch.setattr(opening, "BUSY_SECONDS", 0.0)
    clock = Clock()
    async with kept(tmp_path, clock) as store:
        store.add(ROW)
        await store.flushed()
        clock.now += 31 * DAY
        with elsewhere(tmp_path / records.FILE):
            store.add(replace(ROW, id="waits"))
            assert ids((await store.requests())[0]) == ["0a1b"]
            await store.prune(30)
            assert ids((await store.requests())[0]) == ["0a1b"]


DIES = """
import asyncio, os, signal
from pathlib import Path
from fusiond.store.records import Records
async def main():
    store = Records(Path({directory!r}), lambda: {now})
    await store.open()
    entry = await store.leaving(host="example.org", member="sol", request_id="0a1b", sent=1)
    entry.left(sent=20, received=300)
    await store.flushed()
    os.kill(os.getpid(), signal.SIGKILL)
asyncio.run(main())
"""


def test_what_is_flushed_outlives_a_kill(tmp_path: Path) -> None:
    """The process is gone at once, and nothing was closed."""
    killed = subprocess.run([sys.executable, "-c", DIES.format(directory=str(tmp_path), now=NOW)], check=False)
    assert killed.returncode == -signal.SIGKILL

    async def read() -> None:
        async with kept(tmp_path) as store:
            await exchange(store, 1)
            assert await sizes(store) == [(20, 300), (1, 0)]

    asyncio.run(read())


# What is old


async def test_what_is_old_goes_a_little_at_a_time(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Of both tables, up to the millisecond; the writer is free for others in between, and what is not old stays."""
    monkeypatch.setattr(records, "CHUNK", 2)
    clock = Clock()
    async with kept(tmp_path, clock) as store:
        for n in range(5):
            store.add(replace(ROW, id=f"old{n}", time=NOW - 0.001 - n))
            clock.now = NOW - 0.001 - n
            await exchange(store, n)
        clock.now = NOW
        store.add(replace(ROW, id="new"))
        await exchange(store, 9)
        await store.flushed()
        clock.now = NOW + 30 * DAY
        statements: list[str] = []
        store._database._writing.set_trace_callback(statements.append)
        await store.prune(30)
        assert statements.count("COMMIT") == 6
        assert ids((await store.requests())[0]) == ["new"]
        assert await sizes(store) == [(9, 0)]
        statements.clear()
        await store.prune(30)
        assert statements == []
        await store.prune(10**12)
        assert ids((await store.requests())[0]) == ["new"]
        clock.now += 0.001
        await store.prune(30)
        assert await store.requests() == ([], None)
