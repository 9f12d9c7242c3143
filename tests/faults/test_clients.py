"""Clients that leave, wait, or never read: nobody works for them any longer, and nobody else notices."""

from __future__ import annotations

import asyncio
import json
from collections.abc import Callable
from pathlib import Path

import aiohttp
import pytest

from tests.faults.conftest import question, running
from tests.upstreams.openai import OpenAIUpstream
from tests.upstreams.script import ErrorChunk, Finish, Gate, Hang, Raw, Say, Script, Think, Wait

Lab = Callable[..., str]
both_ways = pytest.mark.parametrize("stream", [False, True], ids=["whole", "streamed"])
LONG = Script(Say("One"), Wait(0.1), Say(" two"), Hang())


@both_ways
@pytest.mark.parametrize("script", [Script(Hang()), LONG], ids=["before the first word", "in the middle"])
@pytest.mark.parametrize("strategy", ["single", "vote", "race"])
async def test_a_client_that_leaves_ends_every_upstream_call(strategy: str, script: Script, stream: bool, lab: Lab, tmp_path: Path) -> None:
    """Within a second, whole and streamed."""
    members = "a" if strategy == "single" else "abc"
    patient = lab("{url}", *members, strategy=strategy).replace("_seconds = 0.5", "_seconds = 60")
    async with OpenAIUpstream(dict.fromkeys(members, script)) as upstream, running(patient.replace("{url}", upstream.url), tmp_path) as daemon:
        asking = asyncio.create_task(daemon.ask(stream=stream))
        await upstream.asked(len(members))
        asking.cancel()
        async with asyncio.timeout(1):
            await upstream.idle()
        await daemon.at_rest()


async def test_a_client_that_leaves_in_the_middle_of_its_stream(lab: Lab, tmp_path: Path) -> None:
    """It has read the first words, and its member is writing more: the call ends within a second."""
    patient = lab("{url}", "a", strategy="single").replace("_seconds = 0.5", "_seconds = 60")
    async with OpenAIUpstream({"a": LONG}) as upstream, running(patient.replace("{url}", upstream.url), tmp_path) as daemon:
        async with daemon.client.post(daemon.url + "/v1/chat/completions", json=question(stream=True)) as response:
            await response.content.readuntil(b'"content":"One"')
            assert upstream.streams.now == 1
            response.close()
            async with asyncio.timeout(1):
                await upstream.left()
        await daemon.at_rest()


async def test_a_client_that_leaves_in_the_middle_of_its_question(lab: Lab, tmp_path: Path) -> None:
    """Nobody is asked, and the memory of its body is free again."""
    async with OpenAIUpstream({"a": LONG}) as upstream, running(lab(upstream.url, "a", strategy="single"), tmp_path) as daemon:
        held = daemon.daemon._server.bodies
        host, port = daemon.url.removeprefix("http://").split(":")
        _, writer = await asyncio.open_connection(host, int(port))
        writer.write(f"POST /v1/chat/completions HTTP/1.1\r\nHost: {host}:{port}\r\nContent-Length: 100000\r\n\r\n{{".encode())
        async with asyncio.timeout(5):
            while held._held != 1:  # noqa: ASYNC110  # nobody tells
                await asyncio.sleep(0)
            writer.close()
            await writer.wait_closed()
            while held._held:  # noqa: ASYNC110
                await asyncio.sleep(0)
        assert upstream.chats == []
        await daemon.at_rest()


async def test_a_settled_vote_dismisses_the_rest(lab: Lab, tmp_path: Path) -> None:
    """The one that can change nothing any more loses its connection within a second of the outcome."""
    scripts = {"a": Script(Say("Yes."), Finish()), "b": Script(Say("Yes."), Finish()), "c": Script(Say("N"), Hang())}
    async with OpenAIUpstream(scripts) as upstream, running(lab(upstream.url, *"abc").replace("0.5", "60"), tmp_path) as daemon:
        status, body, _ = await daemon.ask(fusion={"trace": True})
        trace = json.loads(body)["fusion"]
        async with asyncio.timeout(1):
            await upstream.idle()
        assert status == 200
        assert [member["status"] for member in trace["members"]] == ["answered", "answered", "cancelled"]
        assert (trace["decision"], trace["degraded"]) == ("agreed", [])


