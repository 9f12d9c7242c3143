"""Tuning on 50 labels of a set, scored on its other questions: recorded answers of real models, where FUSIOND_EVAL_DATA names their folder."""

from __future__ import annotations

import os

import pytest

from bench.tuned import measured, told

pytestmark = [
    pytest.mark.skipif(not os.environ.get("FUSIOND_EVAL_DATA"), reason="FUSIOND_EVAL_DATA names no folder of recorded answers"),
    pytest.mark.timeout(300),
]


def test_fifty_labels_are_enough_to_be_better_for_less() -> None:
    """At least 1.6 points above the strongest at no more than 34% of its cost, and a confidence that is off by less than 5 points."""
    pairs = [pair for draw in (0, 1) for pair in measured(0.12, draw)]
    gain, cost, error = told([tuned for _, tuned in pairs])
    assert gain >= 1.6, pairs
    assert cost <= 34, pairs
    assert error <= 5, pairs
