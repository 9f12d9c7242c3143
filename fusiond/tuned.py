"""A fusion and its voters as recorded answers have tuned them for one kind of answer. Pure."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

from fusiond.catalog import Fusion
from fusiond.config.tree import KindConfig
from fusiond.keys import Wanted
from fusiond.policy.belief import Voter

UNTUNED = KindConfig()


def for_kind(fusion: Fusion, wanted: Wanted | None) -> tuple[Fusion, KindConfig]:
    """The fusion as it answers what is wanted, and what it says of that kind; if no seat of the tuned panel is there, the whole panel."""
    tuned = fusion.config.kinds.get(wanted.kind, UNTUNED) if wanted else UNTUNED
    if tuned is UNTUNED:
        return fusion, tuned
    panel = fusion.panel if tuned.panel is None else tuple(seat for seat in fusion.panel if seat.member in tuned.panel)
    thrift = fusion.config.thrift if tuned.thrift is None else tuned.thrift
    return replace(fusion, panel=panel or fusion.panel, config=replace(fusion.config, thrift=thrift)), tuned


def skilled(voters: Sequence[Voter], tuned: KindConfig) -> tuple[Voter, ...]:
    """The voters with the chances of being right that were found for this kind."""
    if not tuned.skills:
        return tuple(voters)
    return tuple(replace(voter, prior=tuned.skills.get(voter.member, voter.prior)) for voter in voters)
