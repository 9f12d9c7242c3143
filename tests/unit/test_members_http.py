"""The way to a provider: what an error's body says, and every way in which a connection can fail, on real sockets."""

from __future__ import annotations

import asyncio
import json
import socket
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, closing
from dataclasses import replace
from typing import Any

import aiohttp
import pytest

from fusiond.errors import ContextTooSmall, Garbled, MemberError, Rejected, TimedOut, Truncated, Unreachable, Unwilling
from fusiond.members import http
from fusiond.members.http import TOLD, Link, error_message, message_in, pieces, rejected
from fusiond.members.patience import Patience
from tests.asking import call
from tests.upstreams.openai import OpenAIUpstream
from tests.upstreams.script import Close, Drip, Finish, Hang, Head, Html, Raw, Reset, Say, Script, Status, Step, Wire

RAW = '{"error":{"message":"Rate limit of gpt-x"}}'


@pytest.mark.parametrize(
    ("body", "said"),
    [
        pytest.param({"error": {"message": "no such model", "type": "t", "param": None, "code": None}}, "no such model", id="OpenAI"),
        pytest.param({"error": {"message": "Provider returned error", "metadata": {"raw": RAW}}}, f"Provider returned error: {RAW}", id="OpenRouter"),
        pytest.param({"error": {"message": "gone", "metadata": None}}, "gone", id="OpenRouter, without a cause"),
        pytest.param({"error": {"message": "gone", "metadata": {"raw": None}}}, "gone", id="OpenRouter, with an empty one"),
        pytest.param({"error": "model 'x' not found"}, "model 'x' not found", id="Ollama"),
        pytest.param({"detail": "Not Found"}, "Not Found", id="FastAPI"),
        pytest.param({"object": "error", "message": "too long", "code": 400}, "too long", id="vLLM"),
        pytest.param({"error": {"type": "overloaded_error"}}, "overloaded_error", id="only a type"),
        pytest.param({"error": {"detail": [{"msg": "field required"}]}}, "[{'msg': 'field required'}]", id="details"),
        pytest.param({"error": {}}, "no reason given", id="an empty object"),
        pytest.param({}, "no reason given", id="nothing in it"),
        pytest.param(["a", "b"], "['a', 'b']", id="a list"),
        pytest.param({"error": None}, "no reason given", id="null"),
        pytest.param(b"upstream connect error\n\n  or disconnect\n", "upstream connect error or disconnect", id="text"),
        pytest.param(b"<html>\n<h1>502 Bad Gateway</h1>\n</html>", "<html> <h1>502 Bad Gateway</h1> </html>", id="HTML"),
        pytest.param(b"", "no reason given", id="nothing"),
        pytest.param(b"\xff\xfe", "\ufffd\ufffd", id="no text"),
        pytest.param(b'{"error": "half', '{"error": "half', id="half a document"),
        pytest.param({"error": "Incorrect API key: sk-abcd1234efgh"}, "Incorrect API key: [secret]", id="a key"),
        pytest.param({"error": "got Bearer abcdef.123-4_5, no"}, "got [secret], no", id="a header"),
        pytest.param(b"Authorization: Bearer sk-or-v1-12345678", "Authorization: [secret]", id="a key in text"),
        pytest.param(b"x" * 5000, "x" * TOLD + "...", id="long"),
    ],
)
def test_what_an_errors_body_says(body: Any, said: str) -> None:
    """One line, in the provider's own words, without secrets, and not long."""
    assert message_in(body if isinstance(body, bytes) else json.dumps(body).encode()) == said


def test_a_hostile_body_is_only_an_error() -> None:
    """Depth does not break anything."""
    assert message_in(b"[" * 100_000)
    assert error_message({"message": {"a": [1]}}) == "{'a': [1]}"


