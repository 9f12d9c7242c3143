"""`single` against the relay: 16 connections, answers of 64 chunks, the server on one core and the load with its upstream on the other.

Both servers stand all the time, and the same load goes to one and the other in turn. The ratio is that of the medians of requests a second; beside it
that of requests a second of the server's own processor time, which a busy machine disturbs less.

An upstream that writes as fast as it can fills the server's reads with many events, which go on together. At a pace, as a model speaks, every
event is a read of its own: then nobody is busy all the time, and only processor time compares.
"""

from __future__ import annotations

import statistics
from collections.abc import Sequence
from dataclasses import dataclass

from bench.processes import LOAD_CORE, SERVER_CORE, cpu_seconds, daemon, load, server

CONFIGURATION = """
[providers.scripted]
api = "openai"
url = "http://127.0.0.1:{upstream}/v1"

[members.scripted]
provider = "scripted"
model = "scripted"

[fusions.default]
strategy = "single"
panel = ["scripted"]
"""


@dataclass(frozen=True, slots=True, kw_only=True)
class Rate:
    """One run: requests a second by the clock, a second of the server's processor time, and the median latency in milliseconds."""

    clock: float
    processor: float
    median: float


@dataclass(frozen=True, slots=True, kw_only=True)
class Comparison:
    """The runs of one way of answering, in pairs."""

    stream: bool
    relay: Sequence[Rate]
    fusiond: Sequence[Rate]

    @property
    def ratio(self) -> float:
        """Of the medians, by the clock."""
        return statistics.median(each.clock for each in self.fusiond) / statistics.median(each.clock for each in self.relay)

    @property
    def spread(self) -> tuple[float, float]:
        """The lowest and the highest ratio of a pair, by the clock."""
        ratios = [ours.clock / theirs.clock for ours, theirs in zip(self.fusiond, self.relay, strict=True)]
        return min(ratios), max(ratios)

    @property
    def processor_ratio(self) -> float:
        """Of the medians, by the server's processor time."""
        return statistics.median(each.processor for each in self.fusiond) / statistics.median(each.processor for each in self.relay)


def compare(*, pairs: int, requests: int, gap: float = 0.0) -> list[Comparison]:
    """Streamed and whole, so many pairs of runs each; `gap`: seconds between the upstream's events."""
    with (
        server("bench.upstream", "--gap", str(gap), core=LOAD_CORE) as (upstream, _),
        server("bench.relay", f"http://127.0.0.1:{upstream}/v1", core=SERVER_CORE) as relay,
        daemon(CONFIGURATION.format(upstream=upstream)) as fusiond,
    ):
        return [_compare(relay, fusiond, stream=stream, pairs=pairs, requests=requests) for stream in (True, False)]


def _compare(relay: tuple[int, int], fusiond: tuple[int, int], *, stream: bool, pairs: int, requests: int) -> Comparison:
    for each in (relay, fusiond):
        _rate(*each, stream=stream, requests=requests // 4)  # warm
    rates = [(_rate(*relay, stream=stream, requests=requests), _rate(*fusiond, stream=stream, requests=requests)) for _ in range(pairs)]
    return Comparison(stream=stream, relay=[theirs for theirs, _ in rates], fusiond=[ours for _, ours in rates])


def _rate(port: int, pid: int, *, stream: bool, requests: int) -> Rate:
    before = cpu_seconds(pid)
    options = ["--requests", str(requests), *(["--stream"] if stream else [])]
    result = load(port, *options)
    return Rate(clock=result["per_second"], processor=requests / (cpu_seconds(pid) - before), median=result["median"])
