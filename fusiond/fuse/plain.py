"""Answers as a judge is shown them: without what makes an answer look good and says nothing.

Judges favour emphasis, headings, little pictures and kind words more than they favour a place, so none of these is shown. Code is left as it is.
"""

from __future__ import annotations

import re

CUT = "\n[truncated]\n"
"""Stands where the middle of an answer is left out."""

_CODE = re.compile(r"(^[ \t]*(?P<fence>`{3,}|~{3,})[^\n]*\n.*?(?:^[ \t]*(?P=fence)[`~]*[ \t]*$|\Z)|`[^`\n]+`)", re.MULTILINE | re.DOTALL)
_EMPHASIS = re.compile(r"(?<!\w)\*\*|\*\*(?!\w)")  # 2**3 is none, and __init__ is a name
_HEADING = re.compile(r"^[ \t]*#{1,6}[ \t]+", re.MULTILINE)
_PICTURE = re.compile("[\U0001f000-\U0001faff\u2728\u2b50\ufe0f\u200d]+[ \t]?")
_OPENING = re.compile(
    r"\A\s*(?:certainly|sure|of course|absolutely|great question|good question|happy to help)\b[^.!:\n]{0,60}[.!:]\s+", re.IGNORECASE
)
_CLOSING = re.compile(
    r"(?:\A|(?<=\n)|(?<=[.!?] ))(?:i hope (?:this|that)|hope (?:this|that) helps|let me know|feel free|if you (?:have any|need any|would like)"
    r"|is there anything else|happy \w+ing)[^\n]{0,200}\s*\Z",
    re.IGNORECASE,
)


def plain(text: str) -> str:
    """An answer's substance. Where nothing else is there, it is left as it is."""
    pieces = _CODE.split(text)
    kept = "".join(_undressed(piece) if place % 3 == 0 else piece for place, piece in enumerate(pieces) if place % 3 != 2)
    return _CLOSING.sub("", _OPENING.sub("", kept)).strip() or text


def shortened(text: str, size: int | None) -> str:
    """Head and tail of a text that has more than *size* bytes (None: as many as it likes), with a mark between them."""
    said = text.encode(errors="replace")
    if size is None or len(said) <= size:
        return text
    half = size // 2
    return said[:half].decode(errors="ignore") + CUT + said[len(said) - half :].decode(errors="ignore")


def _undressed(prose: str) -> str:
    return _PICTURE.sub("", _HEADING.sub("", _EMPHASIS.sub("", prose)))
