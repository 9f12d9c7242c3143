"""Catalogs, plans and gatherings without a socket: members are scripts of events."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncGenerator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from fusiond.call import Call
from fusiond.catalog import Catalog, Fusion
from fusiond.chat import Request
from fusiond.config.tree import FusionConfig, Seat
from fusiond.errors import MemberError
from fusiond.events import Event, Failed, Finished, Text
from fusiond.fuse import STRATEGIES
from fusiond.fuse.outcome import Decided, Outcome
from fusiond.merge import gathering
from fusiond.plan import Plan, plan
from fusiond.situation import Situation
from tests.asking import member

YES_NO = "Is 7 prime? Answer yes or no."
PROSE = "Tell me about the sea."


@dataclass
class Stage:
    """What scripted members do when they are asked: texts are said, events awaited, an error or a `Finished` ends the stream.

    A script is for a voice, or for a member's name. `asked`: the calls, in order; `closed`: the voices whose streams are closed.
    """

    scripts: Mapping[str, Sequence[str | MemberError | asyncio.Event | Finished]]
    asked: list[Call] = field(default_factory=list)
    closed: set[str] = field(default_factory=set)

    async def listen(self, call: Call) -> AsyncGenerator[Event, None]:
        """One member's stream."""
        self.asked.append(call)
        try:
            for step in self.scripts.get(call.voice) or self.scripts[call.member.name]:
                match step:
                    case str():
                        yield Text(member=call.voice, text=step)
                    case asyncio.Event():
                        await step.wait()
                    case MemberError():
                        yield Failed(member=call.voice, error=step)
                        return
                    case Finished():
                        yield Finished(member=call.voice, reason=step.reason)
                        return
            yield Finished(member=call.voice, reason="stop")
        finally:
            self.closed.add(call.voice)


def catalog(*members: str, facts: Mapping[str, Mapping[str, Any]] | None = None, samples: int = 1, **fusion: Any) -> Catalog:
    """Members of those names (and judges and writers), and `default`, a fusion of them, by default a vote. `facts`: of single members."""
    extra = [name for name in (fusion.get("judge"), fusion.get("writer"), *fusion.get("escalate", ())) if name and name not in members]
    made = {name: member(name=name, model=name, **(facts or {}).get(name, {})) for name in [*members, *extra]}
    seats = tuple(Seat(member=name, samples=samples) for name in members)
    config = FusionConfig(**{"strategy": "vote", "panel": seats, **fusion})
    default = Fusion(name="default", config=config, panel=seats, escalate=config.escalate, judge=config.judge, writer=config.writer or config.judge)
    return Catalog(members=made, fusions={"default": default})


def situation(now: float | None = None, **facts: Any) -> Situation:
    """A time (by default the loop's) at which nothing else is special but *facts*."""
    return Situation(now=asyncio.get_running_loop().time() if now is None else now, **facts)


def call_of(plan: Plan, voice: str) -> Call:
    """The plan's call that speaks with that voice."""
    return next(call for call in plan.calls if call.voice == voice)


async def outcome(planned: Plan, stage: Stage) -> list[Outcome]:
    """Everything that the plan's strategy says."""
    async with gathering(stage.listen) as members:
        return [event async for event in STRATEGIES[planned.strategy](planned, members)]


async def fused(request: Request, served: Catalog, stage: Stage) -> tuple[Decided, str, Event]:
    """What was decided, the answer's text, and how it ended."""
    said = await outcome(plan(request, served, situation()), stage)
    [decided] = [event for event in said if isinstance(event, Decided)]
    text = "".join(event.text for event in said if isinstance(event, Text))
    assert not isinstance(said[-1], Decided)
    return decided, text, said[-1]
