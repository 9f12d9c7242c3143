"""The cues' way to be compiled finds what the plain way finds."""

from __future__ import annotations

import re

import pytest
from hypothesis import given
from hypothesis import strategies as st

from fusiond.keys import tongues
from fusiond.keys.patterns import alternation

PATTERNS = [
    r"\ba(?:b|\bc)d | [|x] | \bq\ | \|\| | \b[\]|]z",
    r"\bhow\ (?:many|much)\b | (?:^|\n)\d{1,3} | 多少 | \bx",
    "x" + tongues.NUMBER,
    "x" + tongues.BOOLEAN,
    r"\bonly\b",
]


@pytest.mark.parametrize("pattern", PATTERNS)
@given(text=st.text(alphabet="abcdqxz|]xhowmanuc 12\n多少ja/nein", max_size=40))
def test_grouping_changes_nothing_that_is_found(pattern: str, text: str) -> None:
    """Bars in brackets and classes part nothing, escaped blanks stay, and what is found is found as before."""
    plain = re.compile(pattern, re.IGNORECASE | re.VERBOSE)
    assert (alternation(pattern).search(text) is None) == (plain.search(text) is None)
