"""The code fence around a document, taken off while it streams: ```` ```json ```` before it, ```` ``` ```` behind it.

Nothing else is changed. At the beginning text waits until it is clear whether it opens a fence, then only what may be the closing one.
"""

from __future__ import annotations

import re

_OPENING = re.compile(r"\s*```(?:[\w+.#-]{0,20}[ \t]{0,20}\r?\n|[A-Za-z]{0,20}[ \t]{0,20}(?=[\[{]))")
_FENCED, _WIDEST = "```", 64
"""Characters that may wait: no fence is wider."""

_BLANK = " \t\r\n"


class Fence:
    """The fence around one document, if it has one. `open`: it had no end so far, or what waits may still become one."""

    __slots__ = ("_decided", "_held", "open")

    def __init__(self) -> None:
        self._decided = False
        self._held = ""
        self.open = False

    def take(self, text: str) -> str:
        """What of the text so far is the document's, and may go on."""
        if self._decided and not self.open:
            return text
        self._held += text
        return self._inside() if self._decided else self._before()

    @property
    def closed(self) -> bool:
        """Whether what was said is a document without a fence, or with both ends of one. What still waits then is no part of it."""
        return not self.open or self._held.strip(_BLANK) == _FENCED

    def _before(self) -> str:
        if opening := _OPENING.match(self._held):
            self._decided = self.open = True
            self._held = self._held[opening.end() :]
            return self._inside()
        start = self._held.lstrip(_BLANK)
        if len(self._held) <= _WIDEST and (start.startswith(_FENCED) or _FENCED.startswith(start)):
            self.open = bool(start)
            return ""
        self._decided, self.open = True, False
        text, self._held = self._held, ""
        return text

    def _inside(self) -> str:
        """All but the end that may be the closing fence."""
        bare = self._held.rstrip(_BLANK + "`")
        start = max(len(bare), len(self._held) - _WIDEST)
        text, self._held = self._held[:start], self._held[start:]
        return text
