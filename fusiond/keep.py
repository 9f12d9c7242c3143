"""What outlives every revision and every request: the money, the records, how the members are, and what is known of the traffic.

Each part is loaded when it is first needed: a daemon is there at once, and its books a moment later.
"""

from __future__ import annotations

import asyncio
from collections.abc import Hashable, Mapping
from contextlib import suppress
from decimal import Decimal
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING

from fusiond.catalog import Member
from fusiond.revision import Revision

if TYPE_CHECKING:
    from fusiond.code.workshop import Workshop
    from fusiond.health import Health
    from fusiond.reach import Reach
    from fusiond.situation import Out, Situation
    from fusiond.store.ledger import Ledger
    from fusiond.store.records import Records
    from fusiond.store.traffic import KnownTraffic


OPENING_SECONDS = 10.0
"""A disk that takes longer to open a file is none that a request waits for."""

SAVE_SECONDS = 1.0
"""How long what was heard of the traffic waits for the disk."""


class Keep:
    """All of it, its files in `directory`. `opened`: whether it is known if they can be used."""

    def __init__(self, directory: Path) -> None:
        self.surprises: set[Hashable] = set()  # members that should be free, and were not
        self.opened = asyncio.Event()
        self._overdue = False
        self._directory = directory

    @cached_property
    def ledger(self) -> Ledger:
        """The money."""
        from fusiond.store.ledger import Ledger  # noqa: PLC0415  # see above

        return Ledger(self._directory)

    @cached_property
    def records(self) -> Records:
        """The past."""
        from fusiond.store.records import Records  # noqa: PLC0415  # see above

        return Records(self._directory)

    @cached_property
    def traffic(self) -> KnownTraffic:
        """What calls take and cost."""
        from fusiond.store.traffic import KnownTraffic  # noqa: PLC0415  # see above

        return KnownTraffic(self._directory)

    @cached_property
    def health(self) -> Health:
        """How the members are."""
        from fusiond.health import Health  # noqa: PLC0415  # see above

        return Health()

    @cached_property
    def workshop(self) -> Workshop:
        """Where code is looked at."""
        from fusiond.code.workshop import Workshop  # noqa: PLC0415  # see above

        return Workshop()

    @cached_property
    def reach(self) -> Reach:
        """Which providers there is a way to."""
        from fusiond.reach import Reach  # noqa: PLC0415  # see above

        return Reach()

    async def open(self) -> None:
        """Open the files, or those that could not be before: another daemon may have let go of them. Does not raise: `fault` says it of each."""
        if self.ledger.closed:
            await self.ledger.open()
        if self.records.closed or not self.opened.is_set():
            await self.records.open()
        if not self.opened.is_set():
            await self.traffic.open()
        self.opened.set()

    async def known(self) -> None:
        """Wait until it is known whether the files can be used; where that takes too long, they cannot until it is."""
        with suppress(TimeoutError):
            async with asyncio.timeout(0 if self._overdue else OPENING_SECONDS):
                await self.opened.wait()
        self._overdue = not self.opened.is_set()

    def situation(self, revision: Revision) -> Situation:
        """What a plan needs to know now. Until it is known whether there is a ledger, it is taken to be there."""
        from fusiond.policy.budget import Spent  # noqa: PLC0415  # see above
        from fusiond.situation import Situation  # noqa: PLC0415

        ledger, budget = self.ledger, revision.config.budget
        known = self.opened.is_set() or self._overdue
        day, month = ledger.gone() if budget else (Decimal(0), Decimal(0))
        return Situation(
            now=asyncio.get_running_loop().time(),
            privacy=revision.config.privacy.default,
            budget=budget,
            spent=Spent(day=day, month=month),
            unpayable=ledger.fault if budget and known else None,
            out=self.out(revision),
            traffic=self.traffic.kinds,
            run_code=revision.config.code.run,
        )

    def out(self, revision: Revision) -> Mapping[str, Out]:
        """Who may not be asked now, and why."""
        if self._all_well and revision.config.offline.mode != "always":
            return {}
        now = asyncio.get_running_loop().time()
        found = ((name, self._out(member, revision, now)) for name, member in revision.catalog.members.items())
        return {name: out for name, out in found if out}

    def offline(self, revision: Revision) -> bool:
        """Whether remote members are left out since they cannot be reached, or are not to be."""
        return any(out.reason == "offline" for out in self.out(revision).values())

    def reloaded(self, revision: Revision) -> None:
        """Forget the providers that are gone, and what a changed configuration forgives."""
        self.reach.keep(frozenset(map(revision.server, revision.config.providers)))
        self.health.forgive()

    async def saves(self) -> None:
        """Write what is known of the traffic, as often as it may be lost by a kill."""
        await self.opened.wait()
        while True:
            await asyncio.sleep(SAVE_SECONDS)
            await self._save()

    async def aclose(self) -> None:
        """Write what waits, and let the files go."""
        await self._save()
        await self.ledger.aclose()
        await self.records.aclose()

    async def _save(self) -> None:
        """Who has the records has this file, too: another daemon's is not overwritten."""
        if self.opened.is_set() and not self.records.closed:
            await self.traffic.save()

    @property
    def _all_well(self) -> bool:
        known = vars(self)  # what was not needed so far has nothing to tell
        unwell = (
            self.surprises,
            "records" in known and self.records.closed,
            "health" in known and not self.health.well,
            "reach" in known and self.reach.lost,
        )
        return not any(unwell)

    def _out(self, member: Member, revision: Revision, now: float) -> Out | None:
        from fusiond.situation import Out  # noqa: PLC0415  # see above

        mode = revision.config.offline.mode
        if member.place == "remote" and mode == "always":
            return Out(reason="offline", why="offline.mode is always", lasting=True)
        if mode == "auto" and (lost := self.reach.lost.get(revision.server(member.provider))):
            return Out(reason="offline", why=lost.why)
        if revision.identity(member) in self.surprises and not member.paid:
            why = f"should cost nothing, and has been billed: say what it costs (members.{member.name}.price)"
            return Out(reason="unavailable", why=why, lasting=True)
        told_by_its_price = member.paid and self.ledger.closed
        if member.place != "local" and self.records.closed and not told_by_its_price:
            return Out(reason="unavailable", why=f"what leaves this machine cannot be recorded: {self.records.fault}")
        if refusal := self.health.admits(revision.identity(member), now):
            lasting = self.health.disabled(revision.identity(member))
            return Out(reason=refusal.word, why=refusal.why, until=refusal.until, lasting=lasting)
        return None
