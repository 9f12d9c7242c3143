"""The best assignment, against trying them all."""

from __future__ import annotations

import random
from itertools import permutations

import pytest

from fusiond.documents.assignment import best_pairs


def best_sum(gains: list[list[float]]) -> float:
    """The most that any pairs add up to."""
    rows, columns = len(gains), len(gains[0])
    if rows > columns:
        return best_sum([*map(list, zip(*gains, strict=True))])
    return max(sum(gains[row][column] for row, column in enumerate(chosen)) for chosen in permutations(range(columns), rows))


@pytest.mark.parametrize("seed", range(200))
def test_it_is_the_best(seed: int) -> None:
    """Of any shape, with equal gains among them, and gains below nothing."""
    dice = random.Random(seed)
    rows, columns = dice.randint(1, 5), dice.randint(1, 6)
    gains = [[dice.choice([0.0, 0.25, 0.5, 1.0, -1.0, dice.random()]) for _ in range(columns)] for _ in range(rows)]
    pairs = best_pairs(gains)
    assert len({row for row, _ in pairs}) == len({column for _, column in pairs}) == len(pairs) == min(rows, columns)
    assert sum(gains[row][column] for row, column in pairs) == pytest.approx(best_sum(gains))


def test_nothing_to_pair() -> None:
    """No rows, or no columns."""
    assert best_pairs([]) == best_pairs([[], []]) == []
