"""One loaded configuration and the clients built from it, immutable but for what its providers tell; and how one takes the place of another.

A request leases the current revision and keeps it to its end. A revision that has been replaced closes its connections when the last lease ends.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncGenerator, AsyncIterator, Callable, Mapping
from contextlib import asynccontextmanager
from typing import TYPE_CHECKING, TypeAlias

from fusiond.catalog import Catalog, Discovered, Member
from fusiond.config.tree import Config
from fusiond.gate import Gate
from fusiond.members import Provider, State
from fusiond.resolve import resolve

if TYPE_CHECKING:
    from fusiond.call import Call
    from fusiond.events import Event

Clients: TypeAlias = Mapping[str, Callable[[], Provider]]
"""How the client of each provider is made."""

FIRST_LOOK_SECONDS = 5.0
"""So long a request waits for the first look at the providers, whose models it may ask for."""


class Revision:
    """A configuration at work. `number` counts from 1; `facts` is what its providers last said; `providers` are the clients made so far."""

    def __init__(self, number: int, config: Config, clients: Clients, gate: Gate, *, memory: int) -> None:
        self.number = number
        self.config = config
        self.providers: dict[str, Provider] = {}
        self._clients = clients
        self.gate = gate
        self.facts: Discovered = {}
        self.catalog: Catalog = resolve(config, {}, memory)
        self.users = 0
        self.replaced = False
        self._memory = memory
        self._looked = asyncio.Event()

    def learn(self, facts: Discovered) -> bool:
        """Take what the providers said; whether it is news."""
        self._looked.set()
        if facts == self.facts:
            return False
        self.facts = facts
        self.catalog = resolve(self.config, facts, self._memory)
        return True

    async def looked(self) -> None:
        """Wait until the providers have been looked at once, or for a few seconds."""
        if self._looked.is_set():
            return
        try:
            async with asyncio.timeout(FIRST_LOOK_SECONDS):
                await self._looked.wait()
        except TimeoutError:
            self._looked.set()

    def provider(self, name: str) -> Provider:
        """The client of a provider, made when it is first needed."""
        if name not in self.providers:
            self.providers[name] = self._clients[name]()
        return self.providers[name]

    def listen(self, call: Call) -> AsyncGenerator[Event, None]:
        """One member's answer."""
        from fusiond.members.listen import listen  # noqa: PLC0415  # with the first question, not with the daemon

        return listen(self.provider(call.member.provider), call)

    def state(self, member: Member) -> State | str:
        """How a member is, for people."""
        if member.unavailable or member.paid:
            return "unavailable"
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


async def _retire(revision: Revision) -> None:
    if revision.replaced and not revision.users:
        await revision.close()
