"""What the votes say: which key stands, and the chance that it is right.

One generative model: every question has a difficulty, every voter a skill, and wrong answers are scattered, but gather a little. Everything here
is pure, and looks at voters in panel order only, never in order of arrival: the same answers give the same result.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cache
from math import exp, lgamma, log, log1p

NODES = ((-2.857, 0.01126), (-1.3556, 0.22208), (0.0, 0.53333), (1.3556, 0.22208), (2.857, 0.01126))
"""Difficulty and its weight: a standard normal distribution in five points (Gauss-Hermite quadrature)."""

TIE = 1e-9
"""Chances that differ by a smaller share are equal: what is left is rounding."""

Row = tuple[float, ...]
"""One figure for each node of difficulty."""

Truth = str | None
"""What may be right: a key on the table, or None, none of them."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Voter:
    """One voice of a panel. `size`, `reasoning` and the lead they give count for members that cost nothing, `rank` for paid ones."""

    name: str
    paid: bool = False
    reasoning: bool = False  # thinks before it answers
    size: float = 8.0  # billions of parameters; the largest leads, a reasoner before all others
    rank: float = 1.0  # of a price: clamp(1 + log10(price / the dearest's), 0, 1)
    member: str = ""  # whose voice this is, where one member gives several answers; empty: a member of its own
    prior: float | None = None  # chance of being right, averaged over difficulty; replaces what size, kind and price would say


Votes = Mapping[Voter, str | None]
"""The answers that are in; None: no key (a refusal, a cut, nonsense), which is no vote."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Model:
    """The parameters, fitted to recorded answers of real models by the likelihood of the truth given the votes, then rounded."""

    local: float = 0.5  # skill, in log-odds of being right on a question of middling difficulty
    lead: float = 1.1  # more, for the leading local
    reasoner: float = 1.8  # more, where it reasons
    cheap: float = 1.4  # a paid member of rank 0
    strong: float = 2.25  # a paid member of rank 1
    spread: float = 1.7  # standard deviation of difficulty between questions
    stray: float = 3.0  # wrong answers: this many parts a new key, against one part for every wrong answer already there
    stray_choice: float = 0.75  # the same where the answer is one of a few offered values (letters, labels)
    stray_two: float = 0.05  # the same for yes or no, where wrong answers must meet (set by reason, not measured)
    echo: float = 0.7  # weight of a vote of a local that does not lead: they repeat each other's errors
    again: float = 0.5  # what a further answer of the same member adds to the weight that all its answers share
    none: float = 0.7  # log-odds added to "none of the keys on the table is right"

    def parts(self, options: int) -> float:
        """The stray parts, where the request offers so many values (2: yes or no; 0: open)."""
        if options == 0:
            return self.stray
        return self.stray_two if options == 2 else self.stray_choice


@dataclass(frozen=True, slots=True, kw_only=True)
class Role:
    """What one voter's word is worth beside this panel. `odds`: weight x log-odds of being right; `wrong`: weight x log-chance of being wrong."""

    skill: float
    weight: float
    odds: Row
    wrong: Row


@dataclass(frozen=True, slots=True, kw_only=True)
class Tally:
    """The votes added up, keys in panel order of who first said them: their weight, their odds of being right, the log-chance that all are wrong."""

    crowd: Mapping[str, float]
    odds: Mapping[str, Row]
    wrong: Row


@dataclass(frozen=True, slots=True, kw_only=True)
class Joint:
    """Log-chance of these votes with every truth and difficulty, not normalised; the weight of votes behind each key; the stray parts."""

    logs: Mapping[Truth, Row]
    crowd: Mapping[str, float]
    stray: float


@dataclass(frozen=True, slots=True, kw_only=True)
class Verdict:
    """The key that stands (None: nobody said one), and the chance that it is right."""

    key: str | None
    confidence: float


def roles(model: Model, panel: Sequence[Voter]) -> dict[Voter, Role]:
    """Skill and weight of every voter, in panel order. Locals as good as the largest are peers: each takes half the lead, and full weight."""
    leading = {voter for voter in panel if _leads(voter, panel)}
    lead = model.lead if len({_member(voter) for voter in leading}) <= 1 else model.lead / 2
    answers = Counter(map(_member, panel))
    return {
        voter: _role(
            model,
            _skill(model, voter, lead if voter in leading else None),
            _weight(model, voter, answers[_member(voter)], leads=voter in leading),
        )
        for voter in panel
    }


def skills(model: Model, panel: Sequence[Voter]) -> dict[Voter, float]:
    """Every voter's log-odds of being right on a question of middling difficulty."""
    return {voter: role.skill for voter, role in roles(model, panel).items()}


def tally(ranks: Mapping[Voter, Role], votes: Votes) -> Tally:
    """Add up the votes, in the order of `ranks`."""
    crowd: dict[str, float] = {}
    odds: dict[str, Row] = {}
    wrong: Row = tuple(log(weight) for _, weight in NODES)
    for voter, role in ranks.items():
        if (key := votes.get(voter)) is not None:
            crowd[key] = crowd.get(key, 0.0) + role.weight
            odds[key] = plus(odds.get(key, NOTHING), role.odds)
            wrong = plus(wrong, role.wrong)
    return Tally(crowd=crowd, odds=odds, wrong=wrong)


