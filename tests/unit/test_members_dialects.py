"""Where servers differ: their words for the end, calls that share a place, characters cut in half, counts that are none."""

from __future__ import annotations

import json
from itertools import pairwise

import pytest
from hypothesis import given
from hypothesis import strategies as st

from fusiond.errors import MemberError, Truncated
from fusiond.events import Event, Opened
from fusiond.members import openai
from fusiond.members.dialects import MOST_TOKENS, Halves, Places, count, only_text, reason_of
from fusiond.members.openai import Chunks


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


def ordinary(text: str) -> dict[str, object]:
    """A chunk as most are."""
    return {"object": "chat.completion.chunk", "choices": [{"index": 0, "delta": {"content": text}, "finish_reason": None}]}


ORDINARY = ordinary("4")
TEXTS = st.sampled_from(["4", "", "a\n", "é", "a\ud83d", "\ude00"])
DELTAS = st.fixed_dictionaries(
    {},
    optional={
        "content": TEXTS | st.sampled_from([None, 4, ["4"]]),
        "role": st.sampled_from(["assistant", None]),
        "refusal": st.sampled_from([None, "no"]),
        "reasoning": st.sampled_from([None, "hm"]),
        "tool_calls": st.sampled_from([None, [], [{"id": "c", "function": {"name": "f", "arguments": "{}"}}]]),
    },
)
CHOICES = st.fixed_dictionaries(
    {"delta": st.just({"content": "4"}) | DELTAS | st.sampled_from([None, "text", ["content"]])},
    optional={"index": st.sampled_from([0, 0, 1, None, "0"]), "finish_reason": st.sampled_from([None, None, "stop", "abort", "error", 4])},
)
CHUNKS = st.sampled_from([ORDINARY, {**ORDINARY, "id": "gen-1"}, ordinary("a\ud83d"), ordinary("\ude00b")]) | st.fixed_dictionaries(
    {"choices": st.lists(CHOICES, max_size=2) | CHOICES | st.sampled_from([None, "text", [["delta"]]])},
    optional={
        "object": st.sampled_from(["chat.completion.chunk", "chat.completion.chunk", "error", None]),
        "id": st.sampled_from(["gen-1", None]),
        "usage": st.sampled_from([None, {"prompt_tokens": 1, "completion_tokens": 2}]),
        "error": st.sampled_from([None, "gone", {"message": "gone"}]),
        "code": st.just(500),
        "message": st.just("gone"),
    },
)
PAYLOADS = CHUNKS.map(json.dumps).map(str.encode) | st.sampled_from([b"[DONE]", b"4", b"[]", b"{", json.dumps("\ud83d").encode()])


@pytest.mark.parametrize("number", ["", "gen-\ud800", "gen 1", "gen-é", "x" * 201, "a\nb", 7, None, ["gen-1"]])
def test_a_number_that_is_none(number: object) -> None:
    """It is not taken, and the next one is."""
    chunks = Chunks("a", numbered=True)
    assert chunks.opened(number) is None
    said = [json.dumps({"id": name, "choices": [{"index": 0, "delta": {"content": "x"}}]}).encode() for name in (number, "gen-1", "gen-2")]
    assert [event for event in chunks.read(said) if isinstance(event, Opened)] == [Opened(member="a", generation="gen-1")]


def told(reads: list[list[bytes]], numbered: bool) -> tuple[list[list[Event]], list[Event] | str]:
    """What is heard of payloads that come in these reads, and how they end."""
    chunks = Chunks("a", numbered=numbered)
    heard = [chunks.read(read) for read in reads]
    try:
        return heard, chunks.end()
    except MemberError as error:
        return heard, repr(error)


@given(st.lists(st.lists(PAYLOADS, max_size=4), max_size=3), st.booleans())
def test_the_short_way_says_what_the_long_one_says(reads: list[list[bytes]], numbered: bool) -> None:
    """A chunk that is only text is read like every other, whatever stands before and after it."""
    quick = told(reads, numbered)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(openai, "only_text", lambda _: None)
        assert told(reads, numbered) == quick


@pytest.mark.parametrize(
    ("place", "field", "value"),
    [
        ("chunk", "object", "error"),
        ("chunk", "error", {}),
        ("chunk", "usage", {"prompt_tokens": 1}),
        ("choice", "index", 1),
        ("choice", "finish_reason", "stop"),
        ("delta", "content", 4),
        ("delta", "reasoning", "hm"),
        ("delta", "tool_calls", [{}]),
    ],
)
def test_what_is_not_only_text(place: str, field: str, value: object) -> None:
    """A role beside it tells nothing; everything else may."""
    delta: dict[str, object] = {"content": "4", "role": "assistant"}
    choice: dict[str, object] = {"index": 0, "delta": delta, "finish_reason": None}
    chunk: dict[str, object] = {"object": "chat.completion.chunk", "choices": [choice], "usage": None}
    assert only_text(chunk) == only_text(ORDINARY) == "4"
    {"chunk": chunk, "choice": choice, "delta": delta}[place][field] = value
    assert only_text(chunk) is None
