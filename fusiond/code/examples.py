"""Examples of what a function shall return, as prompts and docstrings have them, and further inputs made of theirs.

Known are doctests, lines of `assert`, a call and its value in one line (`f(2) == 4`, `f(2) -> 4`, `f(2) returns 4`), and `Input:` above `Output:`.
What is read as Python here is one line of bounded length, and nothing is run.
"""

from __future__ import annotations

import ast
import re
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from itertools import islice, takewhile
from typing import Any

LONGEST = 500
"""Characters of a line that may be an example."""

MOST = 20
MOST_SHOWN = 30
"""Lines of what a doctest shows."""

MOST_DERIVED = 12

_ASSERT = re.compile(r"^\s{0,20}assert\s+\S")
_INPUT = re.compile(
    r"^[\s*_>#-]{0,20}(?:sample |example )?input(?: \d{1,2})?[*_`]{0,3}\s?[:=][*_`]{0,3}\s{0,4}`?(.{1,400}?)[`*]{0,3}$", re.IGNORECASE
)
_OUTPUT = re.compile(
    r"^[\s*_>#-]{0,20}(?:sample |example |expected )?output(?: \d{1,2})?[*_`]{0,3}\s?[:=][*_`]{0,3}\s{0,4}`?(.{1,400}?)[`*]{0,3}$", re.IGNORECASE
)
_CALLED = re.compile(r"\b([A-Za-z_]\w{0,60})\(")
_GIVES = re.compile(
    r"""^`?\s{0,8}(?:===?|=>|->|→|➞|⇒|\#\s?(?:=>|->|→|returns?|output:)?|evaluates\ to|is(?:\ equal\ to)?|=
        |(?:should\ |must\ |will\ |would\ )?(?:returns?|be|equals?|gives?|outputs?|yields?))[:\s`]{0,8}""",
    re.IGNORECASE | re.VERBOSE,
)
_AFTER = re.compile(r"`|\s#|\s//|[;,.]\s|\s\(|\s(?:because|since|as|and|but|while|where|whereas)\b")
_ENDS = re.compile(r'^\s*(?:>>>|"""|\'\'\'|```|$)')
_WORDS = {"true": "True", "false": "False", "null": "None"}


@dataclass(frozen=True, slots=True, kw_only=True)
class Example:
    """A call, written in Python. `wanted`: its value, likewise, or `raises NAME`; None: that is not known. `before`: what is to be done first."""

    call: str
    wanted: str | None = None
    before: tuple[str, ...] = ()


def examples(text: str, entry: str = "") -> tuple[Example, ...]:
    """The examples that a prompt has, each once. `entry`: the name of the function, where it is known."""
    lines = [line for line in text.splitlines() if len(line) <= LONGEST]
    found = (*_doctests(lines), *_asserts(lines), *_in_a_line(lines, entry), *_inputs(lines, entry))
    return tuple(islice({example.call: example for example in reversed(found)}.values(), MOST))[::-1]


def derived(found: Iterable[Example]) -> tuple[Example, ...]:
    """Calls with inputs that are like those of the examples, and none of them."""
    known = [example for example in found if not example.before]
    seen = {example.call for example in known}
    fresh = (call for example in known for call in _alike(example.call) if call not in seen)
    return tuple(Example(call=call) for call in islice(dict.fromkeys(fresh), MOST_DERIVED))


def callee(call: str) -> str:
    """The name of the function that is called first; empty where there is none."""
    found = _CALLED.search(call)
    return found[1] if found else ""


def _doctests(lines: list[str]) -> Iterator[Example]:
    before: list[str] = []
    for place, line in enumerate(lines):
        if not line.lstrip().startswith(">>> "):
            continue
        more = list(takewhile(_goes_on, (further.strip() for further in islice(lines, place + 1, place + 1 + MOST))))
        source = "\n".join((line.lstrip()[4:].strip(), *(further[4:] for further in more)))
        wanted = _expected(lines[place + 1 + len(more) : place + MOST_SHOWN])
        if wanted is None or not _is_expression(source):
            before.append(source)
        else:
            yield Example(call=source, wanted=wanted, before=tuple(before[-MOST:]))


def _goes_on(line: str) -> bool:
    return line.startswith("... ") or line == "..."


def _expected(lines: list[str]) -> str | None:
    """What a doctest shows below its call."""
    shown = [line.strip() for line in takewhile(lambda line: not _ENDS.match(line), lines)]
    if shown and shown[0].startswith("Traceback"):
        return f"raises {shown[-1].partition(':')[0]}"
    return "\n".join(shown)[:LONGEST] or None


