"""Which candidates are best by what was found out about their code, and which are the same."""

from __future__ import annotations

from typing import Any

import pytest

from fusiond.code.answer import Program
from fusiond.code.choice import Candidate, best, clusters, solved
from fusiond.code.workshop import Trial


def candidate(code: str = "x", **found: Any) -> Candidate:
    """A candidate of which that was found out."""
    return Candidate(program=Program(language="python", code=code), trial=Trial(**found))


def test_code_then_readable_code_then_examples() -> None:
    """Each outweighs whatever comes after it."""
    prose, broken = Candidate(), candidate(parses=False, passed=9)
    fair, good = candidate(parses=True, passed=1), candidate(parses=True, passed=2)
    assert best({"a": prose}) == ["a"]
    assert best({"a": prose, "b": broken}) == ["b"]
    assert best({"a": prose, "b": broken, "c": fair}) == ["c"]
    assert best({"a": prose, "b": broken, "c": fair, "d": good, "e": good}) == ["d", "e"]


def test_code_that_nobody_can_read_is_not_broken() -> None:
    """In a language without a reader nothing speaks against it."""
    assert best({"a": candidate(parses=None), "b": candidate(parses=True)}) == ["a", "b"]


def test_candidates_that_behave_alike_are_a_cluster() -> None:
    """By what came of every call, whatever they say; which error it was makes no difference."""
    found = {
        "a": candidate("1", ran=True, digest="1", said=("4", "raises ValueError")),
        "b": candidate("2", ran=True, digest="2", said=("4", "raises TypeError")),
        "c": candidate("3", ran=True, digest="1", said=("4", "5")),
        "d": Candidate(),
    }
    assert list(clusters(found, list(found)).values()) == [["a", "b"], ["c"]]
    assert found["d"].cluster is None


def test_without_a_run_what_they_say_counts() -> None:
    """By the digest of what was read; of other languages without its blanks."""
    found = {
        "a": candidate("1", parses=True, digest="1"),
        "b": candidate("2", parses=True, digest="1"),
        "c": candidate("x  =\n1"),
        "d": candidate("x = 1"),
    }
    assert list(clusters(found, list(found)).values()) == [["a", "b"], ["c", "d"]]


@pytest.mark.parametrize(("passed", "examples", "expected"), [(2, 2, True), (1, 2, False), (0, 0, False)])
def test_solved(passed: int, examples: int, expected: bool) -> None:
    """All of the examples; none is no proof."""
    assert solved(candidate(passed=passed), examples) is expected
