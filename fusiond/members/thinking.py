"""Thinking that a model writes into its answer: `<think>` to `</think>` at the beginning is taken out of the text.

An answer that does not begin with the tag passes through untouched; one whose tag is never closed is all thinking.
"""

from __future__ import annotations

from collections.abc import Iterator

from fusiond.events import Event, Finished, Text, Thinking

_TAGS = {"<think>": "</think>", "<thinking>": "</thinking>"}
_BLANKS = 1000
"""So many blanks may stand before a tag: all of them are looked at with every piece."""


class Thoughts:
    """The beginning of one answer. `over`: from here on there is nothing to look for."""

    __slots__ = ("_closed", "_closing", "_held", "over")

    def __init__(self) -> None:
        self._held = ""
        self._closing: str | None = None
        self._closed = False
        self.over = False

    def sort(self, event: Event) -> Iterator[Event]:
        """The event as it is, or what is thinking and what is text in it."""
        if isinstance(event, Text):
            self._held += event.text
            read = self._after if self._closed else self._inside if self._closing else self._before
            yield from read(event.member)
        elif isinstance(event, Finished):
            yield from self._rest(event.member)
            yield event
        else:
            yield event

    def _before(self, member: str) -> Iterator[Event]:
        start = self._held.lstrip()
        for opening, closing in _TAGS.items():
            if start.startswith(opening):
                self._held, self._closing = start[len(opening) :], closing
                yield from self._inside(member)
                return
        if len(self._held) <= _BLANKS and any(opening.startswith(start) for opening in _TAGS):
            return  # may still become a tag
        self.over = True
        yield Text(member=member, text=self._held)

    def _inside(self, member: str) -> Iterator[Event]:
        closing = self._closing or ""
        thought, closed, answer = self._held.partition(closing)
        if closed:
            self._closed, self._held = True, answer
            if thought:
                yield Thinking(member=member, text=thought)
            yield from self._after(member)
            return
        kept = _overlap(self._held, closing)
        thought, self._held = self._held[: len(self._held) - kept], self._held[len(self._held) - kept :]
        if thought:
            yield Thinking(member=member, text=thought)

    def _after(self, member: str) -> Iterator[Event]:
        """Space between the thought and the answer belongs to neither."""
        self._held = self._held.lstrip()
        if self._held:
            self.over = True
            yield Text(member=member, text=self._held)

    def _rest(self, member: str) -> Iterator[Event]:
        if self._held and not self.over:
            yield Thinking(member=member, text=self._held) if self._closing else Text(member=member, text=self._held)


def _overlap(text: str, tag: str) -> int:
    """How many characters at the end of *text* may be the beginning of *tag*."""
    return next((length for length in range(min(len(text), len(tag) - 1), 0, -1) if text.endswith(tag[:length])), 0)
