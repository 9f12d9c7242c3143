"""Whether a request holds what must not leave this machine: users' patterns over everything that a member would be shown.

A pattern is searched in each text as it stands, and in what it says when it is unwrapped: escapes of JSON, percents, entities of HTML and base64 are
undone, one inside the other and however deep. `^` and `$` are the edges of a text, and in JSON those of each string and of each line in a string.
The search takes linear time whatever the pattern is. It is RE2's, and pattern by pattern: a single pattern falls back to a slower way where its
memory does not suffice, while a set of them, as its documentation says, can fail for want of it.

How much is unwrapped has a limit in proportion to the request. Where that does not suffice the request counts as one that must not leave: nobody has
seen what is in it.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import fields, is_dataclass
from functools import cached_property
from itertools import islice
from operator import attrgetter
from typing import Any, NamedTuple, Protocol

from fusiond.chat import Message, Request, TextPart
from fusiond.guard.unwrap import Allowance, TooMuch, decoded, encoded, readings, says_more

MEMORY = 8 << 20
"""Bytes that one pattern may take, its program and the states of its search together."""

TOO_MUCH = "(too much is wrapped in it to be looked through)"
"""What stands for a pattern where there is more to unwrap than may be unwrapped."""

LONG = 1 << 14
"""Texts with so many characters are looked at alone: to put them beside others takes longer than to look."""

_APART = "\n \n"
"""What is put between texts that are looked at together: in most requests they say nothing that must stay here, and that is soon told."""

_OURS = {(Request, "id")}
"""What the daemon made itself and shows to no member: its random digits would match patterns for numbers now and then."""

_LACKING = {
    "(?=": "lookahead",
    "(?!": "lookahead",
    "(?<=": "lookbehind",
    "(?<!": "lookbehind",
    "(?>": "atomic group",
    "(?(": "condition",
    "(?P": "backreference",  # (?P=name): the groups themselves, (?P<name>...), are understood
    "\\k": "backreference",
    "\\g": "backreference",
    **{f"\\{digit}": "backreference" for digit in range(1, 10)},
}
"""What other engines have and this one does not, by what RE2 points at."""

_ATOM = re.compile(r"(?s)\\Q.*?(?:\\E|\Z)|\\.|\[\^?\]?(?:\[:\^?\w+:\]|\\.|[^\]\\])*\]|[\^$]")
_NO_WORD = re.compile(r"(?s)\\[^A-Za-z0-9]|\\[AbBdDfnrsStvwWz]|\[\^?\]?(?:\[:\^?\w+:\]|\\.|[^\]\\])*\]|\{[0-9,]*\}")
_ODD = re.compile(r"[\\|()\[]")
_CERTAIN = re.compile(r"[A-Za-z0-9]+(?![*?+{])")
_EDGES = {"^": "(?m:^)", r"\A": "(?m:^)", "$": "(?m:$)", r"\z": "(?m:$)"}
"""What asks for an edge of a text, and what for that of a line: the edges of a text that stands on lines of its own are edges of lines."""


class _Expression(Protocol):
    """A compiled pattern."""

    def search(self, text: bytes) -> object: ...


class _Search(NamedTuple):
    """What finds a pattern in a text, and what finds it in one of many that stand on lines of their own: there it may find it in several, too."""

    pattern: str
    in_text: Callable[[bytes], object]
    on_lines: Callable[[bytes], object]


class Patterns:
    """Regular expressions in RE2's syntax, case-sensitive unless they say `(?i)`; compiled when the first request comes."""

    def __init__(self, patterns: Sequence[str]) -> None:
        self._patterns = tuple(patterns)

    def match(self, request: Request) -> str | None:
        """The pattern that matches somewhere in the request, `TOO_MUCH` where that cannot be told, or None.

        Raises ValueError where a pattern has a `fault`. Takes time in proportion to the request; a thread may do it, and several at once.
        """
        if not self._patterns:
            return None
        texts = _texts(request)
        allowance = Allowance(sum(map(len, texts)))
        groups = [[text for text in texts if len(text) < LONG], *([text] for text in texts if len(text) >= LONG)]
        try:
            for group in groups:
                if found := self._found(group, allowance):
                    return found
        except TooMuch:
            return TOO_MUCH
        return None

    def _found(self, texts: Sequence[str], allowance: Allowance) -> str | None:
        """The pattern that matches one of these texts, or something that they say. Raises TooMuch."""
        searches = self._searches  # a faulty one is never skipped
        for reading, on_lines in self._readings(texts, allowance):
            for search in searches:
                if search.on_lines(reading) if on_lines else search.in_text(reading):
                    return search.pattern
        return None

    def _readings(self, texts: Sequence[str], allowance: Allowance) -> Iterator[tuple[bytes, bool]]:
        """What must be searched one by one, as `readings` tells it: mostly nothing, for it is seen of all texts together that they hold nothing."""
        together = encoded(_APART.join(texts))
        suspected = self._concerns(together) and any(search.on_lines(together) for search in self._searches)
        if suspected or self._says_more(together):
            for text in texts:
                if suspected or self._says_more(encoded(text)):
                    said = readings(text, allowance, self._concerns, quoted=self._at_an_edge)
                    yield from islice(said, not suspected, None)  # the first is the text itself

    def _says_more(self, raw: bytes) -> bool:
        return says_more(raw, self._concerns, quoted=self._at_an_edge)

    @cached_property
    def _searches(self) -> list[_Search]:
        return [_Search(pattern, _compile(pattern).search, _compile(_by_lines(pattern)).search) for pattern in self._patterns]

    @cached_property
    def _at_an_edge(self) -> bool:
        """Whether a pattern asks where a text begins or ends: then a string of JSON is one, too."""
        return any(_by_lines(pattern) != pattern for pattern in self._patterns)

    @cached_property
    def _words(self) -> list[Callable[[bytes], object]]:
        """What finds the words without which no pattern matches: nothing where there is one that can do without."""
        words = [_word(pattern) for pattern in self._patterns]
        return [_compile(word).search for word in words] if all(words) else []

    def _concerns(self, text: bytes) -> bool:
        """Whether a pattern may match the text, whatever stands there beside letters and digits."""
        return not self._words or any(word(text) for word in self._words)


