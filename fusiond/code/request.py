"""Whether a request wants code, in which language, of which function, and what it says of its values: told from its last question.

`coding` is the one place that decides it.
"""

from __future__ import annotations

import re
from collections import Counter
from dataclasses import dataclass

from fusiond.chat import Request
from fusiond.code.examples import Example, callee, examples
from fusiond.keys import cues

PYTHON = "python"
ANY = ""
"""A language that nobody named."""

_MOST = 40_000
"""Characters of a question that are looked at."""

_UNFINISHED = re.compile(
    r"""^[ \t]{0,8}(?:async\ )?def\ \w{1,60}\([^()]{0,300}\)[^\n:]{0,80}:[ \t]*
        (?:\n[ \t]*(?:\n|$|```) | \s{0,20}(?:\"{3}(?:(?!\"{3}).){0,2000}\"{3}|'{3}(?:(?!'{3}).){0,2000}'{3})?
           \s{0,20}(?:pass\b|\.\.\.|\#[^\n]{0,200})?\s{0,20}(?:\Z|```))""",
    re.MULTILINE | re.DOTALL | re.VERBOSE,
)
"""A function without a body."""

_TESTED = re.compile(r"\b(?:pass(?:es)?|satisf\w{1,4})\b[^.\n]{0,40}\b(?:tests?|assert\w{0,6})\b|^\s{0,8}assert \w+\(", re.IGNORECASE | re.MULTILINE)
_PYTHON = re.compile(r"\bpython\b|```py|\bdef \w{1,60}\([^\n]{0,300}:|^\s{0,20}>>> |^\s{0,8}assert \w+\(", re.IGNORECASE | re.MULTILINE)
_OTHER = re.compile(
    r"\b(javascript|typescript|node\.?js|java|kotlin|scala|rust|golang|ruby|php|perl|haskell|swift|julia|lua|sql|bash|shell script|html|css|matlab"
    r"|powershell|verilog|json|toml|yaml|regex|regular expression)\b|\b(c\+\+|c#|f#)(?!\w)",
    re.IGNORECASE,
)
_SHORT_NAME = re.compile(r"\b[Ii]n (Go|C|R)\b|```(\w{1,20})\n")
_NAMED = re.compile(
    r"\b(?:function|method)\s(?:(?:named|called|with the name)\s[`'\"*]{0,3}([A-Za-z_]\w{0,60})|[`*]{1,3}([A-Za-z_]\w{0,60})|([A-Za-z_]\w{0,60})\()",
    re.IGNORECASE,
)
_PROSE = re.compile(
    r"\b(?:write|compose|draft)\b[^.\n]{0,30}\b(?:poem|essay|story|song|haiku|lyrics|limerick|article|blog post|e?-?mail|letter|tweet)\b",
    re.IGNORECASE,
)
_ASKED = re.compile(
    r"^\W{0,4}(?:please )?(?:explain|describe|summari[sz]e|classify|count|what|why|which|how|does|do|is|are|was|can|will|walk me through)\b",
    re.IGNORECASE,
)
_DEFINED = re.compile(r"\bdef ([A-Za-z]\w{0,60})\(")
_FENCED = re.compile(r"^```\w{0,20}\n(.{1,20000}?)^```", re.MULTILINE | re.DOTALL)
_CODE_BEGINS = re.compile(r"^(?:from \w|import \w|(?:async )?def \w|class \w|@\w)", re.MULTILINE)


@dataclass(frozen=True, slots=True, kw_only=True)
class Coding:
    """What is wanted: code in `language` (lower case; empty: none was named) with the function `entry` (empty: unnamed).

    `given`: the prompt's own code, to which an answer may refer. `certain`: a function without a body is to be completed, or tests are to be passed,
    so that whatever figures and questions stand in the prompt are about those. `run`: whether candidates may be run.
    """

    language: str
    entry: str = ""
    given: str = ""
    examples: tuple[Example, ...] = ()
    certain: bool = False
    run: bool = False

    @property
    def readable(self) -> bool:
        """Whether something can be found out about an answer without a judge."""
        return self.language in (ANY, PYTHON, "json", "toml")


def coding(request: Request) -> Coding | None:
    """What code the request wants; None where it wants none."""
    question = next((message.text for message in reversed(request.messages) if message.role == "user"), "")[:_MOST]
    if not _wants_code(question):
        return None
    entry = _entry(question)
    found = examples(question, entry)
    if not entry and found:
        entry = Counter(callee(example.call) for example in found).most_common(1)[0][0]
    certain = _UNFINISHED.search(question) is not None or (_TESTED.search(question) is not None and cues.CODE.search(question) is not None)
    return Coding(language=_language(question), entry=entry, given=_given(question), examples=found, certain=certain)


def _wants_code(question: str) -> bool:
    short = cues.shortened(question)
    prose = cues.is_literal(short) or _PROSE.search(short) or (_ASKED.search(short) and not cues.CODE.search(short))
    return not prose and (cues.is_code(short) or any(cue.search(short) for cue in (_UNFINISHED, _TESTED)))


def _language(question: str) -> str:
    if _PYTHON.search(question):
        return PYTHON
    named = _OTHER.search(question) or _SHORT_NAME.search(question)
    return (named[1] or named[2]).lower() if named else ANY


def _entry(question: str) -> str:
    """By its name in words; else what the prompt's own code defines last, which is what it wants to be completed."""
    if named := _NAMED.search(question):
        return named[1] or named[2] or named[3]
    return defined[-1] if (defined := _DEFINED.findall(question)) else ""


def _given(question: str) -> str:
    """The prompt's code: what is fenced, else from its first line of code on."""
    if fenced := _FENCED.findall(question):
        return "\n".join(fenced)
    begins = _CODE_BEGINS.search(question)
    return question[begins.start() :] if begins else ""
