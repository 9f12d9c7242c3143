"""How long a provider asks to be left alone, in both forms, and in none."""

from __future__ import annotations

import time

import pytest

from fusiond.members.retry_after import asked_wait

NOW = 1_790_000_000.0
"""Mon, 21 Sep 2026 14:13:20 GMT."""


@pytest.fixture(autouse=True)
def _now(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(time, "time", lambda: NOW)


@pytest.mark.parametrize(
    ("header", "wait"),
    [
        ("7", 7),
        (" 0.5 ", 0.5),
        ("0", 0),
        ("600", 600),
        ("99999999", 600),
        ("9" * 5000, 600),
        ("Mon, 21 Sep 2026 14:15:20 GMT", 120),
        ("Monday, 21-Sep-26 14:15:20 GMT", 120),
        ("Mon Sep 21 14:15:20 2026", 120),
        ("Mon, 21 Sep 2026 16:15:20 +0200", 120),
        ("Fri, 31 Dec 2100 23:59:59 GMT", 600),
        ("Mon, 21 Sep 2026 14:13:19 GMT", None),
        *((nothing, None) for nothing in ("", " ", "-1", "+7", "1e3", "1e300", "1e400", "inf", "nan", "1_0", "7 s", "soon", "\u0667", "sk-key")),
        ("Mon, 99 Sep 2026 14:15:20 GMT", None),
        ("Mon, 21 Sep 99999999999999999999 14:15:20 GMT", None),
        ("Mon, 21 Sep 2026 14:15:20 +9999999999", None),
    ],
)
def test_what_is_asked_for(header: str, wait: float | None) -> None:
    """Seconds or a date, and no more than is believed; whatever is neither, or is over, is nothing."""
    assert asked_wait(header) == wait


def test_nothing_is_said() -> None:
    """As mostly."""
    assert asked_wait(None) is None