def _asserts(lines: list[str]) -> Iterator[Example]:
    for line in lines:
        text = line.strip()
        tree = _parsed(text) if _ASSERT.match(line) else None
        match tree:
            case ast.Module(body=[ast.Assert(test=ast.Compare(left=ast.Call() as call, ops=[ast.Eq() | ast.Is()], comparators=[value]))]):
                yield Example(call=_source(text, call), wanted=_source(text, value))
            case ast.Module(body=[ast.Assert(test=test)]):
                yield Example(call=_source(text, test), wanted="True")


def _source(text: str, node: ast.expr) -> str:
    """What stands there: to write a tree anew takes a stack as deep as the tree."""
    return ast.get_source_segment(text, node) or ""


def _in_a_line(lines: list[str], entry: str) -> Iterator[Example]:
    for line in lines:
        if line.lstrip().startswith((">>> ", "def ", "assert ")):
            continue
        for found in islice(_CALLED.finditer(line), 12):
            end = _closed(line, found.end())
            gives = _GIVES.match(line[end:]) if end and found[1] == (entry or found[1]) else None
            if gives and (value := _value(line[end + gives.end() :])) and _literals(call := line[found.start() : end]) is not None:
                yield Example(call=call, wanted=value)


def _inputs(lines: list[str], entry: str) -> Iterator[Example]:
    """`Input: nums = [2, 7], target = 9` above `Output: [0, 1]`: the arguments in their order."""
    given: str | None = None
    for line in lines if entry else ():
        if told := _INPUT.match(line):
            given = told[1]
        elif (value := _OUTPUT.match(line)) and given is not None:
            if (arguments := _arguments(given)) is not None:
                yield Example(call=f"{entry}({arguments})", wanted=_WORDS.get(value[1].strip(), value[1].strip()))
            given = None


def _arguments(given: str) -> str | None:
    text = f"f({given})"
    match _parsed(text):
        case ast.Module(body=[ast.Expr(value=ast.Call(args=args, keywords=keywords))]):
            return ", ".join(_source(text, value) for value in (*args, *(keyword.value for keyword in keywords)))
    return None


def _value(rest: str) -> str | None:
    """The literal that a line goes on with; what explains it is left out."""
    whole = rest.strip().rstrip(".,;`")
    for text in (whole, _AFTER.split(whole, maxsplit=1)[0].strip()):
        value = _WORDS.get(text, text)
        if _literal(value):
            return value
    return None


def _closed(line: str, start: int) -> int:
    """Where the parenthesis that is open at *start* is closed; 0: nowhere. Quoted text is passed over."""
    depth, quote = 1, ""
    for place in range(start, len(line)):
        sign = line[place]
        if quote:
            quote = "" if sign == quote and line[place - 1] != "\\" else quote
        elif sign in "\"'":
            quote = sign
        else:
            depth += (sign in "([{") - (sign in ")]}")
            if depth == 0:
                return place + 1
    return 0


def _alike(call: str) -> Iterator[str]:
    """The same call with one argument changed a little."""
    values = _literals(call) or []
    for place, value in enumerate(values):
        for other in _variants(value):
            yield f"{callee(call)}({', '.join(map(repr, (*values[:place], other, *values[place + 1 :])))})"


def _variants(value: Any) -> list[Any]:
    match value:
        case bool():
            return [not value]
        case int():
            return [value + 1, value + 2, *([value - 1] if value > 1 else [])]
        case float():
            return [value + 0.5, value * 2]
        case str() | list() | tuple():
            return [other for other in (value[::-1], value * 2, value[:-1]) if other and other != value]
    return []


def _literals(call: str) -> list[Any] | None:
    """The arguments of a plain call, where they are all literals."""
    tree = _parsed(call)
    match tree:
        case ast.Module(body=[ast.Expr(value=ast.Call(func=ast.Name(), args=args, keywords=[]))]):
            try:
                return [ast.literal_eval(value) for value in args]
            except (ValueError, TypeError, SyntaxError, RecursionError, MemoryError):
                return None
    return None


def _literal(text: str) -> bool:
    return _is_expression(text) and _literals(f"f({text})") is not None


def _is_expression(text: str) -> bool:
    match _parsed(text):
        case ast.Module(body=[ast.Expr()]):
            return True
    return False


def _parsed(line: str) -> ast.Module | None:
    """A line as Python; None where it is none, or too long to be looked at."""
    if len(line) > LONGEST + len("f()"):
        return None
    try:
        return ast.parse(line)
    except (SyntaxError, ValueError, RecursionError, MemoryError):
        return None
