"""From what the members said to what is told of it: the report behind headers, usage and trace, and one log line a request."""

from __future__ import annotations

import logging
import time
from collections.abc import Collection, Iterable, Mapping
from dataclasses import dataclass
from decimal import Decimal
from typing import Any, Literal, Protocol

from fusiond.call import Call
from fusiond.catalog import shortened
from fusiond.chat import Request
from fusiond.config.tree import Privacy
from fusiond.eligible import USUAL_BYTES_PER_TOKEN, Skipped
from fusiond.errors import Cooling, FusiondError, MemberError, NoTime, TimedOut, TooDear, Unwilling
from fusiond.events import Failed
from fusiond.fuse.outcome import Decided
from fusiond.merge import Part
from fusiond.plan import Plan
from fusiond.report import Degraded, MemberReport, Report, Status, Totals, plain
from fusiond.store.requests import RequestRow

log = logging.getLogger("fusiond.requests")

UNASKED = (Cooling, NoTime, TooDear, Unwilling)
"""Errors of members that were not asked after all."""

_LACK: Mapping[str, Degraded] = {"budget": "budget", "privacy": "privacy", "offline": "offline", "deadline": "deadline"}
"""What is said of an answer because of members that were left out; for any other reason they are just missing."""

Parts = Mapping[str, Part]


class Bill(Protocol):
    """What the calls of a request have cost: USD by voice, and the voices whose answers were cut short by the length that we sent."""

    @property
    def costs(self) -> Mapping[str, Decimal]:
        """USD, by voice."""

    @property
    def capped(self) -> Collection[str]:
        """Voices whose answers were cut short by the length that we sent."""


def reported(plan: Plan, parts: Parts, decided: Decided, bill: Bill, now: float) -> Report:
    """What became of a request. `now`: the loop's clock."""
    usages = [part.transcript.usage for part in parts.values() if part.transcript.usage]
    prompt, completion, estimated = _delivered_tokens(plan, parts, decided)
    cost = sum(bill.costs.values(), Decimal(0))
    return Report(
        strategy=plan.strategy,
        decision=decided.decision,
        confidence=decided.confidence,
        agreement=decided.agreement,
        reason=decided.reason or plan.reason,
        key=decided.document.key if decided.document else decided.keys.get(decided.voice),
        fields=decided.document.fields if decided.document else {},
        analysis=decided.analysis,
        members=(*(_member(part, decided, bill, now) for part in parts.values()), *(_left_out(skip) for skip in plan.skipped)),
        degraded=_degraded(plan, parts, decided, bill, now),
        prompt_tokens=prompt,
        completion_tokens=completion,
        estimated=estimated,
        totals=Totals(
            prompt_tokens=sum(usage.prompt_tokens for usage in usages),
            completion_tokens=sum(usage.completion_tokens for usage in usages),
            calls=len(parts),
        ),
        cost_usd=cost,
        saved_usd=Decimal(0) if decided.otherwise is None else decided.otherwise - cost,
    )


@dataclass(frozen=True, slots=True, kw_only=True)
class Given:
    """What the client got: an HTTP status, after how long, why no answer; and the answer's text, where texts are kept."""

    status: int
    milliseconds: float
    error: FusiondError | None = None
    text: str | None = None


def log_request(plan: Plan, report: Report, given: Given) -> None:
    """One line a request: facts and figures, no texts."""
    members = ",".join(f"{member.member}:{member.status}" for member in report.members)
    log.info(
        "request id=%s model=%s strategy=%s decision=%s status=%d ms=%.0f members=%s tokens=%d/%d cost=%s%s%s",
        plan.request.id,
        plan.asked_for,
        report.strategy,
        report.decision,
        given.status,
        given.milliseconds,
        members,
        report.prompt_tokens,
        report.completion_tokens,
        plain(report.cost_usd),
        f" degraded={','.join(report.degraded)}" if report.degraded else "",
        f" error={given.error.code}" if given.error else "",
    )


def log_refusal(request: Request, error: FusiondError, milliseconds: float) -> None:
    """The line of a request that nobody was asked for."""
    model = shortened(request.model)
    log.info("request id=%s model=%r refused status=%d ms=%.0f error=%s", request.id, model, error.status, milliseconds, error.code)


def refused(request: Request, given: Given, fusion: str | None, privacy: Privacy | Literal[""]) -> RequestRow:
    """What the records keep of a request that nobody was asked for; the fusion and the privacy as far as they are known."""
    return RequestRow(
        id=request.id,
        time=time.time(),
        model=shortened(request.model),
        fusion=fusion,
        strategy="",
        status=given.status,
        decision=None,
        confidence=None,
        agreement=None,
        key=None,
        degraded=(),
        privacy=privacy,
        error=given.error.code if given.error else None,
        milliseconds=round(given.milliseconds, 1),
        prompt_tokens=0,
        completion_tokens=0,
        cost_usd=Decimal(0),
        saved_usd=Decimal(0),
        members=(),
    )


