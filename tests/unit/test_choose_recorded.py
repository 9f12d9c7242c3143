"""What is chosen for real questions, and what is held against real replies.

Runs where FUSIOND_EVAL_DATA names the folder of the recordings.
"""

from __future__ import annotations

import gzip
import json
import os
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from fusiond.chat import Message, Request, TextPart
from fusiond.fuse.checked import Check
from fusiond.fuse.provenance import sources
from fusiond.keys import wanted
from fusiond.plan import plan
from tests.asking import question
from tests.planning import catalog, situation

FOLDER = os.environ.get("FUSIOND_EVAL_DATA")
pytestmark = [pytest.mark.skipif(not FOLDER, reason="FUSIOND_EVAL_DATA names no folder of recorded answers"), pytest.mark.timeout(300)]


def recorded() -> Iterator[dict[str, Any]]:
    """Every tenth question that has its text."""
    for path in sorted(Path(FOLDER or "").glob("*.jsonl.gz")):
        with gzip.open(path, "rt", encoding="utf-8") as lines:
            yield from (row for number, line in enumerate(lines) if number % 10 == 0 and "question" in (row := json.loads(line)))


def asked(row: dict[str, Any]) -> Request:
    """The question as a request."""
    turns: list[tuple[Any, str]] = [("system", row["system"])] if row.get("system") else []
    turns.append(("user", row["question"]))
    return question(messages=tuple(Message(role=role, parts=(TextPart(text=text),)) for role, text in turns))


def test_no_question_with_a_key_is_taken_for_a_chore() -> None:
    """Or for anything else that is not voted on."""
    served = catalog("a", "b", "c", strategy="adaptive")
    counted = [request for row in recorded() if wanted(request := asked(row))]
    assert len(counted) > 300
    assert {plan(request, served, situation(0.0)).strategy for request in counted} == {"cascade"}


def test_what_is_copied_is_founded() -> None:
    """Every reply is, in itself, however it is streamed."""
    for row in recorded():
        for text in [answer["text"] for answer in row["answers"].values() if answer.get("text")][:2]:
            check = Check(sources([text]))
            out = "".join(check.feed(text[start : start + 12]) for start in range(0, len(text), 12))
            assert out + check.rest(cut=False) == text
