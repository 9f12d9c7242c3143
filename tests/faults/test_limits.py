"""Too much, nonsense, and strangers: turned away at once, in the envelope, with the way out."""

from __future__ import annotations

import asyncio
import io
import json
from collections.abc import AsyncIterator, Callable
from pathlib import Path
from typing import Any

import aiohttp
import pytest

from fusiond.admission import BODY_LIMIT
from tests.faults.conftest import Running, question, running
from tests.upstreams.openai import OpenAIUpstream
from tests.upstreams.script import Finish, Gate, Say, Script

Lab = Callable[..., str]
GOOD = Script(Say("Yes."), Finish())


@pytest.fixture
async def daemon(lab: Lab, tmp_path: Path) -> AsyncIterator[Running]:
    """A daemon with one good member."""
    async with OpenAIUpstream({"a": GOOD}) as upstream, running(lab(upstream.url, "a", strategy="single"), tmp_path) as daemon:
        yield daemon


async def test_a_full_house(lab: Lab, tmp_path: Path) -> None:
    """One runs, one waits, the third is told when to come back; a place is given back also by one that leaves while it waits."""
    gate = asyncio.Event()
    text = lab("{url}", "a", strategy="single", server="max_requests = 1\nqueue = 1").replace("_seconds = 0.5", "_seconds = 60")
    upstream = OpenAIUpstream({"a": Script(Gate(gate), Say("Yes."), Finish())})
    async with upstream:
        async with running(text.replace("{url}", upstream.url), tmp_path) as daemon:
            admission = daemon.daemon._server.admission
            first = asyncio.create_task(daemon.ask())
            await upstream.asked(1)
            waiting = asyncio.create_task(daemon.ask())
            await reached(lambda: admission.waiting == 1)
            async with daemon.client.post(daemon.url + "/v1/chat/completions", json=question()) as response:
                assert (response.status, int(response.headers["Retry-After"]) >= 1) == (503, True)
                assert (await response.json())["error"]["code"] == "overloaded"
            waiting.cancel()
            await reached(lambda: admission.waiting == 0)
            second = asyncio.create_task(daemon.ask())
            await reached(lambda: admission.waiting == 1)
            gate.set()
            assert [(await first)[0], (await second)[0]] == [200, 200]
            await daemon.at_rest()


@pytest.mark.parametrize(
    ("body", "param"),
    [
        (b"", None),
        (b"{", None),
        (b"[]", None),
        (b'"text"', None),
        (b"\xff\xfe{}", None),
        (b"[" * 10_000, None),
        (b'{"a":' * 10_000 + b"1" + b"}" * 10_000, None),
        (b'{"model": "fusion"}', "messages"),
        (b'{"model": 4, "messages": []}', "model"),
        (b'{"model": "fusion", "messages": [{"role": "user", "content": [{"type": "text", "text": 4}]}]}', "messages[0].content[0].text"),
        (b'{"model": "fusion", "messages": [{"role": "user", "content": "x"}], "temperature": "hot"}', "temperature"),
        (b'{"model": "fusion", "messages": [{"role": "user", "content": "x"}], "tools": [{"function": {}}]}', "tools[0].function.name"),
    ],
    ids=lambda value: str(value)[:40],
)
async def test_bad_bodies(body: bytes, param: str | None, daemon: Running) -> None:
    """400, naming the field where there is one."""
    status, error = await refused(daemon, body)
    assert (status, error["param"]) == (400, param)


