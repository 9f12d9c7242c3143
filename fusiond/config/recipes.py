"""What a strategy needs of its fusion, and what only some strategies heed."""

from __future__ import annotations

from collections.abc import Iterator

from fusiond.config.errors import Fault, Key
from fusiond.config.tree import FusionConfig

LAYERED = ("synthesize", "refine", "adaptive")
"""Strategies that can go over their answer several times."""


def lacks(path: tuple[Key, ...], fusion: FusionConfig) -> Iterator[Fault]:
    """What is missing for the fusion's strategy, or means nothing to it."""
    lone = len(fusion.panel) == 1 and not fusion.panel[0].member.endswith("/*")
    match fusion.strategy:
        case "select" if not fusion.judge:
            yield Fault(path=(*path, "judge"), reason="is missing: select needs a judge")
        case "synthesize" if not (fusion.judge or fusion.writer):
            yield Fault(path=(*path, "writer"), reason="is missing: synthesize needs a writer or a judge")
        case "refine" if not fusion.judge and lone:
            yield Fault(path=(*path, "judge"), reason="is missing: refine needs a judge, or a second member to criticise the first")
    if fusion.rounds > 1 and fusion.strategy not in LAYERED:
        yield Fault(path=(*path, "rounds"), reason=f"is for the strategies {', '.join(LAYERED)}")
