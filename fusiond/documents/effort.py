"""How much work a merge may be: a hostile or a huge document must not keep every other request waiting."""

from __future__ import annotations

from typing import Any

STEPS = 80_000
"""Values that are looked at in one merge, some of them several times: a quarter of a second."""

LETTERS = 20
"""Of a text so many are a step."""

COMPARISONS = 10
"""So many are a step."""

DEEPEST = 100
"""Levels of a document."""


class TooMuch(Exception):
    """Merging these documents would take too long."""


class Effort:
    """What is left of the work that one merge may be."""

    def __init__(self, steps: int = STEPS) -> None:
        self._left = steps

    def spend(self, steps: int) -> None:
        """Raises TooMuch where no more is left, before the work is done."""
        self._left -= steps
        if self._left < 0:
            raise TooMuch

    def compare(self, comparisons: int) -> None:
        """Spend what so many comparisons take. Raises TooMuch."""
        self.spend(comparisons // COMPARISONS)

    def read(self, document: Any) -> None:
        """Spend what it takes to look at every value of a document. Raises TooMuch where it is too large or too deep."""
        level, depth = [document], 0
        while level:
            self.spend(sum(1 + len(value) // LETTERS if isinstance(value, str) else 1 for value in level))
            if (depth := depth + 1) > DEEPEST:
                raise TooMuch
            level = [inner for value in level if isinstance(value, dict | list) for inner in (value.values() if isinstance(value, dict) else value)]