@pytest.mark.parametrize(
    ("error", "kind", "status"),
    [
        ({"message": "busy", "code": 503}, Rejected, 503),
        ({"message": "busy", "code": 429}, Rejected, 429),
        ({"message": "no", "code": 400}, Rejected, 400),
        ({"message": "no", "code": "invalid"}, Rejected, None),
        ({"message": "no", "code": 7}, Rejected, None),
        ("out of memory", Rejected, None),
        ({"message": "This model's maximum context length is 8192 tokens"}, ContextTooSmall, None),
        ("the prompt is too long", ContextTooSmall, None),
        ("request exceeds the available context size", ContextTooSmall, None),
    ],
)
def test_an_error_in_an_answer(error: object, kind: type[MemberError], status: int | None) -> None:
    """Its code is kept where it is a status; a context that is too small is a reason of its own."""
    made = rejected(error)
    assert (type(made), getattr(made, "upstream_status", None)) == (kind, status)


def test_half_a_character_in_an_error() -> None:
    """It can be written out all the same."""
    assert rejected("bad \ud800").message.encode() == b"bad ?"


@asynccontextmanager
async def link(url: str, **arguments: Any) -> AsyncIterator[Link]:
    """A link that is closed with the block, its pool empty before."""
    made = Link(url, **arguments)
    try:
        yield made
        assert leased(made) == 0
    finally:
        await made.aclose()


def leased(link: Link) -> int:
    """Connections in use."""
    connector = link.session.connector
    assert connector is not None
    return len(connector._acquired)


def patience(seconds: float = 5) -> Patience:
    """So much for everything."""
    return Patience(first_token=seconds, stall=seconds, total=60, deadline=float("inf"))


async def body_of(link: Link, seconds: float = 5, path: str = "/chat/completions") -> bytes:
    """Ask, and read to the end."""
    waiting = patience(seconds)
    async with link.post(path, {"model": "a", "messages": []}, waiting) as response:
        return b"".join([piece async for piece in pieces(response, waiting)])


BODY = b'HTTP/1.1 500 Oh\r\nContent-Type: application/json\r\nContent-Length: 27\r\n\r\n{"error": '

FAILURES = [
    pytest.param([Reset()], Unreachable, "no connection", id="reset before the head"),
    pytest.param([Close()], Unreachable, "no connection", id="closed before the head"),
    pytest.param([Head(), Reset()], Truncated, "broke in the middle", id="reset after the head"),
    pytest.param([Head(), Close()], Truncated, "broke in the middle", id="closed after the head"),
    pytest.param([Say("4"), Close()], Truncated, "broke in the middle", id="closed in the middle"),
    pytest.param([Say("4"), Reset()], Truncated, "broke in the middle", id="reset in the middle"),
    pytest.param([Hang()], TimedOut, "no first token", id="hangs before the head"),
    pytest.param([Head(), Hang()], TimedOut, "no first token", id="hangs after the head"),
    pytest.param([Wire("SSH-2.0-OpenSSH_9.6\r\n"), Hang()], Garbled, "not HTTP", id="another protocol"),
    pytest.param([Wire("HTTP/1.1 200 OK\r\nContent-Length: many\r\n\r\n"), Hang()], Garbled, "not HTTP", id="a broken head"),
    pytest.param([Wire("HTTP/1.1 200 OK\r\nX: " + "x" * 100_000 + "\r\n\r\n"), Hang()], Garbled, "not HTTP", id="an endless head"),
    pytest.param([Head(), Wire("no size\r\nno chunk\r\n"), Hang()], Garbled, "not HTTP", id="a broken body"),
    pytest.param([Say("4"), Wire("zz\r\n"), Hang()], Garbled, "not HTTP", id="broken in the middle"),
    pytest.param([Head({"Content-Encoding": "gzip"}), Raw("no gzip at all"), Hang()], Truncated, "Can not decode", id="a broken compression"),
    pytest.param([Status(429, headers={"Retry-After": "7"})], Rejected, "HTTP 429: scripted status 429", id="too many"),
    pytest.param([Status(500)], Rejected, "HTTP 500: scripted status 500", id="an error of its own"),
    pytest.param([Wire("HTTP/1.1 204 No Content\r\n\r\n"), Hang()], Rejected, "HTTP 204: no reason given", id="no content"),
    pytest.param([Html(502)], Rejected, "HTTP 502: <html>", id="a page"),
    pytest.param([Status(400, {"error": "prompt is too long: 9 tokens"})], ContextTooSmall, "prompt is too long", id="a small context"),
    pytest.param([Wire(BODY), Hang()], Rejected, "HTTP 500", id="an error that hangs"),
    pytest.param([Wire(BODY), Close()], Rejected, "HTTP 500", id="an error that is cut off"),
]


