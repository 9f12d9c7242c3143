"""One request's money: set aside before each paid call, settled when the call is over, however it ends.

What a call may cost is decided by `policy.budget`; here it meets the ledger. A call that was cut off, or whose bill did not come, stays counted at
its worst case; one that surely cost nothing (no connection, refused before the first byte) is forgotten.
"""

from __future__ import annotations

from collections.abc import AsyncGenerator, Awaitable, Callable, Mapping
from contextlib import aclosing
from dataclasses import dataclass, field, replace
from datetime import datetime
from decimal import Decimal

from fusiond.call import Call
from fusiond.catalog import Member
from fusiond.errors import Empty, MemberError, Misshapen, Rejected, TooDear, Unwilling
from fusiond.events import Event, Failed, Finished, Opened, Text, Thinking, ToolCall, Usage
from fusiond.policy.bound import Bound, Unpriceable, most_tokens
from fusiond.policy.budget import Caps, Offer, Spent, offer, wished
from fusiond.store.amounts import kept
from fusiond.store.database import StoreError
from fusiond.store.ledger import Ledger, PaidCall
from fusiond.tariff import Counted

LEDGER_SECONDS = 2.0
"""A disk that takes longer is none that a call waits for."""

Listen = Callable[[Call], AsyncGenerator[Event, None]]


def surely_unbilled(member: Member, error: MemberError) -> bool:
    """Whether a call that failed so cost nothing. OpenRouter says that of every error status; elsewhere a server may have broken down at its work."""
    broken_down = isinstance(error, Rejected) and error.upstream_status is not None and error.upstream_status >= 500 and error.upstream_status != 503
    return error.unbilled and (member.api == "openrouter" or not broken_down)


def _unrecordable(why: StoreError | str) -> Unwilling:
    return Unwilling(f"what it costs cannot be recorded: {why}")


@dataclass(slots=True)
class _Ticket:
    """A paid call under way, and what was heard of it."""

    key: int
    call: Call
    offer: Offer
    images: int
    recorded: Awaitable[None]
    gone: bool = False  # whether anything may have left
    said: bool = False
    usage: Usage | None = None
    generation: str | None = None
    end: Finished | Failed | None = None

    def hear(self, event: Event) -> None:
        match event:
            case Text() | Thinking() | ToolCall():
                self.said = True
            case Opened():
                self.generation = event.generation
            case Usage():
                self.usage = event
            case Finished() | Failed():
                self.end = event

    async def clear(self) -> None:
        """Wait until what was set aside is on the disk: its question may leave then. Raises Unwilling where it cannot be recorded."""
        try:
            await self.recorded
        except StoreError as error:
            raise _unrecordable(error) from None
        self.gone = True

    @property
    def complete(self) -> bool:
        """Whether the provider has come to its end, so that what it counted is all there is."""
        return isinstance(self.end, Finished) or (isinstance(self.end, Failed) and isinstance(self.end.error, Empty | Misshapen))

    @property
    def unbilled(self) -> bool:
        """Whether it surely cost nothing: it has not left, or was refused before there was anything to pay for."""
        if self.said or self.usage is not None or self.generation is not None:
            return False
        return not self.gone or (isinstance(self.end, Failed) and surely_unbilled(self.call.member, self.end.error))

    @property
    def bill(self) -> Decimal | None:
        """What the provider says it costs, once that is the end of it: some count as they go on."""
        return self.usage.cost if self.usage and (self.usage.final or self.complete) else None

    def counted(self) -> Counted | None:
        """What the provider counted; None: not everything. No prompt is without tokens, and no answer either."""
        usage = self.usage
        if usage is None or not self.complete or not usage.prompt_tokens or (self.said and not usage.completion_tokens):
            return None
        return Counted(
            prompt_tokens=usage.prompt_tokens,
            completion_tokens=usage.completion_tokens,
            reasoning_tokens=usage.reasoning_tokens,
            cached_tokens=usage.cached_tokens,
            cache_write_tokens=usage.cache_write_tokens,
            images=self.images,
        )


