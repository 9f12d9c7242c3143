"""What the ledger and the records cost: the daemon beside itself without them, by processor time; and a rush of paid requests with and without a cap.

Free and paid requests go to the same scripted upstream, which is `local` and free, or `remote` with a price of its own.
"""

from __future__ import annotations

import statistics
import tempfile
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from bench.processes import LOAD_CORE, SERVER_CORE, cpu_seconds, free_port, load, process, serve_command, server, wait_until_ready

CONFIGURATION = """
[providers.scripted]
api = "openai"
url = "http://127.0.0.1:{upstream}/v1"
place = "{place}"

[members.scripted]
provider = "scripted"
model = "scripted"
{price}

[fusions.default]
strategy = "single"
panel = ["scripted"]

{budget}
"""
FREE = {"place": "local", "price": "", "budget": ""}
PAID = {"place": "remote", "price": "price = { input = 0.01, output = 0.01 }", "budget": "[budget]"}
CAPPED = {**PAID, "budget": "[budget]\nper_request_usd = 1.0\nper_day_usd = 100000.0\nper_month_usd = 1000000.0"}
RUSH = 200


@dataclass(frozen=True, slots=True, kw_only=True)
class Cost:
    """Runs in pairs: with the books, and without. Processor milliseconds a request, or seconds for a rush."""

    kept: Sequence[float]
    bare: Sequence[float]

    @property
    def ratio(self) -> float:
        """Of the medians."""
        return statistics.median(self.kept) / statistics.median(self.bare)


def compare(*, paid: bool, pairs: int, requests: int) -> Cost:
    """A request's processor time with and without ledger and records."""
    with server("bench.upstream", core=LOAD_CORE) as (upstream, _):
        configuration = CONFIGURATION.format(upstream=upstream, **(CAPPED if paid else FREE))
        with _daemon(configuration) as kept, _daemon(configuration, "bench.unrecorded") as bare:
            for each in (kept, bare):
                _processor(*each, requests=requests // 4)  # warm
            runs = [(_processor(*kept, requests=requests), _processor(*bare, requests=requests)) for _ in range(pairs)]
    return Cost(kept=[ours for ours, _ in runs], bare=[theirs for _, theirs in runs])


def rush(*, pairs: int) -> Cost:
    """So many paid requests at once, under caps and without: how long until the last has its answer."""
    with server("bench.upstream", "--first", "0.2", core=LOAD_CORE) as (upstream, _):
        with (
            _daemon(CONFIGURATION.format(upstream=upstream, **CAPPED)) as capped,
            _daemon(CONFIGURATION.format(upstream=upstream, **FREE)) as free,
        ):
            for each in (capped, free):
                _rushed(each[0])
            runs = [(_rushed(capped[0]), _rushed(free[0])) for _ in range(pairs)]
    return Cost(kept=[ours for ours, _ in runs], bare=[theirs for _, theirs in runs])


@contextmanager
def _daemon(configuration: str, module: str = "fusiond") -> Iterator[tuple[int, int]]:
    with tempfile.TemporaryDirectory() as folder:
        port = free_port()
        command = ["-m", module, *serve_command(configuration, port, Path(folder))[2:]]
        with process(command, core=SERVER_CORE, home=Path(folder)) as child:
            wait_until_ready(port, child, Path(folder) / "log")
            yield port, child.pid


def _processor(port: int, pid: int, *, requests: int) -> float:
    before = cpu_seconds(pid)
    load(port, "--requests", str(requests), "--stream")
    return (cpu_seconds(pid) - before) / requests * 1000


def _rushed(port: int) -> float:
    began = time.monotonic()
    load(port, "--requests", str(RUSH), "--connections", str(RUSH), "--stream")
    return time.monotonic() - began
