"""Hostile prompts and replies: what they cost grows with their length, and no faster."""

from __future__ import annotations

import time
from collections.abc import Callable

import pytest

from fusiond.chat import Message, Request, TextPart
from fusiond.keys import Wanted, key, wanted

WANTED = [
    Wanted(kind="number"),
    Wanted(kind="boolean", options=("yes", "no")),
    Wanted(kind="choice", options=tuple("ABCD"), texts={"A": "Mars", "B": "Venus"}),
    Wanted(kind="label", options=("positive", "negative")),
    Wanted(kind="text"),
    Wanted(kind="text", form="string"),
    Wanted(kind="text", form="literal"),
    Wanted(kind="json"),
]
PATTERNS = [
    " ",
    "(",
    "\n",
    "answer: ",
    "answer is ",
    "<answer>",
    "</answer>",
    "\\boxed{",
    '"answer": "',
    "*",
    "`",
    "```\n",
    "1",
    "1,",
    "1 ",
    "A) ",
    "\nQuestion: ",
    "<think>",
    "</think>",
    "{",
    "[",
    "\\text{",
    "\\frac{1",
    "$",
    "-",
    "**A",
    "is ",
    "yes ",
    "a ",
    "İ",
    "=",
    "1/",
    "answer (",
    "\\",
    "'",
    '"',
    "x = ",
    "the answer to ",
    "one of ",
    "how ",
    "json ",
    "A.",
    "```json\n[",
]
SMALL, LARGE = 50_000, 400_000


@pytest.mark.parametrize("pattern", PATTERNS)
def test_a_reply_costs_no_more_than_its_length(pattern: str) -> None:
    """Eight times the reply takes about eight times the work, where a quadratic reader would take sixty-four."""
    for want in WANTED:
        assert grows(lambda text, want=want: key(want, text), pattern) < 24, want  # type: ignore[misc]


@pytest.mark.parametrize("pattern", PATTERNS)
def test_a_prompt_costs_no_more_than_its_length(pattern: str) -> None:
    """Telling what a prompt wants is linear too."""
    assert grows(lambda text: wanted(asking(text)), pattern) < 24


def asking(text: str) -> Request:
    """A request whose question and instructions are both this text."""
    return Request(
        id="r", model="m", messages=(Message(role="system", parts=(TextPart(text=text),)), Message(role="user", parts=(TextPart(text=text),)))
    )


def grows(read: Callable[[str], object], pattern: str) -> float:
    """How many times the processor time grows from a small text to one eight times as large; the smallest times count as 5 ms."""
    small, large = (spent(read, (pattern * (size // len(pattern) + 1))[:size]) for size in (SMALL, LARGE))
    return large / max(small, 0.005)


def spent(read: Callable[[str], object], text: str) -> float:
    """Processor time of one reading."""
    start = time.process_time()
    read(text)
    return time.process_time() - start
