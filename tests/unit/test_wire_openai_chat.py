"""What is wrong in a chat body, and by which path it is named."""

from __future__ import annotations

import copy
import json
import re
from collections.abc import Iterator
from dataclasses import fields
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from fusiond.errors import BadRequest, NotSupported
from fusiond.wire.openai_body import (
    AssistantCall,
    CalledFunction,
    ChatBody,
    ChatMessage,
    ContentPart,
    FusionOptions,
    ImageUrl,
    Judge,
    NamedSchema,
    OfferedTool,
    Plugin,
    ResponseFormat,
)
from fusiond.wire.openai_chat import decode

HELLO = {"role": "user", "content": "hello"}
TOOL = {"type": "function", "function": {"name": "weather"}}
FUSION = {"id": "fusion"}
OFF = {"id": "web", "enabled": False}
CALL = {"id": "c1", "type": "function", "function": {"name": "weather", "arguments": "{}"}}


def refusal(body: bytes | dict[str, Any]) -> BadRequest:
    """The error that a body gives; fields are added to a body that is right."""
    whole = body if isinstance(body, bytes) else json.dumps({"model": "fusion", "messages": [HELLO]} | body).encode()
    with pytest.raises(BadRequest) as caught:
        decode(whole, "r1")
    return caught.value


@pytest.mark.parametrize(
    ("body", "words"),
    [
        (b"", "cannot be read as JSON"),
        (b"{", "cannot be read as JSON"),
        (b"hello", "cannot be read as JSON"),
        (b'{"model": "a"} {}', "cannot be read as JSON: trailing"),
        (b'{"temperature": NaN}', "cannot be read as JSON"),
        (b'{"temperature": -Infinity}', "cannot be read as JSON"),
        (b'{"seed": ' + b"9" * 10_000 + b"}", "cannot be read as JSON: number out of range"),
        (b'{"model": "\\ud800"}', "cannot be read as JSON"),
        (b'{"model": "\xff"}', "is not UTF-8: invalid start byte at byte 11"),
        (b'{"model": "\xc3', "is not UTF-8: unexpected end of data at byte 11"),
        ("{}".encode("utf-16"), "is not UTF-8"),
        (b"[" * 10_000, "cannot be read as JSON: recursion limit exceeded"),
        (b'{"a":' * 10_000 + b"1" + b"}" * 10_000, "cannot be read as JSON: recursion limit exceeded"),
        (b"[]", "must be a JSON object"),
        (b"null", "must be a JSON object"),
        (b'"text"', "must be a JSON object"),
        (b"7", "must be a JSON object"),
    ],
)
def test_a_body_that_is_no_object(body: bytes, words: str) -> None:
    """There is no field to name, so the message says what is wrong with the body itself."""
    error = refusal(body)
    assert error.message.startswith("the body ")
    assert words in error.message
    assert (error.status, error.param, error.code) == (400, None, "invalid_request")


def in_message(**extra: Any) -> dict[str, Any]:
    """A body whose second message has these fields."""
    return {"messages": [HELLO, {"role": "user"} | extra]}


def in_part(**extra: Any) -> dict[str, Any]:
    """A body whose second message has a second part with these fields."""
    return in_message(content=[{"type": "text", "text": "a"}, extra])


def in_call(**extra: Any) -> dict[str, Any]:
    """A body with an assistant's tool call that has these fields."""
    return in_message(role="assistant", tool_calls=[CALL | extra])


def in_function(**extra: Any) -> dict[str, Any]:
    """A body with a second tool whose function has these fields."""
    return {"tools": [TOOL, {"type": "function", "function": {"name": "now"} | extra}]}


