"""The daemon at rest and under many streams: its memory, the time until it is ready, and 300 streams at once."""

from __future__ import annotations

import statistics
import tempfile
import time
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from bench.processes import LOAD_CORE, SERVER_CORE, daemon, forget_peak, free_port, load, memory_mib, process, serve_command, server, wait_until_ready
from bench.single import CONFIGURATION

LIBRARIES = "import aiohttp, pydantic, watchfiles; print(flush=True)"
GAP = 0.05
"""Seconds between the chunks of a stream: with 64 of them all streams are open at once for about three seconds."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Start:
    """Seconds until the daemon is ready, and until the libraries are imported, in pairs."""

    ready: Sequence[float]
    imported: Sequence[float]

    @property
    def ratio(self) -> float:
        """Of the medians."""
        return statistics.median(self.ready) / statistics.median(self.imported)


@dataclass(frozen=True, slots=True, kw_only=True)
class Memory:
    """Resident MiB: at rest, the most with so many streams at once, the most when the last of these comes again, and after all of them.

    Python keeps what it once had, so that memory that came back shows in `again`: the same streams need no more than the first time.
    """

    rest: float
    peaks: dict[int, float]
    again: float
    after: float


def start(*, pairs: int) -> Start:
    """Start the daemon and import the libraries in turn; the first of each only warms the file cache."""
    times = [(_ready_seconds(), _import_seconds()) for _ in range(pairs + 1)][1:]
    return Start(ready=[ready for ready, _ in times], imported=[imported for _, imported in times])


def _ready_seconds() -> float:
    with tempfile.TemporaryDirectory() as folder:
        command = serve_command(CONFIGURATION.format(upstream=free_port()), port := free_port(), Path(folder))
        began = time.perf_counter()
        with process(command, core=SERVER_CORE, home=Path(folder)) as child:
            wait_until_ready(port, child, Path(folder) / "log")
            return time.perf_counter() - began


def _import_seconds() -> float:
    began = time.perf_counter()
    with process(["-c", LIBRARIES], core=SERVER_CORE) as child:
        assert child.stdout is not None  # noqa: S101 - it is piped
        child.stdout.readline()
        return time.perf_counter() - began


def memory(*, streams: Sequence[int] = (100, 200, 300)) -> Memory:
    """Open so many streams at once, one number after the other; every stream is read to its right end."""
    with server("bench.upstream", "--gap", str(GAP), core=LOAD_CORE) as (upstream, _), daemon(CONFIGURATION.format(upstream=upstream)) as (port, pid):
        time.sleep(1)  # at rest
        rest = memory_mib(pid)
        peaks = {count: _peak(port, pid, count) for count in streams}
        again = _peak(port, pid, streams[-1])
        time.sleep(1)
        return Memory(rest=rest, peaks=peaks, again=again, after=memory_mib(pid))


def _peak(port: int, pid: int, count: int) -> float:
    forget_peak(pid)
    load(port, "--requests", str(count), "--connections", str(count), "--stream")
    return memory_mib(pid, "VmHWM")
