"""What an error says of itself: its status, and when to come back."""

from __future__ import annotations

from math import inf, nan

import pytest

from fusiond.errors import AllFailed, Busy, LeftOut, NoTime, Rejected, TimedOut, Unavailable


@pytest.mark.parametrize(
    ("asked", "told"),
    [(0, 1), (-5, 1), (0.01, 1), (1, 1), (1.2, 2), (599.5, 600), (1e300, 600), (inf, 600), (-inf, 1), (nan, None), (None, None)],
)
def test_a_client_is_told_to_wait_for_whole_seconds(asked: float | None, told: int | None) -> None:
    """Some, and not too many, whoever asked for them, and however."""
    assert Busy("x", retry_after=asked).retry_after == told
    assert Unavailable("x", retry_after=asked).retry_after == told
    assert AllFailed({"a": Rejected("x", retry_after=asked)}).retry_after == told


def test_what_a_member_asks_for_is_known_as_it_is() -> None:
    """The call itself may be made once more after less than a second, and what is believed is the breaker's to say."""
    assert [Rejected("x", retry_after=asked).retry_after for asked in (0.01, 9999, inf)] == [0.01, 9999, inf]


def test_where_everybody_who_was_asked_says_when_so_does_the_answer() -> None:
    """Whoever was left out has no say in it, nor in whose fault it is."""
    soon, later = Rejected("x", retry_after=7.1), Rejected("x", retry_after=30)
    out = LeftOut("failed lately", reason="cooling")
    assert AllFailed({"a": later, "b": soon, "c": out}).retry_after == 8
    assert AllFailed({"a": later, "b": Rejected("x")}).retry_after is None
    assert AllFailed({"a": TimedOut("late"), "b": NoTime(), "c": out}).status == 504
    assert AllFailed({"a": TimedOut("late"), "b": soon}).status == 502
    assert AllFailed({"a": soon, "c": out}).message == "no member answered (a: rejected: x; c: cooling: failed lately)"
