"""What is remembered of one kind of traffic, and the tolls, ranks and savings that follow from it."""

from __future__ import annotations

from decimal import Decimal
from math import exp
from random import Random

import pytest
from hypothesis import given
from hypothesis import strategies as st

from fusiond.policy.traffic import (
    LEAST,
    LONGER,
    MEMBERS,
    MEMORY,
    MOST,
    THRIFT,
    UNKNOWN_LENGTH,
    Heard,
    Mean,
    Traffic,
    expected_length,
    rank,
    share,
    strongest,
    tolls,
    usual_prices,
    would_have_cost,
)

PRICES = {"mini": Decimal("0.0002"), "sonnet": Decimal("0.004")}


def traffic(*leads: int | None) -> Traffic:
    """What is remembered after requests whose leading local took so many tokens."""
    seen = Traffic()
    for lead in leads:
        seen = seen.after(Heard(lead=lead, lengths={}, prices=PRICES))
    return seen


def priced(length: float) -> Decimal:
    """A prompt for a cent, and a tenth of a cent for every token."""
    return Decimal("0.01") + Decimal("0.001") * Decimal(length)


@given(values=st.lists(st.floats(0, 1e6), min_size=1, max_size=60))
def test_a_mean_is_one(values: list[float]) -> None:
    """Value by value the same as all together."""
    mean = Mean()
    for value in values:
        mean = mean.heard(value)
    assert mean.count == len(values)
    assert mean.value == pytest.approx(sum(values) / len(values), abs=1e-6)


def test_a_mean_follows_later_traffic() -> None:
    """After its memory is full it still moves, as far as one value among so many moves it."""
    full = Mean(count=MEMORY, value=100.0).heard(600.0)
    assert (full.count, full.value) == (MEMORY, 100.0 + 500.0 / MEMORY)


def test_lengths_follow_the_square_root() -> None:
    """An answer four times as long as usual is taken to be twice as long elsewhere."""
    assert expected_length(traffic(100, 100), 400) == pytest.approx(200)
    assert expected_length(traffic(100, 400), 100) == pytest.approx(250 * 10 / 15)


def test_lengths_before_anything_was_heard() -> None:
    """The first request goes by its own leading local, and by a middling length where that is silent."""
    assert expected_length(Traffic(), 300) == 300
    assert expected_length(Traffic(), None) == expected_length(Traffic(), 0) == UNKNOWN_LENGTH


def test_a_silent_lead() -> None:
    """It is taken for the mean, and is not counted in it."""
    seen = traffic(100, None, 400, 0)
    assert seen.length.count == seen.root.count == 2
    assert expected_length(seen, None) == expected_length(seen, 0) == 250


def test_the_first_request_of_a_kind_has_the_thrift_for_its_toll() -> None:
    """Its own strongest call is the mean call."""
    assert tolls(0.1, PRICES, Traffic()) == {"mini": pytest.approx(0.005), "sonnet": pytest.approx(0.1)}


def test_a_dear_call_has_a_high_toll() -> None:
    """A call for twice the usual price must bring in twice as much."""
    twice = {member: 2 * price for member, price in PRICES.items()}
    assert tolls(0.1, twice, traffic(100, 100)) == {"mini": pytest.approx(0.01), "sonnet": pytest.approx(0.2)}


def test_tolls_look_at_those_who_may_be_asked() -> None:
    """Where the dearest may not be asked, the dearest of the others is the measure; it has a mean of its own."""
    assert tolls(0.1, {"mini": Decimal("0.0004")}, traffic(100)) == {"mini": pytest.approx(0.2)}


def test_nothing_to_pay() -> None:
    """Without prices there are no tolls."""
    assert tolls(0.1, {}, Traffic()) == {}
    assert tolls(0.1, {"mini": Decimal(0)}, Traffic()) == {"mini": 0.0}


def test_the_strongest_is_the_dearest_at_a_mean_call() -> None:
    """One request with an unusual mixture of prices changes nothing; among equals the first named is meant."""
    unusual = {"mini": Decimal("0.9"), "sonnet": Decimal("0.5")}
    assert strongest(usual_prices(traffic(100), unusual)) == "sonnet"
    assert strongest(usual_prices(Traffic(), unusual)) == "mini"
    assert strongest({"b": 1.0, "a": 1.0}) == "b"


def test_a_member_not_met_before_goes_by_this_call() -> None:
    """The others keep their means."""
    assert usual_prices(traffic(100), {"sonnet": Decimal(7), "opus": Decimal(3)}) == {"sonnet": 0.004, "opus": 3.0}


