"""A fusion as one request wishes it. Pure."""

from __future__ import annotations

from collections import Counter
from dataclasses import replace

from fusiond.catalog import Catalog, Fusion, Member, nearest, shortened
from fusiond.chat import Request
from fusiond.config.tree import Seat
from fusiond.errors import BadRequest, UnknownModel


def refuse_overrides(request: Request, member: Member) -> None:
    """Raises BadRequest where a single member is to be a fusion."""
    meant = "is a member" if request.model == member.name else f"stands for the member '{member.name}'"
    for field in ("strategy", "panel", "judge", "writer"):
        if getattr(request.overrides, field) is not None:
            where = request.overrides.where(field)
            raise BadRequest(f"{where} needs a fusion as the model, and '{request.model}' {meant}", param=where)


def overridden(fusion: Fusion, request: Request, catalog: Catalog) -> Fusion:
    """The fusion with the strategy, panel, judge and writer that the request names. Raises BadRequest, UnknownModel."""
    wish = request.overrides
    if not (wish.strategy or wish.panel or wish.judge or wish.writer):
        return fusion
    panel = [_wished(name, f"{wish.where('panel')}[{index}]", catalog) for index, name in enumerate(wish.panel or ())]
    judge, writer = (name and _wished(name, wish.where(role), catalog) for name, role in ((wish.judge, "judge"), (wish.writer, "writer")))
    for name, count in Counter(panel).items():
        if count > 1:
            where = wish.where("panel")
            raise BadRequest(f"{where} names '{shortened(name)}' more than once", param=where)
    config = fusion.config
    if wish.strategy:
        config = replace(config, strategy=wish.strategy)  # type: ignore[arg-type]  # decoding has checked the name
    return replace(
        fusion,
        config=replace(config, quorum=None, kinds={}) if panel else config,
        panel=tuple(Seat(member=name) for name in panel) or fusion.panel,
        escalate=tuple(name for name in fusion.escalate if name not in panel),
        judge=judge or fusion.judge,
        writer=writer or judge or fusion.writer,
    )


def _wished(name: str, where: str, catalog: Catalog) -> str:
    """The member that a request names, or means by its model's own name (the first with that model). Raises UnknownModel."""
    if name in catalog.members:
        return name
    if meant := next((member.name for member in catalog.members.values() if member.model == name), None):
        return meant
    raise UnknownModel(f"{where}: no member named '{shortened(name)}'{nearest(name, catalog.members)}", param=where)
