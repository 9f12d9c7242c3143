"""Which answer is delivered where code is wanted: members are scripts, and what is found out about their code is found out by the real workshop."""

from __future__ import annotations

import asyncio
import json
from typing import Any

import pytest

from fusiond.catalog import Catalog
from fusiond.code.workshop import Workshop
from fusiond.errors import AllFailed, Garbled
from fusiond.events import Finished, Progress, Text
from fusiond.fuse import fused
from fusiond.fuse.outcome import Decided
from fusiond.merge import gathering
from fusiond.plan import plan
from tests.asking import question
from tests.planning import Stage, catalog, situation

PROMPT = "Write a Python function double(x). For example, double(2) == 4 and double(-1) == -2."
SUM = "```python\ndef double(x):\n    return x + x\n```"
PRODUCT = "```python\ndef double(x):\n    return 2 * x\n```"
WRONG = "```python\ndef double(x):\n    return x ** 2\n```"
NARROW = "```python\ndef double(x):\n    return 4 if x == 2 else -2\n```"
BROKEN = "```python\ndef double(x)\n```"


async def chosen(served: Catalog, scripts: dict[str, Any], text: str = PROMPT, *, run: bool = True) -> tuple[Decided, str, Stage]:
    """What was decided, what was delivered, and who was asked; skipped where nothing can be run."""
    stage, workshop = Stage(scripts), Workshop()
    planned = plan(question(text), served, situation(run_code=run))
    assert planned.code is not None
    async with gathering(stage.listen) as members:
        said = [event async for event in fused(planned, members, workshop)]
    if workshop.barred:
        pytest.skip(f"no jail on this machine: {workshop.barred}")
    [decided] = [event for event in said if isinstance(event, Decided)]
    assert isinstance(said[-1], Finished)
    assert all(isinstance(event, Progress) for event in said[: said.index(decided)])
    return decided, "".join(event.text for event in said if isinstance(event, Text)), stage


def told(decided: Decided) -> dict[str, Any]:
    """The trace's part about the choice."""
    assert decided.analysis is not None
    return dict(decided.analysis)


async def test_examples_outweigh_a_majority() -> None:
    """And the members' skill."""
    served = catalog("a", "b", "c", strategy="vote", facts={"a": {"size": 70.0}})
    decided, text, _ = await chosen(served, {"a": [WRONG], "b": [WRONG], "c": [SUM]})
    assert (text, decided.decision, told(decided)["reason"]) == (SUM, "selected", "examples")
    assert decided.agreement == 1 / 3


async def test_behaviour_decides_among_those_that_pass() -> None:
    """What two members do that wrote different code, on inputs that no example has, against one that knows the examples by heart."""
    served = catalog("a", "b", "c", strategy="vote", facts={"a": {"size": 9.0}})
    decided, text, _ = await chosen(served, {"a": [NARROW], "b": [SUM], "c": [PRODUCT]})
    assert (text, decided.voice, told(decided)["reason"]) == (SUM, "b", "cluster")
    clusters = {voice: facts["cluster"] for voice, facts in told(decided)["candidates"].items()}
    assert clusters["b"] == clusters["c"] != clusters["a"]


async def test_samples_of_one_member_are_no_second_opinion() -> None:
    """The judge decides, and sees one of each kind, without knowing whose."""
    served = catalog("a", "b", samples=2, strategy="vote", judge="j")
    verdict = [json.dumps({"winner": "A"})]
    decided, _, stage = await chosen(served, {"a": [NARROW], "a#2": [NARROW], "b": [SUM], "b#2": [BROKEN], "j": verdict})
    assert told(decided)["reason"] == "judge"
    shown = [call.request.messages[-1].text for call in stage.asked if call.role == "judge"]
    assert len(shown) == 2
    assert all(text.count("def double") == 2 for text in shown)


async def test_a_judge_who_names_nobody_leaves_it_to_the_members_skill() -> None:
    """And the answer says so."""
    served = catalog("a", "b", strategy="select", judge="j", facts={"b": {"size": 70.0}})
    decided, text, _ = await chosen(served, {"a": [NARROW], "b": [SUM], "j": ["Who knows."]})
    assert (text, told(decided)["reason"], decided.degraded) == (SUM, "skill", ("judge_failed",))


async def test_without_a_judge_the_most_skilled_of_the_best() -> None:
    """Not of all."""
    served = catalog("a", "b", "c", strategy="vote", facts={"a": {"skill": 0.9}, "b": {"skill": 0.5}, "c": {"skill": 0.7}})
    decided, text, _ = await chosen(served, {"a": [WRONG], "b": [NARROW], "c": [SUM]})
    assert (text, told(decided)["reason"]) == (SUM, "skill")


