r"""Long alternations, compiled so that a search costs half: what must begin at the start of a word is tried only there.

Python's engine tries every alternative at every character, and `\b` at the head of each keeps it from leaving early; one `\b` before all of them
does not.
"""

from __future__ import annotations

import re
from collections.abc import Iterator

_FLAGS = re.IGNORECASE | re.VERBOSE
_START = r"\b"


def alternation(pattern: str) -> re.Pattern[str]:
    r"""The verbose, case-blind pattern with its alternatives grouped: first those that begin with `\b`, then the others."""
    alternatives = [each for each in map(_trimmed, _alternatives(pattern)) if each]
    words = [each.removeprefix(_START) for each in alternatives if each.startswith(_START)]
    others = [each for each in alternatives if not each.startswith(_START)]
    return re.compile("|".join([f"{_START}(?:{'|'.join(words)})", *others] if words else others), _FLAGS)


def _alternatives(pattern: str) -> Iterator[str]:
    """The pattern's pieces between the bars that stand in no brackets."""
    begin = depth = 0
    in_class = escaped = False
    for place, sign in enumerate(pattern):
        if escaped or sign == "\\":
            escaped = not escaped
        elif in_class:
            in_class = sign != "]"
        elif sign == "[":
            in_class = True
        elif sign == "|" and not depth:
            yield pattern[begin:place]
            begin = place + 1
        else:
            depth += (sign == "(") - (sign == ")")
    yield pattern[begin:]


def _trimmed(alternative: str) -> str:
    """Without the blanks around it, but for one that is escaped."""
    bare = alternative.strip()
    return f"{bare} " if bare.endswith("\\") else bare
