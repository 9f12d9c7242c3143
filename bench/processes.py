"""What is measured runs as processes of its own, each kept on one core: the server under test on the first, everything else on the second."""

from __future__ import annotations

import json
import os
import socket
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager, nullcontext
from pathlib import Path

ROOT = Path(__file__).parent.parent
SERVER_CORE, LOAD_CORE = 0, 1
CORES = sorted(os.sched_getaffinity(0)) if sys.platform == "linux" else []


class NotReady(Exception):
    """A server did not come up."""


class WrongAnswers(Exception):
    """A load was not answered completely and rightly; what came instead is on its standard error."""


@contextmanager
def process(command: Sequence[str], *, core: int, home: Path | None = None) -> Iterator[subprocess.Popen[str]]:
    """A Python process of ours on one core, ended at the end. `home`: where it may write, its log too."""
    own = {name: str(home) for name in ("XDG_STATE_HOME", "XDG_CACHE_HOME", "XDG_RUNTIME_DIR", "XDG_CONFIG_HOME")} if home else {}
    environment = {**os.environ, **own, "PYTHONPATH": str(ROOT)}
    environment.pop("PYTHONDONTWRITEBYTECODE", None)  # ours is compiled once, as what is installed is
    with (
        (home / "log").open("w", encoding="utf-8") if home else nullcontext() as log,
        subprocess.Popen([*pinned(core), sys.executable, *command], env=environment, text=True, stdout=subprocess.PIPE, stderr=log) as child,
    ):
        try:
            yield child
        finally:
            child.terminate()


def pinned(core: int) -> list[str]:
    """The words before a command that keep it on one core, where there are two and Linux's `taskset`."""
    return ["taskset", "-c", str(CORES[core])] if len(CORES) > 1 else []


@contextmanager
def server(*command: str, core: int) -> Iterator[tuple[int, int]]:
    """One of the scripts of this package that print their port. Its port, and its process id."""
    with process(["-m", *command], core=core) as child:
        assert child.stdout is not None  # noqa: S101 - it is piped
        if not (line := child.stdout.readline()):
            raise NotReady(" ".join(command))
        yield int(line), child.pid


@contextmanager
def daemon(configuration: str) -> Iterator[tuple[int, int]]:
    """The daemon on a configuration that lacks only its address. Its port, and its process id."""
    with tempfile.TemporaryDirectory() as folder:
        port = free_port()
        with process(serve_command(configuration, port, Path(folder)), core=SERVER_CORE, home=Path(folder)) as child:
            wait_until_ready(port, child, Path(folder) / "log")
            yield port, child.pid


def serve_command(configuration: str, port: int, folder: Path) -> list[str]:
    """The words after `python` that start fusiond. Its configuration has a folder of its own, because the daemon watches that."""
    path = folder / "configuration" / "config.toml"
    path.parent.mkdir()
    path.write_text(f'[server]\nlisten = ["127.0.0.1:{port}"]\nmax_requests = 400\n\n{configuration}', encoding="utf-8")
    return ["-m", "fusiond", "serve", "--config", str(path)]


def free_port() -> int:
    """A port of the loopback interface on which nobody listens."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port: int = probe.getsockname()[1]
        return port


def wait_until_ready(port: int, child: subprocess.Popen[str], log: Path, seconds: float = 20.0) -> None:
    """Wait until `/readyz` says 200."""
    until = time.monotonic() + seconds
    while not ready(port):
        if child.poll() is not None or time.monotonic() > until:
            raise NotReady(f"fusiond on port {port}: exit code {child.returncode}\n{log.read_text(encoding='utf-8')}")
        time.sleep(0.001)


def ready(port: int) -> bool:
    """Whether the daemon on this port says that it is ready."""
    try:
        with socket.create_connection(("127.0.0.1", port), timeout=5) as connection:
            connection.sendall(b"GET /readyz HTTP/1.1\r\nHost: 127.0.0.1\r\nConnection: close\r\n\r\n")
            return connection.recv(64).startswith(b"HTTP/1.1 200")
    except OSError:
        return False


def load(port: int, *options: str) -> Mapping[str, float]:
    """What `bench.load` found on this port: every answer complete and right, or `WrongAnswers`."""
    with process(["-m", "bench.load", str(port), *options], core=LOAD_CORE) as child:
        output, _ = child.communicate()
    if child.returncode:
        raise WrongAnswers(f"port {port}, {' '.join(options)}")
    result: Mapping[str, float] = json.loads(output)
    return result


def cpu_seconds(pid: int) -> float:
    """Processor time that a process has used so far (Linux)."""
    fields = Path(f"/proc/{pid}/stat").read_text(encoding="utf-8").rpartition(")")[2].split()
    return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")


def memory_mib(pid: int, field: str = "VmRSS") -> float:
    """Memory that a process holds, or with `VmHWM` the most that it held (Linux)."""
    status = Path(f"/proc/{pid}/status").read_text(encoding="utf-8")
    return int(status.split(f"{field}:")[1].split()[0]) / 1024


def forget_peak(pid: int) -> None:
    """Let `VmHWM` count from what is held now (Linux)."""
    Path(f"/proc/{pid}/clear_refs").write_text("5", encoding="utf-8")
