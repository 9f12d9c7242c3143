"""What is told of a request, from what its members said."""

from __future__ import annotations

import logging
from dataclasses import dataclass, replace
from decimal import Decimal
from typing import Any

import pytest

from fusiond.call import Call
from fusiond.errors import AllFailed, Cooling, MemberError, NoTime, Rejected, TimedOut, Unreachable
from fusiond.events import Event, Failed, Finished, Text, Usage, fold
from fusiond.fuse.outcome import UNDECIDED, Decided
from fusiond.merge import Part
from fusiond.plan import Plan, plan
from fusiond.report import MemberReport, Report, Role, Totals
from fusiond.tariff import Tariff
from fusiond.telemetry import Given, log_request, reported
from tests.asking import call, question
from tests.planning import PROSE, YES_NO, call_of, catalog, situation

NOW = 1000.0
FINISHED = Finished(member="a", reason="stop")
UNPAID = "costs money, and there is no [budget]"


def planned(*members: str, text: str = YES_NO, facts: dict[str, dict[str, Any]] | None = None, **fields: Any) -> Plan:
    """The plan for a question to these members, made at NOW."""
    return plan(question(text, **fields), catalog(*members, facts=facts), situation(NOW))


def part(asked: Call, *events: Event, first: float | None = None, ended: float | None = NOW + 2) -> Part:
    """What one member said. It was asked at NOW."""
    return Part(call=asked, asked=NOW, first=first, ended=ended, transcript=fold(events))


def used(prompt: int, completion: int, cost: str | None = None) -> Usage:
    """Tokens, and USD."""
    return Usage(member="a", prompt_tokens=prompt, completion_tokens=completion, cost=None if cost is None else Decimal(cost))


def alone(asked: str, role: Role) -> Call:
    """The call of a judge or a writer."""
    made = call(name=asked, model=asked)
    return Call(voice=f"{role}:{asked}", member=made.member, request=made.request, deadline=made.deadline, role=role)


def told(made: Plan, *parts: Part, decided: Decided = UNDECIDED, now: float = NOW + 3) -> Report:
    """The report of a request whose members said so much."""
    costs = {one.call.voice: one.transcript.usage.cost for one in parts if one.transcript.usage and one.transcript.usage.cost}
    return reported(made, {one.call.voice: one for one in parts}, decided, Costs(costs, set()), now)


@dataclass
class Costs:
    """What the calls have cost."""

    costs: dict[str, Decimal]
    capped: set[str]


def member(report: Report, name: str) -> MemberReport:
    """One member's part in it."""
    return next(one for one in report.members if one.member == name)


@pytest.mark.parametrize(
    ("events", "keys", "status", "error"),
    [
        ([Text(member="a", text="yes"), FINISHED], {"a": "yes"}, "answered", None),
        ([Text(member="a", text="yes"), FINISHED], {}, "answered", None),
        ([Text(member="a", text="I cannot say."), FINISHED], {"a": None}, "abstained", None),
        ([Failed(member="a", error=Unreachable("no connection"))], {}, "failed", "unreachable: no connection"),
        ([Failed(member="a", error=Rejected("no", upstream_status=500))], {"a": None}, "failed", "rejected: no"),
        ([Failed(member="a", error=TimedOut("too slow"))], {}, "timed_out", "timed_out: too slow"),
        ([Failed(member="a", error=NoTime())], {}, "skipped", "deadline: was not asked: no time was left"),
        ([Text(member="a", text="ye")], {}, "cancelled", None),
        ([], {}, "cancelled", None),
    ],
    ids=["key", "no vote", "no key", "unreachable", "rejected", "timed out", "no time", "cut", "silent"],
)
def test_the_status_of_a_member(events: list[Event], keys: dict[str, str | None], status: str, error: str | None) -> None:
    """From how its stream ended, and whether it said something that counts; with the key, the text and the reason."""
    made = planned("a")
    found = member(told(made, part(call_of(made, "a"), *events), decided=Decided(voice="a", decision=None, keys=keys)), "a")
    assert (found.status, found.error, found.key) == (status, error, keys.get("a"))
    assert found.text == fold(events).text


