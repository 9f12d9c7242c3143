"""Which requests want code, in which language, of which function."""

from __future__ import annotations

import time
from dataclasses import replace

import pytest

from fusiond.chat import Message, TextPart
from fusiond.code.request import Coding, coding
from tests.asking import question


def wanted(text: str) -> Coding:
    """What code is wanted; fails where none is."""
    found = coding(question(text))
    assert found is not None, text
    return found


@pytest.mark.parametrize(
    ("text", "language", "entry"),
    [
        ("Write a Python function that adds two numbers.", "python", ""),
        ("Write a python function named `add_all` to add them.", "python", "add_all"),
        ("write a function called add(a, b)", "", "add"),
        ("Implement the function twoSum(nums, target) in Python 3.", "python", "twoSum"),
        ('def add(a, b):\n    """Add.\n    >>> add(1, 2)\n    3\n    """\n', "python", "add"),
        ('from typing import List\n\n\ndef f(x: List[int]) -> int:\n    """ Sum. """\n', "python", "f"),
        ("Complete the following function:\n```python\ndef mean(x):\n    pass\n```", "python", "mean"),
        ("Write a function to find the volume of a cube.\nYour code should pass these tests:\nassert volume(3) == 27", "python", "volume"),
        (
            "You are an expert Python programmer, and here is your task: Find it. Your code should pass these tests:\n\nassert find_it([1]) == 1",
            "python",
            "find_it",
        ),
        ("Write a JavaScript function that adds.", "javascript", ""),
        ("Write a function in Go that adds.", "go", ""),
        ("Implement a stack class in C++.", "c++", ""),
        ("Write a SQL query for all customers.", "sql", ""),
        ("Fix this code:\n```rust\nfn main() {}\n```", "rust", ""),
        ("Schreibe eine Funktion, die addiert.", "", ""),
        ("Напиши функцию на Python", "python", ""),
        ("class Solution:\n    def isPalindrome(self, x: int) -> bool:\n        pass\n\nImplement this method.", "python", "isPalindrome"),
        ("Write a regex that matches dates.", "regex", ""),
    ],
)
def test_code_is_wanted(text: str, language: str, entry: str) -> None:
    """In the words of people and of benchmarks."""
    found = wanted(text)
    assert (found.language, found.entry) == (language, entry)


@pytest.mark.parametrize(
    "text",
    [
        "What is the capital of France?",
        "Explain what this code does:\n```python\ndef f(x):\n    return x\n```",
        "Write a poem about code.",
        "Write an email about the new program.",
        "Is Python faster than Go? Answer yes or no.",
        "Why is my function slow?",
        "Tell me about the sea.",
        "What does `f(2)` return?\n```python\ndef f(x):\n    return x * 2\n```",
        "How many functions does this file define?\n```python\ndef f(x):\n    pass\n```\nAnswer with the number.",
        "Does this function double its argument? Answer yes or no.\n\ndef f(x):\n    pass\n",
        "",
    ],
)
def test_no_code_is_wanted(text: str) -> None:
    """Words about code are prose."""
    assert coding(question(text)) is None


@pytest.mark.parametrize(
    ("text", "certain"),
    [
        ('def f(x):\n    """How many are there?"""\n', True),
        ('Solve it:\n```\ndef f(number: float) -> float:\n    """ What is its decimal part? """\n```\n', True),
        ("class Solution:\n    def f(self, s: str) -> int:\n\nExample 1:", True),
        ("def f(x):\n    pass", True),
        ("Write a function. Your code should pass these tests:\nassert f(1) == 1", True),
        ("Write a Python function to count words.", False),
        ('Fix this code:\n```python\ndef f(x):\n    """Twice."""\n    return x\n```', False),
    ],
)
def test_a_function_without_a_body_leaves_no_doubt(text: str, certain: bool) -> None:
    """Nor do tests to pass; words alone could mean anything."""
    assert wanted(text).certain is certain


def test_the_last_question_decides() -> None:
    """Not what was said before it."""
    asked = question("Write a Python function.").messages
    turns = (*asked, Message(role="assistant", parts=(TextPart(text="def f(): pass"),)), *question("Thanks! How was that meant?").messages)
    assert coding(replace(question(), messages=turns)) is None
    assert coding(replace(question(), messages=asked)) is not None


def test_the_prompts_own_code_is_kept() -> None:
    """Fenced or not, for answers that refer to it."""
    assert wanted("Complete:\n```python\nimport re\ndef f(x):\n    pass\n```\nThanks").given == "import re\ndef f(x):\n    pass\n"
    assert wanted('import math\n\ndef f(x):\n    """Half."""\n').given.startswith("import math")
    assert wanted("Write a Python function.").given == ""


def test_what_can_be_read_without_a_judge() -> None:
    """Python, JSON and TOML, and what nobody named."""
    assert [Coding(language=name).readable for name in ("", "python", "json", "toml", "rust", "sql")] == [True, True, True, True, False, False]


@pytest.mark.parametrize(
    "text",
    [
        "def f(" * 60_000,
        "write " * 60_000,
        "function `" * 40_000,
        "```\n" * 90_000,
        "assert f(" * 40_000,
        "def f():" + " " * 300_000,
        'def f():"""' * 30_000,
        'def f():\n"""' * 30_000,
    ],
)
def test_hostile_prompts_take_no_time(text: str) -> None:
    """All searches are linear."""
    began = time.process_time()
    coding(question(text))
    assert time.process_time() - began < 2
