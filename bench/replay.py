"""Is a fusion better than its best member, or cheaper? Recorded answers of real models through the real daemon: `python -m bench.replay`.

Needs the recordings, in the folder that FUSIOND_EVAL_DATA names. Every question of a set goes to a daemon whose members are the recorded models on a
scripted upstream (`bench.answers`), at their real prices and lengths, all sets mixed. An answer is right if the one whose text was delivered was
marked as right. The set of which no texts were kept is replayed by its keys through the policy's functions instead (`bench.keyed`).
"""

from __future__ import annotations

import argparse
import asyncio
import random
import statistics
from collections.abc import Sequence
from dataclasses import dataclass
from decimal import Decimal
from math import sqrt

import aiohttp

from bench.answers import sample
from bench.keyed import THRIFT, Outcome, outcome, replayed
from bench.processes import LOAD_CORE, daemon, server
from bench.recorded import FOLDER, PRICES, SETS, SIZES, Record, Recordings

CONNECTIONS = 8

PROVIDER = """
[providers.{place}]
api = "openai"
url = "http://127.0.0.1:{upstream}/v1"
place = "{place}"
"""
BUDGET = "[budget]\n"


@dataclass(frozen=True, slots=True, kw_only=True)
class Variant:
    """One way to fuse: who is asked, and how much for."""

    label: str
    thrift: float = THRIFT
    spend: float | None = None
    free: int = 4
    samples: int = 1  # of a reasoner that leads
    paid: bool = True

    def config(self, name: str, recordings: Recordings) -> str:
        """Its fusion over one set's models."""
        seats = [f'{{ member = "{member}", samples = {self._samples(member)} }}' for member in recordings.free[: self.free]]
        lines = [f"[fusions.{name}]", f"panel = [{', '.join(seats)}]"]
        if self.paid:
            how_much = f"thrift = {self.thrift}" if self.spend is None else f"spend = {self.spend}"
            lines += ['strategy = "cascade"', f"escalate = {list(recordings.escalate)}", how_much]
        return "\n".join([*lines, ""])

    def by_keys(self, recordings: Recordings) -> list[Outcome]:
        """The same without the daemon. None of those sets has a reasoner."""
        return replayed(recordings, thrift=self.thrift, spend=self.spend, free=self.free, paid=self.paid)

    def _samples(self, member: str) -> int:
        return self.samples if member == "qwq-32b" else 1


VARIANTS = (
    Variant(label=f"four locals, defaults (`thrift = {THRIFT}`)"),
    Variant(label="`thrift = 0.06`", thrift=0.06),
    Variant(label="`thrift = 0.1`", thrift=0.1),
    Variant(label="`thrift = 0.18`", thrift=0.18),
    Variant(label="`spend = 0.33`", spend=0.33),
    Variant(label="a single local", free=1),
    Variant(label="two samples of the reasoner", samples=2),
    Variant(label="nothing paid; against the best local", paid=False),
)


def configuration(upstream: int, variants: Sequence[Variant]) -> str:
    """All models as members, and each variant as a fusion over each set."""
    free = dict.fromkeys(model for each in SETS for model in each.free)
    parts = [PROVIDER.format(place=place, upstream=upstream) for place in ("local", "remote")]
    parts += [f'[members."{model}"]\nprovider = "local"\nmodel = "{model}"\n{_size(model)}' for model in free]
    parts += [
        f'[members."{model}"]\nprovider = "remote"\nmodel = "{model}"\nprice = {{ input = {prompt}, output = {answer} }}\n'
        for model, (prompt, answer) in PRICES.items()
    ]
    parts += [variant.config(_name(number, each), each) for number, variant in enumerate(variants) for each in SETS if each.texts]
    return "\n".join([*parts, BUDGET])


def _size(model: str) -> str:
    return f"size = {SIZES[model]}\n" if model in SIZES else ""


def _name(number: int, recordings: Recordings) -> str:
    return f"v{number}-{recordings.name}"


Question = tuple[str, Recordings, Record]
"""The fusion that is asked, and what."""


async def ask_all(port: int, questions: Sequence[Question]) -> list[tuple[str, Outcome]]:
    """Every question in turn, so many at once, with the set's name."""
    waiting, done = iter(questions), []

    async def asking(session: aiohttp.ClientSession) -> None:
        for fusion, recordings, record in waiting:
            done.append((recordings.name, await _asked(session, port, fusion, recordings, record)))

    async with aiohttp.ClientSession() as session, asyncio.TaskGroup() as group:
        for _ in range(CONNECTIONS):
            group.create_task(asking(session))
    return done