@pytest.mark.parametrize(("steps", "kind", "words"), FAILURES)
async def test_how_a_connection_fails(steps: list[Step], kind: type[MemberError], words: str) -> None:
    """Each fault is one of our errors with words for people, and gives its connection back."""
    async with OpenAIUpstream({"a": Script(*steps)}) as upstream, link(upstream.url) as way:
        with pytest.raises(MemberError, match=words) as raised:
            await body_of(way, 0.3)
        assert type(raised.value) is kind, raised.value
        assert "\n" not in raised.value.message
        assert leased(way) == 0


@pytest.mark.parametrize(("status", "unbilled"), [(201, False), (206, False), (300, True), (400, True), (408, False), (503, True), (524, False)])
async def test_what_may_be_billed(status: int, unbilled: bool) -> None:
    """A refusal is not, nor an error; a success that we cannot read may be, and so may be what a gateway did not wait for."""
    async with OpenAIUpstream({"a": Script(Status(status))}) as upstream, link(upstream.url) as way:
        with pytest.raises(Rejected) as raised:
            await body_of(way, 1)
        assert (raised.value.upstream_status, raised.value.unbilled) == (status, unbilled)


async def test_a_status_is_kept() -> None:
    """For whoever decides whether and when to ask again."""
    scripts = {
        "a": [Script(Status(429, headers={"Retry-After": "7"})), Script(Status(503, headers={"Retry-After": "Wed, 21 Oct 2015 07:28:00 GMT"}))]
    }
    async with OpenAIUpstream(scripts) as upstream, link(upstream.url) as way:
        with pytest.raises(Rejected) as many:
            await body_of(way)
        with pytest.raises(Rejected) as busy:
            await body_of(way)
    assert (many.value.upstream_status, many.value.retry_after) == (429, 7)
    assert (busy.value.upstream_status, busy.value.retry_after) == (503, None)


async def test_an_error_that_comes_in_pieces() -> None:
    """Its message is read whole, even if each byte comes alone."""
    document = b'{"error": "out of memory"}'
    answer = b"HTTP/1.1 500 Oh\r\nContent-Length: %d\r\n\r\n%b" % (len(document), document)
    async with OpenAIUpstream({"a": Script(Drip(), Wire(answer))}) as upstream, link(upstream.url) as way:
        with pytest.raises(Rejected, match=r"HTTP 500: out of memory$"):
            await body_of(way)


async def test_an_error_of_any_length() -> None:
    """Its beginning is enough."""
    async with OpenAIUpstream({"a": Script(Status(500, "x" * 10_000_000))}) as upstream, link(upstream.url) as way:
        with pytest.raises(Rejected) as raised:
            await body_of(way)
    assert len(raised.value.message) < 2 * TOLD


async def test_nobody_listens() -> None:
    """A refused connection says so in plain words."""
    with closing(socket.socket()) as taken:
        taken.bind(("127.0.0.1", 0))
        async with link(f"http://127.0.0.1:{taken.getsockname()[1]}/v1") as way:
            with pytest.raises(Unreachable, match=r"no connection \(connection refused\)"):
                await body_of(way)


async def test_a_host_that_does_not_answer(monkeypatch: pytest.MonkeyPatch) -> None:
    """A connection that does not come about is not a member that is slow."""
    monkeypatch.setattr(http, "CONNECT_SECONDS", 0.2)
    with closing(socket.socket()) as full, closing(socket.socket()) as first, closing(socket.socket()) as second:
        full.bind(("127.0.0.1", 0))
        full.listen(0)
        for other in (first, second):  # the queue of the kernel is full: nobody else gets in
            other.setblocking(False)
            other.connect_ex(full.getsockname())
        async with link(f"http://127.0.0.1:{full.getsockname()[1]}/v1") as way:
            with pytest.raises(Unreachable, match="no connection within"):
                await body_of(way, 4)


async def test_an_unknown_host() -> None:
    """A name that is none."""
    async with link("http://no-such-host.invalid:1/v1") as way:
        with pytest.raises(Unreachable, match="no connection"):
            await body_of(way)


