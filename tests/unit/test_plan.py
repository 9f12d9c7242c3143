"""Who is asked, how, and by when."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import replace
from decimal import Decimal
from typing import Any, Literal

import pytest

from fusiond.catalog import Catalog, served
from fusiond.chat import Format, ImagePart, Limit, Message, Overrides, Sampling, TextPart, Tool, ToolChoice
from fusiond.config.tree import BudgetConfig, Conditions, RouteConfig, Seat
from fusiond.errors import BadRequest, ContextExceeded, Forbidden, FusiondError, OverBudget, Unavailable, UnknownModel
from fusiond.keys import Wanted
from fusiond.plan import Plan, plan
from fusiond.policy.budget import Caps
from fusiond.policy.traffic import Mean, Traffic
from fusiond.situation import Out
from fusiond.tariff import Tariff
from tests.asking import question
from tests.planning import PROSE, YES_NO, call_of, catalog, situation

REMOTE = {"place": "remote"}


DEAR = {"place": "remote", "tariff": Tariff.per_million(Decimal(3), Decimal(15))}
RICH = BudgetConfig(per_day_usd=Decimal(100))
STRICT = BudgetConfig(per_request_usd=Decimal("0.001"), when_exhausted="reject")
TOOLS = (Tool(name="now"),)
DOCUMENT = Format(kind="json_object")
IMAGE = Message(role="user", parts=(ImagePart(url="data:image/png;base64,AA"),))


def planned(served: Catalog, text: str = YES_NO, now: Mapping[str, Any] | None = None, **fields: Any) -> Plan:
    """The plan for a question at time 100, *now* being special."""
    return plan(question(text, **fields), served, situation(100.0, **(now or {})))


def left_out(plan: Plan) -> list[tuple[str, str]]:
    """Who is not asked, and the word for why."""
    return [(skip.member.name, skip.reason) for skip in plan.skipped]


def voices(plan: Plan) -> list[str]:
    """Who is asked, in order."""
    return [call.voice for call in plan.calls]


@pytest.mark.parametrize("name", ["fusion", "fusion/default", "auto", "mine"])
def test_names_of_a_fusion(name: str) -> None:
    """The general ones, its own, and an alias."""
    found = planned(replace(catalog("a", "b"), aliases={"mine": "fusion"}), model=name)
    assert (found.fusion, found.strategy, voices(found)) == ("default", "vote", ["a", "b"])
    assert found.deadline == 220.0


def test_a_member_by_its_name() -> None:
    """Is asked alone, within its own time, and is no fusion."""
    found = planned(catalog("a", "b"), model="b")
    assert (found.fusion, found.strategy, voices(found), found.deadline) == (None, "single", ["b"], 400.0)


def test_openrouter_fusion_is_a_synthesis_of_the_default_panel() -> None:
    """Whatever the default fusion does."""
    assert planned(catalog("a", "b", judge="a"), model="openrouter/fusion").strategy == "synthesize"
    made = planned(catalog("a", "b", facts={"b": {"size": 70.0}}), model="openrouter/fusion")
    assert made.writer == made.calls[1].member  # the most skilled, where nobody is named


def test_an_unknown_name_is_told_the_nearest() -> None:
    """With the field that is wrong."""
    with pytest.raises(UnknownModel, match="did you mean 'fusion/default'") as error:
        planned(catalog("a"), model="fusion/defalt")
    assert error.value.param == "model"


def test_every_served_name_can_be_asked_for() -> None:
    """The list of models promises nothing else."""
    known = replace(catalog("a", "x/b:1b", judge="a"), aliases={"mine": "a"})
    for name in served(known):
        planned(known, model=name)


@pytest.mark.parametrize(
    ("facts", "kind"),
    [(REMOTE, OverBudget), ({"unavailable": "no key"}, Unavailable), ({"context": 1}, ContextExceeded)],
    ids=["paid", "unavailable", "small"],
)
def test_a_member_asked_for_by_its_name_is_never_replaced(facts: dict[str, Any], kind: type[FusiondError]) -> None:
    """The error says why it cannot answer."""
    with pytest.raises(kind):
        planned(catalog("a", "b", facts={"a": facts}), model="a")


def test_who_cannot_be_asked_is_left_out_and_named() -> None:
    """Each for its own reason; the others go on."""
    facts: dict[str, dict[str, Any]] = {"paid": REMOTE, "gone": {"unavailable": "no key"}, "small": {"context": 1}, "blind": {"vision": False}}
    image = Message(role="user", parts=(ImagePart(url="data:image/png;base64,AA"),))
    asked = question(YES_NO)
    found = plan(replace(asked, messages=(*asked.messages, image)), catalog("paid", "gone", "small", "blind", "a", "b", facts=facts), situation(0.0))
    assert voices(found) == ["a", "b"]
    assert [(skip.member.name, skip.reason) for skip in found.skipped] == [
        ("paid", "budget"),
        ("gone", "unavailable"),
        ("small", "context"),
        ("blind", "modality"),
    ]


def test_a_request_that_fits_nobody_is_the_clients_fault() -> None:
    """Too long for all, or images for the blind."""
    with pytest.raises(ContextExceeded):
        planned(catalog("a", "b", facts={"a": {"context": 1}, "b": {"context": 2}}), text="word " * 100)
    with pytest.raises(BadRequest, match="images"):
        plan(
            question(messages=(Message(role="user", parts=(ImagePart(url="data:,"),)),)), catalog("a", facts={"a": {"vision": False}}), situation(0.0)
        )


def test_an_empty_panel() -> None:
    """Is nobody's fault, and may pass."""
    with pytest.raises(Unavailable, match="panel of fusion/default is empty") as error:
        planned(catalog())
    assert error.value.retry_after


