"""A real Ollama behind the real daemon, where FUSIOND_TEST_OLLAMA names one: its two smallest models that can chat."""

from __future__ import annotations

import asyncio
import os
from collections.abc import AsyncIterator
from dataclasses import dataclass
from pathlib import Path

import aiohttp
import pytest

from tests.serving import Served, answer, chunks, configured, question, serving, status

URL = os.environ.get("FUSIOND_TEST_OLLAMA", "")
WINDOW = 512
FRUIT = "Which of these is a fruit?\nA) stone\nB) apple\nC) chair\nAnswer with the letter only."

pytestmark = [
    pytest.mark.skipif(not URL, reason="FUSIOND_TEST_OLLAMA names no Ollama (http://HOST:PORT) to ask"),
    pytest.mark.timeout(180),
]


@dataclass(frozen=True, slots=True, kw_only=True)
class Real:
    """The daemon at work on a real Ollama. `small` and `other`: two of its models, which are the members `small` and `other`."""

    daemon: Served
    client: aiohttp.ClientSession
    ollama: aiohttp.ClientSession
    small: str
    other: str

    async def unload(self, model: str) -> None:
        """Have Ollama take a model out of memory."""
        async with self.ollama.post("/api/chat", json={"model": model, "messages": [], "keep_alive": 0}) as response:
            assert response.status == 200
            await response.read()
        async with asyncio.timeout(30):
            while await self.loaded(model):
                pass

    async def loaded(self, model: str) -> bool:
        """Whether Ollama has a model in memory."""
        async with self.ollama.get("/api/ps") as response:
            return any(entry["name"] == model for entry in (await response.json())["models"])

    async def until_state(self, member: str, state: str) -> None:
        """Return once the daemon says that of a member."""
        async with asyncio.timeout(60):
            while (await status(self.client))["members"][member]["state"] != state:
                pass


@pytest.fixture
async def real(tmp_path: Path) -> AsyncIterator[Real]:
    """A daemon whose panel are two real models."""
    async with aiohttp.ClientSession(URL) as ollama:
        async with ollama.get("/api/tags") as response:
            listed = sorted((await response.json())["models"], key=lambda entry: entry["size"])
        names = [entry["name"] for entry in listed if not entry.get("remote_host")]
        assert len(names) >= 2, "these tests need two models"
        small, other = names[:2]
        text = f'[providers.ollama]\napi = "ollama"\nurl = "{URL}"\n'
        for member, model in (("small", small), ("other", other), ("absent", "no-such-model:1b")):
            text += f'[members.{member}]\nprovider = "ollama"\nmodel = "{model}"\ncontext = {WINDOW}\n'
        text += '[fusions.default]\npanel = ["small", "other"]\n'
        async with serving(*configured(tmp_path, text)) as daemon, daemon.client() as client:
            await daemon.said("providers:")
            yield Real(daemon=daemon, client=client, ollama=ollama, small=small, other=other)


@pytest.mark.parametrize("stream", [False, True], ids=["whole", "streamed"])
async def test_a_chat(real: Real, *, stream: bool) -> None:
    """A real answer, with real counts of tokens; its model is in the list."""
    assert await answer(real.client, "small", "Say hello.", stream=stream, max_tokens=8)
    async with real.client.get(f"/v1/models/ollama/{real.small}") as response:
        assert response.status == 200


async def test_two_models_vote(real: Real) -> None:
    """Both are asked, and the answer is one member's own text."""
    async with real.client.post("/v1/chat/completions", json=question("fusion", FRUIT, max_tokens=16, fusion={"trace": True})) as response:
        told = await response.json()
        assert response.status == 200, told
    members = {member["member"]: member for member in told["fusion"]["members"]}
    assert members.keys() == {"small", "other"}
    assert told["fusion"]["strategy"] == "cascade"
    assert told["choices"][0]["message"]["content"] in [member["text"] for member in members.values()]
    assert told["usage"]["prompt_tokens"] > 0


async def test_a_client_that_leaves_during_a_load_does_not_stop_it(real: Real) -> None:
    """The load is the daemon's own: it goes on, and the next question finds the model in memory."""
    await real.unload(real.other)
    asked = asyncio.create_task(answer(real.client, "other", "Say hello.", max_tokens=4))
    await real.until_state("other", "loading")
    asked.cancel()
    await real.daemon.said("status=499")
    await real.until_state("other", "ready")
    assert await real.loaded(real.other)
    assert await answer(real.client, "other", "Say hello.", max_tokens=4)


async def test_a_client_that_leaves_in_the_middle_ends_the_generation(real: Real) -> None:
    """The daemon hears of it at once, and the next question has the model for itself."""
    body = question("small", "Count from 1 to 10000, one number a line.", stream=True, max_tokens=100_000)
    async with real.client.post("/v1/chat/completions", json=body) as response:
        assert response.status == 200
        await response.content.readany()
        response.close()
    await real.daemon.said("status=499")
    assert await answer(real.client, "small", "Say hello.", max_tokens=4)


async def test_a_model_that_does_not_exist(real: Real) -> None:
    """Unknown by a name that nobody gave it; as a configured member, what Ollama says of it."""
    async with real.client.post("/v1/chat/completions", json=question("ollama/no-such-model:1b")) as response:
        assert (response.status, (await response.json())["error"]["code"]) == (404, "model_not_found")
    async with real.client.post("/v1/chat/completions", json=question("absent")) as response:
        error = (await response.json())["error"]
        assert (response.status, error["code"]) == (502, "all_members_failed")
        assert "not found" in error["members"]["absent"]["message"]


async def test_a_prompt_longer_than_its_context_is_refused(real: Real) -> None:
    """Never cut: neither one whose length shows, nor one that only the model can count."""
    for text in ("word " * 4 * WINDOW, "a b c d e f g h " * (WINDOW // 8 + 8)):
        async with real.client.post("/v1/chat/completions", json=question("small", text, max_tokens=4)) as response:
            assert (response.status, (await response.json())["error"]["code"]) == (400, "context_length_exceeded"), await response.text()


async def test_a_stream_says_what_it_used(real: Real) -> None:
    """The usage comes in a chunk of its own, the last one."""
    body = question("small", "Say hello.", stream=True, max_tokens=4, stream_options={"include_usage": True})
    async with real.client.post("/v1/chat/completions", json=body) as response:
        *_, last = chunks(await response.text())
    assert last["choices"] == []
    assert last["usage"]["completion_tokens"] in range(1, 5)
