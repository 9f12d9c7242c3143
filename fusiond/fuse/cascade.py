"""The panel votes; then paid members are asked one by one, only as far as each is worth its price, and join the vote.

Whether one is worth it is `policy.lookahead`'s to say: it must raise the chance of a right answer by more than its toll. Nobody is asked where the
outcome is at least as sure as the fusion's `accept`, or once the request's time is up; and while there is nothing that could be delivered, the next
one is asked whatever it costs: an answer is worth more than an error.

Whoever is named among the paid members and costs nothing goes before them, as long as its answer may change what stands.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncGenerator, Iterator, Mapping, Sequence
from contextlib import aclosing
from dataclasses import replace
from decimal import Decimal
from functools import partial
from itertools import product

from fusiond.call import Call
from fusiond.eligible import USUAL_BYTES_PER_TOKEN, text_bytes
from fusiond.errors import MemberError
from fusiond.events import Transcript, Usage
from fusiond.fuse.ballots import count, delivered, said, stands, unchanging, votes_of, wanted_of
from fusiond.fuse.drafts import Drafts
from fusiond.fuse.outcome import Decided, Outcome, nobody
from fusiond.keys import joined
from fusiond.merge import Gathering
from fusiond.plan import Plan
from fusiond.policy.belief import Model, Voter, Votes, verdict
from fusiond.policy.lookahead import Tolls, next_call
from fusiond.policy.traffic import Heard, expected_length, strongest, tolls, usual_prices, would_have_cost
from fusiond.report import Degraded

LOOK = 2
"""With more of the panel missing than this the decision to pay is not called settled: there would be too much to try."""


async def cascade(plan: Plan, members: Gathering) -> AsyncGenerator[Outcome, None]:
    """The panel's vote, and who is worth asking besides."""
    table, clock = _Table(plan), asyncio.get_running_loop().time
    calls = plan.calls or table.worth_asking()
    while calls:
        drafts = Drafts(plan, members, calls, others=table.behind(calls))
        async with aclosing(drafts.listen(partial(table.settled, drafts))) as progress:
            async for step in progress:
                yield step
        table.take(drafts)
        calls = table.worth_asking() if clock() < plan.deadline else ()
    decided = table.decided()
    yield decided
    for event in delivered(plan, decided, table.answers):
        yield event


