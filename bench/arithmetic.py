"""Sums with their answers, as lines of a question set: the first lines of `questions.jsonl` are what this prints."""

from __future__ import annotations

import json
import random
from collections.abc import Iterator

COUNT, SEED = 60, 7
ITEMS = ("apples", "books", "tickets", "marbles", "stamps")
NAMES = ("Ana", "Ben", "Chen", "Dora", "Emil")


def sums(draw: random.Random) -> Iterator[tuple[str, int]]:
    """Questions of six shapes in turn, each with its answer, for ever."""
    while True:
        a, b, c = draw.randint(12, 99), draw.randint(3, 49), draw.randint(2, 9)
        name, item = draw.choice(NAMES), draw.choice(ITEMS)
        yield f"What is {a} + {b * c}? Answer with the number only.", a + b * c
        yield f"What is {a + b} - {b}? Answer with the number only.", a
        yield f"What is {a} * {c}? Answer with the number only.", a * c
        yield f"What is {b * c} divided by {c}? Answer with the number only.", b
        yield f"{name} has {a} {item} and buys {b} more, then gives away {c}. How many {item} are left? Answer with the number only.", a + b - c
        yield f"A box holds {b} {item}. How many {item} are in {c} boxes? Answer with the number only.", b * c


if __name__ == "__main__":
    for number, (question, gold) in zip(range(1, COUNT + 1), sums(random.Random(SEED)), strict=False):  # noqa: S311  # the same sums every time
        print(json.dumps({"id": f"sum-{number}", "question": question, "gold": gold}))
