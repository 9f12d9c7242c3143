"""A request for code: one of the panel's answers, chosen by how its code behaves, and delivered verbatim.

What `vote`, `select` and `cascade` do where code is wanted. The examples of the prompt decide; among those that pass as many, what most answers do,
weighted by the members' skill; where no two members do the same, the judge; without one, the most skilled of them. In a cascade the next paid member
is asked only where candidates were run, and none of them passes all examples.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncGenerator, Mapping, Sequence
from contextlib import aclosing
from typing import Any, Literal

from fusiond.call import Call
from fusiond.code.answer import program
from fusiond.code.choice import Candidate, best, clusters, solved
from fusiond.code.examples import derived
from fusiond.code.request import Coding
from fusiond.code.workshop import Workshop
from fusiond.errors import MemberError
from fusiond.events import Transcript
from fusiond.fuse.ballots import votes_of
from fusiond.fuse.drafts import Drafts
from fusiond.fuse.judge import preferred
from fusiond.fuse.outcome import Decided, Outcome, nobody, verbatim
from fusiond.merge import Gathering, together
from fusiond.plan import Plan
from fusiond.policy.belief import Model, verdict
from fusiond.report import Degraded

Reason = Literal["only", "examples", "cluster", "judge", "skill"]
"""What decided: there was one answer; it alone passes most examples, or can be read; most do as it does; the judge; the members' skill."""


async def code(plan: Plan, members: Gathering, workshop: Workshop) -> AsyncGenerator[Outcome, None]:
    """Collect the panel's answers, look at their code, and deliver the best."""
    bench, clock = _Bench(plan, workshop), asyncio.get_running_loop().time
    calls = plan.calls or plan.escalation[:1]
    while calls:
        drafts = Drafts(plan, members, calls)
        async with aclosing(drafts.listen(lambda: False)) as progress:
            async for step in progress:
                yield step
        await bench.take(drafts)
        calls = bench.worth_asking() if clock() < plan.deadline else ()
    decided = await bench.decided(members)
    yield decided
    for event in verbatim(decided.voice, bench.answers[decided.voice]):
        yield event


class _Bench:
    """The answers so far, and what was found out about their code."""

    def __init__(self, plan: Plan, workshop: Workshop) -> None:
        if plan.code is None:
            raise TypeError("a request without code has no behaviour")
        self._plan = plan
        self._coding: Coding = plan.code
        self._workshop = workshop
        self._calls = (*self._coding.examples, *derived(self._coding.examples))
        self._candidates: dict[str, Candidate] = {}
        self._failures: dict[str, MemberError] = {}
        self._degraded: tuple[Degraded, ...] = ()
        self.answers: dict[str, Transcript] = {}

    async def take(self, drafts: Drafts) -> None:
        """Look at what has come in."""
        self.answers |= drafts.answers
        self._failures |= drafts.failures
        self._degraded = drafts.degraded or self._degraded
        found = await together(self._looked_at(answer) for answer in drafts.answers.values())
        self._candidates |= dict(zip(drafts.answers, found, strict=True))

    def worth_asking(self) -> tuple[Call, ...]:
        """Who is asked next, one at the most: while nothing can be delivered, or what can be was seen to be wrong."""
        waiting = [call for call in self._plan.escalation if call.voice not in self.answers and call.voice not in self._failures]
        ran = [candidate for candidate in self._candidates.values() if candidate.trial.ran]
        wrong = bool(ran and self._coding.examples) and not any(solved(candidate, len(self._coding.examples)) for candidate in ran)
        return tuple(waiting[:1]) if wrong or not self.answers else ()

    async def decided(self, members: Gathering) -> Decided:
        """What stands. Raises the error for a request that nobody answered."""
        if not self.answers:
            raise nobody(self._plan, self._failures)
        voice, reason, degraded = await self._chosen(members)
        keys = {other: candidate.cluster for other, candidate in self._candidates.items()}
        alike = sum(key is not None and key == keys[voice] for key in keys.values())
        coded = sum(key is not None for key in keys.values())
        return Decided(
            voice=voice,
            decision="relayed" if reason == "only" else "selected",
            agreement=alike / coded if coded else None,
            keys=keys,
            analysis=self._told(reason),
            degraded=(*self._degraded, *degraded),
        )

    async def _looked_at(self, answer: Transcript) -> Candidate:
        found = program(self._coding, answer.text)
        if found is None:
            return Candidate()
        return Candidate(program=found, trial=await self._workshop.look(self._coding, found, self._calls, self._plan.deadline))

    async def _chosen(self, members: Gathering) -> tuple[str, Reason, tuple[Degraded, ...]]:
        """Whose answer is delivered, and by what it was chosen."""
        plan, voices = self._plan, best(self._candidates)
        if len(self.answers) == 1:
            return voices[0], "only", ()
        if len(voices) == 1:
            return voices[0], "examples", ()
        alike = clusters(self._candidates, voices)
        if len(alike) == 1:
            return plan.most_skilled(voices), "examples" if len(voices) < len(self.answers) else "cluster", ()
        if largest := self._largest(alike):
            return plan.most_skilled(largest), "cluster", ()
        if plan.judge is None:
            return plan.most_skilled(voices), "skill", ()
        shown = [plan.most_skilled(same) for same in alike.values()] or voices
        picks = await preferred(plan, plan.judge, members, {voice: self.answers[voice].text for voice in shown})
        return (plan.most_skilled(picks), "judge", ()) if picks else (plan.most_skilled(voices), "skill", ("judge_failed",))

    def _largest(self, alike: Mapping[str, Sequence[str]]) -> Sequence[str]:
        """The cluster that stands by the weight of its votes, if more than one member is behind it: one's own samples are no second opinion."""
        keys = {voice: cluster for cluster, same in alike.items() for voice in same}
        key = verdict(Model(), self._plan.voters, votes_of(self._plan, keys)).key
        same = alike[key] if key is not None else ()
        return same if len({voter.member for voter in self._plan.voters if voter.name in same}) > 1 else ()

    def _told(self, reason: Reason) -> dict[str, Any]:
        """For the trace: what decided, and the facts about every candidate."""
        ran = any(candidate.trial.ran for candidate in self._candidates.values())
        told: dict[str, Any] = {"reason": reason, "language": self._coding.language or None, "run": ran}
        return {
            **told,
            **({} if ran else {"not_run": self._not_run()}),
            "examples": [example.call for example in self._coding.examples],
            "candidates": {voice: self._facts(candidate) for voice, candidate in self._candidates.items()},
        }

    def _not_run(self) -> str:
        """Why no candidate was run."""
        if not self._coding.run:
            return "code.run is false"
        barred = next((candidate.trial.barred for candidate in self._candidates.values() if candidate.trial.barred), "")
        if barred:
            return f"code cannot be shut in here: {barred}"
        return "no answer has Python code" if self._calls else "the prompt has no examples"

    def _facts(self, candidate: Candidate) -> dict[str, Any]:
        if candidate.program is None:
            return {"code": False}
        trial = candidate.trial
        facts: dict[str, Any] = {"code": True, "language": candidate.program.language or None, "parses": trial.parses, "cluster": candidate.cluster}
        if trial.ran:
            facts |= {"examples_passed": trial.passed, "examples": len(self._coding.examples)}
        return facts | ({"error": trial.error} if trial.error else {})
