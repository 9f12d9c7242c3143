"""Members that Ollama runs, whatever it does: faults have their reasons, and a load is the daemon's own, not its client's."""

from __future__ import annotations

import asyncio
import json
from pathlib import Path
from typing import Any

import pytest

from tests.faults.conftest import question, running
from tests.upstreams.ollama import OllamaUpstream
from tests.upstreams.script import Close, ErrorChunk, Finish, Flood, Gate, Hang, Html, Raw, Reset, Say, Script, Status, Step, Wait

GOOD = Script(Say("Yes."), Finish())
WINDOW = 4096

FAULTS: dict[str, tuple[list[Step], str]] = {
    "reset": ([Reset()], "unreachable"),
    "hang": ([Hang()], "timed_out"),
    "garbage": ([Raw("nonsense\n"), Hang()], "garbled"),
    "a page": ([Html()], "garbled"),
    "nothing": ([Finish()], "empty"),
    "a line without end": ([Flood(100_000_000)], "garbled"),
    "500": ([Status(500)], "rejected"),
    "an error line": ([ErrorChunk("out of memory")], "rejected"),
    "an end without its last line": ([], "truncated"),
    "after a word: a cut": ([Say("Ye"), Wait(0.1), Close()], "truncated"),
    "after a word: a stall": ([Say("Ye"), Wait(0.1), Hang()], "timed_out"),
    "after a word: an error line": ([Say("Ye"), Wait(0.1), ErrorChunk("llama runner process has terminated")], "rejected"),
    "after a word: an end without its last line": ([Say("Ye"), Wait(0.1)], "truncated"),
}
"""The steps, and the reason that is told."""

both_ways = pytest.mark.parametrize("stream", [False, True], ids=["whole", "streamed"])


def configuration(url: str, members: str, strategy: str, seconds: float = 0.5) -> str:
    """Members of one Ollama, and one fusion of them."""
    text = f'[providers.ollama]\napi = "ollama"\nurl = "{url}"\n'
    for name in members:
        text += f'[members.{name}]\nprovider = "ollama"\nmodel = "{name}"\ncontext = {WINDOW}\n'
        text += f"first_token_seconds = {seconds}\nstall_seconds = {seconds}\n"
    return text + f'[fusions.default]\nstrategy = "{strategy}"\npanel = {list(members)}\n'


@both_ways
@pytest.mark.parametrize("fault", FAULTS)
async def test_the_only_member_fails(fault: str, stream: bool, tmp_path: Path) -> None:
    """An HTTP error that tells the reason; in a stream that has begun, the error stands in it, and it has no proper end."""
    steps, reason = FAULTS[fault]
    async with OllamaUpstream({"a": Script(*steps)}, loaded=["a"]) as upstream:
        async with running(configuration(upstream.url, "a", "single"), tmp_path) as daemon:
            status, body, ended = await daemon.ask(stream=stream)
            if stream and fault.startswith("after"):
                assert (status, ended, "[DONE]" in body) == (200, False, False)
                assert json.loads(body.strip().splitlines()[-1][6:])["error"]["code"] == reason
            else:
                assert (status, ended) == (504 if reason == "timed_out" else 502, True)
                assert json.loads(body)["error"]["members"]["a"]["reason"] == reason
            await daemon.at_rest()
            await upstream.idle()


@pytest.mark.parametrize("fault", FAULTS)
async def test_one_of_three_fails_in_a_vote(fault: str, tmp_path: Path) -> None:
    """The others decide, and the trace tells who failed and why."""
    steps, reason = FAULTS[fault]
    scripts = {"a": Script(*steps), "b": GOOD, "c": Script(Say("No."), Finish())}
    async with OllamaUpstream(scripts, loaded="abc") as upstream:
        async with running(configuration(upstream.url, "abc", "vote"), tmp_path) as daemon:
            status, body, _ = await daemon.ask(fusion={"trace": True})
            answer: Any = json.loads(body)
            assert (status, answer["choices"][0]["message"]["content"]) == (200, "Yes.")
            assert answer["fusion"]["members"][0]["error"].startswith(f"{reason}: ")
            await daemon.at_rest()


@both_ways
async def test_a_client_that_leaves_ends_every_call(stream: bool, tmp_path: Path) -> None:
    """Within a second."""
    async with OllamaUpstream(dict.fromkeys("abc", Script(Say("Ye"), Hang())), loaded="abc") as upstream:
        async with running(configuration(upstream.url, "abc", "vote", 60), tmp_path) as daemon:
            asking = asyncio.create_task(daemon.ask(stream=stream))
            await upstream.asked(3)
            asking.cancel()
            async with asyncio.timeout(1):
                await upstream.idle()
            await daemon.at_rest()


@both_ways
async def test_a_client_that_leaves_during_a_load(stream: bool, tmp_path: Path) -> None:
    """The load goes on without it, once, and the next client finds the model in memory."""
    event = asyncio.Event()
    async with OllamaUpstream({"a": GOOD}, load=Script(Gate(event))) as upstream:
        async with running(configuration(upstream.url, "a", "single", 60), tmp_path) as daemon:
            asking = asyncio.create_task(daemon.ask(stream=stream))
            await upstream.until(lambda: len(upstream.loads) == 1)
            asking.cancel()
            async with asyncio.timeout(10):
                while daemon.daemon._server.admission.running:  # noqa: ASYNC110  # nobody tells
                    await asyncio.sleep(0)
            event.set()
            status, body, _ = await daemon.ask()
            assert (status, json.loads(body)["choices"][0]["message"]["content"]) == (200, "Yes.")
            assert [load.state for load in upstream.loads] == ["loaded"]
            assert len(upstream.chats) == 1
            await daemon.at_rest()


@both_ways
async def test_a_load_takes_longer_than_a_first_token_may(stream: bool, tmp_path: Path) -> None:
    """A cold model has an allowance of its own; a stream is kept alive meanwhile."""
    event = asyncio.Event()
    text = "[server]\nheartbeat_seconds = 0.2\n"
    async with OllamaUpstream({"a": GOOD}, load=Script(Gate(event))) as upstream:
        async with running(text + configuration(upstream.url, "a", "single", 0.3), tmp_path) as daemon:
            if stream:
                async with daemon.client.post(daemon.url + "/v1/chat/completions", json=question(stream=True)) as response:
                    for _ in range(3):
                        assert await response.content.readuntil(b"\n\n") == b": keep-alive\n\n"
                    event.set()
                    assert (await response.content.read()).endswith(b"data: [DONE]\n\n")
            else:
                asyncio.get_running_loop().call_later(0.6, event.set)
                assert (await daemon.ask())[0] == 200


async def test_a_load_that_fails(tmp_path: Path) -> None:
    """The server's own reason reaches the client."""
    async with OllamaUpstream({"a": GOOD}, load=Script(Status(500, {"error": "model requires more system memory"}))) as upstream:
        async with running(configuration(upstream.url, "a", "single"), tmp_path) as daemon:
            status, body, _ = await daemon.ask()
            assert status == 502
            assert "model requires more system memory" in json.loads(body)["error"]["message"]
            await daemon.at_rest()
