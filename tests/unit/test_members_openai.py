"""OpenAI's protocol, against a scripted server: what is asked, what comes of the answer, and that a stream that was cut is never complete."""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncIterator, Callable
from contextlib import aclosing
from decimal import Decimal
from pathlib import Path
from typing import Any

import pytest

from fusiond.catalog import ModelFacts
from fusiond.chat import Format, FunctionCall, ImagePart, Message, Request, Sampling, TextPart, Tool, ToolChoice
from fusiond.config.secret import Secret
from fusiond.config.tree import OpenAIConfig
from fusiond.errors import ContextTooSmall, Empty, Garbled, MemberError, Rejected, TimedOut, Truncated, Unreachable
from fusiond.events import Finished, FinishReason, Text, Thinking, ToolCall, Usage
from fusiond.members import openai
from fusiond.members.listen import listen
from fusiond.members.openai import OpenAI
from fusiond.members.openai_question import body
from fusiond.members.residency import Residency
from tests import asking
from tests.asking import call, collected, failure, heard
from tests.upstreams.openai import OpenAIUpstream
from tests.upstreams.script import (
    Call,
    Close,
    Comment,
    Drip,
    ErrorChunk,
    Finish,
    Flood,
    Gate,
    Hang,
    Head,
    Html,
    NoUsage,
    Raw,
    Reset,
    Say,
    Script,
    Scripts,
    Status,
    Step,
    Think,
    Wait,
    Wire,
)
from tests.upstreams.script import Usage as Used

Ask = Callable[[OpenAIUpstream], OpenAI]


@pytest.fixture
async def provider() -> AsyncIterator[Ask]:
    """Makes the provider of an upstream; its connections are closed with the test, and none may be in use."""
    made: list[OpenAI] = []

    def make(upstream: OpenAIUpstream, **config: Any) -> OpenAI:
        key = config["api_key"].read() if config.get("api_key") else None
        made.append(OpenAI(OpenAIConfig(api="openai", url=upstream.url, **config), key, Residency(asyncio.create_task)))
        return made[-1]

    yield make
    for each in made:
        assert leased(each) == 0
        await each.aclose()


def leased(provider: OpenAI) -> int:
    """Connections in use."""
    connector = provider._link.session.connector
    assert connector is not None
    return len(connector._acquired)


def chunk(delta: Any, **choice: Any) -> bytes:
    """A chunk as an event."""
    return b"data: " + json.dumps({"choices": [{"index": 0, "delta": delta, **choice}]}).encode() + b"\n\n"


async def answered(*steps: Step, stream_type: str | None = None) -> Any:
    """The transcript of an answer by that script."""
    head = [] if stream_type is None else [Head({"Content-Type": stream_type})]
    async with OpenAIUpstream({"a": Script(*head, *steps)}) as upstream:
        provider = OpenAI(OpenAIConfig(api="openai", url=upstream.url), None, Residency(asyncio.create_task))
        try:
            return await heard(provider, call(asking.question(tools=(Tool(name="add"), Tool(name="now"))), first_token_seconds=2))
        finally:
            await provider.aclose()


async def test_a_stream(provider: Ask) -> None:
    """Thoughts, pieces, usage and the end, in their order."""
    event = asyncio.Event()
    script = Script(Comment("working"), Think("hm"), Say("The answer"), Gate(event), Say(" is 4"), Finish(), Used(9, 3, 0.5))
    async with OpenAIUpstream({"a": script}) as upstream:
        events = []
        async for said in listen(provider(upstream), call()):
            events.append(said)
            event.set()
        (chat,) = upstream.chats
    assert (chat.body["stream"], chat.body["stream_options"]) == (True, {"include_usage": True})
    assert events == [
        Thinking(member="a", text="hm"),
        Text(member="a", text="The answer"),
        Text(member="a", text=" is 4"),
        Usage(member="a", prompt_tokens=9, completion_tokens=3),
        Finished(member="a", reason="stop"),
    ]