@pytest.mark.parametrize(
    ("events", "status", "error"),
    [
        ([Text(member="b", text="no"), FINISHED], "cancelled", None),
        ([Text(member="b", text="n"), Failed(member="b", error=Unreachable("gone"))], "cancelled", None),
        ([Failed(member="b", error=TimedOut("late"))], "cancelled", None),
        ([Failed(member="b", error=Cooling("failed lately"))], "skipped", "cooling: failed lately"),
    ],
    ids=["answered", "failed", "late", "not asked"],
)
def test_who_ended_unheard_was_not_needed(events: list[Event], status: str, error: str | None) -> None:
    """The outcome stood before: its text is no answer, its failure makes nothing less, and what it used is counted all the same."""
    made = planned("a", "b")
    unheard = replace(part(call_of(made, "b"), used(20, 7, "0.01"), *events), dismissed=True)
    decided = Decided(voice="a", decision="agreed", agreement=1.0, keys={"a": "yes"})
    report = told(made, part(call_of(made, "a"), Text(member="a", text="yes"), used(10, 5), FINISHED), unheard, decided=decided)
    found = member(report, "b")
    assert (found.status, found.error, found.key, found.text) == (status, error, None, "")
    assert report.degraded == (("members",) if error else ())
    assert (report.totals.prompt_tokens, report.cost_usd, found.cost_usd) == (30, Decimal("0.01"), Decimal("0.01"))


def test_what_was_said_before_it_was_cancelled_is_told() -> None:
    """It is a piece, and said to be one."""
    made = planned("a", "b")
    cut = replace(part(call_of(made, "b"), Text(member="b", text="n")), dismissed=True)
    found = member(told(made, part(call_of(made, "a"), FINISHED), cut), "b")
    assert (found.status, found.text) == ("cancelled", "n")


def test_who_was_left_out_is_told_behind_those_who_were_asked() -> None:
    """With the reason as a word and as a sentence; it was asked nothing and cost nothing."""
    made = planned("paid", "a", facts={"paid": {"place": "remote"}})
    report = told(made, part(call_of(made, "a"), FINISHED))
    assert [one.member for one in report.members] == ["a", "paid"]
    left_out = member(report, "paid")
    assert (left_out.status, left_out.error, left_out.place, left_out.total_ms) == ("skipped", f"budget: {UNPAID}", "remote", None)
    assert report.totals.calls == 1


def test_times_count_from_when_a_member_was_asked() -> None:
    """In milliseconds; who has not ended is timed until now, and who has said nothing has no first token."""
    made = planned("a", "b")
    report = told(made, part(call_of(made, "a"), first=NOW + 0.25), part(call_of(made, "b"), ended=None), now=NOW + 3)
    assert [(one.first_token_ms, one.total_ms) for one in report.members] == [(250.0, 2000.0), (None, 3000.0)]


def test_samples_and_roles_are_told_apart() -> None:
    """One member may be asked several times, and as a judge too, which casts no vote."""
    made = plan(question(YES_NO), catalog("a", samples=2), situation(NOW))
    judge = alone("a", "judge")
    report = told(
        made, *(part(one, FINISHED) for one in (*made.calls, judge)), decided=Decided(voice="a", decision="agreed", keys={"a": "yes", "a#2": None})
    )
    assert [(one.member, one.sample, one.role, one.status, one.key) for one in report.members] == [
        ("a", 1, "panel", "answered", "yes"),
        ("a", 2, "panel", "abstained", None),
        ("a", 1, "judge", "answered", None),
    ]


def test_what_was_decided_is_told_as_it_is() -> None:
    """Strategy, decision, confidence, agreement and analysis."""
    made = planned("a")
    decided = Decided(voice="a", decision="majority", confidence=0.9, agreement=0.75, analysis={"consensus": []})
    report = told(made, part(call_of(made, "a"), FINISHED), decided=decided)
    assert (report.strategy, report.decision, report.confidence, report.agreement, report.analysis) == (
        "vote",
        "majority",
        0.9,
        0.75,
        {"consensus": []},
    )


