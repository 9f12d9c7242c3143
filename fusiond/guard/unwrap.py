"""What a text says when it is unwrapped: escapes of JSON, percents, entities of HTML and base64 are undone, one inside the other and however deep.

Nothing here asks what a text is: whoever reads it can undo an escape wherever it stands, in JSON, in a program or in a sentence. How much is
unwrapped has a limit in proportion to the whole; what ordinary requests hold is far from it.
"""

from __future__ import annotations

import codecs
import html
import re
from binascii import a2b_base64
from collections.abc import Callable, Iterator, Mapping
from functools import cache, lru_cache
from itertools import chain
from json import JSONDecoder
from string import punctuation
from typing import Any

FREE, TIMES, EACH = 1 << 20, 32, 1 << 10
"""So many characters may be unwrapped in every request, and so many times its own; each text counts for so many more than it has."""

MOST = 1_000_000
"""So many signs are undone in one text."""

SHORTEST = 64
"""So many letters of base64 are looked into wherever they stand, fewer only where `;base64,` stands before them: most words could be some."""

_JSON = JSONDecoder(strict=False)
_JSON_OPENS = re.compile(r'[\s\ufeff]*["\[{]')
_SIGNS = {f"\\{sign}": sign for sign in punctuation} | {r"\n": "\n", r"\t": "\t", r"\r": "\r", r"\b": "\b", r"\f": "\f"}
_UNSEEN = [
    (b"\0", re.compile(rb"\0"), b""),
    (b"\xc2", re.compile("\xa0".encode()), b" "),
    (b"\xc2", re.compile("\xad".encode()), b""),
    (b"\xe2", re.compile(rb"\xe2(?:\x80[\x8b-\x8d]|\x81\xa0)"), b""),  # U+200B to U+200D, U+2060
    (b"\xef", re.compile("\ufeff".encode()), b""),
]
"""Blanks that break no line, and signs without width, by their first byte: whoever reads a text does not see them."""

_FIRSTS = (b"\\", b"%", b"&")

_ALPHABET = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/"
_LETTERS = r"A-Za-z0-9+/_-"  # of both alphabets
_ASCII = "".join(f"[{''.join(each for number, each in enumerate(_ALPHABET) if not number & high)}]" for high in (32, 8, 2)) + f"[{_LETTERS}]"
_TEXT = f"(?:{_ASCII}){{4}}|(?:[2-7][0-9A-Fa-f]|0[9AaDd]){{12}}".encode()
"""Twelve characters of ASCII in a row, in base64 or hexadecimal, wherever they begin: most texts have them and little noise, and it is soon told."""

_PLAIN = bytes.maketrans(b"-_", b"+/")
_FOREIGN = bytes(each for each in range(256) if not re.match(f"[{_LETTERS}]", chr(each)))
_BREAK = r"[\r\n]|\\++[nr]|%0[AaDd]"
_SAID = rb';(?:[ \\]|%20)*(?i:base64)(?:[ \\]|%20)*(?:;[^,"\s]{0,100})?,'
_TYPE = re.compile(rb"(?i)(?:image|audio|video|font)/[^\s,\"]{0,100}\Z")
_BROKEN = re.compile(rf"(?:[\s{_LETTERS}]++|\\++[nrtfu/+_-]|%)*+".encode())
_LINES = re.compile(rf"(?:{_BREAK})*+(?:[{_LETTERS}]++|[ \t]*+(?:{_BREAK})++[ \t]*+|\\++|%)*+".encode())
_WORDS = re.compile(rf"(?s)(?>(?>.{{0,{SHORTEST - 1}}} )++|.{{0,{SHORTEST - 1}}}[^\r\n\\%{_LETTERS}])*+".encode())
"""All that no long run of letters is in: from the end of a word to the last that is near, which is mostly a blank."""

_HEXADECIMAL = re.compile(rb"[0-9a-fA-F]+")
_PIECE = re.compile(rf"[{_LETTERS}]+".encode())
_PROBE = 4096
_MEDIA = re.compile(
    rb"(?s)\x89PNG|\xff\xd8\xff|GIF8[79]a.[\x00-\x1f].[\x00-\x1f]|BM....\x00{4}|II\*\x00|MM\x00[*+]|\x00\x00\x01\x00|\x00\x00..(?:ftyp|JXL |jP  )"
    rb"|RIFF...[\x00-\x1f](?:WEBP|WAVE|AVI )|ID3[\x02-\x04]|\xff[\x0a\xe2\xe3\xf1-\xf3\xf9-\xfb]|OggS\x00|fLaC\x00|\x1aE\xdf\xa3"
    rb"|\x00\x00\x01[\xb3\xba]|wOF[F2]\x00|\x00\x01\x00\x00|OTTO\x00|PK\x03\x04|\x1f\x8b\x08"
)
"""How images, sounds, films, fonts and packed files begin, each with bytes that no text has: nobody reads them as text."""

