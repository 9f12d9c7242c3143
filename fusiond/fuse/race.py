"""The first good answer wins, and the rest are cancelled: in a stream the first to bring content, for a whole answer the first to finish."""

from __future__ import annotations

from collections.abc import AsyncGenerator

from fusiond.errors import MemberError
from fusiond.events import Event, Failed, Finished, Text, ToolCall
from fusiond.fuse.outcome import Decided, Outcome, nobody
from fusiond.merge import Gathering
from fusiond.plan import Plan


async def race(plan: Plan, members: Gathering) -> AsyncGenerator[Outcome, None]:
    """The plan's calls side by side, until one of them has won."""
    winning = (Text, ToolCall, Finished) if plan.request.stream else (Finished,)
    hearing = members.ask(plan.calls)
    failures: dict[str, MemberError] = {}
    held: dict[str, list[Event]] = {call.voice: [] for call in plan.calls}
    while (event := await hearing.next()) is not None:
        if isinstance(event, Failed):
            failures[event.member] = event.error
            continue
        held[event.member].append(event)
        if isinstance(event, winning):
            break
    else:
        raise nobody(plan, failures)
    hearing.dismiss(but=event.member)
    yield Decided(voice=event.member, decision="first")
    for earlier in held[event.member]:
        yield earlier
    while (later := await hearing.next()) is not None:
        yield later
