"""Recorded answers replayed, and what they change of a fusion: where there is a gain, and not elsewhere."""

from __future__ import annotations

import gzip
import json
import random
from decimal import Decimal
from pathlib import Path
from typing import Any

import pytest

from fusiond.policy.belief import Voter
from fusiond.scoring.questions import BadSet
from fusiond.scoring.recorded import read_recorded
from fusiond.scoring.replay import Recorded, Said, Voice, replayed
from fusiond.scoring.tuning import FEWEST, fitted, result, tuned

PRICE = (Decimal(1), Decimal(10))
PANEL = [Voice(voter=Voter(name="a", size=30)), Voice(voter=Voter(name="b", size=8)), Voice(voter=Voter(name="dear", paid=True), price=PRICE)]


def record(name: str, options: int = 0, **keys: str | None) -> Recorded:
    """A question whose truth is "A"."""
    said = {member: Said(key=key, prompt_tokens=100, completion_tokens=10) for member, key in keys.items()}
    return Recorded(id=name, kind="choice", options=options, truth="A", said=said)


def drawn(count: int, seed: int = 3, **chances: float) -> list[Recorded]:
    """Questions of four options, on which each is right with its chance."""
    draw = random.Random(seed)
    return [
        record(str(number), options=4, **{member: "A" if draw.random() < chance else draw.choice("BCD") for member, chance in chances.items()})
        for number in range(count)
    ]


def test_a_replay_pays_only_where_that_is_worth_it() -> None:
    """Those who agree are believed; in a dispute the dear one is asked, at the price of its own answer."""
    agreed, disputed = replayed(PANEL, [record("1", a="A", b="A", dear="B"), record("2", a="B", b="C", dear="A")], thrift=0.05)
    cost = (PRICE[0] * 100 + PRICE[1] * 10) / 1_000_000
    assert (agreed.right, agreed.best, agreed.spent, agreed.always) == (True, False, Decimal(0), cost)
    assert (disputed.best, disputed.spent, disputed.always) == (True, cost, cost)
    told = result([agreed, disputed])
    assert (told.questions, told.strongest, told.cost) == (2, 0.5, 0.5)


def test_a_panel_that_costs_nothing() -> None:
    """Nobody is paid; the strongest is the most skilled."""
    (settled,) = replayed(PANEL[:2], [record("1", a="A", b="B")], thrift=0.1)
    assert (settled.right, settled.best, settled.spent, settled.always) == (True, True, Decimal(0), Decimal(0))
    assert result([settled]).cost == 0


def test_few_questions_change_nothing() -> None:
    """The defaults stay, and are measured."""
    finding = tuned("choice", PANEL, drawn(FEWEST - 1, a=0.2, b=0.9, dear=0.9), 0.1)
    assert (finding.after, finding.now, finding.before.panel) == (finding.before, finding.then, ("a", "b"))


def test_a_member_that_is_better_than_its_size_is_found() -> None:
    """Its vote weighs more then: more is right, also of questions that nobody has seen; and where all is as believed, little is won or lost."""
    finding = tuned("choice", PANEL, drawn(120, a=0.3, b=0.95, dear=0.6), 0.1)
    assert finding.after.skills["b"] > finding.after.skills["dear"] > finding.after.skills["a"]
    assert finding.then.right > finding.now.right + 0.1
    new = drawn(200, seed=4, a=0.3, b=0.95, dear=0.6)
    tuned_to = result(replayed(fitted(PANEL, finding.after), new, finding.after.thrift))
    assert tuned_to.right > result(replayed(PANEL, new, 0.1)).right + 0.1


def test_answers_in_both_forms_are_read(tmp_path: Path) -> None:
    """By the names of members, whoever is not looked at left out; what cannot be counted is left out, too."""
    part = {"sample": 1, "status": "answered", "prompt_tokens": 9, "completion_tokens": 3}
    line: dict[str, Any] = {"id": "1", "kind": "number", "options": 0, "gold": "4", "members": [
        {**part, "member": "a", "key": "4", "right": True}, {**part, "member": "b", "key": "5", "right": False},
        {**part, "member": "a", "sample": 2, "key": "6", "right": False}, {**part, "member": "x", "key": "4", "right": True},
    ]}  # fmt: skip
    stored = tmp_path / "answers.jsonl"
    stored.write_text("\n".join(json.dumps(each) for each in (line, {**line, "id": "2", "kind": None})), encoding="utf-8")
    said = {"prompt_tokens": 7, "completion_tokens": 2}
    row = {"id": "3", "question": "Which?\nA) x\nB) y\nAnswer with the letter.", "gold_key": "B", "answers": {
        "a-7b": {**said, "extracted": "B", "correct": True}, "x": {**said, "extracted": None, "correct": False},
    }}  # fmt: skip
    packed = tmp_path / "rows.jsonl.gz"
    packed.write_bytes(gzip.compress(json.dumps(row).encode()))
    found = read_recorded([stored, packed], {"a": "a", "b": "b", "a-7b": "a"}.get)
    assert found == [
        Recorded(id="1", kind="number", options=0, truth="4", said={"a": Said(key="4", prompt_tokens=9, completion_tokens=3),
                                                                     "b": Said(key="5", prompt_tokens=9, completion_tokens=3)}),
        Recorded(id="3", kind="choice", options=2, truth="B", said={"a": Said(key="B", prompt_tokens=7, completion_tokens=2)}),
    ]  # fmt: skip


@pytest.mark.parametrize(
    ("text", "fault"),
    [("{", ":1: is no JSON: "), ("{}", ":1: is no recorded answer of fusiond eval, nor a question"), ("[]", ":1: is no recorded answer")],
)
def test_what_is_no_recorded_answer(text: str, fault: str, tmp_path: Path) -> None:
    """File, line and what it should be."""
    file = tmp_path / "x.jsonl"
    file.write_text(text, encoding="utf-8")
    with pytest.raises(BadSet) as bad:
        read_recorded([file], str)
    assert str(bad.value).startswith(f"{file}{fault}")
