"""What is no request, or not a whole one: the envelope, nothing of what came in it or in the log, and no crash in the log."""

from __future__ import annotations

import asyncio
import contextlib
import json
import logging
from collections.abc import AsyncIterator, Callable
from pathlib import Path

import aiohttp
import pytest
from aiohttp import web

from fusiond import admission
from tests.faults.conftest import Running, question, running
from tests.upstreams.openai import OpenAIUpstream
from tests.upstreams.script import Finish, Hang, Say, Script

Lab = Callable[..., str]
SECRET = b"TOPSECRET"
POST = b"POST /v1/chat/completions HTTP/1.1\r\nHost: localhost\r\nContent-Type: application/json\r\n"


@pytest.fixture
async def daemon(lab: Lab, tmp_path: Path) -> AsyncIterator[Running]:
    """A daemon with a good member, and one that is silent."""
    async with OpenAIUpstream({"a": Script(Say("Yes."), Finish()), "b": Script(Hang())}) as upstream:
        text = (
            lab(upstream.url, "a", strategy="single", server="heartbeat_seconds = 0.1")
            + '[members.b]\nprovider = "lab"\nmodel = "b"\nfirst_token_seconds = 0.5\n'
        )
        async with running(text, tmp_path) as daemon:
            yield daemon


async def sent(daemon: Running, data: bytes) -> tuple[int, dict[str, str], bytes, bool]:
    """Status, headers, body, and whether the connection was closed after it."""
    host, port = daemon.url.removeprefix("http://").split(":")
    reader, writer = await asyncio.open_connection(host, int(port))
    writer.write(data)
    async with asyncio.timeout(5):
        head = (await reader.readuntil(b"\r\n\r\n")).decode().splitlines()
        headers = dict(line.split(": ", 1) for line in head[1:] if line)
        body = await reader.readexactly(int(headers["Content-Length"]))
        closed = headers.get("Connection") == "close" or head[0].startswith("HTTP/1.0")
    writer.close()
    await writer.wait_closed()
    return int(head[0].split()[1]), headers, body, closed


@pytest.mark.parametrize(
    ("data", "words"),
    [
        (b"GET / HTTP/1.1\r\nHost: localhost\r\nAuthorization Bearer TOPSECRET\r\n\r\n", "no HTTP request"),
        (b"GET / HTTP/1.1\r\nHost: localhost\r\nAuthorization: Bearer TOPSECRET\x01x\r\n\r\n", "no HTTP request"),
        (b"GET / HTTP/1.1\r\nHost: localhost\r\nAuthorization: " + SECRET * 2000 + b"\r\n\r\n", "too long"),
        (b"GET /" + SECRET * 2000 + b" HTTP/1.1\r\nHost: localhost\r\n\r\n", "too long"),
        (b"GET / HTTP/1.1\r\nHost: TOPSECRET\r\nHost: localhost\r\n\r\n", "no HTTP request"),
        (POST + b"X: TOPSECRET\r\nContent-Length: 2\r\nContent-Length: 3\r\n\r\n{}", "no HTTP request"),
        (POST + b"X: TOPSECRET\r\nContent-Length: 2\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n", "no HTTP request"),
        (POST + b"Transfer-Encoding: chunked\r\n\r\nTOPSECRET\r\n", "no HTTP request"),
        (b"\x16\x03\x01\x02\x00\x01\x00TOPSECRET\r\n\r\n", "no HTTP request"),
        (b"TOPSECRET\r\n\r\n", "no HTTP request"),
    ],
    ids=[
        "no colon",
        "a control character",
        "a long header",
        "a long URL",
        "two hosts",
        "two lengths",
        "two kinds of length",
        "a chunk",
        "TLS",
        "noise",
    ],
)
async def test_what_is_no_request(data: bytes, words: str, daemon: Running, caplog: pytest.LogCaptureFixture) -> None:
    """400 in the envelope, and the connection is closed."""
    caplog.set_level(logging.DEBUG)
    status, headers, body, closed = await sent(daemon, data)
    document = json.loads(body)
    assert (status, closed, headers["Content-Type"]) == (400, True, "application/json")
    assert document["error"].keys() == {"message", "type", "param", "code"}
    assert words in document["error"]["message"]
    assert document["request_id"] == headers["X-Request-Id"]
    assert SECRET not in body
    assert SECRET.decode() not in caplog.text
    assert "Traceback" not in caplog.text
    assert [record for record in caplog.records if record.levelno > logging.INFO] == []


async def test_a_body_that_breaks_off(daemon: Running, caplog: pytest.LogCaptureFixture) -> None:
    """Its first chunk is one, the second is none: 400 as well, and the connection is closed."""
    caplog.set_level(logging.DEBUG)
    host, port = daemon.url.removeprefix("http://").split(":")
    reader, writer = await asyncio.open_connection(host, int(port))
    writer.write(POST + b"Transfer-Encoding: chunked\r\n\r\n5\r\nhello\r\n")
    async with asyncio.timeout(5):
        while daemon.daemon._server.bodies._held < 5:  # noqa: ASYNC110  # nobody tells
            await asyncio.sleep(0)
        writer.write(b"TOPSECRET\r\n")
        answer = await reader.read()
    assert answer.startswith(b"HTTP/1.1 400")
    assert json.loads(answer.partition(b"\r\n\r\n")[2])["error"].keys() == {"message", "type", "param", "code"}
    assert SECRET not in answer
    assert SECRET.decode() not in caplog.text
    assert [record for record in caplog.records if record.levelno > logging.INFO] == []
    writer.close()
    await writer.wait_closed()


