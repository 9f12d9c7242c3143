"""The answers to a set, one a line in a file of their own: written as they come, so that whatever ends a run, the next one goes on from there.

A line has what was asked (`ask`, a fingerprint), the answer with its key, and every member's part with its own; the gold key beside them makes it
complete for whoever learns from it. A last line that was cut off is taken away.
"""

from __future__ import annotations

import fcntl
import json
import threading
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import IO, Any

from fusiond.scoring.questions import BadSet, Question

Line = Mapping[str, Any]

BEGINS = b'{"ask": '
"""Every line of ours."""

HEARD = ("answered", "abstained", "failed", "timed_out")
"""What became of a member that had its chance to answer; others were not needed, or not asked."""


class Answers:
    """The answers of a file, by fingerprint; from several threads at once."""

    def __init__(self, file: IO[bytes], found: dict[str, Line]) -> None:
        self._file = file
        self._lock = threading.Lock()
        self._found = found

    def get(self, question: Question, model: str) -> Line | None:
        """What this model said to this question, as it is asked now."""
        return self._found.get(question.fingerprint(model))

    def add(self, line: Line) -> None:
        """Keep one more; it is in the file when this returns."""
        with self._lock:
            self._file.write(json.dumps(line, ensure_ascii=False).encode(errors="replace") + b"\n")
            self._file.flush()
            self._found[line["ask"]] = line


@contextmanager
def kept(path: Path) -> Iterator[Answers]:
    """The answers of a file, which is made where there is none. Raises BadSet where it holds anything else or another run writes it, and OSError."""
    with path.open("a+b") as file:
        try:
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            raise BadSet(f"{path}: another run writes it: wait for its end, or name another file with --out") from None
        file.seek(0)
        whole = file.read()
        lines, ends = list(read_answers(path, whole)), whole.rfind(b"\n") + 1
        if not lines and not BEGINS.startswith(whole[ends : ends + len(BEGINS)]):
            raise BadSet(f"{path}: is nothing that fusiond eval has stored: name another file with --out")
        file.truncate(ends)
        yield Answers(file, {line["ask"]: line for line in lines})


def read_answers(path: Path, whole: bytes) -> Iterator[Line]:
    """The whole lines of a file of answers. Raises BadSet."""
    for number, line in enumerate(whole.split(b"\n")[:-1], start=1):
        try:
            told = json.loads(line)
            told["ask"], told["id"], told["model"], told["members"]  # what makes it one of ours
        except (ValueError, TypeError, KeyError):
            raise BadSet(f"{path}:{number}: is no answer that fusiond eval has stored: name another file with --out") from None
        yield told


def answer_line(question: Question, model: str, told: Mapping[str, Any], seconds: float) -> Line:
    """An answer of the daemon's, with its trace, as a line. Costs in USD."""
    trace, text = told["fusion"], told["choices"][0]["message"]["content"] or ""
    asked = question.wanted
    return {
        "ask": question.fingerprint(model),
        "id": question.id,
        "model": model,
        "kind": asked.kind if asked else None,
        "options": asked.count if asked else 0,
        "gold": question.gold,
        "text": text,
        "key": question.said(text),
        "right": question.right(text),
        "seconds": round(seconds, 3),
        "cost_usd": told["usage"]["cost"],
        **{name: trace[name] for name in ("strategy", "decision", "confidence", "degraded")},
        "members": [_part(question, member) for member in trace["members"] if member["role"] == "panel"],
    }


def _part(question: Question, member: Mapping[str, Any]) -> dict[str, Any]:
    usage, heard = member["usage"] or {}, member["status"] in HEARD
    return {
        **{name: member[name] for name in ("member", "sample", "model", "place", "status", "error", "text", "cost_usd")},
        "key": question.said(member["text"]) if heard else None,
        "right": question.right(member["text"]) if heard else None,
        "seconds": None if member["total_ms"] is None else round(member["total_ms"] / 1000, 3),
        "prompt_tokens": usage.get("prompt_tokens"),
        "completion_tokens": usage.get("completion_tokens"),
    }
