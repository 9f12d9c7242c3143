"""What an answer says, in a form in which answers can be counted.

`wanted` tells from a request what it asks for, `key` reads one answer, `joined` applies the subset rule once all are in.
A wrong key votes and a missing one does not: in doubt there is none.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import assert_never

from fusiond.keys import boolean, choice, document, label, number, text
from fusiond.keys.reading import read
from fusiond.keys.request import acts, is_chore, wanted, wants_code
from fusiond.keys.wants import Form, Wanted

__all__ = ["Form", "Wanted", "acts", "is_chore", "joined", "key", "may_join", "wanted", "wants_code"]


def key(wanted: Wanted, answer: str) -> str | None:
    """The canonical key of one answer, or None where it does not say clearly what was asked."""
    if wanted.kind == "json":
        return document.key(answer)
    reading = read(answer)
    if not reading.whole:
        return None
    match wanted.kind:
        case "choice":
            return choice.key(wanted, reading)
        case "number":
            return number.key(reading)
        case "boolean":
            return boolean.key(reading)
        case "label":
            return label.key(wanted, reading)
        case "text":
            return text.key(wanted, reading)
    assert_never(wanted.kind)


def may_join(wanted: Wanted) -> bool:
    """Whether the subset rule could still change which keys are equal."""
    return wanted.kind == "text" and wanted.form == "words"


def joined(wanted: Wanted, keys: Mapping[str, str | None]) -> Mapping[str, str | None]:
    """The keys after the subset rule, once all answers are in; the same in whatever order they came."""
    return text.joined(keys) if may_join(wanted) else keys
