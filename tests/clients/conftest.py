"""One daemon for all tests here, with a scripted upstream behind it: each scenario is a model of its own, and a member by its name."""

from __future__ import annotations

import asyncio
import importlib
import tempfile
from collections.abc import AsyncIterator, Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import openai
import pytest
import pytest_asyncio

from tests.serving import Served, configured, lab, serving
from tests.upstreams.openai import OpenAIUpstream
from tests.upstreams.script import Call, Close, Finish, Gate, Hang, Say, Script, Status, Think, Usage

SEEN = '{"city": "Rome", "degrees": 21}'


@dataclass(frozen=True, kw_only=True)
class Scene:
    """The daemon, and what stands behind it. `gate` opens the answer of the member `gated`."""

    daemon: Served
    upstream: OpenAIUpstream
    socket: Path
    gate: asyncio.Event = field(default_factory=asyncio.Event)


def scripts(gate: asyncio.Event) -> dict[str, Script]:
    """What each member says."""
    weather = (
        Call(0, "call_w", "weather"),
        Call(0, arguments='{"city":'),
        Call(0, arguments=' "Rome"}'),
        Call(1, "call_t", "time"),
        Call(1, arguments='{"zone": '),
        Call(1, arguments='"CET"}'),
    )
    return {
        "plain": Script(Usage(11, 3), Say("Hel"), Say("lo \u2028there"), Finish()),
        "thinker": Script(Think("Hm, "), Think("well."), Say("4"), Finish()),
        "caller": Script(*weather, Finish("tool_calls")),
        "cut": Script(Say("Half of"), Gate(gate), Close()),
        "endless": Script(Say("Once"), Hang()),
        "gated": Script(Say("a"), Gate(gate), Say("b"), Finish()),
        "broken": Script(Status(400)),  # the request's fault: it is asked again the next time
        "empty": Script(Finish()),
        "long": Script(Say("so far"), Finish("length")),
        "silent": Script(Gate(gate), Say("at last"), Finish()),
        "rome": Script(Say(SEEN), Finish()),
        "romeo": Script(Say('```json\n{"degrees": 21, "city": "Rome"}\n```'), Finish()),
        "paris": Script(Say('{"city": "Paris", "degrees": 30}'), Finish()),
    }


@pytest_asyncio.fixture(scope="session", loop_scope="session")
async def scene() -> AsyncIterator[Scene]:
    """The daemon at work, for as long as there are tests."""
    gate = asyncio.Event()
    with tempfile.TemporaryDirectory(prefix="fd-") as name:
        directory = Path(name)
        environment = {"XDG_RUNTIME_DIR": name, "XDG_STATE_HOME": name, "XDG_CACHE_HOME": name}
        async with OpenAIUpstream(scripts(gate)) as upstream:
            text = f"""
                heartbeat_seconds = 0.2
                {lab(upstream.url, *upstream.scripts)}
                [fusions.json]
                panel = ["rome", "paris", "romeo"]
                [fusions.default]
                strategy = "single"
                panel = ["broken", "plain"]
                [aliases]
                "gpt-4o" = "plain"
                "lab/deep/model:latest" = "plain"
            """
            arguments = configured(directory, text, listen='"127.0.0.1:0", "unix"')
            async with serving(*arguments, environment=environment) as daemon:
                yield Scene(daemon=daemon, upstream=upstream, socket=directory / "fusiond" / "fusiond.sock", gate=gate)


@pytest.fixture(autouse=True)
def closed_gate(scene: Scene) -> Iterator[None]:
    """Every test begins with a closed gate."""
    scene.gate.clear()
    yield
    scene.gate.set()


@pytest_asyncio.fixture(params=["port", "socket"], loop_scope="session")
async def client(scene: Scene, request: pytest.FixtureRequest) -> AsyncIterator[openai.AsyncOpenAI]:
    """The official SDK, unmodified but for its address, on both ways to the daemon."""
    options: dict[str, Any] = {"base_url": f"{scene.daemon.url}/v1"}
    if request.param == "socket":
        options = {"base_url": "http://localhost/v1", "http_client": openai.DefaultAsyncHttpxClient(transport=transport(scene.socket))}
    async with openai.AsyncOpenAI(api_key="not-needed", max_retries=0, **options) as sdk:
        yield sdk


def transport(socket: Path) -> Any:
    """A transport through a unix socket, of the library that the installed SDK is built on."""
    library = openai.DefaultAsyncHttpxClient.__mro__[1].__module__.partition(".")[0]
    return importlib.import_module(library).AsyncHTTPTransport(uds=str(socket))
