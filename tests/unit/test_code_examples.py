"""Examples as prompts write them, and inputs that are like theirs."""

from __future__ import annotations

import time

import pytest
from hypothesis import given
from hypothesis import strategies as st

from fusiond.code.examples import LONGEST, MOST, MOST_DERIVED, Example, derived, examples

DOCSTRING = '''
def f(text: str, times: int) -> str:
    """ Repeat.
    >>> f("ab", 2)
    'abab'
    >>> words = ["x",
    ...          "y"]
    >>> limit = 3
    >>> f("x", limit)
    'xxx'
    >>> f("x", -1)
    Traceback (most recent call last):
        ...
    ValueError: negative
    >>> print(f("a", 1))
    a
    """
'''


BEFORE = ('words = ["x",\n         "y"]', "limit = 3")


def test_doctests() -> None:
    """What is assigned before a call goes with it; an error is wanted by its name, print by what it shows."""
    assert examples(DOCSTRING) == (
        Example(call='f("ab", 2)', wanted="'abab'"),
        Example(call='f("x", limit)', wanted="'xxx'", before=BEFORE),
        Example(call='f("x", -1)', wanted="raises ValueError", before=BEFORE),
        Example(call='print(f("a", 1))', wanted="a", before=BEFORE),
    )


@pytest.mark.parametrize(
    ("line", "call", "wanted"),
    [
        ("assert f(2) == 4", "f(2)", "4"),
        ("assert f([1, 2], 'a') == {'a': [1, 2]}, \"wrong\"", "f([1, 2], 'a')", "{'a': [1, 2]}"),
        ("  assert f(2) is None", "f(2)", "None"),
        ("assert abs(f(2) - 1.5) < 1e-6", "abs(f(2) - 1.5) < 1e-6", "True"),
        ("assert not f('x')", "not f('x')", "True"),
        ("f(2) == 4", "f(2)", "4"),
        ("f(2) -> 4", "f(2)", "4"),
        ("f(2) → [4, 5]", "f(2)", "[4, 5]"),
        ("f(2) ➞ 4", "f(2)", "4"),
        ("* `f(2)` should return `4`.", "f(2)", "4"),
        ("For example, f('a', 2) returns 'aa' because it is twice.", "f('a', 2)", "'aa'"),
        ("f(2)  # returns 4", "f(2)", "4"),
        ("f(2)  # 4", "f(2)", "4"),
        ("f([]) => true", "f([])", "True"),
        ("f(')', \"(\") == 3", "f(')', \"(\")", "3"),
        ("f(2) = -4.5, and so on", "f(2)", "-4.5"),
    ],
)
def test_one_line(line: str, call: str, wanted: str) -> None:
    """However it says what comes of the call."""
    assert examples(f"Some words.\n{line}\nMore words.", "f") == (Example(call=call, wanted=wanted),)


@pytest.mark.parametrize(
    "line",
    [
        "f(x) returns the square of x",
        "call f(2) and g(3)",
        "def f(x): return 4",
        "f(n) == f(n - 1) + f(n - 2)",
        "g(2) == 4",
        "f(2 == 4",
        "f(2) returns an error",
        "Input: [1, 2]",
        "assert",
        "f(__import__('os').getpid()) == 4",
    ],
)
def test_no_example(line: str) -> None:
    """What has no value that could be compared, and calls of others."""
    assert examples(line, "f") == ()


@pytest.mark.parametrize(
    ("text", "call", "wanted"),
    [
        ("Input: nums = [2,7], target = 9\nOutput: [0,1]", "f([2,7], 9)", "[0,1]"),
        ('**Input:** s = "ab"\n**Output:** true\n**Explanation:** ...', 'f("ab")', "True"),
        ("Input: 5\n\nOutput: 120", "f(5)", "120"),
        ("Sample Input 1: [1, 2]\nSample Output 1: 3", "f([1, 2])", "3"),
        ('- Input: `"abc"`\n- Output: `"cba"`', 'f("abc")', '"cba"'),
        ("Input: word = 'x'\nOutput: xx", "f('x')", "xx"),
    ],
)
def test_input_and_output(text: str, call: str, wanted: str) -> None:
    """One above the other; the arguments in their order."""
    assert examples(text, "f") == (Example(call=call, wanted=wanted),)


def test_input_and_output_need_to_know_of_what() -> None:
    """A function without a name cannot be called, and an output without an input is none of it."""
    assert examples("Input: 5\nOutput: 120") == ()
    assert examples("Output: 120\nInput: 5", "f") == ()


def test_each_once_and_not_too_many() -> None:
    """An example that stands twice is one."""
    assert len(examples("f(1) == 2\n" * 5 + "assert f(1) == 2", "f")) == 1
    assert len(examples("\n".join(f"f({n}) == {n}" for n in range(99)), "f")) == MOST


def test_derived_inputs_are_like_the_examples_and_none_of_them() -> None:
    """One argument differs at a time, and keeps its type."""
    found = [example.call for example in derived([Example(call="f(2, 'ab')", wanted="1"), Example(call="f(3, 'ab')", wanted="1")])]
    assert found[:6] == ["f(4, 'ab')", "f(1, 'ab')", "f(2, 'ba')", "f(2, 'abab')", "f(2, 'a')", "f(5, 'ab')"]
    assert all(example.wanted is None for example in derived([Example(call="f([3, 1])", wanted="1")]))
    assert [example.call for example in derived([Example(call="f([3, 1])")])] == ["f([1, 3])", "f([3, 1, 3, 1])", "f([3])"]
    assert [example.call for example in derived([Example(call="f(True)")])] == ["f(False)"]


@pytest.mark.parametrize("call", ["f(x)", "f(g(1))", "f(**{'a': 1})", "f(a=1)", "a.f(1)", "f()", "f(2).g(3)"])
def test_nothing_is_derived_from_what_is_not_plain(call: str) -> None:
    """Names, keywords and methods could mean anything."""
    assert derived([Example(call=call, wanted="1")]) == ()


def test_not_too_many_are_derived() -> None:
    """However many examples there are."""
    assert len(derived([Example(call=f"f({n * 10}, {n})") for n in range(50)])) == MOST_DERIVED


@given(st.text(alphabet="f(2)=-> #.'\"[]{},ab\n\\x0AssertInput:Output`*", max_size=2000))
def test_any_text_has_examples_or_none(text: str) -> None:
    """And each of them is short enough to be looked at."""
    for example in examples(text, "f"):
        assert 0 < len(example.call) <= LONGEST + 10
        assert derived([example]) is not None


@pytest.mark.parametrize(
    "text",
    [
        "f(" * 200_000,
        "f(" + "(" * 400 + "\n",
        "f(" * 240 + "\n" + ("f(" * 240 + "\n") * 2000,
        "assert " + "-" * 480 + "1 == 1\n",
        ">>> f(1)\n" * 20_000,
        "Input: " + "a" * 490 + "\nOutput: " + "b" * 480,
        ("f(1) " + "`" * 480 + "\n") * 500,
        "f(9**9**9**9) == 1",
        "f(1) == " + "9" * 490,
        "assert f(" + "[" * 200 + "]" * 200 + ") == 1",
    ],
)
def test_hostile_prompts_take_no_time(text: str) -> None:
    """Nothing is run, and nothing is looked at again and again."""
    began = time.process_time()
    derived(examples(text, "f"))
    assert time.process_time() - began < 2
