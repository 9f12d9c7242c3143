"""A scripted server: plays each question's script in the words of its protocol. What all protocols share; `script.py` says how to use it."""

from __future__ import annotations

import argparse
import asyncio
import json
import sys
from abc import ABC, abstractmethod
from collections.abc import Callable, Sequence
from pathlib import Path
from types import TracebackType
from typing import Any, ClassVar, Self

from tests.upstreams.loopback import Loopback, Reply
from tests.upstreams.record import Asked, Record
from tests.upstreams.script import (
    Close,
    Drip,
    Flood,
    Gate,
    Hang,
    Head,
    Html,
    NoUsage,
    Raw,
    Reset,
    Script,
    Scripts,
    Spoken,
    Status,
    Step,
    Usage,
    Wait,
    Wire,
    scripts,
)

Encode = Callable[[Spoken], bytes]


class Upstream(Record, ABC):
    """A server on a free port of the loopback interface, or on *port*; it is there while its context lasts."""

    chat_path: ClassVar[str]
    base_path: ClassVar[str] = ""
    stream_type: ClassVar[str]

    def __init__(self, scripts: Scripts, *, port: int = 0) -> None:
        super().__init__()
        self.scripts: dict[str, Script | Sequence[Script]] = {model: _own(script) for model, script in scripts.items()}
        self.pages: dict[str, Script | Sequence[Script]] = {}
        self.port = port
        self._server = Loopback(self, self._answer, self.stream_type)

    @property
    def url(self) -> str:
        """The base address, as a configuration has it."""
        return f"http://127.0.0.1:{self.port}{self.base_path}"

    async def __aenter__(self) -> Self:
        self.port = await self._server.start(self.port)
        return self

    async def __aexit__(self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None) -> None:
        await self._server.stop()
        if self._server.failures and error is None:
            raise self._server.failures[0]  # a mistake in a script, or here

    async def serve_forever(self) -> None:
        """Run until cancelled."""
        await self._server.forever()

    @abstractmethod
    def encoder(self, asked: Asked, script: Script) -> Encode:
        """How one answer's steps are said."""

    @abstractmethod
    def page(self, asked: Asked) -> Status:
        """The answer to whatever is no question."""

    @abstractmethod
    def unknown(self, model: str) -> Status:
        """The answer to a question for a model that is not there."""

    @abstractmethod
    def error(self, status: int, message: str) -> Any:
        """An error's body as the protocol words it."""

    async def chat(self, asked: Asked, reply: Reply) -> None:
        """Answer a question by its script."""
        self.is_chat(asked)
        await self.play(self.script_for(asked.model), asked, reply)

    def script_for(self, model: str) -> Script:
        """What the model says next."""
        return _next(self.scripts, model) if model in self.scripts else Script(self.unknown(model))

    async def play(self, script: Script, asked: Asked, reply: Reply) -> None:
        """Do one step after the other."""
        encode = self.encoder(asked, script)
        for step in script:
            await self._act(step, reply, encode)

    async def _answer(self, asked: Asked, reply: Reply) -> None:
        if asked.path in self.pages:
            await self.play(_next(self.pages, asked.path), asked, reply)
        elif asked.method != "POST" or asked.path != self.chat_path:
            await self.play(Script(self.page(asked)), asked, reply)
        elif not isinstance(asked.body, dict):
            await reply.whole(400, self.error(400, "the body is no JSON object"))
        else:
            await self.chat(asked, reply)

    async def _act(self, step: Step, reply: Reply, encode: Encode) -> None:  # noqa: C901, PLR0912 - a table of the steps
        match step:
            case Usage() | NoUsage():
                pass  # said by Finish
            case Wait(seconds):
                await asyncio.sleep(seconds)
            case Gate(event):
                await event.wait()
            case Head(headers, framed):
                await reply.head(headers, framed=framed)
            case Raw(data):
                await reply.send(_bytes(data))
            case Wire(data):
                await reply.wire(_bytes(data))
            case Flood(size):
                await reply.flood(size)
            case Drip(gap):
                reply.gap = gap
            case Status(code, body, headers):
                await reply.whole(code, self.error(code, f"scripted status {code}") if body is None else body, headers)
            case Html(code, page):
                await reply.whole(code, page, {"Content-Type": "text/html; charset=utf-8"})
            case Close():
                reply.close()
            case Reset():
                reply.reset()
            case Hang():
                await asyncio.Event().wait()
            case _:
                await reply.send(encode(step))


def run(kind: Callable[..., Upstream]) -> None:
    """Serve the scripts of a file as a process of its own: prints the address, and runs until terminated."""
    parser = argparse.ArgumentParser(description="A scripted upstream.")
    parser.add_argument("--port", type=int, default=0)
    parser.add_argument("--script", type=Path, required=True)
    arguments = parser.parse_args()
    told = json.loads(arguments.script.read_text(encoding="utf-8"))

    async def serve() -> None:
        async with kind(scripts(told), port=arguments.port) as upstream:
            sys.stdout.write(f"{upstream.url}\n")
            sys.stdout.flush()
            await upstream.serve_forever()

    asyncio.run(serve())


def _own(script: Script | Sequence[Script]) -> Script | Sequence[Script]:
    return script if isinstance(script, Script) else list(script)


def _next(known: dict[str, Script | Sequence[Script]], name: str) -> Script:
    entry = known[name]
    if isinstance(entry, Script):
        return entry
    if not entry:
        return Script(Status(500, f"no script is left for {name}"))
    first, *known[name] = entry
    return first


def _bytes(data: bytes | str) -> bytes:
    return data.encode() if isinstance(data, str) else data