@dataclass(slots=True, kw_only=True)
class Purse:
    """What one request may spend and has spent.

    `paid`: how many paid calls it may still make; `bound`: of the client's prompt; `now` gives the time of the price list (UTC).
    """

    ledger: Ledger
    caps: Caps | None  # None: nothing may be paid
    final: bool  # whether a call that is too dear ends the request
    request_id: str
    asked_for: str
    paid: int
    bound: Bound | None = None
    now: Callable[[], datetime]
    capped: set[str] = field(default_factory=set)  # voices whose answers were cut short by what we sent as max_tokens
    _billed: dict[str, Decimal] = field(default_factory=dict)  # voice -> USD, settled or assumed
    _held: dict[int, tuple[str, Decimal]] = field(default_factory=dict)  # call -> its voice, and USD set aside

    async def listen(self, call: Call, ask: Listen) -> AsyncGenerator[Event, None]:
        """One paid member's answer, or a `Failed` that says why it was not asked."""
        try:
            ticket = self._reserved(call)
        except MemberError as error:
            yield Failed(member=call.voice, error=error)
            return
        try:
            payable = replace(call, affordable=ticket.offer.max_tokens, cleared=ticket.clear)
            async with aclosing(ask(payable)) as events:
                async for event in events:
                    ticket.hear(event)
                    if isinstance(event, Opened):
                        self.ledger.opened(ticket.key, event.generation)
                        continue
                    if ticket.end is not None:  # what it cost is known before its end is heard
                        self._close(ticket)
                    yield event
        finally:
            self._close(ticket)

    def doubted(self, call: Call, generation: str) -> None:
        """A member that should cost nothing was cut off: whether it did is asked for afterwards."""
        self.ledger.doubt(self._paid_call(call), generation)

    def billed(self, call: Call, cost: Decimal) -> None:
        """A member that should cost nothing has cost something: it is spent, whatever the price list says."""
        self.ledger.surprise(self._paid_call(call), cost)
        self._spend(call, cost)

    @property
    def costs(self) -> Mapping[str, Decimal]:
        """Voice -> USD. A call that is not over counts at its worst: whoever is dismissed may have to be paid all the same."""
        costs = dict(self._billed)
        for voice, amount in self._held.values():
            costs[voice] = costs.get(voice, Decimal(0)) + amount
        return costs

    def spent(self) -> Decimal:
        """USD that this request has cost so far, and has set aside."""
        return sum(self.costs.values(), Decimal(0))

    def _reserved(self, call: Call) -> _Ticket:
        """Set the call's worst case aside; it is not on the disk yet. Raises MemberError."""
        if self.ledger.fault:
            raise _unrecordable(self.ledger.fault)
        bound, offered = self._offered(call)
        key = self.ledger.reserve(self._paid_call(call), offered.amount)
        self._held[key] = call.voice, kept(offered.amount)
        return _Ticket(key, call, offered, bound.images, self.ledger.durable(within=LEDGER_SECONDS))

    def _offered(self, call: Call) -> tuple[Bound, Offer]:
        tariff, shares = call.member.tariff, self.paid
        self.paid = max(1, shares - 1)
        if tariff is None or self.caps is None:
            raise TooDear("its price is not known" if self.caps else "costs money, and there is no [budget]", final=self.final)
        day, month = self.ledger.gone()
        spent = Spent(request=self.spent(), day=day, month=month)
        try:
            known = self.bound if call.role == "panel" else None  # whose prompt is the client's own
            wish = wished(call.request, call.member, known or most_tokens(call.request))
            return wish.bound, offer(tariff, wish, self.caps, spent, shares=shares)
        except Unpriceable as error:
            raise TooDear(f"what it could cost is not known: {error}", final=self.final) from None
        except TooDear as error:
            error.final = self.final
            raise

    def _close(self, ticket: _Ticket) -> None:
        """The end of a call, once: its bill, or the worst."""
        call, end = ticket.call, ticket.end
        held = self._held.pop(ticket.key, None)
        if held is None:
            return
        bill = self._bill(ticket)
        if bill is not None:
            self.ledger.settle(ticket.key, bill)
            self._spend(call, bill)
        elif ticket.unbilled:
            self.ledger.release(ticket.key)
        else:
            self.ledger.assume(ticket.key, ticket.generation)
            self._spend(call, held[1])
        if ticket.offer.capped and isinstance(end, Finished) and end.reason == "length":
            self.capped.add(call.voice)

    def _bill(self, ticket: _Ticket) -> Decimal | None:
        """What the provider says, else its price list where the answer is complete; None: not known."""
        if ticket.bill is not None:
            return ticket.bill
        tariff, counted = ticket.call.member.tariff, ticket.counted()
        return tariff.cost(counted, self.now()) if tariff and counted else None

    def _spend(self, call: Call, amount: Decimal) -> None:
        self._billed[call.voice] = self._billed.get(call.voice, Decimal(0)) + kept(amount)

    def _paid_call(self, call: Call) -> PaidCall:
        return PaidCall(request=self.request_id, fusion=self.asked_for, member=call.member.name, provider=call.member.provider)
