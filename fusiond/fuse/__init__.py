"""How several members' answers become one: a module for each strategy, with the prompts it uses.

A strategy is an async iterator of answer events over a plan and its gathering. It says what it decided (`Decided`) right before the first
piece of the answer, then the answer's own events, then `Finished`. As long as it has not decided it may raise the error that stands for all
members; when the member it relays breaks off after that, it ends in `Failed`.
"""

from __future__ import annotations

from collections.abc import AsyncGenerator, Mapping

from fusiond.code.workshop import Workshop
from fusiond.config.tree import StrategyName
from fusiond.fuse.cascade import cascade
from fusiond.fuse.code import code
from fusiond.fuse.outcome import Decided, Outcome, Strategy
from fusiond.fuse.race import race
from fusiond.fuse.refine import refine
from fusiond.fuse.select import select
from fusiond.fuse.single import single
from fusiond.fuse.synthesize import synthesize
from fusiond.fuse.vote import vote
from fusiond.merge import Gathering
from fusiond.plan import Plan

STRATEGIES: Mapping[StrategyName, Strategy] = {
    "single": single,
    "race": race,
    "vote": vote,
    "select": select,
    "synthesize": synthesize,
    "refine": refine,
    "cascade": cascade,
}

__all__ = ["STRATEGIES", "Decided", "Outcome", "Strategy", "fused"]


def fused(plan: Plan, members: Gathering, workshop: Workshop) -> AsyncGenerator[Outcome, None]:
    """What the plan's strategy makes of its members; of answers that are code, what they do decides."""
    return code(plan, members, workshop) if plan.code else STRATEGIES[plan.strategy](plan, members)
