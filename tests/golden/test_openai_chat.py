"""OpenAI's chat completions, byte for byte: what clients send becomes a `Request`, what was said becomes exactly these files."""

from __future__ import annotations

import json
from dataclasses import fields
from decimal import Decimal
from pathlib import Path
from typing import Any

import pytest

from fusiond.chat import Format, FunctionCall, ImagePart, Message, Overrides, Request, Sampling, TextPart, Tool, ToolChoice
from fusiond.errors import AllFailed, BadRequest, Empty, FusiondError, SchemaFailed, TimedOut, Truncated
from fusiond.events import Event, Finished, FinishReason, Progress, Text, Thinking, ToolCall, Usage, fold
from fusiond.report import MemberReport, Report, Totals
from fusiond.wire.openai_answer import KEEP_ALIVE, Encoder, whole
from fusiond.wire.openai_body import ChatBody
from fusiond.wire.openai_chat import decode
from fusiond.wire.openai_errors import envelope
from fusiond.wire.openai_models import ModelEntry, model, models

GOLDEN = Path(__file__).with_name("openai_chat")
CREATED = 1_790_000_000
HELLO = [{"role": "user", "content": "hello"}]
ASKED = Message(role="user", parts=(TextPart(text="hello"),))
PIXEL = "data:image/png;base64,iVBORw0KGgo="
WEATHER = {"type": "function", "function": {"name": "weather", "parameters": {"type": "object", "$schema": "x", "properties": {}}}}


def asked(**extra: Any) -> Request:
    """What a body with these fields, and a model and messages, is decoded to."""
    return decode(json.dumps({"model": "fusion", "messages": HELLO} | extra).encode(), "r1")


def message(**written: Any) -> Message:
    """What one message is decoded to."""
    return asked(messages=[written]).messages[0]


def said(*texts: str) -> tuple[TextPart, ...]:
    """Text parts."""
    return tuple(TextPart(text=text) for text in texts)


def test_the_smallest_body() -> None:
    """A model and one message are enough; nothing else is made up."""
    assert asked() == Request(id="r1", model="fusion", messages=(ASKED,))


def test_every_field_that_is_used() -> None:
    """Each field lands in its place of the request."""
    body = {
        "temperature": 1,
        "top_p": 0.9,
        "top_k": 40,
        "min_p": 0.05,
        "max_tokens": 10,
        "max_completion_tokens": 20,
        "stop": ["a", "b", "c", "d", "e"],
        "seed": -1,
        "frequency_penalty": -2,
        "presence_penalty": 2.0,
        "reasoning_effort": "low",
        "tools": [WEATHER],
        "tool_choice": {"type": "function", "function": {"name": "weather"}},
        "parallel_tool_calls": False,
        "response_format": {"type": "json_schema", "json_schema": {"name": "city", "schema": {"type": "object"}, "strict": True}},
        "stream": True,
        "stream_options": {"include_usage": True, "include_obfuscation": False},
        "fusion": {"strategy": "vote", "panel": ["a", "b"], "judge": "c", "writer": "d", "trace": True, "progress": True},
    }
    assert asked(**body) == Request(
        id="r1",
        model="fusion",
        messages=(ASKED,),
        sampling=Sampling(
            temperature=1.0,
            top_p=0.9,
            top_k=40,
            min_p=0.05,
            max_tokens=20,
            stop=("a", "b", "c", "d", "e"),
            seed=-1,
            frequency_penalty=-2.0,
            presence_penalty=2.0,
            reasoning_effort="low",
        ),
        tools=(Tool(name="weather", parameters={"type": "object", "$schema": "x", "properties": {}}),),
        tool_choice=ToolChoice(mode="required", name="weather"),
        parallel_tool_calls=False,
        format=Format(kind="json_schema", schema={"type": "object"}, name="city", strict=True),
        stream=True,
        include_usage=True,
        overrides=Overrides(strategy="vote", panel=("a", "b"), judge="c", writer="d", trace=True, progress=True),
    )


def test_null_is_absent() -> None:
    """Every optional field may be null, and is then as if it were not there: not named as ignored either."""
    names = {field.name for field in fields(ChatBody)} - {"model", "messages"} | {"user", "metadata", "top_logprobs"}
    assert asked(**dict.fromkeys(names)) == asked()


