"""Secrets in a provider's own words: hidden whole and in long pieces, and nothing else with them."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from fusiond.errors import Rejected
from fusiond.members.discretion import PIECE, discreet, secrets_of, without

KEY = "mylabkey-123456"


@pytest.mark.parametrize(
    ("text", "told"),
    [
        (f"Incorrect API key provided: {KEY}.", "Incorrect API key provided: [secret]."),
        (f"{KEY}{KEY}", "[secret][secret]"),
        (f"x{KEY[:8]}", "x[secret]"),
        (f"{KEY[:7]}...{KEY[-7:]}", f"{KEY[:7]}...{KEY[-7:]}"),
        (f"a {KEY[3:]}...", "a [secret]..."),
        ("no key here", "no key here"),
        ("", ""),
    ],
)
def test_a_key_in_a_text(text: str, told: str) -> None:
    """A short piece is how providers show which one it was."""
    assert without(text, [KEY]) == told


@given(st.text("ab", max_size=30), st.text("ab", min_size=PIECE, max_size=20))
def test_no_long_piece_is_left(text: str, secret: str) -> None:
    """Wherever it stands, and however often."""
    left = without(text, [secret]).split("[secret]")
    assert not any(part[at : at + PIECE] in secret for part in left for at in range(len(part) - PIECE + 1))


def test_a_short_secret() -> None:
    """Hidden where it stands alone: a letter of every word is none."""
    assert without("the key k1 of k12 is k1", ["k1"]) == "the key [secret] of k12 is [secret]"


def test_what_is_secret() -> None:
    """The headers that open a door and a password in the address; not what is only said."""
    headers = {"Authorization": f"Bearer {KEY}", "x-api-key": "other", "X-Title": "fusiond"}
    assert secrets_of("http://127.0.0.1/v1", headers) == (KEY, "other")
    assert secrets_of("https://me:word@host/v1", {}) == ("word",)


def test_an_error_that_leaves_the_block() -> None:
    """It is the same error, without the secret."""
    with pytest.raises(Rejected) as raised, discreet([KEY]):
        raise Rejected(f"bad {KEY}", upstream_status=401)
    assert (raised.value.message, str(raised.value), raised.value.upstream_status) == ("bad [secret]", "bad [secret]", 401)
