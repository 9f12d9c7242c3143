"""The built-in model, for real: answers through the daemon, and a process that never outlives it."""

from __future__ import annotations

import asyncio
import os
import signal
from pathlib import Path

import pytest

from fusiond.errors import Unwilling
from fusiond.members.llamacpp import ENGINE_MISSING, SMOLLM2, find, installed
from tests.serving import PATIENCE, Served, answer, chunks, configured, question, serving, started

FUSED = """
[providers.builtin]
api = "llamacpp"
threads = 1
[members.smol]
provider = "builtin"
model = "smollm2"
context = 512
[fusions.default]
strategy = "vote"
panel = [{ member = "smol", samples = 3, temperature = 0.6 }]
"""
CAPITAL = "What is the capital of France?\nA) Berlin\nB) Paris\nC) Rome\nAnswer with the letter only."


def missing() -> str | None:
    """Why the built-in model cannot be asked here."""
    if not installed():
        return ENGINE_MISSING
    try:
        find(SMOLLM2)
    except Unwilling as error:
        return error.message
    return None


pytestmark = [
    pytest.mark.skipif(missing() is not None, reason=str(missing())),
    pytest.mark.skipif(not Path("/proc/self/task").exists(), reason="the engine's process is looked for in /proc"),
    pytest.mark.timeout(60),
]


def engines(daemon: Served) -> list[int]:
    """The daemon's child processes."""
    return [int(child) for child in Path(f"/proc/{daemon.process.pid}/task/{daemon.process.pid}/children").read_text(encoding="utf-8").split()]


def lives(process: int) -> bool:
    """Whether a process has not ended (one that nobody has waited for yet has)."""
    try:
        return Path(f"/proc/{process}/stat").read_text(encoding="utf-8").rpartition(")")[2].split()[0] != "Z"
    except (FileNotFoundError, ProcessLookupError):
        return False


async def test_samples_of_a_real_model_are_fused(tmp_path: Path) -> None:
    """Whole and streamed: three samples are asked, one letter is the answer; and SIGTERM leaves no process."""
    async with serving(*configured(tmp_path, FUSED)) as daemon, daemon.client() as client:
        async with client.post("/v1/chat/completions", json=question("fusion", CAPITAL, max_tokens=24, fusion={"trace": True})) as response:
            told = await response.json()
            assert response.status == 200, told
        members = told["fusion"]["members"]
        assert [member["sample"] for member in members] == [1, 2, 3]
        assert {member["status"] for member in members} <= {"answered", "abstained", "cancelled"}
        assert told["choices"][0]["message"]["content"] in [member["text"] for member in members]
        assert told["usage"]["completion_tokens"] > 0
        async with client.post(
            "/v1/chat/completions", json=question("fusion", CAPITAL, max_tokens=24, stream=True, stream_options={"include_usage": True})
        ) as response:
            body = await response.text()
        assert body.endswith("data: [DONE]\n\n")
        assert "".join(chunk["choices"][0]["delta"].get("content", "") for chunk in chunks(body) if chunk["choices"])
        assert chunks(body)[-1]["usage"]["fusion"]["calls"] == 3
        (engine,) = engines(daemon)
    assert not lives(engine)


async def test_a_daemon_that_is_killed_leaves_no_engine(tmp_path: Path, short_path: Path) -> None:
    """After `kill -9` the engine ends by itself, and takes its socket along."""
    async with started(*configured(tmp_path, FUSED)) as daemon:
        await daemon.said("listening on")
        async with daemon.client() as client:
            await answer(client, "smol", "Say hello.", max_tokens=4)
        (engine,) = engines(daemon)
        ended = os.pidfd_open(engine)
        daemon.signal(signal.SIGKILL)
        await daemon.ended()
        await readable(ended)
    assert not lives(engine)
    assert not list(short_path.rglob("*.sock"))  # noqa: ASYNC240  # nothing else runs here


async def test_an_engine_that_is_killed_is_started_again(tmp_path: Path) -> None:
    """The next question is answered by a new process."""
    async with serving(*configured(tmp_path, FUSED)) as daemon, daemon.client() as client:
        await answer(client, "smol", "Say hello.", max_tokens=4)
        (engine,) = engines(daemon)
        ended = os.pidfd_open(engine)
        os.kill(engine, signal.SIGKILL)
        await readable(ended)
        assert await answer(client, "smol", "Say hello.", max_tokens=4)
        (another,) = engines(daemon)
        assert another != engine


async def readable(descriptor: int) -> None:
    """Return once a process, seen through its descriptor, has ended."""
    loop = asyncio.get_running_loop()
    over = asyncio.Event()
    loop.add_reader(descriptor, over.set)
    try:
        async with asyncio.timeout(PATIENCE):
            await over.wait()
    finally:
        loop.remove_reader(descriptor)
        os.close(descriptor)
