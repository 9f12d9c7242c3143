"""The scripted upstreams themselves: what they send is what their protocols have, and what clients do to them is noticed."""

from __future__ import annotations

import asyncio
import json
import os
import signal
import sys
from collections.abc import AsyncIterator
from decimal import Decimal
from pathlib import Path
from typing import Any

import aiohttp
import pytest

from tests.upstreams.ollama import Model, OllamaUpstream
from tests.upstreams.openai import OpenAIUpstream
from tests.upstreams.openrouter import Listing, OpenRouterUpstream
from tests.upstreams.script import (
    Call,
    Close,
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
    Status,
    Think,
    Usage,
    Wait,
    Wire,
    scripts,
)
from tests.upstreams.upstream import Upstream

ANSWER = Script(Say("4"), Finish())


@pytest.fixture
async def client() -> AsyncIterator[aiohttp.ClientSession]:
    """A plain client without a limit of connections."""
    async with aiohttp.ClientSession(connector=aiohttp.TCPConnector(limit=0)) as session:
        yield session


def ask(client: aiohttp.ClientSession, upstream: Upstream, model: str = "a", **fields: Any) -> Any:
    """A question to *model*, in the upstream's protocol: the response's context."""
    path = upstream.chat_path.removeprefix(upstream.base_path)
    body = {"model": model, "messages": [{"role": "user", "content": "2+2?"}], "stream": True, "stream_options": {"include_usage": True}, **fields}
    return client.post(upstream.url + path, json=body)


async def said(client: aiohttp.ClientSession, upstream: Upstream, model: str = "a", **fields: Any) -> list[Any]:
    """The documents of an answer: SSE's without `[DONE]`, or the lines."""
    async with ask(client, upstream, model, **fields) as response:
        text = await response.text()
    payloads = [line.removeprefix("data: ") for line in text.splitlines() if line and not line.startswith(":")]
    return [json.loads(payload) for payload in payloads if payload != "[DONE]"]


async def spoken(upstream: Upstream, question: bytes = b'{"model": "a"}') -> bytes:
    """The bytes of an answer up to the end of the connection, as a bare socket hears them."""
    reader, writer = await asyncio.open_connection("127.0.0.1", upstream.port)
    writer.write(b"POST %b HTTP/1.1\r\nContent-Length: %d\r\n\r\n%b" % (upstream.chat_path.encode(), len(question), question))
    try:
        return await reader.read()
    finally:
        writer.close()
        await writer.wait_closed()


async def test_a_stream_in_openais_order(client: aiohttp.ClientSession) -> None:
    """Role, content, finish, usage with empty choices, `[DONE]`; one id throughout."""
    async with OpenAIUpstream({"a": Script(Say("fo"), Say("ur"), Finish(), Usage(7, 2))}) as upstream:
        async with ask(client, upstream) as response:
            assert response.content_type == "text/event-stream"
            text = await response.text()
        assert text.endswith("data: [DONE]\n\n")
        role, one, two, end, usage = [json.loads(event.removeprefix("data: ")) for event in text.split("\n\n")[:-2]]
    assert role["choices"][0]["delta"] == {"role": "assistant", "content": ""}
    assert [chunk["choices"][0]["delta"] for chunk in (one, two, end)] == [{"content": "fo"}, {"content": "ur"}, {}]
    assert [chunk["choices"][0]["finish_reason"] for chunk in (role, one, two, end)] == [None, None, None, "stop"]
    assert (usage["choices"], usage["usage"]) == ([], {"prompt_tokens": 7, "completion_tokens": 2, "total_tokens": 9})
    assert {chunk["id"] for chunk in (role, one, two, end, usage)} == {"chatcmpl-scripted"}


async def test_usage_only_where_it_is_asked_for_and_known(client: aiohttp.ClientSession) -> None:
    """Without `include_usage`, and with `NoUsage`, no chunk has any; otherwise there is a count."""
    async with OpenAIUpstream({"a": ANSWER, "b": Script(Say("4"), NoUsage(), Finish())}) as upstream:
        assert [chunk["usage"]["completion_tokens"] for chunk in await said(client, upstream) if chunk["usage"]] == [1]
        assert not any(chunk.get("usage") for chunk in await said(client, upstream, stream_options=None))
        assert not any(chunk.get("usage") for chunk in await said(client, upstream, "b"))


