"""What became of a request: the facts behind an answer's headers, usage, trace and log line."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from decimal import Decimal
from typing import Any, Literal

from fusiond.config.tree import Place
from fusiond.events import Usage

Role = Literal["panel", "drafter", "judge", "critic", "writer"]
Status = Literal["answered", "abstained", "failed", "timed_out", "cancelled", "skipped"]
Decision = Literal[
    "relayed", "first", "agreed", "majority", "weighted", "escalated", "merged", "selected", "synthesized", "revised", "draft_kept", "actor", "no_key"
]
Degraded = Literal["budget", "privacy", "offline", "output_capped", "quorum", "deadline", "judge_failed", "synthesis_rejected", "fallback", "members"]


def plain(usd: Decimal) -> str:
    """An amount in digits, no more than it has."""
    return f"{usd.normalize() + 0:f}"


@dataclass(frozen=True, slots=True, kw_only=True)
class MemberReport:
    """One member's part. `sample` counts from 1; milliseconds from the moment it was asked; `role` is what it was asked as."""

    member: str
    sample: int
    model: str
    place: Place
    role: Role = "panel"
    status: Status
    key: str | None = None
    text: str = ""
    first_token_ms: float | None = None
    total_ms: float | None = None
    usage: Usage | None = None
    cost_usd: Decimal = Decimal(0)
    error: str | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Totals:
    """Sums over every call that the request cost."""

    prompt_tokens: int = 0
    completion_tokens: int = 0
    calls: int = 0


@dataclass(frozen=True, slots=True, kw_only=True)
class Report:
    """A finished request. `reason`: why it was answered by this strategy, or not as it was meant to be, in a few words.

    `fields`: of a JSON document, the chance that each of its fields is right, by JSON pointer.
    `prompt_tokens` and `completion_tokens` describe the client's prompt and the delivered answer; `estimated`: the member did not count them, so
    they are a quarter of the bytes.
    """

    strategy: str
    decision: Decision | None = None
    confidence: float | None = None
    agreement: float | None = None
    reason: str | None = None
    key: str | None = None
    fields: Mapping[str, float] = field(default_factory=dict)
    analysis: Mapping[str, Any] | None = None
    members: tuple[MemberReport, ...] = ()
    degraded: tuple[Degraded, ...] = ()
    prompt_tokens: int = 0
    completion_tokens: int = 0
    estimated: bool = False
    totals: Totals = field(default_factory=Totals)
    cost_usd: Decimal = Decimal(0)
    saved_usd: Decimal = Decimal(0)
