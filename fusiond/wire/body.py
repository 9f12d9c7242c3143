"""From a client's bytes to typed values, the same way for every family: what does not fit is a `BadRequest` that names the field.

The rule: JSON types are taken at their word. "8" is no number, true is no integer, and nothing is coerced; null counts as absent
wherever a field may be absent.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping
from typing import Annotated, Any, LiteralString, TypeVar

from pydantic import BeforeValidator, Field, TypeAdapter, ValidationError
from pydantic_core import ErrorDetails, PydanticCustomError, from_json

from fusiond.errors import BadRequest

T = TypeVar("T")

_INT64 = 2**63

Str = Annotated[str, Field(strict=True)]
Word = Annotated[str, Field(strict=True, min_length=1)]
Bool = Annotated[bool, Field(strict=True)]
Int = Annotated[int, Field(strict=True, ge=-_INT64, lt=_INT64)]
Count = Annotated[int, Field(strict=True, ge=1, lt=_INT64)]
Share = Annotated[float, Field(strict=True, ge=0, le=1)]
Many = Annotated[tuple[T, ...], Field(fail_fast=True)]  # a million wrong items are one error

_WORDS = {
    "missing": "is required",
    "string_type": "must be a string",
    "string_too_short": "must not be empty",
    "int_type": "must be an integer",
    "float_type": "must be a number",
    "bool_type": "must be true or false",
    "tuple_type": "must be a list",
    "dict_type": "must be an object",
    "dataclass_type": "must be an object",
    "greater_than_equal": "must be at least {ge}",
    "less_than_equal": "must be at most {le}",
    "less_than": "must be less than {lt}",
}


def or_string(form: type, wrap: Callable[[str], Any], words: LiteralString) -> BeforeValidator:
    """For a field that clients write in full (`form`) or as a bare string, of which `wrap` makes the full form; `words` tell what is neither."""

    def widen(value: object) -> Any:
        if isinstance(value, str):
            return wrap(value)
        if value is None or isinstance(value, form):
            return value
        raise PydanticCustomError("form", words)

    return BeforeValidator(widen)


def read_object(body: bytes) -> dict[str, Any]:
    """The JSON object that a body holds. Raises BadRequest, with no field to name, where there is none."""
    try:
        fields = from_json(body, allow_inf_nan=False)
    except ValueError as error:
        raise BadRequest(_unreadable(body, error)) from None
    if not isinstance(fields, dict):
        raise BadRequest("the body must be a JSON object")
    return fields


def typed(shape: TypeAdapter[T], fields: Mapping[str, Any]) -> T:
    """The fields in the given shape. Raises BadRequest that names the first one that does not fit, as in `messages[0].content[1].text`."""
    try:
        return shape.validate_python(fields)
    except ValidationError as error:
        first = error.errors(include_url=False, include_input=False)[0]
    raise wrong(_path(first), _words(first))


def wrong(path: str, words: str) -> BadRequest:
    """The error for the field at `path`; `words` go on after its name, as in "must be a string"."""
    return BadRequest(f"{path} {words}", param=path)


def required(path: str, value: T | None) -> T:
    """A field that its neighbours make necessary. Raises BadRequest where it is absent."""
    if value is None:
        raise wrong(path, "is required")
    return value


def finite(path: str, value: T) -> T:
    """A value that is passed on as it came. Raises BadRequest where it holds a number that cannot be written again: 1e999 was read as infinite."""
    try:
        json.dumps(value, allow_nan=False)
    except ValueError:
        raise wrong(path, "holds a number that is too large") from None
    return value


def _unreadable(body: bytes, error: ValueError) -> str:
    try:
        body.decode()
    except UnicodeDecodeError as bad:
        return f"the body is not UTF-8: {bad.reason} at byte {bad.start}"
    return f"the body cannot be read as JSON: {error}"


def _path(error: ErrorDetails) -> str:
    steps = (f"[{step}]" if isinstance(step, int) else f".{step}" for step in error["loc"])
    return "".join(steps).removeprefix(".")


def _words(error: ErrorDetails) -> str:
    words = _WORDS.get(error["type"])
    return words.format(**error.get("ctx", {})) if words else error["msg"]
