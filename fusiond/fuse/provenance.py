"""Where a synthesis has its exact things from: code, JSON, links, quotations and numbers must stand in a draft, or in the conversation itself.

Pure. Prose may be rewritten; what is exact may only be copied, for a writer that changes it by a little makes it wrong.
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from textwrap import dedent

from fusiond.keys.document import key

FENCE = re.compile(r"[ \t]*(?:(?:[>*+-]|\d{1,3}[.)])[ \t]+){0,8}(`{3,}|~{3,})[^\n]*\n")
"""The first line of a block of code, be it in a list or a quotation."""

_INLINE = re.compile(r"(?P<ticks>`{1,2})(?P<code>[^`\n]+)(?P=ticks)")
_TAIL = r"(?:[^\s<>()\[\]\"'`“”«»]|\([^\s()]*\))+"
_LINK = re.compile(
    rf"\b[a-z][a-z0-9+.-]{{1,15}}://(?:\[[0-9a-f:.]+\])?{_TAIL}|\bwww\.{_TAIL}|(?<![:/\w])//[\w-]+\.{_TAIL}"
    r"|(?<![\w.+-])[\w.+-]{1,64}@[\w-]+(?:\.[\w-]+)+"
    rf"|(?<![\w./-])(?:[\w-]{{1,63}}\.){{1,5}}[a-z]{{2,24}}/{_TAIL}|(?<=\]\()[^\s()<>]+",
    re.IGNORECASE,
)
_OBJECT = re.compile(r"\{\s*[\"}]|\[\s*(?:[\"{]|(?:true|false|null)\s*[,\]])")
_BEGUN = re.compile(rf"{_OBJECT.pattern}|[{{\[]\s*\Z")
_QUOTE = re.compile(r"(?<!\w)\"(?=\S)([^\"\n]+)(?<=\S)\"(?!\w)|“([^“”\n]+)”|„([^„“”\n]+)[“”]|«([^«»\n]+)»|「([^「」\n]+)」|『([^『』\n]+)』")
_NUMBER = re.compile(r"(?<![^\W_])(?:(?<![\w)\]])[-\u2212])?(?:\d{1,3}(?:,\d{3})+(?!\d)|\d+)(?:\.\d+)*(?:[eE][+-]?\d+)?|[¼½¾⅓⅔⅛⅜⅝⅞]")
_DATE = re.compile(r"(?<![\w.-])\d{4}-(\d\d)-(\d\d)(?![\w-])")
_GLUED = re.compile(r"(?<![^\W_])[^\W\d_]{1,20}(\d+(?:[.,]\d+)*)(?![^\W_])")
_SPACED = re.compile(r"(?<![\w.,])\d{1,3}(?:[ \u00a0\u202f]\d{3})+(?![\w])")
_MARKER = re.compile(
    r"\s*(?:[>*+-]\s+)*(?:#{1,6}\s+)?(?:\*\*|__)?(?:"
    r"\(?\d{1,3}[.):](?=[\s*_]|\Z)|\d{1,2}(?:\.\d{1,2}){1,3}[.):](?=[\s*_]|\Z)"
    r"|(?:step|part|section|chapter|phase|option|schritt|teil)\s\d{1,2}(?=[.:)*_\s]|\Z))"
    r"|(?:\s{2,}|#{1,6}\s+)(?:\*\*)?\d{1,2}(?:\.\d{1,2}){1,3}(?=\s)"
    r"|\s*\|\s*\d{1,2}[.)]?\s*(?=\|)",
    re.IGNORECASE,
)
"""What numbers an item, a heading or the row of a table: the writer's own, for it may put in order what the drafts have in prose."""

_WHOLE = re.compile(r"(-?\d+)\.0+")
_DRESS = re.compile(r"\*\*|__|^[ \t]*>[ \t]?", re.MULTILINE)
_STRAIGHT = str.maketrans("“”„«»\u2018\u2019\u2212\u00a0\u202f", '"""""\'\'-  ')
_QUOTED = re.compile(r"^[ \t]*(?:>[ \t]?)+", re.MULTILINE)
_MARKUP = re.compile(r"<(code|pre)\b[^>]*>(.*?)(?:</\1>|\Z)", re.IGNORECASE | re.DOTALL)
_DECODER = json.JSONDecoder()


