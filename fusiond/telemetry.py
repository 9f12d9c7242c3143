"""From what the members said to what is told of it: the report behind headers, usage and trace, and one log line a request."""

from __future__ import annotations

import logging
from collections.abc import Iterable, Mapping
from decimal import Decimal

from fusiond.errors import FusiondError, TimedOut
from fusiond.events import Failed, Usage
from fusiond.fuse.outcome import Decided
from fusiond.merge import Part
from fusiond.plan import Plan, Skipped
from fusiond.report import Degraded, MemberReport, Report, Status, Totals

log = logging.getLogger("fusiond.requests")

BYTES_PER_TOKEN = 4
"""Where a member does not count its tokens, they are estimated at so many bytes each, and the usage says so."""

Parts = Mapping[str, Part]


def reported(plan: Plan, parts: Parts, decided: Decided, now: float) -> Report:
    """What became of a request. `now`: the loop's clock."""
    usages = [part.transcript.usage for part in parts.values() if part.transcript.usage]
    prompt, completion, estimated = _delivered_tokens(plan, parts, decided)
    return Report(
        strategy=plan.strategy,
        decision=decided.decision,
        confidence=decided.confidence,
        agreement=decided.agreement,
        analysis=decided.analysis,
        members=(*(_member(part, decided, now) for part in parts.values()), *(_left_out(skip) for skip in plan.skipped)),
        degraded=_degraded(plan, parts, decided, now),
        prompt_tokens=prompt,
        completion_tokens=completion,
        estimated=estimated,
        totals=Totals(
            prompt_tokens=sum(usage.prompt_tokens for usage in usages),
            completion_tokens=sum(usage.completion_tokens for usage in usages),
            calls=len(parts),
        ),
        cost_usd=sum((usage.cost or Decimal(0) for usage in usages), Decimal(0)),
    )


def log_request(plan: Plan, report: Report, status: int, milliseconds: float, error: FusiondError | None = None) -> None:
    """One line a request: facts and figures, no texts."""
    members = ",".join(f"{member.member}:{member.status}" for member in report.members)
    log.info(
        "request id=%s model=%s strategy=%s decision=%s status=%d ms=%.0f members=%s tokens=%d/%d cost=%s%s%s",
        plan.request.id,
        f"fusion/{plan.fusion}" if plan.fusion else plan.calls[0].member.name,
        report.strategy,
        report.decision,
        status,
        milliseconds,
        members,
        report.prompt_tokens,
        report.completion_tokens,
        report.cost_usd,
        f" degraded={','.join(report.degraded)}" if report.degraded else "",
        f" error={error.code}" if error else "",
    )


def _member(part: Part, decided: Decided, now: float) -> MemberReport:
    call, transcript = part.call, part.transcript
    end = transcript.end
    key = decided.keys.get(call.voice)
    return MemberReport(
        member=call.member.name,
        sample=call.sample,
        model=call.member.model,
        place=call.member.place,
        role=call.role,
        status=_status(part, decided),
        key=key,
        text=transcript.text,
        first_token_ms=_milliseconds(part.asked, part.first),
        total_ms=_milliseconds(part.asked, part.ended or now),
        usage=transcript.usage,
        cost_usd=(transcript.usage and transcript.usage.cost) or Decimal(0),
        error=f"{end.error.reason}: {end.error.message}" if isinstance(end, Failed) else None,
    )


def _status(part: Part, decided: Decided) -> Status:
    end = part.transcript.end
    if end is None:
        return "cancelled"
    if isinstance(end, Failed):
        return "timed_out" if isinstance(end.error, TimedOut) else "failed"
    abstained = decided.keys.get(part.call.voice, "") is None
    return "abstained" if abstained else "answered"


def _left_out(skip: Skipped) -> MemberReport:
    member = skip.member
    return MemberReport(member=member.name, sample=1, model=member.model, place=member.place, status="skipped", error=str(skip))


def _degraded(plan: Plan, parts: Parts, decided: Decided, now: float) -> tuple[Degraded, ...]:
    """Everything that made this answer less than it could have been, each once."""
    ends = [part.transcript.end for part in parts.values() if part.call.role == "panel"]
    failed = [end.error for end in ends if isinstance(end, Failed)]
    found: list[Degraded] = list(decided.degraded)
    if failed or any(skip.reason != "budget" for skip in plan.skipped):
        found.append("members")
    if any(skip.reason == "budget" for skip in plan.skipped):
        found.append("budget")
    if now >= plan.deadline and any(isinstance(error, TimedOut) for error in failed):
        found.append("deadline")
    return tuple(dict.fromkeys(found))


def _delivered_tokens(plan: Plan, parts: Parts, decided: Decided) -> tuple[int, int, bool]:
    """Tokens of the client's prompt and of the delivered answer, and whether they are estimates.

    The prompt is counted by a member that was asked just that: whoever delivered, or for a writer the first of the panel that counted.
    """
    if decided.voice not in parts:
        return 0, 0, False
    part = parts[decided.voice]
    asked_the_same = [part] if part.call.role == "panel" else [other for other in parts.values() if other.call.role == "panel"]
    prompt = next((other.transcript.usage.prompt_tokens for other in asked_the_same if other.transcript.usage), None)
    usage: Usage | None = part.transcript.usage
    estimated = prompt is None or usage is None
    return (
        _estimate(message.text for message in plan.request.messages) if prompt is None else prompt,
        _estimate([part.transcript.text]) if usage is None else usage.completion_tokens,
        estimated,
    )


def _estimate(texts: Iterable[str]) -> int:
    return -(-sum(len(text.encode(errors="surrogatepass")) for text in texts) // BYTES_PER_TOKEN)


def _milliseconds(start: float, end: float | None) -> float | None:
    return None if end is None else round((end - start) * 1000, 1)
