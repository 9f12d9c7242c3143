"""The line: the one place where decisions meet I/O.

`answering` opens the members of a plan, hands their events to its strategy, and keeps the record: money is set aside before a paid call and settled
after it, and how each call ended is what is known of its member's health. Leaving it, for whatever reason (answered, settled, client gone, deadline,
shutdown), is one and the same path.
"""

from __future__ import annotations

import asyncio
import random
from collections.abc import AsyncGenerator, AsyncIterator
from contextlib import aclosing, asynccontextmanager
from datetime import UTC, datetime
from functools import partial

from fusiond.call import Call
from fusiond.catalog import Member
from fusiond.errors import Cooling, MemberError, Unwilling
from fusiond.events import Event, Failed, Finished
from fusiond.fuse import fused
from fusiond.fuse.outcome import UNDECIDED, Decided, Outcome
from fusiond.health import CANCELLED, Entry
from fusiond.keep import Keep
from fusiond.merge import Gathering, Part, gathering, waited
from fusiond.plan import Plan
from fusiond.policy.breaker import Refusal
from fusiond.purse import Purse, surely_unbilled
from fusiond.report import Report
from fusiond.revision import Revision
from fusiond.telemetry import reported


class Answer:
    """An answer in the making: its events, to be read once, and at any time what is known of it."""

    def __init__(self, plan: Plan, members: Gathering, purse: Purse, outcome: AsyncIterator[Outcome]) -> None:
        self._plan = plan
        self._members = members
        self._purse = purse
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
        report = reported(self._plan, self._members.parts, self.decided, self._purse, self._loop.time())
        if self.finished:
            self._final = report
        return report

    def overhead(self, began: float) -> float:
        """Seconds since *began* that the daemon itself has taken: those in which no member was waited for."""
        now = self._loop.time()
        return max(0.0, now - began - waited(self._members.parts.values(), self.decided.voice, now))


@asynccontextmanager
async def answering(plan: Plan, revision: Revision, keep: Keep) -> AsyncIterator[Answer]:
    """Carry a plan out, for as long as the block lasts."""
    purse = _purse(plan, keep)
    asking = _Asking(revision, keep, purse)
    async with gathering(asking.listen, asking.left) as members, aclosing(fused(plan, members, keep.workshop)) as outcome:
        answer = Answer(plan, members, purse, outcome)
        try:
            yield answer
        finally:
            if answer.finished:
                _remember(plan, answer, keep)


def _remember(plan: Plan, answer: Answer, keep: Keep) -> None:
    """What a cascade teaches of its kind of traffic, and what it saved."""
    decided = answer.decided
    if plan.wanted and decided.heard:
        keep.traffic.hear((plan.asked_for, plan.wanted.kind), decided.heard, plan.spend)
    if decided.otherwise is not None and keep.ledger.fault is None:
        keep.ledger.saved(plan.request.id, plan.asked_for, answer.report().saved_usd)


def _purse(plan: Plan, keep: Keep) -> Purse:
    return Purse(
        ledger=keep.ledger,
        caps=plan.caps,
        final=plan.final,
        request_id=plan.request.id,
        asked_for=plan.asked_for,
        paid=plan.paid,
        bound=plan.bound,
        now=lambda: datetime.now(UTC),
    )


class _Asking:
    """How one request asks its members, and what is learnt of them by that."""

    def __init__(self, revision: Revision, keep: Keep, purse: Purse) -> None:
        self._revision = revision
        self._keep = keep
        self._purse = purse
        self._loop = asyncio.get_running_loop()
        self._entries: dict[str, tuple[Entry, bool]] = {}

    def listen(self, call: Call) -> AsyncGenerator[Event, None]:
        """One member's answer, or why it is not asked."""
        if call.role != "panel" and call.member.place != "local" and self._revision.never_remote.match(call.request):
            return _unasked(call, Unwilling("what it would be shown must not leave this machine (privacy.never_remote)"))
        entry = self._keep.health.entered(self._revision.identity(call.member), self._loop.time())
        if isinstance(entry, Refusal):  # since the plan was made
            return _unasked(call, Cooling(entry.why) if entry.word == "cooling" else Unwilling(entry.why))
        self._entries[call.voice] = entry, self._loading(call.member)
        return self._purse.listen(call, self._ask) if call.member.paid else self._ask(call)

    def left(self, part: Part) -> None:
        """A call is over."""
        if part.call.voice not in self._entries:
            return
        (entry, cold), member = self._entries.pop(part.call.voice), part.call.member
        end = part.transcript.end
        if not member.paid:
            self._doubt(part)
        error = end.error if isinstance(end, Failed) else None
        loading = cold or self._loading(member)
        self._keep.health.left(entry, CANCELLED if end is None else error, self._loop.time(), loading=loading)
        if error is not None and error.lost:
            self._revision.lose(member.provider, error.message, self._keep.reach)

    def _doubt(self, part: Part) -> None:
        """A member that should cost nothing may be billed all the same: that is not forgotten, and where its end was not heard, asked for."""
        usage, generation = part.transcript.usage, part.transcript.generation
        cut_off = not part.transcript.complete and not (usage and usage.final)
        if cut_off and generation:
            self._purse.doubted(part.call, generation)
        elif usage and usage.cost:
            self._purse.billed(part.call, usage.cost)
        if usage and usage.cost:
            self._keep.surprises.add(self._revision.identity(part.call.member))

    def _loading(self, member: Member) -> bool:
        """Whether a local model has to be brought into memory first, which takes its time."""
        return member.place == "local" and self._revision.state(member) != "ready"

    def _ask(self, call: Call) -> AsyncGenerator[Event, None]:
        return self._revision.listen(call, partial(self._again, call))

    def _again(self, call: Call, error: MemberError, attempt: int) -> float | None:
        """A provider that cannot be reached is not asked again, nor one whose bill would be unknown, nor where another may take over.

        A connection that was closed while it waited is no reason for that: another one costs no time.
        """
        if error.lost or not (call.patient or error.stale) or (call.member.paid and not surely_unbilled(call.member, error)):
            return None
        jitter = random.random()  # noqa: S311  # to spread out those who failed together
        return self._keep.health.retry_after(error, attempt, self._loop.time(), call.deadline, jitter)


async def _unasked(call: Call, error: MemberError) -> AsyncGenerator[Event, None]:
    yield Failed(member=call.voice, error=error)
