"""A judge picks one of the panel's answers, and it is delivered verbatim.

One of two different picks is taken by the members' skill, never by place. A judge who names nobody leaves the choice to the members' skill, and the
answer says so.
"""

from __future__ import annotations

from collections.abc import AsyncGenerator
from contextlib import aclosing

from fusiond.catalog import Member
from fusiond.fuse.drafts import Drafts
from fusiond.fuse.judge import preferred
from fusiond.fuse.outcome import Decided, Outcome, verbatim
from fusiond.merge import Gathering
from fusiond.plan import Plan
from fusiond.report import Decision


async def select(plan: Plan, members: Gathering) -> AsyncGenerator[Outcome, None]:
    """Let the judge choose between the panel's answers."""
    drafts = Drafts(plan, members)
    async with aclosing(drafts.listen(lambda: False)) as progress:
        async for step in progress:
            yield step
    answers = drafts.answers
    if len({answer.text for answer in answers.values()}) == 1:
        agreed: Decision = "agreed" if len(answers) > 1 else "relayed"
        decided = Decided(voice=drafts.most_skilled(), decision=plan.because or agreed, degraded=drafts.degraded)
    elif plan.judge is None:
        decided = Decided(voice=drafts.most_skilled(), decision=plan.because or "relayed", degraded=(*drafts.degraded, "judge_failed"))
    else:
        decided = await _judged(plan, plan.judge, members, drafts)
    yield decided
    for event in verbatim(decided.voice, answers[decided.voice]):
        yield event


async def _judged(plan: Plan, judge: Member, members: Gathering, drafts: Drafts) -> Decided:
    counted = await preferred(plan, judge, members, {voice: answer.text for voice, answer in drafts.answers.items()})
    if not counted:
        return Decided(voice=drafts.most_skilled(), decision=plan.because or "relayed", degraded=(*drafts.degraded, "judge_failed"))
    return Decided(voice=plan.most_skilled(counted), decision=plan.because or "selected", degraded=drafts.degraded)
