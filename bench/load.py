"""The load: so many connections, each asking one question after the other, every answer read to its end and checked.

Written on bare streams, so that it never is what is measured. Prints one line of JSON: requests a second, and quantiles of the latency.
"""

from __future__ import annotations

import argparse
import asyncio
import json
import statistics
import time
from collections.abc import Iterator
from dataclasses import asdict, dataclass

import uvloop

from bench.upstream import Script


class WrongAnswer(Exception):
    """An answer was cut, or is not what the upstream said."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Load:
    """What is asked, and the text that every right answer has."""

    port: int
    requests: int
    model: str
    connections: int
    stream: bool
    prompt: str
    expected: str

    def question(self) -> bytes:
        """The request as it goes out."""
        body = json.dumps({"model": self.model, "stream": self.stream, "messages": [{"role": "user", "content": self.prompt}]}).encode()
        fields = f"Host: 127.0.0.1:{self.port}\r\nContent-Type: application/json\r\nContent-Length: {len(body)}\r\n"
        return f"POST /v1/chat/completions HTTP/1.1\r\n{fields}\r\n".encode() + body


@dataclass(frozen=True, slots=True, kw_only=True)
class Result:
    """What came of it: milliseconds, but for the rate."""

    per_second: float
    median: float
    p90: float
    p99: float


async def run(load: Load) -> Result:
    """Ask everything; raises `WrongAnswer` at the first wrong one."""
    latencies: list[float] = []
    numbers = iter(range(load.requests))
    began = time.perf_counter()
    async with asyncio.TaskGroup() as group:
        for _ in range(load.connections):
            group.create_task(_ask(load, numbers, latencies))
    seconds = time.perf_counter() - began
    cuts = statistics.quantiles(latencies, n=100) if len(latencies) > 1 else latencies * 99
    return Result(per_second=load.requests / seconds, median=statistics.median(latencies), p90=cuts[89], p99=cuts[98])


async def _ask(load: Load, numbers: Iterator[int], latencies: list[float]) -> None:
    """One connection's share of the questions."""
    reader, writer = await asyncio.open_connection("127.0.0.1", load.port, limit=1 << 20)
    question = load.question()
    try:
        for _ in numbers:
            began = time.perf_counter()
            writer.write(question)
            body = await read_answer(reader)
            latencies.append((time.perf_counter() - began) * 1000)
            check(body, load)
    finally:
        writer.close()


async def read_answer(reader: asyncio.StreamReader) -> bytes:
    """The body of one answer with status 200."""
    head = (await reader.readuntil(b"\r\n\r\n")).lower()
    if b"transfer-encoding: chunked" in head:
        body = await _read_chunks(reader)
    else:
        body = await reader.readexactly(int(head.split(b"content-length:")[1].split(b"\r\n")[0]))
    if not head.startswith(b"http/1.1 200"):
        raise WrongAnswer(head.decode() + body.decode(errors="replace"))
    return body


async def _read_chunks(reader: asyncio.StreamReader) -> bytes:
    raw = b""
    while not raw.endswith(b"0\r\n\r\n"):
        if not (data := await reader.read(1 << 16)):
            raise WrongAnswer("the connection was cut")
        raw += data
    pieces: list[bytes] = []
    at = 0
    while True:
        size, begin = int(raw[at : (end := raw.index(b"\r\n", at))], 16), end + 2
        if not size:
            return b"".join(pieces)
        pieces.append(raw[begin : begin + size])
        at = begin + size + 2


def check(body: bytes, load: Load) -> None:
    """Whether an answer is complete, and is what the upstream said."""
    text, finish = _streamed(body) if load.stream else _whole(body)
    if finish != "stop" or text != load.expected:
        raise WrongAnswer(body.decode(errors="replace"))


def _whole(body: bytes) -> tuple[str, str]:
    choice = json.loads(body)["choices"][0]
    return choice["message"]["content"], choice["finish_reason"]


def _streamed(body: bytes) -> tuple[str, str | None]:
    events = [event[6:] for event in body.split(b"\n\n") if event.startswith(b"data: ")]
    if not events or events.pop() != b"[DONE]":
        raise WrongAnswer("the stream has no end mark")
    choices = [choice for event in events for choice in json.loads(event)["choices"]]
    text = "".join(choice["delta"].get("content") or "" for choice in choices)
    return text, next((choice["finish_reason"] for choice in choices if choice["finish_reason"]), None)


def main() -> None:
    """Run as a process of its own."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("port", type=int)
    parser.add_argument("--requests", type=int, default=1000)
    parser.add_argument("--connections", type=int, default=16)
    parser.add_argument("--model", default="fusion")
    parser.add_argument("--prompt", default="Say it.")
    parser.add_argument("--stream", action="store_true")
    parser.add_argument("--last", default=Script().last, help="the last piece of the right answer")
    options = vars(parser.parse_args())
    expected = "".join(Script(last=options.pop("last")).pieces)
    with asyncio.Runner(loop_factory=uvloop.new_event_loop) as loop:
        print(json.dumps(asdict(loop.run(run(Load(**options, expected=expected))))))


if __name__ == "__main__":
    main()