def joint(model: Model, panel: Sequence[Voter], votes: Votes, options: int = 0) -> Joint:
    """Every truth and difficulty weighed by these votes; where every offered value was said, one of them is right."""
    table = tally(roles(model, panel), votes)
    stray = model.parts(options)
    truths: list[Truth] = [*table.crowd] if 0 < options <= len(table.crowd) else [*table.crowd, None]
    extra = 0.0 if options == 2 else model.none
    logs = {truth: _given(truth, table, gathering(truth, table.crowd, stray) + (extra if truth is None else 0.0)) for truth in truths}
    return Joint(logs=logs, crowd=table.crowd, stray=stray)


def gathering(truth: Truth, crowd: Mapping[str, float], stray: float) -> float:
    """Log-chance that the wrong votes fall on keys as they do when `truth` is right.

    Ewens' sampling formula (W. J. Ewens, 1972): n votes fall into groups of g with the chance
    stray^groups x product of Gamma(g) x Gamma(stray) / Gamma(stray + n).
    """
    wrong = [weight for key, weight in crowd.items() if key != truth]
    return sum(log(stray) + lgamma(weight) for weight in wrong) - lgamma(stray + sum(wrong)) + lgamma(stray)


def believe(logs: Mapping[Truth, Row]) -> dict[Truth, Row]:
    """The chance of every truth with every difficulty; all together are one."""
    top = max(map(max, logs.values()))
    raw = {truth: [exp(x - top) for x in row] for truth, row in logs.items()}
    total = sum(map(sum, raw.values()))
    return {truth: tuple(x / total for x in row) for truth, row in raw.items()}


def chances(model: Model, panel: Sequence[Voter], votes: Votes, options: int = 0) -> dict[str, float]:
    """The chance that each key is right, in panel order of who first said it. What is missing from one is that none of them is."""
    weighed = joint(model, panel, votes, options)
    if not weighed.crowd:
        return {}
    belief = believe(weighed.logs)
    return {key: sum(belief[key]) for key in weighed.crowd}


def verdict(model: Model, panel: Sequence[Voter], votes: Votes, options: int = 0) -> Verdict:
    """The key that stands and the chance that it is right. A tie goes to the key that comes first in panel order."""
    found = chances(model, panel, votes, options)
    if not found:
        return Verdict(key=None, confidence=0.0)
    top = max(found.values())
    best = next(key for key, chance in found.items() if chance >= top * (1 - TIE))
    return Verdict(key=best, confidence=found[best])


def right(skill: float, spread: float) -> Row:
    """Chance of a right answer at every node of difficulty."""
    return tuple(1 / (1 + exp(spread * difficulty - skill)) for difficulty, _ in NODES)


def plus(one: Row, other: Row) -> Row:
    """Both rows, node by node."""
    return tuple(a + b for a, b in zip(one, other, strict=True))


NOTHING: Row = (0.0,) * len(NODES)


def _given(truth: Truth, table: Tally, gathered: float) -> Row:
    odds = NOTHING if truth is None else table.odds[truth]
    return tuple(wrong + gathered + gain for wrong, gain in zip(table.wrong, odds, strict=True))


def _leads(voter: Voter, panel: Sequence[Voter]) -> bool:
    """Whether nobody without a price is clearly better: a reasoner where there is one, within 15% of the largest's size."""
    if voter.paid:
        return False
    reasoning, size = max((other.reasoning, other.size) for other in panel if not other.paid)
    return voter.reasoning == reasoning and voter.size >= 0.85 * size


def _skill(model: Model, voter: Voter, lead: float | None) -> float:
    if voter.prior is not None:
        return _log_odds(voter.prior, model.spread)
    if voter.paid:
        return model.cheap + (model.strong - model.cheap) * voter.rank
    if lead is None:
        return model.local
    return model.local + (lead + model.reasoner * voter.reasoning)


def _member(voter: Voter) -> str:
    return voter.member or voter.name


def _weight(model: Model, voter: Voter, answers: int, *, leads: bool) -> float:
    """The answers of one member share its weight and what the further ones add to it: none of them is the first by right.

    Measured on recorded answers of which three samples are known: better in accuracy and in its stated chances than a full vote for the first sample
    and a lesser one for each further, in every panel tried (a reasoner alone: 78.7% against 78.1% right, Brier score 0.083 against 0.091).
    """
    alone = 1.0 if leads or voter.paid else model.echo
    return (alone + model.again * (answers - 1)) / answers


def _role(model: Model, skill: float, weight: float) -> Role:
    odds = [skill - model.spread * difficulty for difficulty, _ in NODES]
    return Role(
        skill=skill,
        weight=weight,
        odds=tuple(weight * x for x in odds),
        wrong=tuple(-weight * (x + log1p(exp(-x)) if x > 0 else log1p(exp(x))) for x in odds),
    )


@cache
def _log_odds(chance: float, spread: float) -> float:
    """The skill that is right with this chance, averaged over difficulty: between its bounds the mean only grows, so halving finds it."""
    low, high = -30.0, 30.0
    while high - low > 1e-12:
        middle = (low + high) / 2
        mean = sum(weight * hit for (_, weight), hit in zip(NODES, right(middle, spread), strict=True))
        low, high = (middle, high) if mean < chance else (low, middle)
    return (low + high) / 2
