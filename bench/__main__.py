"""All measurements, printed as the Markdown table that README shows: `python -m bench [single] [vote] [deciding] [money] [rest]`."""

from __future__ import annotations

import argparse
import os
import platform
import statistics
import sys
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path

from bench import deciding, money, rest, single, vote
from bench.processes import CORES, LOAD_CORE

Lines = Iterator[tuple[str, str]]

PACE = 0.003
"""Seconds between the events of an upstream that speaks one by one: quick for a model, slow for a server."""


def machine() -> str:
    """The machine in one line."""
    names = [
        line.partition(":")[2].strip() for line in Path("/proc/cpuinfo").read_text(encoding="utf-8").splitlines() if line.startswith("model name")
    ]
    return f"{names[0] if names else platform.machine()}, {len(CORES)} cores, {platform.system()}, Python {platform.python_version()}"


def single_lines(pairs: int) -> Lines:
    """`single` against the relay."""
    for each in single.compare(pairs=pairs, requests=1000):
        ours, theirs = (statistics.median(rate.clock for rate in rates) for rates in (each.fusiond, each.relay))
        low, high = each.spread
        yield (
            f"`single`, {'streamed' if each.stream else 'whole'}, 16 connections, 64 chunks: requests a second against a bare relay's",
            f"**{each.ratio:.2f}** ({low:.2f} to {high:.2f}): {ours:.0f} / {theirs:.0f}; by processor time {each.processor_ratio:.2f}",
        )
    for each in single.compare(pairs=pairs, requests=250, gap=PACE):
        how = "streamed" if each.stream else "whole"
        yield f"the same, {how}, events one by one, {PACE * 1000:.0f} ms apart: by processor time", f"{each.processor_ratio:.2f}"


def vote_lines(pairs: int) -> Lines:
    """`vote` against the slowest needed member."""
    for each in vote.compare(pairs=pairs):
        fused, alone = statistics.median(each.fused), statistics.median(each.alone)
        yield (
            f"`vote` of three, {each.needed} needed: time against the slowest needed member's own",
            f"**{each.ratio:.3f}**: {fused:.0f} / {alone:.0f} ms",
        )


def rest_lines(pairs: int) -> Lines:
    """Start, and memory."""
    start = rest.start(pairs=pairs)
    ready, imported = statistics.median(start.ready), statistics.median(start.imported)
    yield "ready after the start, against importing aiohttp, pydantic and watchfiles", f"**{start.ratio:.2f}**: {ready:.2f} / {imported:.2f} s"
    memory = rest.memory()
    yield "memory at rest, without the built-in engine", f"**{memory.rest:.0f} MiB**"
    most = "; ".join(f"{count}: {peak:.0f} MiB, {(peak - memory.rest) * 1024 / count:.0f} KiB each" for count, peak in memory.peaks.items())
    yield (
        "memory with so many streams at once, all of them complete",
        f"{most}; the same again: {memory.again:.0f} MiB; afterwards {memory.after:.0f} MiB",
    )


def deciding_lines(pairs: int) -> Lines:
    """What the policy takes."""
    median, most = deciding.median(requests=100 * pairs)
    yield (
        "`cascade` of five locals and two paid members: processor time of all decisions on a request",
        f"**{median:.2f} ms** (nine of ten below {most:.2f})",
    )


def money_lines(pairs: int) -> Lines:
    """Ledger and records, against the daemon without them."""
    for paid in (False, True):
        cost = money.compare(paid=paid, pairs=pairs, requests=1500)
        kept, bare = statistics.median(cost.kept), statistics.median(cost.bare)
        yield (
            f"processor time of a {'paid' if paid else 'free'} request, with its {'ledger and ' if paid else ''}record against without",
            f"**{cost.ratio:.3f}**: {kept:.2f} / {bare:.2f} ms",
        )
    rush = money.rush(pairs=pairs)
    yield (
        f"{money.RUSH} paid requests at once under caps, until the last has its answer, against as many free ones",
        f"**{rush.ratio:.2f}**: {statistics.median(rush.kept):.2f} / {statistics.median(rush.bare):.2f} s",
    )
    reading = money.reading()
    yield (
        f"a year of {money.YEAR} requests and paid calls: processor time of a page of requests, and of the costs",
        f"{reading.page:.0f} and {reading.costs:.0f} ms",
    )


PARTS: dict[str, Callable[[int], Lines]] = {
    "single": single_lines,
    "vote": vote_lines,
    "deciding": deciding_lines,
    "money": money_lines,
    "rest": rest_lines,
}


def main(arguments: Sequence[str] | None = None) -> None:
    """Print one line of the table after the other, as they are measured."""
    parser = argparse.ArgumentParser(prog="python -m bench", description=__doc__)
    parser.add_argument("parts", nargs="*", metavar="PART", help=f"{', '.join(PARTS)} (default: all)")
    parser.add_argument("--pairs", type=int, default=5, help="runs of each side, taken in turn (default: 5)")
    options = parser.parse_args(arguments)
    parts = options.parts or list(PARTS)
    if unknown := set(parts) - PARTS.keys():
        parser.error(f"there is no part {', '.join(unknown)}")
    if sys.platform != "linux":
        parser.error("the measurements pin processes to cores and read /proc, so that they need Linux")
    if len(CORES) > 1:
        os.sched_setaffinity(0, {CORES[LOAD_CORE]})
    print(f"| {machine()} | |\n|---|---|")
    for part in parts:
        for name, result in PARTS[part](options.pairs):
            print(f"| {name} | {result} |", flush=True)


if __name__ == "__main__":
    main()