WRONG: list[tuple[dict[str, Any], str, str]] = [
    ({"model": None}, "model", "must be a string"),
    ({"model": 4}, "model", "must be a string"),
    ({"model": ""}, "model", "must not be empty"),
    ({"messages": None}, "messages", "must be a list"),
    ({"messages": "hello"}, "messages", "must be a list"),
    ({"messages": {}}, "messages", "must be a list"),
    ({"messages": []}, "messages", "must not be empty"),
    ({"messages": [HELLO, "hello"]}, "messages[1]", "must be an object"),
    ({"messages": [HELLO, None]}, "messages[1]", "must be an object"),
    ({"messages": [HELLO, [HELLO]]}, "messages[1]", "must be an object"),
    ({"messages": [{"content": "hello"}]}, "messages[0].role", "is required"),
    (in_message(role=1), "messages[1].role", "must be a string"),
    (in_message(role="bot"), "messages[1].role", "must be one of system, developer, user, assistant, tool"),
    (in_message(content=5), "messages[1].content", "must be a string or a list of parts"),
    (in_message(content={"type": "text", "text": "a"}), "messages[1].content", "must be a string or a list of parts"),
    (in_message(content=["a"]), "messages[1].content[0]", "must be an object"),
    (in_message(name=["a"]), "messages[1].name", "must be a string"),
    (in_part(text="b"), "messages[1].content[1].type", "is required"),
    (in_part(type="txt", text="b"), "messages[1].content[1].type", "must be one of text, image_url"),
    (in_part(type="text"), "messages[1].content[1].text", "is required"),
    (in_part(type="text", text=None), "messages[1].content[1].text", "is required"),
    (in_part(type="text", text=5), "messages[1].content[1].text", "must be a string"),
    (in_part(type="image_url"), "messages[1].content[1].image_url", "is required"),
    (in_part(type="image_url", image_url=5), "messages[1].content[1].image_url", "must be a string or an object with a url"),
    (in_part(type="image_url", image_url={}), "messages[1].content[1].image_url.url", "is required"),
    (in_part(type="image_url", image_url={"url": ""}), "messages[1].content[1].image_url.url", "must not be empty"),
    (in_part(type="image_url", image_url="file:///a.png"), "messages[1].content[1].image_url.url", "must be an https URL, or a data URL"),
    (in_part(type="image_url", image_url="data:image/png,a"), "messages[1].content[1].image_url.url", "must be an https URL, or a data URL"),
    (in_message(role="tool", content="sunny"), "messages[1].tool_call_id", "is required"),
    (in_message(role="tool", tool_call_id=1), "messages[1].tool_call_id", "must be a string"),
    (in_message(role="assistant", tool_calls={}), "messages[1].tool_calls", "must be a list"),
    (in_message(role="assistant", tool_calls=[None]), "messages[1].tool_calls[0]", "must be an object"),
    (in_call(id=1), "messages[1].tool_calls[0].id", "must be a string"),
    (in_call(function=None), "messages[1].tool_calls[0].function", "must be an object"),
    (in_call(function={}), "messages[1].tool_calls[0].function.name", "is required"),
    (in_call(function={"name": "a", "arguments": {}}), "messages[1].tool_calls[0].function.arguments", "must be a string"),
    ({"tools": {}}, "tools", "must be a list"),
    ({"tools": [TOOL, 1]}, "tools[1]", "must be an object"),
    ({"tools": [{"type": "function", "name": "weather"}]}, "tools[0].function", "is required"),
    (in_function(name=""), "tools[1].function.name", "must not be empty"),
    (in_function(description=1), "tools[1].function.description", "must be a string"),
    (in_function(parameters=[]), "tools[1].function.parameters", "must be an object"),
    (in_function(strict="true"), "tools[1].function.strict", "must be true or false"),
    ({"tool_choice": 1}, "tool_choice", "must be a string or an object"),
    ({"tool_choice": "any"}, "tool_choice", "must be one of none, auto, required"),
    ({"tool_choice": "required"}, "tool_choice", "needs tools to choose from"),
    ({"tool_choice": {"type": "function"}}, "tool_choice.function", "is required"),
    ({"tools": [TOOL], "tool_choice": {"type": "function", "function": {"name": "now"}}}, "tool_choice.function.name", "must be the name of one"),
    ({"parallel_tool_calls": "yes"}, "parallel_tool_calls", "must be true or false"),
    ({"response_format": "json"}, "response_format", "must be an object"),
    ({"response_format": {}}, "response_format.type", "is required"),
    ({"response_format": {"type": "xml"}}, "response_format.type", "must be one of text, json_object, json_schema"),
    ({"response_format": {"type": "json_schema"}}, "response_format.json_schema", "is required"),
    ({"response_format": {"type": "json_schema", "json_schema": {"name": "a"}}}, "response_format.json_schema.schema", "is required"),
    ({"response_format": {"type": "json_schema", "json_schema": {"schema": []}}}, "response_format.json_schema.schema", "must be an object"),
    ({"stream": "true"}, "stream", "must be true or false"),
    ({"stream": 1}, "stream", "must be true or false"),
    ({"stream_options": True}, "stream_options", "must be an object"),
    ({"stream_options": {"include_usage": 1}}, "stream_options.include_usage", "must be true or false"),
    ({"temperature": "1"}, "temperature", "must be a number"),
    ({"temperature": True}, "temperature", "must be a number"),
    ({"temperature": -0.1}, "temperature", "must be at least 0"),
    ({"temperature": 2.1}, "temperature", "must be at most 2"),
    ({"top_p": 1.5}, "top_p", "must be at most 1"),
    ({"min_p": -1}, "min_p", "must be at least 0"),
    ({"top_k": 1.5}, "top_k", "must be an integer"),
    ({"presence_penalty": 3}, "presence_penalty", "must be at most 2"),
    ({"frequency_penalty": -3}, "frequency_penalty", "must be at least -2"),
    ({"max_tokens": "8"}, "max_tokens", "must be an integer"),
    ({"max_tokens": True}, "max_tokens", "must be an integer"),
    ({"max_tokens": 8.5}, "max_tokens", "must be an integer"),
    ({"max_tokens": 0}, "max_tokens", "must be at least 1"),
    ({"max_completion_tokens": -1}, "max_completion_tokens", "must be at least 1"),
    ({"max_tokens": 2**63}, "max_tokens", "must be less than 9223372036854775808"),
    ({"seed": -(10**400)}, "seed", "must be at least -9223372036854775808"),
    ({"seed": "1"}, "seed", "must be an integer"),
    ({"stop": 1}, "stop", "must be a string or a list of strings"),
    ({"stop": ["a", None]}, "stop[1]", "must be a string"),
    ({"reasoning_effort": 1}, "reasoning_effort", "must be a string"),
    ({"n": 0}, "n", "must be at least 1"),
    ({"n": "2"}, "n", "must be an integer"),
    ({"logprobs": 1}, "logprobs", "must be true or false"),
    ({"modalities": "text"}, "modalities", "must be a list"),
    ({"fusion": "vote"}, "fusion", "must be an object"),
    ({"fusion": {"panels": ["a"]}}, "fusion.panels", "is unknown (did you mean 'panel'?)"),
    ({"fusion": {"zzzzzzzz": None}}, "fusion.zzzzzzzz", "is unknown"),
    ({"fusion": {"panel": "a"}}, "fusion.panel", "must be a list"),
    ({"fusion": {"panel": []}}, "fusion.panel", "must not be empty"),
    ({"fusion": {"panel": ["a", ""]}}, "fusion.panel[1]", "must not be empty"),
    ({"fusion": {"models": []}}, "fusion.models", "must not be empty"),
    ({"fusion": {"panel": ["a"], "models": ["a"]}}, "fusion.models", "and fusion.panel say the same twice"),
    ({"fusion": {"panel": [], "models": ["a"]}}, "fusion.models", "and fusion.panel say the same twice"),
    ({"fusion": {"judge": 1}}, "fusion.judge", "must be a string or an object with a model"),
    ({"fusion": {"judge": ""}}, "fusion.judge.model", "must not be empty"),
    ({"fusion": {"judge": {}}}, "fusion.judge.model", "is required"),
    ({"fusion": {"judge": {"model": 1}}}, "fusion.judge.model", "must be a string"),
    ({"fusion": {"writer": ""}}, "fusion.writer", "must not be empty"),
    ({"fusion": {"max_cost_usd": "0.01"}}, "fusion.max_cost_usd", "must be a number"),
    ({"fusion": {"max_cost_usd": True}}, "fusion.max_cost_usd", "must be a number"),
    ({"fusion": {"max_cost_usd": -0.01}}, "fusion.max_cost_usd", "must be at least 0"),
    ({"fusion": {"max_cost_usd": 1e10}}, "fusion.max_cost_usd", "must be at most 1000000000"),
    ({"fusion": {"privacy": 1}}, "fusion.privacy", "must be a string"),
    ({"fusion": {"privacy": ""}}, "fusion.privacy", "must be one of any, lan, local"),
    ({"fusion": {"privacy": "locl"}}, "fusion.privacy", "must be one of any, lan, local (did you mean 'local'?)"),
    ({"fusion": {"progress": "yes"}}, "fusion.progress", "must be true or false"),
    ({"plugins": "fusion"}, "plugins", "must be a list"),
    ({"plugins": ["fusion"]}, "plugins[0]", "must be an object"),
    ({"plugins": [{}]}, "plugins[0].id", "is required"),
    ({"plugins": [{"id": "fusion", "enabled": "no"}]}, "plugins[0].enabled", "must be true or false"),
    ({"plugins": [{"id": "fusion", "analysis_models": []}]}, "plugins[0].analysis_models", "must not be empty"),
    ({"plugins": [{"id": "fusion", "analysis_models": [""]}]}, "plugins[0].analysis_models[0]", "must not be empty"),
    ({"plugins": [{"id": "fusion", "model": ""}]}, "plugins[0].model", "must not be empty"),
    ({"plugins": [OFF, FUSION, FUSION]}, "plugins[2].id", "is there already"),
    ({"plugins": [FUSION], "fusion": {"judge": "a"}}, "plugins", "and fusion both say how to answer"),
    ({"fusion": {"trace": 1}}, "fusion.trace", "must be true or false"),
    (
        {"fusion": {"strategy": "votes"}},
        "fusion.strategy",
        "must be one of single, race, vote, select, synthesize, refine, cascade, adaptive (did you mean 'vote'?)",
    ),
]


