"""A scripted OpenAI-compatible upstream: every question gets the same streamed answer, as fast as it can be written or at a given pace.

Written on bare sockets, so that it never is what is measured. Prints its port, and runs until it is terminated.
"""

from __future__ import annotations

import argparse
import asyncio
import json
from abc import abstractmethod
from dataclasses import dataclass

HEAD = b"HTTP/1.1 200 OK\r\nContent-Type: text/event-stream\r\nTransfer-Encoding: chunked\r\n\r\n"
END = b"0\r\n\r\n"
MODELS = b'{"object":"list","data":[{"id":"scripted","object":"model","created":1767225600,"owned_by":"bench"}]}'


@dataclass(frozen=True, slots=True, kw_only=True)
class Script:
    """What is said: `chunks` pieces, the last of them `last`; `group` of them in one write, `gap` seconds between writes, `first` before all."""

    chunks: int = 64
    group: int = 1
    first: float = 0.0
    gap: float = 0.0
    last: str = "end"

    @property
    def pieces(self) -> list[str]:
        """The pieces of the answer's text."""
        return [f"word{number} " for number in range(self.chunks - 1)] + [self.last]

    def writes(self) -> list[bytes]:
        """The stream as it is written: each item one HTTP chunk, of `group` events."""
        steps = [{"role": "assistant", "content": piece} if not place else {"content": piece} for place, piece in enumerate(self.pieces)]
        events = [_event(choices=[{"index": 0, "delta": delta, "finish_reason": None}]) for delta in steps]
        events.append(_event(choices=[{"index": 0, "delta": {}, "finish_reason": "stop"}]))
        events.append(_event(choices=[], usage={"prompt_tokens": 9, "completion_tokens": self.chunks, "total_tokens": self.chunks + 9}))
        events.append(b"data: [DONE]\n\n")
        return [_chunked(b"".join(events[at : at + self.group])) for at in range(0, len(events), self.group)]


def _event(**fields: object) -> bytes:
    chunk = {"id": "chatcmpl-bench", "object": "chat.completion.chunk", "created": 1767225600, "model": "scripted", **fields}
    return b"data: " + json.dumps(chunk, separators=(",", ":")).encode() + b"\n\n"


def _chunked(data: bytes) -> bytes:
    return b"%x\r\n%b\r\n" % (len(data), data)


def streamed(text: str, *, prompt_tokens: int, completion_tokens: int) -> bytes:
    """A whole answer in one write, its text as one event."""
    usage = {"prompt_tokens": prompt_tokens, "completion_tokens": completion_tokens, "total_tokens": prompt_tokens + completion_tokens}
    events = [
        _event(choices=[{"index": 0, "delta": {"role": "assistant", "content": text}, "finish_reason": None}]),
        _event(choices=[{"index": 0, "delta": {}, "finish_reason": "stop"}]),
        _event(choices=[], usage=usage),
        b"data: [DONE]\n\n",
    ]
    return HEAD + _chunked(b"".join(events)) + END


class Connection(asyncio.Protocol):
    """One client: reads a request to the end of its body, answers, and waits for the next."""

    def __init__(self) -> None:
        self._heard = b""

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """A client came."""
        assert isinstance(transport, asyncio.Transport)  # noqa: S101 - the event loop's promise
        self._transport = transport

    def data_received(self, data: bytes) -> None:
        """More of a request."""
        self._heard += data
        head, found, body = self._heard.partition(b"\r\n\r\n")
        if not found or len(body) < _length(head):
            return
        self._heard = body[_length(head) :]
        if head.startswith(b"GET "):
            self.write(b"HTTP/1.1 200 OK\r\nContent-Type: application/json\r\nContent-Length: %d\r\n\r\n%b" % (len(MODELS), MODELS))
        else:
            self.answer(body[: _length(head)])

    def write(self, data: bytes) -> None:
        """Say it."""
        self._transport.write(data)

    @abstractmethod
    def answer(self, body: bytes) -> None:
        """Answer a question, of which this is the body."""


class Scripted(Connection):
    """One client, which hears the same whatever it asks."""

    def __init__(self, script: Script) -> None:
        super().__init__()
        self._script = script
        self._writes = script.writes()
        self._pending: asyncio.TimerHandle | None = None

    def connection_lost(self, exc: Exception | None) -> None:  # noqa: ARG002 - the event loop's signature
        """A client left: it wants no more."""
        if self._pending is not None:
            self._pending.cancel()

    def answer(self, body: bytes) -> None:  # noqa: ARG002 - whatever it is
        """Say what the script says."""
        if self._script.first or self._script.gap:
            loop = asyncio.get_running_loop()
            self._pending = loop.call_later(self._script.first, self._pace, HEAD, 0, loop.time() + self._script.first)
            return
        self.write(HEAD + self._writes[0])
        for write in self._writes[1:]:
            self.write(write)
        self.write(END)

    def _pace(self, before: bytes, place: int, due: float) -> None:
        if (place + 1) * self._script.group >= self._script.chunks:  # the last words, and with them the end
            self.write(before + b"".join(self._writes[place:]) + END)
            return
        self.write(before + self._writes[place])
        due += self._script.gap
        self._pending = asyncio.get_running_loop().call_at(due, self._pace, b"", place + 1, due)


def _length(head: bytes) -> int:
    for line in head.split(b"\r\n"):
        name, _, value = line.partition(b":")
        if name.lower() == b"content-length":
            return int(value)
    return 0


async def serve(script: Script) -> None:
    """Answer on a free port of the loopback interface until terminated."""
    server = await asyncio.get_running_loop().create_server(lambda: Scripted(script), "127.0.0.1", 0, backlog=1024)
    print(server.sockets[0].getsockname()[1], flush=True)
    await server.serve_forever()


def main() -> None:
    """Run as a process of its own."""
    parser = argparse.ArgumentParser(description=__doc__)
    usual = Script()
    parser.add_argument("--chunks", type=int, default=usual.chunks)
    parser.add_argument("--group", type=int, default=usual.group)
    parser.add_argument("--first", type=float, default=usual.first)
    parser.add_argument("--gap", type=float, default=usual.gap)
    parser.add_argument("--last", default=usual.last)
    asyncio.run(serve(Script(**vars(parser.parse_args()))))


if __name__ == "__main__":
    main()
