"""The line: the one place where decisions meet I/O.

`answering` opens the members of a plan, hands their events to its strategy, and keeps the record. Leaving it, for whatever reason (answered,
settled, client gone, deadline, shutdown), is one and the same path.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncGenerator, AsyncIterator
from contextlib import aclosing, asynccontextmanager

from fusiond.events import Event, Finished
from fusiond.fuse import STRATEGIES
from fusiond.fuse.outcome import UNDECIDED, Decided, Outcome
from fusiond.merge import Gathering, Listen, gathering
from fusiond.plan import Plan
from fusiond.report import Report
from fusiond.telemetry import reported


class Answer:
    """An answer in the making: its events, to be read once, and at any time what is known of it."""

    def __init__(self, plan: Plan, members: Gathering, outcome: AsyncIterator[Outcome]) -> None:
        self._plan = plan
        self._members = members
        self._outcome = outcome
        self._loop = asyncio.get_running_loop()
        self.decided = UNDECIDED
        self.finished = False
        self._final: Report | None = None

    async def events(self) -> AsyncGenerator[Event, None]:
        """The answer's events. Raises the error that stands for all members where nobody answers."""
        async for event in self._outcome:
            if isinstance(event, Decided):
                self.decided = event
            else:
                self.finished = isinstance(event, Finished)
                yield event

    def report(self) -> Report:
        """What became of the request so far."""
        if self._final is not None:
            return self._final
        report = reported(self._plan, self._members.parts, self.decided, self._loop.time())
        if self.finished:
            self._final = report
        return report

    def overhead(self, began: float) -> float:
        """Seconds that the daemon itself has taken since *began*: before the first member was asked, and since the last was heard."""
        parts = self._members.parts.values()
        asked = min((part.asked for part in parts), default=began)
        heard = max((part.ended or part.first or part.asked for part in parts), default=began)
        return max(0.0, asked - began) + max(0.0, self._loop.time() - heard)


@asynccontextmanager
async def answering(plan: Plan, listen: Listen) -> AsyncIterator[Answer]:
    """Carry a plan out, for as long as the block lasts. `listen` opens one member's stream."""
    async with gathering(listen) as members, aclosing(STRATEGIES[plan.strategy](plan, members)) as outcome:
        yield Answer(plan, members, outcome)
