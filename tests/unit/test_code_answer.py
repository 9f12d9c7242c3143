"""Which of an answer's text is its code."""

from __future__ import annotations

import time

import pytest

from fusiond.code.answer import LONGEST, Program, program
from fusiond.code.request import Coding

PYTHON = Coding(language="python", entry="f")
STUB = Coding(language="python", entry="f", given='import math\n\ndef f(x):\n    """Twice."""')
DEF = "def f(x):\n    return 2 * x"


def code(text: str, coding: Coding = PYTHON) -> str | None:
    """The code of an answer."""
    found = program(coding, text)
    return found.code if found else None


@pytest.mark.parametrize(
    "text",
    [
        f"```python\n{DEF}\n```",
        f"Here it is:\n\n```py\n{DEF}\n```\nIt doubles.",
        f"```\n{DEF}\n```",
        f"~~~python\n{DEF}\n~~~",
        f"````python\n{DEF}\n````",
        f"<think>\n```python\ndef f(x): return 1\n```\n</think>\n```python\n{DEF}\n```",
        f"```python\n{DEF}",
        f"{DEF}\n",
        f"```bash\npip install x\n```\n```python\n{DEF}\n```\nUsage:\n```python\nprint(f(2))\n```",
        f"```python\ndef f(x):\n    return x\n```\nThat was wrong. Better:\n```python\n{DEF}\n```",
        f"```python\n{DEF}\n```\n```text\n4\n```",
        f"1. Write it:\n   ```python\n{DEF}\n   ```",
    ],
)
def test_the_block_that_defines_what_was_asked_for(text: str) -> None:
    """However it is fenced, whatever stands around it."""
    assert code(text) in (DEF, DEF + "\n")


def test_the_first_block_where_none_defines_it() -> None:
    """In the language that was asked for."""
    assert code("```sql\nselect 1\n```\n```python\nx = 1\n```\n```python\nprint(x)\n```") == "x = 1"
    assert code("```sql\nselect 1\n```") == "select 1"
    assert code("```python\nx = 1\n```\n```python\ny = 1\n```", Coding(language="")) == "x = 1"


def test_what_stands_above_it_is_kept() -> None:
    """A helper in a block of its own; what stands below is no part of it."""
    found = program(PYTHON, f"```python\nhelp = 1\n```\n```sh\nls\n```\n```python\n{DEF}\n```\n```python\nprint(f(1))\n```")
    assert found == Program(language="python", code=DEF, before="help = 1")


def test_a_block_in_a_list_is_moved_to_the_margin() -> None:
    """All of it by as much."""
    indented = "\n".join(f"   {line}" for line in DEF.splitlines())
    assert code(f"1. Do this:\n   ```python\n{indented}\n   ```") == DEF
    assert code(f"1. Do this:\n   ```python\n{indented}\n   ```", STUB) == DEF


def test_a_body_goes_on_with_the_prompts_code() -> None:
    """As models do that complete rather than answer."""
    assert code("    return 2 * x\n", STUB) == STUB.given + "\n    return 2 * x\n"
    assert code("```python\n    return 2 * x\n```", STUB) == STUB.given + "\n    return 2 * x"
    assert code(f"```python\n{DEF}\n```", STUB) == DEF


@pytest.mark.parametrize(
    "text", ["", "I cannot do that.", "  Sure, here you go.", "The function `f` doubles.", "```python\n\n```", "<think>def f(x): return 1"]
)
def test_no_code(text: str) -> None:
    """An answer in words has none."""
    assert code(text) is None


@pytest.mark.parametrize(
    ("language", "text", "found"),
    [
        ("", "```js\nconst f = 1\n```", "javascript"),
        ("", f"```\n{DEF}\n```", "python"),
        ("", "```\nint main() {}\n```", ""),
        ("rust", "```\nfn main() {}\n```", "rust"),
        ("python", "```Python3\nx = 1\n```", "python"),
        ("json", '{"a": 1}', "json"),
    ],
)
def test_the_language(language: str, text: str, found: str) -> None:
    """By the fence, else by the request, else by how it looks."""
    told = program(Coding(language=language), text)
    assert told is not None
    assert told.language == found


def test_a_method_and_a_lambda_define_it_too() -> None:
    """Whatever the name is bound by."""
    solution = "class Solution:\n    def f(self, x):\n        return x"
    assert code(f"```python\nx = 1\n```\n```python\n{solution}\n```") == solution
    assert code("```python\nprint(f(1))\n```\n```python\nf = lambda x: x\n```") == "f = lambda x: x"


@pytest.mark.parametrize(
    "text", ["```python\n" * 60_000, "```" + "`" * 300_000, "```\n" + "def f(" * 100_000, "~" * 300_000, "\n" * 300_000, " " * 300_000 + "x"]
)
def test_hostile_answers_take_no_time(text: str) -> None:
    """And are cut where they are too long."""
    began = time.process_time()
    found = program(PYTHON, text)
    assert found is None or len(found.code) <= LONGEST
    assert time.process_time() - began < 2
