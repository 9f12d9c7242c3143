"""What recorded answers change of a fusion, for each kind of key: skills, panel and thrift, as far as they show a gain on questions apart.

A gain is measured in what the knob itself trades: right answers, less `thrift` for every mean call of the strongest that was paid. Skills are judged
by the chance that was given to the truth, which needs fewer questions to tell. Pure.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from itertools import pairwise
from math import log, sqrt

from fusiond.policy.belief import Model, believe, joint
from fusiond.policy.learn import Lesson, learn
from fusiond.scoring.figures import calibration
from fusiond.scoring.replay import Recorded, Settled, Voice, replayed

FOLDS = 5
FEWEST = 30
"""Questions of a kind below which nothing is learnt of it."""

THRIFTS = (0.5, 0.7, 1.4, 2.0)
"""Times the fusion's own: what is tried."""

SURE = 2.0
"""So many standard errors a gain must have, where one of several settings is chosen by it."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Setting:
    """How one kind is answered. `skills`: member -> chance of a right answer; `panel`: who of the members that cost nothing is asked."""

    thrift: float
    skills: Mapping[str, float] = field(default_factory=dict)
    panel: tuple[str, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class Result:
    """Replayed questions: shares of right answers, and of what always asking the strongest would have cost (0 where nobody costs money).

    `confidence_error`: mean distance of the stated confidence from the truth, in ten bins.
    """

    questions: int
    right: float
    strongest: float
    cost: float
    confidence_error: float


@dataclass(frozen=True, slots=True, kw_only=True)
class Finding:
    """What was found for one kind: the fusion as it is and as it would be, both measured on questions that taught nothing."""

    kind: str
    before: Setting
    after: Setting
    now: Result
    then: Result


Teach = Callable[[Sequence[Recorded]], Setting]
"""A setting from the questions that teach."""


def tuned(kind: str, panel: Sequence[Voice], records: Sequence[Recorded], thrift: float) -> Finding:
    """The finding for the questions of one kind, which every member of *panel* has answered. Few questions change nothing."""
    free = tuple(voice.voter.name for voice in panel if not voice.voter.paid)
    before = Setting(thrift=thrift, panel=free)
    now = replayed(panel, records, thrift)
    if len(records) < FEWEST:
        return Finding(kind=kind, before=before, after=before, now=result(now), then=result(now))
    teach: Teach = _plainly(before)
    if _pays(learning := _taught(panel, before), panel, records):
        teach = learning
    for other in _others(teach, panel, before):
        if _gains(_apart(panel, records, other), _apart(panel, records, teach), thrift):
            teach = other
    is_now, then = result(now), result(_apart(panel, records, teach))
    if then.right - thrift * then.cost < is_now.right - thrift * is_now.cost:  # likelier truths that make no better answers
        return Finding(kind=kind, before=before, after=before, now=is_now, then=is_now)
    return Finding(kind=kind, before=before, after=teach(records), now=is_now, then=then)


def fitted(panel: Sequence[Voice], setting: Setting) -> list[Voice]:
    """The panel as a setting has it."""
    kept = [voice for voice in panel if voice.voter.paid or voice.voter.name in setting.panel]
    return [replace(voice, voter=replace(voice.voter, prior=setting.skills.get(voice.voter.name, voice.voter.prior))) for voice in kept]


def result(settled: Sequence[Settled]) -> Result:
    """The sums of what became of questions, at least one."""
    count, always = len(settled), sum(each.always for each in settled)
    return Result(
        questions=count,
        right=sum(each.right for each in settled) / count,
        strongest=sum(each.best for each in settled) / count,
        cost=float(sum(each.spent for each in settled) / always) if always else 0.0,
        confidence_error=calibration([(each.confidence, each.right) for each in settled])[1],
    )


def lessons(panel: Sequence[Voice], records: Sequence[Recorded]) -> list[Lesson]:
    """What every question teaches."""
    return [
        Lesson(votes={voice.voter: record.said[voice.voter.name].key for voice in panel}, truth=record.truth, options=record.options)
        for record in records
    ]


def _plainly(setting: Setting) -> Teach:
    return lambda _: setting


def _taught(panel: Sequence[Voice], setting: Setting) -> Teach:
    voters = [voice.voter for voice in panel]
    known: dict[tuple[str, ...], Mapping[str, float]] = {}  # every other setting that is tried has the same lessons

    def teach(records: Sequence[Recorded]) -> Setting:
        ids = tuple(record.id for record in records)
        if ids not in known:
            known[ids] = learn(Model(), voters, lessons(panel, records))
        return replace(setting, skills=known[ids])

    return teach


def _others(teach: Teach, panel: Sequence[Voice], before: Setting) -> list[Teach]:
    """Other thrifts, where somebody costs money, and panels without one of their members."""
    thrifts = [before.thrift * times for times in THRIFTS] if any(voice.voter.paid for voice in panel) else []
    smaller = [tuple(name for name in before.panel if name != left) for left in before.panel] if len(before.panel) > 1 else []
    return [*(_with(teach, thrift=thrift) for thrift in thrifts), *(_with(teach, panel=names) for names in smaller)]


def _with(teach: Teach, *, thrift: float | None = None, panel: tuple[str, ...] | None = None) -> Teach:
    def taught(records: Sequence[Recorded]) -> Setting:
        setting = teach(records)
        return replace(setting, thrift=setting.thrift if thrift is None else thrift, panel=setting.panel if panel is None else panel)

    return taught


def _folds(records: Sequence[Recorded]) -> list[tuple[Sequence[Recorded], Sequence[Recorded]]]:
    """Each part of the questions, and the others, which teach."""
    bounds = [round(len(records) * fold / FOLDS) for fold in range(FOLDS + 1)]
    return [(records[low:high], [*records[:low], *records[high:]]) for low, high in pairwise(bounds)]


def _apart(panel: Sequence[Voice], records: Sequence[Recorded], teach: Teach) -> list[Settled]:
    """Every question under the setting that the others teach."""
    found = []
    for scored, teaching in _folds(records):
        setting = teach(teaching)
        found += replayed(fitted(panel, setting), scored, setting.thrift)
    return found


def _pays(teach: Teach, panel: Sequence[Voice], records: Sequence[Recorded]) -> bool:
    """Whether learnt skills give the truth a better chance than the defaults, on questions that taught nothing."""
    return sum(_likelihood(fitted(panel, teach(rest)), scored) - _likelihood(panel, scored) for scored, rest in _folds(records)) > 0


def _likelihood(panel: Sequence[Voice], records: Sequence[Recorded]) -> float:
    """Sum of the log-chances given to the truth, once everybody has answered."""
    voters = [voice.voter for voice in panel]
    total = 0.0
    for lesson in lessons(panel, records):
        belief = believe(joint(Model(), voters, lesson.votes, lesson.options).logs)
        total += log(max(1e-9, sum(belief.get(lesson.truth, belief.get(None, ())))))
    return total


def _gains(other: Sequence[Settled], settled: Sequence[Settled], thrift: float) -> bool:
    """Whether one way does better than the other by more than chance would."""
    mean = float(sum(each.always for each in settled)) / len(settled)
    worth = [a.right - b.right - (thrift * float(a.spent - b.spent) / mean if mean else 0.0) for a, b in zip(other, settled, strict=True)]
    average = sum(worth) / len(worth)
    error = sqrt(sum((each - average) ** 2 for each in worth)) / len(worth)
    return average > SURE * error and average > 0
