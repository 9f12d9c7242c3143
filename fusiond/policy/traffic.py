"""What is remembered of one kind of traffic (a fusion, a kind of key): how long answers are, what calls cost, and so what a call's toll is.

Where a share is to be spent, the thrift that spends it is remembered, too: every request corrects it by as much as it was too dear or too cheap.

Pure transitions over frozen values. No tariff is known here: whoever asks brings the expected price of each call, in USD.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, replace
from decimal import Decimal
from math import exp, log10, sqrt
from typing import Self

MEMORY = 500
"""A running mean is one over all requests up to this many, and follows the later ones as if there had been so many before."""

MEMBERS = 64
"""So many members' means are kept, of those that were heard last: names come and go with the configuration."""

THRIFT, LEAST, MOST = 0.1, 0.03, 0.3
"""Where the thrift begins that spends a share, and how far it goes: beyond, a call adds next to nothing, or nobody is asked any more."""

CORRECTION = 0.03
"""Of the thrift, in log, for a request that costs a mean call of the strongest more than it should."""

LONGER = 1.1
"""Who is asked takes longer than the leading local's answer lets expect, for hard questions are asked: by 10% to 20% on recorded answers."""

UNKNOWN_LENGTH = 256.0
"""Tokens of an answer, where neither this request nor any before it tells."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Mean:
    """A running mean; worth nothing while nothing was counted."""

    count: int = 0
    value: float = 0.0

    def heard(self, value: float) -> Self:
        """The mean with one more value."""
        count = min(self.count + 1, MEMORY)
        return replace(self, count=count, value=self.value + (value - self.value) / count)


Means = Mapping[str, Mean]


@dataclass(frozen=True, slots=True, kw_only=True)
class Heard:
    """What one request told. `lead`: the leading local's length, None or 0 where it was silent.

    `lengths`: of the paid members that answered; `prices`: expected, of all that might have been asked.
    """

    lead: int | None
    lengths: Mapping[str, int]
    prices: Mapping[str, Decimal]


@dataclass(frozen=True, slots=True, kw_only=True)
class Traffic:
    """Running means of one kind of traffic. Lengths in completion tokens, prices in USD.

    `length`, `root`: of the leading local's answers, and the square roots of their lengths; `lengths`: of each paid member's answers;
    `prices`: what a call of each paid member was expected to cost, asked or not. Prices are linear, so that their mean is the price of a mean call.
    `thrift`: what spends the share that is to be spent, so far.
    """

    length: Mean = Mean()
    root: Mean = Mean()
    lengths: Means = field(default_factory=dict)
    prices: Means = field(default_factory=dict)
    thrift: float = THRIFT

    def after(self, heard: Heard, spend: float | None = None) -> Self:
        """What is remembered after one more request. `spend`: the share of always asking the strongest that may be spent; None: nobody says."""
        lead = heard.lead
        return replace(
            self,
            thrift=self.thrift if spend is None or not heard.prices else _corrected(self.thrift, share(heard, self) - spend),
            length=self.length.heard(lead) if lead else self.length,
            root=self.root.heard(sqrt(lead)) if lead else self.root,
            lengths=_heard(self.lengths, heard.lengths),
            prices=_heard(self.prices, heard.prices),
        )


def expected_length(traffic: Traffic, lead_length: int | None) -> float:
    """Tokens that a paid member's answer will take, told from the leading local's: long ones are long elsewhere too, but less so.

    The mean length times (this one's)^0.5 / mean of (length)^0.5: the best of eight rules on recorded answers. Nothing heard yet: this one's length;
    a silent lead (None or 0): the mean.
    """
    if not traffic.length.count:
        return float(lead_length or UNKNOWN_LENGTH)
    return traffic.length.value * (sqrt(lead_length) / traffic.root.value if lead_length else 1.0)


def usual_prices(traffic: Traffic, prices: Mapping[str, Decimal]) -> dict[str, float]:
    """What a mean call of each member of `prices` costs, in USD; for one not met before, what this call is expected to."""
    return {member: traffic.prices[member].value if member in traffic.prices else float(price) for member, price in prices.items()}


def strongest(usual: Mapping[str, float]) -> str:
    """The dearest member at a mean call; among equals the one named first. `usual` names at least one."""
    return max(usual, key=usual.__getitem__)


def rank(price: float, strongest_price: float) -> float:
    """How near a member's price comes to the strongest's: 1 for as dear, 0 for a tenth and less. Both above 0, of a mean call."""
    return min(1.0, max(0.0, 1 + log10(price / strongest_price)))


def tolls(thrift: float, prices: Mapping[str, Decimal], traffic: Traffic) -> dict[str, float]:
    """The chance of being right that each call must bring in to be worth its price.

    `thrift` is the toll of a mean call of the strongest member. `prices` are expected of this request; the first of its kind is its own mean.
    """
    usual = max(usual_prices(traffic, prices).values(), default=0.0)
    return {member: thrift * float(price) / usual if usual else 0.0 for member, price in prices.items()}


def share(heard: Heard, traffic: Traffic) -> float:
    """What the members that answered cost, in mean calls of the strongest.

    Both as they are expected to: what the strongest takes where it is not asked is not known, and was not hard enough to be asked.
    """
    usual = max(usual_prices(traffic, heard.prices).values(), default=0.0)
    return LONGER * sum(float(heard.prices.get(member, 0)) for member in heard.lengths) / usual if usual else 0.0


def would_have_cost(member: str, price: Callable[[float], Decimal], traffic: Traffic, *, own_length: int | None, lead_length: int | None) -> Decimal:
    """USD that this request would have cost had `member`, the strongest allowed, been asked alone. What was paid, taken from it, is what was saved.

    `price`: of this prompt and an answer of so many tokens. The length is its own if it answered, else its mean in this kind of traffic,
    and until that is known the leading local's.
    """
    if own_length is not None:
        return price(own_length)
    if member in traffic.lengths:
        return price(traffic.lengths[member].value)
    return price(lead_length or expected_length(traffic, None))


def _corrected(thrift: float, excess: float) -> float:
    return min(MOST, max(LEAST, thrift * exp(CORRECTION * excess)))


def _heard(means: Means, values: Mapping[str, int] | Mapping[str, Decimal]) -> Means:
    new = {name: means.get(name, Mean()).heard(float(value)) for name, value in values.items()}
    old = {name: mean for name, mean in means.items() if name not in new}
    return dict([*old.items(), *new.items()][-MEMBERS:])
