"""Whatever a member does: its reason is told, the others' answer is delivered, and a broken answer never looks complete."""

from __future__ import annotations

import json
import socket
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from tests.faults.conftest import running
from tests.upstreams.openai import OpenAIUpstream
from tests.upstreams.script import (
    Call,
    Close,
    Drip,
    ErrorChunk,
    Finish,
    Flood,
    Hang,
    Head,
    Html,
    Raw,
    Reset,
    Say,
    Script,
    Status,
    Step,
    Wait,
)

GOOD = Script(Say("Yes."), Finish())

BEFORE: dict[str, tuple[list[Step], str]] = {
    "reset before the headers": ([Reset()], "unreachable"),
    "reset after the headers": ([Head(), Reset()], "truncated"),
    "hang": ([Hang()], "timed_out"),
    "hang after the headers": ([Head(), Hang()], "timed_out"),
    "garbage": ([Raw("data: {{{{\n\n"), Hang()], "garbled"),
    "a page": ([Html()], "garbled"),
    "nothing": ([Finish()], "empty"),
    "only blanks": ([Say("  \n"), Finish()], "empty"),
    "a line without end": ([Flood(100_000_000)], "garbled"),
    "an error in a 200": ([Status(200, {"error": {"message": "no such luck"}})], "rejected"),
    "429": ([Status(429)], "rejected"),
    "500": ([Status(500)], "rejected"),
    "a call that nobody offered": ([Call(0, "c1", "add", "{}"), Finish("tool_calls")], "empty"),
    "only an error": ([Raw('data: {"object": "error", "message": "no memory", "code": 500}\n\n'), Finish(None)], "rejected"),
    "a redirect": ([Status(302, "", {"Location": "/"})], "rejected"),
}
"""Faults before the first word: the steps, and the reason that is told."""

ALONE = [fault for fault in BEFORE if fault != "a call that nobody offered"]
"""Where one member is relayed, what it calls is the client's to judge."""

AFTER: dict[str, tuple[list[Step], str]] = {
    "a cut": ([Close()], "truncated"),
    "an end without the end": ([], "truncated"),
    "a reset": ([Reset()], "truncated"),
    "a stall": ([Hang()], "timed_out"),
    "an error chunk": ([ErrorChunk("boom")], "rejected"),
    "an error and an end": ([Raw('data: {"object": "error", "message": "no memory", "code": 500}\n\n'), Finish(None)], "rejected"),
    "an end that is none": ([Finish("abort")], "truncated"),
    "garbage": ([Raw("data: nonsense\n\n"), Hang()], "garbled"),
}
"""Faults in the middle of the answer."""

Lab = Callable[..., str]
both_ways = pytest.mark.parametrize("stream", [False, True], ids=["whole", "streamed"])


def spoken(steps: list[Step]) -> Script:
    """A word that has gone out when the steps come."""
    return Script(Say("Ye"), Wait(0.1), *steps)


@both_ways
@pytest.mark.parametrize("fault", ALONE)
async def test_the_only_member_fails(fault: str, stream: bool, lab: Lab, tmp_path: Path) -> None:
    """Before its first word: an HTTP error that tells the member's reason."""
    steps, reason = BEFORE[fault]
    async with OpenAIUpstream({"a": Script(*steps)}) as upstream, running(lab(upstream.url, "a", strategy="single"), tmp_path) as daemon:
        status, body, ended = await daemon.ask(stream=stream)
        error = json.loads(body)["error"]
        assert (status, ended) == (504 if reason == "timed_out" else 502, True)
        assert error["members"]["a"]["reason"] == reason
        assert {"message", "type", "param", "code"} <= error.keys()
        await daemon.at_rest()
        await upstream.idle()


@pytest.mark.parametrize("fault", AFTER)
async def test_the_only_member_breaks_off_in_a_stream(fault: str, lab: Lab, tmp_path: Path) -> None:
    """After its first word: the error stands in the stream, without a finish reason or terminator, and the body has no proper end."""
    steps, reason = AFTER[fault]
    async with OpenAIUpstream({"a": spoken(steps)}) as upstream, running(lab(upstream.url, "a", strategy="single"), tmp_path) as daemon:
        status, body, ended = await daemon.ask(stream=True)
        assert (status, ended) == (200, False)
        assert '"content":"Ye"' in body
        assert "[DONE]" not in body
        assert '"finish_reason":"' not in body
        assert json.loads(body.strip().splitlines()[-1][6:])["error"]["code"] == reason
        await daemon.at_rest()
        await upstream.idle()


@pytest.mark.parametrize("fault", AFTER)
async def test_the_only_member_breaks_off_in_a_whole_answer(fault: str, lab: Lab, tmp_path: Path) -> None:
    """Nothing was delivered yet: an HTTP error."""
    steps, reason = AFTER[fault]
    async with OpenAIUpstream({"a": spoken(steps)}) as upstream, running(lab(upstream.url, "a", strategy="single"), tmp_path) as daemon:
        status, body, _ = await daemon.ask()
        assert status == (504 if reason == "timed_out" else 502)
        assert json.loads(body)["error"]["members"]["a"]["reason"] == reason