@pytest.mark.parametrize(
    ("headers", "status"),
    [
        (b"Host: localhost\r\nExpect: TOPSECRET", 417),
        (b"Host: foreign.example\r\nExpect: TOPSECRET", 403),
        (b"Host: foreign.example\r\nExpect: 100-continue", 403),
    ],
    ids=["a strange one", "a strange one of a stranger", "a stranger's"],
)
@pytest.mark.parametrize("path", [b"/v1/chat/completions", b"/nowhere"])
async def test_expectations(path: bytes, headers: bytes, status: int, daemon: Running) -> None:
    """They stand behind the gate, which asks nobody to go on whom it refuses; what cannot be met is refused in the envelope."""
    answered, _, body, _ = await sent(daemon, b"POST " + path + b" HTTP/1.1\r\n" + headers + b"\r\nContent-Length: 2\r\n\r\n")
    assert answered == status
    assert json.loads(body)["error"].keys() == {"message", "type", "param", "code"}
    assert SECRET not in body


async def test_who_may_is_told_to_go_on(daemon: Running) -> None:
    """And is answered then."""
    host, port = daemon.url.removeprefix("http://").split(":")
    reader, writer = await asyncio.open_connection(host, int(port))
    body = json.dumps(question()).encode()
    writer.write(POST + b"Expect: 100-continue\r\nContent-Length: %d\r\n\r\n" % len(body))
    async with asyncio.timeout(5):
        assert await reader.readuntil(b"\r\n\r\n") == b"HTTP/1.1 100 Continue\r\n\r\n"
        writer.write(body)
        assert (await reader.readline()).split()[1] == b"200"
    writer.close()
    await writer.wait_closed()


async def test_a_body_that_does_not_come(daemon: Running, monkeypatch: pytest.MonkeyPatch) -> None:
    """408, and the connection is not kept for it."""
    monkeypatch.setattr(admission, "STALL_SECONDS", 0.1)
    status, _, body, closed = await sent(daemon, POST + b"Content-Length: 1000\r\n\r\n{")
    assert (status, closed, json.loads(body)["error"]["code"]) == (408, True, "request_timeout")
    assert daemon.daemon._server.bodies._held == 0


async def test_those_who_announce_much_and_send_little_hold_nobody_up(daemon: Running) -> None:
    """Room is taken by what has come."""
    host, port = daemon.url.removeprefix("http://").split(":")
    writers = []
    for _ in range(8):
        _, writer = await asyncio.open_connection(host, int(port))
        writer.write(POST + b"Content-Length: %d\r\n\r\n{" % admission.BODY_LIMIT)
        writers.append(writer)
    async with asyncio.timeout(5):
        while daemon.daemon._server.bodies._held < len(writers):  # noqa: ASYNC110  # nobody tells
            await asyncio.sleep(0)
    assert (await daemon.ask())[0] == 200
    for writer in writers:
        writer.close()
        await writer.wait_closed()


@pytest.mark.parametrize(
    ("model", "step"), [("a", "prepare"), ("a", "write"), ("b", "write")], ids=["with the headers", "with the first word", "with the heartbeat"]
)
async def test_a_client_that_has_gone(
    model: str, step: str, daemon: Running, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    """Whoever notices it first by writing to it: it is no error of anybody's."""

    async def nowhere(_response: web.StreamResponse, _what: object) -> None:
        raise aiohttp.ClientConnectionResetError("Cannot write to closing transport")

    monkeypatch.setattr(web.StreamResponse, step, nowhere)
    with contextlib.suppress(aiohttp.ServerDisconnectedError):
        assert not (await daemon.ask(model=model, stream=True))[2]
    await daemon.at_rest()
    assert [record for record in caplog.records if record.levelno > logging.INFO] == []


async def test_a_stream_of_the_old_protocol_ends_with_its_connection(daemon: Running) -> None:
    """HTTP/1.0 has no other end for a body whose length nobody knows, whatever the client would like to keep."""
    host, port = daemon.url.removeprefix("http://").split(":")
    reader, writer = await asyncio.open_connection(host, int(port))
    body = json.dumps(question(stream=True)).encode()
    head = POST.replace(b"HTTP/1.1", b"HTTP/1.0") + b"Connection: keep-alive\r\nContent-Length: %d\r\n\r\n" % len(body)
    writer.write(head + body)
    async with asyncio.timeout(5):
        answer = await reader.read()
    assert answer.endswith(b"data: [DONE]\n\n")
    assert b"keep-alive" not in answer.partition(b"\r\n\r\n")[0].lower()
    writer.close()
    await writer.wait_closed()
