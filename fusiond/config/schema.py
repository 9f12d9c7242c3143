"""A type becomes the schema by which pydantic's core reads a table: the one that `pydantic.TypeAdapter` would make of it, without loading pydantic.

It knows the types that stand in `tree`. Any other is a TypeError when the first table with it is read, so that no test of a new key passes over it.
"""

from __future__ import annotations

import functools
from collections.abc import Hashable, Mapping
from dataclasses import MISSING, Field, fields, is_dataclass
from decimal import Decimal
from types import EllipsisType, NoneType, UnionType
from typing import Any, Literal, Union, get_args, get_origin, get_type_hints

from pydantic_core import CoreConfig, CoreSchema, PydanticCustomError, SchemaValidator, core_schema

STRICT = CoreConfig(extra_fields_behavior="forbid", strict=True, allow_inf_nan=False)


def _exact(value: object) -> Decimal:
    """The decimal that stands in the file. One in quotation marks is a string, as for every other number."""
    if isinstance(value, bool) or not isinstance(value, int | float):
        raise PydanticCustomError("decimal_type", "must be a number")
    return Decimal(str(value))


PLAIN: Mapping[Any, CoreSchema] = {
    Any: core_schema.any_schema(),
    str: core_schema.str_schema(),
    bool: core_schema.bool_schema(),
    int: core_schema.int_schema(),
    float: core_schema.float_schema(),
    Decimal: core_schema.no_info_before_validator_function(_exact, core_schema.decimal_schema()),
}


@functools.cache
def validator(kind: Hashable) -> SchemaValidator:
    """Reads tables of *kind* under any names, strictly: nothing is converted, no key is unknown, every number is finite."""
    return SchemaValidator(core_schema.dict_schema(PLAIN[str], _schema(kind)), STRICT)


def _schema(kind: Any) -> CoreSchema:
    if kind in PLAIN:
        return PLAIN[kind]
    if is_dataclass(kind):
        return _table(kind)
    parts = get_args(kind)
    match get_origin(kind), parts:
        case origin, _ if origin is Literal:
            return core_schema.literal_schema(list(parts))
        case origin, (item, EllipsisType()) if origin is tuple:
            return core_schema.tuple_schema([_schema(item)], variadic_item_index=0)
        case origin, (key, value) if origin is Mapping:
            return core_schema.dict_schema(_schema(key), _schema(value))
        case origin, (given, absent) if origin in (Union, UnionType) and absent is NoneType:
            return core_schema.nullable_schema(_schema(given))
    raise TypeError(f"no table can have a value of the type {kind}")


def _table(kind: Any) -> CoreSchema:
    """A frozen class. Its own configuration is needed: it inherits none from what it stands in."""
    hints = get_type_hints(kind)
    keys = [core_schema.dataclass_field(field.name, _key(field, hints[field.name])) for field in fields(kind)]
    arguments = core_schema.dataclass_args_schema(kind.__name__, keys)
    return core_schema.dataclass_schema(kind, arguments, [key["name"] for key in keys], slots=True, config=STRICT)


def _key(field: Field[Any], kind: Any) -> CoreSchema:
    if field.default_factory is not MISSING:
        return core_schema.with_default_schema(_schema(kind), default_factory=field.default_factory)
    if field.default is not MISSING:
        return core_schema.with_default_schema(_schema(kind), default=field.default)
    return _schema(kind)
