"""A recorded set replayed by its keys alone, through the policy's own functions: for a set of which no texts were kept, and for tests."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from decimal import Decimal

from bench.recorded import SIZES, Record, Recordings, options, price
from fusiond import guess
from fusiond.config.tree import FusionConfig
from fusiond.policy.belief import Model, Voter, verdict
from fusiond.policy.lookahead import next_call
from fusiond.policy.traffic import Heard, Traffic, expected_length, rank, strongest, tolls, usual_prices

THRIFT = FusionConfig().thrift


@dataclass(frozen=True, slots=True, kw_only=True)
class Outcome:
    """What became of one question: whether it was answered rightly, how sure that was said to be, what was paid, and what the strongest alone costs.

    `strongest`, `free`: who of the members asked alone is right.
    """

    right: bool
    confidence: float
    cost: Decimal
    always: Decimal
    strongest: bool
    free: Mapping[str, bool]


def outcome(recordings: Recordings, record: Record, *, right: bool, confidence: float, cost: Decimal) -> Outcome:
    """The same question asked of each member alone goes with it."""
    answers = record["answers"]
    dearest = answers[recordings.strongest]
    return Outcome(
        right=right,
        confidence=confidence,
        cost=cost,
        always=price(recordings.strongest, dearest, dearest["completion_tokens"]),
        strongest=dearest["correct"],
        free={name: answers[name]["correct"] for name in recordings.free},
    )


def replayed(recordings: Recordings, *, thrift: float = THRIFT, spend: float | None = None, free: int = 4, paid: bool = True) -> list[Outcome]:
    """Every question of the set in turn, asked of so many free members and, where that is worth it, of the paid ones."""
    traffic, outcomes = Traffic(), []
    for record in recordings.records():
        asked = recordings.free[:free]
        held = thrift if spend is None else traffic.thrift
        heard, done = _cascaded(recordings, record, traffic, asked, held if paid else None)
        traffic = traffic.after(heard, spend)
        outcomes.append(done)
    return outcomes


def _cascaded(recordings: Recordings, record: Record, traffic: Traffic, asked: Sequence[str], thrift: float | None) -> tuple[Heard, Outcome]:
    """One question: what it tells, and what became of it. `thrift` None: nobody is paid."""
    answers = record["answers"]
    lead = answers[recordings.free[0]]["completion_tokens"]
    length = expected_length(traffic, lead)
    prices = {} if thrift is None else {member: price(member, answers[member], length) for member in recordings.escalate}
    panel = voters(asked, usual_prices(traffic, prices))
    due = tolls(thrift or 0.0, prices, traffic)
    votes = {voter: answers[voter.name]["extracted"] for voter in panel if not voter.paid}
    lengths: dict[str, int] = {}
    while (voter := next_call(Model(), panel, votes, due, options(record))) is not None:
        votes[voter] = answers[voter.name]["extracted"]
        lengths[voter.name] = answers[voter.name]["completion_tokens"]
    stands = verdict(Model(), panel, votes, options(record))
    paid = sum((price(member, answers[member], tokens) for member, tokens in lengths.items()), Decimal(0))
    right = stands.key is not None and any(answer["correct"] for answer in answers.values() if answer["extracted"] == stands.key)
    done = outcome(recordings, record, right=right, confidence=stands.confidence, cost=paid)
    return Heard(lead=lead, lengths=lengths, prices=prices), done


def voters(free: Sequence[str], usual: Mapping[str, float]) -> list[Voter]:
    """The panel: the free ones by what their names tell, the paid ones by what they usually cost."""
    local = [Voter(name=name, size=SIZES.get(name) or guess.size(name) or guess.DEFAULT_SIZE, reasoning=guess.reasoning(name)) for name in free]
    return [*local, *(Voter(name=name, paid=True, rank=rank(cost, usual[strongest(usual)])) for name, cost in usual.items())]
