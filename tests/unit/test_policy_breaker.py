"""When a member is not asked for a while: every kind of error, and any sequence of them."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import replace
from math import inf, nan

import pytest
from hypothesis import given
from hypothesis import strategies as st

from fusiond.errors import (
    ContextTooSmall,
    Cooling,
    Empty,
    Garbled,
    MemberError,
    Misshapen,
    Rejected,
    TimedOut,
    TooDear,
    Truncated,
    Unreachable,
    Unwilling,
)
from fusiond.policy.breaker import LONGEST_WAIT, Breaker, Meaning, abandoned, admits, after, meaning, overtaken, tried

NOW = 1000.0
WELL = Breaker()
BROKEN = Unreachable("no connection")


def rejected(status: int | None, words: str = "no reason given", retry_after: float | None = None) -> Rejected:
    """What a provider answers."""
    return Rejected(words, upstream_status=status, retry_after=retry_after)


def told(breaker: Breaker, outcomes: Iterable[MemberError | None], *, now: float = NOW, apart: float = 0.0) -> Breaker:
    """The state after calls that ended one after the other."""
    for place, outcome in enumerate(outcomes):
        breaker = after(breaker, outcome, now + place * apart)
    return breaker


def until(breaker: Breaker, now: float = NOW) -> float:
    """Seconds until it is asked again."""
    refusal = admits(breaker, now)
    assert refusal is not None
    return inf if refusal.until is None else refusal.until - now


MEANINGS: list[tuple[MemberError, Meaning]] = [
    (Unreachable("x"), "failure"),
    (TimedOut("x"), "failure"),
    (TimedOut("x", queued=True), "nothing"),
    (TimedOut("x", ours=True), "nothing"),
    (Garbled("x"), "failure"),
    (Truncated("x"), "failure"),
    (MemberError("x"), "failure"),
    (Empty("x"), "silence"),
    (Misshapen("x"), "nothing"),
    (ContextTooSmall("x"), "nothing"),
    (Unwilling("x"), "nothing"),
    (Cooling("x"), "nothing"),
    (TooDear("x"), "nothing"),
    (rejected(None), "failure"),
    (rejected(307), "failure"),
    (rejected(400), "nothing"),
    (rejected(400, "acme/nothing is not a valid model ID"), "out"),
    (rejected(401), "key"),
    (rejected(402), "out"),
    (rejected(403, "your input was flagged"), "nothing"),
    (rejected(403, "this API key may not be used from here"), "out"),
    (rejected(403, "project does not have access to this model"), "out"),
    (rejected(403, "insufficient permissions"), "out"),
    (rejected(403, "invalid credentials"), "out"),
    (rejected(403, "remote inference is disabled"), "out"),
    (rejected(403, "the monkey and the keyboard"), "nothing"),
    (rejected(404, "model 'x' not found"), "out"),
    (rejected(404, "No endpoints found for acme/nothing."), "out"),
    (rejected(404, "No endpoints found that support tool use."), "nothing"),
    (rejected(404, "No endpoints found that can handle the requested parameters."), "nothing"),
    (rejected(408), "failure"),
    (rejected(409), "nothing"),
    (rejected(413), "nothing"),
    (rejected(422, "acme/nothing is not a valid model ID"), "nothing"),
    (rejected(429), "limit"),
    (rejected(500), "failure"),
    (rejected(502), "failure"),
    (rejected(503), "failure"),
    (rejected(524), "failure"),
    (rejected(529), "failure"),
]


def named(value: object) -> str | None:
    """What tells one error from another."""
    if not isinstance(value, MemberError):
        return None
    flags = [flag for flag in ("queued", "ours") if getattr(value, flag, False)]
    return "-".join([value.reason, *flags, str(getattr(value, "upstream_status", "")), value.message])


def that_mean(wanted: Meaning) -> list[MemberError]:
    """The errors of the table."""
    return [error for error, means in MEANINGS if means == wanted]


@pytest.mark.parametrize(("error", "expected"), MEANINGS, ids=named)
def test_what_an_error_means(error: MemberError, expected: Meaning) -> None:
    """Each kind, and each status of a rejection, says one thing of the member's health."""
    assert meaning(error) == expected