async def test_thoughts_and_tool_calls_in_pieces(client: aiohttp.ClientSession) -> None:
    """Thoughts stand in the field that the script names; only a call's first piece has its id and name."""
    script = Script(Think("hm", "reasoning"), Call(0, "c1", "add", '{"a":'), Call(0, arguments=" 1}"), Finish("tool_calls"))
    async with OpenAIUpstream({"a": script}) as upstream:
        _, thought, first, second, end, _ = [chunk["choices"] and chunk["choices"][0] for chunk in await said(client, upstream)]
    assert thought["delta"] == {"reasoning": "hm"}
    assert first["delta"]["tool_calls"] == [{"index": 0, "id": "c1", "type": "function", "function": {"name": "add", "arguments": '{"a":'}}]
    assert second["delta"]["tool_calls"] == [{"index": 0, "function": {"arguments": " 1}"}}]
    assert end["finish_reason"] == "tool_calls"


async def test_a_script_for_each_question(client: aiohttp.ClientSession) -> None:
    """A list is used up one script a question, and then has no answer; other models keep theirs; a script can be exchanged."""
    async with OpenAIUpstream({"a": [Script(Status(503)), ANSWER], "b": ANSWER}) as upstream:
        seen = []
        for model in ("a", "b", "a", "a", "b", "c"):
            async with ask(client, upstream, model) as response:
                seen.append(response.status)
        upstream.scripts["a"] = Script(Status(429, headers={"Retry-After": "7"}))
        async with ask(client, upstream) as response:
            assert (response.status, response.headers["Retry-After"]) == (429, "7")
            assert set((await response.json())["error"]) == {"message", "type", "param", "code"}
    assert seen == [503, 200, 200, 500, 200, 404]


async def test_requests_are_recorded(client: aiohttp.ClientSession) -> None:
    """Every request with its headers and body; questions apart from the rest."""
    async with OpenAIUpstream({"a": ANSWER}) as upstream:
        async with client.get(f"{upstream.url}/models") as response:
            assert [entry["id"] for entry in (await response.json())["data"]] == ["a"]
        await said(client, upstream, temperature=0.5)
        chat = await upstream.asked()
        assert [(each.method, each.path) for each in upstream.requests] == [("GET", "/v1/models"), ("POST", "/v1/chat/completions")]
        assert upstream.chats == [chat]
        assert (chat.model, chat.body["temperature"], chat.headers["content-type"]) == ("a", 0.5, "application/json")
        assert chat.ended is not None
        assert chat.left is None


async def test_what_is_open_is_counted(client: aiohttp.ClientSession) -> None:
    """Streams and connections, now and at the most; a finished stream's connection serves the next question."""
    event = asyncio.Event()
    async with OpenAIUpstream({"a": Script(Say("4"), Gate(event), Finish())}) as upstream:
        asking = [asyncio.create_task(said(client, upstream)) for _ in range(3)]
        await upstream.asked(3)
        assert (upstream.streams.now, upstream.connections.now) == (3, 3)
        event.set()
        await upstream.idle()
        await asyncio.gather(*asking)
        await said(client, upstream)
        assert (upstream.streams.now, upstream.streams.most, upstream.connections.most) == (0, 3, 3)
        await client.close()
        await upstream.gone()


@pytest.mark.parametrize("before", [(), (Head(),), (Say("4"),), (Say("4"), Gate(asyncio.Event())), (Wait(3600),), (Flood(1 << 30),)], ids=str)
async def test_a_client_that_leaves_is_noticed(client: aiohttp.ClientSession, before: tuple[Any, ...]) -> None:
    """Before the head, after it, in mid-answer, and while the client does not read."""
    async with OpenAIUpstream({"a": Script(*before, Hang()), "b": ANSWER}) as upstream:
        asking = asyncio.create_task(said(client, upstream))
        chat = await upstream.asked()
        assert chat.open
        asking.cancel()
        assert await upstream.left() is chat
        await upstream.idle()
        assert chat.ended is None
        assert chat.left is not None
        assert chat.left >= chat.came
        await said(client, upstream, "b")
        assert await upstream.asked(1, "b") is upstream.chats[1]


async def test_a_client_that_does_not_read_holds_the_flood_up(client: aiohttp.ClientSession) -> None:
    """The upstream writes no more than is taken; what is taken has no line break."""
    size = 8 << 20
    async with OpenAIUpstream({"a": Script(Flood(size))}) as upstream, ask(client, upstream) as response:
        assert response.status == 200
        assert upstream.streams.now == 1
        assert await response.read() == b"x" * size


