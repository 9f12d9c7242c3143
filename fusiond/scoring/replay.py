"""A cascade over recorded answers, as the daemon would have gone through them: who is asked, what stands, and what it costs.

Documents of JSON are counted whole, where the daemon merges their fields: recordings have keys alone. Pure.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from decimal import Decimal

from fusiond.policy.belief import Model, Verdict, Voter, skills, verdict
from fusiond.policy.lookahead import next_call
from fusiond.policy.traffic import Heard, Traffic, expected_length, strongest, tolls, usual_prices

MILLION = 1_000_000


@dataclass(frozen=True, slots=True, kw_only=True)
class Said:
    """A recorded answer: its key, and tokens."""

    key: str | None
    prompt_tokens: int
    completion_tokens: int


@dataclass(frozen=True, slots=True, kw_only=True)
class Recorded:
    """A question that every member was asked. `kind` of key, `options` offered (0: open), the right key; member -> answer."""

    id: str
    kind: str
    options: int
    truth: str
    said: Mapping[str, Said]


@dataclass(frozen=True, slots=True, kw_only=True)
class Voice:
    """A member as the vote knows it. `price`: USD per million tokens of prompts and answers; None: it costs nothing."""

    voter: Voter
    price: tuple[Decimal, Decimal] | None = None

    def costs(self, said: Said, length: float) -> Decimal:
        """USD for this prompt and an answer of so many tokens."""
        if self.price is None:
            return Decimal(0)
        prompt, completion = self.price
        return (prompt * said.prompt_tokens + completion * Decimal(length)) / MILLION


@dataclass(frozen=True, slots=True, kw_only=True)
class Settled:
    """What became of one question. USD: spent, and what asking the strongest would have cost; `best`: whether the strongest is right."""

    right: bool
    best: bool
    confidence: float
    spent: Decimal
    always: Decimal


def replayed(panel: Sequence[Voice], records: Iterable[Recorded], thrift: float) -> list[Settled]:
    """Every question in turn, with what is remembered of those before."""
    traffic, found = Traffic(), []
    for record in records:
        settled, heard = _replayed(panel, record, thrift, traffic)
        traffic = traffic.after(heard)
        found.append(settled)
    return found


def _replayed(panel: Sequence[Voice], record: Recorded, thrift: float, traffic: Traffic) -> tuple[Settled, Heard]:
    voices = {voice.voter.name: voice for voice in panel}
    voters = [voice.voter for voice in panel]
    paid = [voter.name for voter in voters if voter.paid]
    leader = _leader(voters)
    lead = record.said[leader].completion_tokens if leader else None
    length = expected_length(traffic, lead)
    prices = {name: voices[name].costs(record.said[name], length) for name in paid}
    due = tolls(thrift, prices, traffic)
    votes = {voter: record.said[voter.name].key for voter in voters if not voter.paid}
    asked: list[str] = []
    while (voter := next_call(Model(), voters, votes, due, record.options)) is not None:
        votes[voter] = record.said[voter.name].key
        asked.append(voter.name)
    best = strongest(usual_prices(traffic, prices)) if paid else leader or voters[0].name
    settled = _settled(record, voices, best, asked, verdict(Model(), voters, votes, record.options))
    return settled, Heard(lead=lead, lengths={name: record.said[name].completion_tokens for name in asked}, prices=prices)


def _leader(voters: Sequence[Voter]) -> str | None:
    """The most skilled of those that cost nothing; equals go by panel order."""
    ranked = skills(Model(), voters)
    free = [voter for voter in voters if not voter.paid]
    return max(free, key=ranked.__getitem__).name if free else None


def _settled(record: Recorded, voices: Mapping[str, Voice], best: str, asked: Sequence[str], outcome: Verdict) -> Settled:
    cost = {name: voices[name].costs(record.said[name], record.said[name].completion_tokens) for name in (*asked, best)}
    return Settled(
        right=outcome.key == record.truth,
        best=record.said[best].key == record.truth,
        confidence=outcome.confidence,
        spent=sum((cost[name] for name in asked), Decimal(0)),
        always=cost[best],
    )
