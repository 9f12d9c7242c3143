"""One question to one member: a value that plans are made of and members are given."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from dataclasses import dataclass

from fusiond.catalog import Member
from fusiond.chat import Request
from fusiond.report import Role


@dataclass(frozen=True, slots=True, kw_only=True)
class Call:
    """One question to one member. `voice` names it in events: the member's name, with `#2`, `#3` for further samples (`sample` counts from 1).

    `deadline` is absolute (the loop's clock, seconds): the request's own, never later. `request` is what this member is asked: the client's
    own request with this call's sampling, or a judge's prompt. `affordable`: so many tokens of an answer can be paid (None: it costs nothing).
    `cleared` is waited for before anything leaves, and raises MemberError where nothing may. `patient`: a passing error is waited out, for nobody
    takes over; `relayed`: what the member says goes to the client as it is, its calls of tools too, whether any were offered or not. `afresh`: it is
    asked once more, and over a connection that is not waiting for it.
    """

    voice: str
    member: Member
    request: Request
    deadline: float
    affordable: int | None = None
    cleared: Callable[[], Awaitable[None]] | None = None
    sample: int = 1
    role: Role = "panel"
    patient: bool = True
    relayed: bool = False
    afresh: bool = False

    @property
    def most_tokens(self) -> int | None:
        """How long the answer may be; None: as long as the member lets it."""
        return self.request.sampling.max_tokens if self.affordable is None else self.affordable