async def test_a_reset_is_a_reset(client: aiohttp.ClientSession) -> None:
    """A bare socket gets an RST after what was said before; the client hears of a broken connection."""
    event = asyncio.Event()
    async with OpenAIUpstream({"a": Script(Say("4"), Gate(event), Reset())}) as upstream:
        reader, writer = await asyncio.open_connection("127.0.0.1", upstream.port)
        writer.write(b'POST /v1/chat/completions HTTP/1.1\r\nContent-Length: 14\r\n\r\n{"model": "a"}')
        assert b"200 OK" in await reader.readuntil(b'"content":"4"')
        event.set()
        with pytest.raises(ConnectionResetError):
            await reader.read()
        writer.close()
        with pytest.raises(aiohttp.ClientPayloadError):
            await said(client, upstream)
        assert [chat.left for chat in upstream.chats] == [None, None]


async def test_a_close_is_no_reset(client: aiohttp.ClientSession) -> None:
    """The body has no last chunk, and the connection a clean end."""
    async with OpenAIUpstream({"a": Script(Say("4"), Close())}) as upstream:
        answer = await spoken(upstream)
        assert b'"content":"4"' in answer
        assert not answer.endswith(b"0\r\n\r\n")
        with pytest.raises(aiohttp.ClientPayloadError):
            await said(client, upstream)


@pytest.mark.parametrize(
    ("script", "end"),
    [
        (Script(Say("4")), b'"finish_reason":null}]}\n\n'),
        (Script(Say("4"), Finish(done=False)), b'"finish_reason":"stop"}]}\n\n'),
        (Script(Say("4"), Finish(None)), b"data: [DONE]\n\n"),
        (Script(Raw('data: {"choices": [{"del')), b'{"del'),
        (Script(), b""),
    ],
    ids=["no end", "no [DONE]", "only [DONE]", "half a chunk", "nothing"],
)
async def test_streams_that_end_too_early(client: aiohttp.ClientSession, script: Script, end: bytes) -> None:
    """HTTP is content with them: the last bytes are the script's own."""
    async with OpenAIUpstream({"a": script}) as upstream, ask(client, upstream, stream_options=None) as response:
        assert (await response.read()).endswith(end)


async def test_a_body_without_frames(client: aiohttp.ClientSession) -> None:
    """It ends where the connection does, so that a cut cannot be told from an end."""
    async with OpenAIUpstream({"a": Script(Head(framed=False), Say("4"), Close())}) as upstream:
        assert len(await said(client, upstream)) == 2
        assert b"chunked" not in await spoken(upstream)


async def test_one_byte_at_a_time(client: aiohttp.ClientSession) -> None:
    """The client gets the whole, in many more pieces than chunks."""
    slow = Script(Drip(gap=0.001), Raw("data: slow"))
    async with OpenAIUpstream({"a": Script(Drip(), Say("4"), Finish()), "b": slow}) as upstream:
        async with ask(client, upstream) as response:
            pieces = [piece async for piece in response.content.iter_any()]
        assert b"".join(pieces).endswith(b"data: [DONE]\n\n")
        assert len(pieces) > 100
        async with ask(client, upstream, "b") as response:
            assert len([piece async for piece in response.content.iter_any()]) > 2


async def test_what_is_no_stream(client: aiohttp.ClientSession) -> None:
    """A page, JSON where a stream was asked for, no HTTP at all, headers of the script's own."""
    odd = {"a": Script(Html(502)), "b": Script(Status(200, {"error": {"code": 502}})), "c": Script(Head({"Content-Type": "text/plain"}), Say("4"))}
    async with OpenAIUpstream({**odd, "d": Script(Wire("SSH-2.0-x\r\n\r\n"), Close())}) as upstream:
        async with ask(client, upstream, "a") as response:
            assert (response.status, response.content_type) == (502, "text/html")
        async with ask(client, upstream, "b") as response:
            assert await response.json() == {"error": {"code": 502}}
        async with ask(client, upstream, "c") as response:
            assert response.headers.getall("Content-Type") == ["text/plain"]
        with pytest.raises(aiohttp.ClientResponseError):
            await said(client, upstream, "d")


async def test_pages_can_be_scripted(client: aiohttp.ClientSession) -> None:
    """A script in place of a page, until it is taken away."""
    async with OpenAIUpstream({"a": ANSWER}) as upstream:
        upstream.pages["/v1/models"] = Script(Status(500))
        async with client.get(f"{upstream.url}/models") as response:
            assert response.status == 500
        del upstream.pages["/v1/models"]
        async with client.get(f"{upstream.url}/models") as response:
            assert response.status == 200


