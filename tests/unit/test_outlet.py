"""What goes out of one streamed response, byte for byte, on a real socket."""

from __future__ import annotations

import asyncio
from pathlib import Path

from aiohttp import web

from fusiond.merge import beside
from fusiond.outlet import Outlet

FULL = 66_000
"""Bytes that wait in a connection's buffer once its client does not read: more than it takes before whoever writes has to wait."""


async def test_nothing_comes_after_the_end(tmp_path: Path) -> None:
    """A client that reads the end late gets no sign of life behind it: that would stand before its next answer."""

    async def streamed(http: web.Request) -> web.StreamResponse:
        assert http.transport
        outlet = Outlet(http, lambda: {"Content-Type": "text/event-stream"}, keep_alive=b": keep-alive\n\n", heartbeat=0.05)
        async with beside(outlet.beat()):
            while http.transport.get_write_buffer_size() < FULL:
                await outlet.write(b"x" * 900)
            await outlet.write(b"data: [DONE]\n\n")
            return await outlet.end()

    app = web.Application()
    app.router.add_get("/", streamed)
    runner = web.AppRunner(app)
    await runner.setup()
    await web.UnixSite(runner, tmp_path / "socket").start()
    reader, writer = await asyncio.open_unix_connection(tmp_path / "socket", limit=1000)
    writer.write(b"GET / HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n")
    writer.transport.pause_reading()  # type: ignore[attr-defined]
    await asyncio.sleep(0.5)
    writer.transport.resume_reading()  # type: ignore[attr-defined]
    got = await asyncio.wait_for(reader.read(), 10)
    writer.close()
    await runner.cleanup()
    assert got.endswith(b"data: [DONE]\n\n\r\n0\r\n\r\n")