@pytest.mark.parametrize("field", ["reasoning_content", "reasoning"])
async def test_thoughts_in_either_field(field: str) -> None:
    """They are never content."""
    transcript = await answered(Think("hm", field), Say("<think>"), Say("and</think>4"), Finish())
    assert (transcript.thinking, transcript.text, transcript.complete) == ("hmand", "4", True)


async def test_tool_calls_in_pieces() -> None:
    """Put together by their index, with the arguments as they were written."""
    pieces = (
        Call(0, "c1", "add", ""),
        Call(0, arguments='{"a"'),
        Call(1, "c2", "now", "{}"),
        Call(0, arguments=": 1}"),
        Call(1, arguments=""),
    )
    transcript = await answered(*pieces, Finish("tool_calls"))
    assert transcript.tool_calls == (
        FunctionCall(id="c1", name="add", arguments='{"a": 1}'),
        FunctionCall(id="c2", name="now", arguments="{}"),
    )
    assert transcript.end == Finished(member="a", reason="tool_calls")


async def test_tool_calls_as_some_servers_send_them() -> None:
    """Without an index the place counts; arguments may come as an object, and the end without a reason."""
    calls = [{"id": "c1", "function": {"name": "add", "arguments": {"a": 1}}}, {"id": "c2", "function": {"name": "now"}}]
    transcript = await answered(Raw(chunk({"tool_calls": calls})), Raw("data: [DONE]\n\n"))
    assert transcript.tool_calls == (
        FunctionCall(id="c1", name="add", arguments='{"a": 1}'),
        FunctionCall(id="c2", name="now", arguments=""),
    )
    assert transcript.end == Finished(member="a", reason="tool_calls")


@pytest.mark.parametrize(
    ("told", "reason"),
    [
        ("stop", "stop"),
        ("length", "length"),
        ("content_filter", "content_filter"),
        ("tool_calls", "tool_calls"),
        ("function_call", "tool_calls"),
        ("eos_token", "stop"),
        ("STOP", "stop"),
        ("max_tokens", "length"),
        ("MAX_TOKENS", "length"),
        ("tool_use", "tool_calls"),
        ("SAFETY", "content_filter"),
    ],
)
async def test_reasons(told: str, reason: FinishReason) -> None:
    """Each server has its own words for them."""
    transcript = await answered(Say("4"), Finish(told))
    assert transcript.end == Finished(member="a", reason=reason)


async def test_done_without_a_reason() -> None:
    """The end mark alone is an end too; so is the reason alone."""
    assert (await answered(Say("4"), Finish(None))).end == Finished(member="a", reason="stop")
    assert (await answered(Say("4"), Finish(done=False))).end == Finished(member="a", reason="stop")
    assert (await answered(Raw(chunk({"content": "4"}, finish_reason="stop")), NoUsage())).text == "4"


async def test_what_was_refused_is_said() -> None:
    """A refusal is the answer's text."""
    assert (await answered(Raw(chunk({"refusal": "I cannot."})), Finish())).text == "I cannot."


async def test_no_usage() -> None:
    """A server that does not count is no failure."""
    transcript = await answered(Say("4"), NoUsage(), Finish())
    assert (transcript.usage, transcript.complete) == (None, True)


async def test_a_cost() -> None:
    """Taken as it is written, not as a float."""
    used = b'data: {"choices": [], "usage": {"prompt_tokens": 3, "completion_tokens": null, "cost": 0.0001}}\n\n'
    transcript = await answered(Say("4"), Raw(used), Finish(), NoUsage())
    assert transcript.usage == Usage(member="a", prompt_tokens=3, completion_tokens=0, cost=Decimal("0.0001"), final=False)


async def test_one_byte_at_a_time() -> None:
    """However it is cut, also in the middle of a letter."""
    transcript = await answered(Drip(), Say("häßlich"), Say(" 4"), Finish())
    assert (transcript.text, transcript.complete) == ("häßlich 4", True)


