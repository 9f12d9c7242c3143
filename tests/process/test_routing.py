"""Who answers to which name: routes of `auto`, aliases, overrides of the request; and daemons that ask each other, or themselves."""

from __future__ import annotations

import asyncio
import socket
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import aiohttp
import pytest

from tests.faults.conftest import running
from tests.serving import answer, configured, lab, question, serving
from tests.upstreams.openai import OpenAIUpstream
from tests.upstreams.script import Finish, Say, Script

NAMES = ("small", "coder", "caller", "judge", "other")
ROUTED = """
[fusions.default]
strategy = "single"
panel = ["small"]
[fusions.both]
strategy = "vote"
panel = ["small", "other"]
[[routes]]
when = { tools = true }
use = "caller"
[[routes]]
when = { task = "code", max_prompt_tokens = 100 }
use = "coder"
[[routes]]
when = { task = "number" }
use = "numbers"
[aliases]
"gpt-4o" = "fusion"
numbers = "fusion/both"
mine = "coder"
"""


@dataclass(frozen=True, kw_only=True)
class Served:
    """A client of a daemon whose members say their names."""

    client: aiohttp.ClientSession
    upstream: OpenAIUpstream

    async def ask(self, model: str, text: str = "Tell me about the sea.", headers: Mapping[str, str] | None = None, **fields: Any) -> tuple[int, Any]:
        """Status and document."""
        async with self.client.post("/v1/chat/completions", json=question(model, text, **fields), headers=headers) as response:
            return response.status, await response.json()

    async def said(self, model: str, text: str = "Tell me about the sea.", **fields: Any) -> str:
        """The answer's text."""
        code, document = await self.ask(model, text, **fields)
        assert code == 200, document
        return str(document["choices"][0]["message"]["content"])


@asynccontextmanager
async def served(directory: Path, more: str = ROUTED) -> AsyncIterator[Served]:
    """It."""
    async with OpenAIUpstream({name: Script(Say(name), Finish()) for name in NAMES}) as upstream:
        async with running(lab(upstream.url, *NAMES) + more, directory) as daemon, aiohttp.ClientSession(daemon.url) as client:
            yield Served(client=client, upstream=upstream)


TOOLS = [{"type": "function", "function": {"name": "look", "parameters": {"type": "object"}}}]


async def test_auto_goes_by_the_first_route_that_fits(tmp_path: Path) -> None:
    """Tools, code, its length, and the kind of answer that is asked for; whatever fits none goes to the default."""
    async with served(tmp_path) as all_of_it:
        assert await all_of_it.said("auto") == "small"
        assert await all_of_it.said("auto", tools=TOOLS) == "caller"
        assert await all_of_it.said("auto", "Write a Python function that sorts.") == "coder"
        assert await all_of_it.said("auto", "```\n" + "x = 1\n" * 200 + "```") == "small"
        code, document = await all_of_it.ask("auto", "What is 6 times 7? Answer with a number.", fusion={"trace": True})
        assert (code, document["model"], document["fusion"]["strategy"]) == (200, "auto", "vote")


async def test_an_alias_is_what_it_stands_for(tmp_path: Path) -> None:
    """Under its own name in the answer and in the list."""
    async with served(tmp_path) as all_of_it:
        code, document = await all_of_it.ask("gpt-4o")
        assert (code, document["model"], document["choices"][0]["message"]["content"]) == (200, "gpt-4o", "small")
        assert await all_of_it.said("mine") == "coder"
        async with all_of_it.client.get("/v1/models") as response:
            assert {"gpt-4o", "mine", "numbers", "auto", "fusion", "fusion/both"} <= {entry["id"] for entry in (await response.json())["data"]}
        code, document = await all_of_it.ask("gpt-4")
        assert (code, document["error"]["code"], document["error"]["param"]) == (404, "model_not_found", "model")
        assert "gpt-4o" in document["error"]["message"]


async def test_the_plugin_of_openrouter(tmp_path: Path) -> None:
    """Its models are the panel, its model compares and writes; what is not used of it is named; another plugin is refused."""
    async with served(tmp_path) as all_of_it:
        plugin = {"id": "fusion", "analysis_models": ["small", "other"], "model": "judge", "depth": 3}
        body = question("fusion", "Tell me about the sea.", plugins=[plugin], fusion=None)
        async with all_of_it.client.post("/v1/chat/completions", json=body, headers={"X-Fusiond-Trace": "1"}) as response:
            document = await response.json()
            assert response.status == 200
            assert "plugins[0].depth" in response.headers["X-Fusiond-Ignored"].split(", ")
        assert document["fusion"]["strategy"] == "synthesize"
        assert {chat.model for chat in all_of_it.upstream.chats} == {"small", "other", "judge"}
        for wrong in ([{"id": "web"}], [{"id": "fusion", "analysis_models": []}], [{"id": "fusion", "analysis_models": ["nobody"]}]):
            code, _ = await all_of_it.ask("fusion", plugins=wrong)
            assert code in (400, 404)
        assert await all_of_it.said("fusion", plugins=[{"id": "web", "enabled": False}]) == "small"