@pytest.mark.parametrize("status", [301, 302, 303, 307, 308])
async def test_redirects_are_refused(status: int) -> None:
    """A prompt and a key go to the configured address and nowhere else."""
    async with OpenAIUpstream({"a": Script(Say("4"), Finish())}) as other:
        moved = Script(Status(status, "moved", {"Location": f"{other.url}/chat/completions"}))
        async with OpenAIUpstream({"a": moved}) as upstream, link(upstream.url, headers={"Authorization": "Bearer k"}) as way:
            with pytest.raises(Rejected, match=f"HTTP {status}: redirects are not followed"):
                await body_of(way)
        assert other.requests == []


async def test_no_proxy_from_the_environment(monkeypatch: pytest.MonkeyPatch) -> None:
    """Nor a password from a file there."""
    async with OpenAIUpstream({}) as proxy, OpenAIUpstream({"a": Script(Say("4"), Finish())}) as upstream:
        for name in ("HTTP_PROXY", "http_proxy", "ALL_PROXY", "all_proxy"):
            monkeypatch.setenv(name, proxy.url.removesuffix("/v1"))
        for name in ("NO_PROXY", "no_proxy"):
            monkeypatch.delenv(name, raising=False)
        async with link(upstream.url) as way:
            assert b'"4"' in await body_of(way)
        assert (proxy.requests, len(upstream.chats)) == ([], 1)


async def test_no_cookies() -> None:
    """What a provider wants to be told again is not."""
    async with OpenAIUpstream({"a": Script(Head({"Set-Cookie": "track=1"}), Finish())}) as upstream, link(upstream.url) as way:
        await body_of(way)
        await body_of(way)
        assert all("cookie" not in chat.headers for chat in upstream.chats)


async def test_a_connection_serves_again() -> None:
    """After a complete answer it is there for the next; after one that was left, it is closed at once."""
    async with OpenAIUpstream({"a": [Script(Finish()), Script(Say("4"), Hang())]}) as upstream, link(upstream.url) as way:
        await body_of(way)
        waiting = patience()
        async with way.post("/chat/completions", {"model": "a"}, waiting) as response:
            await anext(pieces(response, waiting))
            assert (upstream.connections.most, leased(way)) == (1, 1)
        assert leased(way) == 0
        await upstream.left()
        await upstream.gone()


SERVED = Script(Say("4"), Finish())
STALE = [pytest.param(Close(), id="closed"), pytest.param(Reset(), id="reset")]


async def asked_of(link: Link, *, afresh: bool = False, **facts: Any) -> bytes:
    """What such a member answers."""
    waiting = patience()
    async with link.post("/chat/completions", {"model": "a"}, waiting, replace(call(**facts), afresh=afresh)) as response:
        return b"".join([piece async for piece in pieces(response, waiting)])


@pytest.mark.parametrize("end", STALE)
async def test_a_connection_that_was_closed_meanwhile(end: Step) -> None:
    """Nobody is asked twice here, but it is said; who asks once more has a new connection, which serves nobody else."""
    scripts = [SERVED, Script(end), Script(Say("5"), Finish()), SERVED, Script(end), Script(end)]
    async with OpenAIUpstream({"a": scripts}) as upstream, link(upstream.url) as way:
        for stale in (True, False):
            assert b'"4"' in await asked_of(way)
            with pytest.raises(Unreachable) as closed:
                await asked_of(way)
            assert (closed.value.stale, closed.value.lost, closed.value.unbilled) == (True, False, False)
            if stale:
                assert b'"5"' in await asked_of(way, afresh=True)
            else:
                with pytest.raises(Unreachable) as broken:
                    await asked_of(way, afresh=True)
                assert not broken.value.stale
            await upstream.gone()
        assert len(upstream.chats) == 6


@pytest.mark.parametrize("end", STALE)
async def test_a_look_over_a_connection_that_was_closed_meanwhile(end: Step) -> None:
    """Nobody above counts its retries: it is repeated here, once."""
    async with OpenAIUpstream({"a": SERVED}) as upstream, link(upstream.url) as way:
        listed = await way.get("/models", patience())
        upstream.pages["/v1/models"] = [Script(end), Script(Status(200, listed))]
        assert await way.get("/models", patience()) == listed
        assert len([asked for asked in upstream.requests if asked.path == "/v1/models"]) == 3


