"""What fully asked requests teach of skills: answers drawn from the model itself, so that what should be learnt is known."""

from __future__ import annotations

import random
from dataclasses import replace

import pytest

from fusiond.policy.belief import Model, Voter, roles
from fusiond.policy.learn import Lesson, learn, mean_chance

MODEL = Model()
PANEL = (Voter(name="a", size=30), Voter(name="b", size=8), Voter(name="dear", paid=True))


def lessons(count: int, chances: dict[str, float], seed: int = 1) -> list[Lesson]:
    """Requests with four offered values, on which each voter is right with its chance, and wrong anywhere."""
    draw = random.Random(seed)
    found = []
    for _ in range(count):
        votes = {voter: "A" if draw.random() < chances[voter.name] else draw.choice("BCD") for voter in PANEL}
        found.append(Lesson(votes=votes, truth="A", options=4))
    return found


def defaults() -> dict[str, float]:
    """What is believed without a lesson."""
    return {voter.name: mean_chance(role.skill, MODEL.spread) for voter, role in roles(MODEL, PANEL).items()}


def test_nothing_teaches_nothing() -> None:
    """The defaults stay, whatever they are, and as priors they mean the same."""
    learnt = learn(MODEL, PANEL, [])
    assert learnt == pytest.approx(defaults())
    as_priors = [replace(voter, prior=learnt[voter.name]) for voter in PANEL]
    assert [role.skill for role in roles(MODEL, as_priors).values()] == pytest.approx([role.skill for role in roles(MODEL, PANEL).values()])


def test_skills_go_where_the_answers_are() -> None:
    """A small one that is always right rises, a dear one that is often wrong falls; the more requests, the further."""
    chances = {"a": 0.6, "b": 0.95, "dear": 0.4}
    few, many = (learn(MODEL, PANEL, lessons(count, chances)) for count in (40, 400))
    assert defaults()["b"] < few["b"] < many["b"]
    assert defaults()["dear"] > few["dear"] > many["dear"]
    assert many == pytest.approx(chances, abs=0.1)


def test_a_silence_teaches_nothing_of_whoever_is_silent() -> None:
    """And an answer that nobody knew lowers all who gave one."""
    a, b, dear = PANEL
    learnt = learn(MODEL, PANEL, [Lesson(votes={a: "1", b: None, dear: "2"}, truth="3")] * 20)
    assert learnt["b"] == pytest.approx(defaults()["b"])
    assert (learnt["a"] < defaults()["a"], learnt["dear"] < defaults()["dear"]) == (True, True)