def test_a_keyless_vote_is_a_selection_or_the_most_skilled() -> None:
    """With a judge or without one."""
    assert planned(catalog("a", "b", judge="j"), PROSE).strategy == "select"
    found = planned(catalog("small", "big", facts={"big": {"size": 70.0}}), PROSE)
    assert (found.strategy, found.because, voices(found)) == ("single", "no_key", ["big", "small"])


def test_tools_go_to_the_best_that_can_call_them() -> None:
    """Before those that are more skilled and cannot."""
    facts: dict[str, dict[str, Any]] = {"deaf": {"tools": False, "size": 70.0}, "big": {"size": 30.0}}
    found = planned(catalog("small", "deaf", "big", facts=facts), tools=(Tool(name="now"),))
    assert (found.strategy, found.because, voices(found)) == ("single", "actor", ["big", "small", "deaf"])


def test_json_is_never_written_anew() -> None:
    """A synthesis of documents is a vote on them."""
    assert planned(catalog("a", "b", strategy="synthesize", judge="a"), PROSE, format=Format(kind="json_object")).strategy == "vote"


def test_a_document_that_was_asked_for_is_a_document() -> None:
    """Whatever kind the fusion is for."""
    found = planned(catalog("a", "b", kind="number"), format=Format(kind="json_object"))
    assert found.wanted
    assert found.wanted.kind == "json"


def test_samples() -> None:
    """Have voices and seeds of their own, and the seat's temperature."""
    served = catalog("a", samples=3)
    seat = Seat(member="a", samples=3, temperature=0.9)
    served = replace(served, fusions={"default": replace(served.fusions["default"], panel=(seat,))})
    found = planned(served, sampling=Sampling(seed=7, temperature=0.1))
    assert voices(found) == ["a", "a#2", "a#3"]
    assert [(call.sample, call.request.sampling.seed, call.request.sampling.temperature) for call in found.calls] == [
        (1, 7, 0.9),
        (2, 8, 0.9),
        (3, 9, 0.9),
    ]


def test_overrides() -> None:
    """Strategy, panel and judge of one request; names that are none are told."""
    served = catalog("a", "b", "c", quorum=2)
    found = planned(served, overrides=Overrides(strategy="race", panel=("c", "a")))
    assert (found.strategy, voices(found), found.quorum) == ("race", ["c", "a"], None)
    assert planned(served, PROSE, overrides=Overrides(judge="c")).strategy == "select"
    with pytest.raises(UnknownModel) as error:
        planned(served, overrides=Overrides(panel=("a", "nobody")))
    assert error.value.param == "fusion.panel[1]"
    with pytest.raises(BadRequest, match="needs a fusion"):
        planned(served, model="a", overrides=Overrides(judge="b"))


@pytest.mark.parametrize(
    ("model", "serves"),
    [("fusion", "default"), ("fusion/default", "default"), ("auto", "default"), ("openrouter/fusion", "default"), ("a", None), ("lab/a:1b", None)],
)
def test_aliases_stand_for_fusions_and_members(model: str, serves: str | None) -> None:
    """And are told as what they stand for."""
    known = replace(catalog("a", "lab/a:1b"), aliases={"gpt-4o": model})
    assert planned(known, model="gpt-4o").fusion == serves


@pytest.mark.parametrize("model", ["default", "fusion/", "fusion/a", "Fusion", "nobody", ""])
def test_names_that_nobody_has(model: str) -> None:
    """A fusion's bare name and a member's below `fusion/` are none."""
    with pytest.raises(UnknownModel) as error:
        planned(catalog("a"), model=model)
    assert (error.value.status, error.value.code) == (404, "model_not_found")


@pytest.mark.parametrize("field", ["panel", "judge", "writer"])
def test_an_override_that_names_nobody_is_told_the_nearest(field: str) -> None:
    """Under its own field; an alias and a fusion are no members."""
    known = replace(catalog("qwen", "llama"), aliases={"mine": "qwen"})
    for name in ("qwenn", "mine", "fusion"):
        wish: dict[str, Any] = {field: (name,) if field == "panel" else name}
        place = f"fusion.{field}[0]" if field == "panel" else f"fusion.{field}"
        with pytest.raises(UnknownModel, match=rf"{re.escape(place)}: no member named '{name}'") as error:
            planned(known, overrides=Overrides(**wish))
        assert error.value.param == place
        assert ("did you mean 'qwen'" in error.value.message) == (name == "qwenn")


