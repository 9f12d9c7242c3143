"""What the votes say, against the same model worked out in plain chances, and against worked values."""

from __future__ import annotations

from collections.abc import Iterable
from itertools import product
from math import exp, gamma, log, prod

import pytest
from hypothesis import given
from hypothesis import strategies as st

from fusiond.policy.belief import NODES, Model, Voter, believe, joint, roles, skills, verdict

MODEL = Model()
BIG, SMALL, TINY = Voter(name="big", size=32), Voter(name="small", size=8), Voter(name="tiny", size=3)
THINKER, AGAIN = Voter(name="thinker", reasoning=True, member="thinker"), Voter(name="thinker#2", reasoning=True, member="thinker")
MINI, STRONG = Voter(name="mini", paid=True, rank=0.25), Voter(name="strong", paid=True)
PANELS = {
    "led": (BIG, SMALL, TINY),
    "peers": (Voter(name="a"), Voter(name="b", size=7.5), Voter(name="c")),
    "paid": (BIG, SMALL, MINI, STRONG),
    "sampled": (THINKER, AGAIN, Voter(name="huge", size=70)),
}
WORKED = [
    ("led", "AAA", 0, "A", 0.8958461500088943),
    ("led", "ABB", 0, "A", 0.35288814028545373),
    ("led", "ABC", 0, "A", 0.3880858019526585),
    ("led", "A--", 0, "A", 0.5939477976189113),
    ("led", "-BB", 5, "B", 0.49916418277284247),
    ("led", "ABB", 2, "A", 0.742872879441475),
    ("led", "ABB", 4, "A", 0.48696261029545485),
    ("peers", "AAB", 0, "A", 0.6382511067726633),
    ("peers", "ABC", 0, "A", 0.17716674441500735),
    ("peers", "ABC", 3, "A", 1 / 3),
    ("peers", "AAB", 2, "A", 0.6279585931918036),
    ("paid", "AABB", 0, "B", 0.7309017384390919),
    ("paid", "ABCA", 0, "A", 0.7380075703313104),
    ("paid", "AABC", 4, "C", 0.4002355942235829),
    ("sampled", "ABB", 0, "B", 0.49372426466126074),
    ("sampled", "AAB", 0, "A", 0.9408929094302174),
]


def ballots(panel: Iterable[Voter], word: str) -> dict[Voter, str | None]:
    """One letter a voter, in panel order; a dash: no key."""
    return {voter: None if letter == "-" else letter for voter, letter in zip(panel, word, strict=True)}


def plain(worth: list[tuple[float, float]], word: str, options: int, stray: float) -> dict[str | None, float]:
    """The chance of every truth in plain chances: each skill and weight given, every difficulty tried, wrong groups by Ewens' formula."""
    heard = [(letter, skill, weight) for letter, (skill, weight) in zip(word, worth, strict=True) if letter != "-"]
    keys: set[str] = {letter for letter, _, _ in heard}
    truths: list[str | None] = [*keys] if options and len(keys) >= options else [*keys, None]
    chance: dict[str | None, float] = {}
    for truth in truths:
        groups = [sum(weight for key, _, weight in heard if key == wrong) for wrong in keys - {truth}]
        scattered = prod(stray * gamma(group) for group in groups) * gamma(stray) / gamma(stray + sum(groups))
        votes = 0.0
        for difficulty, share in NODES:
            hits = [(key == truth, 1 / (1 + exp(1.7 * difficulty - skill)), weight) for key, skill, weight in heard]
            votes += share * prod((hit if true else 1 - hit) ** weight for true, hit, weight in hits)
        chance[truth] = votes * scattered * (exp(0.7) if truth is None and options != 2 else 1.0)
    return {truth: each / sum(chance.values()) for truth, each in chance.items()}


@pytest.mark.parametrize(
    ("panel", "worth"),
    [
        ("led", [(1.6, 1.0), (0.5, 0.7), (0.5, 0.7)]),
        ("peers", [(1.05, 1.0), (1.05, 1.0), (1.05, 1.0)]),
        ("paid", [(1.6, 1.0), (0.5, 0.7), (1.6125, 1.0), (2.25, 1.0)]),
        ("sampled", [(3.4, 0.75), (3.4, 0.75), (0.5, 0.7)]),
    ],
)
@pytest.mark.parametrize(("options", "letters", "stray"), [(0, "ABC-", 3.0), (4, "ABC-", 0.75), (3, "ABC-", 0.75), (2, "AB-", 0.05)])
def test_belief_is_the_model_in_plain_chances(panel: str, worth: list[tuple[float, float]], options: int, letters: str, stray: float) -> None:
    """All votes a panel can cast give the chances that straightforward enumeration gives."""
    for word in product(letters, repeat=len(worth)):
        expected = plain(worth, "".join(word), options, stray)
        belief = believe(joint(MODEL, PANELS[panel], ballots(PANELS[panel], "".join(word)), options).logs)
        assert {truth: sum(row) for truth, row in belief.items()} == pytest.approx(expected)


@pytest.mark.parametrize(("panel", "word", "options", "key", "confidence"), WORKED)
def test_worked_values(panel: str, word: str, options: int, key: str, confidence: float) -> None:
    """Known panels and votes give the known verdict, to the last digits."""
    found = verdict(MODEL, PANELS[panel], ballots(PANELS[panel], word), options)
    assert found.key == key
    assert found.confidence == pytest.approx(confidence, abs=1e-14)


