"""When a member is not asked for a while, because asking it would fail.

    closed ---- failures, a limit ----> cooling ---- its time is over ----> half-open: one call at a time tries it
      ^  '----- model, credit --------> out for a minute ------------------------^   |
      |  '----- key ------------------> disabled, until it is forgotten              |
      '----------------------------- the try is answered ----------------------------'  (or it fails: twice as long)

Only what the member does counts. An error that the request has caused, a call that is cancelled or for which the request had no more time, and an
answer that does not please prove nothing.
A call may end when the member has been shut meanwhile, because of others that were under way with it: that is `overtaken`, which doubles nothing.
"""

from __future__ import annotations

import re
from dataclasses import dataclass, replace
from math import inf
from typing import Literal, assert_never

from fusiond import errors
from fusiond.errors import ContextTooSmall, Cooling, Empty, MemberError, Misshapen, Rejected, TimedOut, TooDear, Unwilling

ROW = 3
"""So many failures in a row are enough, or empty answers in a row of a member that has not answered yet."""

LAST, LATELY_SECONDS, ENOUGH = 10, 60.0, 5
"""Half of the last calls failed: of so many, ended within so long, if they are enough to say so."""

FIRST_PAUSE, LONGEST_PAUSE = 5.0, 300.0
LONGEST_WAIT = errors.LONGEST_WAIT
"""Seconds; a `Retry-After` is believed up to this."""

OUT_SECONDS = 60.0
"""A model that is not there, or an account without credit, is looked at again so often."""

Word = Literal["cooling", "unavailable"]

Reason = Literal["limit", "out", "key"]
"""What shuts a member at once: it asks to be left alone, there is no such model or no credit, its key is refused."""

Meaning = Literal["nothing", "silence", "failure"] | Reason
"""What an error says of the member's health."""

_NO_MODEL = re.compile(r"not a valid model id", re.IGNORECASE)
"""OpenRouter's 400 for a model that it does not know."""

_ASKS_TOO_MUCH = re.compile(r"no endpoints found (?:that (?:support|can handle)|match)|max.?price", re.IGNORECASE)
"""OpenRouter's 404 for a model that is there, but not with the tools, images, parameters or price of this request."""

