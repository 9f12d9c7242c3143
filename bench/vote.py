"""`vote` of three members that speak at their own pace, against the slowest member that was needed, asked alone.

Where the two quick ones agree the third is not needed; where they differ it is.
"""

from __future__ import annotations

import statistics
from collections.abc import Sequence
from contextlib import ExitStack
from dataclasses import dataclass

from bench.processes import LOAD_CORE, daemon, load, server

GAPS = (0.004, 0.008, 0.012)
"""Seconds between the chunks of the three members: about 0.27, 0.54 and 0.8 s for the whole answer."""

PROMPT = "Which of these is a mammal? Answer with the letter only.\nA) trout\nB) whale\nC) robin\nD) adder"
AGREED, DISPUTED = ("B", "B", "B"), ("A", "B", "B")

MEMBER = """
[providers.scripted{number}]
api = "openai"
url = "http://127.0.0.1:{upstream}/v1"

[members.scripted{number}]
provider = "scripted{number}"
model = "scripted"
size = 8
"""
FUSION = """
[fusions.default]
strategy = "vote"
kind = "choice"
panel = ["scripted0", "scripted1", "scripted2"]
"""


@dataclass(frozen=True, slots=True, kw_only=True)
class Delay:
    """Milliseconds for the fused answer and for the slowest needed member's own, in pairs."""

    needed: int
    fused: Sequence[float]
    alone: Sequence[float]

    @property
    def ratio(self) -> float:
        """Of the medians."""
        return statistics.median(self.fused) / statistics.median(self.alone)


def compare(*, pairs: int) -> list[Delay]:
    """With two members needed, and with all three."""
    return [_delay(AGREED, needed=2, pairs=pairs), _delay(DISPUTED, needed=3, pairs=pairs)]


def _delay(letters: Sequence[str], *, needed: int, pairs: int) -> Delay:
    with ExitStack() as stack:
        upstreams = [
            stack.enter_context(server("bench.upstream", "--gap", str(gap), "--first", str(gap), "--last", _last(letter), core=LOAD_CORE))[0]
            for letter, gap in zip(letters, GAPS, strict=True)
        ]
        members = "".join(MEMBER.format(number=number, upstream=upstream) for number, upstream in enumerate(upstreams))
        fusiond, _ = stack.enter_context(daemon(members + FUSION))
        _ask(fusiond, "B")  # warm
        times = [(_ask(fusiond, "B"), _ask(upstreams[needed - 1], "B")) for _ in range(pairs)]
    return Delay(needed=needed, fused=[fused for fused, _ in times], alone=[alone for _, alone in times])


def _ask(port: int, letter: str) -> float:
    options = ("--requests", "3", "--connections", "1", "--stream", "--prompt", PROMPT, "--last", _last(letter))
    return load(port, *options)["median"]


def _last(letter: str) -> str:
    return f"\n\nAnswer: {letter}"
