"""How the daemon ends: what runs is finished, in the time there is; nothing new is begun; and it leaves with 0."""

from __future__ import annotations

import asyncio
import json
import signal
import time
from pathlib import Path

import aiohttp
import pytest

from tests.serving import Served, answer, chunks, configured, failed, lab, question, serving
from tests.upstreams.openai import OpenAIUpstream
from tests.upstreams.script import Finish, Gate, Hang, Say, Script

STREAMED = pytest.mark.parametrize("stream", [False, True], ids=["whole", "streamed"])


@STREAMED
@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT], ids=["SIGTERM", "SIGINT"])
async def test_what_is_in_flight_is_finished(tmp_path: Path, number: signal.Signals, *, stream: bool) -> None:
    """The answer comes whole; nobody new is let in meanwhile; then the exit code is 0."""
    gate = asyncio.Event()
    async with OpenAIUpstream({"a": Script(Say("hel"), Gate(gate), Say("lo"), Finish())}) as upstream:
        async with serving(*configured(tmp_path, lab(upstream.url, "a"))) as daemon, daemon.client() as client:
            asked = asyncio.create_task(answer(client, "a", stream=stream))
            await upstream.asked()
            daemon.signal(number)
            await daemon.said("finishing 1 requests")
            with pytest.raises(aiohttp.ClientConnectorError):
                await client.get("/healthz")  # its kept connection is busy: this would be a new one
            gate.set()
            assert await asked == "hello"
            assert await daemon.ended() == 0
        await upstream.gone()


async def test_a_kept_connection_is_let_go_with_its_next_answer(tmp_path: Path) -> None:
    """A busy client on an open connection is served once more, told to come on a new one, and keeps nobody here."""
    gate = asyncio.Event()
    async with (
        OpenAIUpstream({"a": Script(Gate(gate), Say("hello"), Finish())}) as upstream,
        serving(*configured(tmp_path, lab(upstream.url, "a"))) as daemon,
        daemon.client() as client,
        daemon.client() as other,
    ):
        async with other.get("/readyz") as response:
            assert (response.status, response.headers.get("Connection")) == (200, None)
        asked = asyncio.create_task(answer(client, "a"))
        await upstream.asked()
        daemon.signal(signal.SIGTERM)
        await daemon.said("finishing 1 requests")
        async with other.get("/readyz") as response:
            assert (response.status, response.headers["Connection"]) == (503, "close")
            assert (await response.json())["reason"] == "the daemon is shutting down"
        with pytest.raises(aiohttp.ClientConnectorError):
            await other.get("/readyz")
        gate.set()
        assert await asked == "hello"
        assert await daemon.ended() == 0


async def test_who_waits_in_the_queue_is_served_too(tmp_path: Path) -> None:
    """A request that was let in before the signal is answered after it."""
    gate = asyncio.Event()
    async with (
        OpenAIUpstream({"a": Script(Gate(gate), Say("hello"), Finish())}) as upstream,
        serving(*configured(tmp_path, f"max_requests = 1\n{lab(upstream.url, 'a')}")) as daemon,
        daemon.client() as client,
    ):
        both = [asyncio.create_task(answer(client, "a")) for _ in range(2)]
        await upstream.asked()
        await waiting(client, 1)
        daemon.signal(signal.SIGTERM)
        await daemon.said("finishing 2 requests")
        gate.set()
        assert await asyncio.gather(*both) == ["hello", "hello"]
        assert await daemon.ended() == 0


async def waiting(client: aiohttp.ClientSession, number: int) -> None:
    """Return once so many requests wait in the queue."""
    async with asyncio.timeout(5):
        while True:
            async with client.get("/fusiond/status") as response:
                if (await response.json())["requests"]["waiting"] == number:
                    return


async def test_a_whole_answer_that_takes_too_long_is_refused(tmp_path: Path) -> None:
    """After `drain_seconds` the client is told 503, the upstream call is over, and the exit code is still 0."""
    async with OpenAIUpstream({"a": Script(Say("hel"), Hang())}) as upstream:
        async with serving(*configured(tmp_path, f"drain_seconds = 0.2\n{lab(upstream.url, 'a')}")) as daemon, daemon.client() as client:
            asking = asyncio.create_task(client.post("/v1/chat/completions", json=question("a")))
            await upstream.asked()
            daemon.signal(signal.SIGTERM)
            async with await asking as response:
                assert response.status == 503
                assert "Retry-After" in response.headers
                assert "shutting down" in (await response.json())["error"]["message"]
            assert await daemon.ended() == 0
        await upstream.left()


async def test_a_stream_that_takes_too_long_ends_in_an_error(tmp_path: Path) -> None:
    """After `drain_seconds` the stream has its error, and is cut off: it never looks complete."""
    async with OpenAIUpstream({"a": Script(Say("hel"), Hang())}) as upstream:
        async with serving(*configured(tmp_path, f"drain_seconds = 0.2\n{lab(upstream.url, 'a')}")) as daemon, daemon.client() as client:
            async with client.post("/v1/chat/completions", json=question("a", stream=True)) as response:
                body = bytearray(await response.content.readany())
                daemon.signal(signal.SIGTERM)
                with pytest.raises(aiohttp.ClientPayloadError):
                    await to_the_end(response, body)
            assert b"[DONE]" not in body
            assert "shutting down" in chunks(body.decode())[-1]["error"]["message"]
            assert await daemon.ended() == 0
        await upstream.left()