_ACCOUNT = re.compile(r"\bkey\b|\bpermission|\bcredential|\b(?:have|has) access\b|\bis disabled\b", re.IGNORECASE)
"""A 403 that speaks of the account. One that does not is a moderator's, of this request."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Refusal:
    """Why a member is not asked: a word, a sentence, and until when (the caller's clock; None: for as long as it takes)."""

    word: Word
    why: str
    until: float | None


@dataclass(frozen=True, slots=True, kw_only=True)
class Ended:
    """One call's end: when, and how."""

    at: float
    failed: bool


@dataclass(frozen=True, slots=True, kw_only=True)
class Breaker:
    """What is known of one member's health.

    `recent`: the last ends that count, since it was last shut. `silences`: empty answers in a row. `shut`: why it is shut, or was until its time was
    over; None: calls pass. `pause`: seconds of its last cooling, 0 since an answer. `trying`: a call is under way that tries it again.
    """

    recent: tuple[Ended, ...] = ()
    silences: int = 0
    shut: Refusal | None = None
    pause: float = 0.0
    trying: bool = False


def admits(breaker: Breaker, now: float) -> Refusal | None:
    """Why the member may not be asked now; None: it may."""
    shut = breaker.shut
    if shut is None:
        return None
    if shut.until is None or now < shut.until:
        return shut
    return replace(shut, why=f"is being tried again: {shut.why}", until=None) if breaker.trying else None


def tried(breaker: Breaker) -> Breaker:
    """An admitted call begins: where the member has been shut, it is the one that tries it again."""
    return replace(breaker, trying=breaker.shut is not None)


def abandoned(breaker: Breaker) -> Breaker:
    """The call that tried it has ended and proved nothing: the next may try."""
    return replace(breaker, trying=False)


def after(breaker: Breaker, outcome: MemberError | None, now: float, *, loading: bool = False) -> Breaker:
    """An admitted call has ended: None, answered well. `loading`: the local model was still on its way into memory."""
    breaker = abandoned(breaker)
    if breaker.shut and breaker.shut.until is None:
        return breaker  # disabled by another call, while this one tried
    if outcome is None:
        return Breaker(recent=_with(breaker.recent, Ended(at=now, failed=False)))
    match meaning(outcome, loading=loading):
        case "nothing":
            return breaker
        case "silence":
            return _silent(breaker, outcome, now)
        case "failure":
            return _failed(breaker, outcome, now)
        case "limit" | "out" | "key" as reason:
            return _shut(breaker, reason, outcome, now)
        case unknown:
            assert_never(unknown)


def overtaken(breaker: Breaker, outcome: MemberError | None, now: float) -> Breaker:
    """A call has ended that began before the member was shut: it is of the same trouble, and counts only as a reason to wait longer."""
    if outcome is None:
        return breaker
    match meaning(outcome):
        case "limit" | "out" | "key" as reason:
            shut = _refusal(reason, outcome, now, asked_for(outcome) or FIRST_PAUSE)
            return replace(breaker, shut=_longer(breaker.shut, shut))
        case _:
            return breaker


def meaning(error: MemberError, *, loading: bool = False) -> Meaning:
    """What an error says of the member's health."""
    match error:
        case Rejected(upstream_status=status):
            return _rejection(status, error.message, loading=loading)
        case Misshapen() | ContextTooSmall() | Unwilling() | Cooling() | TooDear() | TimedOut(queued=True) | TimedOut(ours=True):
            return "nothing"
        case TimedOut() if loading:
            return "nothing"
        case Empty():
            return "silence"
        case _:
            return "failure"


def asked_for(error: MemberError) -> float | None:
    """The seconds that the provider asks to be left alone, as far as it is believed; None: it does not ask."""
    wait = error.retry_after
    return min(wait, LONGEST_WAIT) if wait is not None and wait > 0 else None  # a header may also say "nan"


def _rejection(status: int | None, words: str, *, loading: bool) -> Meaning:
    match status:
        case 400 if _NO_MODEL.search(words):
            return "out"
        case 401:
            return "key"
        case 402:
            return "out"
        case 403:
            return "out" if _ACCOUNT.search(words) else "nothing"
        case 404:
            return "nothing" if _ASKS_TOO_MUCH.search(words) else "out"
        case 408:
            return "failure"
        case 429:
            return "limit"
        case 503 if loading:
            return "nothing"  # llama-server says so while it loads
        case int() if 400 <= status < 500:
            return "nothing"
        case _:
            return "failure"


def _silent(breaker: Breaker, error: MemberError, now: float) -> Breaker:
    """Who has answered lately has a mouth: a reasoner that finds no end of several hard questions in a row is well, and missed by all others."""
    silent = replace(breaker, silences=breaker.silences + 1)
    answered = any(not end.failed for end in breaker.recent)
    return silent if answered or silent.silences < ROW else _cooled(silent, f"said nothing {silent.silences} times in a row", error, now)


def _failed(breaker: Breaker, error: MemberError, now: float) -> Breaker:
    failed = replace(breaker, recent=_with(breaker.recent, Ended(at=now, failed=True)), silences=0)
    how = "failed when it was tried again" if breaker.shut else _too_often(failed.recent, now)
    return _cooled(failed, how, error, now) if how else failed


def _too_often(recent: tuple[Ended, ...], now: float) -> str | None:
    if len(recent) >= ROW and all(end.failed for end in recent[-ROW:]):
        return f"failed {ROW} times in a row"
    lately = [end.failed for end in recent if now - end.at <= LATELY_SECONDS]
    if len(lately) >= ENOUGH and sum(lately) * 2 >= len(lately):
        return f"failed in {sum(lately)} of its last {len(lately)} calls"
    return None


def _cooled(breaker: Breaker, how: str, error: MemberError, now: float) -> Breaker:
    pause = _next_pause(breaker, error)
    shut = Refusal(word="cooling", why=f"{how}: {error.message}", until=now + pause)
    return Breaker(shut=_longer(breaker.shut, shut), pause=pause, silences=breaker.silences)


def _shut(breaker: Breaker, reason: Reason, error: MemberError, now: float) -> Breaker:
    pause = _next_pause(breaker, error) if reason == "limit" else breaker.pause
    return Breaker(shut=_longer(breaker.shut, _refusal(reason, error, now, pause)), pause=pause)


def _refusal(reason: Reason, error: MemberError, now: float, pause: float) -> Refusal:
    match reason:
        case "limit":
            return Refusal(word="cooling", why=f"asks to be left alone: {error.message}", until=now + pause)
        case "out":
            return Refusal(word="unavailable", why=f"cannot be asked: {error.message}", until=now + OUT_SECONDS)
        case "key":
            return Refusal(word="unavailable", why=f"does not take its key: {error.message}", until=None)


def _next_pause(breaker: Breaker, error: MemberError) -> float:
    return max(min(breaker.pause * 2, LONGEST_PAUSE), asked_for(error) or 0.0) or FIRST_PAUSE


def _longer(known: Refusal | None, new: Refusal) -> Refusal:
    """The one that ends later; the known one has mostly ended, but for what others were told while the call was under way."""
    return max((known or new, new), key=lambda refusal: inf if refusal.until is None else refusal.until)


def _with(recent: tuple[Ended, ...], end: Ended) -> tuple[Ended, ...]:
    return (*recent, end)[-LAST:]