_CONTROLS = bytes({*range(32), 127} - {*b"\t\n\v\f\r\x1b"})
_MARKS: Mapping[bytes, str] = {  # in this order: the first two begin with the last two
    codecs.BOM_UTF32_LE: "utf-32",
    codecs.BOM_UTF32_BE: "utf-32",
    codecs.BOM_UTF16_LE: "utf-16",
    codecs.BOM_UTF16_BE: "utf-16",
}
_ZEROS = {"utf-32-le": (4, 2, 3), "utf-32-be": (4, 0, 1), "utf-16-le": (2, 1), "utf-16-be": (2, 0)}
"""For each coding that may be written without a mark: of so many bytes, those that are zero in most Western letters. In this order, too."""


class TooMuch(Exception):
    """There is more to unwrap than may be unwrapped."""


class Allowance:
    """What may still be unwrapped of a request that has so many characters."""

    def __init__(self, size: int) -> None:
        self._left = FREE + size * TIMES

    def spend(self, size: int) -> None:
        """One more text is unwrapped. Raises TooMuch."""
        self._left -= size + EACH
        if self._left < 0:
            raise TooMuch


Concerns = Callable[[bytes], bool]
"""Whether a text has words that are looked for, of letters and digits."""


def says_more(raw: bytes, concerns: Concerns, *, quoted: bool) -> bool:
    """Whether there is anything among the readings of a text, or of several with blanks between them, that must be looked at beside itself."""
    if len(_shown(raw)) > 1 or _may_be_undone(raw, concerns, quoted=quoted) or (b";" in raw and _said().search(raw)):
        return True
    return len(raw) >= SHORTEST and (start := _end(_WORDS, raw, 0)) + SHORTEST <= len(raw) and _stretch(raw, start) < len(raw)


def readings(text: str, allowance: Allowance, concerns: Concerns, *, quoted: bool) -> Iterator[tuple[bytes, bool]]:
    """A text and all that it says, in UTF-8. Raises TooMuch. `quoted`: the strings of JSON, too, each on a line of its own, which is told by True."""
    waiting: list[str] = [text]
    seen: set[str] = set()
    while waiting:
        text = waiting.pop()
        raw = encoded(text)
        shown = _shown(raw)
        yield from ((one, False) for one in shown)
        found: list[str] = []
        if any(_may_be_undone(one, concerns, quoted=quoted) for one in shown):
            if quoted and _JSON_OPENS.match(text):
                yield from ((one, True) for one in _shown(encoded(_unescaped(text, "\n"))))
            plain = _unescaped(text)
            unquoted = _unquoted(plain)
            found = [other for other in (plain, unquoted, _without_entities(unquoted)) if other != text]
        if not found:  # base64 stays what it is whatever is undone around it
            for content in _contents(raw):
                allowance.spend(len(content))
                if _is_text(content):
                    found.append(decoded(content))
                elif content:
                    yield from ((one, False) for one in _shown(content))
        for other in found:
            if other not in seen:
                allowance.spend(len(other))
                seen.add(other)
                waiting.append(other)


def _may_be_undone(raw: bytes, concerns: Concerns, *, quoted: bool) -> bool:
    """Whether escapes matter in a text: where none of them may stand for a letter, only the words that are there can be in its readings."""
    signs = [first for first in _FIRSTS if first in raw]
    return (bool(signs) or (quoted and b'"' in raw)) and (any(_hiding()[first].search(raw) for first in signs) or concerns(raw))


