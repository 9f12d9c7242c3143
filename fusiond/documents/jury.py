"""Whose word counts how much on a single field: the vote's own belief, asked field by field."""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from functools import cache

from fusiond.policy.belief import TIE, Model, Voter, chances, skills

Ballot = tuple[int, ...]
"""Who says the same: a number for what each voice says, counted up from 0, the most skilled first."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Field:
    """One field of a merged document: the chance that it is right, the share of the voices that say so, and how they stood to each other."""

    chance: float
    share: float
    ballot: Ballot


class Jury:
    """Those whose documents are merged. `panel`: all beside whom their word weighs. `voices`: the most skilled first, equals by panel order."""

    def __init__(self, panel: Sequence[Voter], voices: Collection[str]) -> None:
        self._panel = panel
        ranked = skills(Model(), panel)
        self._voters = sorted((voter for voter in panel if voter.name in voices), key=lambda voter: -ranked[voter])
        self.voices = [voter.name for voter in self._voters]
        self._weighed = cache(self._weigh)  # most fields of a document divide the voters in the same few ways

    def fields(self, said: Mapping[str, str]) -> dict[str, Field]:
        """What each key that was said at one place is worth, in panel order. Whoever says nothing there has spoken against all of them."""
        number: dict[str | None, int] = {}
        ballot = tuple(number.setdefault(said.get(voice), len(number)) for voice in self.voices)
        keys = [*number]
        return {key: field for own, field in self._weighed(ballot).items() if (key := keys[own]) is not None}

    def _weigh(self, ballot: Ballot) -> Mapping[int, Field]:
        found = chances(Model(), self._panel, dict(zip(self._voters, map(str, ballot), strict=True)))
        return {int(own): Field(chance=chance, share=ballot.count(int(own)) / len(ballot), ballot=ballot) for own, chance in found.items()}


def likeliest(fields: Mapping[str, Field]) -> str:
    """The key that is most likely right; a tie goes to the one that was said first in panel order."""
    top = max(field.chance for field in fields.values())
    return next(key for key, field in fields.items() if field.chance >= top * (1 - TIE))


def most(those: Collection[str], voices: Collection[str]) -> bool:
    """Whether *those* are most of the voices; of two halves it is the one with the most skilled, who comes first."""
    return 2 * len(those) > len(voices) or (2 * len(those) == len(voices) and next(iter(voices)) in those)
