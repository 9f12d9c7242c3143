"""One loaded configuration and the clients built from it, immutable but for what its providers tell; and how one takes the place of another.

A request leases the current revision and keeps it to its end. A revision that has been replaced closes its connections when the last lease ends.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncGenerator, AsyncIterator, Callable, Hashable, Iterable, Mapping
from collections.abc import Set as AbstractSet
from contextlib import asynccontextmanager, suppress
from dataclasses import replace
from functools import cached_property
from hashlib import sha256
from typing import TYPE_CHECKING, NamedTuple, TypeAlias

from fusiond.catalog import Catalog, Discovered, Member, ProviderFacts, look_up
from fusiond.config.tree import Config, LlamaCppConfig
from fusiond.errors import UnknownModel
from fusiond.gate import Gate
from fusiond.members import Provider, State
from fusiond.policy.privacy import allows
from fusiond.resolve import place_of, resolve

if TYPE_CHECKING:
    from fusiond.call import Call
    from fusiond.chat import Request
    from fusiond.events import Event
    from fusiond.guard import Patterns
    from fusiond.members.listen import Again
    from fusiond.reach import Reach

Clients: TypeAlias = Mapping[str, Callable[[], Provider]]
"""How the client of each provider is made."""

FIRST_LOOK_SECONDS, FAR_LOOK_SECONDS = 5.0, 1.5
"""So long a request waits for the first look at the providers, whose models it may ask for; the second for those beyond the local network, where it
may be that there is no way at all."""


class Access(NamedTuple):
    """Who may come in, and what tells each provider's key and the daemon's tokens from other ones without telling them."""

    gate: Gate
    secrets: Mapping[str, Hashable]


class Revision:
    """A configuration at work.

    `number` counts from 1; `facts` is what its providers last said; `providers` are the clients made so far.
    """

    def __init__(self, number: int, config: Config, clients: Clients, access: Access, *, memory: int) -> None:
        self.number = number
        self.config = config
        self.secrets = access.secrets
        self.providers: dict[str, Provider] = {}
        self._clients = clients
        self._servers = {name: f"{name} {_digest(provider, access.secrets.get(name))}" for name, provider in config.providers.items()}
        self.gate = access.gate
        self.facts: Discovered = {}
        self.catalog: Catalog = resolve(config, {}, memory)
        self.users = 0
        self.replaced = False
        self._memory = memory
        self._unseen = set(self.asked())
        self._news = asyncio.Event()

    @cached_property
    def never_remote(self) -> Patterns:
        """What must not leave this machine."""
        from fusiond.guard import Patterns  # noqa: PLC0415  # with the first question

        return Patterns(self.config.privacy.never_remote)

    def learn(self, facts: Discovered, *, recalled: bool = False) -> bool:
        """Take what some providers said, or are known to have said; whether it is news. One that brings nothing now still has what it had."""
        if not recalled:
            self._unseen -= facts.keys()
        self._news.set()
        self._news = asyncio.Event()
        known = {**self.facts, **{name: _since(self.facts.get(name), said) for name, said in facts.items()}}
        if known == self.facts:
            return False
        self.facts = known
        self.catalog = resolve(self.config, known, self._memory)
        return True

    async def looked(self, request: Request | None = None) -> None:
        """Wait until the providers that *request* (None: any) depends on have been looked at once, or for a few seconds."""
        far = {name for name in self._unseen if place_of(self.config.providers[name]) == "remote"}
        await self._awaited(request, far, FAR_LOOK_SECONDS)
        await self._awaited(request, self._unseen - far, FIRST_LOOK_SECONDS)

    async def _awaited(self, request: Request | None, among: AbstractSet[str], seconds: float) -> None:
        with suppress(TimeoutError):
            async with asyncio.timeout(seconds):
                while unseen := among & self._unseen:
                    if unseen.isdisjoint(self._needed(request)):
                        return
                    await self._news.wait()
        self._unseen -= among

    def _needed(self, request: Request | None) -> set[str]:
        """The providers that decide what a request asks for, and without which no plan can be made: an unknown name's, and a price's."""
        if request is None:
            return set(self.config.providers)
        name = self._meant(request)
        try:
            target = look_up(name, self.catalog)
        except UnknownModel:
            return {self.config.aliases.get(name, name).partition("/")[0]}
        if isinstance(target, Member):
            return _unpriced([target])
        wish = request.overrides
        panel = wish.panel or tuple(seat.member for seat in target.config.panel)
        if not (self.config.fusions and panel):  # whatever there is
            return set(self.config.providers)
        named = (*panel, *target.escalate, wish.judge or target.judge, wish.writer or wish.judge or target.writer)
        names = [name for name in named if name]
        members = self.catalog.members
        known = _unpriced(members[name] for name in names if name in members)
        return known | {name.partition("/")[0] for name in names if name not in members}

    def _meant(self, request: Request) -> str:
        """The name that a request asks for, after the routes."""
        from fusiond.task import routed  # noqa: PLC0415  # with the first question

        name = self.config.aliases.get(request.model, request.model)
        return routed(request, self.config.routes, name) if name == "auto" else name

    def listed(self, provider: str, said: ProviderFacts) -> list[Member]:
        """The members whose model a provider says that it has."""
        known = () if said.error else said.models
        members = (member for member in self.catalog.members.values() if member.provider == provider)
        return [member for member in members if member.model.removesuffix(":latest") in known]

    def provider(self, name: str) -> Provider:
        """The client of a provider, made when it is first needed."""
        if name not in self.providers:
            self.providers[name] = self._clients[name]()
        return self.providers[name]

    def server(self, provider: str) -> Hashable:
        """What identifies a provider over all revisions: its settings and its key. A changed one is another, of whom nothing is known yet."""
        return self._servers[provider]

    def identity(self, member: Member) -> Hashable:
        """What identifies a member over all revisions."""
        return self._servers[member.provider], member.model

    def lose(self, provider: str, why: str, reach: Reach) -> None:
        """A connection to a provider could not be made: where it is beyond this network, it is looked for until there is one."""
        config = self.config.providers[provider]
        if not isinstance(config, LlamaCppConfig) and place_of(config) == "remote":
            reach.lose(self.server(provider), config.url, why, asyncio.get_running_loop().time())

    def asked(self) -> list[str]:
        """The providers that may be asked for what they have: none beyond what privacy allows, and none remote where all are to be left alone."""
        config = self.config
        offline = config.offline.mode == "always"
        places = {name: place_of(provider) for name, provider in config.providers.items()}
        return [name for name, place in places.items() if allows(config.privacy.default, place) and not (offline and place == "remote")]

    def listen(self, call: Call, again: Again) -> AsyncGenerator[Event, None]:
        """One member's answer."""
        from fusiond.members.listen import listen  # noqa: PLC0415  # with the first question, not with the daemon

        return listen(self.provider(call.member.provider), call, again)

    def state(self, member: Member) -> State | str:
        """How a member is, for people."""
        return self.provider(member.provider).state(member)

    async def close(self) -> None:
        """Close every connection."""
        for provider in self.providers.values():
            await provider.aclose()


class Revisions:
    """The revision that serves, and those that still have requests in flight."""

    def __init__(self, first: Revision) -> None:
        self.current = first

    @asynccontextmanager
    async def lease(self) -> AsyncIterator[Revision]:
        """The current revision, for one request."""
        revision = self.current
        revision.users += 1
        try:
            yield revision
        finally:
            revision.users -= 1
            await _retire(revision)

    async def replace(self, new: Revision) -> None:
        """Serve *new* from now on."""
        old, self.current = self.current, new
        old.replaced = True
        await _retire(old)


def _unpriced(members: Iterable[Member]) -> set[str]:
    """The providers of those that more is to be learnt of; where a price is known, that is known from before."""
    return {member.provider for member in members if member.tariff is None}


def _digest(*facts: object) -> str:
    return sha256(repr(facts).encode()).hexdigest()


def _since(before: ProviderFacts | None, said: ProviderFacts) -> ProviderFacts:
    """A provider that cannot be reached now still has the models that it had: who asks for one is told that, not that there is none."""
    return replace(said, models=before.models) if before and said.error else said


async def _retire(revision: Revision) -> None:
    if revision.replaced and not revision.users:
        await revision.close()