@pytest.mark.parametrize("error", that_mean("failure"), ids=named)
def test_three_failures_in_a_row(error: MemberError) -> None:
    """Two are borne, the third cools for five seconds, and says what it was."""
    assert admits(told(WELL, [error] * 2), NOW) is None
    refusal = admits(told(WELL, [error] * 3), NOW)
    assert refusal is not None
    assert (refusal.word, refusal.why, refusal.until) == ("cooling", f"failed 3 times in a row: {error.message}", NOW + 5)


def test_failures_in_a_row_may_be_far_apart() -> None:
    """A member that is seldom asked, and fails every time, cools as well."""
    assert until(told(WELL, [BROKEN] * 3, apart=500), NOW + 1000) == 5


def test_an_answer_ends_the_row() -> None:
    """Failures before it are not of the same row."""
    assert admits(told(WELL, [BROKEN, BROKEN, None, BROKEN, BROKEN], apart=20), NOW + 80) is None


def test_half_of_the_last_calls() -> None:
    """Of five within a minute, three failed; with four it is too early to say."""
    apart = [BROKEN, None, BROKEN, None]
    assert admits(told(WELL, apart), NOW) is None
    refusal = admits(told(WELL, [*apart, BROKEN]), NOW)
    assert refusal is not None
    assert refusal.why == "failed in 3 of its last 5 calls: no connection"
    assert until(told(WELL, [None, BROKEN, None, BROKEN, None, BROKEN])) == 5  # half is enough
    assert admits(told(WELL, [None, None, BROKEN, None, BROKEN, None, BROKEN]), NOW) is None


def test_only_the_last_ten_calls_within_a_minute() -> None:
    """What is older does not count, for good or bad."""
    ill = [BROKEN, BROKEN, None, BROKEN, None, None, BROKEN, None, BROKEN, None]
    assert until(told(WELL, [*[None] * 20, *ill[1:], BROKEN])) == 5
    assert until(told(WELL, [BROKEN, None, BROKEN, None, BROKEN], apart=15), NOW + 60) == 5
    assert admits(told(WELL, [BROKEN, None, BROKEN, None, BROKEN], apart=15.01), NOW + 60.04) is None


@pytest.mark.parametrize("error", that_mean("nothing"), ids=named)
def test_what_the_request_caused_does_not_count(error: MemberError) -> None:
    """However often, and it neither adds to a row nor ends one; a member that is tried stays as it was, for the next to try."""
    assert told(WELL, [error] * 50) == WELL
    assert until(told(WELL, [BROKEN, error, BROKEN, error, BROKEN])) == 5
    cooled = told(WELL, [BROKEN] * 3)
    assert after(tried(cooled), error, NOW + 5) == cooled


def test_empty_answers() -> None:
    """One or two are chance, three in a row are a failure; an answer or a failure ends their row."""
    nothing = Empty("said nothing")
    assert admits(told(WELL, [nothing, nothing]), NOW) is None
    refusal = admits(told(WELL, [nothing] * 3), NOW)
    assert refusal is not None
    assert (refusal.word, refusal.why, refusal.until) == ("cooling", "said nothing 3 times in a row: said nothing", NOW + 5)
    for other in (None, BROKEN):
        assert admits(told(WELL, [nothing, nothing, other, nothing, nothing]), NOW) is None


def test_empty_answers_of_who_has_answered() -> None:
    """Hard questions may leave a reasoner without a word for long: it is asked all the same, until it fails in another way."""
    silent = told(WELL, [None, *[Empty("said nothing")] * 50])
    assert admits(silent, NOW) is None
    assert until(told(silent, [BROKEN] * 3)) == 5


def test_empty_answers_when_it_is_tried() -> None:
    """A member that was shut for them cools longer; one that was shut for something else has proved nothing."""
    nothing = Empty("said nothing")
    silent, broken = told(WELL, [nothing] * 3), told(WELL, [BROKEN] * 3)
    assert until(after(tried(silent), nothing, NOW + 5), NOW + 5) == 10
    assert admits(after(tried(broken), nothing, NOW + 5), NOW + 5) is None