async def test_what_cannot_be_read_is_not_delivered_while_anything_can() -> None:
    """Also where nothing is run."""
    served = catalog("a", "b", strategy="vote", facts={"a": {"size": 70.0}})
    decided, text, _ = await chosen(served, {"a": [BROKEN], "b": [WRONG]}, run=False)
    assert (text, told(decided)["not_run"]) == (WRONG, "code.run is false")


async def test_who_does_not_answer_is_left_out() -> None:
    """One that does is relayed; where nobody does, the error is everybody's."""
    boom = Garbled("boom")
    served = catalog("a", "b", strategy="vote")
    decided, text, _ = await chosen(served, {"a": [boom], "b": [WRONG]})
    assert (text, decided.decision, told(decided)["reason"]) == (WRONG, "relayed", "only")
    with pytest.raises(AllFailed):
        await chosen(served, {"a": [boom], "b": [boom]})


async def test_a_cascade_asks_beyond_its_panel_only_where_the_examples_fail() -> None:
    """One after the other, until they do not, or nobody is left; where nobody of the panel answers, too."""
    served = catalog("a", "b", strategy="cascade", escalate=("c", "d"))
    for panel, asked, delivered in (
        ((SUM, WRONG), "ab", SUM),
        ((WRONG, WRONG), "abc", PRODUCT),
        ((Garbled("x"), Garbled("y")), "abc", PRODUCT),
    ):
        _, text, stage = await chosen(served, {"a": [panel[0]], "b": [panel[1]], "c": [PRODUCT], "d": [SUM]})
        assert (text, "".join(call.voice for call in stage.asked)) == (delivered, asked)
    _, text, stage = await chosen(served, {"a": [WRONG], "b": [WRONG], "c": [BROKEN], "d": [NARROW]})
    assert (text, "".join(call.voice for call in stage.asked)) == (NARROW, "abcd")
    _, text, stage = await chosen(served, {"a": [WRONG], "b": [WRONG], "c": [PRODUCT], "d": [SUM]}, run=False)
    assert (text, "".join(call.voice for call in stage.asked)) == (WRONG, "ab")


async def test_the_quorum_holds_for_code_too() -> None:
    """Who is late is not waited for."""
    served = catalog("a", "b", "c", strategy="vote", quorum=2, grace_seconds=0.01)
    decided, text, stage = await chosen(served, {"a": [SUM], "b": [WRONG], "c": [asyncio.Event()]})
    assert (text, decided.degraded) == (SUM, ("quorum",))
    assert "c" in stage.closed


@pytest.mark.parametrize(
    ("text", "fusion", "strategy"),
    [
        (PROMPT, {"strategy": "vote"}, "vote"),
        (PROMPT, {"strategy": "select", "judge": "j"}, "select"),
        (PROMPT, {"strategy": "cascade"}, "cascade"),
        ("Write a Rust function.", {"strategy": "vote", "judge": "j"}, "vote"),
        ('Solve it:\n```\ndef f(number: float) -> float:\n    """How many are there?"""\n```', {"strategy": "vote"}, "vote"),
    ],
)
def test_where_code_is_chosen(text: str, fusion: dict[str, Any], strategy: str) -> None:
    """By a vote, a selection or a cascade, whose name stays."""
    planned = plan(question(text), catalog("a", "b", **fusion), situation(0.0, run_code=True))
    assert (planned.strategy, planned.because, planned.wanted) == (strategy, None, None)
    assert planned.code is not None
    assert planned.code.run
    assert (planned.judge is not None) is ("judge" in fusion)


@pytest.mark.parametrize(
    ("text", "members", "fusion"),
    [
        ("Tell me about the sea.", "ab", {"strategy": "vote"}),
        ("Is 7 prime? Answer yes or no.", "ab", {"strategy": "vote"}),
        ("Write a Rust function.", "ab", {"strategy": "vote"}),
        (PROMPT, "a", {"strategy": "vote"}),
        (PROMPT, "ab", {"strategy": "single"}),
        (PROMPT, "ab", {"strategy": "race"}),
        (PROMPT, "ab", {"strategy": "synthesize", "judge": "j"}),
        (PROMPT, "ab", {"strategy": "vote", "kind": "text"}),
    ],
)
def test_where_it_is_not(text: str, members: str, fusion: dict[str, Any]) -> None:
    """No code is wanted, there is no choice, nothing to choose by, or the fusion is for something else."""
    assert plan(question(text), catalog(*members, **fusion), situation(0.0)).code is None