@pytest.mark.parametrize(
    ("facts", "error", "late", "degraded"),
    [
        ({}, None, False, ()),
        ({}, Unreachable("gone"), False, ("members",)),
        ({"unavailable": "gone"}, None, False, ("members",)),
        ({"place": "remote"}, None, False, ("budget",)),
        ({"place": "remote"}, Unreachable("gone"), False, ("budget", "members")),
        ({}, TimedOut("slow"), False, ("members",)),
        ({}, TimedOut("slow"), True, ("members", "deadline")),
        ({}, Unreachable("gone"), True, ("members",)),
        ({}, NoTime(), True, ("deadline",)),
    ],
    ids=["whole", "failed", "unavailable", "unpaid", "both", "its own time", "the request's time", "late, but not for it", "no time"],
)
def test_what_makes_an_answer_less(facts: dict[str, Any], error: MemberError | None, late: bool, degraded: tuple[str, ...]) -> None:
    """Members that failed or were left out, money, and the request's own deadline, but not a member's."""
    made = planned("a", "b", "c", facts={"c": facts})
    end = FINISHED if error is None else Failed(member="b", error=error)
    parts = part(call_of(made, "a"), FINISHED), part(call_of(made, "b"), end)
    assert told(made, *parts, now=made.deadline if late else NOW + 3).degraded == degraded


@pytest.mark.parametrize(("lost", "degraded"), [(True, "offline"), (False, "members")])
def test_who_is_far_away_and_cannot_be_reached_is_missing_for_want_of_a_network(lost: bool, degraded: str) -> None:
    """Already in the request that notices it."""
    nothing = Tariff.per_million(Decimal(0), Decimal(0))
    made = planned("a", "b", facts={"b": {"place": "remote", "tariff": nothing}})
    gone = Failed(member="b", error=Unreachable("gone", lost=lost))
    assert told(made, part(call_of(made, "a"), FINISHED), part(call_of(made, "b"), gone)).degraded == (degraded,)


def test_a_strategys_own_reasons_come_first_and_once() -> None:
    """A failed judge is told by the strategy, and is no failed member of the panel."""
    made = planned("a")
    judge = part(alone("j", "judge"), Failed(member="j", error=Unreachable("gone")))
    decided = Decided(voice="a", decision="selected", degraded=("judge_failed", "judge_failed"))
    assert told(made, part(call_of(made, "a"), FINISHED), judge, decided=decided).degraded == ("judge_failed",)


def test_members_that_were_not_needed_make_an_answer_no_less() -> None:
    """They were cancelled because the outcome stood."""
    made = planned("a", "b")
    assert told(made, part(call_of(made, "a"), FINISHED), part(call_of(made, "b"))).degraded == ()


def test_usage_is_that_of_the_member_which_delivered_and_the_sums_are_of_all() -> None:
    """The client's context bar stays true, whatever the others used; the money is all that was spent."""
    made = planned("a", "b", "c")
    parts = (
        part(call_of(made, "a"), used(10, 5, "0.01"), FINISHED),
        part(call_of(made, "b"), used(20, 7, "0.002"), FINISHED),
        part(call_of(made, "c")),
    )
    report = told(made, *parts, decided=Decided(voice="b", decision="agreed"))
    assert (report.prompt_tokens, report.completion_tokens, report.estimated) == (20, 7, False)
    assert report.totals == Totals(prompt_tokens=30, completion_tokens=12, calls=3)
    assert report.cost_usd == Decimal("0.012")
    assert [one.cost_usd for one in report.members] == [Decimal("0.01"), Decimal("0.002"), Decimal(0)]


def test_a_writers_prompt_is_not_the_clients() -> None:
    """The answer is counted by the writer, the client's prompt by the first of the panel that counted; all of it is in the sums."""
    made = planned("a", "b", text=PROSE)
    writer = alone("w", "writer")
    judge = part(alone("j", "judge"), used(500, 50), FINISHED)
    parts = part(call_of(made, "a"), FINISHED), part(call_of(made, "b"), used(11, 40), FINISHED), judge, part(writer, used(900, 60), FINISHED)
    report = told(made, *parts, decided=Decided(voice=writer.voice, decision="synthesized"))
    assert (report.prompt_tokens, report.completion_tokens, report.estimated) == (11, 60, False)
    assert report.totals == Totals(prompt_tokens=1411, completion_tokens=150, calls=4)


