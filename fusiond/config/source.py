"""The files of a configuration: the main one and those it includes, read, and laid over each other key by key."""

from __future__ import annotations

import os
import re
import stat
import tomllib
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import date, time
from pathlib import Path
from typing import Any

from fusiond.config.errors import ConfigError, ConfigErrors, Fault, Key, dotted
from fusiond.config.lines import lines

SIZE_LIMIT = 4 * 1024 * 1024
"""Bytes. A configuration is written by hand; what is larger is another file."""

INTEGER_BITS = 63
"""And a sign: what TOML asks its readers to hold."""

DEPTH_LIMIT = 32
"""Tables and arrays inside each other."""

Table = dict[str, Any]

_ENDLESS_KEY = re.compile(r"^[ \t\[]*(?:[^\s.=#]+[ \t]*\.[ \t]*){64}", re.MULTILINE)
"""The time and memory that the parser takes for a dotted key grow with the square of its length."""

_PLACE = re.compile(r" \(at (?:line (\d+), column (\d+)|end of document)\)$")


@dataclass(frozen=True, slots=True, kw_only=True)
class Source:
    """One file as it was read."""

    path: Path
    text: str
    table: Table


@dataclass(frozen=True, slots=True, kw_only=True)
class Sources:
    """The files that are there, each lying over the ones after it: the main file, then the included from the last to the first.

    `files` names the absent ones too, the main file first. `unread`: what is wrong with included ones as files.
    """

    read: tuple[Source, ...]
    files: tuple[str, ...]
    unread: tuple[ConfigError, ...] = ()

    def merged(self) -> Table:
        """One table of all files, without the list of the includes."""
        table: Table = {}
        for source in reversed(self.read):
            table = _laid_over(table, source.table)
        table.pop("include", None)
        return table

    def errors(self, faults: Sequence[Fault]) -> list[ConfigError]:
        """Each fault with the file and the line that it comes from, and what cannot be read, in the order of the files."""
        known = [(str(source.path), lines(source.text)) for source in self.read]
        errors = [*(_placed(fault, known) for fault in faults), *self.unread]
        return sorted(errors, key=lambda error: (self.files.index(error.file), error.line or 0))


def read(path: Path) -> Sources:
    """The file at *path* (absolute) and its includes. Raises ConfigErrors with what is wrong with the main one as a file."""
    main = _read_file(path)
    included = _included(main)
    files = tuple(dict.fromkeys(map(str, (path, *included))))
    sources: list[Source] = []
    errors: list[ConfigError] = []
    for file in reversed(included):
        try:
            sources.append(_without_include(_read_file(file)))
        except FileNotFoundError:
            continue  # until it appears
        except ConfigErrors as wrong:
            errors += wrong.errors
    return Sources(read=(main, *sources), files=files, unread=tuple(errors))


def _read_file(path: Path) -> Source:
    """One file. Raises FileNotFoundError where it is absent, ConfigErrors where it is no TOML."""
    try:
        data = _content(path)
    except FileNotFoundError:
        raise
    except OSError as error:
        raise _unusable(path, f"cannot be read: {error.strerror}") from None
    if len(data) > SIZE_LIMIT:
        raise _unusable(path, f"is larger than {SIZE_LIMIT // 1024 // 1024} MiB: not a configuration")
    text = _decoded(path, data)
    table = _parsed(path, text)
    source = Source(path=path, text=text, table=table)
    if deep := list(_endless(table)):
        raise ConfigErrors([_placed(fault, [(str(path), lines(text))]) for fault in deep])
    return source


def _content(path: Path) -> bytes:
    """One byte more than a configuration may have, at the most. A pipe or a device is not even opened: it may have no end, or none to come."""
    mode = path.stat().st_mode
    if not (stat.S_ISREG(mode) or stat.S_ISDIR(mode)):  # a directory says so itself
        raise _unusable(path, "is a pipe, a socket or a device: a configuration must be a regular file")
    with open(path, "rb", opener=_at_once) as file:  # a path's own `open` takes no opener
        return file.read(SIZE_LIMIT + 1)


def _at_once(path: str, flags: int) -> int:
    """Open without waiting for anybody, whatever has come in the file's place since it was looked at."""
    return os.open(path, flags | os.O_NONBLOCK)


