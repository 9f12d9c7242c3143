"""Bytes that one client or another trips over, looked at on a bare socket: what editors and agents are known to misread never goes out."""

from __future__ import annotations

import asyncio
import json
import re
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

import pytest

from tests.clients.conftest import Scene
from tests.serving import question

pytestmark = pytest.mark.asyncio(loop_scope="session")

MIB = 1024 * 1024
KEYS = {"message", "type", "param", "code"}
Connection = tuple[asyncio.StreamReader, asyncio.StreamWriter]


@asynccontextmanager
async def connected(scene: Scene) -> AsyncIterator[Connection]:
    """A connection to the daemon's port."""
    host, _, port = scene.daemon.url.removeprefix("http://").partition(":")
    reader, writer = await asyncio.open_connection(host, int(port))
    try:
        yield reader, writer
    finally:
        writer.close()


def head(method: str, path: str, *headers: str) -> bytes:
    """A request up to its body; the connection is closed after the answer."""
    return "\r\n".join([f"{method} {path} HTTP/1.1", "Host: localhost", "Connection: close", *headers, "", ""]).encode()


def post(**fields: Any) -> bytes:
    """A question."""
    body = json.dumps(question(**fields)).encode()
    return head("POST", "/v1/chat/completions", "Content-Type: application/json", f"Content-Length: {len(body)}") + body


async def told(scene: Scene, request: bytes) -> tuple[int, bytes]:
    """Status and body of the answer to a request."""
    async with connected(scene) as (reader, writer):
        writer.write(request)
        return await answered(reader)


async def answered(reader: asyncio.StreamReader) -> tuple[int, bytes]:
    """Status and body as they come, the pieces of a stream put together. `IncompleteReadError` where its end is missing."""
    async with asyncio.timeout(10):
        top = (await reader.readuntil(b"\r\n\r\n")).decode().lower()
        status = int(top.split()[1])
        if length := re.search(r"content-length: (\d+)", top):
            return status, await reader.readexactly(int(length[1]))
        body = b""
        while size := int(await line(reader), 16):
            body += (await reader.readexactly(size + 2))[:-2]
        return status, body


async def line(reader: asyncio.StreamReader) -> bytes:
    """A line that has an end."""
    return await reader.readuntil(b"\r\n")


def documents(body: bytes) -> list[Any]:
    """The JSON of a stream's `data:` lines."""
    lines = [each[6:] for each in body.split(b"\n") if each.startswith(b"data: ")]
    return [json.loads(each) for each in lines if each != b"[DONE]"]


async def test_usage_stands_in_no_chunk_with_content(scene: Scene) -> None:
    """Clients keep the usage of the last chunk that has any, and drop its content."""
    _, body = await told(scene, post(model="plain", stream=True, stream_options={"include_usage": True}))
    *before, last = documents(body)
    assert not any(chunk.get("usage") for chunk in before)
    assert (last["choices"], last["usage"]["total_tokens"]) == ([], 14)
    _, body = await told(scene, post(model="plain", stream=True))
    assert not any("usage" in chunk for chunk in documents(body))


async def test_the_keep_alive_is_no_ping(scene: Scene) -> None:
    """While nothing comes the headers go out, and a comment that no client takes for an end; then the answer is complete."""
    async with connected(scene) as (reader, writer):
        writer.write(post(model="silent", stream=True))
        assert b" 200 " in await line(reader)
        await reader.readuntil(b"\r\n\r\n")
        assert await line(reader) == b"e\r\n"
        assert await reader.readexactly(16) == b": keep-alive\n\n\r\n"
        scene.gate.set()
        assert (await reader.read()).endswith(b"data: [DONE]\n\n\r\n0\r\n\r\n")


@pytest.mark.parametrize("model", ["plain", "thinker", "caller", "fusion"])
async def test_a_stream_has_nothing_but_data_and_comments(scene: Scene, model: str) -> None:
    """No `event:`, `id:` or `retry:` lines, no line breaks of another kind, nothing outside ASCII that a reader could split at, and `[DONE]` last."""
    status, body = await told(scene, post(model=model, stream=True, fusion={"trace": True}))
    assert status == 200
    assert body.isascii()
    assert b"\r" not in body
    assert all(each.startswith((b"data: ", b":")) for each in body.split(b"\n") if each)
    assert body.endswith(b"\n\ndata: [DONE]\n\n")
    assert body.count(b"[DONE]") == 1


async def test_an_error_in_the_middle_is_no_choice(scene: Scene) -> None:
    """An object `error` without `choices`, no finish and no `[DONE]`; and the body has no end, as HTTP has it."""
    async with connected(scene) as (reader, writer):
        writer.write(post(model="cut", stream=True))
        begun = await reader.readuntil(b"Half of")
        scene.gate.set()
        rest = await reader.read()
    chunks = documents(begun.partition(b"\r\n\r\n")[2] + rest)
    assert "choices" not in chunks[-1]
    assert chunks[-1]["error"].keys() >= KEYS
    assert not any(chunk["choices"][0]["finish_reason"] for chunk in chunks[:-1])
    assert b"[DONE]" not in rest
    assert not rest.endswith(b"0\r\n\r\n")