def test_wrong_votes_of_full_weight_gather_one_by_one() -> None:
    """Seating wrong votes one after the other (a new key with `stray` parts, a known one with a part a vote) is the same formula."""
    panel = PANELS["peers"]
    apart, together = (joint(MODEL, panel, ballots(panel, word)).logs[None][0] for word in ("ABC", "AAA"))
    assert apart - together == pytest.approx(log((3 / 4) * (3 / 5)) - log((1 / 4) * (2 / 5)))


def test_nobody_votes() -> None:
    """Without a key nothing stands, and nothing is sure."""
    for votes in ({}, ballots(PANELS["led"], "---")):
        found = verdict(MODEL, PANELS["led"], votes)
        assert (found.key, found.confidence) == (None, 0.0)


@pytest.mark.parametrize("word", ["AB-", "BA-", "-AB", "-BA", "CAB"])
def test_ties_go_by_panel_order(word: str) -> None:
    """Among equal keys the one that the panel's first voter said stands, whoever came first."""
    panel = PANELS["peers"]
    votes = ballots(panel, word)
    backwards = dict(reversed(votes.items()))
    first = next(letter for letter in word if letter != "-")
    assert verdict(MODEL, panel, votes).key == verdict(MODEL, panel, backwards).key == first


def test_rounding_does_not_decide_a_tie() -> None:
    """Two keys with the same votes tie although their sums were added in another order."""
    panel = (THINKER, SMALL, BIG, Voter(name="other", size=8), Voter(name="twin", reasoning=True))
    assert verdict(MODEL, panel, ballots(panel, "ABA-B")).key == "A"
    assert verdict(MODEL, panel, ballots(panel, "BAB-A")).key == "B"


def test_the_largest_leads() -> None:
    """The clearly largest local has the lead and full weight; the others echo."""
    assert [(role.skill, role.weight) for role in roles(MODEL, PANELS["led"]).values()] == [(1.6, 1.0), (0.5, 0.7), (0.5, 0.7)]


def test_a_reasoner_leads_before_a_larger_one() -> None:
    """Thinking before answering outweighs size, and a second answer of its own does not make it its own peer; both share the weight."""
    found = {voter.name: (role.skill, role.weight) for voter, role in roles(MODEL, PANELS["sampled"]).items()}
    assert found == {"thinker": (pytest.approx(3.4), 0.75), "thinker#2": (pytest.approx(3.4), 0.75), "huge": (0.5, 0.7)}


def test_near_equals_are_peers() -> None:
    """Within 15% of the largest nobody leads: half the lead each, full weight; one below it echoes."""
    panel = (Voter(name="a", size=10), Voter(name="b", size=8.5), Voter(name="c", size=8.4))
    assert [(role.skill, role.weight) for role in roles(MODEL, panel).values()] == [(1.05, 1.0), (1.05, 1.0), (0.5, 0.7)]


def test_paid_members_rank_by_price_and_never_lead() -> None:
    """A paid member's skill lies between cheap and strong, and takes nothing from the leading local."""
    assert skills(MODEL, (BIG, MINI, STRONG)) == {BIG: 1.6, MINI: 1.4 + 0.85 * 0.25, STRONG: 2.25}


@pytest.mark.parametrize("chance", [0.05, 0.5, 0.7, 0.99])
def test_a_prior_replaces_size_kind_and_price(chance: float) -> None:
    """A configured chance of being right becomes the log-odds that give it back, averaged over difficulty."""
    panel = (Voter(name="a", size=70, reasoning=True, prior=chance), Voter(name="b", paid=True, prior=chance), SMALL)
    found = skills(MODEL, panel)
    assert found[panel[0]] == found[panel[1]]
    assert sum(share / (1 + exp(1.7 * x - found[panel[0]])) for x, share in NODES) == pytest.approx(chance)


def test_every_offered_value_said_leaves_no_other_truth() -> None:
    """Once all offered values are on the table one of them is right; before that, none of them may be."""
    panel = PANELS["peers"]
    assert set(joint(MODEL, panel, ballots(panel, "AB-"), 2).logs) == {"A", "B"}
    assert set(joint(MODEL, panel, ballots(panel, "AA-"), 2).logs) == {"A", None}


words = st.lists(st.sampled_from("ABC-"), min_size=4, max_size=4)


@given(word=words, order=st.permutations(PANELS["paid"]), options=st.sampled_from([0, 3, 4]))
def test_order_of_arrival_changes_nothing(word: list[str], order: list[Voter], options: int) -> None:
    """The same votes, in whatever order they came, give the same verdict to the last bit."""
    votes = ballots(PANELS["paid"], "".join(word))
    arrived = {voter: votes[voter] for voter in order}
    assert verdict(MODEL, PANELS["paid"], arrived, options) == verdict(MODEL, PANELS["paid"], votes, options)


voters = st.builds(
    Voter,
    name=st.uuids().map(str),
    paid=st.booleans(),
    reasoning=st.booleans(),
    size=st.floats(0.1, 700),
    rank=st.floats(0, 1),
    member=st.sampled_from(["", "a", "b"]),
    prior=st.none() | st.floats(0.01, 0.99),
)


@given(panel=st.lists(voters, min_size=1, max_size=12), data=st.data(), options=st.sampled_from([0, 2, 5]))
def test_confidence_is_a_chance(panel: list[Voter], data: st.DataObject, options: int) -> None:
    """Whoever votes for whatever, the confidence lies between 0 and 1, and the key is one that was said."""
    letters = "AB-" if options == 2 else "ABCDE-"
    votes = ballots(panel, "".join(data.draw(st.lists(st.sampled_from(letters), min_size=len(panel), max_size=len(panel)))))
    found = verdict(MODEL, panel, votes, options)
    assert 0.0 <= found.confidence <= 1.0 + 1e-12
    assert found.key in {*votes.values(), None}
