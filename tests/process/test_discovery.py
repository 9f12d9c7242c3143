"""What the daemon learns while it runs, in this process: with looks so close together that nobody has to wait half a minute for one."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from dataclasses import replace
from pathlib import Path

import aiohttp
import pytest

from fusiond import daemon
from fusiond.config.tree import Config, OpenRouterConfig
from fusiond.members import llamacpp
from tests.serving import answer, question, status
from tests.upstreams.ollama import Model, OllamaUpstream
from tests.upstreams.openai import OpenAIUpstream
from tests.upstreams.openrouter import Listing, OpenRouterUpstream
from tests.upstreams.script import Finish, Html, Say, Script, Status
from tests.upstreams.upstream import Upstream

HELLO = Script(Say("hello"), Finish())


@pytest.fixture(autouse=True)
def often(monkeypatch: pytest.MonkeyPatch) -> None:
    """Look at the providers all the time."""
    monkeypatch.setattr(daemon, "LOOK_EVERY_SECONDS", 0.02)


@asynccontextmanager
async def running(upstream: Upstream, config: Path | None, socket: Path) -> AsyncIterator[aiohttp.ClientSession]:
    """A client of a daemon in this process, which has looked at *upstream* and is not looking any more at the end."""
    work = asyncio.create_task(daemon.Daemon(config, [f"unix:{socket}"]).serve())
    try:
        await looked(upstream)
        async with aiohttp.ClientSession("http://localhost", connector=aiohttp.UnixConnector(str(socket))) as client:
            yield client
    finally:
        work.cancel()
        with contextlib.suppress(asyncio.CancelledError):
            await work


async def looked(upstream: Upstream) -> None:
    """Return once a look has ended that began after this: a look asks for the list twice at the most."""
    before = len(upstream.requests)
    await upstream.until(lambda: sum(seen.path.endswith(("/models", "/api/tags")) for seen in upstream.requests[before:]) >= 4, "a whole look")


def ollama_at(directory: Path, url: str) -> Path:
    """A configuration with that server alone, all of whose models vote."""
    file = directory / "config.toml"
    file.write_text(f'[providers.ollama]\napi = "ollama"\nurl = "{url}"\n[fusions.default]\npanel = ["ollama/*"]\n', encoding="utf-8")
    return file


async def test_a_model_that_is_pulled_is_served(tmp_path: Path, short_path: Path) -> None:
    """It can be asked by its name, is listed, and sits in the panel that takes all."""
    async with OllamaUpstream({"old:1b": HELLO}) as ollama, running(ollama, ollama_at(tmp_path, ollama.url), short_path / "s") as client:
        async with client.post("/v1/chat/completions", json=question("ollama/new:1b")) as response:
            assert response.status == 404
        ollama.pull("new:1b", HELLO, Model(context=2048))
        await looked(ollama)
        assert await answer(client, "ollama/new:1b") == "hello"
        async with client.get("/v1/models/ollama/new:1b") as response:
            assert response.status == 200
        told = await status(client)
        assert [seat["member"] for seat in told["fusions"]["default"]["panel"]] == ["ollama/new:1b", "ollama/old:1b"]
        assert told["members"]["ollama/new:1b"]["context"] == 2048


async def test_a_model_that_is_removed_is_served_no_more(tmp_path: Path, short_path: Path) -> None:
    """It leaves the panel, and its name is unknown again."""
    upstream = OllamaUpstream({"old:1b": HELLO, "new:1b": HELLO})
    async with upstream as ollama, running(ollama, ollama_at(tmp_path, ollama.url), short_path / "s") as client:
        assert await answer(client, "ollama/new:1b") == "hello"
        del ollama.models["new:1b"], ollama.loaded["new:1b"]
        await looked(ollama)
        async with client.post("/v1/chat/completions", json=question("ollama/new:1b")) as response:
            assert response.status == 404
        assert await answer(client, "fusion") == "hello"


async def test_a_server_that_comes_late_is_found(tmp_path: Path, short_path: Path) -> None:
    """Not ready while Ollama answers with errors, ready once it does not."""
    async with OllamaUpstream({"old:1b": HELLO}) as ollama:
        ollama.pages["/api/tags"] = Script(Status(503, {"error": "starting"}))
        async with running(ollama, ollama_at(tmp_path, ollama.url), short_path / "s") as client:
            async with client.get("/readyz") as response:
                assert response.status == 503
                assert "ollama" in (await response.json())["reason"]
            ollama.pages.clear()
            await looked(ollama)
            async with client.get("/readyz") as response:
                assert response.status == 200
            assert await answer(client, "fusion") == "hello"


async def test_a_server_that_goes_away_keeps_its_models(tmp_path: Path, short_path: Path) -> None:
    """Not ready while it cannot be looked at; who asks for one of its models is not told that there is no such model."""
    async with OllamaUpstream({"old:1b": HELLO}) as ollama, running(ollama, ollama_at(tmp_path, ollama.url), short_path / "s") as client:
        ollama.pages["/api/tags"] = Script(Status(503, {"error": "busy"}))
        await looked(ollama)
        async with client.get("/readyz") as response:
            assert response.status == 503
            assert "busy" in (await response.json())["reason"]
        assert await answer(client, "ollama/old:1b") == await answer(client, "fusion") == "hello"


async def test_models_that_ollama_runs_in_its_cloud_are_remote(tmp_path: Path, short_path: Path) -> None:
    """Whatever they are called, they cost somebody money: refused by name (402), left out of the panel, never asked."""
    models = {"near:1b": Model(), "far:1b": Model(remote="https://ollama.com:443"), "gpt-oss:120b-cloud": Model()}
    async with OllamaUpstream(dict.fromkeys(models, HELLO), models=models) as ollama:
        async with running(ollama, ollama_at(tmp_path, ollama.url), short_path / "s") as client:
            told = await status(client)
            assert {name: member["place"] for name, member in told["members"].items()} == {
                "ollama/near:1b": "local",
                "ollama/far:1b": "remote",
                "ollama/gpt-oss:120b-cloud": "remote",
            }
            for far in ("far:1b", "gpt-oss:120b-cloud"):
                async with client.post("/v1/chat/completions", json=question(f"ollama/{far}")) as response:
                    assert (response.status, (await response.json())["error"]["code"]) == (402, "budget_exceeded")
            async with client.post("/v1/chat/completions", json=question("fusion")) as response:
                assert (response.status, response.headers["X-Fusiond-Degraded"]) == (200, "budget")
        assert {chat.model for chat in ollama.chats} == {"near:1b"}


async def test_without_configuration_a_key_makes_a_member_that_waits_for_a_budget(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path, short_path: Path
) -> None:
    """`OPENROUTER_API_KEY` is named with what it waits for, also where its price list cannot be had; the others answer, and nothing is sent to it."""
    monkeypatch.setenv("OPENROUTER_API_KEY", "sk-made-up")
    listing = Listing(prompt="-1", completion="-1")
    async with (
        OllamaUpstream({"a:1b": HELLO}) as ollama,
        OpenRouterUpstream({"openrouter/auto": HELLO}, listings={"openrouter/auto": listing}) as paid,
    ):
        monkeypatch.setenv("OLLAMA_HOST", ollama.url)
        found = daemon.unconfigured

        def here(environment: Mapping[str, str]) -> Config:
            """What is found, on this machine."""
            config = found(environment)
            openrouter = config.providers["openrouter"]
            assert isinstance(openrouter, OpenRouterConfig)
            return replace(config, providers={**config.providers, "openrouter": replace(openrouter, url=paid.url)})

        monkeypatch.setattr(daemon, "unconfigured", here)
        async with running(paid, None, short_path / "s") as client:
            await looked(ollama)
            async with client.post("/v1/chat/completions", json=question("fusion")) as response:
                assert (response.status, response.headers["X-Fusiond-Degraded"]) == (200, "budget")
            told = await status(client)
            assert [seat["member"] for seat in told["fusions"]["default"]["panel"]] == ["ollama/a:1b", "openrouter/auto"]
            assert told["members"]["openrouter/auto"]["reason"] == "costs money, and there is no [budget]"
            paid.pages["/api/v1/models"] = Script(Status(500))
            await looked(paid)
            assert "[budget]" in (await status(client))["members"]["openrouter/auto"]["reason"]
        assert paid.chats == []


async def test_without_configuration_and_without_a_model_it_says_everything_that_is_missing(
    monkeypatch: pytest.MonkeyPatch, short_path: Path
) -> None:
    """Something else answers at Ollama's address, and the built-in engine is not installed: not ready, for both reasons."""
    monkeypatch.setattr(llamacpp, "installed", lambda: False)
    async with OllamaUpstream({}) as upstream:
        upstream.pages["/api/tags"] = Script(Html())
        monkeypatch.setenv("OLLAMA_HOST", upstream.url)
        async with running(upstream, None, short_path / "s") as client, client.get("/readyz") as response:
            assert response.status == 503
            reason = (await response.json())["reason"]
            assert f"ollama: {upstream.url}: " in reason
            assert "builtin: the built-in engine is not installed: pip install" in reason


async def test_a_model_that_is_listed_is_asked_again(tmp_path: Path, short_path: Path) -> None:
    """One that the server did not know, while it was starting: the next look finds it, and nobody waits a minute."""
    async with OpenAIUpstream({"a": [Script(Status(404)), HELLO]}) as lab:
        file = tmp_path / "config.toml"
        text = f'[providers.lab]\napi = "openai"\nurl = "{lab.url}"\ndiscover = true\n[members.a]\nprovider = "lab"\nmodel = "a"\n'
        file.write_text(text, encoding="utf-8")
        async with running(lab, file, short_path / "s") as client:
            async with client.post("/v1/chat/completions", json=question("a")) as response:
                assert response.status == 502
            await looked(lab)
            assert await answer(client, "a") == "hello"