async def _asked(session: aiohttp.ClientSession, port: int, fusion: str, recordings: Recordings, record: Record) -> Outcome:
    """One question, as it was recorded. The seed tells the upstream which sample is meant."""
    turns = [("system", record.get("system")), ("user", record["question"])]
    messages = [{"role": role, "content": text} for role, text in turns if text]
    body = {"model": f"fusion/{fusion}", "messages": messages, "seed": 0}
    async with session.post(f"http://127.0.0.1:{port}/v1/chat/completions", json=body) as response:
        answer = await response.json()
        if response.status != 200:
            raise SystemExit(f"{record['id']}: {response.status} {answer}")
    right = is_right(record, answer["choices"][0]["message"]["content"])
    sure = float(response.headers.get("X-Fusiond-Confidence", 0))
    return outcome(recordings, record, right=right, confidence=sure, cost=Decimal(str(answer["usage"]["cost"])))


def is_right(record: Record, text: str) -> bool:
    """Whether the delivered text is one that was marked as right. Raises ValueError where nobody said it: the daemon makes up nothing."""
    for answer in record["answers"].values():
        if answer["text"].strip() == text.strip():
            return bool(answer["correct"])
        for draw, further in enumerate(answer.get("more", ()), start=1):
            if sample(answer, draw)[0] == text:
                return bool(further["correct"])
    raise ValueError(f"{record['id']}: nobody said {text!r}")


@dataclass(frozen=True, slots=True, kw_only=True)
class Figures:
    """Of one set. `gain`: points above the member it is measured by, `error` their standard error; `cost`: percent of always asking the strongest.

    `astray`: points by which the stated confidence is off the truth, the mean distance over ten bins, weighed by what is in them.
    """

    gain: float
    error: float
    cost: float
    astray: float


def figures(outcomes: Sequence[Outcome], *, paid: bool) -> Figures:
    """Against the strongest, or where nobody is paid against the free member that is right most often."""
    names = outcomes[0].free
    best = max(names, key=lambda name: sum(each.free[name] for each in outcomes))
    gains = [each.right - (each.strongest if paid else each.free[best]) for each in outcomes]
    return Figures(
        gain=100 * statistics.mean(gains),
        error=100 * statistics.stdev(gains) / sqrt(len(gains)),
        cost=100 * float(sum(each.cost for each in outcomes) / sum(each.always for each in outcomes)),
        astray=_astray(outcomes),
    )


def pooled(each: Sequence[Figures]) -> Figures:
    """All sets, which weigh the same."""
    return Figures(
        gain=statistics.mean(one.gain for one in each),
        error=sqrt(sum(one.error**2 for one in each)) / len(each),
        cost=statistics.mean(one.cost for one in each),
        astray=statistics.mean(one.astray for one in each),
    )


def _astray(outcomes: Sequence[Outcome]) -> float:
    bins: dict[int, list[Outcome]] = {}
    for each in outcomes:
        bins.setdefault(min(int(each.confidence * 10), 9), []).append(each)
    return 100 * sum(abs(sum(each.confidence - each.right for each in some)) for some in bins.values()) / len(outcomes)


def told(one: Figures, *, paid: bool) -> str:
    """As it stands in the table: a gain with its 95% interval."""
    cost = f" at {one.cost:.0f}%" if paid else ""
    return f"{one.gain:+.1f} ± {1.96 * one.error:.1f}{cost}"


def row(variant: Variant, found: dict[str, list[Outcome]]) -> str:
    """One line of the table: pooled, confidence, and each set."""
    each = {recordings.name: figures(found[recordings.name], paid=variant.paid) for recordings in SETS}
    whole = pooled(list(each.values()))
    cells = [f"**{told(whole, paid=variant.paid)}**", f"{whole.astray:.1f}", *(told(one, paid=variant.paid) for one in each.values())]
    return f"| {variant.label} | {' | '.join(cells)} |"


def main() -> None:
    """Print one line of the table after the other, as they are measured."""
    parser = argparse.ArgumentParser(prog="python -m bench.replay", description=__doc__)
    parser.add_argument("--first", type=int, metavar="N", help="only the first N questions of a set")
    options = parser.parse_args()
    if not FOLDER:
        parser.error("FUSIOND_EVAL_DATA names no folder of recorded answers")
    questions = {each: list({record["question"]: record for record in each.records()}.values())[: options.first] for each in SETS if each.texts}
    names = [each.name if each.texts else f"{each.name} (keys only)" for each in SETS]
    print(f"| points, at a share of the cost | all | confidence off by | {' | '.join(names)} |\n|{'---|' * 8}")
    with server("bench.answers", core=LOAD_CORE) as (upstream, _), daemon(configuration(upstream, VARIANTS)) as (port, _):
        for number, variant in enumerate(VARIANTS):
            asked = [(_name(number, each), each, record) for each, records in questions.items() for record in records]
            random.Random(0).shuffle(asked)  # noqa: S311  # all sets mixed, each time alike
            found = {each.name: variant.by_keys(each) for each in SETS if not each.texts}
            for name, done in asyncio.run(ask_all(port, asked)):
                found.setdefault(name, []).append(done)
            print(row(variant, found), flush=True)


if __name__ == "__main__":
    main()
