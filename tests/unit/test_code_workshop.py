"""What is found out about a program: read everywhere, run where there can be a jail."""

from __future__ import annotations

import asyncio
import resource
from typing import Any

import pytest

from fusiond.code.answer import Program
from fusiond.code.examples import Example
from fusiond.code.request import Coding
from fusiond.code.workshop import Trial, Workshop


async def looked(
    code: str, *examples: tuple[str, str | None], run: bool = True, given: str = "", entry: str = "f", language: str = "python"
) -> Trial:
    """What is found out; skipped where nothing can be run."""
    workshop, calls = Workshop(), [Example(call=call, wanted=wanted) for call, wanted in examples]
    coding = Coding(language=language, entry=entry, given=given, run=run)
    trial = await workshop.look(coding, Program(language=language, code=code), calls, asyncio.get_running_loop().time() + 20)
    if workshop.barred:
        pytest.skip(f"no jail on this machine: {workshop.barred}")
    return trial


@pytest.mark.parametrize(
    ("language", "code", "parses"),
    [
        ("python", "def f(x):\n    return x", True),
        ("python", "def f(x)\n    return x", False),
        ("python", "return 1", False),
        ("python", "print 'x'", False),
        ("python", "async def f():\n    await g()", True),
        ("json", '{"a": [1, 2]}', True),
        ("json", '{"a": [1, 2}', False),
        ("toml", "[a]\nb = 1", True),
        ("toml", "[a\nb = 1", False),
        ("rust", "fn main() {", None),
    ],
)
async def test_whether_it_can_be_read(language: str, code: str, parses: bool | None) -> None:
    """Where somebody can read it."""
    trial = await looked(code, run=False, language=language)
    assert (trial.parses, trial.ran) == (parses, False)
    assert bool(trial.error) is (parses is False)


async def test_comments_and_docstrings_make_no_difference() -> None:
    """Names do: what is read only is not understood."""
    plain, told, renamed = [
        (await looked(code, run=False)).digest
        for code in ("def f(x):\n    return x", '# A\ndef f( x ):\n    """Doc."""\n    return x  # b', "def f(y):\n    return y")
    ]
    assert plain == told != renamed


@pytest.mark.parametrize(
    ("body", "wanted"),
    [
        ("return 4", "4"),
        ("return 4.0", "4"),
        ("return 0.1 + 0.2", "0.3"),
        ("return [1, (2, 3)]", "[1, (2, 3)]"),
        ("return {'b': 1, 'a': 2}", "{'a': 2, 'b': 1}"),
        ("return {3, 1, 2}", "{1, 2, 3}"),
        ("return 'ab'", "'ab'"),
        ("return 'ab'", '"ab"'),
        ("return 'ab'", "ab"),
        ("return True", "true"),
        ("return None", "None"),
        ("yield 1\n    yield 2", "[1, 2]"),
        ("print('Hello', 'you')", "Hello you"),
        ("raise ValueError('no')", "raises ValueError"),
        ("return float('inf')", "float('inf')"),
    ],
)
async def test_what_passes(body: str, wanted: str) -> None:
    """By value, by how it is shown, by what is printed."""
    trial = await looked(f"def f():\n    {body}\n", ("f()", wanted))
    assert (trial.passed, len(trial.said)) == (1, 1), trial


@pytest.mark.parametrize(
    ("body", "wanted"),
    [
        ("return 5", "4"),
        ("return (1, 2)", "[1, 2]"),
        ("return '4'", "5"),
        ("return True", "False"),
        ("raise TypeError", "raises ValueError"),
        ("1 / 0", "4"),
    ],
)
async def test_what_does_not_pass(body: str, wanted: str) -> None:
    """Other values, other types, other errors."""
    trial = await looked(f"def f():\n    {body}\n", ("f()", wanted))
    assert (trial.passed, len(trial.said)) == (0, 1), trial