async def test_a_silent_stream_is_kept_alive(lab: Lab, tmp_path: Path) -> None:
    """The headers and a comment come when it has been silent for as long as the configuration says; a failure after that is in the stream."""
    gate = asyncio.Event()
    text = lab("{url}", "a", strategy="single", server="heartbeat_seconds = 0.2").replace("_seconds = 0.5", "_seconds = 60")
    async with OpenAIUpstream({"a": Script(Gate(gate), ErrorChunk("boom"))}) as upstream:
        async with running(text.replace("{url}", upstream.url), tmp_path) as daemon:
            async with daemon.client.post(daemon.url + "/v1/chat/completions", json=question(stream=True)) as response:
                assert response.status == 200
                assert await response.content.readuntil(b"\n\n") == b": keep-alive\n\n"
                assert await response.content.readuntil(b"\n\n") == b": keep-alive\n\n"
                gate.set()
                while not (event := await response.content.readuntil(b"\n\n")).startswith(b"data: "):
                    assert event == b": keep-alive\n\n"
                assert json.loads(event[6:])["error"]["message"]
                with pytest.raises(aiohttp.ClientPayloadError):
                    await response.content.read()


async def test_thinking_waits_for_the_first_content(lab: Lab, tmp_path: Path) -> None:
    """A member that only thought and then failed has its HTTP status; one that goes on is heard from its first thought."""
    scripts = {"a": [Script(Think("hm"), Wait(0.1), ErrorChunk("boom")), Script(Think("hm"), Say("Yes."), Finish())]}
    async with OpenAIUpstream(scripts) as upstream, running(lab(upstream.url, "a", strategy="single"), tmp_path) as daemon:
        assert (await daemon.ask(stream=True))[0] == 502
        status, body, _ = await daemon.ask(stream=True)
        assert status == 200
        assert body.index('"reasoning_content":"hm"') < body.index('"content":"Yes."')


async def test_a_client_that_reads_nothing_holds_its_members_back(lab: Lab, tmp_path: Path) -> None:
    """What is not taken is not asked for: the upstream is stopped long before its answer is in memory."""
    piece = json.dumps({"choices": [{"index": 0, "delta": {"content": "x" * 60_000}}]})
    flood = Script(*[Raw(f"data: {piece}\n\n")] * 1000, Finish())
    async with OpenAIUpstream({"a": flood}) as upstream, running(lab(upstream.url, "a", strategy="single"), tmp_path) as daemon:
        async with daemon.client.post(daemon.url + "/v1/chat/completions", json=question(stream=True)) as response:
            await response.content.readany()
            await asyncio.sleep(0.3)  # it would be through by now
            assert upstream.streams.now == 1
        await upstream.idle()


async def test_many_streams_at_once(lab: Lab, tmp_path: Path) -> None:
    """300 of them, and every one is whole."""
    script = Script(*(step for n in range(16) for step in (Say(f"{n} "), Wait(0.01))), Finish())
    text = "".join(f"{n} " for n in range(16))
    async with OpenAIUpstream({"a": script}) as upstream:
        configuration = lab(upstream.url, "a", strategy="single", server="max_requests = 300").replace("_seconds = 0.5", "_seconds = 20")
        async with running(configuration.replace("total_seconds = 5", "total_seconds = 25"), tmp_path) as daemon:
            answers = await asyncio.gather(*(daemon.ask(stream=True) for _ in range(300)))
            assert all(status == 200 and ended and body.endswith("data: [DONE]\n\n") for status, body, ended in answers)
            chunks = [json.loads(line[6:]) for line in answers[-1][1].splitlines() if line.startswith("data: {")]
            assert "".join(choice["delta"].get("content", "") for chunk in chunks for choice in chunk["choices"]) == text
            await daemon.at_rest()
