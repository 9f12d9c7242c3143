"""A set of questions with their right answers: JSON lines, read strictly and whole, so that what is wrong is said before anybody is asked.

    {"id": "7", "question": "What is 2 + 2? Answer with the number.", "gold": 4}

`messages` in place of `question`: the conversation as OpenAI's protocol has it. `kind` overrules what kind of answer the words ask for, `schema` asks
for JSON that fits it. `tests` belong to code, which is not run here: such a question cannot be scored.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Container, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, get_args

from fusiond.config.tree import KeyKind
from fusiond.errors import FusiondError
from fusiond.keys import Wanted, joined, key, wanted
from fusiond.wire.openai_chat import decode

FIELDS = ("id", "question", "messages", "gold", "kind", "schema", "tests")
LISTED = 20
"""So many faults of a set are told one by one."""


class BadSet(Exception):
    """What is wrong with a set: a line for each fault, `FILE:LINE: reason`."""


class _Fault(Exception):
    """What is wrong with a line."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Question:
    """One question. `body`: what is asked, without a model; `wanted` and `gold`: what is counted and the right key.

    Both are None where it cannot be scored, and `unscored` says why.
    """

    id: str
    body: Mapping[str, Any]
    wanted: Wanted | None = None
    gold: str | None = None
    unscored: str | None = None

    def said(self, text: str) -> str | None:
        """The key of an answer."""
        return key(self.wanted, text) if self.wanted else None

    def right(self, text: str) -> bool | None:
        """Whether an answer says what is right, short texts by the subset rule; None where that cannot be told of this question."""
        if self.wanted is None:
            return None
        keys = joined(self.wanted, {"gold": self.gold, "answer": self.said(text)})
        return keys["answer"] is not None and keys["answer"] == keys["gold"]

    def fingerprint(self, model: str) -> str:
        """Of what is asked, and whom: an answer to anything else is none to this."""
        return hashlib.sha256(json.dumps([model, self.body], sort_keys=True).encode()).hexdigest()[:16]


def read_set(path: Path, *, max_tokens: int | None = None) -> list[Question]:
    """The questions of a file. `max_tokens`: how long each answer may be. Raises BadSet with every fault, and OSError."""
    found: dict[str, Question] = {}
    faults: list[str] = []
    for place, line in _lines(path):
        try:
            question = _question(_document(line), max_tokens, found)
            found[question.id] = question
        except (_Fault, FusiondError) as fault:
            faults.append(f"{place}: {fault}")
    if faults:
        more = [f"... and {len(faults) - LISTED} more"] if len(faults) > LISTED else []
        raise BadSet("\n".join((*faults[:LISTED], *more)))
    if not found:
        raise BadSet(f'{path}: there is no question in it: one a line, such as {{"id": "1", "question": "2 + 2?", "gold": 4}}')
    return list(found.values())


def _lines(path: Path) -> Iterator[tuple[str, str]]:
    try:
        for number, line in enumerate(path.read_text(encoding="utf-8-sig").split("\n"), start=1):
            if line.strip():
                yield f"{path}:{number}", line
    except UnicodeDecodeError:
        raise BadSet(f"{path}: is not UTF-8 text") from None


def _document(line: str) -> dict[str, Any]:
    try:
        document = json.loads(line)
    except (ValueError, RecursionError) as error:
        raise _Fault(f"is no JSON: {error}") from None
    if not isinstance(document, dict):
        raise _Fault('must be an object, such as {"id": "1", "question": "2 + 2?", "gold": 4}')
    if unknown := [name for name in document if name not in FIELDS]:
        raise _Fault(f"{unknown[0]}: unknown field (there are {', '.join(FIELDS)})")
    return document


def _question(document: Mapping[str, Any], max_tokens: int | None, taken: Container[str]) -> Question:
    """Raises _Fault, and BadRequest where the daemon would refuse it."""
    name = document.get("id")
    if not isinstance(name, str | int) or isinstance(name, bool) or name == "":
        raise _Fault("id: must be a text or a whole number")
    if str(name) in taken:
        raise _Fault(f"id: '{name}' stands above already: give each question its own")
    body = _body(document, max_tokens)
    request = decode(json.dumps({**body, "model": "fusion"}).encode(), "eval")
    if "tests" in document:
        return Question(id=str(name), body=body, unscored="code is not run")
    if "gold" not in document:
        raise _Fault("gold: is missing: the right answer")
    asked = wanted(request, _kind(document.get("kind")))
    if asked is None:
        return Question(id=str(name), body=body, unscored='no countable answer is asked for (say which with "kind")')
    return Question(id=str(name), body=body, wanted=asked, gold=_gold(asked, document["gold"]))


def _body(document: Mapping[str, Any], max_tokens: int | None) -> dict[str, Any]:
    if ("question" in document) == ("messages" in document):
        raise _Fault("must have either question or messages")
    question = document.get("question")
    if "question" in document and not (isinstance(question, str) and question.strip()):
        raise _Fault("question: must be a text that says something")
    body = {"messages": document.get("messages", [{"role": "user", "content": question}])}
    if (schema := document.get("schema")) is not None:
        body["response_format"] = {"type": "json_schema", "json_schema": {"name": "answer", "schema": schema}}
    return body if max_tokens is None else {**body, "max_tokens": max_tokens}


def _kind(kind: object) -> KeyKind | None:
    known: tuple[KeyKind, ...] = get_args(KeyKind)
    if kind is None:
        return None
    for name in known:
        if kind == name:
            return name
    raise _Fault(f"kind: must be one of {', '.join(known)}")


def _gold(asked: Wanted, gold: object) -> str:
    text = gold if isinstance(gold, str) else _written(gold, asked.kind)
    found = key(asked, text)
    if found is None:
        offered = f" out of {', '.join(asked.options)}" if asked.options else ""
        raise _Fault(
            f"gold: {text[:60]!r} is no {asked.kind}{offered}, which the question asks for (if it asks for something else, say so with kind)"
        )
    return found


def _written(gold: object, kind: KeyKind) -> str:
    """A value of JSON as an answer would say it."""
    if isinstance(gold, bool) and kind != "json":
        return "yes" if gold else "no"
    return json.dumps(gold, ensure_ascii=False)
