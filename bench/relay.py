"""The relay that `single` is measured against: the same libraries, one upstream, and nothing but its work.

It parses its upstream's stream and writes every chunk anew, or folds the chunks into one whole answer. Prints its port; runs until terminated.
"""

from __future__ import annotations

import argparse
import asyncio
import json
import time
import uuid
from collections.abc import AsyncIterator
from typing import Any

import aiohttp
import uvloop
from aiohttp import web

Json = dict[str, Any]
UPSTREAM: web.AppKey[str] = web.AppKey("UPSTREAM", str)
CLIENT: web.AppKey[aiohttp.ClientSession] = web.AppKey("CLIENT", aiohttp.ClientSession)


async def chat(request: web.Request) -> web.StreamResponse:
    """`POST /v1/chat/completions`, whole or streamed."""
    question = await request.json()
    asked = {**question, "stream": True, "stream_options": {"include_usage": True}}
    async with request.app[CLIENT].post(request.app[UPSTREAM] + "/chat/completions", json=asked) as upstream:
        upstream.raise_for_status()
        if question.get("stream"):
            return await streamed(request, question["model"], chunks(upstream))
        return await whole(question["model"], chunks(upstream))


async def chunks(upstream: aiohttp.ClientResponse) -> AsyncIterator[Json]:
    """The chunks of an upstream's stream; one that stops before its end mark is an error."""
    async for line in upstream.content:
        if line.startswith(b"data: "):
            data = line[6:].strip()
            if data == b"[DONE]":
                return
            yield json.loads(data)
    raise web.HTTPBadGateway(text="the upstream's stream was cut")


async def streamed(request: web.Request, model: str, heard: AsyncIterator[Json]) -> web.StreamResponse:
    """Every chunk as an event of ours."""
    response = web.StreamResponse(headers={"Content-Type": "text/event-stream", "Cache-Control": "no-cache"})
    await response.prepare(request)
    name, created = f"chatcmpl-{uuid.uuid4().hex}", int(time.time())
    async for chunk in heard:
        if chunk["choices"]:
            ours = {"id": name, "object": "chat.completion.chunk", "created": created, "model": model, "choices": chunk["choices"]}
            await response.write(b"data: " + json.dumps(ours).encode() + b"\n\n")
    await response.write(b"data: [DONE]\n\n")
    await response.write_eof()
    return response


async def whole(model: str, heard: AsyncIterator[Json]) -> web.Response:
    """All chunks as one answer."""
    pieces: list[str] = []
    finish, usage = None, None
    async for chunk in heard:
        usage = chunk.get("usage") or usage
        for choice in chunk["choices"]:
            pieces.append(choice["delta"].get("content") or "")
            finish = choice["finish_reason"] or finish
    message = {"role": "assistant", "content": "".join(pieces)}
    choices = [{"index": 0, "message": message, "finish_reason": finish}]
    return web.json_response(
        {
            "id": f"chatcmpl-{uuid.uuid4().hex}",
            "object": "chat.completion",
            "created": int(time.time()),
            "model": model,
            "choices": choices,
            "usage": usage,
        }
    )


async def client(app: web.Application) -> AsyncIterator[None]:
    """One pooled client for all requests."""
    async with aiohttp.ClientSession(connector=aiohttp.TCPConnector(limit=0)) as session:
        app[CLIENT] = session
        yield


async def serve(upstream: str) -> None:
    """Relay on a free port of the loopback interface until terminated."""
    app = web.Application(client_max_size=64 << 20)
    app[UPSTREAM] = upstream
    app.cleanup_ctx.append(client)
    app.router.add_post("/v1/chat/completions", chat)
    runner = web.AppRunner(app, access_log=None, handler_cancellation=True)
    await runner.setup()
    site = web.TCPSite(runner, "127.0.0.1", 0, backlog=1024)
    await site.start()
    print(runner.addresses[0][1], flush=True)
    await asyncio.Event().wait()


def main() -> None:
    """Run as a process of its own."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("upstream", help="base URL, with /v1")
    with asyncio.Runner(loop_factory=uvloop.new_event_loop) as loop:
        loop.run(serve(parser.parse_args().upstream))


if __name__ == "__main__":
    main()
