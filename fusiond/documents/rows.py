"""Which rows (objects in a list) of several members are the same one.

By a field whose values are unique in each member's list, where there is one; of several, the one by which most fields agree. Else by the best
assignment over equal fields: rows of which less than half is equal are different ones, unless all lists are of one length.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Hashable, Iterable, Iterator, Mapping, Sequence
from decimal import Decimal
from itertools import count
from typing import Any

from fusiond.documents.assignment import best_pairs
from fusiond.documents.effort import Effort
from fusiond.documents.writing import says

Labels = Mapping[str, Sequence[Hashable]]
"""For each item of each voice's list what it is known by: the same for what is the same, and never twice in one list."""

Row = Mapping[str, str]
"""Name -> what stands there."""

ALIKE = 0.5
"""The share of equal fields from which two rows are one."""

NEAR = 1e-6
"""Of rows that are alike, those at nearer places go together."""


def row_labels(said: Mapping[str, Sequence[Mapping[str, Any]]], effort: Effort) -> Labels:
    """What each row is known by. Raises TooMuch."""
    rows = {voice: [{name: says(value) for name, value in row.items()} for row in own] for voice, own in said.items()}
    facts = {voice: [row.items() for row in own] for voice, own in rows.items()}
    keyed: list[Labels] = [{voice: [row[name] for row in own] for voice, own in rows.items()} for name in _keys(said, rows, effort)]
    best = max(keyed, key=lambda labels: agreement(labels, facts), default=None)
    return best if best and agreement(best, facts) else _assigned(rows, effort)


def agreement(labels: Labels, facts: Mapping[str, Sequence[Iterable[Hashable]]]) -> int:
    """How many facts about items another voice has about the same item too. `facts`: of each item of each voice's list."""
    told = [(label, fact) for voice, own in facts.items() for label, item in zip(labels[voice], own, strict=True) for fact in item]
    return len(told) - len(set(told))


def _keys(said: Mapping[str, Sequence[Mapping[str, Any]]], rows: Mapping[str, Sequence[Row]], effort: Effort) -> Iterator[str]:
    """The names of fields that tell rows apart: a string or a whole number in every row, and never twice in one list. What is measured is no name."""
    everyone = [row for own in said.values() for row in own]
    for name in everyone[0]:
        effort.spend(len(everyone))
        if all(_names(row.get(name)) for row in everyone) and all(len({row[name] for row in own}) == len(own) for own in rows.values()):
            effort.spend(sum(map(len, everyone)))
            yield name


def _names(value: Any) -> bool:
    return isinstance(value, str) or (isinstance(value, Decimal) and value == value.to_integral_value())


def _assigned(rows: Mapping[str, Sequence[Row]], effort: Effort) -> Labels:
    """Row by row to those of the more skilled, or to none of them."""
    known: list[list[Row]] = []
    strict = len({len(own) for own in rows.values()}) > 1
    labels: dict[str, list[int]] = {}
    for voice, own in rows.items():
        labels[voice] = _places(own, known, effort, strict=strict)
        for row, place in zip(own, labels[voice], strict=True):
            if place == len(known):
                known.append([])
            known[place].append(row)
    return labels


def _places(own: Sequence[Row], known: Sequence[Sequence[Row]], effort: Effort, *, strict: bool) -> list[int]:
    """For each row which of those known it is: first those that are equal, then by the best assignment; a new one counts on."""
    found = _equal(own, known)
    left = [place for place in range(len(own)) if place not in found]
    free = sorted(set(range(len(known))) - set(found.values()))
    effort.compare(len(left) * len(free) * (max(map(len, own), default=0) + min(len(left), len(free))))
    gains = [[_likeness(own[place], known[other]) - NEAR * abs(place - other) for other in free] for place in left]
    for row, column in best_pairs(gains):
        if not strict or _likeness(own[left[row]], known[free[column]]) >= ALIKE:
            found[left[row]] = free[column]
    new = count(len(known))
    return [found[place] if place in found else next(new) for place in range(len(own))]


def _equal(own: Sequence[Row], known: Sequence[Sequence[Row]]) -> dict[int, int]:
    """Row -> the one of those known in which most are equal to it, each once."""
    places: dict[frozenset[tuple[str, str]], list[tuple[int, int]]] = {}
    for place, rows in enumerate(known):
        for fields, times in Counter(frozenset(row.items()) for row in rows).items():
            places.setdefault(fields, []).append((times, -place))
    waiting = {fields: iter(sorted(ranked, reverse=True)) for fields, ranked in places.items()}
    found: dict[int, int] = {}
    taken: set[int] = set()
    for place, row in enumerate(own):
        free = (-other for _, other in waiting.get(frozenset(row.items()), ()) if -other not in taken)
        if (best := next(free, None)) is not None:
            found[place] = best
            taken.add(best)
    return found


def _likeness(row: Row, rows: Sequence[Row]) -> float:
    """The share of equal fields, in the mean."""
    return sum(len(row.items() & other.items()) / (len(row.keys() | other.keys()) or 1) for other in rows) / len(rows)