@pytest.mark.parametrize(
    ("text", "answer", "prompt", "completion"),
    [("Is 7 prime?!", "yes", 3, 1), ("Ist 7 prim? Ja oder nein", "jawohl", 6, 2), ("Être", "é" * 8, 2, 4)],
)
def test_what_nobody_counted_is_a_quarter_of_its_bytes(text: str, answer: str, prompt: int, completion: int) -> None:
    """Rounded up, and said to be an estimate; the sums count only what was counted."""
    made = plan(question(text), catalog("a", kind="text"), situation(NOW))
    report = told(made, part(call_of(made, "a"), Text(member="a", text=answer), FINISHED), decided=Decided(voice="a", decision="agreed"))
    assert (report.prompt_tokens, report.completion_tokens, report.estimated) == (prompt, completion, True)
    assert report.totals == Totals(calls=1)


@pytest.mark.parametrize(("counted", "tokens"), [((0, 0), (10, 1)), ((0, 5), (10, 5)), ((7, 0), (7, 1))])
def test_no_tokens_are_no_count(counted: tuple[int, int], tokens: tuple[int, int]) -> None:
    """No prompt is without any, and no answer either: what was not told is estimated."""
    made = planned("a", text="x" * 40, model="a")
    report = told(
        made, part(call_of(made, "a"), Text(member="a", text="yes"), used(*counted), FINISHED), decided=Decided(voice="a", decision="relayed")
    )
    assert (report.prompt_tokens, report.completion_tokens, report.estimated) == (*tokens, True)


def test_one_of_the_two_may_be_an_estimate() -> None:
    """A writer that counted beside a panel that did not: the prompt is estimated, and that is said."""
    made = planned("a", text="x" * 40, model="a")
    writer = alone("w", "writer")
    parts = part(call_of(made, "a"), FINISHED), part(writer, used(900, 60), FINISHED)
    report = told(made, *parts, decided=Decided(voice=writer.voice, decision="synthesized"))
    assert (report.prompt_tokens, report.completion_tokens, report.estimated) == (10, 60, True)


def test_text_that_is_no_unicode_can_be_counted() -> None:
    """Half of a surrogate pair, as JSON can carry it."""
    made = planned("a", text="\ud83d", model="a")
    report = told(made, part(call_of(made, "a"), Text(member="a", text="\udcff"), FINISHED), decided=Decided(voice="a", decision="relayed"))
    assert (report.prompt_tokens, report.completion_tokens) == (1, 1)


def test_as_long_as_nobody_delivers_there_is_no_usage() -> None:
    """But what was spent is told."""
    made = planned("a")
    report = told(made, part(call_of(made, "a"), used(10, 5, "0.01"), Failed(member="a", error=Unreachable("gone"))))
    assert (report.prompt_tokens, report.completion_tokens, report.decision) == (0, 0, None)
    assert (report.totals.prompt_tokens, report.cost_usd) == (10, Decimal("0.01"))


def test_a_request_is_one_line_of_facts(caplog: pytest.LogCaptureFixture) -> None:
    """Who asked for what, how it went and what it cost, and no word of what was said."""
    made = planned("a", "b", text=f"{YES_NO} secret")
    parts = part(call_of(made, "a"), Text(member="a", text="secret"), used(10, 5, "0.01"), FINISHED), part(call_of(made, "b"))
    with caplog.at_level(logging.INFO, "fusiond.requests"):
        log_request(
            made, told(made, *parts, decided=Decided(voice="a", decision="first", degraded=("quorum",))), Given(status=200, milliseconds=12.4)
        )
    assert caplog.messages == [
        (
            "request id=r1 model=fusion/default strategy=vote decision=first status=200 ms=12 members=a:answered,b:cancelled "
            "tokens=10/5 cost=0.01 degraded=quorum"
        )
    ]


def test_the_line_of_a_member_that_failed(caplog: pytest.LogCaptureFixture) -> None:
    """Its own name, the status that the client saw, and the error's code."""
    made = planned("a", "b", model="a")
    failed = Unreachable("no connection to http://secret")
    with caplog.at_level(logging.INFO, "fusiond.requests"):
        log_request(
            made,
            told(made, part(call_of(made, "a"), Failed(member="a", error=failed))),
            Given(status=502, milliseconds=3.0, error=AllFailed({"a": failed})),
        )
    assert caplog.messages == [
        (
            "request id=r1 model=a strategy=single decision=None status=502 ms=3 members=a:failed tokens=0/0 cost=0 "
            "degraded=members error=all_members_failed"
        )
    ]