async def test_a_member_takes_no_overrides(tmp_path: Path) -> None:
    """A member is no fusion; unknown members of a panel are named with the nearest."""
    async with served(tmp_path) as all_of_it:
        code, document = await all_of_it.ask("small", fusion={"panel": ["other"]})
        assert (code, document["error"]["param"]) == (400, "fusion.panel")
        code, document = await all_of_it.ask("fusion", fusion={"panel": ["smal"]})
        assert (code, "small" in document["error"]["message"]) == (404, True)
        code, document = await all_of_it.ask("fusion", fusion={"panel": ["small", "small"]})
        assert (code, document["error"]["param"]) == (400, "fusion.panel")
        assert not all_of_it.upstream.chats


@pytest.mark.parametrize(
    ("model", "fields", "code", "param"),
    [
        ("fusion", {"fusion": {"panel": ["small", "zz"]}}, 404, "fusion.panel[1]"),
        ("fusion", {"fusion": {"models": ["small", "zz"]}}, 404, "fusion.models[1]"),
        ("fusion", {"fusion": {"models": ["small", "small"]}}, 400, "fusion.models"),
        ("fusion", {"fusion": {"judge": "zz"}}, 404, "fusion.judge"),
        ("fusion", {"fusion": {"writer": "zz"}}, 404, "fusion.writer"),
        ("fusion", {"plugins": [{"id": "fusion", "analysis_models": ["small", "zz"]}]}, 404, "plugins[0].analysis_models[1]"),
        ("fusion", {"plugins": [{"id": "web", "enabled": False}, {"id": "fusion", "model": "zz"}]}, 404, "plugins[1].model"),
        ("small", {"plugins": [{"id": "fusion"}]}, 400, "plugins[0].id"),
    ],
    ids=lambda value: str(value) if isinstance(value, dict) else "",
)
async def test_an_error_names_the_field_that_was_sent(tmp_path: Path, model: str, fields: dict[str, Any], code: int, param: str) -> None:
    """In whichever dialect, with its place in the list."""
    async with served(tmp_path) as all_of_it:
        status, document = await all_of_it.ask(model, **fields)
        assert (status, document["error"]["param"]) == (code, param)
        assert document["error"]["message"].startswith(param)


async def test_a_question_that_has_come_too_far_is_refused(tmp_path: Path) -> None:
    """Both headers count; nobody is asked."""
    async with served(tmp_path) as all_of_it:
        for headers in ({"X-Fusiond-Depth": "2"}, {"x-openrouter-fusion-depth": "2"}, {"X-Fusiond-Depth": "0", "x-openrouter-fusion-depth": "99"}):
            code, document = await all_of_it.ask("fusion", headers=headers)
            assert (code, document["error"]["param"]) == (400, "X-Fusiond-Depth")
        assert not all_of_it.upstream.chats
        assert (await all_of_it.ask("fusion"))[0] == (await all_of_it.ask("fusion", headers={"X-Fusiond-Depth": "1"}))[0] == 200
        assert [chat.headers["x-fusiond-depth"] for chat in all_of_it.upstream.chats] == ["1", "2"]


def free_port() -> int:
    """A port that nobody listens on."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


@pytest.mark.parametrize("strategy", ["single", "vote"])
async def test_a_daemon_that_asks_itself_ends_in_an_error(tmp_path: Path, strategy: str) -> None:
    """Soon, and without a crowd of questions; the daemon is well afterwards."""
    port = free_port()
    async with OpenAIUpstream({"good": Script(Say("Yes."), Finish())}) as upstream:
        text = f'[providers.self]\napi = "openai"\nurl = "http://127.0.0.1:{port}/v1"\n' + lab(upstream.url, "good")
        text += "".join(f'[members.{name}]\nprovider = "self"\nmodel = "fusion"\n' for name in ("me", "myself"))
        text += f'[fusions.default]\nstrategy = "{strategy}"\npanel = ["me", "myself"]\n'
        async with serving(*configured(tmp_path, text, listen=f'"127.0.0.1:{port}"')) as daemon, daemon.client() as client, asyncio.timeout(10):
            async with client.post("/v1/chat/completions", json=question("fusion", "Is 7 prime? Answer yes or no.")) as response:
                assert response.status == 502
                assert "does one ask itself" in await response.text()
            async with client.get("/fusiond/status") as response:
                assert (await response.json())["requests"]["served"] <= 20
            assert await answer(client, "good") == "Yes."
            assert not [line for line in daemon.log if "Traceback" in line]


async def test_one_daemon_may_be_the_member_of_another(tmp_path: Path) -> None:
    """A fusion as a member of a fusion."""
    near, far = tmp_path / "near", tmp_path / "far"
    near.mkdir()
    far.mkdir()
    async with OpenAIUpstream({"small": Script(Say("Yes."), Finish())}) as upstream:
        fusion = '[fusions.default]\nstrategy = "single"\npanel = ["{name}"]\n'
        arguments = configured(far, lab(upstream.url, "small") + fusion.replace("{name}", "small"))
        async with serving(*arguments, environment={"STATE_DIRECTORY": str(far)}) as inner:
            text = lab(f"{inner.url}/v1", "fusion").replace("[members.fusion]", "[members.inner]") + fusion.replace("{name}", "inner")
            async with serving(*configured(near, text), environment={"STATE_DIRECTORY": str(near)}) as outer, outer.client() as client:
                assert await answer(client, "fusion") == "Yes."
                assert await answer(client, "fusion", stream=True) == "Yes."
        assert [chat.headers["x-fusiond-depth"] for chat in upstream.chats] == ["2", "2"]
