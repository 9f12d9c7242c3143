"""The code fence around a document: taken off however the text is cut, and nothing else."""

from __future__ import annotations

import json
from collections.abc import Iterable
from itertools import pairwise

import pytest
from hypothesis import given
from hypothesis import strategies as st

from fusiond.members.fence import Fence

VALUES = st.recursive(st.integers() | st.text("a`\n \\{"), lambda inner: st.dictionaries(st.text("b` "), inner, max_size=3), max_leaves=5)
OPENINGS = ["```json\n", "```\n", "```JSON \r\n", " \n```jsonc\n", "```json ", "```"]


def passed(pieces: Iterable[str]) -> tuple[str, bool]:
    """What comes through, and whether it is whole. Little waits at any time."""
    fence, said = Fence(), ""
    for piece in pieces:
        said += fence.take(piece)
        assert len(fence._held) <= 64
    return said, fence.closed


def cut(text: str, places: list[int]) -> list[str]:
    """The text in pieces."""
    at = sorted({0, len(text), *(place % (len(text) + 1) for place in places)})
    return [text[start:end] for start, end in pairwise(at)]


@given(
    st.dictionaries(st.text("a`"), VALUES, max_size=3),
    st.sampled_from(OPENINGS),
    st.sampled_from(["\n```", "```", "\n```\n\n"]),
    st.lists(st.integers()),
)
def test_a_fenced_document(value: object, opening: str, closing: str, places: list[int]) -> None:
    """The document alone comes through."""
    document = json.dumps(value, indent=1)
    assert passed(cut(opening + document + closing, places)) == (document, True)


@given(VALUES, st.lists(st.integers()))
def test_a_document_without_a_fence(value: object, places: list[int]) -> None:
    """It comes through as it is, and at once."""
    document = json.dumps(value, indent=1)
    assert passed(cut(document, places)) == (document, True)
    assert Fence().take(document) == document


@given(st.text("`j\n {}", max_size=100), st.lists(st.integers()), st.lists(st.integers()))
def test_however_it_is_cut(text: str, first: list[int], second: list[int]) -> None:
    """It is the same text that comes through."""
    assert passed(cut(text, first)) == passed(cut(text, second))


@pytest.mark.parametrize("text", ["```json\n{}", "```json\n{}\n``", "```", "``", "```json", "```json\n{}\n````"])
def test_a_fence_that_is_none(text: str) -> None:
    """Half of one is no fence; nothing is made up."""
    said, closed = passed([text])
    assert not closed or not said


def test_text_behind_a_fence() -> None:
    """It is not lost: what it stands behind is no document then."""
    assert passed(["```json\n{}\n```", "\nThere."])[0] == "{}\n```\nThere."


def test_blanks_without_end_do_not_wait() -> None:
    """Not at the beginning, and not behind the document."""
    assert passed([" "] * 200 + ["{}"]) == (" " * 200 + "{}", True)
    said, _ = passed(["```json\n{}", *["\n"] * 200, "```"])
    assert said.strip() == "{}"
