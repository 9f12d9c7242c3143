"""Amounts as whole numbers, so that sums are exact.

1e-18 USD (`units`) in memory; on the disk billionths of a dollar and billionths of those, for SQLite's integers have 64 bits.
"""

from __future__ import annotations

from decimal import ROUND_CEILING, Context, Decimal

MOST = Decimal(1_000_000)
"""USD: a call that is said to cost more is a provider's mistake, and counts as this."""

_DIGITS = Context(prec=60, rounding=ROUND_CEILING)


def kept(amount: Decimal) -> Decimal:
    """An amount as it is kept: rounded up to whole 1e-18 USD."""
    return min(amount, MOST).quantize(Decimal("1e-18"), context=_DIGITS)


def whole(amount: Decimal) -> int:
    """USD in units, rounded up."""
    return int(kept(amount).scaleb(18, _DIGITS))


def usd(units: int) -> Decimal:
    """USD in as few digits as it takes."""
    return _DIGITS.add(exact(units).normalize(_DIGITS), 0)


def exact(units: int) -> Decimal:
    """USD."""
    return Decimal(units).scaleb(-18, _DIGITS)


def split(units: int) -> tuple[int, int]:
    """As on the disk."""
    return divmod(units, 10**9)


def joined(nano: int, atto: int) -> int:
    """From the disk, or from sums there."""
    return nano * 10**9 + atto
