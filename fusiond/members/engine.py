"""The built-in engine's own process: llama.cpp's server for one model, on one unix socket that only the daemon can use.

One line of JSON on standard input says what to run; `ready` on standard output says that it answers. It ends when standard input does:
however the daemon ends, this ends with it, and takes its socket's directory along.
"""

from __future__ import annotations

import ctypes
import json
import os
import signal
import sys
from pathlib import Path
from typing import Any, TypedDict

READY = b"ready\n"
PROMPT_CACHE_MIB = 256
ERRORS_AND_WARNINGS = 2
BATCH = 256
"""Tokens. A prompt is read in such steps, and between two of them the engine notices that its client is gone; larger ones read no faster."""

PR_SET_PDEATHSIG = 1


class Order(TypedDict):
    """What to run: `context` tokens for each of `parallel` calls at once; `threads` None: the engine chooses; `parent`: the daemon's process."""

    model: str
    socket: str
    key: str
    context: int
    parallel: int
    threads: int | None
    parent: int


def main() -> None:
    """Serve until standard input ends."""
    for ignored in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):
        signal.signal(ignored, signal.SIG_IGN)  # they go to the daemon's whole group, and requests in flight are finished first
    order: Order = json.loads(sys.stdin.readline())
    _end_with_parent(signal.SIGKILL)  # while a model is loaded nothing here can watch standard input
    if os.getppid() != order["parent"]:
        _leave(order)
    _server = _start(order)  # it ends when nobody holds it
    _end_with_parent(0)
    sys.stdout.buffer.write(READY)
    sys.stdout.buffer.flush()
    sys.stdin.read()
    _leave(order)


def _start(order: Order) -> Any:
    """llama.cpp's server, loaded and listening; it lives in threads of its own."""
    import xllamacpp  # noqa: PLC0415  (heavy, and absent without the extra: nothing but this process may import it)

    params = xllamacpp.CommonParams()
    params.model.path = order["model"]
    params.hostnames = [order["socket"]]
    params.api_keys = [order["key"]]
    params.n_parallel = order["parallel"]
    params.n_ctx = order["context"] * order["parallel"]
    params.n_batch = params.n_ubatch = BATCH
    params.n_threads_http = 4 * order["parallel"] + 4  # an idle connection holds one too, and so does a client that has just left
    params.kv_unified = False  # each call has its whole context, whatever the others fill
    params.cache_ram_mib = PROMPT_CACHE_MIB
    params.ui = params.endpoint_slots = params.endpoint_props = params.endpoint_metrics = False
    params.offline = True
    params.verbosity = ERRORS_AND_WARNINGS
    if order["threads"] is not None:
        params.cpuparams.n_threads = order["threads"]
    try:
        return xllamacpp.Server(params)
    except RuntimeError:
        sys.exit(1)  # the server has said why


def _end_with_parent(number: int) -> None:
    """Linux only: the signal to get when the thread that started this process ends (0: none)."""
    if sys.platform == "linux":
        ctypes.CDLL(None, use_errno=True).prctl(PR_SET_PDEATHSIG, number, 0, 0, 0)


def _leave(order: Order) -> None:
    """End at once: there is nobody left to answer, and the server's own clean-up waits for answers in progress."""
    socket = Path(order["socket"])
    try:
        socket.unlink(missing_ok=True)
        socket.parent.rmdir()
    finally:
        os._exit(0)


if __name__ == "__main__":
    main()
