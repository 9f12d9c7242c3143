"""Whether a request holds what must not leave this machine: users' patterns over everything that a member would be shown.

A pattern is searched in each text alone, and in what the text stands for: JSON and `data:` URLs are looked into, line ends are made equal.
The search takes linear time whatever the pattern is. It is RE2's, and pattern by pattern: a single pattern falls back to a slower way where its
memory does not suffice, while a set of them, as its documentation says, can fail for want of it.

How much is opened has a limit in proportion to the request. Where that does not suffice the request counts as one that must not leave: nobody has
seen what is in it.
"""

from __future__ import annotations

import codecs
import re
from binascii import a2b_base64, a2b_qp
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import fields, is_dataclass
from functools import cache, cached_property
from itertools import chain, pairwise
from json import JSONDecodeError, JSONDecoder
from operator import attrgetter
from typing import Any, Protocol

from fusiond.chat import Message, Request

MEMORY = 8 << 20
"""Bytes that one pattern may take, its program and the states of its search together."""

DEEPEST = 4
"""So many wrappings are opened, one inside the other: JSON in a string of JSON, text in a `data:` URL."""

TOO_MUCH = "(too much is wrapped in it to be looked through)"
"""What stands for a pattern where there is more to open than may be opened."""

OPENED, BYTES_EACH = 20_000, 32
"""So many texts may be opened in every request, and one more for so many bytes of it: fewer than ordinary JSON has with escapes in them."""

OPENED_BYTES, TIMES = 1 << 20, 4
"""So many bytes may be opened in every request, and so many times its own: each is wrapped that often at the most in what is no attack."""

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

_HEAD = r"""(?i)data:(?:[^\s/,;:"]+/[^\s/,;:"]+)?(?: *;(?:[^,;"\r\n]|"[^"\r\n]*")*)*,"""
"""A `data:` URL up to its comma: a media type, then parameters, both optional (RFC 2397)."""

_ENCODED = re.compile(rb"[A-Za-z0-9+/_%\s-]*")  # base64, both alphabets, broken into lines or percent-encoded; what follows `=` is no part of it
_ALPHABET = b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/"
_PLAIN = bytes.maketrans(b"-_", b"+/")
_FOREIGN = bytes(sorted({*range(256)} - {*_ALPHABET, *b"-_"}))
_NO_QUOTE = re.compile(rb"%(?![0-9A-Fa-f]{2})")
_AS_PRINTABLE = bytes.maketrans(b"%", b"=")
_CHUNK = 1 << 20
_BINARY = (b"image/", b"audio/", b"video/", b"font/")
_MARKS: Mapping[bytes, str] = {  # in this order: the first two begin with the last two
    codecs.BOM_UTF32_LE: "utf-32",
    codecs.BOM_UTF32_BE: "utf-32",
    codecs.BOM_UTF16_LE: "utf-16",
    codecs.BOM_UTF16_BE: "utf-16",
}
_JSON = JSONDecoder(strict=False)
_JSON_OPENS = re.compile(r'[\s\ufeff]*["\[{]')
_JSON_PLAIN = re.compile(r'"([^"\\]*)"')
_ESCAPE = re.compile(r"\\")
_ESCAPE_OR_DATA = re.compile(r"\\|data:", re.IGNORECASE)
_EDGE = re.compile(r"[\^$]|\\[Az]")


class _Found(Protocol):
    """One match: where it is, in bytes, and what it is."""

    def start(self) -> int: ...
    def end(self) -> int: ...
    def group(self) -> bytes: ...


class _Expression(Protocol):
    """A compiled pattern."""

    def search(self, text: bytes) -> _Found | None: ...
    def finditer(self, text: bytes) -> Iterator[_Found]: ...


class _TooMuch(Exception):
    """There is more to open than may be opened."""


class _Allowance:
    """What may still be opened of a request that has so many characters."""

    def __init__(self, size: int) -> None:
        self._texts = OPENED + size // BYTES_EACH
        self._bytes = OPENED_BYTES + size * TIMES

    def spend(self, size: int) -> None:
        """One more text is opened. Raises _TooMuch."""
        self._texts -= 1
        self._bytes -= size
        if self._texts < 0 or self._bytes < 0:
            raise _TooMuch


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
        try:
            for text in _texts(request, alone=self._at_an_edge):
                for name, search in self._searches:
                    if search(text):
                        return name
        except _TooMuch:
            return TOO_MUCH
        return None

    @cached_property
    def _at_an_edge(self) -> bool:
        """Whether a pattern may ask where its text begins or ends: then a string must be read alone, though it stands as it is in its JSON."""
        return any(map(_EDGE.search, self._patterns))

    @cached_property
    def _searches(self) -> list[tuple[str, Callable[[bytes], _Found | None]]]:
        return [(pattern, _compile(pattern).search) for pattern in self._patterns]


def fault(pattern: str) -> str | None:
    """What is wrong with a pattern, in words that follow its name ("has a lookahead ..."), or None."""
    try:
        empty = _compile(pattern).search(b"")
    except ValueError as error:
        return str(error)
    return "matches an empty text, and so tells no request from another" if empty else None


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


def _texts(request: Request, *, alone: bool = True) -> Iterator[bytes]:
    """Every text of a request, as it stands and as it reads when opened, in UTF-8. Empty ones are left out. Raises _TooMuch.

    These are its strings and numbers at any depth, the keys of mappings too, and what the parts of a message say together: a word may be split over
    them. `alone`: also each string of JSON that reads the same in it.
    """
    size = 0
    waiting: list[Any] = [request]
    wrapping: list[str] = []
    while waiting:  # no recursion: a schema may be as deep as it likes
        value = waiting.pop()
        kind = type(value)
        if kind is not str:
            waiting += _OPENERS[kind](value)
            continue
        size += len(value)
        if '"' in value or ":" in value or "\r" in value:
            wrapping.append(value)
        elif value:  # nothing is written inside it, and most texts are so
            yield value.encode(errors="replace")
    if wrapping:
        allowance = _Allowance(size)
        for text in wrapping:
            yield from _readings(text, DEEPEST, allowance, alone)


