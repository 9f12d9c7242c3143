"""When the same member is asked once more: only before its first byte, only where asking again may help, and only a little.

A provider in trouble is not helped by more calls. Each call has two retries at most, all calls together a tenth of the traffic, and every wait is
drawn at random, so that those who failed together do not come back together.
"""

from __future__ import annotations

from dataclasses import dataclass

from fusiond.errors import MemberError, Rejected, Unreachable

CEILINGS = (0.2, 2.0)
"""Seconds: the wait before each retry of a call is drawn between none and this."""

SHORT_SECONDS = 5.0
"""A longer `Retry-After` is for the next call, not for this one."""

STEP, PRICE, START, FULL = 1, 10, 30, 100
"""In tenths of a retry: what a call brings, what a retry takes, what there is at first, and the most there can be."""


@dataclass(frozen=True, slots=True, kw_only=True)
class RetryBudget:
    """How many retries all calls together may still make, in tenths: whole numbers, which add up."""

    tenths: int = START

    def asked(self) -> RetryBudget:
        """A call's first attempt has begun."""
        return RetryBudget(tenths=min(self.tenths + STEP, FULL))

    def taken(self) -> RetryBudget | None:
        """The budget after one retry; None: it has none left."""
        return RetryBudget(tenths=self.tenths - PRICE) if self.tenths >= PRICE else None


def retry_after(error: MemberError, attempt: int, now: float, deadline: float, jitter: float) -> float | None:
    """Seconds to wait before the same member is asked again, or None: it is not.

    Nothing of the answer has come. A stale connection says nothing of the member: another one is taken at once. `attempt`: how many have failed by
    now; `deadline` is on the clock of `now`; `jitter`: drawn evenly from 0 to 1.
    """
    asked = _asked_wait(error)
    if asked is None or attempt > len(CEILINGS):
        return None
    wait = 0.0 if error.stale else asked + jitter * CEILINGS[attempt - 1]
    return wait if now + wait < deadline else None


def _asked_wait(error: MemberError) -> float | None:
    """The wait that the provider asks for, none where it need not ask; None: the error does not pass, or not soon."""
    match error:
        case Unreachable():
            return 0.0
        case Rejected(upstream_status=502) if error.retry_after is None:
            return 0.0
        case Rejected(upstream_status=429 | 502 | 503 | 529, retry_after=wait) if wait is not None and 0 < wait <= SHORT_SECONDS:
            return wait
        case _:
            return None
