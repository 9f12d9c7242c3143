"""What the daemon says of itself: is it alive, is it ready, what does it serve, how is everybody."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Awaitable, Callable, Mapping
from decimal import Decimal
from typing import TYPE_CHECKING, Any, NamedTuple, TypeAlias

from aiohttp import web

from fusiond import __version__
from fusiond.catalog import UNPAID, Catalog, Member, look_up, served
from fusiond.errors import UnknownModel
from fusiond.policy.privacy import allows
from fusiond.revision import Revision
from fusiond.server import Server
from fusiond.wire.openai_models import ModelEntry, model, models

if TYPE_CHECKING:
    from fusiond.situation import Out

Reload: TypeAlias = Callable[[], Awaitable[str | None]]
"""Read the configuration again; why it was refused, or None."""


class Barred(NamedTuple):
    """Why a member is not asked: the word for its state, a sentence, and until when (seconds since 1970)."""

    state: str
    why: str
    until: float | None = None


class Admin:
    """The daemon's own endpoints. `fault`: why the newest configuration was not taken."""

    def __init__(self, server: Server, reload: Reload) -> None:
        self._keep = server.keep
        self._server = server
        self._reload = reload
        self.fault: str | None = None
        self.draining = False

    def add_to(self, router: web.UrlDispatcher) -> None:
        """Add the endpoints."""
        router.add_get("/healthz", self._alive)
        router.add_get("/readyz", self._ready)
        router.add_get("/v1/models", self._models)
        router.add_get("/v1/models/{id:.+}", self._model)
        router.add_get("/fusiond/status", self._status)
        router.add_post("/fusiond/reload", self._reloaded)
        for path in ("/fusiond/ledger", "/fusiond/costs", "/fusiond/egress", "/fusiond/requests", "/fusiond/requests/{id}"):
            router.add_get(path, self._account)

    @property
    def _revision(self) -> Revision:
        return self._server.revisions.current

    async def _alive(self, _http: web.Request) -> web.Response:
        return web.json_response({"status": "ok"})

    async def _ready(self, _http: web.Request) -> web.Response:
        why = self._unready()
        return web.json_response({"ready": why is None, "reason": why}, status=503 if why else 200)

    async def _models(self, _http: web.Request) -> web.Response:
        await self._revision.looked()
        catalog = self._revision.catalog
        entries = [_entry(name, catalog, self._server.started) for name in served(catalog)]
        return web.Response(body=models(entries), content_type="application/json")

    async def _model(self, http: web.Request) -> web.Response:
        await self._revision.looked()
        catalog, name = self._revision.catalog, http.match_info["id"]
        look_up(name, catalog)
        return web.Response(body=model(_entry(name, catalog, self._server.started)), content_type="application/json")

    async def _status(self, _http: web.Request) -> web.Response:
        revision, admission = self._revision, self._server.admission
        out = self._keep.out(revision)
        catalog = revision.catalog
        return web.json_response(
            {
                "version": __version__,
                "revision": revision.number,
                "ready": self._unready() is None,
                "config": {"path": revision.config.path, "error": self.fault},
                "members": {name: _member(member, revision, self._barred(member, out)) for name, member in catalog.members.items()},
                "fusions": {name: _fusion(name, catalog) for name in catalog.fusions},
                "providers": {name: {"error": said.error} for name, said in revision.facts.items()},
                "offline": self._keep.offline(revision),
                "privacy": revision.config.privacy.default,
                "ledger": {"error": self._keep.ledger.fault if revision.config.budget else None},
                "records": {"error": self._keep.records.fault, "dropped": self._keep.records.dropped},
                "requests": {"running": admission.running, "waiting": admission.waiting, "served": self._server.served},
            }
        )

    async def _reloaded(self, _http: web.Request) -> web.Response:
        refused = await self._reload()
        return web.json_response({"revision": self._revision.number, "error": refused}, status=422 if refused else 200)

    async def _account(self, http: web.Request) -> web.Response:
        from fusiond.accounts import Accounts  # noqa: PLC0415  # a daemon is there at once

        return await Accounts(self._keep, self._revision.config.budget, self._revision.catalog).told(http)

    def _barred(self, member: Member, outs: Mapping[str, Out]) -> Barred | None:
        """Why nobody may ask the member now; None: it may be asked."""
        config = self._revision.config
        if not allows(config.privacy.default, member.place):
            return Barred("unavailable", f"is {member.place}, and privacy.default is {config.privacy.default}")
        if member.unavailable:
            return Barred("unavailable", member.unavailable)
        if out := outs.get(member.name):
            return Barred(out.reason, out.why, _clock(out.until))
        if member.paid and (config.budget is None or member.tariff is None):
            return Barred("unavailable", UNPAID if config.budget is None else "its price is not known")
        if member.paid and self._keep.ledger.fault:
            return Barred("unavailable", f"what it costs cannot be recorded: {self._keep.ledger.fault}")
        return None

    def _unready(self) -> str | None:
        if self.draining:
            return "the daemon is shutting down"
        silent = {name: said.error for name, said in self._revision.facts.items() if said.error}
        members = self._revision.catalog.members.values()
        out = self._keep.out(self._revision)
        if any(not (self._barred(member, out) or member.provider in silent) for member in members):
            return None
        told = [f"{name}: {error}" for name, error in silent.items()]
        return "no member may answer" + (f" ({'; '.join(told)})" if told else "")


def _entry(name: str, catalog: Catalog, created: int) -> ModelEntry:
    """A name's entry; a fusion can hold what its smallest member can."""
    try:
        target = look_up(name, catalog)
    except UnknownModel:  # an alias of something that is not there now
        return ModelEntry(id=name, created=created)
    if isinstance(target, Member):
        return ModelEntry(id=name, created=created, owned_by=target.provider, context=target.context)
    contexts = [catalog.members[seat.member].context for seat in target.panel]
    return ModelEntry(id=name, created=created, context=min((context for context in contexts if context), default=None))


def _member(member: Member, revision: Revision, barred: Barred | None) -> dict[str, Any]:
    return {
        "place": member.place,
        "state": barred.state if barred else revision.state(member),
        "reason": barred.why if barred else None,
        "until": barred.until if barred else None,
        "provider": member.provider,
        "model": member.model,
        "family": member.family,
        "size": member.size,
        "reasoning": member.reasoning,
        "tools": member.tools,
        "vision": member.vision,
        "context": member.context,
        "skill": member.skill,
        "price": None if member.tariff is None else {"input": _dollars(member.tariff.base.prompt), "output": _dollars(member.tariff.base.completion)},
    }


def _clock(until: float | None) -> float | None:
    """A time on the loop's clock as seconds since 1970."""
    return None if until is None else round(time.time() + until - asyncio.get_running_loop().time(), 3)


def _dollars(each: Decimal) -> str:
    """USD per million tokens, in plain digits."""
    return f"{each.scaleb(6).normalize() + 0:f}"


def _fusion(name: str, catalog: Catalog) -> dict[str, Any]:
    fusion = catalog.fusions[name]
    panel = [{"member": seat.member, "samples": seat.samples, "temperature": seat.temperature} for seat in fusion.panel]
    named = {"panel": panel, "escalate": fusion.escalate, "judge": fusion.judge, "writer": fusion.writer}
    return {"strategy": fusion.config.strategy, "thrift": fusion.config.thrift, **named}
