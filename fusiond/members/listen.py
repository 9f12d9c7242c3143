"""One member's stream as the rest of the daemon hears it: whatever its provider does, it ends in exactly one `Finished` or `Failed`.

This is the one place where a member's error becomes a value. An answer without a word is a failure, and thinking is taken out of the text.
"""

from __future__ import annotations

from collections.abc import AsyncGenerator
from contextlib import aclosing

from fusiond.call import Call
from fusiond.errors import Empty, MemberError, Misshapen, Truncated
from fusiond.events import Event, Failed, Finished, Text, ToolCall
from fusiond.keys.document import NotJson, parse
from fusiond.members import Provider
from fusiond.members.patience import Patience
from fusiond.members.thinking import Thoughts


async def listen(provider: Provider, call: Call) -> AsyncGenerator[Event, None]:
    """Ask one member."""
    try:
        async with aclosing(_complete(provider, call)) as events:
            async for event in events:
                yield event
    except MemberError as error:
        yield Failed(member=call.voice, error=error)


async def _complete(provider: Provider, call: Call) -> AsyncGenerator[Event, None]:
    member = call.member
    patience = Patience(first_token=member.first_token_seconds, stall=member.stall_seconds, total=member.total_seconds, deadline=call.deadline)
    thoughts, answer = Thoughts(), _Answer(call)
    async with aclosing(provider.stream(call, patience)) as events:
        async for raw in events:
            for event in (raw,) if thoughts.over else thoughts.sort(raw):
                for heard in answer.take(event):
                    yield heard
                if isinstance(event, Finished):
                    return
    raise Truncated("the stream stopped without its end")


class _Answer:
    """What one member has said so far: whether it is an answer, and in the form that was asked for, is known at its end."""

    def __init__(self, call: Call) -> None:
        self._voice = call.voice
        self._document: list[str] | None = None if call.request.format is None else []
        self._blank = ""  # blanks before the first word wait for it: alone they are no answer
        self._spoken = False

    def take(self, event: Event) -> tuple[Event, ...]:
        """What may be passed on now. Raises Empty or Misshapen at an end that is none."""
        match event:
            case Text() if not self._spoken and not event.text.strip():
                self._blank += event.text
                return ()
            case Text():
                if self._document is not None:
                    self._document.append(event.text)
                return self._begun(event)
            case ToolCall():
                self._document = None  # it stands in the document's place
                return self._begun(event)
            case Finished():
                self._check(event)
        return (event,)

    def _begun(self, event: Event) -> tuple[Event, ...]:
        first, self._spoken = not self._spoken, True
        return (Text(member=self._voice, text=self._blank), event) if first and self._blank else (event,)

    def _check(self, end: Finished) -> None:
        if not self._spoken:
            raise Empty(_silence(end))
        if self._document is None:
            return
        try:
            parse("".join(self._document))
        except NotJson as error:
            raise Misshapen(f"its answer is not a JSON document: {error}") from None


def _silence(end: Finished) -> str:
    return "thought until its tokens were used up, and said nothing" if end.reason == "length" else "ended without a word"
