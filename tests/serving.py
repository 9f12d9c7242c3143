"""The real daemon as a process of its own: started, heard, asked and ended. Nothing here sleeps: the daemon's log says what has happened.

    async with serving("--config", str(file)) as daemon:
        async with daemon.client() as client, client.post("/v1/chat/completions", json=question("fusion")) as response:
            ...
        await daemon.said("revision 2 serves")

Leaving the block ends the daemon as a service manager does, and it must leave with 0.
"""

from __future__ import annotations

import asyncio
import contextlib
import json
import os
import re
import signal
import sys
from asyncio.subprocess import PIPE, Process
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import aiohttp

from tests.conftest import FOREIGN

TOP = Path(__file__).parent.parent
PATIENCE = 15.0
"""Seconds after which a wait is a failed test."""

_URL = re.compile(r"listening on (http://\S+)")


class Served:
    """A daemon at work. `log`: the lines that it has said so far."""

    def __init__(self, process: Process) -> None:
        self.process = process
        self.log: list[str] = []
        self._news = asyncio.Condition()
        self._listening = asyncio.create_task(self._listen())

    @property
    def url(self) -> str:
        """The address on TCP, where that is the first that it listens on: it is said first, when all are bound."""
        return next(found[1] for line in self.log if (found := _URL.search(line)))

    def client(self, socket: Path | None = None) -> aiohttp.ClientSession:
        """A plain client, on TCP or through a unix socket."""
        connector = aiohttp.UnixConnector(str(socket)) if socket else aiohttp.TCPConnector(limit=0)
        return aiohttp.ClientSession(self.url if socket is None else "http://localhost", connector=connector)

    async def said(self, words: str, times: int = 1) -> str:
        """The line of the log that has these words, the *times*th of them, once it is there. Fails where the daemon ends before."""
        async with asyncio.timeout(PATIENCE), self._news:
            while True:
                found = [line for line in self.log if words in line]
                if len(found) >= times:
                    return found[times - 1]
                assert not self._listening.done(), f"the daemon ended without saying {words!r}: {self.log}"
                await self._news.wait()

    def signal(self, number: signal.Signals) -> None:
        """Send it a signal."""
        self.process.send_signal(number)

    async def ended(self) -> int:
        """Its exit code, once it has ended and everything it said is in the log."""
        async with asyncio.timeout(PATIENCE):
            await self._listening
            return await self.process.wait()

    async def _listen(self) -> None:
        assert self.process.stderr
        async for line in self.process.stderr:
            async with self._news:
                self.log.append(line.decode().rstrip("\n"))
                self._news.notify_all()
        async with self._news:
            self._news.notify_all()


@asynccontextmanager
async def started(*arguments: str, environment: Mapping[str, str] | None = None) -> AsyncIterator[Served]:
    """`fusiond serve` with these arguments, whatever becomes of it; what is left of it at the end of the block is killed."""
    inherited = {name: value for name, value in os.environ.items() if name not in FOREIGN}
    process = await asyncio.create_subprocess_exec(
        sys.executable, "-m", "fusiond", "serve", *arguments, stderr=PIPE, cwd=TOP, env=inherited | dict(environment or {})
    )
    daemon = Served(process)
    try:
        yield daemon
    finally:
        with contextlib.suppress(ProcessLookupError):
            process.kill()
        await daemon.ended()


@asynccontextmanager
async def serving(*arguments: str, environment: Mapping[str, str] | None = None) -> AsyncIterator[Served]:
    """A daemon that listens; at the end of the block it is told to stop, unless that has happened already, and leaves with 0."""
    async with started(*arguments, environment=environment) as daemon:
        await daemon.said("listening on")
        yield daemon
        if daemon.process.returncode is None:
            daemon.signal(signal.SIGTERM)
        assert await daemon.ended() == 0, daemon.log


async def failed(*arguments: str, environment: Mapping[str, str] | None = None) -> tuple[int, list[str]]:
    """The exit code and the words of a daemon that cannot start."""
    async with started(*arguments, environment=environment) as daemon:
        return await daemon.ended(), daemon.log


def configured(directory: Path, text: str, *, listen: str = '"127.0.0.1:0"') -> tuple[str, str]:
    """The arguments for a configuration that says *text*, and listens on a free port."""
    file = directory / "config.toml"
    file.write_text(f"[server]\nlisten = [{listen}]\n{text}", encoding="utf-8")
    return "--config", str(file)


def lab(url: str, *members: str) -> str:
    """A provider with OpenAI's protocol, and members of it by the names of their models."""
    return f'[providers.lab]\napi = "openai"\nurl = "{url}"\n' + "".join(
        f'[members.{name}]\nprovider = "lab"\nmodel = "{name}"\n' for name in members
    )


def question(model: str = "fusion", text: str = "Say something.", **fields: Any) -> dict[str, Any]:
    """The body of a question."""
    return {"model": model, "messages": [{"role": "user", "content": text}], **fields}


async def answer(client: aiohttp.ClientSession, model: str = "fusion", text: str = "Say something.", **fields: Any) -> str:
    """What is answered, whole or streamed. Fails where it is no complete answer."""
    async with client.post("/v1/chat/completions", json=question(model, text, **fields)) as response:
        body = await response.text()
        assert response.status == 200, body
    if not fields.get("stream"):
        return str(json.loads(body)["choices"][0]["message"]["content"])
    assert body.endswith("data: [DONE]\n\n")
    return "".join(chunk["choices"][0]["delta"].get("content", "") for chunk in chunks(body) if chunk["choices"])


def chunks(body: str) -> list[Any]:
    """The documents of a stream, without its terminator."""
    return [json.loads(line[6:]) for line in body.splitlines() if line.startswith("data: ") and line != "data: [DONE]"]


async def status(client: aiohttp.ClientSession) -> dict[str, Any]:
    """What the daemon says of itself."""
    async with client.get("/fusiond/status") as response:
        return dict(await response.json())
