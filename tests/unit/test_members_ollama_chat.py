"""Ollama's chat as bytes: what it is asked, and what the lines of its answer mean."""

from __future__ import annotations

import json
from typing import Any

import pytest

from fusiond.chat import Format, FunctionCall, ImagePart, Message, Request, Sampling, TextPart, Tool, ToolChoice
from fusiond.errors import ContextTooSmall, Garbled, MemberError, Rejected, Truncated
from fusiond.events import Event, Finished, Text, Thinking, ToolCall, Usage, fold
from fusiond.members.ollama_chat import Lines, load_order, question
from tests.asking import call, member
from tests.asking import question as asked

PIXEL = "iVBORw0KGgo="


def body(request: Request | None = None, **facts: Any) -> dict[str, Any]:
    """The question that a member with those facts is asked."""
    return question(call(request, model="qwen3:8b", **facts), "5m")


def of(*messages: Message, **fields: Any) -> Request:
    """A request of these messages."""
    return Request(id="r1", model="fusion", messages=messages, **fields)


def told(*messages: Message) -> list[dict[str, Any]]:
    """Messages as Ollama has them."""
    messages_told: list[dict[str, Any]] = body(of(*messages))["messages"]
    return messages_told


def user(text: str, *images: str) -> Message:
    """What a user says and shows."""
    return Message(role="user", parts=(TextPart(text=text), *(ImagePart(url=url) for url in images)))


MADE = Message(role="assistant", tool_calls=(FunctionCall(id="c1", name="add", arguments='{"a": 1}'),))


def test_a_plain_question() -> None:
    """Streamed, and refused rather than cut where it does not fit."""
    assert body(of(Message(role="system", parts=(TextPart(text="Be brief."),)), user("2+2?"))) == {
        "model": "qwen3:8b",
        "messages": [{"role": "system", "content": "Be brief."}, {"role": "user", "content": "2+2?"}],
        "stream": True,
        "truncate": False,
        "shift": False,
        "keep_alive": "5m",
        "options": {},
    }


def test_images() -> None:
    """Their data alone, beside the text; an address is not fetched."""
    (message,) = told(user("What is it?", f"data:image/png;base64,{PIXEL}", f"data:image/jpeg;base64,{PIXEL}"))
    assert message == {"role": "user", "content": "What is it?", "images": [PIXEL, PIXEL]}
    for url in ("https://example.com/a.png", "data:image/svg+xml,<svg/>", "file:///etc/passwd"):
        with pytest.raises(Rejected, match="takes images only as data"):
            told(user("What is it?", url))


def test_a_tool_loop() -> None:
    """Calls have their arguments as an object; a result says which tool it is of, also where the client only gave the call's id."""
    result = Message(role="tool", call_id="c1", parts=(TextPart(text="2"),))
    named = Message(role="tool", call_id="c1", name="sum", parts=(TextPart(text="2"),))
    unknown = Message(role="tool", call_id="c9", parts=(TextPart(text="2"),))
    _, made, first, second, third = told(user("1+1?"), MADE, result, named, unknown)
    assert made == {"role": "assistant", "content": "", "tool_calls": [{"id": "c1", "function": {"name": "add", "arguments": {"a": 1}}}]}
    assert first == {"role": "tool", "content": "2", "tool_call_id": "c1", "tool_name": "add"}
    assert (second["tool_name"], "tool_name" in third) == ("sum", False)


@pytest.mark.parametrize("arguments", ["{", "[1]", "4", "null", "[" * 100_000])
def test_arguments_that_are_no_object(arguments: str) -> None:
    """They cannot be told, and are not made up."""
    with pytest.raises(Rejected, match="earlier tool call add are not a JSON object"):
        told(Message(role="assistant", tool_calls=(FunctionCall(id="c1", name="add", arguments=arguments),)))


def test_a_call_without_arguments() -> None:
    """Nothing is an empty object."""
    (made,) = told(Message(role="assistant", tool_calls=(FunctionCall(id="c1", name="now", arguments=""),)))
    assert made["tool_calls"][0]["function"]["arguments"] == {}


def test_tools() -> None:
    """Each with parameters, which Ollama wants; none where the client wants none called."""
    tools = (Tool(name="add", description="Adds.", parameters={"type": "object"}, strict=True), Tool(name="now"))
    assert body(asked(tools=tools))["tools"] == [
        {"type": "function", "function": {"name": "add", "description": "Adds.", "parameters": {"type": "object"}}},
        {"type": "function", "function": {"name": "now", "parameters": {"type": "object", "properties": {}}}},
    ]
    assert "tools" in body(asked(tools=tools, tool_choice=ToolChoice(mode="required")))
    assert "tools" not in body(asked(tools=tools, tool_choice=ToolChoice(mode="none")))


