"""One member's stream as the rest of the daemon hears it: whatever its provider does, it ends in exactly one `Finished` or `Failed`.

This is the one place where a member's error becomes a value. An answer without a word is a failure, and thinking is taken out of the text.
"""

from __future__ import annotations

from collections.abc import AsyncGenerator
from contextlib import aclosing

from fusiond.call import Call
from fusiond.errors import Empty, MemberError, Truncated
from fusiond.events import Event, Failed, Finished, Text, ToolCall
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
    thoughts = Thoughts()
    spoken, blank = False, ""  # blanks before the first word wait for it: alone they are no answer
    async with aclosing(provider.stream(call, patience)) as events:
        async for raw in events:
            for event in (raw,) if thoughts.over else thoughts.sort(raw):
                if isinstance(event, Finished):
                    if not spoken:
                        raise Empty(_silence(event))
                    yield event
                    return
                if not spoken and isinstance(event, Text) and not event.text.strip():
                    blank += event.text
                    continue
                if not spoken and isinstance(event, Text | ToolCall):
                    spoken = True
                    if blank:
                        yield Text(member=call.voice, text=blank)
                yield event
    raise Truncated("the stream stopped without its end")


def _silence(end: Finished) -> str:
    return "thought until its tokens were used up, and said nothing" if end.reason == "length" else "ended without a word"