class _Table:
    """What has been said so far, and what the next word is worth. Voices are always looked at in panel order."""

    def __init__(self, plan: Plan) -> None:
        self._plan = plan
        self._wanted = wanted_of(plan)
        free = [voter.name for voter in plan.voters if not voter.paid]
        self._lead = plan.most_skilled(free) if free else None
        self._payable = {call.voice: call for call in plan.escalation if call.member.paid}
        self._answers: dict[str, Transcript] = {}
        self._keys: dict[str, str | None] = {}
        self._failures: dict[str, MemberError] = {}
        self._degraded: tuple[Degraded, ...] = ()

    @property
    def answers(self) -> Mapping[str, Transcript]:
        """The complete answers, by voice."""
        return {voter.name: self._answers[voter.name] for voter in self._plan.voters if voter.name in self._answers}

    def take(self, drafts: Drafts) -> None:
        """What has come in by now."""
        new = {voice: answer for voice, answer in drafts.answers.items() if voice not in self._answers}
        self._answers |= new
        self._keys |= {voice: said(self._wanted, answer) for voice, answer in new.items()}
        self._failures |= drafts.failures
        self._degraded = drafts.degraded or self._degraded

    def settled(self, drafts: Drafts) -> bool:
        """Whether no answer still missing can change what stands, or that nobody is paid."""
        self.take(drafts)
        missing = [voter for voter in self._plan.voters if voter.name in drafts.missing]
        if not missing:
            return True
        if not stands(self._plan, self._ended, drafts.missing):
            return False
        if not self._waiting:
            return True
        if len(missing) > LOOK or self._lead_length is None:  # while that is not known, neither is any price
            return False
        known = {voter: key for voter, key in self._votes().items() if voter not in missing}
        each = self._tolls()
        return all(self._next(votes, each) is None for votes in _completions(known, missing, self._wanted.count))

    def behind(self, calls: Sequence[Call]) -> int:
        """How many have to be asked if these do not answer, since there is nothing to deliver. The panel has its own time."""
        return 0 if self._deliverable or calls == self._plan.calls else len(self._waiting) - len(calls)

    def worth_asking(self) -> tuple[Call, ...]:
        """Who is asked next, one at the most; nobody: what stands is delivered."""
        waiting = self._waiting
        if not self._deliverable:
            return waiting[:1]
        voter = self._next(self._votes(), self._tolls()) if waiting else None
        return tuple(call for call in waiting if voter and call.voice == voter.name)

    def decided(self) -> Decided:
        """What stands in the end. Raises the error for a request that nobody answered."""
        if not self._answers:
            raise nobody(self._plan, self._failures)
        decided = count(self._plan, self.answers, self._failures, {voice: self._keys[voice] for voice in self.answers}, degraded=self._degraded)
        if decided.decision not in ("no_key", "merged") and self._payable.keys() & self._answers.keys():
            decided = replace(decided, decision="escalated")
        return replace(decided, heard=self._heard(), otherwise=self._otherwise())

    @property
    def _prompt_tokens(self) -> int:
        """Of the prompt, as the leading local counts them, else the first that does."""
        lead_first = sorted(self.answers.items(), key=lambda item: item[0] != self._lead)
        counted = (answer.usage.prompt_tokens for _, answer in lead_first if answer.usage)
        return next(counted, text_bytes(self._plan.request) // USUAL_BYTES_PER_TOKEN)

    @property
    def _lead_length(self) -> int | None:
        """Tokens of the answer of the panel's most skilled free member; None where it is silent, or does not count."""
        usage = self._answers[self._lead].usage if self._lead in self._answers else None
        return usage.completion_tokens if usage else None

    @property
    def _ended(self) -> dict[str, str | None]:
        """What everybody says who has ended; who failed says nothing."""
        return {**self._keys, **dict.fromkeys(self._failures)}

    @property
    def _waiting(self) -> tuple[Call, ...]:
        """Who may still be asked; those that cost nothing first."""
        waiting = [call for call in self._plan.escalation if call.voice not in self._ended]
        return tuple(sorted(waiting, key=lambda call: call.member.paid))

    @property
    def _deliverable(self) -> bool:
        """Whether there is anything that may be the answer: of JSON, no broken document."""
        return any(key is not None for key in self._keys.values()) or (bool(self._answers) and self._wanted.kind != "json")

    def _votes(self) -> Votes:
        """What the panel has said, and who was asked besides; who is missing, for whatever reason, says nothing."""
        silent = dict.fromkeys(call.voice for call in self._plan.calls)
        return votes_of(self._plan, {**silent, **joined(self._wanted, self._keys), **dict.fromkeys(self._failures)})

    def _next(self, votes: Votes, tolls: Tolls) -> Voter | None:
        """Who is to be asked after these votes."""
        plan, options = self._plan, self._wanted.count
        if verdict(Model(), plan.voters, votes, options).confidence >= plan.accept:
            return None
        free = [voter for voter in plan.voters if not voter.paid and voter not in votes]
        if not unchanging(plan, votes, free):
            return free[0]
        return next_call(Model(), plan.voters, votes, tolls, options)

    def _tolls(self) -> Tolls:
        """Measured by the strongest, also once it has been heard or has failed."""
        return tolls(self._plan.thrift, self._prices(), self._plan.traffic)

    def _prices(self) -> dict[str, Decimal]:
        """What a call of each paid member is expected to cost."""
        prompt_tokens, length = self._prompt_tokens, expected_length(self._plan.traffic, self._lead_length)
        return {voice: self._price(call, prompt_tokens, length) for voice, call in self._payable.items()}

    def _price(self, call: Call, prompt_tokens: int, length: float) -> Decimal:
        tariff = call.member.tariff
        return tariff.expected(prompt_tokens, round(length), self._plan.time) if tariff else Decimal(0)

    def _heard(self) -> Heard:
        """What this request tells of its kind of traffic."""
        lengths = {voice: usage.completion_tokens for voice, usage in self._usages().items()}
        return Heard(lead=self._lead_length, lengths=lengths, prices=self._prices())

    def _otherwise(self) -> Decimal | None:
        """What the strongest of those who may be paid would have cost alone: if it was asked, what it did cost. None: nobody may."""
        if not self._payable:
            return None
        best = strongest(usual_prices(self._plan.traffic, self._prices()))
        own = self._usages().get(best)
        if own and own.cost is not None:
            return own.cost
        return would_have_cost(
            best,
            partial(self._price, self._payable[best], own.prompt_tokens if own else self._prompt_tokens),
            self._plan.traffic,
            own_length=own.completion_tokens if own else None,
            lead_length=self._lead_length,
        )

    def _usages(self) -> dict[str, Usage]:
        """What the paid members that were asked besides the panel have used."""
        heard = {voice: self._answers[voice].usage for voice in self._payable if voice in self._answers}
        return {voice: usage for voice, usage in heard.items() if usage}


def _completions(votes: Votes, missing: Sequence[Voter], options: int) -> Iterator[Votes]:
    """Everything that the missing may add: what nobody has said, together or each its own, what somebody has, and nothing."""
    known = dict.fromkeys(key for key in votes.values() if key is not None)
    new = range(min(len(missing), options - len(known)) if options else len(missing))
    words = (*(f"\0{number}" for number in new), *known, None)
    return ({**votes, **dict(zip(missing, words, strict=True))} for words in product(words, repeat=len(missing)))
