"""Where servers differ: their words for the end, calls that share a place, characters cut in half, counts that are none."""

from __future__ import annotations

from itertools import pairwise

import pytest
from hypothesis import given
from hypothesis import strategies as st

from fusiond.errors import Truncated
from fusiond.members.dialects import MOST_TOKENS, Halves, Places, count, reason_of


@pytest.mark.parametrize("told", ["abort", "error", "cancelled", "network_error", "no such thing", "x" * 1000])
def test_a_reason_that_is_no_good_end(told: str) -> None:
    """Also one that nobody knows: a cut answer must never look complete."""
    with pytest.raises(Truncated, match="broke the answer off") as raised:
        reason_of(told)
    assert len(raised.value.message) < 100


@pytest.mark.parametrize("told", [None, 0, 7, MOST_TOKENS])
def test_counts(told: int | None) -> None:
    """Whole numbers within reason, or not told."""
    assert count(told) == told


@pytest.mark.parametrize("told", [-1, MOST_TOKENS + 1, True, 3.0, "7", [7], {}])
def test_counts_that_are_none(told: object) -> None:
    """Nothing is read into them."""
    with pytest.raises(ValueError, match="no number of tokens"):
        count(told)


def test_calls_by_their_place() -> None:
    """As the protocol has it, whatever comes in between."""
    places = Places()
    told = [(0, "c1", "add"), (1, "c2", "now"), (0, "", ""), (1, "", ""), (0, "c1", ""), (0, "c1", "add"), (1, "other", "")]
    assert [places.of(*piece) for piece in told] == [0, 1, 0, 1, 0, 0, 1]
    assert places.made == 2


def test_calls_that_share_a_place() -> None:
    """A new id with a name is another one, and each goes on by its id."""
    places = Places()
    told = [(0, "c1", "add"), (0, "", ""), (0, "c2", "add"), (0, "", ""), (0, "c1", ""), (0, "c3", "now"), (0, "c2", "")]
    assert [places.of(*piece) for piece in told] == [0, 0, 1, 1, 0, 2, 1]


def test_calls_without_an_id() -> None:
    """A name that is said again begins none."""
    places = Places()
    assert [places.of(*piece) for piece in [(0, "", "add"), (0, "", "add"), (0, "c1", "add")]] == [0, 0, 1]


@given(st.text("a\U0001f600é\U0001f1e9", max_size=20), st.lists(st.integers(0, 40)))
def test_halves(text: str, places: list[int]) -> None:
    """However it is cut between the halves, it is the same text."""
    units = [text.encode("utf-16-le")[at : at + 2].decode("utf-16-le", "surrogatepass") for at in range(0, len(text.encode("utf-16-le")), 2)]
    at = sorted({0, len(units), *(min(place, len(units)) for place in places)})
    halves = Halves()
    assert "".join(halves.joined("a", "".join(units[start:end])) for start, end in pairwise(at)) == text
    assert halves.rest("a") == ""


def test_halves_of_different_fields() -> None:
    """They do not belong together; what is left over is unreadable."""
    halves = Halves()
    assert [halves.joined("a", "x\ud83d"), halves.joined("b", "\ude00y"), halves.joined("a", "\ude00")] == ["x", "\ufffdy", "\U0001f600"]
    assert halves.joined("a", "\ud83d") == ""
    assert (halves.rest("a"), halves.rest("a"), halves.rest("b")) == ("\ufffd", "", "")
