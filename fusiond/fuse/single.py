"""One member, streamed as it comes. The next of the panel takes over if it fails before any of its content was delivered.

For a whole answer nothing is delivered before the end, so that the next one can take over at any time. Where there is a next one, thoughts wait for
the first word: those of a member that failed are not the answer's.
"""

from __future__ import annotations

from collections.abc import AsyncGenerator
from contextlib import aclosing

from fusiond.call import Call
from fusiond.errors import MemberError, TooDear
from fusiond.events import Event, Failed, Finished, Text, ToolCall
from fusiond.fuse.outcome import Decided, Outcome, nobody
from fusiond.merge import Gathering
from fusiond.plan import Plan


async def single(plan: Plan, members: Gathering) -> AsyncGenerator[Outcome, None]:
    """The first of the plan's calls that answers."""
    failures: dict[str, MemberError] = {}
    for call in plan.calls:
        decided = Decided(voice=call.voice, decision=plan.because or "relayed", degraded=("fallback",) if failures else ())
        try:
            alone = call is plan.calls[-1]
            async with aclosing(relayed(members, call, decided, whole=not plan.request.stream, alone=alone)) as stream:
                async for event in stream:
                    yield event
        except MemberError as error:
            if isinstance(error, TooDear) and error.final:
                raise nobody({call.voice: error}) from None
            failures[call.voice] = error
        else:
            return
    raise nobody(failures)


async def relayed(members: Gathering, call: Call, decided: Decided, *, whole: bool, alone: bool = False) -> AsyncGenerator[Outcome, None]:
    """One member's answer, with `decided` before its first content; held back until its end for a whole answer. `alone`: nobody can take over.

    Raises the member's error as long as none of its content was delivered; after that it ends in `Failed`.
    """
    delivering = (Finished,) if whole else (Text, ToolCall, Finished)
    begun = False
    held: list[Event] = []
    async with aclosing(members.relay(call)) as stream:
        async for event in stream:
            if begun:
                yield event
            elif isinstance(event, Failed):
                raise event.error
            elif isinstance(event, delivering):
                begun = True
                yield decided
                for earlier in held:
                    yield earlier
                yield event
            elif alone and not whole:
                yield event
            else:
                held.append(event)
