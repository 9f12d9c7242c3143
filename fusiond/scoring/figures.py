"""Figures with their uncertainty: shares, paired differences, percentiles, and how far stated confidence lies from the truth.

Pure; the same input gives the same figures.
"""

from __future__ import annotations

import random
from collections.abc import Sequence
from dataclasses import dataclass
from math import ceil, sqrt

SEED, RESAMPLES = 1, 2000
NORMAL = 1.959964
"""Standard deviations to either side that hold 95% of a normal distribution."""

BINS = 10


@dataclass(frozen=True, slots=True, kw_only=True)
class Share:
    """A figure, and the interval that holds the truth with a chance of 95%."""

    value: float
    low: float
    high: float


@dataclass(frozen=True, slots=True, kw_only=True)
class Bin:
    """Answers of about one confidence: how many, how sure they were on average, and the share that was right."""

    count: int
    confidence: float
    right: float


def wilson(hits: int, of: int) -> Share:
    """A share of independent trials with Wilson's interval. `of` is at least 1."""
    share, square = hits / of, NORMAL**2
    middle = (share + square / (2 * of)) / (1 + square / of)
    half = NORMAL * sqrt(share * (1 - share) / of + square / (4 * of * of)) / (1 + square / of)
    return Share(value=share, low=max(0.0, min(share, middle - half)), high=min(1.0, max(share, middle + half)))


def paired(differences: Sequence[float]) -> Share:
    """The mean of differences on the same questions, at least one, with the interval of a bootstrap over the questions."""
    draw, count = random.Random(SEED), len(differences)  # noqa: S311  # the same questions give the same interval
    means = sorted(sum(draw.choices(differences, k=count)) / count for _ in range(RESAMPLES))
    return Share(value=sum(differences) / count, low=percentile(means, 0.025), high=percentile(means, 0.975))


def percentile(values: Sequence[float], share: float) -> float:
    """The smallest value that is no less than this share of all, at least one, has (nearest rank)."""
    return sorted(values)[max(0, ceil(share * len(values)) - 1)]


def calibration(stated: Sequence[tuple[float, bool]]) -> tuple[list[Bin], float]:
    """Answers by the confidence that was stated, in ten bins of equal width without the empty ones, and the mean distance from the truth.

    Each bin counts by its answers.
    """
    filled: dict[int, list[tuple[float, bool]]] = {}
    for confidence, right in stated:
        filled.setdefault(min(BINS - 1, int(confidence * BINS)), []).append((confidence, right))
    bins = [_bin(filled[place]) for place in sorted(filled)]
    error = sum(each.count * abs(each.confidence - each.right) for each in bins) / max(1, len(stated))
    return bins, error


def _bin(stated: Sequence[tuple[float, bool]]) -> Bin:
    count = len(stated)
    return Bin(count=count, confidence=sum(c for c, _ in stated) / count, right=sum(r for _, r in stated) / count)
