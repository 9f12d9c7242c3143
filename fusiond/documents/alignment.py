"""Which items of several members' lists are the same one, and in what order they stand.

Rows are told apart by `rows`. Everything else is known by what it says, and of equal ones each is its own; but numbers and lists, where all have as
many of them, are known by their place, unless what one has there stands elsewhere in another. The order is that of the most skilled, unless most
lists are equal as they are: in many a list the order is what was asked for.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Hashable, Iterable, Mapping, Sequence
from decimal import Decimal
from typing import Any, TypeVar

from fusiond.documents.effort import Effort
from fusiond.documents.rows import Labels, agreement, row_labels
from fusiond.documents.writing import says

Item = TypeVar("Item", bound=Hashable)


def aligned(said: Mapping[str, Sequence[Any]], effort: Effort) -> list[dict[str, Any]]:
    """Every item that anybody has, with what each who has it says of it. Raises TooMuch."""
    labels = _labels(said, effort)
    items = {voice: dict(zip(labels[voice], own, strict=True)) for voice, own in said.items()}
    ordered = in_order([labels[_leading(said)], *labels.values()])
    effort.compare(len(ordered) * len(said))
    return [{voice: own[label] for voice, own in items.items() if label in own} for label in ordered]


def in_order(sequences: Iterable[Sequence[Item]]) -> list[Item]:
    """All that stands in any of them, once: in the order of the first, and what only others have behind whatever it follows there."""
    after: dict[Item | None, Item | None] = {None: None}
    for sequence in sequences:
        before: Item | None = None
        for item in sequence:
            if item not in after:
                after[item], after[before] = after[before], item
            before = item
    ordered: list[Item] = []
    following = after[None]
    while following is not None:
        ordered.append(following)
        following = after[following]
    return ordered


def _leading(said: Mapping[str, Sequence[Any]]) -> str:
    """Whose order it is."""
    whole = {voice: says(own) for voice, own in said.items()}
    [(shared, times)] = Counter(whole.values()).most_common(1)
    return next(voice for voice in said if 2 * times <= len(said) or whole[voice] == shared)


def _labels(said: Mapping[str, Sequence[Any]], effort: Effort) -> Labels:
    items = [item for own in said.values() for item in own]
    effort.read(items)
    if items and all(isinstance(item, dict) for item in items):
        return row_labels(said, effort)
    keys = {voice: [says(item) for item in own] for voice, own in said.items()}
    labels: Labels = {voice: _counted(own) for voice, own in keys.items()}
    if len({len(own) for own in said.values()}) == 1 and all(isinstance(item, Decimal | list) for item in items):
        places = {voice: range(len(own)) for voice, own in said.items()}
        facts = {voice: [(key,) for key in own] for voice, own in keys.items()}
        return max(places, labels, key=lambda either: agreement(either, facts))
    return labels


def _counted(keys: Sequence[str]) -> list[Hashable]:
    """Each with how many equal ones come before it."""
    seen: Counter[str] = Counter()
    labels: list[Hashable] = []
    for key in keys:
        labels.append((key, seen[key]))
        seen[key] += 1
    return labels
