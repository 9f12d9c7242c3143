"""What one paid call may cost: caps, what is spent and set aside already, and a tariff in; an offer or a refusal out. Pure.

The worst case is set aside before a call goes out, so that the sum of what is spent and set aside never passes a cap, whatever is billed.
Prices may have any number of digits: sums are exact here, and a share of a cap is rounded down.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from decimal import ROUND_CEILING, ROUND_DOWN, Context, Decimal, localcontext
from typing import NamedTuple

from fusiond.catalog import Member
from fusiond.chat import Request
from fusiond.errors import TooDear
from fusiond.policy.bound import Bound
from fusiond.tariff import Tariff

LEAST_TOKENS = 256
"""A call whose answer could not have so many tokens is not made, unless the client itself wants fewer."""

USUAL_TOKENS = 16384
"""The longest answer of a model that does not tell its own limit, where no cap says less."""

SHARE_OF_DAY = 10
"""A call without the client's own limit takes at most one part in so many of what is left of the day."""

_NOTHING = Decimal(0)
_EXACT = Context(prec=100, rounding=ROUND_DOWN)
_DIGITS = 6
"""For people: enough to tell small amounts apart."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Caps:
    """USD that one request, a day and a month may cost; None: no cap. Days and months are UTC."""

    request: Decimal | None = None
    day: Decimal | None = None
    month: Decimal | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Spent:
    """USD settled and set aside so far, in this request, today and in this month."""

    request: Decimal = Decimal(0)
    day: Decimal = Decimal(0)
    month: Decimal = Decimal(0)


@dataclass(frozen=True, slots=True, kw_only=True)
class Wish:
    """What is asked for: a prompt of at most so many tokens, and `tokens` of an answer (None: as many as may be). `limit`: the model's own."""

    bound: Bound
    tokens: int | None = None
    limit: int | None = None


def wished(request: Request, member: Member, bound: Bound) -> Wish:
    """What a request wants of a member: its own length, else the member's."""
    tokens = request.sampling.max_tokens
    return Wish(bound=bound, tokens=member.options.get("max_tokens") if tokens is None else tokens, limit=member.longest)


@dataclass(frozen=True, slots=True, kw_only=True)
class Offer:
    """A call that can be paid. `amount`: USD to set aside; `max_tokens` is to be sent; `capped`: it may be less than the model could give."""

    amount: Decimal
    max_tokens: int
    capped: bool = False


class _Pot(NamedTuple):
    """One cap, what is left of it (less than nothing where it was passed), and a call's share of that, where the client sets no limit of its own."""

    period: str
    cap: Decimal
    left: Decimal
    share: Decimal


def offer(tariff: Tariff, wish: Wish, caps: Caps, spent: Spent, *, shares: int = 1) -> Offer:
    """The call that the caps allow. Raises TooDear with the cap that stands in its way.

    Without the client's own limit the answer may be as long as the money lasts, divided between the `shares` calls that the request may still make.
    """
    with localcontext(_EXACT):
        pots = _pots(caps, spent, shares)
        if wish.tokens is not None:
            return Offer(amount=_payable(tariff, wish.bound, wish.tokens, pots), max_tokens=wish.tokens)
        most = wish.limit or USUAL_TOKENS
        tokens = _affordable(tariff, wish.bound, most, pots)
        return Offer(amount=_payable(tariff, wish.bound, tokens, pots), max_tokens=tokens, capped=wish.limit is None or tokens < wish.limit)


def _pots(caps: Caps, spent: Spent, shares: int) -> list[_Pot]:
    pots: list[_Pot] = []
    for period, cap, gone, parts in (
        ("request", caps.request, spent.request, shares),
        ("day", caps.day, spent.day, SHARE_OF_DAY),
        ("month", caps.month, spent.month, 1),
    ):
        if cap is not None:
            left = cap - gone
            pots.append(_Pot(period, cap, left, max(left, _NOTHING) / parts))
    return pots


def _affordable(tariff: Tariff, bound: Bound, most: int, pots: Sequence[_Pot]) -> int:
    """The longest answer, of at most so many tokens, that every cap pays for. Raises TooDear where it is too short to be worth asking for."""
    scarcest = min(pots, key=lambda pot: pot.share, default=None)
    tokens = None if scarcest is None else tariff.most_completion(scarcest.share, bound.tokens, bound.images)
    if scarcest is None or tokens is None:
        return most
    least = min(LEAST_TOKENS, most)
    if tokens < least:
        _payable(tariff, bound, least, pots)  # names a cap that is below even that
        share = f"{_usd(scarcest.share)}, its share of what is left of the {scarcest.period}'s {_usd(scarcest.cap)}"
        raise TooDear(f"could say {tokens} tokens for {share}, and fewer than {least} are not worth asking for")
    return min(most, tokens)


def _payable(tariff: Tariff, bound: Bound, tokens: int, pots: Sequence[_Pot]) -> Decimal:
    """The worst case of a call. Raises TooDear where a cap is below it."""
    amount = tariff.worst(bound.tokens, tokens, bound.images)
    for pot in pots:
        if amount > pot.left:
            left = max(pot.left, _NOTHING)
            raise TooDear(f"could cost {_usd(amount, ROUND_CEILING)}, and {_usd(left)} are left of the {pot.period}'s {_usd(pot.cap)}")
    return amount


def _usd(amount: Decimal, rounding: str = ROUND_DOWN) -> str:
    """For people. What a call costs is rounded up, what there is for it down."""
    return f"${Context(prec=_DIGITS, rounding=rounding).plus(amount).normalize():f}"
