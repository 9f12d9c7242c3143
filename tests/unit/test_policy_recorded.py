"""The cascade over recorded answers of real models: better than always asking the strongest, at a fraction of its cost.

Runs where FUSIOND_EVAL_DATA names the folder of the recordings. Keys and their truth are those that came with them; `python -m bench.replay`
asks the daemon itself.
"""

from __future__ import annotations

import pytest

from bench.keyed import replayed
from bench.recorded import FOLDER, SETS
from bench.replay import figures, pooled

pytestmark = [pytest.mark.skipif(not FOLDER, reason="FUSIOND_EVAL_DATA names no folder of recorded answers"), pytest.mark.timeout(120)]


def test_better_than_the_strongest_at_two_fifths_of_its_cost() -> None:
    """Over five sets that weigh the same: at least a point more than the strongest alone gets right, for at most 42% of what it costs."""
    each = [figures(replayed(recordings), paid=True) for recordings in SETS]
    whole = pooled(each)
    assert whole.gain >= 1.0, each
    assert whole.cost <= 42.0, each
    assert whole.astray <= 6.0, each


def test_never_below_the_best_that_costs_nothing() -> None:
    """Where nobody is paid, on every set: not below the free member that is right most often by more than chance would have it."""
    for recordings in SETS:
        one = figures(replayed(recordings, paid=False), paid=False)
        assert one.gain >= -1.96 * one.error, recordings.name
