"""The merge of documents, from the outermost value to the fields."""

from __future__ import annotations

from collections import Counter
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from decimal import Decimal
from math import prod
from typing import Any

from fusiond.documents.alignment import aligned, in_order
from fusiond.documents.effort import LETTERS, Effort
from fusiond.documents.jury import Ballot, Field, Jury, likeliest, most
from fusiond.documents.writing import below, leaves, says, written
from fusiond.keys import document
from fusiond.policy.belief import Voter

Said = Mapping[str, Any]
"""What stands at one place, by whoever has it; the most skilled first."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Merged:
    """A merged document: its text and canonical form, and for every field (by JSON pointer) the chance that it is right.

    `confidence`: that of the whole, where fields in which the same voices stood against each other count as one question. `agreement`: the share of
    voices behind a field, in the mean.
    """

    text: str
    key: str
    fields: Mapping[str, float]
    confidence: float
    agreement: float


def merge(texts: Mapping[str, str], panel: Sequence[Voter]) -> Merged:
    """Merge the documents that these voices say, one at least. `panel`: everybody who was or may be asked.

    Raises NotJson where one is no document, and TooMuch where they are too large, too deep or too hard to align.
    """
    jury, effort = Jury(panel, texts), Effort()
    effort.spend(sum(map(len, texts.values())) // LETTERS)
    documents = {voice: document.parse(texts[voice]) for voice in jury.voices}
    effort.read([*documents.values()])
    merging = _Merging(jury, effort)
    value = merging.value("", documents)
    fields = merging.fields
    return Merged(
        text=written(value),
        key=document.dump(value),
        fields={pointer: field.chance for pointer, field in fields.items()},
        confidence=_confidence(fields.values()),
        agreement=sum(field.share for field in fields.values()) / len(fields),
    )


class _Merging:
    """One merge. `fields`: what stands so far, by JSON pointer."""

    def __init__(self, jury: Jury, effort: Effort) -> None:
        self._jury = jury
        self._effort = effort
        self.fields: dict[str, Field] = {}

    def value(self, pointer: str, said: Said) -> Any:
        """What stands at this place: of the kind that most say."""
        kinds = Counter(map(_kind, said.values()))
        kind = max(kinds, key=kinds.__getitem__)
        those = {voice: value for voice, value in said.items() if _kind(value) is kind}
        if kind is dict:
            return self._object(pointer, those)
        return self._list(pointer, those) if kind is list else self._leaf(pointer, those)

    def _object(self, pointer: str, said: Said) -> Any:
        kept = {}
        for name in in_order(map(list, said.values())):
            those = {voice: value[name] for voice, value in said.items() if name in value}
            if most(those, said):
                kept[name] = those
        if not kept:
            return self._whole(pointer, said)
        return {name: self.value(below(pointer, name), those) for name, those in kept.items()}

    def _list(self, pointer: str, said: Said) -> Any:
        kept = [those for those in aligned(said, self._effort) if most(those, said)]
        if not kept:
            return self._whole(pointer, said)
        return [self.value(below(pointer, place), those) for place, those in enumerate(kept)]

    def _whole(self, pointer: str, said: Said) -> Any:
        """Of objects and lists that have nothing in common, one as it is: a half of it would be nobody's. An empty one is a value like any other."""
        fields = self._jury.fields({voice: says(value) for voice, value in said.items()})
        best = likeliest(fields)
        value = next(value for value in said.values() if says(value) == best)
        self.fields |= dict.fromkeys(leaves(value, pointer), fields[best])
        return value

    def _leaf(self, pointer: str, said: Said) -> Any:
        keys = {voice: says(value) for voice, value in said.items()}
        fields = self._jury.fields(keys)
        best = likeliest(fields)
        value = next(value for voice, value in said.items() if keys[voice] == best)
        numbers = [number for number in said.values() if isinstance(number, Decimal)]
        if isinstance(value, Decimal) and len({*numbers}) == len(numbers):
            value = _middle(numbers)
        self.fields[pointer] = fields[says(value)]
        return value


def _kind(value: Any) -> type | None:
    """Whether it is an object, a list, or neither."""
    return type(value) if isinstance(value, dict | list) else None


def _middle(numbers: Sequence[Decimal]) -> Decimal:
    """The number nearest to the median: of two in the middle, which are as near, the first said."""
    ranked = sorted(numbers)
    middle = ranked[(len(ranked) - 1) // 2 : len(ranked) // 2 + 1]
    return next(number for number in numbers if number in middle)


def _confidence(fields: Collection[Field]) -> float:
    """The least of the fields' chances; or less, where different voices are against different fields."""
    least: dict[Ballot, float] = {}
    for field in fields:
        least[field.ballot] = min(field.chance, least.get(field.ballot, 1.0))
    return min(*least.values(), prod(chance for ballot, chance in least.items() if any(ballot)))
