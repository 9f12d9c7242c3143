"""The built-in engine's processes: one for each model, started by the first question, shared by all who ask, ended with the daemon.

A load belongs to the daemon: whoever waits for it may leave, and it goes on. They outlive revisions of the configuration.
"""

from __future__ import annotations

import asyncio
import hashlib
import json
import os
import re
import secrets
import sys
import tempfile
from asyncio.subprocess import PIPE
from collections import deque
from collections.abc import AsyncIterator, Coroutine, Iterator
from contextlib import asynccontextmanager, contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Protocol

from fusiond.errors import MemberError, TimedOut, Unreachable, Unwilling
from fusiond.members import State
from fusiond.members.engine import READY, Order
from fusiond.places import default_socket, private_directory

LOAD_SECONDS = 300.0
"""A model that has not loaded by then never will."""

CRASHES, CRASH_SECONDS = 3, 60.0
"""So many ends within that time, and the engine is left alone for as long."""

DYING_SECONDS = 1.0
LAST_WORDS, LAST_LINES = 2000, 3
OUTPUT_LIMIT = 1 << 20
_LOG_PREFIX = re.compile(r"^[\d.]+ [A-Z] \w+ +")
SOCKET = "s.sock"
"""llama.cpp takes a host's name with that ending for a socket's path."""

LONGEST_BASE = 80
"""Bytes: with `engine-XXXXXXXX/s.sock` below it, a path fits into the 103 that macOS takes (Linux: 107)."""

ENVIRONMENT = ("PATH", "HOME", "LANG", "LC_ALL", "TMPDIR", "LD_LIBRARY_PATH", "PYTHONPATH", "PYTHONHOME", "CUDA_VISIBLE_DEVICES")
"""What the process gets of the daemon's environment: no keys of providers."""


class Spawn(Protocol):
    """The daemon's own task, which outlives the request that caused it."""

    def __call__(self, work: Coroutine[Any, Any, None], /) -> asyncio.Task[None]:
        """Begin *work*."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Setup:
    """What one process runs. `context` in tokens, for each of `parallel` calls at once; `sha256` None: the file is taken as it is."""

    model: Path
    sha256: str | None
    context: int
    parallel: int
    threads: int | None


@dataclass(frozen=True, slots=True, kw_only=True)
class Endpoint:
    """A running process's socket, and the key that it wants; both are new with every start."""

    socket: Path
    key: str = field(repr=False)


class Engines:
    """All processes of the built-in engine, by what they run."""

    def __init__(self, spawn: Spawn) -> None:
        self._spawn = spawn
        self._engines: dict[Setup, Engine] = {}

    def engine(self, setup: Setup) -> Engine:
        """The one engine that runs *setup*; it is not started by being named."""
        if setup not in self._engines:
            self._engines[setup] = Engine(setup, self._spawn)
        return self._engines[setup]

    async def aclose(self) -> None:
        """End all processes, and remove their sockets."""
        for engine in self._engines.values():
            await engine.aclose()


