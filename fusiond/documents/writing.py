"""A document as text, the places in it, and what a single value says."""

from __future__ import annotations

import json
from collections.abc import Iterator
from typing import Any

from fusiond.keys import document
from fusiond.keys.document import Number


def written(value: Any) -> str:
    """The document on one line, each number in the digits in which it was said."""
    match value:
        case dict():
            return "{" + ", ".join(f"{json.dumps(name, ensure_ascii=False)}: {written(inner)}" for name, inner in value.items()) + "}"
        case list():
            return "[" + ", ".join(map(written, value)) + "]"
        case Number():
            return value.digits
        case _:
            return json.dumps(value, ensure_ascii=False)


def says(value: Any) -> str:
    """What a value says, in a form in which values are equal: of a string, without regard to case and blanks."""
    return document.dump(" ".join(value.casefold().split())) if isinstance(value, str) else document.dump(value)


def below(pointer: str, step: str | int) -> str:
    """The JSON pointer (RFC 6901) of what stands there."""
    return f"{pointer}/{str(step).replace('~', '~0').replace('/', '~1')}"


def leaves(value: Any, pointer: str) -> Iterator[str]:
    """The pointers of everything in a document that holds nothing else."""
    if not isinstance(value, dict | list) or not value:
        yield pointer
        return
    for step, item in value.items() if isinstance(value, dict) else enumerate(value):
        yield from leaves(item, below(pointer, step))