def recorded(plan: Plan, report: Report, given: Given) -> RequestRow:
    """What the records keep."""
    return RequestRow(
        id=plan.request.id,
        time=time.time(),
        model=plan.request.model,
        fusion=plan.fusion,
        strategy=report.strategy,
        status=given.status,
        decision=report.decision,
        confidence=report.confidence,
        agreement=report.agreement,
        key=report.key,
        degraded=report.degraded,
        privacy=plan.privacy,
        error=given.error.code if given.error else None,
        milliseconds=round(given.milliseconds, 1),
        prompt_tokens=report.prompt_tokens,
        completion_tokens=report.completion_tokens,
        cost_usd=report.cost_usd,
        saved_usd=report.saved_usd,
        members=tuple(map(_row, report.members)),
        prompt=None if given.text is None else "\n\n".join(f"[{message.role}] {message.text}" for message in plan.request.messages),
        answer=given.text,
    )


def _row(member: MemberReport) -> Mapping[str, Any]:
    usage = member.usage
    return {
        "member": member.member,
        "sample": member.sample,
        "role": member.role,
        "place": member.place,
        "status": member.status,
        "key": member.key,
        "first_token_ms": member.first_token_ms,
        "total_ms": member.total_ms,
        "prompt_tokens": usage.prompt_tokens if usage else None,
        "completion_tokens": usage.completion_tokens if usage else None,
        "cost_usd": plain(member.cost_usd),
        "error": member.error,
    }


def _member(part: Part, decided: Decided, bill: Bill, now: float) -> MemberReport:
    call, transcript, error = part.call, part.transcript, _failure(part)
    return MemberReport(
        member=call.member.name,
        sample=call.sample,
        model=call.member.model,
        place=call.member.place,
        role=call.role,
        status=_status(part, decided),
        key=decided.keys.get(call.voice),
        text="" if _unheard(part) else transcript.text,
        first_token_ms=_milliseconds(part.asked, part.first),
        total_ms=_milliseconds(part.asked, part.ended or now),
        usage=transcript.usage,
        cost_usd=bill.costs.get(call.voice, Decimal(0)),
        error=f"{error.reason}: {error.message}" if error else None,
    )


def _unheard(part: Part) -> bool:
    """Whether the outcome stood before the end of the call was heard: whatever that was then, it has not been looked at."""
    return part.dismissed and part.transcript.end is not None


def _failure(part: Part) -> MemberError | None:
    """The error that a call ended in; where nobody heard of it, only why the member was not asked."""
    end = part.transcript.end
    error = end.error if isinstance(end, Failed) else None
    return None if _unheard(part) and not isinstance(error, UNASKED) else error


def _status(part: Part, decided: Decided) -> Status:
    if error := _failure(part):
        return "skipped" if isinstance(error, UNASKED) else "timed_out" if isinstance(error, TimedOut) else "failed"
    if part.transcript.end is None or _unheard(part):
        return "cancelled"
    abstained = decided.keys.get(part.call.voice, "") is None
    return "abstained" if abstained else "answered"


def _left_out(skip: Skipped) -> MemberReport:
    member = skip.member
    return MemberReport(member=member.name, sample=1, model=member.model, place=member.place, status="skipped", error=str(skip))


def _degraded(plan: Plan, parts: Parts, decided: Decided, bill: Bill, now: float) -> tuple[Degraded, ...]:
    """Everything that made this answer less than it could have been, each once."""
    ended = [(part.call, error) for part in parts.values() if (error := _failure(part))]
    failed = [error for call, error in ended if call.role == "panel"]
    unasked = [error.reason for _, error in ended if isinstance(error, UNASKED)]
    silent = [_silence(call, error) for call, error in ended if call.role == "panel" and not isinstance(error, UNASKED)]
    missing = [skip.reason for skip in plan.skipped] + unasked + silent
    found: list[Degraded] = [*decided.degraded, *(_LACK.get(reason, "members") for reason in missing)]
    if decided.voice in bill.capped:
        found.append("output_capped")
    if now >= plan.deadline and any(isinstance(error, TimedOut) for error in failed):
        found.append("deadline")
    return tuple(dict.fromkeys(found))


def _silence(call: Call, error: MemberError) -> str:
    """Why a member that was asked is missing: who is far away and cannot be reached is so for want of a network."""
    return "offline" if error.lost and call.member.place == "remote" else error.reason


def _delivered_tokens(plan: Plan, parts: Parts, decided: Decided) -> tuple[int, int, bool]:
    """Tokens of the client's prompt and of the delivered answer, and whether they are estimates.

    A document made of several was counted by nobody. The prompt is counted by a member that was asked just that: whoever delivered, or for a writer
    the first of the panel that counted. None of either is no count.
    """
    if decided.voice not in parts:
        return 0, 0, False
    part = parts[decided.voice]
    asked_the_same = [part] if part.call.role == "panel" else [other for other in parts.values() if other.call.role == "panel"]
    prompt = next((usage.prompt_tokens for other in asked_the_same if (usage := other.transcript.usage) and usage.prompt_tokens), None)
    merged = decided.document.text if decided.decision == "merged" and decided.document else None
    completion = part.transcript.usage.completion_tokens if part.transcript.usage and merged is None else 0
    return (
        prompt or _estimate(message.text for message in plan.request.messages),
        completion or _estimate([part.transcript.text if merged is None else merged]),
        not (prompt and completion),
    )


def _estimate(texts: Iterable[str]) -> int:
    return -(-sum(len(text.encode(errors="surrogatepass")) for text in texts) // USUAL_BYTES_PER_TOKEN)


def _milliseconds(start: float, end: float | None) -> float | None:
    return None if end is None else round((end - start) * 1000, 1)