@pytest.mark.parametrize(
    ("asked", "seconds"), [(None, 5), (0, 5), (-3, 5), (nan, 5), (0.5, 0.5), (1, 1), (30, 30), (599, 599), (3600, 600), (inf, 600)]
)
def test_a_limit_cools_at_once(asked: float | None, seconds: float) -> None:
    """For as long as the provider asks, within reason; without a wish, for five seconds."""
    refusal = admits(after(WELL, rejected(429, "slow down", retry_after=asked), NOW), NOW)
    assert refusal is not None
    assert (refusal.word, refusal.why, refusal.until) == ("cooling", "asks to be left alone: slow down", NOW + seconds)


def test_an_overloaded_provider_that_says_for_how_long() -> None:
    """Its wish counts once it cools."""
    assert until(told(WELL, [rejected(503, retry_after=40)] * 3)) == 40


def test_cooling_doubles_until_an_answer() -> None:
    """Five seconds, ten, and so on up to five minutes; then an answer, and it begins anew."""
    breaker, now, seen = told(WELL, [BROKEN] * 3), NOW, []
    for _ in range(9):
        seen.append(until(breaker, now))
        now += seen[-1]
        breaker = after(tried(breaker), BROKEN, now)
    assert seen == [5, 10, 20, 40, 80, 160, 300, 300, 300]
    refusal = admits(breaker, now)
    assert refusal is not None
    assert refusal.why == "failed when it was tried again: no connection"
    healed = after(tried(breaker), None, now + 300)
    assert admits(healed, now + 300) is None
    assert admits(told(healed, [BROKEN] * 2, now=now + 300), now + 300) is None  # what was before it was shut is forgiven
    assert until(told(healed, [BROKEN] * 3, now=now + 300), now + 300) == 5


def test_a_limit_met_when_it_is_tried() -> None:
    """It doubles as any failure, and is never shorter than what the provider asks."""
    limited = after(WELL, rejected(429, retry_after=8), NOW)
    assert until(after(tried(limited), rejected(429, retry_after=2), NOW + 8), NOW + 8) == 16
    assert until(after(tried(limited), rejected(429, retry_after=100), NOW + 8), NOW + 8) == 100
    assert until(after(tried(limited), BROKEN, NOW + 8), NOW + 8) == 16


def test_one_tries_at_a_time() -> None:
    """Once the time is over, one call passes, and the next only when that has ended, in whatever way."""
    cooled = told(WELL, [BROKEN] * 3)
    assert until(cooled, NOW + 4.99) == pytest.approx(0.01)
    assert admits(cooled, NOW + 5) is None
    trying = tried(cooled)
    refusal = admits(trying, NOW + 6)
    assert refusal is not None
    assert (refusal.word, refusal.why, refusal.until) == ("cooling", "is being tried again: failed 3 times in a row: no connection", None)
    assert admits(abandoned(trying), NOW + 6) is None
    assert admits(after(trying, None, NOW + 6), NOW + 6) is None
    assert admits(after(trying, Misshapen("x"), NOW + 6), NOW + 6) is None
    assert until(after(trying, BROKEN, NOW + 6), NOW + 6) == 10


def test_many_pass_while_all_is_well() -> None:
    """Only a member that was shut is tried one by one."""
    assert tried(WELL) == WELL
    assert admits(tried(told(WELL, [BROKEN] * 2)), NOW) is None


@pytest.mark.parametrize("error", that_mean("out"), ids=named)
def test_without_model_or_credit_it_is_looked_at_once_a_minute(error: MemberError) -> None:
    """It says why, and does not wait longer from time to time."""
    refusal = admits(out := after(WELL, error, NOW), NOW)
    assert refusal is not None
    assert (refusal.word, refusal.why, refusal.until) == ("unavailable", f"cannot be asked: {error.message}", NOW + 60)
    assert admits(out, NOW + 60) is None
    assert admits(tried(out), NOW + 60) is not None
    assert until(after(tried(out), error, NOW + 70), NOW + 70) == 60
    assert until(after(tried(out), BROKEN, NOW + 70), NOW + 70) == 5
    assert admits(after(tried(out), None, NOW + 70), NOW + 70) is None