def test_an_override_names_each_member_once() -> None:
    """Two calls with one voice could not be told apart."""
    with pytest.raises(BadRequest, match=r"fusion\.panel names 'b' more than once") as error:
        planned(catalog("a", "b"), overrides=Overrides(panel=("a", "b", "b")))
    assert error.value.param == "fusion.panel"


def test_an_overridden_judge_writes_too_unless_a_writer_is_named() -> None:
    """As OpenRouter's `model` does both."""
    known = catalog("a", "b", strategy="synthesize", judge="a", writer="a")
    roles = [planned(known, PROSE, overrides=wish) for wish in (Overrides(), Overrides(judge="b"), Overrides(writer="b"))]
    assert [(made.judge and made.judge.name, made.writer and made.writer.name) for made in roles] == [("a", "a"), ("b", "b"), ("a", "b")]


@pytest.mark.parametrize("wish", [Overrides(strategy="race"), Overrides(panel=("b",)), Overrides(judge="b"), Overrides(writer="b")], ids=str)
def test_a_member_takes_no_overrides(wish: Overrides) -> None:
    """By its own name it is asked as it is; a trace can be had of it."""
    with pytest.raises(BadRequest, match="needs a fusion as the model, and 'a' is a member") as error:
        planned(catalog("a", "b"), model="a", overrides=wish)
    assert error.value.param
    assert error.value.param.startswith("fusion.")
    assert planned(catalog("a"), model="a", overrides=Overrides(trace=True, progress=True)).strategy == "single"


@pytest.mark.parametrize("facts", [REMOTE, {"unavailable": "no key"}], ids=["paid", "unavailable"])
@pytest.mark.parametrize("strategy", ["synthesize", "vote"])
def test_a_judge_that_may_not_be_asked_is_none(facts: dict[str, Any], strategy: str) -> None:
    """Nobody else judges in its place, and the panel answers."""
    made = planned(catalog("a", "b", judge="j", strategy=strategy, facts={"j": facts}), PROSE)
    assert (made.judge, made.writer, voices(made)) == (None, None, ["a", "b"])
    assert made.strategy == ("single" if strategy == "vote" else "synthesize")


def test_a_free_remote_member_is_not_paid() -> None:
    """A price of zero is known to be none; an unknown price is not."""
    free, unknown = {**REMOTE, "tariff": Tariff.per_million(Decimal(0), Decimal(0))}, {**REMOTE, "tariff": None}
    made = planned(catalog("free", "unknown", "near", facts={"free": free, "unknown": unknown, "near": {"place": "lan"}}))
    assert (voices(made), [str(skip) for skip in made.skipped]) == (["free", "near"], ["budget: costs money, and there is no [budget]"])


def test_nobody_is_left_for_several_reasons() -> None:
    """503 with every member's own reason; nobody is back before the configuration changes."""
    with pytest.raises(Unavailable, match=r"nobody may answer \(a: no key; b: costs money, and there is no \[budget\]\)") as error:
        planned(catalog("a", "b", facts={"a": {"unavailable": "no key"}, "b": REMOTE}))
    assert (error.value.status, error.value.retry_after) == (503, None)


@pytest.mark.parametrize(
    ("out", "retry"),
    [
        ({"a": Out(reason="unavailable", why="x", lasting=True)}, None),
        ({"a": Out(reason="unavailable", why="x", lasting=True), "b": Out(reason="offline", why="y", lasting=True)}, None),
        ({"a": Out(reason="unavailable", why="x", lasting=True), "b": Out(reason="offline", why="y")}, 10),
        ({"a": Out(reason="unavailable", why="x", lasting=True), "b": Out(reason="cooling", why="y", until=130.0)}, 30),
    ],
)
def test_when_to_come_back(out: dict[str, Out], retry: float | None) -> None:
    """Where it helps: as long as somebody may be back by himself."""
    with pytest.raises(Unavailable) as error:
        planned(catalog("a", "b" if len(out) == 2 else "a"), now={"out": out})
    assert error.value.retry_after == retry


@pytest.mark.parametrize("text", ["x" * 800, "é" * 400, "\ud83d" * 267])
def test_a_context_is_surely_too_small_from_its_bytes(text: str) -> None:
    """800 bytes are 100 tokens at least: that fits, one token less does not, and an unknown context is tried."""
    facts: dict[str, dict[str, Any]] = {"fits": {"context": 100}, "small": {"context": 99}, "unknown": {"context": None}}
    made = planned(catalog("fits", "small", "unknown", kind="text", facts=facts), text)
    assert voices(made) == ["fits", "unknown"]
    assert [str(skip) for skip in made.skipped] == ["context: its context of 99 tokens is too small for the request"]


