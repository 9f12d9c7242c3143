"""What a plan needs to know beside the request and the catalog: the time, the money, how far anything may go, and who is not well. A value."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import Literal

from fusiond.config.tree import BudgetConfig, Privacy
from fusiond.policy.budget import Spent
from fusiond.policy.traffic import Traffic

SkipReason = Literal["privacy", "offline", "unavailable", "cooling", "budget", "modality", "context"]

Kind = tuple[str, str]
"""A kind of traffic: what was asked for (`fusion/NAME`) and the kind of vote key."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Out:
    """Why a member may not be asked now: a word, a sentence, and (on the loop's clock) until when, if that is known.

    `lasting`: until the configuration changes; to wait does not help.
    """

    reason: SkipReason
    why: str
    until: float | None = None
    lasting: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class Situation:
    """How things are now. `now` is the loop's clock, `time` the wall's (UTC); `unpayable`: why no cost can be recorded; `out`: by member.

    `run_code`: whether code of answers may be run.
    """

    now: float
    time: datetime = field(default_factory=lambda: datetime.now(UTC))
    privacy: Privacy = "any"
    budget: BudgetConfig | None = None
    spent: Spent = field(default_factory=Spent)
    unpayable: str | None = None
    out: Mapping[str, Out] = field(default_factory=dict)
    traffic: Mapping[Kind, Traffic] = field(default_factory=dict)
    run_code: bool = False
