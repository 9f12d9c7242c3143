"""A table is read as pydantic itself would read it, and without it."""

from __future__ import annotations

import json
import subprocess
import sys
from collections.abc import Hashable, Mapping
from dataclasses import MISSING, fields
from pathlib import Path
from typing import Any

import pytest
from pydantic import ConfigDict, TypeAdapter, ValidationError
from pydantic_core import SchemaValidator

from fusiond.config import FusionConfig, MemberConfig, Secret, ServerConfig
from fusiond.config.schema import validator
from fusiond.config.tables import APIS
from fusiond.config.tree import BudgetConfig, OfflineConfig, PrivacyConfig, RecordsConfig, RouteConfig

TOP = Path(__file__).parents[2]
TABLES = (*APIS.values(), ServerConfig, MemberConfig, FusionConfig, RouteConfig, BudgetConfig, PrivacyConfig, OfflineConfig, RecordsConfig)
NEEDED = {"provider": "p", "model": "m", "url": "http://127.0.0.1", "use": "auto"}
NAN = float("nan")

VALUES: tuple[object, ...] = (
    "", "vote", "lan", "any", "never", "json", "1", 0, 1, -1, 1.0, 1.5, 2**64, 1e400, NAN, True, False, None, [], [""], [1], [[]], {}, {"key": 1},
    {"env": "NAME"}, {"env": 1, "fil": "/path"}, [{"env": "NAME"}, {"credential": "name"}], ["sk"], [{}], [{"member": "a", "samples": 2}],
    [{"member": 1, "smaples": 2}], [{"member": "a"}, "b", {"member": "c", "temperature": "1", "samples": 1.0}], {"input": 1, "output": 2},
    {"input": 1}, {"input": 1, "output": 2, "cached": 3}, {"task": "code", "tools": True}, {"task": "coding", "tools": 1, "max_prompt_tokens": 0.5},
    {"temperature": 0, "stop": [None, {"any": "thing"}]},
)  # fmt: skip


def said(reader: TypeAdapter[Any] | SchemaValidator, entry: object) -> tuple[Any, list[Any]]:
    """What is read, and what is wrong instead: its kinds, places and words."""
    try:
        return reader.validate_json(json.dumps({"name": entry})), []
    except ValidationError as wrong:
        return None, wrong.errors(include_url=False, include_input=False)


def whole(kind: type, /, **keys: object) -> Mapping[str, object]:
    """A table with what it needs, and with *keys*."""
    given = {**NEEDED, "api": next((api for api, provider in APIS.items() if provider is kind), None)}
    return {field.name: given[field.name] for field in fields(kind) if field.default is field.default_factory is MISSING} | keys


@pytest.mark.parametrize("kind", TABLES)
def test_reads_as_pydantic_does(kind: type) -> None:
    """Every key of every table with every value, right or wrong, gives the same. Amounts are read in a way of our own."""
    theirs = TypeAdapter(dict[str, kind], config=ConfigDict(extra="forbid", strict=True, allow_inf_nan=False))  # type: ignore[valid-type]
    keys = [field.name for field in fields(kind) if "Decimal" not in field.type]
    entries: list[object] = [whole(kind), {}, {"unknown": 1}, [], "text", None, *(whole(kind, **{key: value}) for key in keys for value in VALUES)]
    ours = validator(kind)
    assert [repr(said(ours, entry)) for entry in entries] == [repr(said(theirs, entry)) for entry in entries]
    assert ours.validate_json(json.dumps({"name": whole(kind)}))["name"] == kind(**whole(kind))


@pytest.mark.parametrize("kind", [bytes, complex, list[str], dict[str, int], tuple[str, int], int | str, Secret | str, int | str | None])
def test_another_type_is_refused(kind: Hashable) -> None:
    """What nobody has thought of is not read in whatever way comes next."""
    with pytest.raises(TypeError, match="no table can have a value of the type"):
        validator(kind)


def test_pydantic_is_not_loaded() -> None:
    """It would take longer to load than a configuration to read, before the daemon is there."""
    program = "import sys; from pathlib import Path; from fusiond.config import load; load(Path('config.toml')); print('pydantic' in sys.modules)"
    assert subprocess.run([sys.executable, "-c", program], cwd=TOP, check=True, capture_output=True, text=True).stdout == "False\n"