def test_the_form_of_the_answer() -> None:
    """Any JSON, or a schema."""
    assert body(asked(format=Format(kind="json_object")))["format"] == "json"
    assert body(asked(format=Format(kind="json_schema", schema={"type": "array"})))["format"] == {"type": "array"}
    assert "format" not in body()


def test_options() -> None:
    """The client's sampling by Ollama's names, over the member's own options, and the window over both."""
    sampling = Sampling(
        temperature=0.5, top_p=0.9, top_k=3, min_p=0.1, max_tokens=7, stop=("a", "b"), seed=0, frequency_penalty=0, presence_penalty=1
    )
    options = body(asked(sampling=sampling), context=4096, options={"temperature": 0.2, "num_gpu": 1, "num_ctx": 9})["options"]
    assert options == {
        "temperature": 0.5,
        "top_p": 0.9,
        "top_k": 3,
        "min_p": 0.1,
        "seed": 0,
        "frequency_penalty": 0,
        "presence_penalty": 1,
        "num_predict": 7,
        "stop": ["a", "b"],
        "num_gpu": 1,
        "num_ctx": 4096,
    }


def test_a_load_uses_the_same_runner() -> None:
    """Its options are those that a question has too, as far as a runner depends on them: another one would be loaded anew."""
    options = {"temperature": 0.2, "num_gpu": 1, "use_mmap": False, "main_gpu": 0, "num_predict": 5, "num_ctx": 9}
    order = load_order(member(model="qwen3:8b", context=4096, options=options), "5m")
    assert order == {
        "model": "qwen3:8b",
        "messages": [],
        "stream": False,
        "shift": False,
        "keep_alive": "5m",
        "options": {"num_gpu": 1, "use_mmap": False, "main_gpu": 0, "num_ctx": 4096},
    }


@pytest.mark.parametrize(
    ("model", "reasoning", "effort", "think"),
    [
        ("llama3", False, None, None),
        ("llama3", False, "high", None),
        ("qwen3", True, None, True),
        ("qwen3", True, "low", True),
        ("qwen3", True, "none", False),
        ("gpt-oss:20b", True, "low", "low"),
        ("gpt-oss:20b", True, "minimal", "low"),
        ("gpt-oss:20b", True, "xhigh", "high"),
        ("gpt-oss:20b", True, None, True),
    ],
)
def test_thinking(model: str, reasoning: bool, effort: str | None, think: bool | str | None) -> None:
    """Said explicitly to those that think, and to nobody else, since they refuse it."""
    request = asked(sampling=Sampling(reasoning_effort=effort))
    assert question(call(request, model=model, reasoning=reasoning), "5m").get("think") == think


def read(*lines: dict[str, Any] | bytes) -> tuple[list[Event], Lines]:
    """The events of lines, and their reader."""
    reader = Lines("a")
    return list(reader.read([line if isinstance(line, bytes) else json.dumps(line).encode() for line in lines])), reader


def test_the_lines_of_an_answer() -> None:
    """Thoughts, pieces, usage; the end comes with the last line, and not before."""
    events, reader = read({"message": {"role": "assistant", "content": "", "thinking": "hm"}}, {"message": {"content": "4"}, "done": False})
    assert events == [Thinking(member="a", text="hm"), Text(member="a", text="4")]
    assert reader.end is None
    events, reader = read({"message": {"content": "!"}, "done": True, "done_reason": "stop", "prompt_eval_count": 7, "eval_count": 3})
    assert events == [Text(member="a", text="!"), Usage(member="a", prompt_tokens=7, completion_tokens=3)]
    assert reader.end == Finished(member="a", reason="stop")


def test_tool_calls_are_numbered() -> None:
    """Each is whole; their places go on over the lines, whatever the server says; the answer ends with calls."""
    call_of = {"message": {"content": "", "tool_calls": [{"function": {"index": 0, "name": "add", "arguments": {"a": 1}}}]}}
    plain = {"message": {"tool_calls": [{"id": "c2", "function": {"name": "now"}}]}}
    events, reader = read(call_of, plain, {"done": True, "done_reason": "stop"})
    assert events[:2] == [
        ToolCall(member="a", index=0, name="add", arguments='{"a": 1}'),
        ToolCall(member="a", index=1, id="c2", name="now", arguments="{}"),
    ]
    assert [made.name for made in fold(events).tool_calls] == ["add", "now"]
    assert reader.end == Finished(member="a", reason="tool_calls")