async def test_a_body_that_is_too_large(daemon: Running) -> None:
    """413, announced or not; the largest that may come is read."""

    async def unannounced() -> AsyncIterator[bytes]:
        for _ in range(BODY_LIMIT // (1 << 20)):
            yield bytes(1 << 20)
        yield b" "

    assert (await refused(daemon, io.BytesIO(bytes(BODY_LIMIT + 1))))[0] == 413
    assert (await refused(daemon, unannounced()))[0] == 413
    whole = json.dumps(question()).encode()
    async with daemon.client.post(daemon.url + "/v1/chat/completions", data=io.BytesIO(whole.ljust(BODY_LIMIT))) as response:
        assert response.status == 200


@pytest.mark.parametrize(
    ("headers", "status"),
    [
        ({"Host": "rebound.example"}, 403),
        ({"Origin": "http://elsewhere.example"}, 403),
        ({"Origin": "null"}, 403),
        ({"Sec-Fetch-Site": "cross-site"}, 403),
        ({"Sec-Fetch-Site": "same-origin", "Content-Type": "text/plain"}, 415),
        ({"Content-Encoding": "gzip"}, 415),
    ],
    ids=str,
)
async def test_the_gate_stands_before_the_body(headers: dict[str, str], status: int, daemon: Running) -> None:
    """A refused request is answered although its body never comes."""
    host, port = daemon.url.removeprefix("http://").split(":")
    reader, writer = await asyncio.open_connection(host, int(port))
    lines = {"Host": f"{host}:{port}", "Content-Type": "application/json", "Content-Length": "1000", **headers}
    writer.write(b"POST /v1/chat/completions HTTP/1.1\r\n" + "".join(f"{name}: {value}\r\n" for name, value in lines.items()).encode() + b"\r\n")
    async with asyncio.timeout(5):
        assert (await reader.readline()).split()[1] == str(status).encode()
    writer.close()
    await writer.wait_closed()


@pytest.mark.parametrize("name", ["Host", "Origin", "Sec-Fetch-Site"])
async def test_of_several_headers_each_must_be_allowed(name: str, daemon: Running) -> None:
    """A foreign one is not hidden behind one of ours."""
    host, port = daemon.url.removeprefix("http://").split(":")
    ours = {"Host": f"{host}:{port}", "Origin": daemon.url, "Sec-Fetch-Site": "same-origin"}
    foreign = {"Host": "rebound.example", "Origin": "http://elsewhere.example", "Sec-Fetch-Site": "cross-site"}
    for more, status in ({}, b"200"), ({name: foreign[name]}, b"403"):
        reader, writer = await asyncio.open_connection(host, int(port))
        sent = {header: ours[header] for header in ("Host", name)}
        lines = [f"{header}: {value}\r\n" for header, value in (*sent.items(), *more.items(), ("Connection", "close"))]
        writer.write(b"GET /healthz HTTP/1.1\r\n" + "".join(lines).encode() + b"\r\n")
        async with asyncio.timeout(5):
            assert (await reader.readline()).split()[1] in ((status, b"400") if more else (status,))
        writer.close()
        await writer.wait_closed()


async def test_a_strange_target(daemon: Running) -> None:
    """A request line that is no address is answered, and not by a crash."""
    host, port = daemon.url.removeprefix("http://").split(":")
    reader, writer = await asyncio.open_connection(host, int(port))
    writer.write(b"GET //[x/v1?u=http:// HTTP/1.1\r\nHost: localhost\r\n\r\n")
    async with asyncio.timeout(5):
        assert (await reader.readline()).split()[1] in (b"400", b"404")
    writer.close()
    await writer.wait_closed()


async def test_what_is_not_there(daemon: Running) -> None:
    """Unknown addresses, methods and models, each in the envelope."""
    for method, path, status in [("GET", "/nowhere", 404), ("PUT", "/v1/models", 405), ("GET", "/v1/models/nobody", 404)]:
        async with daemon.client.request(method, daemon.url + path) as response:
            assert response.status == status
            assert (await response.json())["error"].keys() == {"message", "type", "param", "code"}
    status, error = await refused(daemon, json.dumps(question(model="fusion/defalt")).encode())
    assert (status, error["param"]) == (404, "model")
    assert "did you mean 'fusion/default'" in error["message"]


async def refused(daemon: Running, body: bytes | io.BytesIO | AsyncIterator[bytes]) -> tuple[int, dict[str, Any]]:
    """The status and the error of a request that is refused."""
    async with aiohttp.ClientSession() as client, client.post(daemon.url + "/v1/chat/completions", data=body) as response:
        error = (await response.json())["error"]
        assert error.keys() == {"message", "type", "param", "code"}
        return response.status, error


async def reached(true: Callable[[], bool]) -> None:
    """Wait for something that nobody tells. Fails after some seconds."""
    async with asyncio.timeout(10):
        while not true():  # noqa: ASYNC110
            await asyncio.sleep(0)
