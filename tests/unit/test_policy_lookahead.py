"""Whether to ask on, against all that a voter may say, told apart world by world."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from math import exp, inf

import pytest
from hypothesis import given
from hypothesis import strategies as st

from fusiond.policy.belief import NODES, Model, Truth, Voter, Votes, believe, joint, skills, verdict
from fusiond.policy.lookahead import next_call, worth

MODEL = Model()
BIG, SMALL, TINY = Voter(name="big", size=32), Voter(name="small", size=8), Voter(name="tiny", size=3)
MINI, MIDDLE, STRONG = Voter(name="mini", paid=True, rank=0.0), Voter(name="middle", paid=True, rank=0.5), Voter(name="strong", paid=True)
PANEL = (BIG, SMALL, TINY, MINI, STRONG)
TOLLS = {"mini": 0.005, "strong": 0.1}


@dataclass(frozen=True, slots=True, kw_only=True)
class World:
    """What may be the case: the truth, the difficulty, and the chance of both."""

    truth: Truth
    difficulty: float
    chance: float


def brute(worlds: Sequence[World], crowd: Mapping[str, float], stray: float, calls: Sequence[tuple[float, float]]) -> tuple[float, float]:
    """What stopping and asking promise: every world, every word, and the best decision after each word. `calls`: skills and tolls.

    Wrong answers sit down one by one: at a wrong key with a part for each vote there, or at a new one with the stray parts.
    """
    stop = max((sum(world.chance for world in worlds if world.truth == key) for key in crowd), default=0.0)
    if not calls:
        return stop, -inf
    (skill, toll), *rest = calls
    new = f"new{len(crowd)}"
    after: dict[str, list[World]] = {key: [] for key in (*crowd, new)}
    for world in worlds:
        hit = 1 / (1 + exp(MODEL.spread * world.difficulty - skill))
        said = new if world.truth is None else world.truth
        after[said].append(World(truth=said, difficulty=world.difficulty, chance=world.chance * hit))
        parts = {key: weight for key, weight in crowd.items() if key != world.truth} | {new: stray}
        for word, part in parts.items():
            missed = world.chance * (1 - hit) * part / sum(parts.values())
            after[word].append(World(truth=world.truth, difficulty=world.difficulty, chance=missed))
    ask = -toll * sum(world.chance for world in worlds)
    for word, branch in after.items():
        ask += max(brute(branch, {**crowd, word: crowd.get(word, 0.0) + 1}, stray, rest))
    return stop, ask


def expected(panel: Sequence[Voter], votes: Votes, tolls: Mapping[str, float], options: int) -> tuple[float, float]:
    """The brute force over what the model believes of these votes."""
    weighed = joint(MODEL, panel, votes, options)
    worlds = [
        World(truth=truth, difficulty=x, chance=chance)
        for truth, row in believe(weighed.logs).items()
        for (x, _), chance in zip(NODES, row, strict=True)
    ]
    calls = [(skills(MODEL, panel)[voter], tolls[voter.name]) for voter in panel if voter.paid and voter not in votes]
    return brute(worlds, weighed.crowd, weighed.stray, calls)


def says(panel: Sequence[Voter], word: str) -> dict[Voter, str | None]:
    """One letter a voter, in panel order, as far as it goes; a dash: no key."""
    return {voter: None if letter == "-" else letter for voter, letter in zip(panel, word, strict=False)}


@st.composite
def cases(draw: st.DrawFn) -> tuple[list[Voter], Votes, dict[str, float], int]:
    """Up to four free voters, some of them several answers of one member, one to three paid ones waiting, and perhaps one heard before."""
    free = [
        Voter(name=f"free{place}", size=draw(st.sampled_from([3, 8, 32])), reasoning=draw(st.booleans()), member=draw(st.sampled_from(["", "twice"])))
        for place in range(draw(st.integers(0, 4)))
    ]
    paid = [
        Voter(name=f"paid{place}", paid=True, rank=draw(st.floats(0, 1)), prior=draw(st.none() | st.floats(0.1, 0.9)))
        for place in range(draw(st.integers(1, 4)))
    ]
    options = draw(st.sampled_from([0, 2, 3, 10]))
    heard = [*free, *paid[: draw(st.integers(1, 3)) * -1]]
    letters = "ABCDEFGHIJ"[: options or 4]
    votes = {voter: draw(st.sampled_from([*letters[:3], None])) for voter in heard}
    return [*free, *paid], votes, {voter.name: draw(st.floats(0, 0.3)) for voter in paid}, options


@given(case=cases())
def test_every_word_of_every_world(case: tuple[list[Voter], Votes, dict[str, float], int]) -> None:
    """With one, two and three waiting the promises are those of straightforward enumeration, and the call is made where asking promises more."""
    panel, votes, tolls, options = case
    stop, ask = expected(panel, votes, tolls, options)
    found = worth(MODEL, panel, votes, tolls, options)
    assert found.stop == pytest.approx(stop, abs=1e-12)
    assert found.ask == pytest.approx(ask, abs=1e-12)
    if abs(ask - stop) > 1e-8:
        first = next(voter for voter in panel if voter.paid and voter not in votes)
        assert next_call(MODEL, panel, votes, tolls, options) == (first if ask > stop else None)


@given(case=cases())
def test_stopping_is_what_the_verdict_states(case: tuple[list[Voter], Votes, dict[str, float], int]) -> None:
    """The chance of being right now is the confidence that would be stated."""
    panel, votes, tolls, options = case
    assert worth(MODEL, panel, votes, tolls, options).stop == pytest.approx(verdict(MODEL, panel, votes, options).confidence)


def test_agreement_is_delivered_and_dispute_is_paid_for() -> None:
    """Three that agree do not need the strong member; three that differ do, and the cheap one before it."""
    panel = (BIG, SMALL, TINY, STRONG)
    assert next_call(MODEL, panel, says(panel, "AAA"), TOLLS) is None
    assert next_call(MODEL, panel, says(panel, "ABC"), TOLLS) == STRONG
    assert next_call(MODEL, PANEL, says(PANEL, "ABC"), TOLLS) == MINI


def test_a_cheap_answer_spares_the_dear_one() -> None:
    """Where the cheap member agrees with the leader nothing more is paid; where it brings a new answer the strong one decides."""
    assert next_call(MODEL, PANEL, says(PANEL, "ABCA"), TOLLS) is None
    assert next_call(MODEL, PANEL, says(PANEL, "ABCD"), TOLLS) == STRONG
    assert next_call(MODEL, PANEL, says(PANEL, "ABCDA"), TOLLS) is None


def test_a_cheap_answer_that_cannot_win_is_worth_asking_for_what_it_spares() -> None:
    """Alone the weak voter changes no verdict and is asked for nothing; before the strong one it is worth its toll."""
    weak = Voter(name="mini", paid=True, prior=0.45)
    votes = says((BIG, SMALL), "A-")
    alone, before = (BIG, SMALL, weak), (BIG, SMALL, weak, STRONG)
    tolls = {"mini": 0.001, "strong": 0.2}
    assert next_call(MODEL, alone, votes, tolls) is None
    assert next_call(MODEL, before, votes, tolls) == weak


def test_the_toll_decides() -> None:
    """The gain of a call is the highest toll at which it is made."""
    panel, votes = (BIG, SMALL, TINY, STRONG), says(PANEL, "ABC")
    free = worth(MODEL, panel, votes, {"strong": 0.0})
    gain = free.ask - free.stop
    assert gain > 0.1
    assert next_call(MODEL, panel, votes, {"strong": gain - 1e-6}) == STRONG
    assert next_call(MODEL, panel, votes, {"strong": gain + 1e-6}) is None


@pytest.mark.parametrize("word", ["AAAAAA", "AAAAA-", "AAAABA"])
def test_what_can_change_nothing_is_not_asked_even_for_nothing(word: str) -> None:
    """Where no answer can change what stands, rounding does not make a gain of it."""
    panel = (*(Voter(name=f"expert{place}", prior=0.95) for place in range(6)), Voter(name="mini", paid=True, prior=0.2))
    found = worth(MODEL, panel, says(panel, word), {"mini": 0.0})
    assert found.ask == pytest.approx(found.stop, abs=1e-12)
    assert next_call(MODEL, panel, says(panel, word), {"mini": 0.0}) is None


def test_nobody_waits() -> None:
    """Whoever failed or may not be asked is in the votes with None, and is not asked again; nor is a voter that costs nothing."""
    votes = says(PANEL, "ABC--")
    assert next_call(MODEL, PANEL, votes, TOLLS) is None
    assert worth(MODEL, PANEL, votes, TOLLS).ask == -inf
    assert next_call(MODEL, (BIG, SMALL), {}, {}) is None


def test_without_free_answers_the_first_paid_one_is_asked() -> None:
    """Nothing stands yet, so that nearly any answer is worth its toll."""
    assert next_call(MODEL, PANEL, says(PANEL, "---"), TOLLS) == MINI
    assert next_call(MODEL, (MINI, STRONG), {}, TOLLS) == MINI
    assert worth(MODEL, PANEL, says(PANEL, "---"), TOLLS).stop == 0.0


def test_of_many_only_the_next_and_the_dearest_are_looked_at() -> None:
    """With four waiting the promise is that of two; with three it is that of all."""
    last = Voter(name="last", paid=True, rank=0.2)
    votes, tolls = says((BIG, SMALL, TINY), "ABC"), {"mini": 0.01, "middle": 0.03, "strong": 0.1, "last": 0.01}
    many, two = worth(MODEL, (BIG, SMALL, TINY, MINI, MIDDLE, STRONG, last), votes, tolls), worth(MODEL, PANEL, votes, tolls)
    assert many == two
    assert worth(MODEL, (BIG, SMALL, TINY, MINI, MIDDLE, STRONG), votes, tolls) != two
