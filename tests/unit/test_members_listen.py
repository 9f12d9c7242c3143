"""One member's stream as the daemon hears it: exactly one end, whatever the provider does."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncGenerator, Callable
from contextlib import aclosing

import pytest

from fusiond.call import Call
from fusiond.catalog import Member, ProviderFacts
from fusiond.errors import Empty, MemberError, Rejected, TimedOut, Truncated, Unreachable
from fusiond.events import Event, Failed, Finished, FinishReason, Text, Thinking, ToolCall, Usage
from fusiond.members import State
from fusiond.members.listen import listen
from fusiond.members.patience import Patience
from tests.asking import call, collected, failure

Step = Event | MemberError | Callable[[Patience], object]


def text(words: str) -> Text:
    """A piece of the answer."""
    return Text(member="a", text=words)


def end(reason: FinishReason = "stop") -> Finished:
    """The success end."""
    return Finished(member="a", reason=reason)


class Puppet:
    """A provider that yields, raises and waits as it is told; `closed`: its stream was closed."""

    def __init__(self, *steps: Step) -> None:
        self._steps = steps
        self.closed = False

    async def stream(self, _call: Call, patience: Patience) -> AsyncGenerator[Event, None]:
        """Do it."""
        try:
            for step in self._steps:
                if isinstance(step, MemberError):
                    raise step
                if callable(step):
                    await patience.wait(asyncio.Event().wait())
                else:
                    yield step
        finally:
            self.closed = True

    def state(self, _member: Member) -> State:
        """Always."""
        return "ready"

    async def discover(self) -> ProviderFacts:
        """Nothing."""
        return ProviderFacts()

    async def aclose(self) -> None:
        """Nothing to close."""


def hang(_: Patience) -> object:
    """Wait for ever."""


THOUGHT = Thinking(member="a", text="hm")
MADE = ToolCall(member="a", index=0, id="c1", name="add", arguments="{}")
USED = Usage(member="a", prompt_tokens=1, completion_tokens=1)


@pytest.mark.parametrize(
    ("steps", "kind", "words"),
    [
        pytest.param([Unreachable("gone")], Unreachable, "gone", id="raises at once"),
        pytest.param([text("4"), Rejected("no")], Rejected, "no", id="raises later"),
        pytest.param([], Truncated, "without its end", id="returns at once"),
        pytest.param([text("4"), USED], Truncated, "without its end", id="returns early"),
        pytest.param([end()], Empty, "without a word", id="empty"),
        pytest.param([text(""), text(" \n"), end()], Empty, "without a word", id="only space"),
        pytest.param([THOUGHT, USED, end()], Empty, "without a word", id="only thinks"),
        pytest.param([text("<think>hm"), end()], Empty, "without a word", id="only thinks, in the text"),
        pytest.param([text("<think>hm</think>"), end()], Empty, "without a word", id="thinks, and says nothing"),
        pytest.param([THOUGHT, end("length")], Empty, "until its tokens were used up", id="thinks too long"),
        pytest.param([hang], TimedOut, "no first token", id="hangs at first"),
        pytest.param([text("4"), hang], TimedOut, "no first token", id="hangs later"),
    ],
)
async def test_it_fails_once(steps: list[Step], kind: type[MemberError], words: str) -> None:
    """What is no complete answer ends in one `Failed` that says why; the provider's stream is closed."""
    puppet = Puppet(*steps)
    events = await collected(listen(puppet, call(first_token_seconds=0.05)))
    error = failure(events)
    assert isinstance(error, kind)
    assert words in error.message
    assert [event for event in events if isinstance(event, Finished | Failed)] == events[-1:]
    assert puppet.closed


@pytest.mark.parametrize(
    ("steps", "heard"),
    [
        pytest.param([text("4"), end()], [text("4"), end()], id="an answer"),
        pytest.param([THOUGHT, text("4"), USED, end()], [THOUGHT, text("4"), USED, end()], id="a thought, an answer, its usage"),
        pytest.param([MADE, end("tool_calls")], [MADE, end("tool_calls")], id="a call without a word"),
        pytest.param([text(" "), text("4"), end()], [text(" 4"), end()], id="space first"),
        pytest.param([text("4"), end("length")], [text("4"), end("length")], id="cut at its tokens"),
        pytest.param([text("4"), end(), text("5"), end()], [text("4"), end()], id="goes on after its end"),
        pytest.param([text("4"), end(), Rejected("no")], [text("4"), end()], id="raises after its end"),
        pytest.param([text("4"), end(), hang], [text("4"), end()], id="hangs after its end"),
    ],
)
async def test_it_finishes_once(steps: list[Step], heard: list[Event]) -> None:
    """What comes before the end goes on, and nothing after it; the provider's stream is closed."""
    puppet = Puppet(*steps)
    assert await collected(listen(puppet, call())) == heard
    assert puppet.closed


async def test_thinking_is_taken_out_of_the_text() -> None:
    """It goes on as what it is."""
    puppet = Puppet(text("<thi"), text("nk>hm</think>\n"), text("\n4"), end())
    assert await collected(listen(puppet, call())) == [THOUGHT, text("4"), end()]


async def test_the_failure_has_the_voice_of_the_call() -> None:
    """The second sample of a member is not taken for the first."""
    (event,) = await collected(listen(Puppet(Unreachable("gone")), call(voice="a#2")))
    assert event.member == "a#2"


async def test_leaving_closes_the_provider() -> None:
    """Who stops listening has the stream closed at once; no end is made up."""
    puppet = Puppet(text("4"), hang, end())
    async with aclosing(listen(puppet, call())) as events:
        assert await anext(events) == text("4")
        assert not puppet.closed
    assert puppet.closed


async def test_a_mistake_of_ours_is_no_failed_member() -> None:
    """Only a member's own errors become values: a bug comes out as it is."""

    class Buggy(Puppet):
        async def stream(self, _call: Call, _patience: Patience) -> AsyncGenerator[Event, None]:
            yield text("4")
            raise KeyError("bug")

    with pytest.raises(KeyError):
        await collected(listen(Buggy(), call()))