@pytest.mark.parametrize("indent", [None, 2])
async def test_a_server_that_does_not_stream(indent: int | None) -> None:
    """Its whole answer is read, over several lines too."""
    made = {"id": "c1", "type": "function", "function": {"name": "add", "arguments": "{}"}}
    message = {"role": "assistant", "content": "4", "reasoning_content": "hm", "tool_calls": [made]}
    usage = {"prompt_tokens": 9, "completion_tokens": 1}
    document = json.dumps({"choices": [{"index": 0, "message": message, "finish_reason": "stop"}], "usage": usage}, indent=indent)
    transcript = await answered(Raw(document[:40]), Raw(document[40:]), stream_type="application/json; charset=utf-8")
    assert (transcript.text, transcript.thinking, transcript.complete) == ("4", "hm", True)
    assert transcript.tool_calls == (FunctionCall(id="c1", name="add", arguments="{}"),)
    assert transcript.usage == Usage(member="a", prompt_tokens=9, completion_tokens=1)


FLAT = Raw('data: {"object": "error", "message": "CUDA out of memory", "type": "InternalServerError", "param": null, "code": 500}\n\n')
"""An error as vLLM has it in a stream."""

FAILURES = [
    pytest.param([Status(429)], Rejected, "HTTP 429", id="too many requests"),
    pytest.param([Status(500)], Rejected, "HTTP 500: scripted status 500", id="an error of its own"),
    pytest.param([Status(400, {"error": {"message": "maximum context length is 10"}})], ContextTooSmall, "maximum context", id="too long"),
    pytest.param([Status(200, {"error": {"message": "no"}})], Rejected, "no", id="an error in a 200"),
    pytest.param([Status(200, {"error": {"message": "busy", "code": 503}})], Rejected, "busy", id="an error with its status in a 200"),
    pytest.param([Status(200, {})], Truncated, "without its end", id="an empty object"),
    pytest.param([Status(200, [])], Garbled, "another form", id="a list"),
    pytest.param([Status(200, "4")], Truncated, "without its end", id="plain text"),
    pytest.param([Status(200, "")], Truncated, "without its end", id="nothing at all"),
    pytest.param([Head({"Content-Type": "application/json"}), Raw('{"choices": [')], Garbled, "not JSON", id="half a document"),
    pytest.param([Head({"Content-Type": "application/json"}), Flood(20_000_000)], Garbled, "more than", id="an endless document"),
    pytest.param([Html()], Garbled, "an HTML page", id="a page"),
    pytest.param([Html(502)], Rejected, "HTTP 502", id="a page with its status"),
    pytest.param([Say("4"), ErrorChunk("overloaded", 503)], Rejected, "overloaded", id="an error in the middle"),
    pytest.param([Say("4"), Raw('data: {"error": "gone"}\n\n')], Rejected, "gone", id="an error as a string"),
    pytest.param([Raw(chunk({}, finish_reason="error"))], Rejected, "with an error", id="an error as a reason"),
    pytest.param([Say("4"), FLAT, Finish()], Rejected, "CUDA out of memory", id="an error without an envelope"),
    pytest.param([Say("4"), Raw('data: {"message": "gone", "code": 500}\n\n'), Finish()], Rejected, "gone", id="an error without a kind"),
    pytest.param([FLAT, Finish(None)], Rejected, "CUDA out of memory", id="only an error without an envelope"),
    pytest.param([Say("4"), Raw(chunk({}, finish_reason="stop")), FLAT, Finish(None)], Rejected, "CUDA out of memory", id="an error after the end"),
    pytest.param([Say("4"), Finish("abort")], Truncated, "broke the answer off ('abort')", id="aborted"),
    pytest.param([Say("4"), Finish("insufficient_system_resource")], Truncated, "broke the answer off", id="a reason that nobody knows"),
    pytest.param([Finish()], Empty, "without a word", id="empty"),
    pytest.param([Think("hm"), Finish()], Empty, "without a word", id="only thoughts"),
    pytest.param([Finish(None)], Empty, "without a word", id="only an end mark"),
    pytest.param([], Truncated, "without its end", id="an empty stream"),
    pytest.param([Say("4")], Truncated, "without its end", id="cut between two events"),
    pytest.param([Say("4"), Raw('data: {"choi')], Garbled, "not JSON", id="cut in an event"),
    pytest.param([Say("4"), Close()], Truncated, "broke in the middle", id="closed"),
    pytest.param([Say("4"), Reset()], Truncated, "broke in the middle", id="reset"),
    pytest.param([Head(framed=False), Say("4"), Close()], Truncated, "without its end", id="closed, without framing"),
    pytest.param([Reset()], Unreachable, "no connection", id="reset at once"),
    pytest.param([Hang()], TimedOut, "no first token", id="hangs at once"),
    pytest.param([Head(), Comment("working"), Hang()], TimedOut, "no first token", id="hangs after a comment"),
    pytest.param([Say("4"), Hang()], TimedOut, "in the middle", id="hangs in the middle"),
    pytest.param([Flood(100_000_000)], Garbled, "a line of more than", id="100 MB without a line break"),
]