async def to_the_end(response: aiohttp.ClientResponse, body: bytearray) -> None:
    """Read all there is."""
    async for piece in response.content.iter_any():
        body += piece


@pytest.mark.parametrize("rest", [True, False], ids=["comes", "does not come"])
async def test_a_request_whose_body_is_on_its_way(tmp_path: Path, *, rest: bool) -> None:
    """It was begun before the signal, and is answered; where its body does not come within `drain_seconds`, with 503."""
    async with OpenAIUpstream({"a": Script(Say("hello"), Finish())}) as upstream:
        settings = f"drain_seconds = {60 if rest else 0.2}\n{lab(upstream.url, 'a')}"
        async with serving(*configured(tmp_path, settings)) as daemon:
            host, port = daemon.url.removeprefix("http://").split(":")
            reader, writer = await asyncio.open_connection(host, int(port))
            body = json.dumps(question("a")).encode()
            head = f"POST /v1/chat/completions HTTP/1.1\r\nHost: localhost\r\nContent-Type: application/json\r\nContent-Length: {len(body)}\r\n\r\n"
            writer.write(head.encode() + body[:20])
            await present(daemon)
            daemon.signal(signal.SIGTERM)
            await daemon.said("finishing 1 requests")
            if rest:
                writer.write(body[20:])
            answered = await reader.read()
            assert answered.startswith(b"HTTP/1.1 200 OK" if rest else b"HTTP/1.1 503 Service Unavailable")
            assert b"hello" in answered if rest else b"Retry-After" in answered
            writer.close()
            assert await daemon.ended() == 0


async def present(daemon: Served) -> None:
    """Wait until what was written has surely come: what is asked later has its answer."""
    async with daemon.client() as client:
        for _ in range(3):
            async with client.get("/healthz") as response:
                assert response.status == 200


async def test_an_idle_connection_holds_nobody_up(tmp_path: Path) -> None:
    """A connection without a request is closed at once."""
    async with serving(*configured(tmp_path, "")) as daemon, daemon.client() as client:
        async with client.get("/healthz") as response:
            assert response.status == 200
        daemon.signal(signal.SIGTERM)
        assert await daemon.ended() == 0


async def test_an_idle_daemon_says_nothing_that_frightens(tmp_path: Path) -> None:
    """No error, no warning, no traceback in the log of a start and a stop."""
    async with serving(*configured(tmp_path, "")) as daemon:
        daemon.signal(signal.SIGINT)
        assert await daemon.ended() == 0
    assert not [line for line in daemon.log if " INFO " not in line]


async def test_a_second_signal_does_not_wait(tmp_path: Path) -> None:
    """Whoever asks twice means it: the answer in flight ends in an error at once, and the exit code is still 0."""
    async with OpenAIUpstream({"a": Script(Hang())}) as upstream:
        async with serving(*configured(tmp_path, f"drain_seconds = 600\n{lab(upstream.url, 'a')}")) as daemon, daemon.client() as client:
            asking = asyncio.create_task(client.post("/v1/chat/completions", json=question("a")))
            await upstream.asked()
            daemon.signal(signal.SIGINT)
            await daemon.said("finishing 1 requests")
            daemon.signal(signal.SIGINT)
            async with await asking as response:
                assert response.status == 503
            assert await daemon.ended() == 0


@pytest.mark.parametrize("module", ["logging", "aiohttp", "uvloop"])
async def test_told_to_leave_while_it_starts(module: str, tmp_path: Path) -> None:
    """There is nothing to finish: it leaves with 0, whatever it is just about to load."""
    (tmp_path / f"{module}.py").write_text("import os, signal\nos.kill(os.getpid(), signal.SIGTERM)\n", encoding="utf-8")
    assert await failed(*configured(tmp_path, ""), environment={"PYTHONPATH": str(tmp_path)}) == (0, [])


SLOW_NAMES = """
import socket, time
really = socket.getaddrinfo
socket.getaddrinfo = lambda host, *rest, **more: time.sleep(60) if host == "slow.example" else really(host, *rest, **more)
"""


async def test_a_name_that_is_still_looked_up_holds_nobody_up(tmp_path: Path) -> None:
    """The resolver may take a minute where there is no network: who leaves does not wait for its thread."""
    (tmp_path / "uvloop.py").write_text("raise ImportError\n", encoding="utf-8")  # it does not ask Python for names
    (tmp_path / "sitecustomize.py").write_text(SLOW_NAMES, encoding="utf-8")
    slow = '[providers.far]\napi = "openai"\nurl = "http://slow.example/v1"\ndiscover = true\n'
    async with serving(*configured(tmp_path, slow), environment={"PYTHONPATH": str(tmp_path)}) as daemon:
        await asyncio.sleep(0.5)
        began = time.monotonic()
        daemon.signal(signal.SIGTERM)
        assert await daemon.ended() == 0
        assert time.monotonic() - began < 3