@pytest.mark.parametrize("strategy", ["vote", "select", "synthesize"])
def test_a_tools_result_needs_one_actor_too(strategy: str) -> None:
    """The turn after a call may come without the tools; who has several samples acts once."""
    turn = Message(role="tool", parts=(TextPart(text="12:00"),), call_id="c1")
    asked = question(YES_NO)
    made = plan(replace(asked, messages=(*asked.messages, turn)), catalog("a", "b", samples=2, strategy=strategy, judge="a"), situation(0.0))
    assert (made.strategy, made.because, made.wanted, voices(made)) == ("single", "actor", None, ["a", "b"])


def test_a_kind_of_the_fusion_stands_over_the_guess() -> None:
    """What is keyless by its words is voted on where the fusion says how."""
    made = planned(catalog("a", "b", kind="text"), PROSE)
    assert (made.strategy, made.because, made.wanted and made.wanted.kind) == ("vote", None, "text")
    assert planned(catalog("a", "b")).wanted == Wanted(kind="boolean", options=("yes", "no"))


@pytest.mark.parametrize("strategy", ["vote", "synthesize"])
@pytest.mark.parametrize("kind", ["json_object", "json_schema"])
def test_documents_are_voted_on(strategy: str, kind: Literal["json_object", "json_schema"]) -> None:
    """Under both strategies, with a judge or without one."""
    for judge in ("a", None):
        made = planned(catalog("a", "b", strategy=strategy, judge=judge), PROSE, format=Format(kind=kind))
        assert (made.strategy, made.because, made.wanted and made.wanted.kind) == ("vote", None, "json")


def test_single_asks_in_panel_order_and_each_once() -> None:
    """The order of takeover is what was written, whatever the skills; further samples are for votes."""
    facts = {"big": {"size": 70.0}}
    assert voices(planned(catalog("small", "big", facts=facts, samples=3, strategy="single"))) == ["small", "big"]


def test_without_a_seed_or_temperature_samples_are_asked_as_the_client_asks() -> None:
    """Nothing is made up; each voice has the same request, and counts for the same member."""
    made = planned(catalog("a", samples=2), sampling=Sampling(temperature=0.3, max_tokens=5))
    assert [call.request.sampling for call in made.calls] == [Sampling(temperature=0.3, max_tokens=5)] * 2
    assert [(voter.name, voter.member) for voter in made.voters] == [("a", "a"), ("a#2", "a")]
    assert call_of(made, "a#2").sample == 2


def test_the_limits_of_a_fusion_are_the_plans() -> None:
    """Quorum and grace as they are; the deadline is the fusion's, for every call."""
    made = planned(catalog("a", "b", quorum=1, grace_seconds=2.5, deadline_seconds=7.0))
    assert (made.quorum, made.grace, made.deadline, {call.deadline for call in made.calls}) == (1, 2.5, 107.0, {107.0})


def test_the_most_skilled_is_told_by_skill_and_then_by_the_panel() -> None:
    """Among those voices only; a configured skill counts."""
    made = planned(catalog("a", "b", "big", facts={"big": {"size": 70.0}}))
    assert [made.most_skilled(among) for among in (["a", "b", "big"], ["b", "a"], ["b"])] == ["big", "a", "b"]
    assert planned(catalog("a", "b", facts={"b": {"skill": 0.99}})).most_skilled(["a", "b"]) == "b"


# --- Money, privacy and health ---

LOCAL: dict[str, Any] = {"privacy": "local"}


def out(reason: Any, until: float | None = None, *names: str) -> dict[str, Any]:
    """A situation in which these members (`a`) are out."""
    return {"out": {name: Out(reason=reason, why=f"is {reason}", until=until) for name in names or ("a",)}}


@pytest.mark.parametrize(
    ("now", "status", "retry"),
    [
        ({"privacy": "lan"}, 403, None),
        ({}, 402, None),
        ({"budget": BudgetConfig(per_month_usd=Decimal(0))}, 402, None),
        (out("offline"), 503, 10),
        (out("cooling", 130.0), 503, 30),
        (out("cooling", 99.0), 503, 1),
        (out("unavailable", 160.0), 503, 60),
        ({"budget": RICH, "unpayable": "the disk is full"}, 503, 10),
    ],
    ids=str,
)
@pytest.mark.parametrize("model", ["a", "mine", "auto"])
def test_a_member_asked_for_by_its_name_says_why_not(now: dict[str, Any], status: int, retry: float | None, model: str) -> None:
    """Or by an alias, or where the routes lead to it: 403 of privacy, 402 of the budget, else 503 and when to come back."""
    served = replace(catalog("a", "b", facts={"a": DEAR}), aliases={"mine": "a"}, routes=(RouteConfig(use="mine"),))
    with pytest.raises(FusiondError) as error:
        planned(served, model=model, now=now)
    assert (error.value.status, error.value.retry_after) == (status, retry)
    assert error.value.message.find("a: ") >= 0
    assert voices(planned(served, now=now)) == ["b"]


