"""The daemon in this process, on a free port, with scripted upstreams: what it leaves behind can be looked at."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import aiohttp
import pytest

from fusiond.daemon import Daemon
from fusiond.members.ollama import Ollama
from fusiond.members.openai import OpenAI


@dataclass(kw_only=True)
class Running:
    """A daemon at work in this process, and a client of it."""

    daemon: Daemon
    url: str
    client: aiohttp.ClientSession

    async def ask(self, **fields: Any) -> tuple[int, str, bool]:
        """Status, body, and whether the body came to its proper end."""
        body, ended = b"", True
        async with self.client.post(self.url + "/v1/chat/completions", json=question(**fields)) as response:
            try:
                async for data in response.content.iter_any():
                    body += data
            except aiohttp.ClientPayloadError:
                ended = False
            return response.status, body.decode(), ended

    async def at_rest(self) -> None:
        """Wait until no request runs and no connection to an upstream is leased. Fails after some seconds."""
        async with asyncio.timeout(10):
            while self.daemon._server.admission.running or self.leased():  # noqa: ASYNC110  # nobody tells
                await asyncio.sleep(0)

    def leased(self) -> int:
        """Connections to upstreams that are in use."""
        providers = self.daemon._revisions.current.providers.values()
        sessions = [provider._link._session for provider in providers if isinstance(provider, Ollama | OpenAI)]
        return sum(len(session.connector._acquired) for session in sessions if session and session.connector)


Start = Callable[[str], Awaitable[Running]]


def question(text: str = "Is 7 prime? Answer yes or no.", **fields: Any) -> dict[str, Any]:
    """A body that can be voted on."""
    return {"model": "fusion", "messages": [{"role": "user", "content": text}], **fields}


@asynccontextmanager
async def running(configuration: str, directory: Path) -> AsyncIterator[Running]:
    """A daemon with that configuration. At the end of the block it must leave no task behind."""
    before = asyncio.all_tasks()
    path = directory / "config.toml"
    path.write_text(configuration, encoding="utf-8")
    daemon = Daemon(path, ["127.0.0.1:0"])
    serving = asyncio.create_task(daemon.serve())
    async with asyncio.timeout(10):
        while not daemon._listeners:  # noqa: ASYNC110  # nobody tells
            await asyncio.sleep(0)
    [(listener, _)] = daemon._listeners.values()
    async with aiohttp.ClientSession(connector=aiohttp.TCPConnector(limit=0)) as client:
        yield Running(daemon=daemon, url=str(listener), client=client)
    serving.cancel()
    await asyncio.wait([serving])
    await asyncio.sleep(0)
    assert asyncio.all_tasks() - before - {asyncio.current_task()} == set()


@pytest.fixture
def lab() -> Callable[..., str]:
    """A configuration of one scripted server's members, impatient ones, and one fusion of them."""

    def configuration(url: str, *members: str, strategy: str = "vote", server: str = "") -> str:
        text = f'[server]\n{server}\n[providers.lab]\napi = "openai"\nurl = "{url}"\n'
        for name in members:
            text += f'[members.{name}]\nprovider = "lab"\nmodel = "{name}"\nfirst_token_seconds = 0.5\nstall_seconds = 0.5\ntotal_seconds = 5\n'
        return text + f'[fusions.default]\nstrategy = "{strategy}"\npanel = {list(members)}\n'

    return configuration