@pytest.mark.parametrize(("steps", "kind", "words"), FAILURES)
async def test_what_is_no_answer(provider: Ask, steps: list[Step], kind: type[MemberError], words: str) -> None:
    """Each fault has its own error; the connection is closed, and the upstream knows that nobody waits any more."""
    async with OpenAIUpstream({"a": Script(*steps)}) as upstream:
        asked = call(first_token_seconds=0.3, stall_seconds=0.3)
        error = failure(await heard(provider(upstream), asked))
        await upstream.idle()
    assert type(error) is kind, error
    assert words in error.message


async def test_what_came_with_an_error_came_before_it() -> None:
    """It is told, and joined: whoever keeps the record sees how far the answer came."""
    transcript = await answered(Raw(chunk({"content": "4"}) + chunk({"content": "2"}) + b'data: {"error": "gone"}\n\n' + chunk({"content": "5"})))
    assert (transcript.texts, failure(transcript).message) == (["42"], "gone")


GARBAGE = [
    b"4",
    b"[1]",
    b'"text"',
    b"null",
    b"{",
    b"\xff\xfe",
    b"[" * 100_000,
    b'{"choices": {"a": 1}}',
    b'{"choices": [4]}',
    b'{"choices": "text"}',
    b'{"choices": [{"delta": "text"}]}',
    b'{"choices": [{"delta": {"content": 4}}]}',
    b'{"choices": [{"delta": {"content": [{"type": "text"}]}}]}',
    b'{"choices": [{"delta": {"reasoning": {"a": 1}}}]}',
    b'{"choices": [{"delta": {"tool_calls": 4}}]}',
    b'{"choices": [{"delta": {"tool_calls": ["add"]}}]}',
    b'{"choices": [{"delta": {"tool_calls": [{"function": "add"}]}}]}',
    b'{"choices": [{"delta": {"tool_calls": [{"index": "0", "function": {"name": "add"}}]}}]}',
    b'{"choices": [{"delta": {"tool_calls": [{"id": 4, "function": {"name": "add"}}]}}]}',
    b'{"choices": [{"delta": {"tool_calls": [{"function": {"name": ["add"]}}]}}]}',
    b'{"choices": [{"delta": {}, "finish_reason": ["stop"]}]}',
    b'{"choices": [{"delta": {}, "finish_reason": {"a": 1}}]}',
]


@pytest.mark.parametrize("payload", GARBAGE, ids=lambda payload: repr(payload[:60]))
async def test_garbage(payload: bytes) -> None:
    """What is no chunk is the member's error, however it is no chunk, and shown in short."""
    transcript = await answered(Say("4"), Raw(b"data: " + payload + b"\n\n"), Finish())
    error = failure(transcript)
    assert type(error) is Garbled, error
    assert len(error.message) < 500