@pytest.mark.parametrize(("body", "path", "words"), WRONG)
def test_a_field_that_is_wrong(body: dict[str, Any], path: str, words: str) -> None:
    """The path stands in `param` and begins the message, and the words say what it should be."""
    error = refusal(body)
    assert error.param == path
    assert error.message.startswith(f"{path} {words}")
    assert (error.status, error.code, error.type) == (400, "invalid_request", "invalid_request_error")


@pytest.mark.parametrize("name", ["model", "messages"])
def test_a_field_that_must_be_there(name: str) -> None:
    """A body needs a model and messages."""
    body = {"model": "fusion", "messages": [HELLO]}
    del body[name]
    error = refusal(json.dumps(body).encode())
    assert (error.param, error.message) == (name, f"{name} is required")


@pytest.mark.parametrize(
    ("body", "path"),
    [
        ({"n": 2}, "n"),
        ({"logprobs": True}, "logprobs"),
        ({"modalities": ["text", "audio"]}, "modalities"),
        ({"audio": {"voice": "x"}}, "audio"),
        ({"functions": [{"name": "weather"}]}, "functions"),
        ({"function_call": "auto"}, "function_call"),
        ({"plugins": [{"id": "web"}]}, "plugins[0].id"),
        ({"plugins": [FUSION, OFF, {"id": "file-parser", "enabled": True}]}, "plugins[2].id"),
        (in_message(role="function", name="weather"), "messages[1].role"),
        (in_message(role="assistant", function_call={"name": "weather"}), "messages[1].function_call"),
        (in_message(role="assistant", audio={"id": "a"}), "messages[1].audio"),
        (in_part(type="input_audio", input_audio={}), "messages[1].content[1].type"),
        (in_part(type="file", file={}), "messages[1].content[1].type"),
        (in_call(type="custom"), "messages[1].tool_calls[0].type"),
        ({"tools": [{"type": "custom", "custom": {}}]}, "tools[0].type"),
        ({"tool_choice": {"type": "allowed_tools"}}, "tool_choice"),
    ],
)
def test_what_is_not_built(body: dict[str, Any], path: str) -> None:
    """What is understood and not built is refused as such, by its path, rather than passed over."""
    error = refusal(body)
    assert isinstance(error, NotSupported)
    assert error.param == path
    assert error.message.startswith(f"{path}: ")
    assert (error.status, error.code) == (400, "not_supported")