async def test_openrouters_stream(client: aiohttp.ClientSession) -> None:
    """A comment first, the thoughts in both forms, and the usage with its cost, unasked."""
    script = Script(Think("hm"), Say("4"), Finish(), Usage(10, 5))
    async with OpenRouterUpstream({"x/a": script, "x/b": Script(Say("4"), Finish(), Usage(1, 1, 0.25))}) as upstream:
        async with ask(client, upstream, "x/a", stream_options=None) as response:
            assert (await response.text()).startswith(": OPENROUTER PROCESSING\n\ndata: {")
        _, thought, _, end, usage = await said(client, upstream, "x/a")
        assert thought["choices"][0]["delta"]["reasoning"] == "hm"
        assert end["choices"][0]["native_finish_reason"] == "stop"
        assert usage["choices"] == []
        assert usage["usage"]["cost"] == pytest.approx(0.00002)
        assert (await said(client, upstream, "x/b"))[-1]["usage"]["cost"] == 0.25
        async with ask(client, upstream, "x/c") as response:
            assert (response.status, await response.json()) == (400, {"error": {"code": 400, "message": "x/c is not a valid model ID"}})


async def test_an_error_in_the_middle_of_a_stream(client: aiohttp.ClientSession) -> None:
    """OpenRouter's stands beside a choice that finished with an error, OpenAI's alone, Ollama's is a line."""
    script = Script(Say("fo"), ErrorChunk("overloaded", 503, {"error_type": "provider_overloaded"}))
    async with OpenRouterUpstream({"a": script}) as router, OpenAIUpstream({"a": script}) as plain, OllamaUpstream({"a": script}) as ollama:
        routed = (await said(client, router))[-1]
        assert routed["error"] == {"code": 503, "message": "overloaded", "metadata": {"error_type": "provider_overloaded"}}
        assert routed["choices"][0]["finish_reason"] == "error"
        assert (await said(client, plain))[-1]["error"]["message"] == "overloaded"
        assert (await said(client, ollama))[-1] == {"error": "overloaded"}


async def test_openrouters_list(client: aiohttp.ClientSession) -> None:
    """Prices are strings in USD per token."""
    listings = {"x/a": Listing(prompt="0.00000015", context=4096, modalities=("text", "image"), parameters=("tools", "reasoning"))}
    async with OpenRouterUpstream({"x/a": ANSWER}, listings=listings) as upstream, client.get(f"{upstream.url}/models") as response:
        (entry,) = (await response.json())["data"]
    assert (entry["id"], entry["context_length"], entry["supported_parameters"]) == ("x/a", 4096, ["tools", "reasoning"])
    assert (entry["pricing"]["prompt"], entry["architecture"]["input_modalities"]) == ("0.00000015", ["text", "image"])


async def test_openrouters_books(client: aiohttp.ClientSession) -> None:
    """A byte is a token, every digit is told, and what was left or cut off is billed in full; a bill is told when it was asked for often enough."""
    prices = Listing(prompt="0.000000123456789", completion="0.000002000000007")
    models = {"a": ANSWER, "b": Script(Say("4"), Close()), "c": Script(Status(429)), "d": Script(Hang())}
    async with OpenRouterUpstream(models, listings=dict.fromkeys(models, prices), untold=1) as upstream:
        async with ask(client, upstream, "a") as response:
            assert b'"cost":0.000003111111108,' in await response.read()
        with pytest.raises(aiohttp.ClientPayloadError):
            await said(client, upstream, "b", max_tokens=100)
        async with ask(client, upstream, "c", max_tokens=100):
            pass
        with pytest.raises(TimeoutError):
            async with asyncio.timeout(0.05), ask(client, upstream, "d", max_tokens=100):
                pass
        await upstream.left()
        assert [entry.usd for entry in upstream.books.values()] == [prices.cost(9, 1), prices.cost(9, 100), 0, prices.cost(9, 100)]
        assert upstream.spent == prices.cost(27, 201)
        for status in (404, 200):
            async with client.get(f"{upstream.url}/generation?id=gen-4") as response:
                assert response.status == status
                told = json.loads(await response.read(), parse_float=Decimal)
        assert told["data"]["total_cost"] == prices.cost(9, 100)