NO_USAGE = [
    "4",
    '["many"]',
    '{"prompt_tokens": "many"}',
    '{"prompt_tokens": 1e999}',
    '{"prompt_tokens": 3.5}',
    '{"prompt_tokens": [1]}',
    '{"prompt_tokens": true}',
    '{"prompt_tokens": -1}',
    '{"completion_tokens": 1000000001}',
    '{"completion_tokens_details": 4}',
    '{"completion_tokens_details": {"reasoning_tokens": -1}}',
    '{"cost": "much"}',
    '{"cost": ""}',
    '{"cost": false}',
    '{"cost": {"a": 1}}',
    '{"cost": "NaN"}',
    '{"cost": "Infinity"}',
    '{"cost": 1e999}',
    '{"cost": 1000001}',
    '{"cost": -1}',
    '{"cost": 1, "is_byok": true, "cost_details": {"upstream_inference_cost": ""}}',
    '{"cost": 1, "is_byok": true, "cost_details": 4}',
]


@pytest.mark.parametrize("usage", NO_USAGE)
async def test_usage_that_is_none(usage: str) -> None:
    """The answer stands, and what it cost is not known: least of all is it nothing."""
    transcript = await answered(Say("4"), Raw(f'data: {{"choices": [], "usage": {usage}}}\n\n'), NoUsage(), Finish())
    assert (transcript.text, transcript.complete, transcript.usage) == ("4", True, None)


@pytest.mark.parametrize("cost", ["1e-40", "0e-999999999", '"1E-500000000"', "0"])
async def test_a_cost_that_is_next_to_nothing(cost: str) -> None:
    """Its digits could not be written out."""
    transcript = await answered(Say("4"), Raw(f'data: {{"usage": {{"cost": {cost}}}}}\n\n'), NoUsage(), Finish())
    assert transcript.usage is not None
    assert str(transcript.usage.cost) == "0"


ENDED = Raw(chunk({}, finish_reason="stop"))
CUTS = [
    pytest.param([Hang()], id="silence"),
    pytest.param([Close()], id="closed"),
    pytest.param([Reset()], id="reset"),
    pytest.param([Raw('data: {"usa'), Close()], id="closed in a chunk"),
    pytest.param([Raw('data: {"usa'), Hang()], id="silence in a chunk"),
    pytest.param([Comment("still here"), Wait(0.03), Comment("still here"), Wait(0.03), Comment("still here"), Hang()], id="comments"),
]


@pytest.mark.parametrize("paid", [False, True])
@pytest.mark.parametrize("steps", CUTS)
async def test_an_answer_whose_end_was_said_is_complete(provider: Ask, monkeypatch: pytest.MonkeyPatch, steps: list[Step], paid: bool) -> None:
    """However its stream ends: what may still come is waited for a moment, and not for as long as a member may be silent."""
    monkeypatch.setattr(openai, "BILL_SECONDS" if paid else "LAST_SECONDS", 0.05)
    async with OpenAIUpstream({"a": Script(Say("4"), ENDED, Wait(0.01), *steps)}) as upstream:
        asked = call(stall_seconds=300, place="remote" if paid else "local")
        async with asyncio.timeout(4):
            transcript = await heard(provider(upstream), asked)
        assert (transcript.text, transcript.end) == ("4", Finished(member="a", reason="stop"))


async def test_what_it_cost_may_come_after_the_end() -> None:
    """It is waited for."""
    used = b'data: {"choices": [], "usage": {"prompt_tokens": 3, "completion_tokens": 1}}\n\n'
    transcript = await answered(Say("4"), ENDED, Wait(0.05), Raw(used), Wait(0.05), NoUsage(), Finish(None))
    assert transcript.usage == Usage(member="a", prompt_tokens=3, completion_tokens=1)


def piece_of(call_id: str | None, name: str | None, arguments: str, **place: Any) -> Raw:
    """A piece of a tool call."""
    return Raw(chunk({"tool_calls": [{**place, "id": call_id, "function": {"name": name, "arguments": arguments}}]}))


