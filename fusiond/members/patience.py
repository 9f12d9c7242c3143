"""How long a member may be silent: the first token, then every stall, and the whole within its total and the request's deadline.

Patience is spent only while the daemon waits for the provider: a slow client does not make a member late. Comments and empty lines do not
renew it; only what a member says does.
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable
from typing import TypeVar

from fusiond.errors import TimedOut

T = TypeVar("T")


class Patience:
    """The deadlines of one call. Seconds; `deadline` is absolute on the loop's clock."""

    __slots__ = ("_deadline", "_first", "_left", "_loop", "_spoken", "_stall", "_total_seconds")

    def __init__(self, *, first_token: float, stall: float, total: float, deadline: float) -> None:
        self._loop = asyncio.get_running_loop()
        self._first = first_token
        self._stall = stall
        self._total_seconds = total
        self._deadline = min(self._loop.time() + total, deadline)
        self._left = first_token
        self._spoken = False

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
        until = min(began + self._left, self._deadline)
        try:
            async with asyncio.timeout_at(until) as limit:
                result = await awaitable
        except TimeoutError:
            if not limit.expired():
                raise  # the transport's own, which has its own words
            raise self._late(until) from None
        self._left -= self._loop.time() - began
        return result

    def _late(self, until: float) -> TimedOut:
        if until >= self._deadline:
            return TimedOut(f"not finished within its deadline ({self._total_seconds:g} s, or the request's own)")
        if self._spoken:
            return TimedOut(f"silent for {self._stall:g} s in the middle of its answer")
        return TimedOut(f"no first token within {self._first:g} s")
