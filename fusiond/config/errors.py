"""What is wrong with a configuration: values first, and one exception that carries all of them at once.

No error repeats a value from the file: a key written in the wrong place must not reach a log.
"""

from __future__ import annotations

import difflib
import json
import re
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path

Key = str | int
"""A step on the way to a value: a table's key, or a place in an array (from 0)."""

_BARE = re.compile(r"[A-Za-z0-9_-]+")


@dataclass(frozen=True, slots=True, kw_only=True)
class Fault:
    """Something wrong at a place of the merged configuration, before it is known which file says so."""

    path: tuple[Key, ...]
    reason: str
    suggestion: str | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class ConfigError:
    """One error. `file` is absolute; `line` and `column` count from 1; `path` is dotted, empty where the whole file is meant."""

    file: str
    line: int | None = None
    column: int | None = None
    path: str = ""
    reason: str
    suggestion: str | None = None

    def __str__(self) -> str:
        """`config.toml: members.qwen.modle: unknown key (did you mean 'model'?) [line 12]`."""
        where = ": ".join(filter(None, (Path(self.file).name, self.path)))
        hint = f" (did you mean '{self.suggestion}'?)" if self.suggestion else ""
        column = f", column {self.column}" if self.column else ""
        return f"{where}: {self.reason}{hint}" + (f" [line {self.line}{column}]" if self.line else "")


class ConfigErrors(Exception):
    """A configuration that cannot be used. `files`: every file that was looked for, so that a correction in any of them is noticed."""

    def __init__(self, errors: Sequence[ConfigError], files: Sequence[str] = ()) -> None:
        super().__init__("\n".join(map(str, errors)))
        self.errors = tuple(errors)
        self.files = tuple(files) or tuple(dict.fromkeys(error.file for error in errors))


def dotted(path: Sequence[Key]) -> str:
    """A path as a reader would write it: `fusions.default.panel[1].samples`, `members."qwen3:8b".model`."""
    steps = (f"[{key}]" if isinstance(key, int) else "." + (key if _BARE.fullmatch(key) else json.dumps(key, ensure_ascii=False)) for key in path)
    return "".join(steps).removeprefix(".")


def nearest(word: str, names: Iterable[str]) -> str | None:
    """The name that *word* was most likely meant to be; None where none is near."""
    return next(iter(difflib.get_close_matches(word, list(names), n=1)), None)