@pytest.mark.parametrize(
    "harmless",
    [
        {"n": 1},
        {"logprobs": False},
        {"modalities": ["text"]},
        {"functions": []},
        {"plugins": []},
        {"tools": []},
        {"tools": [], "tool_choice": "none"},
        {"stop": []},
        {"stop": ""},
        {"stream": False},
        {"response_format": {"type": "text"}},
        {"stream_options": {}},
        {"fusion": {}},
    ],
    ids=json.dumps,
)
def test_asking_for_nothing_special(harmless: dict[str, Any]) -> None:
    """Fields that say what holds anyway change nothing but the tool choice, and are not named as ignored."""
    request = asked(**harmless)
    assert (request.ignored, request.tools, request.sampling, request.format, request.overrides) == ((), (), Sampling(), None, Overrides())


def test_what_is_not_used_is_named() -> None:
    """Fields that are accepted and not used are named in the order in which they came, whatever they hold."""
    unused = {"user": "me", "store": True, "metadata": {"a": 1}, "service_tier": "auto", "logit_bias": {}, "prompt_cache_key": "k", "zzz": 0}
    assert asked(**unused).ignored == tuple(unused)


def test_what_is_not_used_inside_is_named() -> None:
    """Of messages, their parts and calls, and of tools: each name once, where it stands first; what says nothing is no loss."""
    image = {"url": "https://a/b", "size": 3}
    parts = [{"type": "text", "text": "a", "cache_control": {"type": "ephemeral"}}, {"type": "image_url", "image_url": image, "cache_control": {}}]
    call = {"id": "c1", "type": "function", "index": 0, "function": {"name": "f", "arguments": "{}", "parsed": {"a": 1}}}
    messages = [
        {"role": "system", "content": "a", "name": None},
        {"role": "user", "content": "a", "name": "ann"},
        {"role": "user", "content": parts, "name": "bob", "weight": 0},
        {"role": "assistant", "content": None, "tool_calls": [call], "refusal": None, "annotations": [], "reasoning_content": "hm", "audio": None},
        {"role": "tool", "content": "a", "tool_call_id": "c1", "name": "f", "is_error": False},
    ]
    function = {"name": "f", "parameters": {"type": "object", "anything": 1}, "examples": [1]}
    tools = [{"type": "function", "function": {"name": "e"}}, {"type": "function", "function": function, "defer_loading": True}]
    assert asked(messages=messages, tools=tools, user="me").ignored == (
        "user",
        "messages[1].name",
        "messages[2].weight",
        "messages[2].content[0].cache_control",
        "messages[2].content[1].image_url.size",
        "messages[3].reasoning_content",
        "messages[3].tool_calls[0].index",
        "messages[3].tool_calls[0].function.parsed",
        "messages[4].is_error",
        "tools[1].defer_loading",
        "tools[1].function.examples",
    )


@pytest.mark.parametrize("content", [{"content": None}, {"content": ""}, {"content": []}, {}], ids=json.dumps)
@pytest.mark.parametrize("role", ["system", "user", "assistant"])
def test_content_that_says_nothing(role: str, content: dict[str, Any]) -> None:
    """Null, empty and absent contents are one and the same."""
    assert message(role=role, **content) == Message(role=role)  # type: ignore[arg-type]


