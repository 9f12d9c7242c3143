"""The winner of the weighted vote on what the answers say, in a member's own words.

The outcome is delivered as soon as no answer still missing can change it. The text is that of the most skilled member which says the winning key.
"""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import AsyncGenerator, Mapping
from contextlib import aclosing

from fusiond.errors import SchemaFailed
from fusiond.events import Finished, Transcript
from fusiond.fuse.drafts import Drafts
from fusiond.fuse.outcome import Decided, Outcome, verbatim
from fusiond.keys import Wanted, joined, key, may_join
from fusiond.keys.document import unwrapped
from fusiond.merge import Gathering
from fusiond.plan import Plan
from fusiond.policy.belief import Model, verdict
from fusiond.policy.settled import settled
from fusiond.report import Decision

Keys = Mapping[str, str | None]
_SENTENCE_END = re.compile(r"(?<=[.!?])\s|\n")


async def vote(plan: Plan, members: Gathering) -> AsyncGenerator[Outcome, None]:
    """Count what the panel says."""
    wanted = plan.wanted
    if wanted is None:
        raise TypeError("a request without a key cannot be voted on")
    drafts = Drafts(plan, members)
    keys: dict[str, str | None] = {}

    def stands() -> bool:
        keys.update({voice: said(wanted, answer) for voice, answer in drafts.answers.items() if voice not in keys})
        return _stands(plan, wanted, keys | dict.fromkeys(drafts.failures), drafts.missing)

    async with aclosing(drafts.listen(stands)) as progress:
        async for step in progress:
            yield step
    decided = _decide(plan, drafts, wanted, joined(wanted, {voice: keys[voice] for voice in drafts.answers}))
    yield decided
    answer = drafts.answers[decided.voice]
    for event in verbatim(decided.voice, answer, unwrapped(answer.text) if wanted.kind == "json" else None):
        yield event


def said(wanted: Wanted, answer: Transcript) -> str | None:
    """The key of one answer. One that was cut off votes only with what it said outright: its last word is missing."""
    found = key(wanted, answer.text)
    if isinstance(answer.end, Finished) and answer.end.reason == "length":
        outright = wanted.options and key(wanted, _SENTENCE_END.split(answer.text.strip(), maxsplit=1)[0])
        return found if outright == found else None
    return found


def _stands(plan: Plan, wanted: Wanted, keys: Keys, missing: tuple[str, ...]) -> bool:
    """Whether the outcome is settled. Where short texts may still be joined, only if all that was said so far is the same."""
    if missing and may_join(wanted) and len({key for key in keys.values() if key is not None}) > 1:
        return False
    votes = {voter: keys[voter.name] for voter in plan.voters if voter.name in keys}
    waiting = [voter for voter in plan.voters if voter.name in missing]
    return settled(Model(), plan.voters, votes, waiting, wanted.count)


def _decide(plan: Plan, drafts: Drafts, wanted: Wanted, keys: Keys) -> Decided:
    votes = {voter: keys[voter.name] for voter in plan.voters if voter.name in keys}
    outcome = verdict(Model(), plan.voters, votes, wanted.count)
    if outcome.key is None:
        return _without_a_key(drafts, wanted, keys)
    behind = [voice for voice, key in keys.items() if key == outcome.key]
    cast = Counter(key for key in keys.values() if key is not None)
    return Decided(
        voice=plan.most_skilled(behind),
        decision=_decision(len(behind), cast.total()),
        confidence=outcome.confidence,
        agreement=len(behind) / cast.total(),
        keys=keys,
        degraded=drafts.degraded,
    )


def _decision(behind: int, cast: int) -> Decision:
    if behind == cast > 1:
        return "agreed"
    return "majority" if 2 * behind > cast else "weighted"


def _without_a_key(drafts: Drafts, wanted: Wanted, keys: Keys) -> Decided:
    """Nobody said anything that can be counted: the most skilled member's own text, but never a broken document."""
    if wanted.kind == "json":
        raise SchemaFailed(dict.fromkeys(drafts.answers, "its answer is not a JSON document") | {v: e.message for v, e in drafts.failures.items()})
    return Decided(voice=drafts.most_skilled(), decision="no_key", keys=keys, degraded=drafts.degraded)