@pytest.mark.parametrize(("price", "expected"), [(10.0, 1.0), (20.0, 1.0), (1.0, 0.0), (0.01, 0.0), (10**0.5, 0.5)])
def test_ranks(price: float, expected: float) -> None:
    """One for the dearest, zero for a tenth of its price and less, even steps of a factor between."""
    assert rank(price, 10.0) == pytest.approx(expected)


def test_what_the_strongest_would_have_cost() -> None:
    """At its own length, else at its mean in this traffic, else at the leading local's, else at what is usual for that."""
    seen = traffic(100, 300).after(Heard(lead=None, lengths={"sonnet": 500}, prices={}))
    assert would_have_cost("sonnet", priced, seen, own_length=50, lead_length=70) == Decimal("0.06")
    assert would_have_cost("sonnet", priced, seen, own_length=0, lead_length=70) == Decimal("0.01")
    assert would_have_cost("sonnet", priced, seen, own_length=None, lead_length=70) == Decimal("0.51")
    assert would_have_cost("opus", priced, seen, own_length=None, lead_length=70) == Decimal("0.08")
    assert would_have_cost("opus", priced, seen, own_length=None, lead_length=None) == Decimal("0.21")


def test_hearing_leaves_what_was_remembered_before() -> None:
    """A transition makes a new value; the old one is as it was, and members that were not asked keep their means."""
    before = traffic(100).after(Heard(lead=100, lengths={"mini": 80}, prices={}))
    after = before.after(Heard(lead=200, lengths={"mini": 120, "sonnet": 300}, prices={"sonnet": Decimal("0.008")}))
    assert before.lengths == {"mini": Mean(count=1, value=80.0)}
    assert after.lengths == {"mini": Mean(count=2, value=100.0), "sonnet": Mean(count=1, value=300.0)}
    assert after.prices["mini"] == before.prices["mini"]
    assert after.prices["sonnet"].value == pytest.approx(0.006)


def test_names_that_are_not_heard_any_more_are_forgotten() -> None:
    """Those that were heard last stay, however many there were."""
    seen = traffic(100)
    for number in range(MEMBERS - 1):
        seen = seen.after(Heard(lead=None, lengths={}, prices={f"m{number}": Decimal(1), "mini": Decimal(1)}))
    assert len(seen.prices) == MEMBERS
    assert seen.prices["mini"].count == MEMBERS
    assert "sonnet" not in seen.prices


def asked(*members: str) -> Heard:
    """A request of middling prices for which these members were paid."""
    return Heard(lead=100, lengths=dict.fromkeys(members, 100), prices=PRICES)


def test_the_share_that_was_spent() -> None:
    """In mean calls of the strongest, at expected prices; who is asked takes longer than that."""
    seen = traffic(100)
    assert share(asked(), seen) == 0.0
    assert share(asked("mini"), seen) == pytest.approx(LONGER * 0.05)
    assert share(asked("mini", "sonnet"), seen) == pytest.approx(LONGER * 1.05)
    assert share(Heard(lead=100, lengths={}, prices={}), seen) == 0.0


def test_thrift_follows_from_what_is_spent() -> None:
    """Too dear a request raises it, a cheap one lowers it, by as much as they are off."""
    dear, cheap = traffic(100).after(asked("sonnet"), 0.33), traffic(100).after(asked(), 0.33)
    assert dear.thrift == pytest.approx(THRIFT * exp(0.03 * (LONGER - 0.33)))
    assert cheap.thrift == pytest.approx(THRIFT * exp(-0.03 * 0.33))


def test_thrift_stays_where_nothing_is_to_be_held() -> None:
    """A fusion without a share keeps its own; a request in which nobody may be paid says nothing about what is spent."""
    assert traffic(100).after(asked("sonnet")).thrift == THRIFT
    assert traffic(100).after(Heard(lead=100, lengths={}, prices={}), 0.33).thrift == THRIFT


def test_thrift_has_bounds() -> None:
    """Whatever comes: it neither pays for everything, nor forgets how to pay."""
    dear = cheap = traffic(100)
    for _ in range(500):
        dear, cheap = dear.after(asked("mini", "sonnet"), 0.1), cheap.after(asked(), 0.9)
    assert (dear.thrift, cheap.thrift) == (MOST, LEAST)


@pytest.mark.parametrize("wanted", [0.2, 0.33, 0.6])
def test_a_share_is_held(wanted: float) -> None:
    """Where each question is worth asking the strongest up to a thrift of its own, so many are asked as may be."""
    worths, seen, spent = Random(7), traffic(100), 0.0
    for _ in range(3000):
        heard = asked("sonnet") if worths.lognormvariate(-2.3, 0.7) > seen.thrift else asked()
        spent += share(heard, seen)
        seen = seen.after(heard, wanted)
    assert spent / 3000 == pytest.approx(wanted, abs=0.02)
