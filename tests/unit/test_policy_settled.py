"""A settled outcome, checked against every completion of the answers still missing."""

from __future__ import annotations

import random
from collections.abc import Iterator, Sequence
from dataclasses import replace
from itertools import product

import pytest

from fusiond.policy.belief import Model, Voter, Votes, verdict
from fusiond.policy.settled import settled

MODEL = Model()
VALUES = "ABCD"
NEW = ("\0new1", "\0new2", "\0new3")


def completions(votes: Votes, missing: Sequence[Voter], options: int) -> Iterator[Votes]:
    """Every way the missing voters may answer: a key on the table, nothing, a value not said yet, or a key nobody thought of."""
    known = {key for key in votes.values() if key is not None}
    unsaid = set(VALUES[:options]) - known if options else NEW[: len(missing)]
    for words in product([*known, *unsaid, None], repeat=len(missing)):
        yield {**votes, **dict(zip(missing, words, strict=True))}


def unchanging(panel: Sequence[Voter], votes: Votes, missing: Sequence[Voter], options: int) -> bool:
    """Whether the key that stands is the same under every completion."""
    standing = verdict(MODEL, panel, votes, options).key
    return standing is not None and all(verdict(MODEL, panel, each, options).key == standing for each in completions(votes, missing, options))


def random_panel(dice: random.Random) -> list[Voter]:
    """Three to five voters, among them peers, leaders, reasoners, several answers of one member, paid ones, and some of known skill."""
    panel = [
        Voter(
            name=f"voter{place}",
            paid=dice.random() < 0.25,
            reasoning=dice.random() < 0.2,
            size=dice.choice([3, 7, 8, 8, 32]),
            rank=dice.choice([0.0, 0.5, 1.0]),
            prior=dice.choice([None, None, None, 0.4, 0.9]),
        )
        for place in range(dice.randint(3, 5))
    ]
    if dice.random() < 0.2:
        panel[0] = replace(panel[0], member="voter0")
        panel[-1] = replace(panel[0], name="voter0#2")
    return panel


def random_case(dice: random.Random, options: int) -> tuple[list[Voter], Votes, list[Voter]]:
    """A panel, the answers that are in, and up to three voters that are still to answer; the rest were lost."""
    panel = random_panel(dice)
    order = dice.sample(panel, len(panel))
    missing = order[: dice.randint(1, min(3, len(panel) - 1))]
    heard = order[len(missing) :]
    values = [*VALUES[: options or 3], None]
    weights = [5.0] + [1.0] * (len(values) - 1)
    votes = {voter: dice.choices(values, weights)[0] for voter in heard if dice.random() < 0.95}
    return panel, votes, missing


@pytest.mark.parametrize("options", [0, 4, 2], ids=["open", "choice", "yes or no"])
def test_settled_is_what_every_completion_says(options: int) -> None:
    """It says True exactly where no completion changes the key that stands, and that is often enough to be of use."""
    dice = random.Random(options)
    fired = 0
    for _ in range(800):
        panel, votes, missing = random_case(dice, options)
        found = settled(MODEL, panel, votes, missing, options)
        assert found == unchanging(panel, votes, missing, options), (panel, votes, missing)
        fired += found
    assert fired > 80


def test_a_tie_is_settled_by_panel_order() -> None:
    """Two peers agree and come first: the two missing ones can reach a tie at most, and the tie is theirs."""
    panel = [Voter(name=name) for name in "abcd"]
    assert settled(MODEL, panel, {panel[0]: "A", panel[1]: "A"}, panel[2:])
    assert not settled(MODEL, panel, {panel[2]: "A", panel[3]: "A"}, panel[:2])


def test_nothing_missing_is_settled() -> None:
    """Whatever was said, it stands when nobody is left to answer, also when nobody had a key."""
    panel = [Voter(name=name) for name in "abc"]
    assert settled(MODEL, panel, dict(zip(panel, "ABC", strict=True)), ())
    assert settled(MODEL, panel, dict.fromkeys(panel), ())


def test_no_key_on_the_table_is_open() -> None:
    """While nobody has said a key, anybody missing may."""
    panel = [Voter(name=name) for name in "abc"]
    assert not settled(MODEL, panel, {panel[0]: None, panel[1]: None}, panel[2:])
    assert not settled(MODEL, panel, {}, panel)


def test_too_many_missing_are_not_looked_into() -> None:
    """With four missing it stays open, however weak they are; with three of them it is settled."""
    panel = [*(Voter(name=f"expert{place}", prior=0.97) for place in range(4)), *(Voter(name=f"novice{place}", prior=0.2) for place in range(4))]
    votes: dict[Voter, str | None] = dict.fromkeys(panel[:4], "A")
    assert settled(MODEL, panel, votes, panel[4:7])
    assert not settled(MODEL, panel, votes, panel[4:])


def test_the_leader_alone_can_outweigh_two_echoes() -> None:
    """Two small ones that agree are not settled while the large one is missing, and are once it agrees or stays silent."""
    leader, second, third = panel = [Voter(name="big", size=70), Voter(name="small", size=8), Voter(name="tiny", size=3)]
    assert not settled(MODEL, panel, {second: "A", third: "A"}, [leader])
    assert settled(MODEL, panel, {leader: "A", second: "A"}, [third])
    assert settled(MODEL, panel, {second: "A", third: "A", leader: None}, [])
