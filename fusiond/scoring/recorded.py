"""Recorded answers, from what `fusiond eval` has stored, or from lines with everybody's answer to a question (JSON, plain or gzipped).

Those are `{id, question, [system], gold_key, answers: {model: {extracted, prompt_tokens, completion_tokens, [correct]}}}`, where `extracted` is the
key of an answer or null.
"""

from __future__ import annotations

import gzip
import json
import zlib
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, get_args

from fusiond.chat import Message, Request, TextPart
from fusiond.config.tree import KeyKind
from fusiond.keys import wanted
from fusiond.scoring.answers import HEARD
from fusiond.scoring.questions import BadSet
from fusiond.scoring.replay import Recorded, Said

Namer = Callable[[str], str | None]
"""A recorded name -> the member that it means; None: nobody who is looked at."""


@dataclass(slots=True)
class _Question:
    kind: str
    options: int
    truth: str
    said: dict[str, Said] = field(default_factory=dict)


def read_recorded(paths: Iterable[Path], named: Namer) -> list[Recorded]:
    """Every question of the files that can be counted, whoever answered it. Raises BadSet with file and line, and OSError."""
    found: dict[str, _Question] = {}
    for path in paths:
        for place, document in _documents(path):
            try:
                if "answers" in document:
                    _add_row(found, document, named)
                else:
                    _add_answer(found, document, named)
            except (KeyError, TypeError, AttributeError, ValueError, OverflowError) as wrong:
                told = f"{wrong} is missing" if isinstance(wrong, KeyError) else str(wrong)
                raise BadSet(f"{place}: is no recorded answer of fusiond eval, nor a question with everybody's answers ({told})") from None
    return [Recorded(id=name, kind=q.kind, options=q.options, truth=q.truth, said=q.said) for name, q in found.items()]


def _documents(path: Path) -> Iterator[tuple[str, dict[str, Any]]]:
    try:
        whole = gzip.decompress(path.read_bytes()) if path.suffix == ".gz" else path.read_bytes()
        lines = whole.decode().split("\n")
    except (gzip.BadGzipFile, zlib.error, EOFError, UnicodeDecodeError) as error:
        raise BadSet(f"{path}: cannot be read: {error}") from None
    for number, line in enumerate(lines, start=1):
        if line.strip():
            try:
                yield f"{path}:{number}", json.loads(line)
            except ValueError as error:
                raise BadSet(f"{path}:{number}: is no JSON: {error}") from None


def _add_answer(found: dict[str, _Question], line: Mapping[str, Any], named: Namer) -> None:
    """One answer of `fusiond eval`: its members' parts, the first that is heard of each."""
    if line["kind"] is None or line["gold"] is None:
        return
    if line["kind"] not in get_args(KeyKind):
        raise ValueError(f"there is no kind {line['kind']!r}")
    if not isinstance(line["gold"], str) or not isinstance(line["options"], int):
        raise TypeError("gold must be a key, and options a number")
    question = found.setdefault(line["id"], _Question(line["kind"], line["options"], line["gold"]))
    for part in line["members"]:
        member = named(part["member"])
        if member and part["sample"] == 1 and part["status"] in HEARD:
            key = question.truth if part["right"] else part["key"]  # right by the subset rule is the same key
            if not isinstance(key, str | None):
                raise TypeError("a key must be a text, or null")
            question.said.setdefault(member, Said(key=key, **_tokens(part)))


def _add_row(found: dict[str, _Question], row: Mapping[str, Any], named: Namer) -> None:
    """A question with everybody's answers."""
    asked = wanted(_request(row))
    answers = row["answers"]
    if asked is None:
        return
    truth = next((said["extracted"] for said in answers.values() if said.get("correct") and said["extracted"] is not None), row["gold_key"])
    question = found.setdefault(row["id"], _Question(asked.kind, asked.count, truth))
    for name, said in answers.items():
        if member := named(name):
            question.said.setdefault(member, Said(key=said["extracted"], **_tokens(said)))


def _tokens(told: Mapping[str, Any]) -> dict[str, int]:
    return {name: int(told[name] or 0) for name in ("prompt_tokens", "completion_tokens")}


def _request(row: Mapping[str, Any]) -> Request:
    """The question as a client would ask it, for what it wants."""
    system = [Message(role="system", parts=(TextPart(text=row["system"]),))] if row.get("system") else []
    return Request(id="tune", model="", messages=(*system, Message(role="user", parts=(TextPart(text=row["question"]),))))