@pytest.mark.parametrize("place", [{"index": 0}, {}, {"index": None}, {"index": -1}], ids=str)
async def test_calls_that_share_a_place(place: dict[str, Any]) -> None:
    """A new id with a name begins another call; a piece with neither, with the same ones, or with an id alone goes on."""
    pieces = (
        piece_of("c1", "add", '{"a"', **place),
        piece_of(None, None, ": ", **place),
        piece_of("c1", "add", "1}", **place),
        piece_of("c2", "add", '{"a"', **place),
        piece_of("c3", None, ": ", **place),
        piece_of("c2", None, "2}", **place),
    )
    transcript = await answered(*pieces, Finish("stop"))
    assert transcript.tool_calls == (
        FunctionCall(id="c1", name="add", arguments='{"a": 1}'),
        FunctionCall(id="c2", name="add", arguments='{"a": 2}'),
    )
    assert transcript.end == Finished(member="a", reason="tool_calls")


async def test_calls_in_their_own_places() -> None:
    """The same id at two indexes is two calls."""
    pieces = (piece_of("c", "add", "{", index=0), piece_of("c", "now", "[", index=1), piece_of(None, None, "}", index=0))
    transcript = await answered(*pieces, Finish("tool_calls"))
    assert [(made.name, made.arguments) for made in transcript.tool_calls] == [("add", "{}"), ("now", "[")]


async def test_half_characters() -> None:
    """Cut in two over chunks, they are whole; one without its other half is unreadable, and the answer stands."""
    halves = [Raw(chunk({"content": text})) for text in ("a\ud83d", "\ude00b", "\udc00", "\ud83d", "c")]
    transcript = await answered(*halves, Finish())
    assert transcript.text == "a\U0001f600b\ufffd\ufffdc"
    assert (await answered(Say("4"), halves[0], Finish())).text == "4a\ufffd"
    assert (await answered(Raw(chunk({"reasoning": "\ud83d"})), Say("4"), Finish())).text == "4"


async def test_other_choices_are_not_the_answer() -> None:
    """Nobody asked for them."""
    both = {"choices": [{"index": 1, "delta": {"content": "no"}}, {"index": 0, "delta": {"content": "4"}}]}
    other = {"choices": [{"index": 1, "delta": {"content": "no"}, "finish_reason": "length"}]}
    transcript = await answered(*(Raw(f"data: {json.dumps(said)}\n\n") for said in (both, other)), Finish())
    assert (transcript.text, transcript.end) == ("4", Finished(member="a", reason="stop"))


async def test_a_byte_order_mark() -> None:
    """It is no part of the first chunk."""
    assert (await answered(Raw(b"\xef\xbb\xbf"), Raw(chunk({"content": "4"})), Finish())).text == "4"


SECRET = "lab-key-123456"


@pytest.mark.parametrize(
    "steps",
    [
        [Status(401, {"error": {"message": f"Incorrect API key provided: {SECRET}"}})],
        [Status(500, f"upstream said {SECRET}")],
        [Say("4"), ErrorChunk(f"bad key {SECRET}")],
        [Say("4"), Raw(f'data: {{"object": "error", "message": "bad key {SECRET}"}}\n\n')],
        [Say("4"), Raw(f"data: key {SECRET}\n\n"), Finish()],
        [Say("4"), Raw(f'data: {{"choices": "{SECRET}"}}\n\n'), Finish()],
        [Say("4"), Finish(f"no {SECRET}")],
        [Wire(f"HTTP/1.1 200 OK\r\n{SECRET}\r\n\r\n")],
    ],
    ids=["a status", "text", "a chunk", "a flat chunk", "no JSON", "another form", "a reason", "no HTTP"],
)
async def test_the_key_is_in_no_error(provider: Ask, monkeypatch: pytest.MonkeyPatch, steps: list[Step]) -> None:
    """Whatever the server says of it."""
    monkeypatch.setenv("LAB_KEY", SECRET)
    async with OpenAIUpstream({"a": Script(*steps)}) as upstream:
        error = failure(await heard(provider(upstream, api_key=Secret(env="LAB_KEY"))))  # type: ignore[call-arg]
    assert SECRET not in str(error)
    assert SECRET[:8] not in error.message
    assert "[secret]" in error.message


