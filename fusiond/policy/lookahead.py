"""Whether the next paid answer is worth its price.

The tree of what the paid voters still to be asked may say, under the same belief that the verdict states: a cheap answer is worth asking not because
it may win, but because agreement with it spares the dear one. Pure; nothing here knows a price, only tolls.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from math import inf
from operator import mul

from fusiond.policy.belief import NOTHING, TIE, Model, Row, Voter, Votes, believe, joint, right, roles

DEPTH = 3
"""With more voters waiting than this only the next and the dearest are looked at: the whole tree would take too long."""

Tolls = Mapping[str, float]
"""What asking a voter must bring in, by its name: a chance of being right."""

Key = tuple[Row, float]
"""A key on the table: its share of the belief at every difficulty, and the weight of the votes for it."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Outlook:
    """The chance of ending right, less the tolls still to be paid: when stopping now, or asking the next and going on wisely (-inf: nobody waits)."""

    stop: float
    ask: float


@dataclass(frozen=True, slots=True, kw_only=True)
class _Call:
    """A voter that may be asked: its chance of being right at every difficulty, of being wrong, and the toll."""

    hit: Row
    miss: Row
    toll: float


@dataclass(frozen=True, slots=True, kw_only=True)
class _Table:
    """What is believed. The keys have no names here: who says what is told by place. `none`: the truth is no key on the table."""

    keys: tuple[Key, ...]
    none: Row
    stray: float

    @property
    def others(self) -> tuple[float, ...]:
        """The parts among which a further wrong answer falls, where each key in turn is the truth."""
        whole = self.stray + sum(weight for _, weight in self.keys)
        return tuple(whole - weight for _, weight in self.keys)


def next_call(model: Model, panel: Sequence[Voter], votes: Votes, tolls: Tolls, options: int = 0) -> Voter | None:
    """The next paid voter to ask, in panel order, if that is worth its toll; None: what stands is delivered.

    Whoever failed, abstained or may not be asked is in `votes` with None, or would be asked for ever. `tolls` names every paid voter not in `votes`;
    `options`: how many values the request offers (0: open).
    """
    outlook = worth(model, panel, votes, tolls, options)
    return _waiting(panel, votes)[0] if outlook.ask > outlook.stop + TIE else None


def worth(model: Model, panel: Sequence[Voter], votes: Votes, tolls: Tolls, options: int = 0) -> Outlook:
    """What stopping and what asking the next paid voter promises; arguments as for `next_call`."""
    weighed, ranks = joint(model, panel, votes, options), roles(model, panel)
    belief = believe(weighed.logs)
    keys = tuple((belief[key], weight) for key, weight in weighed.crowd.items())
    table = _Table(keys=keys, none=belief.get(None, NOTHING), stray=weighed.stray)
    calls = [_call(right(ranks[voter].skill, model.spread), tolls[voter.name]) for voter in _near(_waiting(panel, votes))]
    return Outlook(stop=_stop(table), ask=_ask(table, calls) if calls else -inf)


def _waiting(panel: Sequence[Voter], votes: Votes) -> list[Voter]:
    return [voter for voter in panel if voter.paid and voter not in votes]


def _near(waiting: list[Voter]) -> list[Voter]:
    return waiting if len(waiting) <= DEPTH else [waiting[0], max(waiting[1:], key=lambda voter: voter.rank)]


def _call(hit: Row, toll: float) -> _Call:
    return _Call(hit=hit, miss=tuple(1 - chance for chance in hit), toll=toll)


def _stop(table: _Table) -> float:
    return max((sum(row) for row, _ in table.keys), default=0.0)


def _ask(table: _Table, calls: Sequence[_Call]) -> float:
    """What asking the first of `calls` promises. Beliefs after an answer are left as they are, not scaled up to one: everything scales with them."""
    call, *rest = calls
    mass = sum(table.none) + sum(sum(row) for row, _ in table.keys)
    if not rest:
        return _last(table, call) - call.toll * mass
    return sum(max(_stop(after), _ask(after, rest)) for after in _answers(table, call)) - call.toll * mass


def _answers(table: _Table, call: _Call) -> Iterator[_Table]:
    """The table after each thing that the voter may say: every key on it, then a new one.

    A right answer is the truth; a wrong one joins a wrong key with its weight in parts, or is new with `stray` parts.
    """
    hits = [_times(row, call.hit) for row, _ in table.keys]
    misses = [_scaled(_times(row, call.miss), 1 / parts) for (row, _), parts in zip(table.keys, table.others, strict=True)]
    weights = [weight for _, weight in table.keys]
    astray = _scaled(_times(table.none, call.miss), 1 / (table.stray + sum(weights)))
    for said, weight in enumerate(weights):
        keys = [(_scaled(miss, weight), other) for miss, other in zip(misses, weights, strict=True)]
        keys[said] = (hits[said], weight + 1)
        yield _Table(keys=tuple(keys), none=_scaled(astray, weight), stray=table.stray)
    known = [(_scaled(miss, table.stray), weight) for miss, weight in zip(misses, weights, strict=True)]
    new = (_times(table.none, call.hit), 1.0)
    yield _Table(keys=(*known, new), none=_scaled(astray, table.stray), stray=table.stray)


def _last(table: _Table, call: _Call) -> float:
    """The chance of being right once the last call is answered: only the key that stands then counts, so that sums over difficulty are enough."""
    hits = [_dot(row, call.hit) for row, _ in table.keys]
    misses = [_dot(row, call.miss) / parts for (row, _), parts in zip(table.keys, table.others, strict=True)]
    first, second, *_ = sorted((*misses, 0.0, 0.0), reverse=True)
    rivals = [second if miss == first else first for miss in misses]  # the best of the others; where two are first, the second is as good
    said = [max(hit, weight * rival) for hit, rival, (_, weight) in zip(hits, rivals, table.keys, strict=True)]
    return sum(said) + max(_dot(table.none, call.hit), table.stray * first)


def _dot(row: Row, other: Row) -> float:
    total: float = sum(map(mul, row, other))
    return total


def _times(row: Row, other: Row) -> Row:
    return tuple(map(mul, row, other))


def _scaled(row: Row, factor: float) -> Row:
    return tuple([factor * x for x in row])
