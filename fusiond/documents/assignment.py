"""The best assignment: pairs of rows and columns whose gains add up to the most.

The Hungarian method (H. W. Kuhn, 1955) with prices: each row in turn bids for a column, and whoever has to make room looks for another one.
"""

from __future__ import annotations

from collections.abc import Sequence
from collections.abc import Set as AbstractSet
from math import inf

Gains = Sequence[Sequence[float]]
"""Row by row, what each column would bring; all rows are of one length."""


def best_pairs(gains: Gains) -> list[tuple[int, int]]:
    """(row, column) pairs, as many as there can be, each row and column in one at the most. Takes rows x columns x the lesser of them steps."""
    if not gains or not gains[0]:
        return []
    if len(gains) > len(gains[0]):
        return sorted((row, column) for column, row in best_pairs([*zip(*gains, strict=True)]))
    auction = _Auction(gains)
    for row in range(len(gains)):
        auction.seat(row)
    return sorted((row, column) for column, row in auction.owners.items())


class _Auction:
    """Who has which column, and the prices at which nobody would rather have another."""

    def __init__(self, gains: Gains) -> None:
        self._gains = gains
        self._rows = [0.0] * len(gains)
        self._columns = [0.0] * len(gains[0])
        self.owners: dict[int, int] = {}

    def seat(self, row: int) -> None:
        """Give one more row a column, along the path of owners on which the least is lost."""
        slack = [inf] * len(self._columns)
        came_from: dict[int, int | None] = {}
        tried: set[int] = set()
        bidder, via = row, None
        while True:
            for column in range(len(slack)):
                if column not in tried and (loss := self._loss(bidder, column)) < slack[column]:
                    slack[column], came_from[column] = loss, via
            best = min((column for column in range(len(slack)) if column not in tried), key=slack.__getitem__)
            self._reprice(row, tried, slack, slack[best])
            if best not in self.owners:
                break
            tried.add(best)
            bidder, via = self.owners[best], best
        self._move(row, best, came_from)

    def _loss(self, row: int, column: int) -> float:
        return -self._gains[row][column] - self._rows[row] - self._columns[column]

    def _reprice(self, row: int, tried: AbstractSet[int], slack: list[float], step: float) -> None:
        self._rows[row] += step
        for column in tried:
            self._rows[self.owners[column]] += step
            self._columns[column] -= step
        for column in range(len(slack)):
            if column not in tried:
                slack[column] -= step

    def _move(self, row: int, column: int, came_from: dict[int, int | None]) -> None:
        """Every owner on the path takes the next column, and the new row the first."""
        while (before := came_from[column]) is not None:
            self.owners[column] = self.owners[before]
            column = before
        self.owners[column] = row