def test_a_member_that_may_be_paid_is_asked() -> None:
    """By its name and in a fusion."""
    served = catalog("a", "b", facts={"a": DEAR})
    assert voices(planned(served, model="a", now={"budget": RICH})) == ["a"]
    made = planned(served, now={"budget": RICH})
    assert (voices(made), made.caps, made.final) == (["a", "b"], Caps(day=Decimal(100)), False)


def test_everybody_who_is_left_out_is_named_once() -> None:
    """Panel, escalation, judge and writer, each with its own reason."""
    facts: dict[str, dict[str, Any]] = {
        "near": {"place": "lan"},
        "far": DEAR,
        "dear": DEAR,
        "judge": {"place": "lan"},
        "writer": {"unavailable": "no key"},
    }
    cascade = catalog("a", "near", "far", strategy="cascade", escalate=("dear",), facts=facts)
    assert left_out(planned(cascade, now=LOCAL)) == [("near", "privacy"), ("far", "privacy"), ("dear", "privacy")]
    assert left_out(planned(cascade)) == [("far", "budget"), ("dear", "budget")]
    synthesis = catalog("a", "near", strategy="synthesize", judge="judge", writer="writer", facts=facts)
    assert left_out(planned(synthesis, PROSE, now=LOCAL)) == [("near", "privacy"), ("judge", "privacy"), ("writer", "unavailable")]
    both = catalog("a", "near", strategy="synthesize", judge="near", writer="near", facts=facts)
    assert left_out(planned(both, PROSE, now=LOCAL)) == [("near", "privacy")]


def test_who_is_not_needed_is_not_judged() -> None:
    """A judge where answers are counted, an escalation where nobody is paid besides."""
    assert left_out(planned(catalog("a", judge="j", writer="w", facts={"j": DEAR, "w": DEAR}))) == []
    assert left_out(planned(catalog("a", strategy="vote", escalate=("x",), facts={"x": DEAR}))) == []


def test_limits_of_the_request_hold_and_looser_ones_are_named() -> None:
    """As `terms` has them."""
    asked = question().limited(
        Limit(name="X-Fusiond-Privacy", privacy="any"),
        Limit(name="fusion.privacy", privacy="lan"),
        Limit(name="X-Fusiond-Max-Cost", max_cost_usd=Decimal(2)),
        Limit(name="fusion.max_cost_usd", max_cost_usd=Decimal("0.5")),
    )
    served = catalog("a", "far", max_cost_usd=Decimal(1), facts={"far": DEAR})
    made = plan(asked, served, situation(0.0, budget=RICH))
    assert (made.privacy, made.caps, voices(made)) == ("lan", Caps(request=Decimal("0.5"), day=Decimal(100)), ["a"])
    assert made.ignored == ("X-Fusiond-Privacy", "X-Fusiond-Max-Cost")


def test_a_fusions_own_privacy_is_no_members() -> None:
    """It holds for the recipe; by its own name the member may be asked."""
    served = catalog("near", "a", privacy="local", facts={"near": {"place": "lan"}})
    assert (voices(planned(served)), planned(served).privacy) == (["a"], "local")
    assert planned(served, model="near").privacy == "any"


@pytest.mark.parametrize(
    ("facts", "kind"),
    [
        ((DEAR, DEAR), OverBudget),
        (({"place": "lan"}, {"place": "lan"}), Forbidden),
        (({"context": 1}, DEAR), ContextExceeded),
        (({"context": 1}, {"place": "lan"}), ContextExceeded),
        (({"vision": False}, DEAR), BadRequest),
        (({"place": "lan"}, DEAR), Forbidden),
        (({"tariff": DEAR["tariff"]}, {"place": "lan"}), Forbidden),
        (({"unavailable": "gone"}, {"context": 1}), Unavailable),
        (({"unavailable": "gone"}, {"place": "lan"}), Unavailable),
    ],
    ids=str,
)
def test_nobody_is_left(facts: tuple[dict[str, Any], dict[str, Any]], kind: type[FusiondError]) -> None:
    """Somebody may be back: 503. Else what the client can mend itself comes first, then what forbids it; every reason is told."""
    request = question("word " * 100)
    request = replace(request, messages=(*request.messages, IMAGE))
    now: dict[str, Any] = {"privacy": "local"} if {"place": "lan"} in facts else {}
    with pytest.raises(kind) as error:
        plan(request, catalog("a", "b", facts=dict(zip("ab", facts, strict=True))), situation(0.0, **now))
    assert type(error.value) is kind
    assert "a: " in error.value.message
    assert "b: " in error.value.message
    assert error.value.retry_after is None  # nobody is back before the configuration changes


