"""Who is asked, how, and by when."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest

from fusiond.catalog import Catalog, served
from fusiond.chat import Format, ImagePart, Message, Overrides, Sampling, Tool
from fusiond.config.tree import Seat
from fusiond.errors import BadRequest, ContextExceeded, FusiondError, OverBudget, Unavailable, UnknownModel
from fusiond.plan import Plan, plan
from tests.asking import question
from tests.planning import PROSE, YES_NO, catalog

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
