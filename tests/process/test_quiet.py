"""A daemon that keeps to itself: nothing in the background leaves either, neither for lists and prices nor for probes and bills."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

import aiohttp
import pytest

from fusiond import bills, daemon, reach
from tests.faults.conftest import running
from tests.serving import question, status
from tests.upstreams.openai import OpenAIUpstream
from tests.upstreams.openrouter import OpenRouterUpstream
from tests.upstreams.script import Finish, Hang, Say, Script

YES = Script(Say("Yes."), Finish())
FREE = "price = { input = 0, output = 0 }\n"


@asynccontextmanager
async def asked(text: str, directory: Path) -> AsyncIterator[aiohttp.ClientSession]:
    """A client of a daemon with this configuration."""
    async with running(text, directory) as started, aiohttp.ClientSession(started.url) as client:
        yield client


def beyond(beside: OpenAIUpstream, far: OpenAIUpstream, router: OpenRouterUpstream, key: Path) -> str:
    """Three providers beyond this machine, all of which are asked what they have where that is allowed."""
    key.write_text("sk-or-made-up-key")
    key.chmod(0o600)
    return (
        f'[providers.at_lan]\napi = "openai"\nurl = "{beside.url}"\nplace = "lan"\ndiscover = true\n'
        f'[providers.at_remote]\napi = "openai"\nurl = "{far.url}"\nplace = "remote"\ndiscover = true\n'
        f'[providers.router]\napi = "openrouter"\nurl = "{router.url}"\napi_key = {{ file = "{key}" }}\n'
        '[members.beside]\nprovider = "at_lan"\nmodel = "beside"\n'
        f'[members.far]\nprovider = "at_remote"\nmodel = "far"\n{FREE}'
        '[members.paid]\nprovider = "router"\nmodel = "some/model"\n'
        "[budget]\nper_day_usd = 1\n"
    )


@pytest.mark.parametrize(("level", "seen"), [("any", {"beside", "far", "router"}), ("lan", {"beside"}), ("local", set())])
async def test_a_daemon_that_keeps_to_itself_asks_nobody_what_they_have(tmp_path: Path, level: str, seen: set[str]) -> None:
    """No list of models, no prices; members beyond are said to be unavailable, and by name they are forbidden."""
    near, beside, far, router = OpenAIUpstream({"near": YES}), OpenAIUpstream({"beside": YES}), OpenAIUpstream({"far": YES}), OpenRouterUpstream({})
    async with near, beside, far, router:
        text = beyond(beside, far, router, tmp_path / "key") + f'[privacy]\ndefault = "{level}"\n'
        text += f'[providers.here]\napi = "openai"\nurl = "{near.url}"\ndiscover = true\n[members.near]\nprovider = "here"\nmodel = "near"\n'
        async with asked(text, tmp_path) as client:
            async with client.get("/v1/models") as response:
                assert response.status == 200
            if "router" in seen:
                await router.until(lambda: bool(router.requests))
            told = await status(client)
            async with client.post("/fusiond/reload") as response:
                assert response.status == 200
            if level != "any":
                allowed = {"near", *seen}
                for name in ("near", "beside", "far", "paid"):
                    async with client.post("/v1/chat/completions", json=question(name, fusion={"privacy": "any"})) as response:
                        assert response.status == (200 if name in allowed else 403)
                        assert name not in allowed or response.headers["X-Fusiond-Ignored"] == "fusion.privacy"
        servers = {"beside": beside, "far": far, "router": router}
        assert {name for name, server in servers.items() if server.connections.most} == seen
        assert near.requests
        assert told["privacy"] == level
        assert (told["members"]["far"]["state"] == "unavailable") == (level != "any")
        assert (told["members"]["beside"]["state"] == "unavailable") == (level == "local")


def rewritten(directory: Path, text: str) -> None:
    """The configuration of the daemon that runs."""
    (directory / "config.toml").write_text(text)


async def test_a_reload_to_local_ends_every_knock(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A provider that could not be reached is looked for, until the daemon is told to keep to itself."""
    monkeypatch.setattr(reach, "FIRST_PROBE", 0.05)
    monkeypatch.setattr(daemon, "PAUSE_SECONDS", 0.05)
    async with OpenAIUpstream({"far": YES}) as far:
        port = far.port
    text = f'[providers.there]\napi = "openai"\nurl = "http://127.0.0.1:{port}/v1"\nplace = "remote"\n'
    text += f'[members.far]\nprovider = "there"\nmodel = "far"\n{FREE}'
    async with asked(text, tmp_path) as client:
        async with client.post("/v1/chat/completions", json=question("far")) as response:
            assert response.status == 502
        assert (await status(client))["members"]["far"]["state"] == "offline"
        rewritten(tmp_path, text + '[privacy]\ndefault = "local"\n')
        async with client.post("/fusiond/reload"):
            pass
        async with OpenAIUpstream({"far": YES}, port=port) as back:
            await asyncio.sleep(0.5)  # nobody tells that nothing happens
            assert back.connections.most == 0
            rewritten(tmp_path, text)
            async with client.post("/fusiond/reload"):
                pass
            await back.until(lambda: back.connections.most > 0, "the probe, once it may leave again")


@pytest.mark.parametrize("quiet", ['[privacy]\ndefault = "local"\n', '[offline]\nmode = "always"\n', ""], ids=["local", "offline", "any"])
async def test_bills_are_asked_for_only_where_anything_may_leave(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, quiet: str) -> None:
    """A paid call that was cut off leaves a bill to be asked for, and a daemon that keeps to itself does not ask."""
    monkeypatch.setattr(bills, "FIRST_SECONDS", 0.05)
    async with OpenRouterUpstream({"some/model": Script(Say("Y"), Hang())}) as router, OpenAIUpstream({}) as nobody:
        text = beyond(nobody, nobody, router, tmp_path / "key").replace("discover = true\n", "")
        async with asked(text, tmp_path) as client:
            await router.until(lambda: bool(router.requests))
            async with client.post("/v1/chat/completions", json=question("paid", stream=True, max_tokens=300)) as response:
                await response.content.readany()
                response.close()
            await router.left()
        before = len(router.requests)
        await router.gone()
        monkeypatch.setattr(daemon, "PAUSE_SECONDS", 0.05)
        async with asked(text + quiet, tmp_path):
            if quiet:
                await asyncio.sleep(0.6)  # nobody tells that nothing happens
                assert (len(router.requests), router.connections.now) == (before, 0)
            else:
                await router.until(lambda: any(each.path.endswith("/generation") for each in router.requests), "the question for the bill")
