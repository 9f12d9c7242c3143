"""One member, streamed as it comes. The next of the panel takes over if it fails before any of its content was delivered.

For a whole answer nothing is delivered before the end, so that the next one can take over at any time. Where there is a next one, thoughts wait for
the first word: those of a member that failed are not the answer's. Whoever may take over has its share of the time: a member that says nothing does
not use it all up.
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
    for others, call in zip(reversed(range(len(plan.calls))), plan.calls, strict=True):
        decided = Decided(voice=call.voice, decision=plan.because or "relayed", degraded=("fallback",) if failures else ())
        try:
            async with aclosing(relayed(members, call, decided, whole=not plan.request.stream, others=others or None)) as stream:
                async for event in stream:
                    yield event
        except MemberError as error:
            if isinstance(error, TooDear) and error.final:
                raise nobody(plan, {call.voice: error}) from None
            failures[call.voice] = error
        else:
            return
    raise nobody(plan, failures)


async def relayed(members: Gathering, call: Call, decided: Decided, *, whole: bool, others: int | None = 0) -> AsyncGenerator[Outcome, None]:
    """One member's answer, with `decided` before its first content; held back until its end for a whole answer.

    `others`: how many may be asked after it, and need time for that; None: there is nothing else that could be delivered.

    Raises the member's error as long as none of its content was delivered; after that it ends in `Failed`.
    """
    delivering = (Finished,) if whole else (Text, ToolCall, Finished)
    begun = False
    held: list[Event] = []
    async with aclosing(members.relay(call, others or 0)) as stream:
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
            elif others is None and not whole:
                yield event
            else:
                held.append(event)