def fault(pattern: str) -> str | None:
    """What is wrong with a pattern, in words that follow its name ("has a lookahead ..."), or None."""
    try:
        empty = _compile(pattern).search(b"")
        _compile(_by_lines(pattern))
    except ValueError as error:
        return str(error)
    return "matches an empty text, and so tells no request from another" if empty else None


def _by_lines(pattern: str) -> str:
    """The pattern that matches at the edges of a line where this one does at those of a text."""
    return _ATOM.sub(lambda atom: _EDGES.get(atom[0], atom[0]), pattern)


def _word(pattern: str) -> str:
    """A word that is in all that the pattern matches, the longest of letters and digits; nothing where that is not easily told."""
    ignoring, pattern = ("(?i)", pattern[4:]) if pattern.startswith("(?i)") else ("", pattern)
    bare = _NO_WORD.sub(lambda atom: "{" if atom[0][0] == "{" else " ", pattern)
    word = "" if _ODD.search(bare) else max(_CERTAIN.findall(bare), key=len, default="")
    return word and ignoring + word


def _compile(pattern: str) -> _Expression:
    """RE2's own form of a pattern. Raises ValueError with the fault."""
    import re2  # type: ignore[import-untyped]  # noqa: PLC0415  # who has no patterns needs no engine

    options = re2.Options()
    options.max_mem = MEMORY
    options.never_capture = True  # whether it matches is all that is asked
    options.log_errors = False  # it would write to stderr by itself
    try:
        expression: _Expression = re2.compile(pattern.encode(), options)
    except UnicodeEncodeError:
        raise ValueError("holds half a character (a lone surrogate)") from None
    except re2.error as error:
        raise ValueError(_fault(error.args[0].decode(errors="replace"))) from None
    return expression


def _fault(message: str) -> str:
    """RE2's message, such as `invalid perl operator: (?=`, in our words."""
    what, _, where = message.partition(": ")
    if what.startswith("pattern too large"):
        return f"is too large: it needs more than {MEMORY >> 20} MiB"
    if where in _LACKING:
        return f"has a {_LACKING[where]} ({where}), which a search in linear time cannot have"
    return f"is no regular expression of RE2: {' '.join(message.split())}"


def _texts(request: Request) -> list[str]:
    """Every text of a request as it stands, but empty ones.

    These are its strings and numbers at any depth, the keys of mappings too, and what the parts of a message say together: a word may be split over
    them.
    """
    texts: list[str] = []
    waiting: list[Any] = [request]
    while waiting:  # no recursion: a schema may be as deep as it likes
        value = waiting.pop()
        kind = type(value)
        if kind is not str:
            waiting += _OPENERS[kind](value)
        elif value:
            texts.append(value)
    return texts


_Opener = Callable[[Any], Iterable[object]]
_OPENS: tuple[tuple[type | tuple[type, ...], _Opener], ...] = (
    ((bool, type(None)), lambda _: ()),
    (Mapping, lambda mapping: (*mapping.keys(), *mapping.values())),
    ((list, tuple, set, frozenset), iter),
    (bytes, lambda content: (decoded(content),)),
    (str, lambda word: (str.__str__(word),)),  # an enumeration's own text would be its name
    (object, lambda value: (str(value),)),
)


class _Openers(dict[type, _Opener]):
    """What tells all that is in a value, by its class: found once for each, for a request has many values of few."""

    def __missing__(self, kind: type) -> _Opener:
        return self.setdefault(kind, _fields(kind) if is_dataclass(kind) else next(each for kinds, each in _OPENS if issubclass(kind, kinds)))


_OPENERS = _Openers()


def _fields(kind: type) -> _Opener:
    """Those of a value, but for what says nothing: None, False, zero, and what is empty."""
    names = [field.name for field in fields(kind) if (kind, field.name) not in _OURS]
    read = attrgetter(*names) if len(names) > 1 else lambda value: [getattr(value, name) for name in names]
    if issubclass(kind, Message):
        return lambda message: filter(None, (*read(message), len(message.parts) > 1 and _joined(message)))
    return lambda value: filter(None, read(value))


def _joined(message: Message) -> tuple[str, str]:
    """What its parts say together: some servers put them one after the other, some on lines of their own."""
    texts = [part.text for part in message.parts if isinstance(part, TextPart)]
    return "".join(texts), "\n".join(texts)