@pytest.mark.parametrize(("reason", "kept"), [("stop", "stop"), ("length", "length"), (None, "stop")])
def test_reasons(reason: str | None, kept: str) -> None:
    """Some servers do not say."""
    _, reader = read({"done": True, "done_reason": reason})
    assert reader.end is not None
    assert reader.end.reason == kept


@pytest.mark.parametrize(
    ("line", "kind", "words"),
    [
        ({"error": "llama runner process has terminated"}, Rejected, "llama runner"),
        ({"error": ""}, Rejected, "no reason given"),
        ({"error": "the prompt is longer than the context length"}, ContextTooSmall, "context length"),
        ({"done": True, "done_reason": "load"}, Rejected, "only did a load"),
        (b"<html>", Garbled, "not JSON"),
        (b"[1]", Garbled, "not an object"),
        (b"4", Garbled, "not an object"),
        (b'"\xff"', Garbled, "not JSON"),
        (b"[" * 100_000, Garbled, "not JSON"),
        ({"message": "4"}, Garbled, "another form"),
        ({"message": {"content": 4}}, Garbled, "another form"),
        ({"message": {"content": ["4"]}}, Garbled, "another form"),
        ({"message": {"thinking": {"a": 1}}}, Garbled, "another form"),
        ({"message": {"tool_calls": [{"name": "add"}]}}, Garbled, "another form"),
        ({"message": {"tool_calls": [{"function": {"arguments": {}}}]}}, Garbled, "another form"),
        ({"message": {"tool_calls": [{"function": {"name": 4}}]}}, Garbled, "another form"),
        ({"message": {"tool_calls": [{"id": 4, "function": {"name": "add"}}]}}, Garbled, "another form"),
        ({"message": {"tool_calls": {"a": 1}}}, Garbled, "another form"),
        ({"message": {"tool_calls": 4}}, Garbled, "another form"),
        ({"done": True, "done_reason": "new"}, Truncated, "broke the answer off"),
        ({"done": True, "done_reason": ["stop"]}, Garbled, "another form"),
    ],
)
def test_what_is_no_answer(line: dict[str, Any] | bytes, kind: type[MemberError], words: str) -> None:
    """Each is an error of the member; none is taken for an end."""
    with pytest.raises(MemberError, match=words) as raised:
        read(line)
    assert type(raised.value) is kind
    assert len(raised.value.message) < 400


@pytest.mark.parametrize("count", [b'"many"', b"1e999", b"[1]", b"-1", b"3.5", b"true", b"1000000001"])
def test_counts_that_are_none(count: bytes) -> None:
    """The answer stands, and its tokens are not known."""
    events, reader = read(b'{"message": {"content": "4"}, "done": true, "eval_count": ' + count + b"}")
    assert (events, reader.end) == ([Text(member="a", text="4")], Finished(member="a", reason="stop"))


@pytest.mark.parametrize(
    ("counts", "used"),
    [
        ({}, []),
        ({"prompt_eval_count": 0, "eval_count": 0}, []),
        ({"eval_count": 3}, [Usage(member="a", prompt_tokens=0, completion_tokens=3)]),
        ({"prompt_eval_count": 7}, [Usage(member="a", prompt_tokens=7, completion_tokens=0)]),
    ],
)
def test_counts_that_are_not_told(counts: dict[str, int], used: list[Usage]) -> None:
    """No usage rather than one of nothing."""
    events, _ = read({"message": {"content": "4"}, "done": True, "done_reason": "stop", **counts})
    assert events == [Text(member="a", text="4"), *used]


def test_what_comes_after_the_end() -> None:
    """It is no part of the answer, whatever it is."""
    events, reader = read({"message": {"content": "4"}, "done": True}, {"message": {"content": "5"}}, b"garbage", {"error": "gone"})
    assert [event for event in events if isinstance(event, Text)] == [Text(member="a", text="4")]
    assert list(reader.read([b'{"message": {"content": "6"}}'])) == []


def test_a_call_that_was_cut_off() -> None:
    """Tokens that ran out say more than the call."""
    _, reader = read({"message": {"tool_calls": [{"function": {"name": "add"}}]}}, {"done": True, "done_reason": "length"})
    assert reader.end == Finished(member="a", reason="length")


def test_an_error_after_text() -> None:
    """It ends the answer, whatever was said before."""
    reader = Lines("a")
    events = reader.read([b'{"message": {"content": "4"}}', b'{"error": "gone"}'])
    assert next(events) == Text(member="a", text="4")
    with pytest.raises(Rejected, match="gone"):
        next(events)
