"""JSON documents: parsed strictly and written in one canonical way.

A code fence around the document is taken off; nothing else is repaired, and a truncated document never parses.
"""

from __future__ import annotations

import json
import unicodedata
from decimal import Decimal, InvalidOperation
from typing import Any, NoReturn, Self

from fusiond.keys.reading import said, unfenced

_EXPONENT = 10_000


class NotJson(ValueError):
    """A text that is not one JSON document; the message says why."""


class Number(Decimal):
    """A number, and the digits that it was written with."""

    __slots__ = ("digits",)
    digits: str

    def __new__(cls, digits: str) -> Self:
        """Raises InvalidOperation where its exponent has too many digits."""
        number = super().__new__(cls, digits)
        number.digits = digits
        return number


def key(text: str) -> str | None:
    """The canonical dump of the document that a reply is, or None."""
    try:
        return dump(parse(text))
    except NotJson:
        return None


def parse(text: str) -> Any:
    """The document that a reply is, numbers as Number. Raises NotJson."""
    try:
        return json.loads(unwrapped(text), parse_float=_number_of, parse_int=_number_of, parse_constant=_refuse, object_pairs_hook=_object)
    except NotJson:
        raise
    except (ValueError, RecursionError) as error:
        raise NotJson(str(error) or "nested too deeply") from error


def unwrapped(text: str) -> str:
    """The document without thinking before it and without the code fence around it."""
    return unfenced(said(text))


def dump(value: Any) -> str:
    """The canonical form: sorted names, composed strings, no blanks, and one way to write each number (1.0 is 1)."""
    try:
        return _dump(value)
    except RecursionError as error:
        raise NotJson("nested too deeply") from error


def _dump(value: Any) -> str:
    match value:
        case dict():
            composed = {unicodedata.normalize("NFC", name): item for name, item in value.items()}
            if len(composed) < len(value):
                raise NotJson("a name stands twice in one object")
            return "{" + ",".join(f"{_string(name)}:{_dump(composed[name])}" for name in sorted(composed)) + "}"
        case list():
            return "[" + ",".join(map(_dump, value)) + "]"
        case str():
            return _string(value)
        case bool() | None:
            return json.dumps(value)
        case _:
            return _number(Decimal(value))


def _string(text: str) -> str:
    try:
        text.encode()
    except UnicodeEncodeError as error:
        raise NotJson("half of a surrogate pair") from error
    return json.dumps(unicodedata.normalize("NFC", text), ensure_ascii=False)


def _number(number: Decimal) -> str:
    """A number in plain digits, or with an exponent where the digits would be many."""
    sign, digits, exponent = number.as_tuple()
    if not isinstance(exponent, int) or not any(digits):
        return "0"
    shown = "".join(map(str, digits)).lstrip("0")
    bare = shown.rstrip("0")
    exponent += len(shown) - len(bare)
    return ("-" if sign else "") + (bare + "0" * exponent if 0 <= exponent <= 30 else bare + (f"e{exponent}" if exponent else ""))


def _number_of(digits: str) -> Number:
    try:
        number = Number(digits)
    except InvalidOperation as error:
        raise NotJson(f"a number out of range: {digits[:40]}") from error
    if abs(number.adjusted()) > _EXPONENT:
        raise NotJson(f"a number out of range: {digits[:40]}")
    return number


def _refuse(name: str) -> NoReturn:
    raise NotJson(f"{name} is no JSON number")


def _object(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    found = dict(pairs)
    if len(found) < len(pairs):
        raise NotJson("a name stands twice in one object")
    return found