def test_a_refused_key_disables() -> None:
    """For good, with the reason, and whatever calls still end."""
    refusal = admits(disabled := after(WELL, rejected(401, "HTTP 401: no such user"), NOW), NOW + 1e9)
    assert refusal is not None
    assert (refusal.word, refusal.why, refusal.until) == ("unavailable", "does not take its key: HTTP 401: no such user", None)
    for outcome in (None, BROKEN, rejected(429), rejected(404), Misshapen("x")):
        assert overtaken(disabled, outcome, NOW) == disabled
        assert after(replace(disabled, trying=True), outcome, NOW) == disabled


def test_a_cold_load_takes_its_time() -> None:
    """While a local model is loaded, neither a deadline that passes nor its server's 503 counts; what else goes wrong does."""
    for error in (TimedOut("no first token within 60 s"), rejected(503, "Loading model")):
        assert meaning(error, loading=True) == "nothing"
        breaker = WELL
        for _ in range(20):
            breaker = after(breaker, error, NOW, loading=True)
        assert breaker == WELL
    for other in (BROKEN, Truncated("x"), rejected(500)):
        assert meaning(other, loading=True) == "failure"


def test_calls_overtaken_by_the_trouble() -> None:
    """Those that were under way when the member was shut fail with it, and double nothing; one that is answered does not open it."""
    cooled = told(WELL, [BROKEN] * 3)
    for outcome in (None, BROKEN, Empty("x"), TimedOut("x"), Misshapen("x")):
        assert overtaken(cooled, outcome, NOW + 1) == cooled
        assert overtaken(tried(cooled), outcome, NOW + 6) == tried(cooled)


def test_calls_overtaken_by_it_may_bring_a_reason_to_wait_longer() -> None:
    """Never shorter; the call that tries it still holds its place."""
    cooled = after(WELL, rejected(429, retry_after=30), NOW)
    assert until(overtaken(cooled, rejected(429, retry_after=50), NOW)) == 50
    assert until(overtaken(cooled, rejected(429, retry_after=20), NOW)) == 30
    for senseless in (None, 0.0, -3.0, nan):
        assert until(overtaken(cooled, rejected(429, retry_after=senseless), NOW + 28)) == 33
    assert until(overtaken(cooled, rejected(404), NOW)) == 60
    assert until(overtaken(cooled, rejected(401), NOW)) == inf
    trying = overtaken(tried(cooled), rejected(429, retry_after=500), NOW + 31)
    assert trying.trying
    for outcome in (BROKEN, rejected(404), rejected(429, retry_after=3), Misshapen("x")):
        assert until(after(trying, outcome, NOW + 32)) == 531
    assert admits(after(trying, None, NOW + 32), NOW + 32) is None


LIMITS = st.floats(allow_nan=True).map(lambda wait: rejected(429, retry_after=wait))
OUTCOMES = st.one_of(st.none(), st.sampled_from([error for error, _ in MEANINGS]), LIMITS)
WAITS = st.sampled_from([0.0, 0.0, 0.5, 5.0, 61.0, 700.0])
STEPS = st.lists(st.tuples(WAITS, OUTCOMES, st.booleans()), max_size=60)


@given(STEPS)
def test_whatever_happens(steps: list[tuple[float, MemberError | None, bool]]) -> None:
    """One call after the other, each only where it is admitted: bounded pauses, disabled by 401 alone, an answer opens."""
    breaker, now = WELL, NOW
    for wait, outcome, loading in steps:
        now += wait
        if refusal := admits(breaker, now):
            assert refusal.until is None or now < refusal.until <= now + LONGEST_WAIT
            continue
        trying = tried(breaker)
        assert (admits(trying, now) is None) == (breaker.shut is None)
        assert abandoned(trying) == breaker
        breaker = after(trying, outcome, now, loading=loading)
        assert not breaker.trying
        assert breaker.pause <= LONGEST_WAIT
        if outcome is None:
            assert breaker == replace(WELL, recent=breaker.recent)
        disabled = breaker.shut is not None and breaker.shut.until is None
        assert disabled == (isinstance(outcome, Rejected) and outcome.upstream_status == 401)