def test_a_million_wrong_items_are_one_short_error() -> None:
    """The first wrong item ends the reading, and a client's own words are not sent back at any length."""
    assert refusal({"messages": [1] * 1_000_000}).param == "messages[0]"
    assert len(refusal({"fusion": {"x" * 1_000_000: 1}}).message) < 200


SHAPES = (
    ChatBody,
    ChatMessage,
    ContentPart,
    ImageUrl,
    AssistantCall,
    CalledFunction,
    OfferedTool,
    ResponseFormat,
    NamedSchema,
    FusionOptions,
    Judge,
    Plugin,
)
NAMES = st.sampled_from(sorted({field.name for shape in SHAPES for field in fields(shape)}))
WORDS = st.sampled_from(["user", "tool", "assistant", "text", "image_url", "function", "json_schema", "auto", "vote", ""])
JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False) | st.text() | WORDS,
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(NAMES | st.text(max_size=3), inner, max_size=5),
    max_leaves=25,
)
UNHURRIED = settings(deadline=None, suppress_health_check=[HealthCheck.too_slow])  # a busy machine is no failure
PATH = re.compile(r"[a-z_]+(\[\d+\]|\.[a-z_]+)*")


def heard(body: bytes) -> str | None:
    """A body is understood, or refused with a path (which is returned) or with words on the body; any other exception is a mistake of ours."""
    try:
        decode(body, "r1")
    except BadRequest as refused:
        error = refused
    else:
        return None
    assert error.message.startswith(error.param or "the body ")
    assert error.param is None or PATH.match(error.param)
    return error.param