def test_the_first_who_is_back_says_when() -> None:
    """Of those out for a while."""
    facts = {"a": Out(reason="cooling", why="x", until=150.0), "b": Out(reason="cooling", why="y", until=107.0), "c": Out(reason="offline", why="z")}
    with pytest.raises(Unavailable) as error:
        planned(catalog("a", "b", "c"), now={"out": facts})
    assert error.value.retry_after == 7


@pytest.mark.parametrize(
    ("members", "fusion"),
    [
        (("a", "x"), {}),
        (("a",), {"strategy": "cascade", "escalate": ("x",)}),
        (("a", "b"), {"strategy": "synthesize", "judge": "x", "writer": "a"}),
        (("a", "b"), {"strategy": "synthesize", "judge": "a", "writer": "x"}),
        (("a", "b"), {"strategy": "select", "judge": "x"}),
    ],
    ids=str,
)
def test_an_exhausted_budget_may_refuse_the_whole_request(members: tuple[str, ...], fusion: dict[str, Any]) -> None:
    """With `reject`, whoever is too dear; with `local` the others answer, and so they do where there is no budget to exhaust."""
    served = catalog(*members, facts={"x": DEAR}, **fusion)
    with pytest.raises(OverBudget, match=r"^nobody is asked, since budget.when_exhausted is 'reject' \(x: could cost \$") as error:
        planned(served, now={"budget": STRICT}, sampling=Sampling(max_tokens=10_000))
    assert (error.value.status, error.value.param) == (402, "model")
    for budget in (None, replace(STRICT, when_exhausted="local")):
        made = planned(served, now={"budget": budget}, sampling=Sampling(max_tokens=10_000))
        assert "x" not in voices(made)
        assert not made.final
    assert planned(served, now={"budget": replace(STRICT, per_request_usd=None)}).final


def test_only_the_budget_rejects() -> None:
    """Who is left out for another reason is no reason to refuse."""
    facts = {"gone": {"unavailable": "no key"}, "unpriced": REMOTE, "near": {"place": "lan"}}
    made = planned(catalog("a", *facts, facts=facts), now={"budget": STRICT, "privacy": "any", **out("cooling", None, "near")})
    assert left_out(made) == [("gone", "unavailable"), ("unpriced", "unavailable"), ("near", "cooling")]
    made = planned(catalog("a", "x", facts={"x": DEAR}), now={"budget": STRICT, "privacy": "local"}, sampling=Sampling(max_tokens=10_000))
    assert left_out(made) == [("x", "privacy")]


def test_a_judge_that_could_not_be_paid_leaves_the_choice_to_skill() -> None:
    """Of a keyless vote: no judge, so that the most skilled answers; it is named."""
    made = planned(catalog("a", "b", judge="j", facts={"j": DEAR}), PROSE)
    assert (made.strategy, made.because, left_out(made)) == ("single", "no_key", [("j", "budget")])


def test_images_are_shown_to_the_writer_and_not_to_the_judge() -> None:
    """The writer has the conversation as it is."""
    asked = replace(question(PROSE), messages=(*question(PROSE).messages, IMAGE))
    blind = {"vision": False}
    made = plan(asked, catalog("a", "b", strategy="synthesize", judge="j", writer="w", facts={"j": blind, "w": blind}), situation(0.0))
    assert (made.judge and made.judge.name, made.writer) == ("j", None)
    assert left_out(made) == [("w", "modality")]


def test_a_judge_whose_context_is_surely_too_small_is_none() -> None:
    """It reads the whole conversation, whatever else; so does the writer."""
    small = {"context": 10}
    served = catalog("a", "b", strategy="synthesize", judge="j", writer="w", facts={"j": small, "w": small})
    assert left_out(planned(served, PROSE * 100)) == [("j", "context"), ("w", "context")]
    assert left_out(planned(served, PROSE)) == []


# --- Cascades ---


def cascade(*panel: str, facts: dict[str, dict[str, Any]] | None = None, **fusion: Any) -> Catalog:
    """A panel that asks `x` and `y`, who cost money, if need be."""
    priced = {"x": DEAR, "y": {"place": "remote", "tariff": Tariff.per_million(Decimal("0.3"), Decimal("1.5"))}}
    return catalog(*panel, facts={**priced, **(facts or {})}, strategy="cascade", escalate=("x", "y"), **fusion)


RICHLY: dict[str, Any] = {"budget": RICH}


def asked_besides(plan: Plan) -> list[str]:
    """The escalation's voices."""
    return [call.voice for call in plan.escalation]


