"""What is remembered of one kind of traffic (a fusion, a kind of key): how long answers are, what calls cost, and so what a call's toll is.

Pure transitions over frozen values. No tariff is known here: whoever asks brings the expected price of each call, in USD.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, replace
from decimal import Decimal
from math import log10, sqrt
from typing import Self

MEMORY = 500
"""A running mean is one over all requests up to this many, and follows the later ones as if there had been so many before."""

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
    """

    length: Mean = Mean()
    root: Mean = Mean()
    lengths: Means = field(default_factory=dict)
    prices: Means = field(default_factory=dict)

    def after(self, heard: Heard) -> Self:
        """What is remembered after one more request."""
        lead = heard.lead
        return replace(
            self,
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


def _heard(means: Means, values: Mapping[str, int] | Mapping[str, Decimal]) -> Means:
    return {**means, **{name: means.get(name, Mean()).heard(float(value)) for name, value in values.items()}}
