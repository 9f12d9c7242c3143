"""Thinking that stands in the answer: what is told apart, however the pieces were cut."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

import pytest

from fusiond.events import Event, Finished, Text, Thinking, ToolCall, fold
from fusiond.members.thinking import Thoughts

END = Finished(member="a", reason="stop")

CASES = [
    pytest.param("<think>so</think>4", "so", "4", id="thought first"),
    pytest.param("<thinking>so</thinking>4", "so", "4", id="the longer tag"),
    pytest.param("\n <think>\nso\n</think>\n\n4\n", "\nso\n", "4\n", id="space around"),
    pytest.param("<think></think>4", "", "4", id="no thought"),
    pytest.param("<think>a < b </thin </think>4", "a < b </thin ", "4", id="almost the end"),
    pytest.param("<think>a</thinking>b</think>4", "a</thinking>b", "4", id="the other end"),
    pytest.param("<think>never closed", "never closed", "", id="unterminated"),
    pytest.param("<think>never closed</thi", "never closed</thi", "", id="unterminated, with half an end"),
    pytest.param("<think>so</think>", "so", "", id="only a thought"),
    pytest.param("<think>so</think> \n", "so", "", id="only a thought and space"),
    pytest.param("<think>so</think>4 <think>5</think>", "so", "4 <think>5</think>", id="once only"),
    pytest.param("4", "", "4", id="none"),
    pytest.param("  4", "", "  4", id="none, and space"),
    pytest.param("the tag <think> opens a thought, </think> ends it", "", "the tag <think> opens a thought, </think> ends it", id="mentioned"),
    pytest.param("</think>4", "", "</think>4", id="only an end"),
    pytest.param("<thin", "", "<thin", id="not a tag after all"),
    pytest.param("<thinner>4", "", "<thinner>4", id="another tag"),
    pytest.param("<", "", "<", id="a sign"),
    pytest.param(" \n", "", " \n", id="space"),
]


def sorted_out(pieces: Sequence[str]) -> list[Event]:
    """The events for pieces of text and their end, as `listen` asks for them."""
    thoughts = Thoughts()
    raw: list[Event] = [*(Text(member="a", text=piece) for piece in pieces), END]
    return [event for each in raw for event in ((each,) if thoughts.over else thoughts.sort(each))]


def cuts(text: str) -> Iterator[list[str]]:
    """Whole, letter by letter, and split at every point."""
    yield [text]
    yield list(text)
    for at in range(1, len(text)):
        yield [text[:at], text[at:]]


@pytest.mark.parametrize(("said", "thought", "answer"), CASES)
def test_however_it_is_cut(said: str, thought: str, answer: str) -> None:
    """Thought and answer are the same for every cut, no piece is empty, and the end comes last."""
    for pieces in cuts(said):
        events = sorted_out(pieces)
        transcript = fold(events)
        assert (transcript.thinking, transcript.text) == (thought, answer), pieces
        assert all(event.text for event in events if isinstance(event, Text | Thinking))
        assert events[-1] == END


def test_text_goes_on_as_soon_as_it_cannot_be_a_tag() -> None:
    """The first piece of an ordinary answer is not held back, and neither is a thought."""
    assert list(Thoughts().sort(Text(member="a", text="4"))) == [Text(member="a", text="4")]
    thoughts = Thoughts()
    assert list(thoughts.sort(Text(member="a", text="<think>so, 2+2"))) == [Thinking(member="a", text="so, 2+2")]
    assert not thoughts.over


def test_blanks_do_not_wait_for_ever() -> None:
    """All that wait are looked at with every piece: so many are no beginning of a thought any more."""
    thoughts = Thoughts()
    passed = [event for _ in range(2000) for event in ((Text(member="a", text=" "),) if thoughts.over else thoughts.sort(Text(member="a", text=" ")))]
    assert "".join(event.text for event in passed if isinstance(event, Text)) == " " * 2000
    assert len(passed) > 900


def test_other_events_pass() -> None:
    """What is no text goes on untouched, also in the middle of a thought."""
    made, thought = ToolCall(member="a", index=0, name="add"), Thinking(member="a", text="<think>")
    thoughts = Thoughts()
    assert [event for raw in (thought, Text(member="a", text="<think>so"), made) for event in thoughts.sort(raw)] == [
        thought,
        Thinking(member="a", text="so"),
        made,
    ]
