"""The winner of the weighted vote on what the answers say, in a member's own words.

The outcome is delivered as soon as no answer still missing can change it. The text is that of the most skilled member which says the winning key.
"""

from __future__ import annotations

from collections.abc import AsyncGenerator
from contextlib import aclosing

from fusiond.fuse.ballots import count, delivered, said, stands, wanted_of
from fusiond.fuse.drafts import Drafts
from fusiond.fuse.outcome import Outcome
from fusiond.merge import Gathering
from fusiond.plan import Plan


async def vote(plan: Plan, members: Gathering) -> AsyncGenerator[Outcome, None]:
    """Count what the panel says."""
    wanted = wanted_of(plan)
    drafts = Drafts(plan, members)
    keys: dict[str, str | None] = {}

    def settled() -> bool:
        keys.update({voice: said(wanted, answer) for voice, answer in drafts.answers.items() if voice not in keys})
        return stands(plan, keys | dict.fromkeys(drafts.failures), drafts.missing)

    async with aclosing(drafts.listen(settled)) as progress:
        async for step in progress:
            yield step
    decided = count(plan, drafts.answers, drafts.failures, {voice: keys[voice] for voice in drafts.answers}, degraded=drafts.degraded)
    yield decided
    for event in delivered(plan, decided, drafts.answers):
        yield event
