"""Whether the answers still missing can change the key that stands.

Every completion counts: a missing voter may say any key on the table, nothing at all, or a new key, the same as another missing one or its own.
None is left out as harmless: a weak vote may count against its own key, which the model then takes for the common lure.
Which of two keys is ahead depends only on who speaks and who says one of the two, so that every rival is tried alone against the standing key.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from functools import cache, reduce
from itertools import compress, product
from math import exp, lgamma, log

from fusiond.policy.belief import NOTHING, TIE, Model, Truth, Voter, Votes, plus, roles, tally, verdict

LOOK = 3
"""With more voters missing than this nothing is called settled: there would be too much to try."""

RIVAL, OURS, ELSEWHERE, SILENT = range(4)
"""What a missing voter may say, as seen from the standing key and one rival; what endangers the standing key comes first."""

Completion = tuple[int, ...]
"""One of these words for each missing voter."""


def settled(model: Model, panel: Sequence[Voter], votes: Votes, missing: Sequence[Voter], options: int = 0) -> bool:
    """Whether no completion of the missing voters' answers changes the key that stands. `options`: how many values the request offers (0: open)."""
    if not missing:
        return True
    if len(missing) > LOOK or (standing := verdict(model, panel, votes, options).key) is None:
        return False
    contest = _Contest(model, panel, votes, missing, options)
    said = {key for key in votes.values() if key is not None}
    new = [] if 0 < options <= len(said) else [None]  # None: a key that nobody has said yet
    third = options == 0 or len(said) + len(new) > 2 or options > 2
    return all(contest.holds(standing, rival, words) for rival in [*(said - {standing}), *new] for words in _completions(rival, missing, third=third))


def _completions(rival: Truth, missing: Sequence[Voter], *, third: bool) -> Iterator[Completion]:
    words = (RIVAL, OURS, ELSEWHERE, SILENT) if third else (RIVAL, OURS, SILENT)
    every = product(words, repeat=len(missing))
    return every if rival is not None else (completion for completion in every if RIVAL in completion)


class _Contest:
    """The standing key against one rival, under any completion."""

    def __init__(self, model: Model, panel: Sequence[Voter], votes: Votes, missing: Sequence[Voter], options: int) -> None:
        ranks = roles(model, panel)
        self._table = tally(ranks, votes)
        self._cast = sum(self._table.crowd.values())
        self._stray = model.parts(options)
        self._missing = [ranks[voter] for voter in missing]
        self._places = [panel.index(voter) for voter in missing]
        self._first = {key: min(place for place, voter in enumerate(panel) if votes.get(voter) == key) for key in self._table.crowd}
        self._score = cache(self._weigh)  # many completions differ only in what others say

    def holds(self, standing: str, rival: Truth, words: Completion) -> bool:
        """Whether the standing key stays ahead of the rival. The one said first in panel order wins a tie, as in `verdict`."""
        speaking = tuple(word != SILENT for word in words)
        ours, theirs = tuple(word == OURS for word in words), tuple(word == RIVAL for word in words)
        lead = self._score(standing, ours, speaking) - self._score(rival, theirs, speaking)
        return lead > TIE or (lead > -TIE and self._place(standing, ours) < self._place(rival, theirs))

    def _weigh(self, key: Truth, joining: tuple[bool, ...], speaking: tuple[bool, ...]) -> float:
        """Log-chance that `key` is right, less what is the same for all keys; see `belief.joint`."""
        joined, spoken = [*compress(self._missing, joining)], [*compress(self._missing, speaking)]
        weight = sum((role.weight for role in joined), self._table.crowd.get(key, 0.0) if key is not None else 0.0)
        others = self._stray + self._cast + sum(role.weight for role in spoken) - weight
        odds = reduce(plus, (role.odds for role in joined), NOTHING if key is None else self._table.odds[key])
        row = reduce(plus, (role.wrong for role in spoken), plus(self._table.wrong, odds))
        top = max(row)
        return top + log(sum(exp(x - top) for x in row)) - lgamma(weight) - lgamma(others)

    def _place(self, key: Truth, joining: tuple[bool, ...]) -> int:
        known = [] if key is None else [self._first[key]]
        return min([*known, *compress(self._places, joining)])