@UNHURRIED
@given(st.binary() | JSON.map(lambda value: json.dumps(value).encode()))
def test_any_bytes(body: bytes) -> None:
    """No bytes get anything but a request or a refusal."""
    heard(body)


@UNHURRIED
@given(st.dictionaries(NAMES, JSON))
def test_any_fields(extra: dict[str, Any]) -> None:
    """No fields get anything but a request or a refusal, in a body that is right otherwise."""
    heard(json.dumps({"model": "fusion", "messages": [HELLO]} | extra).encode())


RICH: dict[str, Any] = {
    "model": "fusion",
    "messages": [
        {"role": "developer", "content": [{"type": "text", "text": "a"}]},
        {"role": "user", "content": [{"type": "image_url", "image_url": {"url": "https://a/b", "detail": "low"}}]},
        {"role": "assistant", "content": "b", "tool_calls": [CALL]},
        {"role": "tool", "tool_call_id": "c1", "name": "weather", "content": "c"},
    ],
    "tools": [{"type": "function", "function": {"name": "weather", "description": "d", "parameters": {}, "strict": True}}],
    "tool_choice": {"type": "function", "function": {"name": "weather"}},
    "response_format": {"type": "json_schema", "json_schema": {"name": "e", "schema": {"type": "object"}, "strict": True}},
    "stop": ["f"],
    "stream_options": {"include_usage": True},
    "fusion": {
        "strategy": "vote",
        "panel": ["g"],
        "judge": {"model": "h"},
        "writer": "i",
        "trace": True,
        "progress": True,
        "max_cost_usd": 0.5,
        "privacy": "lan",
    },
    "plugins": [{"id": "web", "enabled": False}],
}


def places(value: Any, *path: str | int) -> Iterator[tuple[str | int, ...]]:
    """The way to everything inside a JSON value."""
    inner = value.items() if isinstance(value, dict) else enumerate(value) if isinstance(value, list) else ()
    for step, held in inner:
        yield (*path, step)
        yield from places(held, *path, step)


def test_the_rich_body_is_right() -> None:
    """What is spoilt below is right before."""
    assert len(decode(json.dumps(RICH).encode(), "r1").messages) == 4


@UNHURRIED
@given(st.sampled_from(sorted(places(RICH), key=str)), JSON)
def test_one_spoilt_place(place: tuple[str | int, ...], found: Any) -> None:
    """Something else in any one place is understood, or refused by a path in the same field; only the tool choice and plugins depend on another."""
    spoilt = copy.deepcopy(RICH)
    holder: Any = spoilt
    for step in place[:-1]:
        holder = holder[step]
    holder[place[-1]] = found
    path = heard(json.dumps(spoilt).encode())
    assert path is None or path.startswith((str(place[0]), "tool_choice", "plugins"))
