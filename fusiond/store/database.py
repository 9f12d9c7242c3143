"""One file of SQLite: written by one thread of one process, read beside it, and never on the event loop.

    put, keep -> queue -> writer thread: all that waits, as ONE transaction -> flushed

What a commit could not write stays queued, in order, and is tried again.
"""

from __future__ import annotations

import asyncio
import logging
import math
import sqlite3
import threading
import time
from collections import deque
from collections.abc import Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack, suppress
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any

from fusiond.store.opening import Schema, StoreError, opened
from fusiond.store.transaction import Queued, Row, Statement, Table, Value, commit

__all__ = ["Database", "Schema", "StoreError", "Table", "Value"]

log = logging.getLogger(__name__)

GATHER_SECONDS = 0.05
"""How long a write waits for others, where nobody waits for it: a transaction costs more than what is in it."""

CROWDED_SECONDS = 0.025
"""How long also somebody who waits is kept for others, who share the commit, while one shared commit comes after the other. What waits here is a call
that leaves this machine, which takes far longer; a commit of its own would cost a tenth of its processor time. Whoever is alone waits for none."""

RETRY_SECONDS = 1.0
"""How long a refused commit waits for its next try, where nobody calls for it before."""


@dataclass(frozen=True, slots=True, kw_only=True)
class _Waiter:
    """Somebody who waits until so many writes, counted from the start, are settled."""

    until: int
    loop: asyncio.AbstractEventLoop
    future: asyncio.Future[None]

    def end(self, reason: str | None) -> None:
        """In the loop that waits."""
        if self.future.done():  # cancelled
            return
        if reason is None:
            self.future.set_result(None)
        else:
            self.future.set_exception(StoreError(reason))


