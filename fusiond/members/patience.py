"""How long a member may be silent: the first token, then every stall, and the whole within its total and the request's deadline.

Patience is spent only while the daemon waits for the provider: a slow client does not make a member late. Comments and empty lines do not
renew it; only what a member says does.
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable
from types import TracebackType
from typing import Self, TypeVar

from fusiond.errors import TimedOut

T = TypeVar("T")

NEARLY = 0.9
"""A limit of the request's that ends so close to one of the member's own, as a part of that, is taken for the member's."""


class Patience:
    """The deadlines of one call. Seconds; `deadline` is absolute on the loop's clock. One wait at a time.

    Where it is not closed in the end, its timer goes off once, and nothing comes of it.
    """

    __slots__ = ("_alarm", "_deadline", "_first", "_left", "_loop", "_made", "_spoken", "_stall", "_total")

    def __init__(self, *, first_token: float, stall: float, total: float, deadline: float) -> None:
        self._loop = asyncio.get_running_loop()
        self._first = first_token
        self._stall = stall
        self._total = total
        self._made = self._loop.time()
        self._deadline = min(self._made + total, deadline)
        self._left = first_token
        self._spoken = False
        self._alarm = _Alarm(self._loop)

    def close(self) -> None:
        """Nobody waits any more."""
        self._alarm.close()

    def heard(self) -> None:
        """The member said something: from here on, only a stall counts."""
        self._left = self._stall
        self._spoken = True

    def ending(self, seconds: float) -> None:
        """The member has said all but its end, which is waited for so long at the most, however often this is said."""
        self._left = min(self._left, seconds)

    async def wait(self, awaitable: Awaitable[T]) -> T:
        """Wait for the provider; raises `TimedOut` with the deadline that passed."""
        began = self._loop.time()
        own = began + self._left
        until = min(own, self._deadline)
        try:
            with self._alarm.at(until):
                result = await awaitable
        except TimeoutError:
            if not self._alarm.rang:
                raise  # the transport's own, which has its own words
            raise self._late(until, own) from None
        self._left -= self._loop.time() - began
        return result

    def _late(self, until: float, own: float) -> TimedOut:
        """Which limit passed. `own`: when the member would have been silent for too long."""
        given, silence = until - self._made, self._stall if self._spoken else self._first
        if silence - (own - until) < NEARLY * silence:
            if given < NEARLY * self._total:
                return TimedOut(f"not finished within {given:.3g} s, which is all the time that the request had for it", ours=True)
            return TimedOut(f"not finished within {self._total:g} s")
        return TimedOut(f"silent for {silence:g} s in the middle of its answer" if self._spoken else f"no first token within {silence:g} s")


class _Alarm:
    """`asyncio.timeout_at` for many waits, one after the other: setting a timer costs more than reading a piece of an answer.

    The timer stays set when a wait is over. Most waits end later than the one before would have: if it goes off too early, it is set anew.
    `rang`: the last wait was too long.
    """

    __slots__ = ("_cancelling", "_due", "_loop", "_task", "_timer", "_until", "rang")

    def __init__(self, loop: asyncio.AbstractEventLoop) -> None:
        self._loop = loop
        self._task: asyncio.Task[object] | None = None
        self._cancelling = 0
        self._until = self._due = float("inf")
        self._timer: asyncio.TimerHandle | None = None
        self.rang = False

    def at(self, until: float) -> Self:
        """What is waited for inside is cancelled then, and a TimeoutError raised."""
        self._until = until
        return self

    def close(self) -> None:
        """Set no longer."""
        if self._timer is not None:
            self._timer.cancel()
        self._timer, self._due = None, float("inf")

    def __enter__(self) -> None:
        self._task = asyncio.current_task(self._loop)
        if self._task is None:
            raise RuntimeError("who waits must be a task")
        self._cancelling = self._task.cancelling()
        self.rang = False
        if self._until < self._due:
            self._set()

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None) -> None:
        task, self._task = self._task, None
        if self.rang and task and task.uncancel() <= self._cancelling and kind is asyncio.CancelledError:
            raise TimeoutError from error

    def _set(self) -> None:
        self.close()
        self._timer, self._due = self._loop.call_at(self._until, self._ring), self._until

    def _ring(self) -> None:
        early = self._due < self._until
        self.close()
        if self._task is None:
            return  # nobody waits
        if early:
            self._set()
        else:
            self.rang = True
            self._task.cancel()
