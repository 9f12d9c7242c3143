"""A writer's stream, checked as it goes: no more than a sentence, a line or a block is held back, until it is known where it comes from."""

from __future__ import annotations

import re
from collections.abc import AsyncGenerator, AsyncIterator

from fusiond.errors import Unfounded
from fusiond.events import Failed, Finished, Text, Transcript
from fusiond.fuse.outcome import Outcome
from fusiond.fuse.provenance import FENCE, Invented, Sources, check_block, check_prose, closes, unended

LONGEST = 2000
"""Characters of a sentence at the most: a quotation that was never closed ends there too."""

_END = re.compile(r"[.!?…][\"')\]*_”»]*(?=\s)|[。\uff01\uff1f]|\n")
_MAY_END = re.compile(r"[\s。\uff01\uff1f]")
_DOCUMENT = re.compile(r"\s*[{\[]\s*(?:\n|[\"{\[])")
_BLANK = re.compile(r"\n[ \t]*\n")
_NUMBERED = re.compile(r"[ \t>*+-]*\d{1,3}\.")
_LAST_WORD = re.compile(r"\S+\Z")


class Check:
    """Text in, as it is written; text out, as far as it is known to be founded. Raises Invented."""

    def __init__(self, known: Sources) -> None:
        self._known = known
        self._held = ""
        self._fresh = True

    def feed(self, text: str) -> str:
        """What may go out, now that this has come."""
        self._held += text
        return self._released() if _MAY_END.search(text) else ""

    def rest(self, *, cut: bool) -> str:
        """What was held back, at the end. `cut`: it was not the writer that ended it, and the last word may be half of one."""
        out, rest = self._released(), self._held
        if self._fresh and FENCE.match(rest + "\n"):
            check_block(rest, self._known, cut=not self._closed(rest))
        else:
            check_prose(_LAST_WORD.sub("", rest) if cut else rest, self._known, fresh=self._fresh)
        self._held = ""
        return out + rest

    def _released(self) -> str:
        out = ""
        while size := self._unit():
            unit, self._held = self._held[:size], self._held[size:]
            if self._fresh and FENCE.match(unit):
                check_block(unit, self._known)
            else:
                check_prose(unit, self._known, fresh=self._fresh)
            out += unit
            self._fresh = unit.endswith("\n")
        return out

    def _unit(self) -> int:
        """Characters of what is held that can be checked by themselves; 0: more has to come."""
        if self._fresh:
            if FENCE.match(self._held):
                return self._block()
            if _DOCUMENT.match(self._held):
                blank = _BLANK.search(self._held)
                return blank.end() if blank else 0
            if self._held.lstrip(" \t").startswith(">"):
                return self._held.find("\n") + 1
        return next((end for match in _END.finditer(self._held) if self._whole(self._held[: (end := match.end())])), 0)

    def _whole(self, text: str) -> bool:
        """Whether nothing that began in it goes on; the number of an item is not the end of a sentence."""
        if len(text) > LONGEST:
            return True
        if unended(text) or (self._fresh and _NUMBERED.fullmatch(text)):
            return False
        return text.endswith("\n") or _balanced(text)

    def _block(self) -> int:
        """Up to the line that ends the block, and that line's own end."""
        opening = FENCE.match(self._held)
        place = opening.end() if opening else 0
        mark = opening[1] if opening else ""
        while (end := self._held.find("\n", place)) >= 0:
            if closes(self._held[place:end], mark):
                return end + 1
            place = end + 1
        return 0

    def _closed(self, block: str) -> bool:
        opening = FENCE.match(block)
        return opening is not None and "\n" in block[opening.end() :] and closes(block.rpartition("\n")[2], opening[1])


def founded(answer: Transcript, known: Sources) -> Transcript:
    """The same answer. Raises its own error where it is not complete, Unfounded where something exact in it is in no source."""
    if isinstance(answer.end, Failed):
        raise answer.end.error
    check = Check(known)
    try:
        check.feed(answer.text)
        check.rest(cut=answer.end is not None and answer.end.reason == "length")
    except Invented as error:
        raise Unfounded(f"the synthesis was rejected: {error}") from error
    return answer


def _balanced(text: str) -> bool:
    """Whether no quotation and no piece of code is open."""
    if any(text.count(mark) % 2 for mark in '`"'):
        return False
    german = text.count("„")
    opened, closed = (german, text.count("“") + text.count("”")) if german else (text.count("“"), text.count("”"))
    return opened <= closed and text.count("«") <= text.count("»") and all(text.count(a) <= text.count(b) for a, b in ("「」", "『』"))


async def checked(stream: AsyncIterator[Outcome], known: Sources, *, whole: bool) -> AsyncGenerator[Outcome, None]:
    """The writer's events; nothing of them before its first founded sentence, and for a whole answer nothing before its end.

    Raises Unfounded, and the writer's own error, as long as nothing was delivered; after that it ends in `Failed`.
    """
    check, waiting, begun = Check(known), list[Outcome](), False
    async for event in stream:
        if isinstance(event, Failed) and not begun:
            raise event.error
        try:
            waiting += _passed(event, check)
        except Invented as error:
            unfounded = Unfounded(f"the synthesis was rejected: {error}")
            if not begun:
                raise unfounded from error
            yield Failed(member=event.member, error=unfounded)  # type: ignore[union-attr]  # only what a member says is checked
            return
        begun = begun or isinstance(event, Finished) or (not whole and any(isinstance(one, Text) for one in waiting))
        if begun:
            for one in waiting:
                yield one
            waiting = []


def _passed(event: Outcome, check: Check) -> list[Outcome]:
    match event:
        case Text(member=member, text=text):
            founded = check.feed(text)
            return [Text(member=member, text=founded)] if founded else []
        case Finished(member=member, reason=reason):
            rest = check.rest(cut=reason == "length")
            return [Text(member=member, text=rest), event] if rest else [event]
    return [event]