async def test_openrouters_ceiling(client: aiohttp.ClientSession) -> None:
    """Nobody answers for more than `max_price`, whatever the list says."""
    async with OpenRouterUpstream({"a": ANSWER}) as upstream:
        for most, status in ((1, 200), (0.999999, 404)):
            async with ask(client, upstream, provider={"max_price": {"prompt": most, "completion": 2}}) as response:
                assert response.status == status
        upstream.charged["a"] = Listing(completion="0.000002000001")
        async with ask(client, upstream, provider={"max_price": {"prompt": 1, "completion": 2}}) as response:
            assert (response.status, (await response.json())["error"]["message"]) == (404, "No endpoints found")


async def test_ollamas_stream(client: aiohttp.ClientSession) -> None:
    """Lines with the model as it was asked for; calls whole; counts and durations in the last."""
    script = Script(Think("hm"), Say("4"), Call(0, "c1", "add", '{"a": 1}'), Finish(), Usage(7, 3))
    async with OllamaUpstream({"a": script}) as upstream:
        async with ask(client, upstream) as response:
            assert response.content_type == "application/x-ndjson"
        thought, text, call, end = await said(client, upstream)
    assert thought["message"] == {"role": "assistant", "content": "", "thinking": "hm"}
    assert (text["model"], text["message"], text["done"]) == ("a", {"role": "assistant", "content": "4"}, False)
    assert call["message"]["tool_calls"] == [{"id": "c1", "function": {"index": 0, "name": "add", "arguments": {"a": 1}}}]
    assert (end["done"], end["done_reason"], end["prompt_eval_count"], end["eval_count"]) == (True, "stop", 7, 3)
    assert end["total_duration"] > 1_000_000


async def test_ollama_loads_what_is_asked_for(client: aiohttp.ClientSession) -> None:
    """A cold model is loaded first, by a question or by an order; another window loads it anew; the list of running models says so."""
    async with OllamaUpstream({"a": ANSWER}, models={"a": Model(context=2048)}) as upstream:
        await said(client, upstream, options={"num_ctx": 1024})
        (order,) = await said(client, upstream, messages=[], stream=False, options={"num_ctx": 1024})
        assert (order["done"], order["done_reason"]) == (True, "load")
        await said(client, upstream)
        assert [(load.model, load.window, load.state) for load in upstream.loads] == [("a:latest", 1024, "loaded"), ("a:latest", 4096, "loaded")]
        async with client.get(f"{upstream.url}/api/ps") as response:
            (running,) = (await response.json())["models"]
        assert (running["name"], running["context_length"]) == ("a:latest", 2048)
        assert [chat.body["messages"] for chat in upstream.chats if not chat.body["messages"]] == []
        (order,) = await said(client, upstream, messages=[], keep_alive=0)
        assert (order["done_reason"], upstream.loaded) == ("unload", {})


async def test_leaving_aborts_a_load(client: aiohttp.ClientSession) -> None:
    """The load of a client that leaves is lost; whoever waits behind it begins another; a gate holds it as long as the test wants."""
    event = asyncio.Event()
    async with OllamaUpstream({"a": ANSWER}, load=Script(Gate(event))) as upstream:
        first = asyncio.create_task(said(client, upstream))
        await upstream.asked(1)
        second = asyncio.create_task(said(client, upstream))
        await upstream.asked(2)
        assert [load.state for load in upstream.loads] == ["loading"]
        first.cancel()
        await upstream.left()
        await upstream.until(lambda: len(upstream.loads) == 2)
        event.set()
        assert (await second)[-1]["done"]
        assert [load.state for load in upstream.loads] == ["aborted", "loaded"]


async def test_a_load_that_fails(client: aiohttp.ClientSession) -> None:
    """Whoever asked is told, and the model is not in memory any more, with whatever window it was before."""
    async with OllamaUpstream({"a": ANSWER}, loaded=["a"], load=Script(Status(500, {"error": "out of memory"}))) as upstream:
        assert (await said(client, upstream))[-1]["done"]
        assert await said(client, upstream, options={"num_ctx": 1024}) == [{"error": "out of memory"}]
        assert ([load.state for load in upstream.loads], upstream.loaded) == (["failed"], {})


