"""What the answers to a set say of whoever gave them: accuracy, cost and time with their intervals, and whether fusing was worth it. Pure."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass

from fusiond.scoring.answers import HEARD, Line
from fusiond.scoring.figures import Bin, Share, calibration, paired, percentile, wilson
from fusiond.scoring.questions import Question


@dataclass(frozen=True, slots=True, kw_only=True)
class Mark:
    """One answer: whether it is right, USD, seconds (None: it did not come to its end), and how sure it said it was."""

    right: bool
    cost_usd: float
    seconds: float | None
    failed: bool = False
    confidence: float | None = None


Marks = Mapping[str, Mapping[str, Mark]]
"""Voice (a model that was asked for, or a member) -> question -> its mark."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Standing:
    """How one voice did. `cost_usd`: of all its answers; `p50`, `p95`: seconds, None where no answer came."""

    name: str
    fused: bool
    questions: int
    right: int
    failed: int
    accuracy: Share
    cost_usd: float
    p50: float | None
    p95: float | None


@dataclass(frozen=True, slots=True, kw_only=True)
class Versus:
    """A fusion's accuracy less a member's, on the questions that both were asked."""

    fusion: str
    member: str
    questions: int
    difference: Share


@dataclass(frozen=True, slots=True, kw_only=True)
class Calibration:
    """How the confidence that a fusion stated compares with the truth; `error`: the mean distance."""

    fusion: str
    questions: int
    error: float
    bins: Sequence[Bin]


@dataclass(frozen=True, slots=True, kw_only=True)
class Summary:
    """All of it. `unscored`: why -> how many questions; `unheard`: voice -> how many of the scored questions it was not asked.

    `ceiling`: the share of questions where some member was right, of those that every member was asked.
    """

    questions: int
    scored: int
    unscored: Mapping[str, int]
    unheard: Mapping[str, int]
    standings: Sequence[Standing]
    versus: Sequence[Versus]
    ceiling: Share | None
    calibration: Sequence[Calibration]


def summary(questions: Sequence[Question], marks: Marks, fusions: Sequence[str]) -> Summary:
    """The summary of *marks*. `fusions`: which of the voices are fusions, the others are members."""
    scored = [question for question in questions if question.unscored is None]
    members = [voice for voice in marks if voice not in fusions]
    standings = [_standing(voice, marks[voice], fused=voice in fusions) for voice in (*fusions, *members) if marks.get(voice)]
    return Summary(
        questions=len(questions),
        scored=len(scored),
        unscored=dict(Counter(question.unscored for question in questions if question.unscored)),
        unheard={voice: missing for voice, told in marks.items() if (missing := len(scored) - len(told))},
        standings=standings,
        versus=[found for fusion in fusions for member in members if (found := _versus(fusion, member, marks))],
        ceiling=_ceiling([marks[member] for member in members if marks[member]]),
        calibration=[stated for fusion in fusions if (stated := _calibration(fusion, marks.get(fusion, {})))],
    )


def marked(questions: Iterable[Question], lines: Iterable[Line], failed: Iterable[tuple[str, str]] = ()) -> dict[str, dict[str, Mark]]:
    """The marks of all that was said to the questions that can be scored. `failed`: (model, question) that had no answer at all: not right, either.

    A member's own answer is its first sample in a fused answer, where it came to an end there, else what it said when it was asked alone.
    """
    scored = {question.id: question for question in questions if question.unscored is None}
    marks: dict[str, dict[str, Mark]] = {}
    for line in lines:
        if question := scored.get(line["id"]):
            marks.setdefault(line["model"], {})[question.id] = _mark(question, line, failed=False)
            for part in line["members"]:
                if part["sample"] == 1 and part["member"] != line["model"]:
                    of_member = marks.setdefault(part["member"], {})
                    if part["status"] in HEARD:
                        of_member.setdefault(question.id, _mark(question, part, failed=part["status"] in ("failed", "timed_out")))
    for model, name in failed:
        if name in scored:
            marks.setdefault(model, {}).setdefault(name, Mark(right=False, cost_usd=0.0, seconds=None, failed=True))
    return marks


def _mark(question: Question, told: Line, *, failed: bool) -> Mark:
    return Mark(
        right=not failed and bool(question.right(told["text"])),
        cost_usd=told["cost_usd"],
        seconds=None if failed else told["seconds"],
        failed=failed,
        confidence=told.get("confidence"),
    )


def _standing(name: str, marks: Mapping[str, Mark], *, fused: bool) -> Standing:
    right = sum(mark.right for mark in marks.values())
    seconds = [mark.seconds for mark in marks.values() if mark.seconds is not None]
    return Standing(
        name=name,
        fused=fused,
        questions=len(marks),
        right=right,
        failed=sum(mark.failed for mark in marks.values()),
        accuracy=wilson(right, len(marks)),
        cost_usd=sum(mark.cost_usd for mark in marks.values()),
        p50=percentile(seconds, 0.5) if seconds else None,
        p95=percentile(seconds, 0.95) if seconds else None,
    )


def _versus(fusion: str, member: str, marks: Marks) -> Versus | None:
    one, other = marks.get(fusion, {}), marks[member]
    differences = [one[name].right - other[name].right for name in one if name in other]
    return Versus(fusion=fusion, member=member, questions=len(differences), difference=paired(differences)) if differences else None


def _ceiling(members: Sequence[Mapping[str, Mark]]) -> Share | None:
    common = set.intersection(*(set(marks) for marks in members)) if members else set()
    return wilson(sum(any(marks[name].right for marks in members) for name in common), len(common)) if common else None


def _calibration(fusion: str, marks: Mapping[str, Mark]) -> Calibration | None:
    stated = [(mark.confidence, mark.right) for mark in marks.values() if mark.confidence is not None]
    if not stated:
        return None
    bins, error = calibration(stated)
    return Calibration(fusion=fusion, questions=len(stated), error=error, bins=bins)