def test_a_keyed_request_is_a_cascade() -> None:
    """The panel is asked, the others may be; all have a voice in the vote, and the dearest the highest rank."""
    made = planned(cascade("a", "b", thrift=0.3, accept=0.9), now=RICHLY)
    assert (made.strategy, made.because, voices(made), asked_besides(made)) == ("cascade", None, ["a", "b"], ["x", "y"])
    assert (made.thrift, made.accept) == (0.3, 0.9)
    assert [(voter.name, voter.paid, round(voter.rank, 3)) for voter in made.voters] == [
        ("a", False, 1.0),
        ("b", False, 1.0),
        ("x", True, 1.0),
        ("y", True, 0.0),
    ]
    assert all(call.patient for call in (*made.calls, *made.escalation))
    assert {call.deadline for call in made.escalation} == {made.deadline}


def test_a_document_is_keyed() -> None:
    """JSON is voted on, and paid for, as a cascade."""
    made = planned(cascade("a"), PROSE, now=RICHLY, format=DOCUMENT)
    assert (made.strategy, made.wanted and made.wanted.kind, asked_besides(made)) == ("cascade", "json", ["x", "y"])


def test_a_keyless_request_is_answered_by_one() -> None:
    """The most skilled of the panel; who is paid takes over last, in the order of the file. Only the last is waited for with patience."""
    made = planned(cascade("small", "big", samples=2, facts={"big": {"size": 70.0}}), PROSE, now=RICHLY)
    assert (made.strategy, made.because, voices(made), made.escalation) == ("single", "no_key", ["big", "small", "x", "y"], ())
    assert [call.patient for call in made.calls] == [False, False, False, True]
    assert [voter.name for voter in made.voters] == voices(made)


@pytest.mark.parametrize(
    ("facts", "order"),
    [
        ({"big": {"size": 70.0}}, ["big", "small", "x", "y"]),
        ({"big": {"size": 70.0, "tools": False}}, ["small", "x", "y", "big"]),
        ({"big": {"tools": False}, "small": {"tools": False}, "x": DEAR | {"tools": False}}, ["y", "small", "big", "x"]),
    ],
    ids=str,
)
def test_tools_of_a_cascade(facts: dict[str, dict[str, Any]], order: list[str]) -> None:
    """One actor: who can call them comes first, of those who cost nothing before those who are paid."""
    made = planned(cascade("small", "big", facts=facts), now=RICHLY, tools=TOOLS)
    assert (made.strategy, made.because, voices(made), made.escalation) == ("single", "actor", order, ())


def test_a_cascade_without_a_panel() -> None:
    """Asks those who may be paid; without a budget there is nobody."""
    gone = {"a": {"unavailable": "gone"}}
    made = planned(cascade("a", facts=gone), now=RICHLY)
    assert (made.calls, asked_besides(made), made.asked_for) == ((), ["x", "y"], "fusion/default")
    assert voices(planned(cascade("a", facts=gone), PROSE, now=RICHLY)) == ["x", "y"]
    with pytest.raises(Unavailable, match="a: gone; x: costs money"):
        planned(cascade("a", facts=gone))


def test_nobody_has_two_places() -> None:
    """Who is on a panel that the request names is not asked besides."""
    made = planned(cascade("a"), now=RICHLY, overrides=Overrides(panel=("x", "a")))
    assert (voices(made), asked_besides(made)) == (["x", "a"], ["y"])


def test_another_strategy_asks_nobody_besides() -> None:
    """Where a request chooses it; and a cascade that it chooses has nobody to ask."""
    assert asked_besides(planned(cascade("a"), now=RICHLY, overrides=Overrides(strategy="vote"))) == []
    made = planned(catalog("a", "b"), now=RICHLY, overrides=Overrides(strategy="cascade"))
    assert (made.strategy, asked_besides(made)) == ("cascade", [])


@pytest.mark.parametrize(
    ("served", "fields", "paid"),
    [
        (catalog("a", "b"), {}, 1),
        (catalog("a", "x", "y", facts={"x": DEAR, "y": DEAR}), {}, 2),
        (catalog("x", samples=3, facts={"x": DEAR}), {}, 3),
        (catalog("x", "y", strategy="single", facts={"x": DEAR, "y": DEAR}), {}, 1),
        (catalog("x", "y", strategy="race", facts={"x": DEAR, "y": DEAR}), {}, 2),
        (catalog("a", "x", strategy="select", judge="x", facts={"x": DEAR}), {}, 3),
        (catalog("a", "b", strategy="synthesize", judge="x", writer="y", facts={"x": DEAR, "y": DEAR}), {}, 2),
        (catalog("a", "b", strategy="synthesize", judge="a", writer="y", facts={"y": DEAR}), {}, 1),
        (catalog("a", "b", strategy="synthesize", writer="y", facts={"y": DEAR}), {}, 2),
        (catalog("a", "x", strategy="synthesize", judge="x", writer="gone", facts={"x": DEAR, "gone": {"unavailable": "gone"}}), {}, 1),
        (catalog("a", "x", strategy="synthesize", judge="x", writer="x", rounds=2, facts={"x": DEAR}), {}, 6),
        (catalog("a", strategy="refine", judge="x", writer="y", facts={"x": DEAR, "y": DEAR}), {}, 4),
        (catalog("a", "x", strategy="refine", rounds=2, facts={"x": DEAR}), {}, 9),
        (cascade("a", "b"), {}, 2),
        (cascade("a", "b"), {"tools": TOOLS}, 1),
        (catalog("a", "z", strategy="cascade", escalate=("x", "b"), facts={"x": DEAR, "z": DEAR}), {}, 2),
    ],
)
def test_how_many_calls_may_be_paid(served: Catalog, fields: dict[str, Any], paid: int) -> None:
    """At the most, one at least: so many share what one request may cost. Those who take over from each other are one."""
    made = planned(served, now=RICHLY, **fields)
    assert made.strategy == ("single" if "tools" in fields else served.fusions["default"].config.strategy)
    assert made.paid == paid