@cache
def _hiding() -> Mapping[bytes, Any]:
    r"""By how they begin, what finds the escapes that may stand for a letter, for a digit or for the beginning of another escape.

    `\n`, `%20` and `&lt;` do not, and most are like these. Of what is beyond ASCII, two letters are the same as `s` and `k` where capitals do not
    count, and signs that are not seen may stand in the middle of a word.
    """
    letters = rb"00|2[356Cc]|3[0-9Bb]|4[1-9A-Fa-f]|5[0-9AaCc]|6[1-9A-Fa-f]|7[0-9Aa]"
    unseen = rb"017[Ff]|20(?:0[B-Db-d]|60)|212[Aa]|[Ff][Ee][Ff][Ff]"
    entity = rb"\\*(?:#|[A-Za-z][A-Za-z0-9]+\\*;)"
    return {
        b"\\": _searching(rb"\\(?:(?:x|u00)(?:" + letters + rb"|20|[Aa][Dd])|u(?:" + unseen + rb"))"),
        b"%": _searching(rb"%(?:" + letters + rb"|[Cc][25]|[Ee][2Ff])"),
        b"&": re.compile(rb"&(?!(?:lt|gt|quot|apos|nbsp|#39|#x27);|amp;(?!" + entity + rb"))" + entity),
    }


def encoded(text: str) -> bytes:
    """In UTF-8. Two halves make a character, and half a one alone a sign that it was none."""
    try:
        return text.encode()
    except UnicodeEncodeError:
        return text.encode("utf-16-le", "surrogatepass").decode("utf-16-le", "replace").encode()


def decoded(content: bytes) -> str:
    """A text in whatever coding its bytes tell."""
    return content.decode(_coding(content) or "utf-8-sig", "replace")


def _shown(raw: bytes) -> list[bytes]:
    """A text, and what looks the same."""
    found = [raw]
    if b"\r" in raw:
        raw = raw.replace(b"\r\n", b"\n").replace(b"\r", b"\n")
        found.append(raw)
    if b"\0" in raw or not raw.isascii():
        for first, sign, plain in _UNSEEN:
            if first in raw:
                raw = sign.sub(plain, raw)
        if raw != found[-1]:
            found.append(raw)
    return found


def _searching(pattern: bytes) -> Any:
    """RE2's form of a pattern: far quicker than the standard library in telling that there is nothing."""
    import re2  # type: ignore[import-untyped]  # noqa: PLC0415  # who has no patterns needs no engine

    return re2.compile(pattern)


def _undoing(first: str, rest: str, meaning: Callable[[re.Match[str]], str]) -> Callable[[str], str]:
    """What puts in a text the meaning of signs in their place. It raises TooMuch: what lies between two signs is an object meanwhile."""
    sign = re.compile(re.escape(first) + rest)

    def undone(text: str) -> str:
        if first not in text:
            return text
        if len(text) > MOST and text.count(first) > MOST:
            raise TooMuch
        return sign.sub(meaning, text)

    return undone


def _sign(escape: re.Match[str]) -> str:
    return _SIGNS.get(escape[0]) or chr(int(escape[0].lstrip("\\ux"), 16))


_entity = lru_cache(1000)(html.unescape)
_few_unescaped = _undoing("\\", rf"(?:[nrtbf{re.escape(punctuation)}]|u[0-9a-fA-F]{{4}}|x[0-9a-fA-F]{{2}})", _sign)
_unquoted = _undoing("%", "[0-9a-fA-F]{2}(?:%[0-9a-fA-F]{2})*+", lambda quoted: bytes.fromhex(quoted[0].replace("%", "")).decode(errors="replace"))
_without_entities = _undoing("&", "(?:#[0-9]{1,7}|#[xX][0-9a-fA-F]{1,6}|[A-Za-z][A-Za-z0-9]{1,31});", lambda entity: _entity(entity[0]))


def _unescaped(text: str, quotation: str = '"') -> str:
    """Without the escapes of JSON, which most languages share; many at once where it is JSON. `quotation`: what its own quotation marks become."""
    if "\\" not in text:
        return text.replace('"', quotation)
    if quotation == '"' and text.count("\\") * 100 < len(text):
        return _few_unescaped(text)
    own = r"\"" if quotation == '"' else quotation
    one_string = text.replace(r"\\", r"\u005c").replace(r"\"", r"\u0022").replace('"', own)
    try:
        told: str = _JSON.decode(f'"{one_string}"')
    except ValueError:
        return _few_unescaped(one_string)
    return told