class Engine:
    """One model's process, or the absence of it."""

    def __init__(self, setup: Setup, spawn: Spawn) -> None:
        self._setup = setup
        self._spawn = spawn
        self._life: asyncio.Task[None] | None = None
        self._loaded: asyncio.Future[Endpoint | MemberError] | None = None
        self._ends: deque[float] = deque(maxlen=CRASHES)
        self._failure: MemberError | None = None

    @property
    def state(self) -> State:
        """`cold`: the next question loads it."""
        if self._loaded is None:
            return "cold"
        return "ready" if self._loaded.done() else "loading"

    async def endpoint(self, deadline: float) -> Endpoint:
        """Where the model answers; starts its process where there is none, and waits until *deadline* (the loop's clock) at most.

        Raises `TimedOut` while it still loads, `Unreachable` where it does not start, `Unwilling` where it ended too often.
        """
        loaded = self._loaded or self._start()
        if not loaded.done():
            await asyncio.wait({loaded}, timeout=max(0.0, deadline - asyncio.get_running_loop().time()))
        if not loaded.done():
            raise TimedOut(f"{self._setup.model.name} is still being loaded")
        if isinstance(outcome := loaded.result(), MemberError):
            raise outcome
        return outcome

    async def ended(self) -> bool:
        """After a broken connection: its process has most likely died. Wait a moment until that is known, so that the next call starts another."""
        return self._life is None or bool((await asyncio.wait({self._life}, timeout=DYING_SECONDS))[0])

    async def aclose(self) -> None:
        """End the process."""
        if self._life is not None:
            if not self._life.cancelling():  # else it is ending already, and is to end in order
                self._life.cancel()
            await asyncio.wait({self._life})

    def _start(self) -> asyncio.Future[Endpoint | MemberError]:
        loop = asyncio.get_running_loop()
        if len(self._ends) == CRASHES and self._ends[-1] - self._ends[0] < CRASH_SECONDS:
            again = self._ends[-1] + CRASH_SECONDS - loop.time()
            if again > 0:
                raise Unwilling(f"{self._failure} ({CRASHES} times within a minute; tried again in {again:.0f} s)", retry_after=again)
        self._loaded = loop.create_future()
        self._life = self._spawn(self._live(self._loaded))
        return self._loaded

    async def _live(self, loaded: asyncio.Future[Endpoint | MemberError]) -> None:
        """One process from its start to its end, however it comes; whoever waits for it hears of it."""
        failure: MemberError = Unreachable("the daemon is shutting down")
        try:
            await asyncio.to_thread(check, self._setup)
            failure = Unreachable(f"the engine ended: {await self._run(loaded)}")
        except TimeoutError:
            failure = Unreachable(f"{self._setup.model.name} did not load within {LOAD_SECONDS:.0f} s")
        except OSError as error:
            failure = Unreachable(f"the engine cannot start: {error}")
        except MemberError as error:
            failure = error
        finally:
            self._failure = failure
            self._ends.append(asyncio.get_running_loop().time())
            self._loaded = None
            if not loaded.done():
                loaded.set_result(failure)

    async def _run(self, loaded: asyncio.Future[Endpoint | MemberError]) -> str:
        """Start the process and stay with it; its last words."""
        with socket_directory() as directory:
            endpoint = Endpoint(socket=directory / SOCKET, key=secrets.token_urlsafe(32))
            async with process(self._order(endpoint)) as (output, errors):
                async with asyncio.timeout(LOAD_SECONDS):
                    ready = await output.readline() == READY
                if ready:
                    loaded.set_result(endpoint)
                return await last_words(errors)

    def _order(self, endpoint: Endpoint) -> Order:
        return Order(
            model=str(self._setup.model),
            socket=str(endpoint.socket),
            key=endpoint.key,
            context=self._setup.context,
            parallel=self._setup.parallel,
            threads=self._setup.threads,
            parent=os.getpid(),
        )


def check(setup: Setup) -> None:
    """Raises `Unwilling` where the model's file is not the one it should be, OSError where it cannot be read."""
    with setup.model.open("rb") as file:
        if setup.sha256 is not None and hashlib.file_digest(file, "sha256").hexdigest() != setup.sha256:
            raise Unwilling(f"{setup.model} is damaged, or another file: its SHA-256 is not {setup.sha256}; remove it and install it again")


@contextmanager
def socket_directory() -> Iterator[Path]:
    """A new directory for this user alone, with a name short enough for a socket in it; removed in the end."""
    runtime = default_socket().parent
    base = private_directory(runtime) if len(os.fsencode(runtime)) <= LONGEST_BASE else Path(tempfile.gettempdir())
    with tempfile.TemporaryDirectory(prefix="engine-", dir=base, ignore_cleanup_errors=True) as directory:
        yield Path(directory)


@asynccontextmanager
async def process(order: Order) -> AsyncIterator[tuple[asyncio.StreamReader, asyncio.StreamReader]]:
    """The engine's process with its output and errors, until it ends; killed where the block ends before it."""
    environment = {name: os.environ[name] for name in ENVIRONMENT if name in os.environ}
    child = await asyncio.create_subprocess_exec(
        sys.executable, "-m", "fusiond.members.engine", stdin=PIPE, stdout=PIPE, stderr=PIPE, limit=OUTPUT_LIMIT, env=environment
    )
    assert child.stdin and child.stdout and child.stderr  # noqa: S101, PT018  (pipes, as asked for)
    try:
        child.stdin.write(json.dumps(order).encode() + b"\n")
        yield child.stdout, child.stderr
    except BaseException:
        if child.returncode is None:
            child.kill()
        raise
    finally:
        await child.wait()


async def last_words(errors: asyncio.StreamReader) -> str:
    """The end of what the process says of itself, once it has ended."""
    words = b""
    while said := await errors.read(LAST_WORDS):
        words = (words + said)[-LAST_WORDS:]
    lines = [_LOG_PREFIX.sub("", line) for line in words.decode(errors="replace").splitlines()]
    return "; ".join(lines[-LAST_LINES:]) or "without a word"