async def test_the_rest_after_the_end_is_not_read(provider: Ask) -> None:
    """A server that does not end its body after the last event costs the connection, and no more."""
    async with OpenAIUpstream({"a": [Script(Say("4"), Finish(), Hang()), Script(Say("5"), Finish())]}) as upstream:
        asked = provider(upstream)
        assert (await heard(asked)).complete
        await upstream.left()
        assert (await heard(asked)).text == "5"
        assert upstream.connections.most <= 2


async def test_a_connection_serves_again(provider: Ask) -> None:
    """After a complete answer the next question comes over the same connection."""
    async with OpenAIUpstream({"a": Script(Say("4"), Finish())}) as upstream:
        asked = provider(upstream)
        for _ in range(3):
            assert (await heard(asked)).complete
            await upstream.idle()
        assert (len(upstream.chats), upstream.connections.most) == (3, 1)


async def test_leaving_closes_the_connection(provider: Ask) -> None:
    """Who stops listening is seen to leave at once, and the slot is free."""
    scripts: Scripts = {"a": [Script(Say("4"), Hang()), Script(Say("5"), Finish())]}
    async with OpenAIUpstream(scripts) as upstream:
        asked = provider(upstream, parallel=1)  # type: ignore[call-arg]
        async with aclosing(listen(asked, call())) as events:
            await anext(events)
        await upstream.left()
        assert leased(asked) == 0
        assert (await heard(asked)).text == "5"


async def test_one_at_a_time(provider: Ask) -> None:
    """`parallel` is kept to; without it nobody waits."""
    async with OpenAIUpstream({"a": Script(Say("4"), Finish())}) as upstream:
        asked = provider(upstream, parallel=1)  # type: ignore[call-arg]
        several = [asyncio.create_task(heard(asked)) for _ in range(4)]
        assert all([(await task).complete for task in several])
        assert upstream.streams.most == 1
        event = asyncio.Event()
        upstream.scripts["a"] = Script(Gate(event), Say("4"), Finish())
        free = provider(upstream)
        several = [asyncio.create_task(heard(free)) for _ in range(4)]
        await upstream.until(lambda: upstream.streams.now == 4)
        event.set()
        assert all([(await task).complete for task in several])