_Opener = Callable[[Any], Iterable[object]]
_OPENS: tuple[tuple[type | tuple[type, ...], _Opener], ...] = (
    ((bool, type(None)), lambda _: ()),
    (Mapping, lambda mapping: (*mapping.keys(), *mapping.values())),
    ((list, tuple, set, frozenset), iter),
    (bytes, lambda content: (_decoded(content),)),
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
        return lambda message: filter(None, (*read(message), len(message.parts) > 1 and message.text))
    return lambda value: filter(None, read(value))


def _readings(text: str, depth: int, allowance: _Allowance, alone: bool) -> Iterator[bytes]:
    """A text in UTF-8, the same with equal line ends, and what is written inside it, to this depth."""
    raw = text.encode(errors="replace")  # half a character becomes a question mark
    yield raw
    if b"\r" in raw:
        yield raw.replace(b"\r\n", b"\n").replace(b"\r", b"\n")
    if not depth:
        return
    holds_data = b":" in raw and _data_head().search(raw) is not None
    if _JSON_OPENS.match(text):
        for string, wraps in _json_strings(text, _ESCAPE_OR_DATA if holds_data else _ESCAPE, alone):
            if wraps:
                allowance.spend(len(string))
                yield from _readings(string, depth - 1, allowance, alone)
            else:
                yield string.encode(errors="replace")
    if holds_data:
        for content in _data_contents(raw):
            allowance.spend(len(content))
            if content:
                yield from _readings(_decoded(content), depth - 1, allowance, alone)


def _json_strings(text: str, opens: re.Pattern[str], alone: bool) -> Iterator[tuple[str, bool]]:
    """The strings of a text that is JSON, keys and values alike, until it ends or is broken; and whether there may be something to open in them.

    All others stand in the text as they are: they are passed over by counting quotation marks, or said with False where they are wanted `alone`.
    Only strings are decoded, and nothing is built from them: small JSON can mean large objects.
    """
    position = 0
    while found := opens.search(text, position):
        inside = text.count('"', position, found.start()) % 2
        plain = text.rfind('"', position, found.start()) if inside else found.start()
        if alone:
            yield from ((string[1], False) for string in _JSON_PLAIN.finditer(text, position, plain))
        if inside:
            try:
                string, position = _JSON.raw_decode(text, plain)
            except JSONDecodeError:
                return
            yield string, True
        elif found[0] == "\\":
            return
        else:
            position = found.end()
    if alone:
        yield from ((string[1], False) for string in _JSON_PLAIN.finditer(text, position))


def _data_contents(raw: bytes) -> Iterator[bytes]:
    """What the `data:` URLs in a text say, wherever they begin in it. Each ends at the latest where the next one begins."""
    heads: Iterator[_Found | None] = _data_head().finditer(raw)
    for head, following in pairwise(chain(heads, (None,))):
        if head is not None:
            yield from _contents(head.group(), raw, head.end(), following.start() if following else len(raw))


def _contents(head: bytes, raw: bytes, start: int, end: int) -> Iterator[bytes]:
    """The bytes of one `data:` URL. Where blanks are in the base64, either they break it into lines or it ends there: both are tried."""
    media, *parameters = head[len(b"data:") : -1].lower().split(b";")
    if b"base64" not in map(bytes.strip, parameters):
        yield _unquoted(raw, start, end)
    elif _may_be_text(media) and (found := _ENCODED.match(raw, start, end)):
        first, *more = found[0].split(maxsplit=1) or (b"",)
        yield _from_base64(first)
        if more:
            yield _from_base64(found[0])
    else:
        yield b""


def _may_be_text(media: bytes) -> bool:
    """Whatever is not surely something else: text has many types, and some senders say none, or `application/octet-stream`."""
    return media.startswith(b"image/svg") or not media.startswith(_BINARY)


def _from_base64(encoded: bytes) -> bytes:
    """Decode either alphabet, with or without padding; never fails, what is cut off or out of place is left out."""
    letters = _unquoted(encoded, 0, len(encoded)).partition(b"=")[0].translate(_PLAIN, _FOREIGN)
    whole = letters[:-1] if len(letters) % 4 == 1 else letters  # six bits alone are no byte
    return a2b_base64(whole + b"=" * (-len(whole) % 4))


def _unquoted(quoted: bytes, start: int, end: int) -> bytes:
    """Decode percents. What the standard library has for it goes from one to the next, and holds each in an object of its own.

    Quoted-printable text is the same with another sign and decoded at once; the sign itself, and percents that quote nothing, are quoted first.
    """
    if quoted.find(b"%", start, end) < 0:
        return quoted[start:end]
    decoded = bytearray()
    while start < end:
        cut = min(start + _CHUNK, end)
        if cut < end and (split := quoted.rfind(b"%", cut - 2, cut)) >= 0:
            cut = split  # its digits would be in the next chunk
        chunk = _NO_QUOTE.sub(b"%25", quoted[start:cut])
        decoded += a2b_qp(chunk.replace(b"=", b"%3D").translate(_AS_PRINTABLE))
        start = cut
    return bytes(decoded)


def _decoded(content: bytes) -> str:
    """Text in the coding that its byte order mark says, else UTF-8."""
    coding = next((coding for mark, coding in _MARKS.items() if content.startswith(mark)), "utf-8-sig")
    return content.decode(coding, "replace")


@cache
def _data_head() -> _Expression:
    return _compile(_HEAD)