class Database:
    """One file, kept by this process alone from `open` to `aclose`; opened once.

    `durable`: a commit survives a power cut, else only a kill of this process. `limit`: so many statements wait at most.
    """

    def __init__(self, path: Path, schema: Schema, *, durable: bool, limit: int | None = None) -> None:
        self.path = path
        self.failing: str | None = None  # why the last commit failed; None: all is well
        self._schema = schema
        self._durable = durable
        self._limit = limit
        self._held: ExitStack | None = None  # all that `open` took; None: not open
        self._turn = threading.Condition()  # guards what follows; held for moments only, never while the disk works
        self._queue: deque[Queued] = deque()
        self._waiters: deque[_Waiter] = deque()  # `until` only grows
        self._accepted = 0  # writes put so far
        self._settled = 0  # writes committed, or taken out as wrong
        self._told = 0  # those who waited for so many writes have heard that one was taken out
        self._untold: str | None = None  # why a write was taken out, when nobody was waiting for it yet
        self._called = False
        self._due = False  # whether the writer will be called for what waits
        self._shared = -math.inf  # when several last waited for a commit (the monotonic clock)
        self._closing = False
        self._writer: threading.Thread | None = None

    def open(self) -> None:
        """Lock the file, create or migrate it. Blocks; after a StoreError nothing is held, and it may be tried again."""
        with ExitStack() as undo:
            self._writing, self._reading = undo.enter_context(opened(self.path, self._schema, durable=self._durable))
            self._reader = undo.enter_context(ThreadPoolExecutor(1, thread_name_prefix=f"read-{self.path.name}"))
            self._held = undo.pop_all()

    def put(self, sql: str, *rows: tuple[Value, ...]) -> bool:
        """Queue one statement, run once for every row (without rows: once), all rows or none. Never waits for the disk.

        It is written with what else comes in the next moment; at once where somebody waits (`flushed`).

        False: dropped, since `limit` statements wait already. Raises StoreError where the file is not open. BEGIN and COMMIT are not for callers.
        """
        return self._add(Statement(sql, rows))

    def keep(self, table: Table, row: tuple[Value, ...], *, hurry: bool = False) -> bool:
        """Queue one row, in place of what its key has; otherwise as `put`. `hurry`: it is written at once."""
        return self._add(Row(table, row), hurry=hurry)

    def _add(self, queued: Queued, *, hurry: bool = False) -> bool:
        with self._turn:
            self._check_open()
            if self._limit is not None and len(self._queue) >= self._limit:
                return False
            self._queue.append(queued)
            self._accepted += 1
            if hurry:
                self._call()
            elif not self._due:  # a timer here costs less than waking the writer, who would only wait
                self._due = True
                asyncio.get_running_loop().call_later(GATHER_SECONDS, self._gathered)
            if self._writer is None:
                self._writer = threading.Thread(target=self._work, name=f"write-{self.path.name}", daemon=True)
                self._writer.start()
        return True

    async def flushed(self, within: float | None = None) -> None:
        """Return once everything put before is committed; see `flushing`."""
        await self.flushing(within)

    def flushing(self, within: float | None = None) -> asyncio.Future[None]:
        """Have everything put before committed: done when it is. That takes so many seconds at most, where it is said how many.

        Raises StoreError where the file is not open. It is the future's exception where that took longer, where the disk refused (what was put
        stays queued, and is written when it can be), or where a statement put before is wrong in itself (it is taken out, the others are written).
        """
        loop = asyncio.get_running_loop()
        with self._turn:
            waiter = _Waiter(until=self._accepted, loop=loop, future=loop.create_future())
            if self._untold is not None:
                reason, self._untold = self._untold, None
                waiter.end(reason)
            elif self._settled == self._accepted:
                waiter.end(None)
            else:
                self._check_open()
                self._waiters.append(waiter)
                self._call()
        patience = None if within is None else loop.call_later(within, waiter.end, f"{self.path} is kept waiting")
        waiter.future.add_done_callback(partial(_over, patience))
        return waiter.future

    async def read(self, sql: str, parameters: Sequence[Value] = ()) -> list[tuple[Any, ...]]:
        """All rows of a query, which says what types they have. Sees everything committed. Raises StoreError."""
        self._check_open()
        return await asyncio.get_running_loop().run_in_executor(self._reader, self._fetch, sql, parameters)

    async def aclose(self) -> None:
        """Commit what waits, let the file take in its write-ahead log, let it go. What the disk refuses now is lost, and logged."""
        with self._turn:
            held, self._held = self._held, None
            self._closing = True
            self._call()
        if held is not None:
            await asyncio.to_thread(self._close, held)

    def _close(self, held: ExitStack) -> None:
        if self._writer is not None:
            self._writer.join()
        if self._queue:
            log.error("%s: %d writes are lost: %s", self.path, len(self._queue), self.failing)
        held.close()  # the last connection to go moves the log into the file

    def _check_open(self) -> None:
        if self._held is None:
            raise StoreError(f"{self.path} is not open")

    def _gathered(self) -> None:
        """What came in the last moment has waited for others long enough. A disk that refuses is not asked for each."""
        with self._turn:
            if self._due and not self.failing:
                self._call()

    def _call(self) -> None:
        self._called = True
        self._turn.notify()

    def _fetch(self, sql: str, parameters: Sequence[Value]) -> list[tuple[Any, ...]]:
        try:
            return self._reading.execute(sql, parameters).fetchall()
        except sqlite3.Error as error:
            raise StoreError(f"{self.path} cannot be read: {error} ({sql})") from error

    def _work(self) -> None:
        """The writer's thread: all that waits, each time it is called or, after a failure, when it is time to try again."""
        last = False
        while not last:
            with self._turn:
                self._turn.wait_for(lambda: self._called, timeout=RETRY_SECONDS if self.failing else None)
            if time.monotonic() - self._shared < CROWDED_SECONDS:
                time.sleep(CROWDED_SECONDS)
            with self._turn:
                self._called = self._due = False
                if len(self._waiters) > 1:
                    self._shared = time.monotonic()
                last = self._closing
                batch = tuple(self._queue)
            if batch:
                self._attempt(batch)

    def _attempt(self, batch: Sequence[Queued]) -> None:
        try:
            wrong = commit(self._writing, batch)
        except (sqlite3.Error, MemoryError) as error:
            self._refuse(len(batch), f"{self.path} cannot be written: {str(error) or 'out of memory'}")
        else:
            self._settle(batch, wrong)

    def _refuse(self, writes: int, reason: str) -> None:
        if self.failing != reason:
            log.error("%s; trying again until it can", reason)
        with self._turn:
            self.failing = reason
            self._tell(self._settled + writes, reason)

    def _settle(self, batch: Sequence[Queued], wrong: Mapping[Queued, str]) -> None:
        if self.failing:
            log.warning("%s is written again", self.path)
        for reason in wrong.values():
            log.error("%s: a wrong statement is left out: %s", self.path, reason)
        with self._turn:
            self.failing = None
            for queued in batch:
                self._queue.popleft()
                if queued in wrong:
                    self._tell(self._settled, None)
                    reason = f"{self.path} does not take a statement: {wrong[queued]}"
                    self._told = self._tell(self._accepted, reason) or self._told
                    if self._told <= self._settled:
                        self._untold = reason
                self._settled += 1
            self._tell(self._settled, None)

    def _tell(self, until: int, reason: str | None) -> int:
        """Release those who wait for the first so many writes (`reason`: with an error). For how many the last of them waited; 0: nobody did."""
        told: list[_Waiter] = []
        while self._waiters and self._waiters[0].until <= until:
            told.append(self._waiters.popleft())
        for loop in {waiter.loop for waiter in told}:
            with suppress(RuntimeError):  # a loop that is closed has nobody left who waits
                loop.call_soon_threadsafe(_end, [waiter for waiter in told if waiter.loop is loop], reason)
        return told[-1].until if told else 0


def _over(patience: asyncio.TimerHandle | None, future: asyncio.Future[None]) -> None:
    """Nobody may be left who waits: that is no fault of theirs."""
    if patience is not None:
        patience.cancel()
    if not future.cancelled():
        future.exception()


def _end(waiters: Sequence[_Waiter], reason: str | None) -> None:
    for waiter in waiters:
        waiter.end(reason)
