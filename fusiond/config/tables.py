"""Every table of the file becomes its frozen value, strictly: nothing is converted, and no key is unknown.

What is wrong is said in the file's words, never in those of the library that found it.
"""

from __future__ import annotations

import copy
import functools
import json
import operator
import re
from collections.abc import Callable, Hashable, Iterable, Mapping, Sequence
from dataclasses import fields, is_dataclass
from typing import Any, TypeVar, cast, get_args, get_origin, get_type_hints

from pydantic_core import ErrorDetails, ValidationError

from fusiond.config.errors import Fault, Key, nearest
from fusiond.config.schema import validator
from fusiond.config.source import Table
from fusiond.config.tree import (
    BudgetConfig,
    CodeConfig,
    Config,
    FusionConfig,
    LlamaCppConfig,
    MemberConfig,
    OfflineConfig,
    OllamaConfig,
    OpenAIConfig,
    OpenRouterConfig,
    PrivacyConfig,
    ProviderConfig,
    RecordsConfig,
    RouteConfig,
    ServerConfig,
)

T = TypeVar("T")
Path = tuple[Key, ...]

APIS: dict[str, type[ProviderConfig]] = {"ollama": OllamaConfig, "openrouter": OpenRouterConfig, "openai": OpenAIConfig, "llamacpp": LlamaCppConfig}
TOP = ("server", "providers", "members", "fusions", "routes", "aliases", "budget", "privacy", "offline", "records", "code")

MISSING = ("missing", "missing_argument", "missing_keyword_only_argument")
MENDINGS = 4
"""So many rounds take the deepest table there is: a seat that is no table, then has no member."""

WANTED = {
    "int_type": "a whole number",
    "float_type": "a number",
    "decimal_type": "a number",
    "string_type": "a string",
    "bool_type": "true or false",
    "tuple_type": "an array",
    "dataclass_type": "a table",
    "dict_type": "a table",
    "mapping_type": "a table",
}


def decode(table: Table, faults: list[Fault]) -> Config:
    """Everything in *table* that can be read; what cannot is left out of the result and added to *faults*."""
    faults += [Fault(path=(key,), reason="unknown key", suggestion=nearest(key, TOP)) for key in table if key not in TOP]
    return Config(
        server=_table(ServerConfig, "server", table, faults) or ServerConfig(),
        providers=_named(table, "providers", _provider, faults),
        members=_named(table, "members", functools.partial(_value, MemberConfig), faults),
        fusions=_named(table, "fusions", _fusion, faults),
        routes=_routes(table.get("routes", []), faults),
        aliases=_named(table, "aliases", functools.partial(_value, str), faults),
        budget=_table(BudgetConfig, "budget", table, faults),
        privacy=_table(PrivacyConfig, "privacy", table, faults) or PrivacyConfig(),
        offline=_table(OfflineConfig, "offline", table, faults) or OfflineConfig(),
        records=_table(RecordsConfig, "records", table, faults) or RecordsConfig(),
        code=_table(CodeConfig, "code", table, faults) or CodeConfig(),
    )


def _table(kind: type[T], key: str, table: Table, faults: list[Fault]) -> T | None:
    """A table that there is once, or not."""
    return _value(kind, table[key], (key,), faults) if key in table else None


def _routes(entries: Any, faults: list[Fault]) -> tuple[RouteConfig, ...]:
    if not isinstance(entries, list):
        faults.append(Fault(path=("routes",), reason=f"must be an array of tables ([[routes]]), not {_kind(entries)}"))
        return ()
    read = [_value(RouteConfig, entry, ("routes", index), faults) for index, entry in enumerate(entries)]
    return tuple(route for route in read if route is not None)


def _named(table: Table, key: str, read: Callable[[Any, Path, list[Fault]], T | None], faults: list[Fault]) -> dict[str, T]:
    """A table of tables, each under a name that the user chose."""
    entries = table.get(key, {})
    if not isinstance(entries, dict):
        faults.append(Fault(path=(key,), reason=f"must be a table, not {_kind(entries)}"))
        return {}
    values = {name: read(entry, (key, name), faults) for name, entry in entries.items()}
    return {name: value for name, value in values.items() if value is not None}


