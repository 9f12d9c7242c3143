"""What the configuration will have and has not yet: asking for it is an error of its own, never a key that is read and ignored."""

from __future__ import annotations

from collections.abc import Iterator

from fusiond.config.errors import Fault, Key
from fusiond.config.source import Table

KEYS: tuple[tuple[str, ...], ...] = (
    *((table,) for table in ("local", "idle")),
    ("server", "allow_adhoc"),
    ("fusions", "*", "calibrate"),
)


def take_out(table: Table) -> list[Fault]:
    """Remove from *table* what is not supported yet, and say so."""
    faults = []
    for way in KEYS:
        for path, holder in _holders(table, way):
            faults.append(Fault(path=path, reason="not supported yet"))
            del holder[way[-1]]
    return faults


def _holders(table: object, way: tuple[str, ...], done: tuple[Key, ...] = ()) -> Iterator[tuple[tuple[Key, ...], Table]]:
    """Every table that has the last key of *way* (`*`: any key), with that key's path."""
    if not isinstance(table, dict):
        return
    first, *rest = way
    if not rest and first in table:
        yield (*done, first), table
    for key in list(table) if first == "*" else [first]:
        if rest:
            yield from _holders(table.get(key), tuple(rest), (*done, key))
