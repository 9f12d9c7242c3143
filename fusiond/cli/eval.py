"""`fusiond eval`: a set of questions through the daemon, and what the answers say of its fusions and members.

A fused answer's trace has every member's own. Whoever was not needed in it is asked alone, or members would be measured by those questions only on
which they were waited for. What is stored is not asked again, what failed is; what cannot be scored is not asked at all.
"""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor, as_completed
from contextlib import contextmanager
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeRemainingColumn

from fusiond.cli.client import Client, Refused, Trouble
from fusiond.cli.standings import show_summary
from fusiond.cli.terminal import complain, dollars, show_json
from fusiond.scoring.answers import HEARD, Answers, Line, answer_line, kept
from fusiond.scoring.picture import picture
from fusiond.scoring.questions import BadSet, Question, read_set
from fusiond.scoring.summary import marked, summary

FATAL = (401, 404)
"""Refusals that hold for every question: the run ends."""

UNASKABLE = (402, 403, 503)
"""Refusals of a member that say nothing of its answers: it may not be asked."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Wish:
    """What is to be measured. `models`: what is asked, once for each; None: `out` is beside the set, no limit, no picture."""

    questions: Path
    models: tuple[str, ...]
    out: Path | None = None
    picture: Path | None = None
    concurrency: int = 4
    limit: int | None = None
    max_tokens: int | None = None
    as_json: bool = False


def run(client: Client, wish: Wish) -> None:
    """Ask what is not answered yet, and tell what all the answers say. Raises Trouble."""
    out = wish.out or wish.questions.with_suffix(".answers.jsonl")
    if out.resolve() == wish.questions.resolve():
        raise Trouble(f"{out}: is the set itself: name another file for the answers with --out")
    if wish.picture and not wish.picture.parent.is_dir():
        raise Trouble(f"{wish.picture}: there is no such folder for the picture")
    try:
        questions = read_set(wish.questions, max_tokens=wish.max_tokens)[: wish.limit]
        status = client.get("/fusiond/status")
        with kept(out) as answers:
            asking = _Asking(client, answers, wish.models, status)
            _all(asking, [question for question in questions if question.unscored is None], wish.concurrency, out)
    except BadSet as bad:
        raise Trouble(str(bad)) from None
    lines = [line for question in questions for line in asking.lines(question)]
    failed = [name for name in asking.failures if name not in asking.unasked]
    told = summary(questions, marked(questions, lines, failed), asking.fusions)
    if wish.as_json:
        show_json({**asdict(told), "answers": str(out), "failures": [[*name, why] for name, why in asking.failures.items()]})
    else:
        show_summary(told, out)
    _warn(asking.failures)
    if wish.picture:
        wish.picture.write_text(picture(told), encoding="utf-8")


class _Asking:
    """One run: what is asked, and what came of it.

    `failures`: (model, question) -> why there is no answer; `unasked`: those of members that may not be asked. Several threads ask.
    """

    def __init__(self, client: Client, answers: Answers, models: Sequence[str], status: Mapping[str, Any]) -> None:
        self._client = client
        self._answers = answers
        self._models = models
        self._recipes = status["fusions"]
        self.fusions = [model for model in models if model not in status["members"]]
        self._lock = threading.Lock()
        self._asked: set[str] = set()
        self._spent = 0.0
        self.failures: dict[tuple[str, str], str] = {}
        self.unasked: set[tuple[str, str]] = set()

    def ask_all(self, question: Question) -> None:
        """Have this question answered by everybody."""
        lines = [line for model in self._models if (line := self._answered(question, model))]
        heard = {part["member"] for line in lines for part in line["members"] if part["sample"] == 1 and part["status"] in (*HEARD, "skipped")}
        for member in self._members(lines):
            if member not in heard:
                self._answered(question, member)

    def money(self, remaining: int) -> str:
        """What this run has spent, and what so many more questions will cost if they are like those that it has asked."""
        more = self._spent * remaining / max(1, len(self._asked))
        return f"{dollars(round(self._spent, 6))}, about {dollars(round(more, 6))} more,"

    def lines(self, question: Question) -> list[Line]:
        """All that was said to this question: by what was asked, then by members alone."""
        lines = [line for model in self._models if (line := self._answers.get(question, model))]
        return [*lines, *(line for member in self._members(lines) if (line := self._answers.get(question, member)))]

    def _members(self, lines: Sequence[Line]) -> list[str]:
        """Whoever answers in what is asked, as the configuration says and as these answers do; not those that are asked by their own names anyway."""
        recipes = [self._recipes[name] for name in map(_recipe, self.fusions) if name in self._recipes]
        named = [name for recipe in recipes for name in (*(seat["member"] for seat in recipe["panel"]), *recipe["escalate"])]
        shown = [part["member"] for line in lines for part in line["members"]]
        return [member for member in dict.fromkeys((*named, *shown)) if member not in self._models]

    def _answered(self, question: Question, model: str) -> Line | None:
        if line := self._answers.get(question, model):
            return line
        began = time.monotonic()
        try:
            told = self._client.post("/v1/chat/completions", {**question.body, "model": model, "fusion": {"trace": True}})
        except Refused as refused:
            self._refused(model, question.id, refused)
            return None
        line = answer_line(question, model, told, time.monotonic() - began)
        self._answers.add(line)
        with self._lock:
            self._asked.add(question.id)
            self._spent += line["cost_usd"]
        return line

    def _refused(self, model: str, question: str, refused: Refused) -> None:
        if refused.status in FATAL:
            raise refused
        with self._lock:
            self.failures[model, question] = str(refused)
            if refused.status in UNASKABLE and model not in self.fusions:
                self.unasked.add((model, question))


def _recipe(model: str) -> str:
    """The name of a fusion, as the configuration has it."""
    return "default" if model == "fusion" else model.removeprefix("fusion/")


def _all(asking: _Asking, questions: Sequence[Question], concurrency: int, out: Path) -> None:
    with _progress(asking, len(questions)) as step, ThreadPoolExecutor(concurrency) as pool:
        asked = [pool.submit(asking.ask_all, question) for question in questions]
        try:
            for each in as_completed(asked):
                each.result()
                step()
        except (Trouble, OSError, KeyboardInterrupt):
            pool.shutdown(wait=True, cancel_futures=True)
            complain(f"what was answered is kept in {out}: the same command goes on from there")
            raise


@contextmanager
def _progress(asking: _Asking, total: int) -> Iterator[Callable[[], None]]:
    """A bar with the time and the money that are left, on a terminal only; whoever has it says when a question is done."""
    columns = BarColumn(), MofNCompleteColumn(), TextColumn("{task.fields[money]}"), TimeRemainingColumn(), TextColumn("left")
    with Progress(*columns, console=Console(stderr=True), transient=True, disable=not Console(stderr=True).is_terminal) as bar:
        task = bar.add_task("", total=total, money="")

        def step() -> None:
            bar.advance(task)
            bar.update(task, money=asking.money(total - int(bar.tasks[0].completed)))

        yield step


def _warn(failures: Mapping[tuple[str, str], str]) -> None:
    """Why there are answers missing: for each model how many, and the first reason."""
    for model in dict.fromkeys(model for model, _ in failures):
        of_model = [(question, why) for (name, question), why in failures.items() if name == model]
        complain(f"{model}: {len(of_model)} without an answer; question {of_model[0][0]}: {of_model[0][1]}")
