"""Who is asked, how, and by when."""

from __future__ import annotations

from dataclasses import replace
from decimal import Decimal
from typing import Any, Literal

import pytest

from fusiond.catalog import Catalog, served
from fusiond.chat import Format, ImagePart, Message, Overrides, Sampling, TextPart, Tool
from fusiond.config.tree import Price, Seat
from fusiond.errors import BadRequest, ContextExceeded, FusiondError, OverBudget, Unavailable, UnknownModel
from fusiond.keys import Wanted
from fusiond.plan import Plan, plan
from tests.asking import question
from tests.planning import PROSE, YES_NO, call_of, catalog

REMOTE = {"place": "remote"}


def planned(served: Catalog, text: str = YES_NO, **fields: Any) -> Plan:
    """The plan for a question at time 100."""
    return plan(question(text, **fields), served, 100.0)


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
    found = plan(replace(asked, messages=(*asked.messages, image)), catalog("paid", "gone", "small", "blind", "a", "b", facts=facts), 0.0)
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
        plan(question(messages=(Message(role="user", parts=(ImagePart(url="data:,"),)),)), catalog("a", facts={"a": {"vision": False}}), 0.0)


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
    assert error.value.param == "fusion.panel"
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
        with pytest.raises(UnknownModel, match=f"fusion.{field}: no member named '{name}'") as error:
            planned(known, overrides=Overrides(**wish))
        assert error.value.param == f"fusion.{field}"
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
    free, unknown = {**REMOTE, "price": Price(input=Decimal(0), output=Decimal(0))}, {**REMOTE, "price": None}
    made = planned(catalog("free", "unknown", "near", facts={"free": free, "unknown": unknown, "near": {"place": "lan"}}))
    assert (voices(made), [str(skip) for skip in made.skipped]) == (["free", "near"], ["budget: costs money, and there is no [budget]"])


def test_nobody_is_left_for_several_reasons() -> None:
    """503 with a time to come back, and every member's own reason."""
    with pytest.raises(Unavailable, match=r"nobody may answer \(a: no key; b: costs money, and there is no \[budget\]\)") as error:
        planned(catalog("a", "b", facts={"a": {"unavailable": "no key"}, "b": REMOTE}))
    assert (error.value.status, error.value.retry_after) == (503, 10)


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
    made = plan(replace(asked, messages=(*asked.messages, turn)), catalog("a", "b", samples=2, strategy=strategy, judge="a"), 0.0)
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
