"""One member's stream as the daemon hears it: exactly one end, whatever the provider does."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncGenerator, Callable
from contextlib import aclosing
from dataclasses import replace

import pytest

from fusiond.call import Call
from fusiond.catalog import Member, ProviderFacts
from fusiond.chat import Format, Tool
from fusiond.errors import Empty, Garbled, MemberError, Misshapen, Rejected, TimedOut, Truncated, Unreachable
from fusiond.events import Event, Failed, Finished, FinishReason, Text, Thinking, ToolCall, Usage, fold
from fusiond.members import State
from fusiond.members.listen import listen
from fusiond.members.patience import Patience
from tests.asking import call, collected, failure, question

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

    async def recall(self) -> ProviderFacts | None:
        """Nothing."""
        return None

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
        pytest.param([MADE, MADE, end("tool_calls")], Empty, "called a tool that nobody offered", id="only a call that nobody offered"),
        pytest.param([text(" "), MADE, end()], Empty, "called a tool that nobody offered", id="a blank and a call that nobody offered"),
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
        pytest.param([text("4"), MADE, end("tool_calls")], [text("4"), MADE, end("tool_calls")], id="a call that nobody offered, after a word"),
        pytest.param([MADE, text("4"), end("tool_calls")], [MADE, text("4"), end("tool_calls")], id="a call that nobody offered, before a word"),
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


async def test_a_call_that_was_offered_is_an_answer() -> None:
    """Without a word, and in a document's place."""
    for form in (None, Format(kind="json_object")):
        asked = question(tools=(Tool(name="add"),), format=form)
        assert await collected(listen(Puppet(MADE, end("tool_calls")), call(asked))) == [MADE, end("tool_calls")]


SCHEMA = {"type": "object", "properties": {"a": {"type": "integer"}}, "required": ["a"], "additionalProperties": False}
ANY, FITTING = Format(kind="json_object"), Format(kind="json_schema", schema=SCHEMA)


@pytest.mark.parametrize(
    ("form", "pieces", "document"),
    [
        (ANY, ['{"b": ', "1}"], '{"b": 1}'),
        (ANY, ["  \n", '{"b": 1}\n'], '  \n{"b": 1}\n'),
        (ANY, ['```json\n{"b": 1}\n```'], '{"b": 1}'),
        (ANY, ["```", "json", "\n", '{"b": 1}', "\n", "``", "`", "\n"], '{"b": 1}'),
        (ANY, ["<think>hm</think>```\n", '{"b": "```"}\n```'], '{"b": "```"}'),
        (ANY, ['{"b": "</s>"}'], '{"b": "</s>"}'),
        (FITTING, ['{"a": 1}'], '{"a": 1}'),
        (FITTING, ['```json\n{"a": ', "1}```"], '{"a": 1}'),
    ],
)
async def test_a_document(form: Format, pieces: list[str], document: str) -> None:
    """It is delivered without the fence around it, as it comes."""
    transcript = fold(await collected(listen(Puppet(*map(text, pieces), end()), call(question(format=form)))))
    assert (transcript.text, transcript.end) == (document, end())


@pytest.mark.parametrize(
    ("form", "pieces", "words"),
    [
        (ANY, ['{"b": '], "not a JSON document"),
        (ANY, ["[1]"], "not an object"),
        (ANY, ['```json\n{"b": 1}'], "its code fence has no end"),
        (ANY, ["```json"], "not a JSON document"),
        (ANY, ["```json\n```"], "not a JSON document"),
        (ANY, ['```json\n{"b": 1}\n```', "\nThere you are."], "not a JSON document"),
        (ANY, ['Here: {"b": 1}'], "not a JSON document"),
        (ANY, ['{"b": 1}</s>'], "not a JSON document"),
        (ANY, ['{"b": NaN}'], "NaN is no JSON number"),
        (FITTING, ['{"a": "x"}'], '/a: its value is not of type "integer"'),
        (FITTING, ["{}"], '"a" is a required property'),
        (FITTING, ['{"a": 1, "b": 2}'], "'b' was unexpected"),
    ],
)
async def test_a_document_that_is_none(form: Format, pieces: list[str], words: str) -> None:
    """The member has failed, and it is said why."""
    error = failure(await collected(listen(Puppet(*map(text, pieces), end()), call(question(format=form)))))
    assert isinstance(error, Misshapen)
    assert words in error.message


async def test_no_document_at_all_is_no_answer() -> None:
    """Blanks are none."""
    assert isinstance(failure(await collected(listen(Puppet(text(" \n"), end()), call(question(format=ANY))))), Empty)


async def test_a_judges_document_need_not_fit() -> None:
    """Whoever asked a judge reads its words with more patience than a client's program has."""
    asked = replace(call(question(format=FITTING)), role="judge")
    assert isinstance((await collected(listen(Puppet(text('{"b": 1}'), end()), asked)))[-1], Finished)


@pytest.mark.parametrize(
    "said",
    [
        [text("x" * 50)] * 3,
        [Thinking(member="a", text="x" * 50)] * 3,
        [ToolCall(member="a", index=0, arguments="x" * 50)] * 3,
        [Thinking(member="a", text="")] * 50,
    ],
    ids=["text", "thoughts", "a call", "nothing"],
)
async def test_an_answer_without_end(monkeypatch: pytest.MonkeyPatch, said: list[Event]) -> None:
    """It would take all memory, in whatever pieces it comes."""
    monkeypatch.setattr("fusiond.members.listen.LONGEST", 150)
    puppet = Puppet(*said, hang)
    error = failure(await collected(listen(puppet, call())))
    assert isinstance(error, Garbled)
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


async def test_no_timer_outlives_the_answer() -> None:
    """Nobody waits for the member any more, whether its stream was read to the end or left."""

    class Prompt(Puppet):
        async def stream(self, _call: Call, patience: Patience) -> AsyncGenerator[Event, None]:
            await patience.wait(asyncio.sleep(0))
            yield text("4")
            yield end()

    def timers() -> list[object]:
        scheduled = asyncio.get_running_loop()._scheduled  # type: ignore[attr-defined]
        return [handle for handle in scheduled if not handle.cancelled()]

    async with aclosing(listen(Prompt(), call())) as events:
        await anext(events)
        assert len(timers()) == 1
    assert timers() == []
    await collected(listen(Prompt(), call()))
    assert timers() == []
