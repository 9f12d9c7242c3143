"""Members' answers, collected: what `vote`, `cascade`, `select` and `synthesize` have in common."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncGenerator, Callable, Sequence

from fusiond.call import Call
from fusiond.errors import MemberError
from fusiond.events import Failed, Finished, Progress, Text, Transcript
from fusiond.fuse.outcome import nobody
from fusiond.merge import Gathering
from fusiond.plan import Plan
from fusiond.report import Degraded


class Drafts:
    """The answers to a plan's calls as they come in, always looked at in panel order.

    `calls`: some of the plan's; None: the panel's. `others`: how many may still be asked after them, who need time too.
    """

    def __init__(self, plan: Plan, members: Gathering, calls: Sequence[Call] | None = None, *, others: int = 0) -> None:
        self._plan = plan
        self._members = members
        self._calls = plan.calls if calls is None else calls
        self._hearing = members.ask(self._calls, others=others)
        self._finished: set[str] = set()
        self._cut = False
        self.failures: dict[str, MemberError] = {}

    @property
    def answers(self) -> dict[str, Transcript]:
        """The complete answers, by voice."""
        return {call.voice: self._members.parts[call.voice].transcript for call in self._calls if call.voice in self._finished}

    @property
    def missing(self) -> tuple[str, ...]:
        """The voices that may still answer."""
        return self._hearing.speaking

    @property
    def degraded(self) -> tuple[Degraded, ...]:
        """Whether the quorum left somebody out."""
        return ("quorum",) if self._cut else ()

    async def listen(self, enough: Callable[[], bool]) -> AsyncGenerator[Progress, None]:
        """Collect until *enough* (asked whenever a voice has ended), until everybody has ended, or until the grace after the quorum is over.

        Whoever is not needed then is dismissed. Raises the error that stands for all members if nobody answered, and nobody may be asked after them.
        """
        watched = self._plan.request.overrides.progress
        until: float | None = None
        while (event := await self._hearing.next(until)) is not None:
            match event:
                case Text() if watched:
                    yield Progress(member=event.member, text=event.text)
                case Finished():
                    self._finished.add(event.member)
                    until = until or self._grace()
                case Failed():
                    self.failures[event.member] = event.error
            if isinstance(event, Finished | Failed):
                yield Progress(member=event.member, status="answered" if isinstance(event, Finished) else event.error.reason)
                if enough():
                    break
        self._cut = event is None and bool(self.missing)
        self._hearing.dismiss()
        if not self._finished and not self._plan.escalation:
            raise nobody(self._plan, self.failures)

    def most_skilled(self) -> str:
        """The voice among the answers that is most likely to be right."""
        return self._plan.most_skilled(self._finished)

    def _grace(self) -> float | None:
        quorum = self._plan.quorum
        return asyncio.get_running_loop().time() + self._plan.grace if quorum is not None and len(self._finished) >= quorum else None
