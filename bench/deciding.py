"""What the decisions of one request take: a cascade of five locals and two paid members that answer at their own pace, in this process.

Timed is whatever weighs votes, each time an answer comes: whether anything can still change, who is asked next, what stands. Reading answers is not.
"""

from __future__ import annotations

import asyncio
import random
import statistics
import sys
import tempfile
import time
from collections.abc import AsyncGenerator, Callable
from pathlib import Path
from typing import Any

import fusiond.fuse.cascade  # noqa: F401  # to be found below: the package has a function of the same name
from fusiond.call import Call
from fusiond.catalog import Catalog
from fusiond.chat import Message, Request, TextPart
from fusiond.config import Reading
from fusiond.config.tree import BudgetConfig
from fusiond.events import Event, Finished, Text, Usage
from fusiond.fuse import STRATEGIES
from fusiond.merge import gathering
from fusiond.plan import plan
from fusiond.resolve import resolve
from fusiond.situation import Situation

MEMBER = '[members.local{number}]\nprovider = "here"\nmodel = "local{number}"\nsize = {size}\n'
CONFIGURATION = """
[providers.here]
api = "openai"
url = "http://127.0.0.1:9/v1"
[providers.there]
api = "openai"
url = "http://127.0.0.1:9/v1"
place = "remote"
[members.cheap]
provider = "there"
model = "cheap"
price = { input = 0.15, output = 0.6 }
[members.dear]
provider = "there"
model = "dear"
price = { input = 3.0, output = 15.0 }
[fusions.default]
strategy = "cascade"
panel = ["local0", "local1", "local2", "local3", "local4"]
escalate = ["cheap", "dear"]
[budget]
"""
QUESTION = "What is 17 * 23? Answer with the number."
RIGHT, ANSWERS, PAUSE = 0.6, (391, 381, 371, 491, 41), 0.003
DECISIONS = ("settled", "worth_asking", "decided")


def milliseconds(*, requests: int) -> list[float]:
    """Processor time of each request's decisions. Members are right with a chance of `RIGHT`, else all say something wrong of the same few things."""
    module = sys.modules["fusiond.fuse.cascade"]
    table, read = vars(module)["_Table"], vars(module)["said"]
    spent = [0.0]
    originals = {name: getattr(table, name) for name in DECISIONS}
    for name, original in originals.items():
        setattr(table, name, _timed(original, spent, 1))
    setattr(module, "said", _timed(read, spent, -1))  # noqa: B010  # a type checker would rightly object
    try:
        return asyncio.run(_decided(requests, spent))
    finally:
        setattr(module, "said", read)  # noqa: B010
        for name, original in originals.items():
            setattr(table, name, original)


async def _decided(requests: int, spent: list[float]) -> list[float]:
    chance, catalog, found = random.Random(0), _catalog(), []  # noqa: S311  # made-up answers
    for _ in range(requests):
        before = spent[0]
        await _asked(catalog, chance)
        found.append((spent[0] - before) * 1000)
    return found


async def _asked(catalog: Catalog, chance: random.Random) -> None:
    async def speaking(call: Call) -> AsyncGenerator[Event, None]:
        said = ANSWERS[0] if chance.random() < RIGHT else chance.choice(ANSWERS[1:])
        await asyncio.sleep(chance.random() * PAUSE)
        yield Text(member=call.voice, text=f"The answer is {said}.")
        yield Usage(member=call.voice, prompt_tokens=20, completion_tokens=chance.randrange(50, 400))
        yield Finished(member=call.voice, reason="stop")

    request = Request(id="bench", model="fusion", messages=(Message(role="user", parts=(TextPart(text=QUESTION),)),))
    made = plan(request, catalog, Situation(now=asyncio.get_running_loop().time(), budget=BudgetConfig()))
    async with gathering(speaking) as members:
        async for _ in STRATEGIES[made.strategy](made, members):
            pass


def _catalog() -> Catalog:
    locals_ = "".join(MEMBER.format(number=number, size=size) for number, size in enumerate((32, 14, 8, 7, 3)))
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "config.toml"
        path.write_text(locals_ + CONFIGURATION, encoding="utf-8")
        return resolve(Reading().load(path), {}, 0)


def _timed(function: Callable[..., Any], spent: list[float], sign: int) -> Callable[..., Any]:
    def timed(*arguments: Any, **named: Any) -> Any:
        before = time.thread_time()
        try:
            return function(*arguments, **named)
        finally:
            spent[0] += sign * (time.thread_time() - before)

    return timed


def median(*, requests: int = 500) -> tuple[float, float]:
    """Milliseconds: the median, and what nine of ten stay below."""
    found = milliseconds(requests=requests)
    return statistics.median(found), statistics.quantiles(found, n=10)[8]