@both_ways
@pytest.mark.parametrize("fault", [*BEFORE, *(f"after a word: {name}" for name in AFTER)])
async def test_one_of_three_fails_in_a_vote(fault: str, stream: bool, lab: Lab, tmp_path: Path) -> None:
    """The others decide; the trace tells who failed and why, and the answer says that it is degraded."""
    late = fault.removeprefix("after a word: ")
    steps, reason = BEFORE[fault] if fault in BEFORE else AFTER[late]
    bad = Script(*steps) if fault in BEFORE else spoken(steps)
    scripts = {"a": bad, "b": GOOD, "c": Script(Say("No."), Finish())}
    async with OpenAIUpstream(scripts) as upstream, running(lab(upstream.url, "a", "b", "c"), tmp_path) as daemon:
        status, body, ended = await daemon.ask(stream=stream, fusion={"trace": True})
        trace = traced(body, stream=stream)
        told = {member["member"]: (member["status"], member["error"]) for member in trace["members"]}
        assert (status, ended) == (200, True)
        assert told["a"][0] == ("timed_out" if reason == "timed_out" else "failed")
        assert told["a"][1].startswith(f"{reason}: ")
        assert told["b"][0] == "answered"
        assert trace["degraded"] == ["members"]
        assert "Yes." in body
        await daemon.at_rest()


@both_ways
@pytest.mark.parametrize("fault", ALONE)
async def test_the_next_takes_over(fault: str, stream: bool, lab: Lab, tmp_path: Path) -> None:
    """In `single`, before the first word."""
    steps, _ = BEFORE[fault]
    scripts = {"a": Script(*steps), "b": GOOD}
    async with OpenAIUpstream(scripts) as upstream, running(lab(upstream.url, "a", "b", strategy="single"), tmp_path) as daemon:
        status, body, ended = await daemon.ask(stream=stream, fusion={"trace": True})
        assert (status, ended) == (200, True)
        assert "Yes." in body
        assert traced(body, stream=stream)["degraded"] == ["fallback", "members"]
        await daemon.at_rest()


@pytest.mark.parametrize("fault", AFTER)
async def test_the_next_takes_over_at_any_time_in_a_whole_answer(fault: str, lab: Lab, tmp_path: Path) -> None:
    """And nothing of the first one's words is in it."""
    steps, _ = AFTER[fault]
    scripts = {"a": spoken(steps), "b": Script(Say("No."), Finish())}
    async with OpenAIUpstream(scripts) as upstream, running(lab(upstream.url, "a", "b", strategy="single"), tmp_path) as daemon:
        status, body, _ = await daemon.ask()
        assert (status, said(body, stream=False)) == (200, "No.")


@pytest.mark.parametrize("fault", AFTER)
async def test_nobody_takes_over_what_was_begun(fault: str, lab: Lab, tmp_path: Path) -> None:
    """Once a stream has said something, another member's words are no continuation of it."""
    steps, reason = AFTER[fault]
    scripts = {"a": spoken(steps), "b": Script(Say("No."), Finish())}
    async with OpenAIUpstream(scripts) as upstream, running(lab(upstream.url, "a", "b", strategy="single"), tmp_path) as daemon:
        status, body, ended = await daemon.ask(stream=True)
        assert (status, ended, "[DONE]" in body) == (200, False, False)
        assert json.loads(body.strip().splitlines()[-1][6:])["error"]["code"] == reason
        assert [chat.model for chat in upstream.chats] == ["a"]
        await daemon.at_rest()


@both_ways
async def test_one_byte_at_a_time(stream: bool, lab: Lab, tmp_path: Path) -> None:
    """However it is cut up, it is the same answer."""
    scripts = {"a": Script(Drip(), Say("Ja, schön."), Finish())}
    async with OpenAIUpstream(scripts) as upstream, running(lab(upstream.url, "a", strategy="single"), tmp_path) as daemon:
        status, body, ended = await daemon.ask(stream=stream)
        assert (status, ended) == (200, True)
        assert said(body, stream=stream) == "Ja, schön."


@both_ways
async def test_nobody_is_there(stream: bool, lab: Lab, tmp_path: Path) -> None:
    """A refused connection, for all of a panel."""
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        async with running(lab(f"http://127.0.0.1:{taken.getsockname()[1]}/v1", "a", "b", "c"), tmp_path) as daemon:
            status, body, _ = await daemon.ask(stream=stream)
    assert status == 502
    assert {name: failed["reason"] for name, failed in json.loads(body)["error"]["members"].items()} == dict.fromkeys("abc", "unreachable")


async def test_all_of_a_panel_hang(lab: Lab, tmp_path: Path) -> None:
    """504 with each one's reason."""
    async with OpenAIUpstream({name: Script(Hang()) for name in "abc"}) as upstream, running(lab(upstream.url, *"abc"), tmp_path) as daemon:
        status, body, _ = await daemon.ask()
        assert status == 504
        assert [failed["reason"] for failed in json.loads(body)["error"]["members"].values()] == ["timed_out"] * 3
        await upstream.idle()