def _provider(entry: Any, path: Path, faults: list[Fault]) -> ProviderConfig | None:
    """A provider's keys depend on its `api`; where that is missing or wrong, nothing else can be judged."""
    if not isinstance(entry, dict):
        faults.append(Fault(path=path, reason=f"must be a table, not {_kind(entry)}"))
        return None
    api = entry.get("api")
    if not isinstance(api, str) or api not in APIS:
        said = "is missing: it" if "api" not in entry else ""
        suggestion = nearest(api, APIS) if isinstance(api, str) else None
        faults.append(Fault(path=(*path, "api"), reason=f"{said} must be {_one_of(APIS)}".strip(), suggestion=suggestion))
        return None
    return _value(APIS[api], entry, path, faults)


def _fusion(entry: Any, path: Path, faults: list[Fault]) -> FusionConfig | None:
    """In a panel a bare name stands for a seat with that member."""
    if isinstance(entry, dict) and isinstance(entry.get("panel"), list):
        entry = entry | {"panel": [{"member": seat} if isinstance(seat, str) else seat for seat in entry["panel"]]}
    return _value(FusionConfig, entry, path, faults)


def _value(kind: type[T], entry: Any, path: Path, faults: list[Fault]) -> T | None:
    """One table, with defaults in the place of what is wrong with it, so that the rest can be checked in the same run."""
    holder = {"": entry}
    found: list[Fault] = []
    for _ in range(MENDINGS):
        try:
            # Read as JSON, in which an array may become a tuple and a whole number a float while nothing else is converted.
            return cast("T | None", validator(cast("Hashable", kind)).validate_json(json.dumps(holder)).get(""))
        except ValidationError as wrong:
            errors = wrong.errors(include_url=False)
            if not found:
                found = [_fault(kind, path, error) for error in errors]
                faults += found
            holder = copy.deepcopy(holder)
            for error in errors:
                _mend(holder, error)
    return None


def _mend(holder: Any, error: ErrorDetails) -> None:
    """Put something harmless in the place of what is wrong. It is never used, for the fault is already known."""
    *way, last = error["loc"]
    holder = functools.reduce(operator.getitem, way, holder)
    if error["type"] in MISSING:
        holder[last] = "0"
    elif error["type"] == "decimal_type" and holder[last] == "0":  # what was missing is an amount
        holder[last] = 0
    elif isinstance(last, int):
        holder[last] = {} if error["type"] == "dataclass_type" else "0"
    else:
        holder.pop(last, None)


def _fault(kind: type[Any], path: Path, error: ErrorDetails) -> Fault:
    _, *inner = error["loc"]
    where = (*path, *inner)
    match error["type"]:
        case "unexpected_keyword_argument":
            return Fault(path=where, reason="unknown key", suggestion=nearest(str(inner[-1]), _keys(kind, inner[:-1])))
        case kind_of if kind_of in MISSING:
            return Fault(path=where, reason="is missing")
        case "literal_error":
            names = re.findall(r"'([^']*)'", error["ctx"]["expected"])
            suggestion = nearest(error["input"], names) if isinstance(error["input"], str) else None
            return Fault(path=where, reason=f"must be {_one_of(names)}", suggestion=suggestion)
        case "dataclass_type" if error["ctx"]["class_name"] == "Secret":
            return Fault(path=where, reason='must say where the secret is: { env = "NAME" }, { file = "/path" } or { credential = "name" }')
        case kind_of if kind_of in WANTED:
            return Fault(path=where, reason=f"must be {WANTED[kind_of]}, not {_kind(error['input'])}")
        case "finite_number":
            return Fault(path=where, reason="must be a finite number")
    return Fault(path=where, reason=error["msg"][:1].lower() + error["msg"][1:])


def _keys(kind: type[Any], inner: Sequence[Key]) -> list[str]:
    """The keys of the table that is found at *inner* in a table of *kind*."""
    way = iter(inner)
    for key in way:
        if isinstance(key, str):
            hint = get_type_hints(kind)[key]
            kind = next(choice for choice in (hint, *get_args(hint)) if isinstance(choice, type) and is_dataclass(choice))
            if get_origin(hint) is Mapping:
                next(way, None)  # a name of the user's own
    return [field.name for field in fields(kind)]


def _one_of(names: Iterable[str]) -> str:
    *first, last = (f"'{name}'" for name in names)
    return f"{', '.join(first)} or {last}" if first else last


def _kind(value: Any) -> str:
    match value:
        case bool():
            return "true" if value else "false"
        case str():
            return "a string"
        case list():
            return "an array"
        case dict():
            return "a table"
        case int():
            return "a whole number"
    return repr(value)
