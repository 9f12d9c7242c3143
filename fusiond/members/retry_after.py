"""How long a provider asks to be left alone: `Retry-After` in both of its forms (RFC 9110), as far as it is believed."""

from __future__ import annotations

import re
import time
from datetime import UTC
from email.utils import parsedate_to_datetime

from fusiond.errors import LONGEST_WAIT

_DURATION = re.compile(r"[0-9]+(?:\.[0-9]+)?")


def asked_wait(header: str | None) -> float | None:
    """Seconds, of which there are no more than the breaker believes; None: it does not say, or what it says is over."""
    text = (header or "").strip()
    wait = float(text) if _DURATION.fullmatch(text) else _until(text)
    return None if wait is None or wait < 0 else min(wait, LONGEST_WAIT)


def _until(text: str) -> float | None:
    """Seconds until a date of HTTP."""
    try:
        date = parsedate_to_datetime(text)
    except (TypeError, ValueError, OverflowError):
        return None
    return (date if date.tzinfo else date.replace(tzinfo=UTC)).timestamp() - time.time()
