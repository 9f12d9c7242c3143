"""How the members are, kept for as long as the daemon runs: a reload makes nobody well, and nobody ill.

Members are known by identity (provider, address, model, key), which is the caller's: a changed key is another member. Nothing here waits or asks;
whoever calls a member enters, and leaves in the end, whatever that end is.
"""

from __future__ import annotations

from collections.abc import Hashable
from dataclasses import dataclass
from enum import Enum, auto
from typing import Final, Literal, NamedTuple

from fusiond.errors import MemberError, Rejected
from fusiond.policy.breaker import Breaker, Refusal, Word, abandoned, admits, after, meaning, overtaken, tried
from fusiond.policy.retries import RetryBudget, retry_after


class _Cancelled(Enum):
    CANCELLED = auto()


CANCELLED: Final = _Cancelled.CANCELLED
"""The end of a call that nobody waited for any more."""

Outcome = MemberError | Literal[_Cancelled.CANCELLED] | None
"""How a call ended; None: it was answered well."""


@dataclass(frozen=True, slots=True, eq=False)
class Entry:
    """One call under way to the member `key`; it is itself and no other."""

    key: Hashable


class Condition(NamedTuple):
    """How a member is, for people; `until` on the caller's clock, None: nobody knows."""

    word: Word | Literal["ready"]
    reason: str | None
    until: float | None


WELL = Breaker()


class Health:
    """What the daemon knows of its members' health."""

    def __init__(self) -> None:
        self._breakers: dict[Hashable, Breaker] = {}
        self._trying: dict[Hashable, Entry] = {}
        self._absent: set[Hashable] = set()
        self._budget = RetryBudget()

    def admits(self, key: Hashable, now: float) -> Refusal | None:
        """Why the member may not be asked now; None: it may. To plan with: `entered` decides."""
        return admits(self._of(key), now)

    @property
    def well(self) -> bool:
        """Whether everybody is."""
        return not any(breaker.shut for breaker in self._breakers.values())

    def entered(self, key: Hashable, now: float, attempt: int = 1) -> Entry | Refusal:
        """A call begins, to be handed to `left` when it ends; or why it may not. `attempt` counts from 1, retries included."""
        if refusal := self.admits(key, now):
            return refusal
        entry = Entry(key)
        breaker = self._breakers[key] = tried(self._of(key))
        if breaker.trying:
            self._trying[key] = entry
        if attempt == 1:
            self._budget = self._budget.asked()
        return entry

    def left(self, entry: Entry, outcome: Outcome, now: float, *, loading: bool = False) -> None:
        """A call has ended; of a member forgotten meanwhile nothing is kept. `loading`: the local model was still on its way into memory."""
        if breaker := self._breakers.get(entry.key):
            told = self._breakers[entry.key] = self._told(breaker, entry, outcome, now, loading=loading)
            if told.shut is not breaker.shut:
                (self._absent.add if _says_absent(outcome) else self._absent.discard)(entry.key)

    def retry_after(self, error: MemberError, attempt: int, now: float, deadline: float, jitter: float) -> float | None:
        """Seconds to wait before the same member is asked again, one retry less being left for all; None: it is not. See `policy.retries`."""
        wait = retry_after(error, attempt, now, deadline, jitter)
        budget = self._budget.taken()
        if wait is None or budget is None:
            return None
        self._budget = budget
        return wait

    def forget(self, key: Hashable) -> None:
        """Whatever was wrong is forgiven: the configuration or the key has changed, or the member is gone."""
        self._breakers.pop(key, None)
        self._trying.pop(key, None)
        self._absent.discard(key)

    def listed(self, key: Hashable) -> None:
        """The member's provider says that it has the model: where the model alone was not there, it is well again."""
        if key in self._absent and not self.disabled(key):
            self.forget(key)

    def forgive(self) -> None:
        """Whoever was disabled for good is well again: the configuration has changed."""
        for key in [key for key, breaker in self._breakers.items() if breaker.shut and breaker.shut.until is None]:
            self.forget(key)

    def disabled(self, key: Hashable) -> bool:
        """Whether the member is shut for as long as its configuration and key are what they are."""
        shut = self._of(key).shut
        return shut is not None and shut.until is None

    def state(self, key: Hashable, now: float) -> Condition:
        """How the member is; a reason beside `ready`: it has been shut, and the next call tries it again."""
        if refusal := self.admits(key, now):
            return Condition(refusal.word, refusal.why, refusal.until)
        shut = self._of(key).shut
        return Condition("ready", f"is to be tried again: {shut.why}" if shut else None, None)

    def _of(self, key: Hashable) -> Breaker:
        return self._breakers.get(key, WELL)

    def _told(self, breaker: Breaker, entry: Entry, outcome: Outcome, now: float, *, loading: bool) -> Breaker:
        tries = self._trying.get(entry.key) is entry
        if tries:
            del self._trying[entry.key]
        if outcome is CANCELLED:
            return abandoned(breaker) if tries else breaker
        if breaker.shut and not tries:
            return overtaken(breaker, outcome, now)
        return after(breaker, outcome, now, loading=loading)


def _says_absent(outcome: Outcome) -> bool:
    """Whether a call has ended because there is no such model."""
    return isinstance(outcome, Rejected) and outcome.upstream_status in (400, 404) and meaning(outcome) == "out"