@pytest.mark.parametrize(
    ("code", "given", "said"),
    [
        ("class Solution:\n    def f(self, x):\n        return 2 * x", "", "4"),
        ("def f(x: List[int]):\n    return 2 * x", "from typing import List", "4"),
        ("def f(x):\n    return helper(x)", "def helper(x):\n    return 2 * x\ndef f(x):\n    pass", "4"),
        ("def g(x):\n    return 2 * x", "def f(x):\n    return 4", "raises NameError"),
        ("def f(x):\n    return 2 * x\nif __name__ == '__main__':\n    1 / 0", "", "4"),
        ("def f(x):\n    return 2 * x\nprint(f(1))\ninput_given = 1", "", "4"),
        ("def f(x):\n    return 2 * x", "this is no code (", "4"),
        ("def f(x):\n    return 2 * x\nprint(f(int(input())))", "", "4"),
    ],
)
async def test_how_code_is_called(code: str, given: str, said: str) -> None:
    """A method of the one class, with the prompt's imports and helpers, and never in place of the prompt's own stub."""
    assert (await looked(code, ("f(2)", None), given=given)).said == (said,)


@pytest.mark.parametrize(
    ("code", "error"),
    [("1 / 0\ndef f(): pass", "ZeroDivisionError"), ("import numpy\ndef f(): pass", "ModuleNotFoundError"), ("exit()", "SystemExit")],
)
async def test_code_that_does_not_begin(code: str, error: str) -> None:
    """Nothing is called, and the reason is kept."""
    trial = await looked(code, ("f()", "1"))
    assert (trial.error, trial.said, trial.passed) == (error, (), 0)


async def test_long_values_leave_room_for_others() -> None:
    """They are compared by a digest, and pass by it."""
    code = "def f(x):\n    return ['a' * 499 + str(n % x) for n in range(400)]"
    trial = await looked(code, *((f"f({n})", f"['a' * 499 + str(n % {n}) for n in range(400)]") for n in range(1, 21)))
    assert (len(set(trial.said)), trial.passed) == (20, 20)


async def test_what_stands_above_the_code_is_there() -> None:
    """Even if it fails itself."""
    workshop, until = Workshop(), asyncio.get_running_loop().time() + 20
    told = Program(language="python", code="def f(x):\n    return helper(x)", before="def helper(x):\n    return 2 * x\n1 / 0")
    trial = await workshop.look(Coding(language="python", entry="f", run=True), told, [Example(call="f(2)")], until)
    if workshop.barred:
        pytest.skip(f"no jail on this machine: {workshop.barred}")
    assert trial.said == ("4",)


async def test_what_was_found_before_the_end_counts() -> None:
    """A call that ends the process, or does not end itself, leaves those before it."""
    code = "import os\ndef f(x):\n    if x == 2:\n        os._exit(0)\n    while x == 3:\n        pass\n    return x"
    assert (await looked(code, ("f(1)", "1"), ("f(2)", "2"), ("f(1)", "1"))).said == ("1",)
    assert (await looked(code, ("f(1)", "1"), ("f(3)", "3"), ("f(1)", "1"))).said == ("1", "raises Late")


async def test_nothing_is_found_out_when_the_time_is_up() -> None:
    """The request's deadline holds."""
    now = asyncio.get_running_loop().time()
    trial = await Workshop().look(Coding(language="python"), Program(language="python", code="x = 1"), [], now - 1)
    assert trial == Trial()


async def test_nothing_is_found_out_where_no_process_can_be_started(caplog: pytest.LogCaptureFixture) -> None:
    """It is nobody's fault, and passes: the next one is looked at."""
    workshop, until = Workshop(), asyncio.get_running_loop().time() + 20
    coding, told = Coding(language="python", run=True), Program(language="python", code="x = 1")
    most, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (3, hard))
    try:
        trial = await workshop.look(coding, told, [Example(call="x")], until)
    finally:
        resource.setrlimit(resource.RLIMIT_NOFILE, (most, hard))
    assert trial == Trial()
    assert "no process can be started" in caplog.text
    assert (await workshop.look(coding, told, [], until)).parses


async def test_many_at_once_wait_for_a_place() -> None:
    """And all get theirs."""
    workshop, until = Workshop(), asyncio.get_running_loop().time() + 25
    async with asyncio.TaskGroup() as group:
        looks: list[asyncio.Task[Any]] = [
            group.create_task(workshop.look(Coding(language="python"), Program(language="python", code=f"x = {n}"), [], until)) for n in range(12)
        ]
    assert all(look.result().parses for look in looks)
    assert len({look.result().digest for look in looks}) == 12
