"""Which wish for privacy holds, and whom it lets a request be shown to."""

from __future__ import annotations

from itertools import product
from typing import get_args

import pytest

from fusiond.config.tree import Place, Privacy
from fusiond.policy.privacy import allows, loosens, strictest

LEVELS: tuple[Privacy, ...] = get_args(Privacy)
PLACES: tuple[Place, ...] = get_args(Place)


def shown(privacy: Privacy) -> set[Place]:
    """The places that a request may reach."""
    return {place for place in PLACES if allows(privacy, place)}


@pytest.mark.parametrize(("privacy", "places"), [("any", {"local", "lan", "remote"}), ("lan", {"local", "lan"}), ("local", {"local"})])
def test_a_level_reaches_so_far(privacy: Privacy, places: set[Place]) -> None:
    """Each level, and every place that it reaches."""
    assert shown(privacy) == places


@pytest.mark.parametrize(("one", "other"), [*product([*LEVELS, None], repeat=2)])
def test_the_strictest_satisfies_all(one: Privacy | None, other: Privacy | None) -> None:
    """Nobody is shown the request whom one of the wishes forbids, and everybody whom all allow; the order is nothing."""
    assert shown(strictest(one, other)) == shown(one or "any") & shown(other or "any")
    assert strictest(one, other) == strictest(other, one)


def test_without_a_wish_a_request_may_go_anywhere() -> None:
    """Nobody asked for anything."""
    assert strictest() == strictest(None, None) == "any"


@pytest.mark.parametrize(("wish", "current"), [*product(LEVELS, repeat=2)])
def test_a_wish_loosens_where_it_reaches_further(wish: Privacy, current: Privacy) -> None:
    """Exactly then it is not satisfied by what holds already."""
    assert loosens(wish, current) == (shown(wish) > shown(current))
