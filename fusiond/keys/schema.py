"""Whether an answer is the document that was asked for: JSON as it stands, and of the form that the client's schema describes.

A schema is whole: what it refers to beyond itself is never fetched. Its patterns are the client's own; the engine gives up on one that takes too
many steps, and takes it for one that does not match.
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterator, Sequence
from functools import lru_cache
from typing import TYPE_CHECKING, Any, NoReturn

from fusiond.chat import Format, JsonObject

if TYPE_CHECKING:
    from jsonschema_rs import Validator

KEPT = 64
"""So many schemas stay compiled."""

DIGITS = 100

TOLD = 300
"""Characters of what is wrong."""

EXPLAINED = 1000
"""The validator tells whether a document fits in no time, but not why not: it goes down every alternative, at every depth. So many are bearable."""

_ELSEWHERE = re.compile(r"Resource '([^']*)' is not present")


def fault(schema: JsonObject) -> str | None:
    """What is wrong with a schema, in words that follow its name, or None."""
    try:
        _validator(json.dumps(schema))
    except (ValueError, RecursionError) as error:
        if elsewhere := _ELSEWHERE.match(str(error)):
            return f"refers to {elsewhere[1]}, which is not read: a schema must be whole"
        return f"is not a JSON Schema: {_told(error)}"
    return None


def misfit(text: str, form: Format | None) -> str | None:
    """Why *text* is not a document of that form, or None. Without a form, any document will do.

    Raises ValueError where the form's schema has a `fault`.
    """
    try:
        document = json.loads(text, parse_constant=_refuse, object_pairs_hook=_object, parse_int=_whole)
    except (ValueError, RecursionError) as error:
        return f"is not a JSON document: {_told(error)}"
    if form is None:
        return None
    if form.schema is None:
        return None if isinstance(document, dict) else "is a JSON document, but not an object"
    schema = json.dumps(form.schema)
    validator = _validator(schema)
    try:
        if validator.is_valid(document):
            return None
        if _ways(schema) ** _depth(document) <= EXPLAINED:
            validator.validate(document)
    except (ValueError, RecursionError) as error:
        return f"does not fit the schema: {_told(error)}"
    return "does not fit the schema"


def _depth(document: object) -> int:
    """Objects and arrays inside each other."""
    return sum(1 for _ in _levels(document))


@lru_cache(maxsize=KEPT)
def _ways(schema: str) -> int:
    """Into how many alternatives it leads at the most in one place."""
    tables = (each for level in _levels(json.loads(schema)) for each in level if isinstance(each, dict))
    named = (table.get(name) for table in tables for name in ("anyOf", "oneOf"))
    return max((len(each) for each in named if isinstance(each, list)), default=1)


def _levels(document: object) -> Iterator[Sequence[object]]:
    """The objects and arrays of a document, those of the same depth together."""
    level: list[object] = [document]
    while level := [each for each in level if isinstance(each, dict | list)]:
        yield level
        level = [inner for each in level for inner in (each.values() if isinstance(each, dict) else each)]


@lru_cache(maxsize=KEPT)
def _validator(schema: str) -> Validator:
    """The compiled schema. Raises ValueError or RecursionError where it is none."""
    import jsonschema_rs  # noqa: PLC0415  # who asks for no documents needs no validator

    return jsonschema_rs.validator_for(schema, retriever=_stay, mask="its value")


def _stay(uri: str) -> NoReturn:
    raise ValueError(uri)


def _told(error: Exception) -> str:
    """The validator's or the parser's words, behind the path of what they are about."""
    path: Sequence[str | int] = getattr(error, "instance_path", ())
    words = getattr(error, "message", None) or str(error) or "nested too deeply"
    where = "".join(f"/{step}" for step in path)
    told = f"{where}: {words}" if where else words
    return told if len(told) <= TOLD else f"{told[:TOLD]}..."


def _refuse(name: str) -> NoReturn:
    raise ValueError(f"{name} is no JSON number")


def _whole(digits: str) -> int:
    """A number; of one with more digits than Python reads, as many as will do: to a schema it is large."""
    return int(digits[:DIGITS])


def _object(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    found = dict(pairs)
    if len(found) < len(pairs):
        raise ValueError("a name stands twice in one object")
    return found
