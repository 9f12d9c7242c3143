"""Which of an answer's text is its code."""

from __future__ import annotations

import re
from dataclasses import dataclass, replace
from itertools import takewhile
from textwrap import dedent

from fusiond.code.request import ANY, PYTHON, Coding
from fusiond.keys.reading import said

LONGEST = 100_000
"""Characters of a program that are looked at."""

_FENCE = re.compile(r"^[ \t]{0,12}(`{3,9}|~{3,9})[ \t]{0,4}([\w+#.-]{0,20})[^\n`]{0,80}$")
_PYTHON_LINE = re.compile(r"^(?:def |class |import |from \w+(?:\.\w+)* import |async def |@\w)", re.MULTILINE)
_DEFINES = re.compile(r"\s*(?:def|class|import|from|async|@)\b")
_NAMES = {"py": PYTHON, "python3": PYTHON, "python2": PYTHON, "pycon": PYTHON, "js": "javascript", "ts": "typescript", "rs": "rust", "sh": "bash"}


@dataclass(frozen=True, slots=True, kw_only=True)
class Program:
    """The code of an answer. `language` in lower case; empty: it cannot be told. `before`: code that stands above it, which it may need."""

    language: str
    code: str
    before: str = ""


def program(coding: Coding, text: str) -> Program | None:
    """The answer's code; None where it has none.

    Of several blocks the last that defines what was asked for: an answer mends itself further down, and shows the use of it without defining it
    again. Where none does, the first in the language that was asked for.
    """
    spoken = said(text)
    blocks = [_told(coding, language, code) for language, code in _blocks(spoken) if code.strip()]
    if not blocks:
        return _bare(coding, text if text.strip() == spoken else spoken)  # how far its first line is indented matters
    fitting = [block for block in blocks if coding.language in (ANY, block.language)] or blocks
    defining = [block for block in fitting if coding.entry and re.search(rf"\b{re.escape(coding.entry)}\b\s*[(=:]", _definitions(block))]
    chosen = (defining[-1:] or fitting)[0]
    above = takewhile(lambda block: block is not chosen, fitting)
    return replace(chosen, before="\n".join(block.code for block in above if block.language == PYTHON)[:LONGEST])


def _definitions(block: Program) -> str:
    """The lines that can define something."""
    if block.language != PYTHON:
        return block.code
    return "\n".join(
        line.strip() for line in block.code.splitlines() if line.lstrip().startswith(("def ", "async def ", "class ")) or "= lambda" in line
    )


def _told(coding: Coding, language: str, code: str) -> Program:
    language = _NAMES.get(language.lower(), language.lower())
    if not language and (coding.language or _PYTHON_LINE.search(code)):
        language = coding.language or PYTHON
    return Program(language=language, code=_completed(coding, language, code)[:LONGEST])


def _bare(coding: Coding, text: str) -> Program | None:
    """Code without a fence: the whole answer, where it begins like code or goes on with the prompt's."""
    body = text.lstrip("\n")
    goes_on = bool(coding.given) and body.startswith((" ", "\t"))
    return _told(coding, "", body) if body and (goes_on or _PYTHON_LINE.match(body) or coding.language in ("json", "toml")) else None


def _completed(coding: Coding, language: str, code: str) -> str:
    """Python from the margin on: a mere body goes on with the prompt's own code, whatever else is indented stands in a list."""
    if language != PYTHON or not code.startswith((" ", "\t")):
        return code
    if coding.given and not _DEFINES.match(code):
        return f"{coding.given.rstrip()}\n{code}"
    return dedent(code)


def _blocks(text: str) -> list[tuple[str, str]]:
    """The fenced blocks: language and code. One that is never closed goes to the end."""
    found: list[tuple[str, str]] = []
    fence, language, inside = "", "", list[str]()
    for line in text.replace("\r\n", "\n").split("\n"):
        mark = _FENCE.match(line)
        if not fence and mark:
            fence, language, inside = mark[1], mark[2], []
        elif fence and mark and mark[1].startswith(fence) and not mark[2]:
            found.append((language, "\n".join(inside)))
            fence = ""
        elif fence:
            inside.append(line)
    return [*found, (language, "\n".join(inside))] if fence else found
