"""What the ledger and the records cost: the daemon beside itself without them, by processor time; and a rush of paid requests with and without a cap.

Free and paid requests go to the same scripted upstream, which is `local` and free, or `remote` with a price of its own.
"""

from __future__ import annotations

import asyncio
import statistics
import tempfile
import time
from collections.abc import Awaitable, Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from decimal import Decimal
from pathlib import Path

from bench.processes import LOAD_CORE, SERVER_CORE, cpu_seconds, free_port, load, process, serve_command, server, wait_until_ready
from fusiond.store.ledger import Ledger, PaidCall
from fusiond.store.records import Records
from fusiond.store.requests import RequestRow

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
YEAR, DAY = 100_000, 86_400.0
COST = Decimal("0.00014085")


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
    with (
        server("bench.upstream", "--first", "0.2", core=LOAD_CORE) as (upstream, _),
        _daemon(CONFIGURATION.format(upstream=upstream, **CAPPED)) as capped,
        _daemon(CONFIGURATION.format(upstream=upstream, **FREE)) as free,
    ):
        for each in (capped, free):
            _rushed(each[0])
        runs = [(_rushed(capped[0]), _rushed(free[0])) for _ in range(pairs)]
    return Cost(kept=[ours for ours, _ in runs], bare=[theirs for _, theirs in runs])


@dataclass(frozen=True, slots=True, kw_only=True)
class Reading:
    """Processor milliseconds of a page of requests, and of all costs by day, member and fusion."""

    page: float
    costs: float


def reading() -> Reading:
    """A year of records and paid calls, and how long it takes to read of them what people ask for."""
    with tempfile.TemporaryDirectory() as folder:
        return asyncio.run(_read(Path(folder)))


async def _read(folder: Path) -> Reading:
    now = time.time()
    moment = now - 365 * DAY
    records, ledger = Records(folder, clock=lambda: moment), Ledger(folder, clock=lambda: moment)
    await records.open()
    await ledger.open()
    for number in range(YEAR):
        moment += 365 * DAY / YEAR
        records.add(_row(number, moment))
        member = f"member{number % 5}"
        ledger.settle(ledger.reserve(PaidCall(request=str(number), fusion="fusion/default", member=member, provider="p"), COST), COST)
        if number % 5000 == 0:
            await records.flushed()
            await ledger.durable()
    page = await _timed(lambda: records.requests(limit=50, status=502))
    costs = await _timed(ledger.costs)
    await records.aclose()
    await ledger.aclose()
    return Reading(page=page, costs=costs)


async def _timed(read: Callable[[], Awaitable[object]]) -> float:
    await read()
    before = time.process_time()
    await read()
    return (time.process_time() - before) * 1000


def _row(number: int, moment: float) -> RequestRow:
    member: dict[str, str | int | float | None] = {
        "member": "a",
        "sample": 1,
        "role": "panel",
        "place": "local",
        "status": "answered",
        "key": "b",
        "cost_usd": "0",
        "error": None,
    }
    return RequestRow(
        id=f"{number:024x}",
        time=moment,
        model="fusion",
        fusion="default",
        strategy="vote",
        status=502 if number % 1000 == 0 else 200,
        decision="agreed",
        confidence=0.9,
        agreement=1.0,
        key="b",
        degraded=(),
        privacy="any",
        error=None,
        milliseconds=1000.0,
        prompt_tokens=100,
        completion_tokens=50,
        cost_usd=COST,
        saved_usd=COST,
        members=(member, member, member),
    )


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