def test_what_is_remembered_of_this_kind_of_traffic() -> None:
    """Under the name by which the answer will be told, and the kind of its keys."""
    heard = Traffic(length=Mean(count=3, value=40.0))
    served = cascade("a")
    name = planned(served).asked_for
    now = {"traffic": {(name, "boolean"): heard, (name, "number"): Traffic()}}
    assert planned(served, now=now).traffic == heard
    assert planned(served, now=now, format=DOCUMENT).traffic == Traffic()
    assert planned(served, PROSE, now=now).traffic == Traffic()


def test_a_share_to_spend_makes_the_thrift() -> None:
    """It is that which has spent the share so far, in this kind of traffic; a thrift that is given stays."""
    now = {"traffic": {("fusion/default", "boolean"): Traffic(thrift=0.22)}}
    held, given = planned(cascade("a", spend=0.33), now=now), planned(cascade("a", thrift=0.3), now=now)
    assert (held.thrift, held.spend) == (0.22, 0.33)
    assert (given.thrift, given.spend) == (0.3, None)


# --- Routes ---


def test_auto_follows_the_routes() -> None:
    """The first that matches; a fusion, a member or an alias; without a match the default fusion, by any name that stands for `auto`."""
    served = replace(
        catalog("a", "b"),
        routes=(
            RouteConfig(use="b", when=Conditions(tools=True)),
            RouteConfig(use="mine", when=Conditions(task="prose", max_prompt_tokens=100)),
            RouteConfig(use="openrouter/fusion", when=Conditions(task="number")),
        ),
        aliases={"mine": "a", "gpt-4o": "auto"},
    )
    for name in ("auto", "gpt-4o"):
        assert voices(planned(served, model=name, tools=TOOLS)) == ["b"]
        assert planned(served, PROSE, model=name).asked_for == "a"
        assert planned(served, "How many days has a leap year? Answer with a number only.", model=name).strategy == "synthesize"
        assert planned(served, model=name).asked_for == planned(served, PROSE * 50, model=name).asked_for == "fusion/default"
    assert planned(served, PROSE, model="fusion").asked_for == "fusion/default"


def test_auto_that_leads_to_a_member_takes_no_overrides() -> None:
    """And the error says what it stands for."""
    served = replace(catalog("a", "b"), routes=(RouteConfig(use="b"),))
    with pytest.raises(BadRequest, match="needs a fusion as the model, and 'auto' stands for the member 'b'"):
        planned(served, model="auto", overrides=Overrides(judge="a"))


# --- Names of an override ---


def test_an_override_may_name_a_model() -> None:
    """As OpenRouter's slugs do: the first member with it, in the order of the file; a member's own name comes first."""
    served = catalog("odd", "a", "b", "sonnet", "again", judge="b")
    models = {"odd": "a", "sonnet": "anthropic/sonnet", "again": "anthropic/sonnet"}
    served = replace(served, members={name: replace(member, model=models.get(name, name)) for name, member in served.members.items()})
    made = planned(served, PROSE, overrides=Overrides(strategy="synthesize", panel=("anthropic/sonnet", "a"), judge="anthropic/sonnet"))
    assert (voices(made), made.judge and made.judge.name, made.writer and made.writer.name) == (["sonnet", "a"], "sonnet", "sonnet")
    with pytest.raises(BadRequest, match=r"fusion\.panel names 'sonnet' more than once"):
        planned(served, overrides=Overrides(panel=("anthropic/sonnet", "sonnet")))


def test_tools_that_nobody_can_call_are_named() -> None:
    """The answer is prose then, and says that it is; where it had to be a call, it is an error."""
    deaf = catalog("a", "b", facts={"a": {"tools": False}, "b": {"tools": False}})
    add = Tool(name="add")
    assert planned(deaf, tools=(add,)).ignored == ("tools",)
    assert planned(catalog("a", "b", facts={"a": {"tools": False}}), tools=(add,)).ignored == ()
    with pytest.raises(BadRequest, match=r"nobody asked can call tools \(a, b\)") as error:
        planned(deaf, tools=(add,), tool_choice=ToolChoice(mode="required"))
    assert error.value.param == "tool_choice"