def traced(body: str, *, stream: bool) -> Any:
    """The trace of an answer."""
    if not stream:
        return json.loads(body)["fusion"]
    chunks = [json.loads(line[6:]) for line in body.splitlines() if line.startswith("data: {")]
    return next(chunk["fusion"] for chunk in chunks if "strategy" in chunk.get("fusion", {}))


def said(body: str, *, stream: bool) -> str:
    """The text of an answer."""
    if not stream:
        return str(json.loads(body)["choices"][0]["message"]["content"])
    chunks = [json.loads(line[6:]) for line in body.splitlines() if line.startswith("data: {")]
    return "".join(choice["delta"].get("content", "") for chunk in chunks for choice in chunk.get("choices", ()))


JSON = {"type": "json_object"}


@pytest.mark.parametrize("strategy", ["single", "race", "vote", "select"])
async def test_a_broken_document_is_never_a_success(strategy: str, lab: Lab, tmp_path: Path) -> None:
    """502 `schema` with each one's reason for a whole answer; in a stream that has begun the error stands in it."""
    broken = Script(Say('{"x": '), Finish())
    text = lab("{url}", "a", "b", strategy=strategy).replace("panel =", 'judge = "a"\npanel =')
    async with OpenAIUpstream({"a": broken, "b": broken}) as upstream, running(text.replace("{url}", upstream.url), tmp_path) as daemon:
        status, body, _ = await daemon.ask(response_format=JSON)
        assert (status, json.loads(body)["error"]["code"]) == (502, "schema")
        status, body, _ = await daemon.ask(response_format=JSON, stream=True)
        assert "[DONE]" not in body
        assert '"schema"' in body


async def test_a_whole_document_of_the_next_member_is_delivered(lab: Lab, tmp_path: Path) -> None:
    """The one that broke its document has failed like any other; a tool call in a document's place is no broken one."""
    scripts = {"a": Script(Say('{"x": '), Finish()), "b": Script(Say('{"x": 1}'), Finish())}
    async with OpenAIUpstream(scripts) as upstream, running(lab(upstream.url, "a", "b", strategy="single"), tmp_path) as daemon:
        status, body, _ = await daemon.ask(response_format=JSON)
        assert (status, said(body, stream=False)) == (200, '{"x": 1}')


@both_ways
@pytest.mark.parametrize("strategy", ["single", "race", "vote"])
async def test_a_document_comes_without_its_fence(strategy: str, stream: bool, lab: Lab, tmp_path: Path) -> None:
    """Whoever delivers it, and however it is cut."""
    script = Script(Say("```js"), Say('on\n{"x"'), Wait(0.05), Say(": 1}\n`"), Wait(0.05), Say("``\n"), Finish())
    async with OpenAIUpstream({"a": script, "b": script}) as upstream, running(lab(upstream.url, "a", "b", strategy=strategy), tmp_path) as daemon:
        status, body, _ = await daemon.ask(response_format=JSON, stream=stream)
        assert (status, said(body, stream=stream)) == (200, '{"x": 1}')


INTEGER = {"type": "object", "properties": {"x": {"type": "integer"}}, "required": ["x"], "additionalProperties": False}


@pytest.mark.parametrize("strategy", ["single", "race", "vote"])
async def test_a_document_that_does_not_fit_is_never_a_success(strategy: str, lab: Lab, tmp_path: Path) -> None:
    """Whoever's fits is delivered; where nobody's does, each one's reason tells the place."""
    form = {"type": "json_schema", "json_schema": {"name": "x", "schema": INTEGER}}
    scripts = {"a": Script(Say('{"x": "one"}'), Finish()), "b": Script(Say('{"x": 1}'), Finish())}
    async with OpenAIUpstream(scripts) as upstream, running(lab(upstream.url, "a", "b", strategy=strategy), tmp_path) as daemon:
        status, body, _ = await daemon.ask(response_format=form)
        assert (status, said(body, stream=False)) == (200, '{"x": 1}')
        upstream.scripts["b"] = Script(Say("[1]"), Finish())
        status, body, _ = await daemon.ask(response_format=form)
        assert (status, json.loads(body)["error"]["code"]) == (502, "schema")
        assert '/x: its value is not of type \\"integer\\"' in body


async def test_a_key_that_the_server_says_again(monkeypatch: pytest.MonkeyPatch, lab: Lab, tmp_path: Path) -> None:
    """Reaches no client."""
    monkeypatch.setenv("LAB_KEY", "lab-key-123456")
    refusal = Status(401, {"error": {"message": "Incorrect API key provided: lab-key-123456"}})
    async with OpenAIUpstream({"a": Script(refusal)}) as upstream:
        text = lab(upstream.url, "a", strategy="single").replace('api = "openai"', 'api = "openai"\napi_key = { env = "LAB_KEY" }')
        async with running(text, tmp_path) as daemon:
            status, body, _ = await daemon.ask(fusion={"trace": True})
    assert (status, "lab-key" in body, "[secret]" in body) == (502, False, True)