def _contents(raw: bytes) -> Iterator[bytes]:
    """What is written in base64: all that is said to be, whatever else is said of it, and of the rest what is long and stands for a text."""
    for said in _said().finditer(raw) if b";" in raw else ():
        if not _is_media(raw, said.end()):
            named = _named(_freed(raw[said.end() : _end(_BROKEN, raw, said.end())]))
            yield from filter(_is_text, named) if _TYPE.search(raw, max(said.start() - 200, 0), said.start()) else named
    position, likely = 0, -1
    while likely < len(raw) and (start := _end(_WORDS, raw, position)) + SHORTEST <= len(raw):
        position = _end(_LINES, raw, start)
        if likely < start:
            likely = _stretch(raw, position if _is_media(raw, start) else start)
        if likely < position and not _is_media(raw, start):
            yield from _unnamed(_freed(raw[start:position]).strip(b"= \t\r\n"))


def _stretch(raw: bytes, start: int) -> int:
    """Where letters come that may stand for a text, or the end."""
    found = _text().search(raw, start)
    return found.start() if found else len(raw)


@cache
def _text() -> Any:
    return _searching(_TEXT)


@cache
def _said() -> Any:
    """Where a `data:` URL has said that it is in base64."""
    return _searching(_SAID)


def _end(some: re.Pattern[bytes], raw: bytes, start: int) -> int:
    """Where what begins there ends, be it nothing."""
    found = some.match(raw, start)
    return found.end() if found else start


def _freed(letters: bytes) -> bytes:
    """Without the escapes among them."""
    if b"\\" not in letters and b"%" not in letters:
        return letters
    text, before = letters.decode(errors="replace"), ""
    while text != before:
        text, before = _few_unescaped(_unquoted(text)), text
    return encoded(text)


def _named(letters: bytes) -> Iterator[bytes]:
    """Where blanks are in the base64, either they break it into lines or it ends there: both are tried."""
    first, *more = letters.split(maxsplit=1) or (b"",)
    return map(_from_base64, (first, letters) if more else (first,))


def _unnamed(letters: bytes) -> Iterator[bytes]:
    """The texts that letters stand for, though the first may belong to a word before. What breaks them is nothing, or each piece is a text."""
    pieces = _PIECE.findall(letters)
    whole, padding, _ = letters.partition(b"=")
    together = b"".join(_PIECE.findall(whole))
    long = [together, *(piece for piece in pieces if len(piece) >= SHORTEST and piece != together)]
    digits = [bytes.fromhex(piece[: len(piece) // 2 * 2].decode()) for piece in long if _HEXADECIMAL.fullmatch(piece)]
    if len(digits) == len(long):
        return filter(_is_text, digits)
    ways = _from_any(together)
    if padding or not any(map(_is_text, ways)) or any(len(piece) % 4 or len(piece) < SHORTEST for piece in pieces[:-1]):
        ways += chain.from_iterable(_from_any(piece) for piece in long[1:] if _text().search(piece))
    return filter(_is_text, [*ways, *digits])


def _from_any(letters: bytes) -> list[bytes]:
    """What they stand for, read from each of the first four on, as far as that is a text; or from the first."""
    begins = [begin for begin in range(4) if _is_good_text(_from_base64(letters[begin : begin + _PROBE]))]
    return [_from_base64(letters[begin:]) for begin in begins or (0,)]


def _is_media(raw: bytes, start: int) -> bool:
    """Whether what begins there is base64 of what is no text."""
    return _MEDIA.match(_from_base64(_freed(raw[start : start + SHORTEST]).lstrip())) is not None


def _from_base64(letters: bytes) -> bytes:
    """Decode either alphabet, with or without padding; never fails, what is cut off or out of place is left out."""
    known = letters.partition(b"=")[0].translate(_PLAIN, _FOREIGN)
    whole = known[:-1] if len(known) % 4 == 1 else known  # six bits alone are no byte
    return a2b_base64(whole + b"=" * (-len(whole) % 4))


def _is_text(content: bytes) -> bool:
    """In noise one byte of nine is a control character; hardly one is in a text."""
    return _coding(content) is not None or len(content.translate(None, _CONTROLS)) * 16 > len(content) * 15


def _is_good_text(content: bytes) -> bool:
    """Whether it is hardly anything but characters: text that is read from the wrong place on has few control characters, too."""
    return _is_text(content) and decoded(content).count("\ufffd") * 8 <= len(content)


def _coding(content: bytes) -> str | None:
    """The coding that a byte order mark tells, or zeros in their places."""
    if content.startswith(tuple(_MARKS)):
        return next(coding for mark, coding in _MARKS.items() if content.startswith(mark))
    if content.count(0) * 4 > len(content):
        for coding, (width, *places) in _ZEROS.items():
            if all(content[place::width].count(0) * width * 2 > len(content) for place in places):
                return coding
    return None