def test_a_conversation_of_every_shape() -> None:
    """Several system messages, `developer`, two users and two assistants in a row, parts, echoed calls and thoughts, an assistant at the end."""
    call = {"id": "c1", "index": 0, "type": "function", "function": {"name": "weather", "arguments": '{"city": "Rome"}'}}
    messages = [
        {"role": "system", "content": "one"},
        {"role": "developer", "content": [{"type": "text", "text": "two"}]},
        {"role": "system", "content": "three", "name": "x"},
        {"role": "user", "content": [{"type": "text", "text": "a", "cache_control": {"type": "ephemeral"}}, {"type": "text", "text": "b"}]},
        {"role": "user", "content": "c", "name": "me"},
        {"role": "assistant", "content": None, "tool_calls": [call], "reasoning_content": "hm", "refusal": None, "annotations": []},
        {"role": "tool", "tool_call_id": "c1", "name": "weather", "content": [{"type": "text", "text": "sunny"}]},
        {"role": "assistant", "tool_calls": [{"function": {"name": "now"}}]},
        {"role": "tool", "tool_call_id": "", "content": ""},
        {"role": "assistant", "content": [{"type": "refusal", "refusal": "no"}], "tool_calls": None},
        {"role": "assistant", "content": "And so", "tool_calls": []},
    ]
    assert asked(messages=messages).messages == (
        Message(role="system", parts=said("one")),
        Message(role="system", parts=said("two")),
        Message(role="system", parts=said("three")),
        Message(role="user", parts=said("a", "b")),
        Message(role="user", parts=said("c")),
        Message(role="assistant", tool_calls=(FunctionCall(id="c1", name="weather", arguments='{"city": "Rome"}'),)),
        Message(role="tool", parts=said("sunny"), call_id="c1", name="weather"),
        Message(role="assistant", tool_calls=(FunctionCall(id="", name="now", arguments="{}"),)),
        Message(role="tool", call_id=""),
        Message(role="assistant", parts=said("no")),
        Message(role="assistant", parts=said("And so")),
    )


@pytest.mark.parametrize(
    ("written", "image"),
    [
        ({"url": PIXEL, "detail": "low"}, ImagePart(url=PIXEL, detail="low")),
        ({"url": PIXEL, "detail": None}, ImagePart(url=PIXEL)),
        (PIXEL, ImagePart(url=PIXEL)),
        ("https://example.org/a.png", ImagePart(url="https://example.org/a.png")),
    ],
)
def test_images(written: object, image: ImagePart) -> None:
    """An image is a data URL or an https URL, as an object or as a bare string, and is passed on as it is."""
    assert message(role="user", content=[{"type": "image_url", "image_url": written}]).parts == (image,)


@pytest.mark.parametrize(
    ("written", "choice"),
    [
        ("none", ToolChoice(mode="none")),
        ("auto", ToolChoice(mode="auto")),
        ("required", ToolChoice(mode="required")),
        ({"type": "function", "function": {"name": "weather"}}, ToolChoice(mode="required", name="weather")),
    ],
)
def test_tool_choices(written: object, choice: ToolChoice) -> None:
    """A word, or an object that names one of the tools."""
    assert asked(tools=[WEATHER], tool_choice=written).tool_choice == choice


@pytest.mark.parametrize(
    ("written", "form"),
    [
        ({"type": "json_object"}, Format(kind="json_object")),
        ({"type": "json_object", "schema": {"type": "object"}}, Format(kind="json_schema", schema={"type": "object"})),
        ({"type": "json_schema", "json_schema": {"name": "n", "schema": {}}}, Format(kind="json_schema", schema={}, name="n")),
    ],
)
def test_response_formats(written: object, form: Format) -> None:
    """JSON of any kind, or JSON that fits a schema."""
    assert asked(response_format=written).format == form


def test_the_last_of_two_equal_keys_counts() -> None:
    """JSON with a key twice is read as most readers do."""
    assert decode(b'{"model":"a","model":"b","messages":[{"role":"user","content":"hello"}]}', "r1").model == "b"