async def test_the_key(provider: Ask, monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """From where the configuration says, with every question; without one, no header."""
    monkeypatch.setenv("LAB_KEY", "k1")
    async with OpenAIUpstream({"a": Script(Say("4"), Finish())}) as upstream:
        await heard(provider(upstream, api_key=Secret(env="LAB_KEY")))  # type: ignore[call-arg]
        await heard(provider(upstream))
        assert [chat.headers.get("authorization") for chat in upstream.chats] == ["Bearer k1", None]


async def test_discovery(provider: Ask) -> None:
    """Nothing without `discover`; otherwise the names that the server lists."""
    async with OpenAIUpstream({"a": Script(), "org/b": Script()}) as upstream:
        assert (await provider(upstream).discover()).models == {}
        assert upstream.requests == []
        facts = await provider(upstream, discover=True).discover()  # type: ignore[call-arg]
        assert facts.models == {name: ModelFacts(model=name, place="local") for name in ("a", "org/b")}
        upstream.pages["/v1/models"] = Script(Status(200, {"data": [4, {}, {"id": 4}, {"id": "c"}]}))
        assert [*(await provider(upstream, discover=True).discover()).models] == ["c"]  # type: ignore[call-arg]


@pytest.mark.parametrize(
    ("steps", "words"),
    [
        ([Status(401)], "401"),
        ([Status(302, "", {"Location": "/v2/models"})], ""),
        ([Html()], ""),
        ([Reset()], ""),
        ([Raw("[" * 100_000)], ""),
        ([Status(200, [1])], None),
        ([Status(200, {"data": None})], None),
    ],
)
async def test_a_list_that_is_none(provider: Ask, steps: list[Step], words: str | None) -> None:
    """An error is a fact, and does not raise."""
    async with OpenAIUpstream({}) as upstream:
        upstream.pages["/v1/models"] = Script(*steps)
        facts = await provider(upstream, discover=True).discover()  # type: ignore[call-arg]
    assert facts.models == {}
    if words is not None:
        assert facts.error is not None
        assert words in facts.error


def test_the_question() -> None:
    """Only what the client said, and the member's own options where it said nothing."""
    assert body(call(model="m")) == {
        "model": "m",
        "messages": [{"role": "user", "content": "2+2?"}],
        "stream": True,
        "stream_options": {"include_usage": True},
    }
    sampling = Sampling(temperature=0, top_p=0.5, top_k=3, max_tokens=7, seed=1, stop=("a", "b"), reasoning_effort="low", presence_penalty=1)
    told = body(call(asking.question(sampling=sampling), options={"temperature": 0.7, "cache_prompt": True}))
    rest = {name: value for name, value in told.items() if name not in ("model", "messages", "stream", "stream_options")}
    assert rest == {
        "temperature": 0,
        "top_p": 0.5,
        "top_k": 3,
        "max_tokens": 7,
        "seed": 1,
        "stop": ["a", "b"],
        "reasoning_effort": "low",
        "presence_penalty": 1,
        "cache_prompt": True,
    }


def test_messages() -> None:
    """Text as a string, parts only where there is more; calls and results as they came."""
    shown = Message(
        role="user", parts=(TextPart(text="What?"), ImagePart(url="data:image/png;base64,AA==", detail="low"), ImagePart(url="https://x/y"))
    )
    made = Message(role="assistant", tool_calls=(FunctionCall(id="c1", name="add", arguments='{"a":1}'),))
    result = Message(role="tool", call_id="c1", name="add", parts=(TextPart(text="2"),))
    assert body(call(Request(id="r", model="m", messages=(shown, made, result))))["messages"] == [
        {
            "role": "user",
            "content": [
                {"type": "text", "text": "What?"},
                {"type": "image_url", "image_url": {"url": "data:image/png;base64,AA==", "detail": "low"}},
                {"type": "image_url", "image_url": {"url": "https://x/y"}},
            ],
        },
        {
            "role": "assistant",
            "content": None,
            "tool_calls": [{"id": "c1", "type": "function", "function": {"name": "add", "arguments": '{"a":1}'}}],
        },
        {"role": "tool", "content": "2", "tool_call_id": "c1", "name": "add"},
    ]


def test_tools_and_form() -> None:
    """Tools with what the client said of them, the choice, and the form of the answer."""
    tools = (Tool(name="add", description="Adds.", parameters={"type": "object"}, strict=True), Tool(name="now"))
    named = body(call(asking.question(tools=tools, tool_choice=ToolChoice(name="add"), parallel_tool_calls=False)))
    assert named["tools"] == [
        {"type": "function", "function": {"name": "add", "description": "Adds.", "parameters": {"type": "object"}, "strict": True}},
        {"type": "function", "function": {"name": "now"}},
    ]
    assert (named["tool_choice"], named["parallel_tool_calls"]) == ({"type": "function", "function": {"name": "add"}}, False)
    assert body(call(asking.question(tools=tools, tool_choice=ToolChoice(mode="none"))))["tool_choice"] == "none"
    assert body(call(asking.question(format=Format(kind="json_object"))))["response_format"] == {"type": "json_object"}
    schema = body(call(asking.question(format=Format(kind="json_schema", name="n", schema={"type": "array"}, strict=True))))["response_format"]
    assert schema == {"type": "json_schema", "json_schema": {"name": "n", "schema": {"type": "array"}, "strict": True}}


async def test_voices(provider: Ask) -> None:
    """Every event has the voice of its call."""
    async with OpenAIUpstream({"a": Script(Think("hm"), Say("4"), Call(0, "c", "f", "{}"), Finish())}) as upstream:
        events = await collected(listen(provider(upstream), call(voice="a#2")))
    assert {event.member for event in events} == {"a#2"}
    assert any(isinstance(event, ToolCall) for event in events)
