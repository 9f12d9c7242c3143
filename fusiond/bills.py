"""The bills of calls that were cut off, asked for afterwards: each again and again, with longer and longer pauses, until it is told or given up.

A provider tells the bill of a call some seconds after its end; until then, and where it never does, the worst case stays counted.
"""

from __future__ import annotations

import logging
from collections.abc import Container, Hashable
from dataclasses import dataclass
from decimal import Decimal
from typing import Protocol, runtime_checkable

from fusiond.errors import MemberError
from fusiond.revision import Revision
from fusiond.store.calls import CallRow
from fusiond.store.ledger import Ledger

log = logging.getLogger(__name__)

FIRST_SECONDS, LONGEST_SECONDS = 2.0, 86_400.0
"""The first pause, each further one being twice as long, and the one that is not waited for: a bill that has not come in a day does not come."""

AT_ONCE = 8
"""So many bills are asked for in one go."""


@runtime_checkable
class Billing(Protocol):
    """A provider that tells what a call has cost."""

    async def bill(self, generation: str) -> Decimal | None:
        """USD; None: it is not known yet. Raises MemberError."""


@dataclass(frozen=True, slots=True, kw_only=True)
class _Next:
    """When a bill is asked for (the loop's clock), and how long after that again."""

    due: float
    pause: float = FIRST_SECONDS

    def after(self, now: float) -> _Next:
        return _Next(due=now + 2 * self.pause, pause=2 * self.pause)


class Bills:
    """What is still to be asked for."""

    def __init__(self, ledger: Ledger) -> None:
        self._ledger = ledger
        self._next: dict[int, _Next] = {}

    async def ask(self, revision: Revision, lost: Container[Hashable], now: float) -> None:
        """Ask for those that are due. Where there is no way to the provider they wait, and lose no time by it."""
        unknown = self._ledger.unknown
        self._next = {key: self._next.get(key, _Next(due=now + FIRST_SECONDS)) for key in unknown}
        asked = {name for name in revision.asked() if revision.server(name) not in lost}
        due = [key for key, following in self._next.items() if following.due <= now and unknown[key].provider in asked]
        for key in due[:AT_ONCE]:
            self._next[key] = self._next[key].after(now)
            if (cost := await _told(unknown[key], revision)) is not None:
                self._ledger.correct(key, cost)
            elif self._next[key].pause >= LONGEST_SECONDS:
                self._ledger.abandon(key)


async def _told(call: CallRow, revision: Revision) -> Decimal | None:
    provider = revision.provider(call.provider)
    if call.generation is None or not isinstance(provider, Billing):
        return None
    try:
        return await provider.bill(call.generation)
    except MemberError as error:
        log.debug("no bill of %s yet: %s", call.generation, error.message)
    except Exception:  # one bill that cannot be asked for does not stop the others
        log.exception("the bill of %r cannot be asked for: its worst case stays counted", call.generation)
    return None
