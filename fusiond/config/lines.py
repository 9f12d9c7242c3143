"""On which line of a TOML text every table and key stands. The text is known to be valid TOML; what is inside a value is not looked at."""

from __future__ import annotations

import re
import tomllib
from collections.abc import Iterator

from fusiond.config.errors import Key

_TOKEN = re.compile(
    r'"""(?:\\.|[^\\])*?"{3,5}'  # a multi-line string may end with two quotation marks of its own
    r"|'''.*?'{3,5}"
    r'|"(?:\\.|[^"\\\n])*"'
    r"|'[^'\n]*'"
    r"|\#[^\n]*"
    r"|[A-Za-z0-9_-]+"
    r"|[\n=\[\]{}]",
    re.DOTALL,
)

Path = tuple[str, ...]


def lines(text: str) -> dict[tuple[Key, ...], int]:
    """The first line (from 1) that names each path; an inline table's keys are on the line of the key that holds it."""
    found: dict[tuple[Key, ...], int] = {}
    counted: dict[tuple[Key, ...], int] = {}  # arrays of tables: how many of each there are so far
    table: tuple[Key, ...] = ()
    for line, header, keys in _statements(text):
        if header:
            table = _placed(keys, counted, one_more=header == "[[")
        path = table if header else (*table, *keys)
        for length in range(1, len(path) + 1):
            found.setdefault(path[:length], line)
    return found


def _placed(keys: Path, counted: dict[tuple[Key, ...], int], *, one_more: bool) -> tuple[Key, ...]:
    """A header's path; what stands in an array of tables is in the last of them."""
    path: tuple[Key, ...] = ()
    for place, key in enumerate(keys, 1):
        path = (*path, key)
        if one_more and place == len(keys):
            counted[path] = counted.get(path, 0) + 1
        if path in counted:
            path = (*path, counted[path] - 1)
    return path


def _statements(text: str) -> Iterator[tuple[int, str, Path]]:
    """Every `[header]`, `[[header]]` and `key =`, with its line and how the header begins; empty: it is none."""
    keys: list[str] = []
    depth, header, value, line, end = 0, False, False, 1, 0
    for token in _TOKEN.finditer(text):
        line += text.count("\n", end, token.start())
        end = token.start()
        match token.group():
            case "\n":
                if not depth:
                    keys, header, value = [], False, False
            case "[" | "{":
                header = header or not (value or keys)
                depth += value
            case "]" | "}":
                if header and keys:
                    yield line, "[[" if text.startswith("]", token.end()) else "[", tuple(keys)
                    keys = []
                depth -= value
            case "=" if not value:
                yield line, "", tuple(keys)
                value = True
            case word if not value and not word.startswith("#"):
                keys.append(tomllib.loads(f"key = {word}")["key"] if word[0] in "\"'" else word)
