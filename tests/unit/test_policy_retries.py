"""When the same member is asked once more, after how long, and how often at most."""

from __future__ import annotations

from math import inf

import pytest
from hypothesis import given
from hypothesis import strategies as st

from fusiond.errors import (
    ContextTooSmall,
    Cooling,
    Empty,
    Garbled,
    MemberError,
    Misshapen,
    Rejected,
    TimedOut,
    TooDear,
    Truncated,
    Unreachable,
    Unwilling,
)
from fusiond.policy.retries import FULL, PRICE, START, RetryBudget, retry_after

NOW = 1000.0


def rejected(status: int | None, wait: float | None = None) -> Rejected:
    """What a provider answers."""
    return Rejected("x", upstream_status=status, retry_after=wait)


def named(value: object) -> str | None:
    """What tells one error from another."""
    return f"{value.reason}-{getattr(value, 'upstream_status', '')}-{value.retry_after}" if isinstance(value, MemberError) else None


ONCE_MORE = [
    (Unreachable("x"), 0.0),
    (rejected(502), 0.0),
    (rejected(502, 1.0), 1.0),
    (rejected(429, 0.5), 0.5),
    (rejected(503, 5.0), 5.0),
    (rejected(529, 2), 2.0),
]
STALE = Unreachable("x", stale=True)
NEVER = [
    TimedOut("x"),
    Garbled("x"),
    Truncated("x"),
    Empty("x"),
    Misshapen("x"),
    ContextTooSmall("x"),
    Unwilling("x"),
    Cooling("x"),
    TooDear("x"),
    MemberError("x"),
    *(rejected(status) for status in (None, 400, 401, 402, 403, 404, 408, 413, 422, 429, 500, 503, 504, 524, 529)),
    *(rejected(status, 1.0) for status in (None, 400, 401, 402, 404, 500)),
    *(rejected(429, wait) for wait in (0.0, 5.01, inf)),
    rejected(502, 60.0),
]


@pytest.mark.parametrize(("error", "asked"), ONCE_MORE, ids=named)
@pytest.mark.parametrize(("attempt", "ceiling"), [(1, 0.2), (2, 2.0)])
def test_what_may_pass(error: MemberError, asked: float, attempt: int, ceiling: float) -> None:
    """The wait is drawn up to its ceiling, on top of what the provider asks for; after the second retry it is enough."""
    for jitter in (0.0, 0.25, 1.0):
        assert retry_after(error, attempt, NOW, inf, jitter) == pytest.approx(asked + jitter * ceiling)
    assert retry_after(error, 3, NOW, inf, 0.0) is None


def test_a_stale_connection() -> None:
    """Another one is taken at once, however the wait would be drawn, and it counts as any other retry."""
    assert [retry_after(STALE, attempt, NOW, NOW + 1, 1.0) for attempt in (1, 2, 3)] == [0.0, 0.0, None]
    assert retry_after(STALE, 1, NOW, NOW, 1.0) is None


@pytest.mark.parametrize("error", NEVER, ids=named)
def test_what_does_not_pass(error: MemberError) -> None:
    """Errors that would come again, that may have cost money, or whose provider is overloaded and does not say for how long."""
    assert retry_after(error, 1, NOW, inf, 0.0) is None


@pytest.mark.parametrize(
    ("error", "attempt", "wait"), [(Unreachable("x"), 1, 0.1), (Unreachable("x"), 2, 1.0), (rejected(429, 3.0), 1, 3.1)], ids=named
)
def test_never_over_the_deadline(error: MemberError, attempt: int, wait: float) -> None:
    """A retry that would begin at the deadline or after it is not made."""
    assert retry_after(error, attempt, NOW, NOW + wait + 0.01, 0.5) == pytest.approx(wait)
    assert retry_after(error, attempt, NOW, NOW + wait, 0.5) is None
    assert retry_after(error, attempt, NOW, NOW - 1, 0.5) is None


def test_ten_calls_pay_for_one_retry() -> None:
    """There are a few at first; then every tenth call may be one, exactly."""
    budget: RetryBudget | None = RetryBudget()
    for _ in range(3):
        assert budget
        budget = budget.taken()
    assert budget
    for _ in range(9):
        budget = budget.asked()
        assert budget.taken() is None
    assert budget.asked().taken() == RetryBudget(tenths=0)


def test_what_is_saved_has_a_bound() -> None:
    """After any number of calls that went well, ten retries are there and no more."""
    budget = RetryBudget()
    for _ in range(1000):
        budget = budget.asked()
    retries = 0
    while left := budget.taken():
        budget, retries = left, retries + 1
    assert retries == 10


@given(st.lists(st.booleans(), max_size=300))
def test_at_most_a_tenth(wishes: list[bool]) -> None:
    """In any order of calls and wishes, the retries granted are never more than a tenth of the calls and the few at first."""
    budget, calls, retries = RetryBudget(), 0, 0
    for wish in wishes:
        if not wish:
            budget, calls = budget.asked(), calls + 1
        elif left := budget.taken():
            budget, retries = left, retries + 1
        assert 0 <= budget.tenths <= FULL
        assert retries * PRICE <= calls + START
