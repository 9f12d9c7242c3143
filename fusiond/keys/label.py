"""Labels out of a named set: the one that an answer region is, or the only one that it names."""

from __future__ import annotations

from fusiond.keys.latex import unlatex
from fusiond.keys.reading import Reading, plain
from fusiond.keys.text import NEGATIONS, words
from fusiond.keys.wants import Wanted


def key(wanted: Wanted, reading: Reading) -> str | None:
    """The label, as it was offered, or None."""
    if reading.marked is not None:
        return _exact(wanted, reading.marked) or _named(wanted, reading.marked)
    regions = (*reversed(reading.stated), reading.whole, reading.last, reading.opening)
    exact = next((label for region in regions if (label := _exact(wanted, region))), None)
    named = (*reversed(reading.stated), reading.last if len(words(reading.last)) <= 25 else "")
    return exact or next((label for region in named if (label := _named(wanted, region))), None)


def _exact(wanted: Wanted, region: str) -> str | None:
    said = words(plain(unlatex(region[:2_000])))
    return next((label for label in wanted.options if said and words(label) == said), None)


def _named(wanted: Wanted, region: str) -> str | None:
    """The one label that stands in the region; longer labels hide the shorter ones within them, a negation hides all."""
    said = f" {' '.join(words(plain(unlatex(region[:2_000]))))} "
    found = []
    for label in sorted(wanted.options, key=len, reverse=True):
        spelt = f" {' '.join(words(label))} "
        if spelt in said:
            found.append(label)
            said = said.replace(spelt, " ")
    return found[0] if len(found) == 1 and NEGATIONS.isdisjoint(said.split()) else None
