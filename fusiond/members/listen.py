"""One member's stream as the rest of the daemon hears it: whatever its provider does, it ends in exactly one `Finished` or `Failed`.

This is the one place where a member's error becomes a value. An answer without a word is a failure, and so is one that is not of the form that was
asked for. Thinking is taken out of the text, and the code fence off a document.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncGenerator, Callable, Sequence
from contextlib import aclosing
from dataclasses import replace
from itertools import count

from fusiond.call import Call
from fusiond.errors import Empty, Garbled, MemberError, Misshapen, Truncated
from fusiond.events import Event, Failed, Finished, Text, Thinking, ToolCall, joined
from fusiond.keys.schema import misfit
from fusiond.members import Provider
from fusiond.members.fence import Fence
from fusiond.members.patience import Patience
from fusiond.members.thinking import Thoughts

LONGEST = 64 * 1024 * 1024
"""Characters of one answer, its thoughts and calls included: it is kept until the request is over."""

_PIECE = 16
"""A piece takes some memory too, however short it is."""

Again = Callable[[MemberError, int], float | None]
"""How many seconds to wait before the member is asked once more, after an error and so many attempts; None: it is not."""


def never(_error: MemberError, _attempt: int) -> None:
    """Ask nobody twice."""


async def listen(provider: Provider, call: Call, again: Again = never) -> AsyncGenerator[Event, None]:
    """Ask one member; before its first word once more, where *again* says so."""
    heard = False
    for attempt in count(1):
        answer = _Answer(call)
        patience = _patience(call)
        error: MemberError = Truncated("the stream stopped without its end")
        try:
            async with aclosing(provider.stream(call, patience)) as events:
                async for raw in events:
                    for event in answer.take(raw):
                        heard = True
                        yield event
                    if isinstance(raw, Finished):
                        return
        except MemberError as raised:
            error = raised
        finally:
            patience.close()
        wait = None if heard else again(error, attempt)
        if wait is None:
            yield Failed(member=call.voice, error=error)
            return
        await asyncio.sleep(wait)
        call = replace(call, afresh=True)


def _patience(call: Call) -> Patience:
    member = call.member
    return Patience(first_token=member.first_token_seconds, stall=member.stall_seconds, total=member.total_seconds, deadline=call.deadline)


class _Answer:
    """What one member has said so far: whether it is an answer, and in the form that was asked for, is known at its end."""

    __slots__ = ("_call", "_document", "_fence", "_held", "_length", "_spoken", "_thoughts")

    def __init__(self, call: Call) -> None:
        self._call = call
        self._thoughts = Thoughts()
        self._fence = None if call.request.format is None else Fence()
        self._document: list[str] = []
        self._held: list[Event] = []  # blanks, and calls of tools that nobody offered, wait for the first word: alone they are no answer
        self._spoken = False
        self._length = 0

    def take(self, raw: Event) -> Sequence[Event]:
        """What may be passed on now. Raises Empty or Misshapen at an end that is none, and Garbled where there is no end of it."""
        if self._thoughts.over:
            return self._said(raw)
        return [said for event in self._thoughts.sort(raw) for said in self._said(event)]

    def _said(self, event: Event) -> tuple[Event, ...]:
        match event:
            case Text():
                self._lengthen(event.text)
                return self._text(event) if self._fence is None else self._unfenced(event, self._fence)
            case Thinking():
                self._lengthen(event.text)
            case ToolCall():
                self._lengthen(event.arguments)
                return self._tool_call(event)
            case Finished():
                self._check(event)
        return (event,)

    def _lengthen(self, text: str) -> None:
        self._length += len(text) + _PIECE
        if self._length > LONGEST:
            raise Garbled(f"an answer of more than {LONGEST} characters")

    def _unfenced(self, event: Text, fence: Fence) -> tuple[Event, ...]:
        text = fence.take(event.text)
        if not text:
            return ()
        self._document.append(text)
        return self._text(replace(event, text=text))

    def _text(self, event: Text) -> tuple[Event, ...]:
        if self._spoken:
            return (event,)
        if not event.text.strip():
            self._held.append(event)
            return ()
        return self._begun(event)

    def _tool_call(self, event: ToolCall) -> tuple[Event, ...]:
        if self._call.request.tools or self._call.relayed:
            self._fence = None  # it stands in the document's place
        elif not self._spoken:
            self._held.append(event)
            return ()
        return (event,) if self._spoken else self._begun(event)

    def _begun(self, event: Event) -> tuple[Event, ...]:
        self._spoken = True
        return (*joined(self._held), event)

    def _check(self, end: Finished) -> None:
        if not self._spoken and not (self._fence and self._fence.open):
            raise Empty(self._silence(end))
        if self._fence is None:
            return
        form = self._call.request.format if self._call.role == "panel" else None  # a judge's words are read with more patience
        if not self._fence.closed:
            raise Misshapen("its answer is not a JSON document: its code fence has no end")
        if wrong := misfit("".join(self._document), form):
            raise Misshapen(f"its answer {wrong}")

    def _silence(self, end: Finished) -> str:
        if any(isinstance(event, ToolCall) for event in self._held):
            return "called a tool that nobody offered, and said nothing"
        return "thought until its tokens were used up, and said nothing" if end.reason == "length" else "ended without a word"
