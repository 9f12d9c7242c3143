"""What every strategy says besides the answer's own events: what it decided, and the errors that stand for all members."""

from __future__ import annotations

from collections.abc import AsyncGenerator, Callable, Iterator, Mapping
from dataclasses import dataclass, field
from decimal import Decimal
from typing import Any

from fusiond.documents import Merged
from fusiond.errors import (
    AllFailed,
    ContextExceeded,
    ContextTooSmall,
    Cooling,
    FusiondError,
    LeftOut,
    MemberError,
    Misshapen,
    OverBudget,
    SchemaFailed,
    TooDear,
    Unavailable,
    Unwilling,
)
from fusiond.events import Event, Finished, Text, Transcript
from fusiond.merge import Gathering
from fusiond.plan import Plan
from fusiond.policy.traffic import Heard
from fusiond.report import Decision, Degraded


@dataclass(frozen=True, slots=True, kw_only=True)
class Decided:
    """What stands: who delivers, how that came about, and how sure it is. `keys`: what each voice says; None: nothing that can be counted.

    `document`: of JSON, what the members' documents come to, field by field; only where it is `merged` it is delivered as it stands there.
    `reason`: why it is not what was meant, where that needs to be said. Of a cascade: `heard`, what it tells of its kind of traffic, and `otherwise`,
    what the strongest alone would have cost (USD).
    """

    voice: str
    decision: Decision | None
    confidence: float | None = None
    agreement: float | None = None
    keys: Mapping[str, str | None] = field(default_factory=dict)
    document: Merged | None = None
    analysis: Mapping[str, Any] | None = None
    degraded: tuple[Degraded, ...] = ()
    reason: str | None = None
    heard: Heard | None = None
    otherwise: Decimal | None = None


UNDECIDED = Decided(voice="", decision=None)
"""What stands as long as nothing does."""

Outcome = Event | Decided
Strategy = Callable[[Plan, Gathering], AsyncGenerator[Outcome, None]]


def verbatim(voice: str, answer: Transcript, text: str | None = None) -> Iterator[Event]:
    """A member's complete answer as the answer, without its calls of tools, which nobody offered.

    `text`: what of its own text is delivered; None: all of it.
    """
    if not isinstance(answer.end, Finished):
        raise TypeError(f"not a complete answer: {answer.end}")
    yield Text(member=voice, text=answer.text if text is None else text)
    reason = answer.end.reason
    yield Finished(member=voice, reason="stop" if reason == "tool_calls" else reason)


def nobody(plan: Plan, failures: Mapping[str, MemberError]) -> FusiondError:
    """The error for a request that no member answered: the client's fault where its request is too long for every one.

    `failures`: of those who were asked. Whom the plan has left out is named beside them, each with its reason, and changes nothing else.
    """
    everybody = {**failures, **{skip.member.name: LeftOut(skip.why, reason=skip.reason) for skip in plan.skipped if skip.member.name not in failures}}
    told = "; ".join(f"{voice}: {error.message}" for voice, error in everybody.items())
    if failures and all(isinstance(error, TooDear) for error in failures.values()):
        return OverBudget(told, param="model")
    if failures and all(isinstance(error, Cooling | Unwilling) for error in failures.values()):
        return Unavailable(told, retry_after=10)
    if failures and all(isinstance(error, ContextTooSmall) for error in failures.values()):
        return ContextExceeded(told, param="messages")
    if any(isinstance(error, Misshapen) for error in failures.values()):
        return SchemaFailed({voice: error.message for voice, error in everybody.items()})
    return AllFailed(everybody)
