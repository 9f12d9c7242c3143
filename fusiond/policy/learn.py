"""What fully asked requests teach of the members' skills, for one kind of traffic and one panel.

Only requests that everybody answered, and that were not chosen by what somebody said, may teach: those that escalated by themselves teach nothing
good. Skills alone are learnt, under a prior around what size, kind and price would say. Pure.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace

from fusiond.policy.belief import NODES, Model, Row, Voter, Votes, believe, joint, right, roles

WIDE = 0.5
"""Standard deviation of a skill around its default, in log-odds."""

LABEL = 0.5
"""Weight of a request whose right answer is known."""

ROUNDS = 12


@dataclass(frozen=True, slots=True, kw_only=True)
class Lesson:
    """One request: what everybody said, the right key, and how many values were offered (0: open)."""

    votes: Votes
    truth: str
    options: int = 0


def learn(model: Model, panel: Sequence[Voter], lessons: Sequence[Lesson]) -> dict[str, float]:
    """Every voter's chance of a right answer, averaged over difficulty, by its name: what its `prior` says."""
    default = {voter: role.skill for voter, role in roles(model, panel).items()}
    gain = dict.fromkeys(panel, 0.0)
    for _ in range(ROUNDS):
        now = {voter: replace(voter, prior=mean_chance(default[voter] + gain[voter], model.spread)) for voter in panel}
        slope, bend = _gradient(model, now, lessons)
        gain = {voter: _step(gain[voter], slope[voter], bend[voter]) for voter in panel}
    return {voter.name: mean_chance(default[voter] + gain[voter], model.spread) for voter in panel}


def mean_chance(skill: float, spread: float) -> float:
    """The chance of a right answer, averaged over difficulty."""
    return sum(weight * hit for (_, weight), hit in zip(NODES, right(skill, spread), strict=True))


def _step(gain: float, slope: float, bend: float) -> float:
    """Newton's step towards the likeliest skill; the prior pulls back to the default."""
    return gain + (slope - gain / WIDE**2) / (bend + 1 / WIDE**2)


def _gradient(model: Model, now: Mapping[Voter, Voter], lessons: Sequence[Lesson]) -> tuple[dict[Voter, float], dict[Voter, float]]:
    """Slope and curvature of the log-likelihood in every skill. `now`: each voter as it is believed to be in this round."""
    slope, bend = dict.fromkeys(now, 0.0), dict.fromkeys(now, 0.0)
    ranks = roles(model, list(now.values()))
    hits = {voter: right(ranks[as_now].skill, model.spread) for voter, as_now in now.items()}
    for lesson in lessons:
        belief = _belief(model, now, lesson)
        each = tuple(map(sum, zip(*belief.values(), strict=True)))
        for voter, key in lesson.votes.items():
            if key is not None:
                weight = LABEL * ranks[now[voter]].weight
                slope[voter] += weight * (sum(belief.get(key, ())) - _sum(each, hits[voter]))
                bend[voter] += weight * sum(e * hit * (1 - hit) for e, hit in zip(each, hits[voter], strict=True))
    return slope, bend


def _belief(model: Model, now: Mapping[Voter, Voter], lesson: Lesson) -> dict[str | None, Row]:
    """The chance of every difficulty, once the truth is known; where nobody said it, it is none of the keys on the table."""
    weighed = joint(model, list(now.values()), {now[voter]: key for voter, key in lesson.votes.items()}, lesson.options)
    truth = lesson.truth if lesson.truth in weighed.crowd else None
    return believe({truth: weighed.logs[truth]} if truth in weighed.logs else weighed.logs)


def _sum(one: Row, other: Row) -> float:
    return sum(a * b for a, b in zip(one, other, strict=True))
