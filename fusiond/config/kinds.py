"""What a fusion says of single kinds of answer must fit the fusion, and the members that there are."""

from __future__ import annotations

from collections.abc import Collection, Iterator
from typing import get_args

from fusiond.config.errors import Fault, Key, nearest
from fusiond.config.tree import FusionConfig, KeyKind, KindConfig

Path = tuple[Key, ...]

COUNTING = ("vote", "cascade", "adaptive")
"""Strategies in which answers are counted."""


def broken_kinds(path: Path, fusion: FusionConfig) -> Iterator[Fault]:
    """Everything in the tables `kinds` of one fusion that breaks a rule."""
    kinds = get_args(KeyKind)
    if fusion.kinds and fusion.strategy not in COUNTING:
        yield Fault(path=(*path, "kinds"), reason="is for the strategies vote, cascade and adaptive")
    seats = [seat.member for seat in fusion.panel]
    for name, kind in fusion.kinds.items():
        if name not in kinds:
            yield Fault(path=(*path, "kinds", name), reason=f"there is no kind {name!r}", suggestion=nearest(name, kinds))
        yield from _figures((*path, "kinds", name), kind, fusion)
        yield from _members((*path, "kinds", name, "panel"), kind.panel or (), seats)
        yield from _members((*path, "kinds", name, "skills"), kind.skills, [*seats, *fusion.escalate])
        if kind.panel == ():
            yield Fault(path=(*path, "kinds", name, "panel"), reason="must name at least one member")


def _figures(path: Path, kind: KindConfig, fusion: FusionConfig) -> Iterator[Fault]:
    if kind.thrift is not None and fusion.strategy == "vote":
        yield Fault(path=(*path, "thrift"), reason="is for the strategies cascade and adaptive")
    elif kind.thrift is not None and kind.thrift < 0:
        yield Fault(path=(*path, "thrift"), reason="must be at least 0")
    for member, skill in kind.skills.items():
        if not 0 < skill < 1:
            yield Fault(path=(*path, "skills", member), reason="must be between 0 and 1, and neither of them")


def _members(path: Path, named: Collection[str], known: Collection[str]) -> Iterator[Fault]:
    """Each has a place in the fusion; `PROVIDER/*` is one for all of that provider's models."""
    for name in named:
        if name not in known and f"{name.partition('/')[0]}/*" not in known:
            yield Fault(path=path, reason=f"{name!r} is not asked in this fusion", suggestion=nearest(name, known))