@pytest.mark.parametrize(
    "path", ["lab/deep/model:latest", "lab%2Fdeep%2Fmodel:latest", "lab%2fdeep%2fmodel%3Alatest", "fusion/json", "fusion%2Fjson", "gpt-4o"]
)
async def test_a_name_with_slashes_is_found_however_it_is_written(scene: Scene, path: str) -> None:
    """Raw and percent-encoded, in one path segment or several."""
    status, body = await told(scene, head("GET", f"/v1/models/{path}"))
    assert (status, json.loads(body)["object"]) == (200, "model")


async def test_our_names_steer_no_client_astray(scene: Scene) -> None:
    """Some clients change their ways for a name with o1, o3 or o4 in it, and hide one with embed: the daemon's own have none of these."""
    _, body = await told(scene, head("GET", "/v1/models"))
    own = [model["id"] for model in json.loads(body)["data"] if model["owned_by"] == "fusiond"]
    assert "fusion" in own
    assert not [name for name in own if any(word in name for word in ("o1", "o3", "o4", "embed"))]


async def test_a_tool_calls_first_piece_names_it(scene: Scene) -> None:
    """Index, id, type and name first, arguments afterwards without them; and the reason is `tool_calls`."""
    _, body = await told(scene, post(model="caller", stream=True))
    choices = [chunk["choices"][0] for chunk in documents(body)]
    pieces = [piece for choice in choices for piece in choice["delta"].get("tool_calls", ())]
    for index in (0, 1):
        first, *others = [piece for piece in pieces if piece["index"] == index]
        assert (first["type"], bool(first["id"]), bool(first["function"]["name"])) == ("function", True, True)
        assert others
        assert all(piece.keys() == {"index", "function"} and piece["function"].keys() == {"arguments"} for piece in others)
    assert choices[-1]["finish_reason"] == "tool_calls"


@pytest.mark.parametrize("stream", [False, True], ids=["whole", "streamed"])
async def test_an_empty_turn_is_an_error(scene: Scene, *, stream: bool) -> None:
    """Agents ask again and again after an empty answer: it is a failure with its status instead."""
    status, body = await told(scene, post(model="empty", stream=stream))
    error = json.loads(body)["error"]
    assert (status, error["code"], error["members"]["empty"]["reason"]) == (502, "all_members_failed", "empty")


async def test_a_body_of_many_megabytes_is_taken(scene: Scene) -> None:
    """Long contexts and images: far beyond what servers take by default."""
    status, body = await told(scene, post(model="plain", text="word " * (3 * MIB)))
    assert status == 200, body
    asked = [chat for chat in scene.upstream.chats if chat.model == "plain"][-1]
    assert len(asked.body["messages"][0]["content"]) == 15 * MIB


async def test_a_body_that_is_announced_too_large_is_refused_unread(scene: Scene) -> None:
    """413 in the family's envelope with all four keys, before a byte of it is sent."""
    request = head("POST", "/v1/chat/completions", "Content-Type: application/json", f"Content-Length: {64 * MIB + 1}")
    status, body = await told(scene, request)
    assert (status, json.loads(body)["error"].keys()) == (413, KEYS)


async def test_a_body_that_does_not_say_how_large_it_is_has_the_same_limit(scene: Scene) -> None:
    """413 as soon as it is too large, although nobody announced that."""
    piece = b"%x\r\n%b\r\n" % (MIB, b" " * MIB)
    async with connected(scene) as (reader, writer):
        writer.write(head("POST", "/v1/chat/completions", "Content-Type: application/json", "Transfer-Encoding: chunked"))
        for _ in range(64):
            writer.write(piece)
            await writer.drain()
        writer.write(b"1\r\n \r\n")
        status, body = await answered(reader)
    assert (status, json.loads(body)["error"].keys()) == (413, KEYS)


@pytest.mark.parametrize(
    ("body", "param"),
    [
        (b"", None),
        (b"{", None),
        (b"[]", None),
        (b'"text"', None),
        (b"\xff\xfe{}", None),
        (b'{"model": "plain", "messages": ' + b"[" * 10_000 + b"]" * 10_000 + b"}", None),
        (b'{"messages": []}', "model"),
        (b'{"model": "plain"}', "messages"),
        (b'{"model": "plain", "messages": [{"role": "user", "content": 3}]}', "messages[0].content"),
        (b'{"model": "plain", "messages": [{"role": "king", "content": "x"}]}', "messages[0].role"),
        (b'{"model": 3, "messages": []}', "model"),
    ],
    ids=["empty", "no JSON", "array", "string", "no UTF-8", "deep", "no model", "no messages", "content", "role", "model"],
)
async def test_a_body_that_is_wrong_names_the_place(scene: Scene, body: bytes, param: str | None) -> None:
    """400 with all four keys; the field's path where there is one."""
    request = head("POST", "/v1/chat/completions", "Content-Type: application/json", f"Content-Length: {len(body)}")
    status, answer = await told(scene, request + body)
    error = json.loads(answer)["error"]
    assert (status, error.keys(), error["type"]) == (400, KEYS, "invalid_request_error")
    assert param is None or error["param"] == param