@pytest.mark.parametrize("end", STALE)
async def test_a_paid_call_is_not_made_twice(end: Step) -> None:
    """Nobody knows whether it was begun."""
    async with OpenAIUpstream({"a": [SERVED, Script(end), SERVED]}) as upstream, link(upstream.url) as way:
        await asked_of(way, place="remote")
        with pytest.raises(Unreachable):
            await asked_of(way, place="remote")
        assert len(upstream.chats) == 2


@pytest.mark.parametrize("steps", [[Close()], [Reset()]], ids=["closed", "reset"])
async def test_a_new_connection_that_breaks_is_an_error(steps: list[Step]) -> None:
    """It was not there before, so it is no accident of the pool's."""
    async with OpenAIUpstream({"a": [Script(*steps), SERVED]}) as upstream, link(upstream.url) as way:
        with pytest.raises(Unreachable) as broken:
            await asked_of(way)
        assert (len(upstream.chats), broken.value.stale) == (1, False)


@pytest.mark.parametrize("steps", [[Wire("HTTP/1.1 200 OK\r\nConte"), Close()], [Head(), Close()]], ids=["half a head", "a head"])
async def test_an_answer_that_had_begun_is_not_asked_for_again(steps: list[Step]) -> None:
    """Something of it has come. It is said in plain words."""
    async with OpenAIUpstream({"a": [SERVED, Script(*steps), SERVED]}) as upstream, link(upstream.url) as way:
        await asked_of(way)
        with pytest.raises(MemberError) as raised:
            await asked_of(way)
        assert "<" not in raised.value.message
        assert "Error" not in raised.value.message
        assert len(upstream.chats) == 2


async def test_an_error_that_was_not_read_to_its_end_costs_the_connection() -> None:
    """The next question does not find the rest of it."""
    async with OpenAIUpstream({"a": [Script(Status(500, "x" * 1_000_000)), SERVED]}) as upstream, link(upstream.url) as way:
        with pytest.raises(Rejected):
            await asked_of(way)
        await upstream.gone()
        assert b'"4"' in await asked_of(way)


async def test_a_number_that_json_has_not() -> None:
    """It is not sent: nobody knows what would be made of it."""
    async with OpenAIUpstream({"a": SERVED}) as upstream, link(upstream.url) as way:
        with pytest.raises(Unwilling, match="a number that JSON cannot say"):
            async with way.post("/chat/completions", {"a": [float("inf")]}, patience()):
                pass
        assert upstream.requests == []


async def test_the_key_is_in_no_error() -> None:
    """Of a document that is none, either."""
    async with OpenAIUpstream({}) as upstream, link(upstream.url, headers={"Authorization": "Bearer lab-key-123456"}) as way:
        for answer in (Status(200, "no lab-key-123456"), Status(403, "no lab-key-123456")):
            upstream.pages["/v1/models"] = Script(answer)
            with pytest.raises(MemberError, match=r"\[secret\]") as raised:
                await way.get("/models", patience())
            assert "lab-key" not in str(raised.value)


async def test_leaving_before_the_head() -> None:
    """A request that is cancelled while nothing has come closes its connection."""
    async with OpenAIUpstream({"a": Script(Hang())}) as upstream, link(upstream.url) as way:
        asking = asyncio.create_task(body_of(way))
        await upstream.asked()
        asking.cancel()
        with pytest.raises(asyncio.CancelledError):
            await asking
        await upstream.gone()


async def test_headers_of_this_provider_only() -> None:
    """The key goes with every question, and the body is JSON."""
    async with OpenAIUpstream({"a": Script(Finish())}) as upstream, link(f"{upstream.url}/", headers={"Authorization": "Bearer k1"}) as way:
        await body_of(way)
        (chat,) = upstream.chats
    assert (chat.headers["authorization"], chat.headers["content-type"], chat.body["model"]) == ("Bearer k1", "application/json", "a")


async def test_closing_twice() -> None:
    """Nothing happens, and nothing was opened where nobody asked."""
    made = Link("http://127.0.0.1:1")
    await made.aclose()
    assert isinstance(made.session, aiohttp.ClientSession)
    await made.aclose()
    await made.aclose()
