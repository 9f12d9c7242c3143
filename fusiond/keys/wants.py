"""What a request wants to be told: the kind of key, the offered values, and how text is compared.

A value only; `request` finds it, the modules of the kinds read answers by it.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Literal

from fusiond.config.tree import KeyKind

Form = Literal["words", "string", "literal"]
"""How texts are compared: `words` by their words, `string` sign by sign but for case and blanks, `literal` as values of a program."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Wanted:
    """The kind of key that a request asks for.

    `options`: the offered values in canonical form (letters of a choice, labels, yes and no), empty when open.
    `texts`: option letter -> the option's text, where known. `form` matters to texts alone.
    """

    kind: KeyKind
    options: tuple[str, ...] = ()
    texts: Mapping[str, str] = field(default_factory=dict)
    form: Form = "words"

    @property
    def count(self) -> int:
        """How many values were offered, as the vote counts them; 0: open."""
        return len(self.options)