async def test_ollamas_lists_and_details(client: aiohttp.ClientSession) -> None:
    """Tags and details of every model, one that was pulled later included; one that is not there is not found."""
    async with OllamaUpstream({"a": ANSWER}, models={"a": Model(family="qwen2", capabilities=("completion", "thinking"))}, loaded=["a"]) as upstream:
        upstream.pull("big:cloud", ANSWER, Model(parameters=480_000_000_000, remote="https://ollama.com:443"))
        async with client.get(f"{upstream.url}/api/tags") as response:
            mine, other = (await response.json())["models"]
        assert (mine["name"], mine["details"]["parameter_size"], len(mine["digest"])) == ("a:latest", "134.52M", 64)
        assert (other["name"], other["details"]["parameter_size"], other["remote_host"]) == ("big:cloud", "480.0B", "https://ollama.com:443")
        async with client.post(f"{upstream.url}/api/show", json={"model": "a"}) as response:
            shown = await response.json()
        assert (shown["capabilities"], shown["model_info"]["qwen2.context_length"]) == (["completion", "thinking"], 8192)
        async with client.post(f"{upstream.url}/api/show", json={"model": "no"}) as response:
            assert (response.status, await response.json()) == (404, {"error": "model 'no' not found"})
        async with client.get(f"{upstream.url}/api/version") as response:
            assert set(await response.json()) == {"version"}
        await said(client, upstream, "big:cloud")
        assert upstream.loads == []


@pytest.mark.parametrize(
    ("fields", "status", "message"),
    [
        ({"model": "b"}, 404, "model 'b' not found"),
        ({"model": ""}, 400, "model is required"),
        ({"model": "embed"}, 400, '"embed" does not support chat'),
        ({"think": True}, 400, '"a" does not support thinking'),
        ({"model": "thinker", "tools": [{}]}, 400, "registry.ollama.ai/library/thinker:latest does not support tools"),
    ],
    ids=lambda value: str(value)[:40],
)
async def test_what_ollama_refuses(client: aiohttp.ClientSession, fields: dict[str, Any], status: int, message: str) -> None:
    """What a model cannot do is refused before anything is loaded."""
    models = {"embed": Model(capabilities=("embedding",)), "thinker": Model(capabilities=("completion", "thinking"))}
    async with OllamaUpstream({"a": ANSWER, "embed": ANSWER, "thinker": ANSWER}, models=models) as upstream:
        async with ask(client, upstream, **fields) as response:
            assert (response.status, await response.json()) == (status, {"error": message})
        assert upstream.loads == []


async def test_a_mistake_in_a_script_fails_the_test(client: aiohttp.ClientSession) -> None:
    """It is raised where the upstream ends."""
    upstream = await OpenAIUpstream({"a": Script(Say("4"), Status(500))}).__aenter__()
    with pytest.raises(aiohttp.ClientPayloadError):
        await said(client, upstream)
    with pytest.raises(ValueError, match="begun already"):
        await upstream.__aexit__(None, None, None)


def test_scripts_as_json() -> None:
    """A step is its name with one argument, several, or none; what is no step is refused."""
    told = scripts({"a": [{"Say": "4"}, {"Usage": {"prompt": 1, "completion": 2}}, {"Finish": None}], "b": [[{"Status": 503}], [{"Hang": {}}]]})
    assert told == {"a": Script(Say("4"), Usage(1, 2), Finish()), "b": [Script(Status(503)), Script(Hang())]}
    for wrong in ({"Gate": None}, {"Say": "4", "Finish": None}, {}):
        with pytest.raises(ValueError, match="a step is"):
            scripts({"a": [wrong]})
    with pytest.raises(ValueError, match="nothing can follow"):
        scripts({"a": [{"Hang": None}, {"Say": "4"}]})


@pytest.mark.parametrize("protocol", ["openai", "openrouter", "ollama"])
async def test_as_a_process(client: aiohttp.ClientSession, protocol: str, tmp_path: Path) -> None:
    """It prints its address, serves the file's scripts, and ends on SIGTERM."""
    file = tmp_path / "script.json"
    file.write_text(json.dumps({"a": [{"Say": "4"}, {"Finish": None}]}))
    command = (sys.executable, "-m", f"tests.upstreams.{protocol}", "--script", str(file))
    top = Path(__file__).parent.parent.parent
    process = await asyncio.create_subprocess_exec(*command, cwd=top, env={**os.environ, "PYTHONPATH": "."}, stdout=asyncio.subprocess.PIPE)
    try:
        assert process.stdout is not None
        url = (await process.stdout.readline()).decode().strip()
        path = "/api/chat" if protocol == "ollama" else "/chat/completions"
        async with client.post(url + path, json={"model": "a", "messages": [{}]}) as response:
            assert '"content":"4"' in await response.text()
    finally:
        process.send_signal(signal.SIGTERM)
        assert await process.wait() == -signal.SIGTERM