class Invented(ValueError):
    """Something exact stands in none of the sources; the message says what."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Sources:
    """What may be copied. `texts` are those of the sources in normal form, `code` line by line, `documents` in canonical form."""

    texts: tuple[str, ...]
    code: tuple[str, ...]
    links: frozenset[str]
    documents: frozenset[str]
    numbers: frozenset[str]


def sources(texts: Iterable[str]) -> Sources:
    """Everything exact in the texts."""
    texts = tuple(texts)
    return Sources(
        texts=tuple(map(_normal, texts)),
        code=tuple(f"\n{_lines(code)}\n" for text in texts for code in (text, *_blocks(text))),
        links=frozenset(_address(link) for text in texts for link in _links(text)),
        documents=frozenset(document for text in texts for document in (*_documents(text), *map(key, _blocks(text))) if document),
        numbers=frozenset(_plain(number) for text in texts for number in _numbers(text)),
    )


def check_prose(text: str, known: Sources, *, fresh: bool) -> None:
    """Raises Invented where a piece of the answer has something exact that nobody said. `fresh`: it begins a line."""
    rest = _MARKER.sub(" ", text, count=1) if fresh and _MARKER.match(text) else text
    for match in _MARKUP.finditer(rest):
        _demand(_stands(match[2], known), f"the code {match[0]}")
    rest = _MARKUP.sub(" ", rest)
    for match in _INLINE.finditer(rest):
        _demand(_stands(match["code"], known), f"the code `{match['code']}`")
    rest = _INLINE.sub(" ` ", rest)
    for link in _links(rest):
        _demand(_address(link) in known.links, f"the link {link}")
    rest = _LINK.sub(" ", rest)
    for document in _documents(rest):
        _demand(document in known.documents, f"the document {document}")
    for quoted in _quotes(rest, fresh=fresh):
        _demand(_stands(quoted, known) or _stands(quoted[:1].swapcase() + quoted[1:], known), f'the quotation "{quoted}"')
    rest = _SPACED.sub(lambda match: " " if _plain(match[0]) in known.numbers else match[0], rest)
    for number in (*_written(rest), *_GLUED.findall(rest)):
        _demand(_plain(number) in known.numbers, f"the number {number}")


def check_block(block: str, known: Sources, *, cut: bool = False) -> None:
    """Raises Invented where a block of code, with its fence, is in no source. `cut`: its end is missing, and perhaps half of its last line."""
    opening, _, code = block.partition("\n")
    if not cut:
        code = code.rstrip().rpartition("\n")[0]
    wanted = f"\n{_lines(code)}" + ("" if cut else "\n")
    copied = any(wanted in source for source in known.code) or key(code) in known.documents
    _demand(copied or not code.strip() or ("\n" not in code.strip() and _stands(code, known)), f"a block of code ({opening.strip()})")


def _demand(told: bool, what: str) -> None:
    if not told:
        raise Invented(f"{what if len(what) < 100 else what[:100] + '...'} is in no draft")


def _lines(code: str) -> str:
    """Code without what cannot be seen, and without what its place in the text has moved it to the right."""
    return dedent("\n".join(line.rstrip() for line in _QUOTED.sub("", code).split("\n"))).strip("\n")


def _blocks(text: str) -> Iterator[str]:
    """The insides of all blocks of code."""
    inside: list[str] | None = None
    mark = ""
    for line in text.split("\n"):
        opening = FENCE.match(line + "\n")
        if inside is None:
            if opening:
                inside, mark = [], opening[1]
        elif closes(line, mark):
            yield "\n".join(inside)
            inside = None
        else:
            inside.append(line)


def closes(line: str, mark: str) -> bool:
    """Whether a line ends the block that *mark* began."""
    line = _QUOTED.sub("", line).strip()
    return line.startswith(mark) and not line.strip(mark[0])


def unended(text: str) -> bool:
    """Whether a JSON document or code in HTML begins there and does not end."""
    if start := _BEGUN.search(text):
        rest = text[start.start() :]
        if rest.count("{") + rest.count("[") > rest.count("}") + rest.count("]"):
            return True
    lower = text.lower()
    return any(lower.count(f"<{tag}") > lower.count(f"</{tag}") for tag in ("code", "pre"))


def _links(text: str) -> Iterator[str]:
    return (match[0].rstrip(".,;:!?*_") for match in _LINK.finditer(text))


def _documents(text: str) -> Iterator[str]:
    """All JSON objects, and all arrays of more than numbers, in canonical form."""
    place = 0
    while start := _OBJECT.search(text, place):
        try:
            _, place = _DECODER.raw_decode(text, start.start())
        except json.JSONDecodeError as error:
            place = max(error.pos, start.end())
        except RecursionError:
            return
        else:
            if document := key(text[start.start() : place]):
                yield document


def _quotes(text: str, *, fresh: bool) -> Iterator[str]:
    if fresh and text.lstrip().startswith(">"):
        yield text
    for match in _QUOTE.finditer(text):
        yield next(filter(None, match.groups()))


def _stands(quoted: str, known: Sources) -> bool:
    """Whether some source has these words, as they are and not as a part of others; a full stop may have been added."""
    wanted = _normal(quoted).rstrip(".,;:!?… ")
    if not wanted:
        return True
    before, after = (r"(?<!\w)" if wanted[0].isalnum() else ""), (r"(?!\w)" if wanted[-1].isalnum() else "")
    pattern = re.compile(before + re.escape(wanted) + after)
    return any(wanted in text and pattern.search(text) for text in known.texts)  # the first is quick


def _normal(text: str) -> str:
    return " ".join(_DRESS.sub("", text).translate(_STRAIGHT).split())


def _written(text: str) -> Iterator[str]:
    return (match[0] for match in _NUMBER.finditer(text))


def _numbers(text: str) -> Iterator[str]:
    """All numbers of a source, also those that are glued to a word, or have their thousands apart."""
    yield from _written(text)
    yield from _GLUED.findall(text)
    yield from (part.lstrip("0") for date in _DATE.findall(text) for part in date)  # as a date in words has them
    yield from (match[0] for match in _SPACED.finditer(text))


def _plain(number: str) -> str:
    """A number without what parts its thousands, without a fraction of noughts, and with one kind of minus."""
    bare = re.sub(r"[,\s]", "", number).replace("\u2212", "-")
    whole = _WHOLE.fullmatch(bare)
    return whole[1] if whole else bare


def _address(link: str) -> str:
    """A link without what may be left out at its end."""
    return link.rstrip("/")