def _decoded(path: Path, data: bytes) -> str:
    try:
        return data.decode("utf-8-sig").replace("\r\n", "\n")
    except UnicodeDecodeError as error:
        raise _unusable(path, "is not UTF-8 text", line=data.count(b"\n", 0, error.start) + 1) from None


def _parsed(path: Path, text: str) -> Table:
    if deep := _ENDLESS_KEY.search(text):
        raise _unusable(path, "is nested too deeply", line=text.count("\n", 0, deep.start()) + 1)
    try:
        return tomllib.loads(text)
    except RecursionError:
        raise _unusable(path, "is nested too deeply") from None
    except tomllib.TOMLDecodeError as error:
        place = _PLACE.search(str(error))
        line, column = place.groups() if place else (None, None)
        last = text.count("\n") + 1 if place and not line else None
        reason = f"is not valid TOML: {_PLACE.sub('', str(error))}"
        raise _unusable(path, reason, line=int(line) if line else last, column=int(column) if column else None) from None
    except ValueError:
        raise _unusable(path, "holds a number with too many digits") from None


def _unusable(path: Path, reason: str, *, line: int | None = None, column: int | None = None) -> ConfigErrors:
    return ConfigErrors([ConfigError(file=str(path), line=line, column=column, reason=reason)])


def take_out_unfit(table: Table) -> list[Fault]:
    """Put nothing in the place of what TOML or its reader allows and no key of ours can be, dates and endless numbers, and say so."""
    faults = []
    for path, holder, place in list(_places(table)):
        if reason := _unfit(holder[place]):
            faults.append(Fault(path=path, reason=reason))
            holder[place] = None
    return faults


def _unfit(value: object) -> str | None:
    if isinstance(value, date | time):
        return "is a date or a time; if a string is meant, put it in quotation marks"
    if isinstance(value, int) and value.bit_length() > INTEGER_BITS:
        return f"is a whole number of more than {INTEGER_BITS + 1} bits"
    return None


def _endless(table: Table) -> Iterator[Fault]:
    """Depth without end."""
    return (Fault(path=path[:2], reason="is nested too deeply") for path, _, _ in _places(table) if len(path) > DEPTH_LIMIT)


def _places(table: Table) -> Iterator[tuple[tuple[Key, ...], Any, Any]]:
    """Every place in a table, in depth as far as that is allowed: its path, the table or array that it is in, and its key or index there."""
    rest: list[tuple[tuple[Key, ...], Any]] = [((), table)]
    while rest:
        path, holder = rest.pop()
        for place, value in holder.items() if isinstance(holder, dict) else enumerate(holder):
            yield (*path, place), holder, place
            if isinstance(value, dict | list) and len(path) < DEPTH_LIMIT:
                rest.append(((*path, place), value))


def _included(main: Source) -> list[Path]:
    names = main.table.get("include", [])
    if not isinstance(names, list) or not all(isinstance(name, str) and name and "\0" not in name for name in names):
        raise _misplaced(main, "must be an array of file names")
    return [main.path.parent / name for name in names]


def _without_include(source: Source) -> Source:
    if "include" in source.table:
        raise _misplaced(source, "an included file cannot include others: name them in the main file")
    return source


def _misplaced(source: Source, reason: str) -> ConfigErrors:
    return ConfigErrors([_placed(Fault(path=("include",), reason=reason), [(str(source.path), lines(source.text))])])


def _laid_over(below: Table, above: Table) -> Table:
    """Tables are merged key by key; any other value of *above* replaces the one below."""
    both = {key: _laid_over(below[key], value) for key, value in above.items() if isinstance(value, dict) and isinstance(below.get(key), dict)}
    return {**below, **above, **both}


def _placed(fault: Fault, known: Sequence[tuple[str, Mapping[tuple[Key, ...], int]]]) -> ConfigError:
    """The line of the fault's path, or of the nearest table around it, in the first file that has one."""
    for length in range(len(fault.path), 0, -1):
        for file, places in known:
            if line := places.get(fault.path[:length]):
                return _error(fault, file, line)
    return _error(fault, known[0][0], None)


def _error(fault: Fault, file: str, line: int | None) -> ConfigError:
    return ConfigError(file=file, line=line, path=dotted(fault.path), reason=fault.reason, suggestion=fault.suggestion)