REPORT = Report(
    strategy="vote",
    decision="majority",
    confidence=0.93,
    agreement=2 / 3,
    members=(
        MemberReport(
            member="qwen",
            sample=1,
            model="qwen3:8b",
            place="local",
            status="answered",
            key="rome",
            text="Rome",
            first_token_ms=120.5,
            total_ms=300.0,
            usage=Usage(member="qwen", prompt_tokens=11, completion_tokens=2),
        ),
        MemberReport(member="mini", sample=2, model="openai/mini", place="remote", status="failed", cost_usd=Decimal("0.00012"), error="truncated"),
        MemberReport(member="sonnet", sample=1, model="a/sonnet", place="remote", role="judge", status="skipped", error="budget"),
    ),
    degraded=("members",),
    prompt_tokens=11,
    completion_tokens=2,
    totals=Totals(prompt_tokens=33, completion_tokens=9, calls=3),
    cost_usd=Decimal("0.00012"),
    saved_usd=Decimal("0.5"),
)
ESTIMATED = Report(strategy="single", decision="relayed", analysis=None, prompt_tokens=3, completion_tokens=1, estimated=True)
TRACE = {"trace": True, "progress": True}
CASES: dict[str, tuple[dict[str, Any], list[Event], FinishReason, Report]] = {
    "text": ({}, [Text(member="qwen", text="Ro"), Text(member="qwen", text='me "è" \n\u2028\ud83d')], "stop", REPORT),
    "usage": ({"stream_options": {"include_usage": True}}, [Text(member="qwen", text="Rome")], "length", ESTIMATED),
    "trace": (
        {"fusion": TRACE},
        [Progress(member="mini#2", status="asked"), Progress(member="mini#2", text="Ro"), Text(member="qwen", text="Rome")],
        "stop",
        REPORT,
    ),
    "unwatched": ({}, [Progress(member="mini#2", text="Ro"), Usage(member="a", prompt_tokens=1, completion_tokens=1)], "content_filter", REPORT),
    "thinking": ({}, [Thinking(member="qwen", text="Let me"), Thinking(member="qwen", text=" see"), Text(member="qwen", text="4")], "stop", REPORT),
    "tools": (
        {"tools": [WEATHER]},
        [
            ToolCall(member="qwen", index=0, id="c1", name="weather"),
            ToolCall(member="qwen", index=0, arguments='{"city":'),
            ToolCall(member="qwen", index=0, arguments='"Rome"}'),
            ToolCall(member="qwen", index=1, name="weather", arguments="{}"),
        ],
        "tool_calls",
        REPORT,
    ),
}


@pytest.mark.parametrize("name", CASES)
def test_a_stream(name: str) -> None:
    """Role first, then each piece, then the reason, trace and usage as asked for, and the terminator."""
    extra, events, reason, report = CASES[name]
    encoder = Encoder(asked(stream=True, **extra), CREATED)
    stream = b"".join((*map(encoder.event, events), encoder.end(reason, report)))
    assert stream == (GOLDEN / f"{name}.sse").read_bytes()


@pytest.mark.parametrize("name", CASES)
def test_a_whole_answer(name: str) -> None:
    """The same events in one piece."""
    extra, events, reason, report = CASES[name]
    transcript = fold([*events, Finished(member="qwen", reason=reason)])
    assert whole(asked(**extra), CREATED, transcript, report) + b"\n" == (GOLDEN / f"{name}.json").read_bytes()


def test_a_whole_answer_must_be_complete() -> None:
    """What was cut is never made to look like an answer."""
    with pytest.raises(TypeError, match="not a complete answer"):
        whole(asked(), CREATED, fold([Text(member="qwen", text="Ro")]), REPORT)


ERRORS: dict[str, FusiondError] = {
    "bad_request": BadRequest("messages[0].role is required", param="messages[0].role"),
    "all_failed": AllFailed({"qwen": TimedOut("no first token within 60 s"), "mini": Empty("the stream ended well, and said nothing")}),
    "schema_failed": SchemaFailed({"qwen": "is no JSON", "mini": "$.age: is required"}),
    "member": Truncated("the stream stopped\nwithout its end mark"),
}


@pytest.mark.parametrize("name", ERRORS)
def test_an_error(name: str) -> None:
    """All four keys, and each member's reason where all failed."""
    assert envelope(ERRORS[name], "r1") + b"\n" == (GOLDEN / f"error_{name}.json").read_bytes()


def test_a_stream_that_fails() -> None:
    """One error event without choices, on one line, and no terminator."""
    encoder = Encoder(asked(stream=True), CREATED)
    stream = encoder.event(Text(member="qwen", text="Ro")) + KEEP_ALIVE + encoder.failure(ERRORS["member"])
    assert stream == (GOLDEN / "failed.sse").read_bytes()


def test_models() -> None:
    """A list of models, each as it is told alone; the context only where it is known."""
    entries = [ModelEntry(id="fusion", created=CREATED), ModelEntry(id="ollama/qwen3:8b", created=CREATED, owned_by="ollama", context=16384)]
    told = json.loads(models(entries))
    assert told == {
        "object": "list",
        "data": [
            {"id": "fusion", "object": "model", "created": CREATED, "owned_by": "fusiond"},
            {"id": "ollama/qwen3:8b", "object": "model", "created": CREATED, "owned_by": "ollama", "context_length": 16384},
        ],
    }
    assert [json.loads(model(entry)) for entry in entries] == told["data"]
