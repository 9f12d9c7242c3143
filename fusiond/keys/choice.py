"""Choices: the letter of the option that a reply names, or whose text it repeats.

Of several statements the last stands, as a model corrects itself forwards. Two letters in one statement are no choice.
"""

from __future__ import annotations

import re

from fusiond.keys.latex import unlatex
from fusiond.keys.reading import Reading, plain
from fusiond.keys.refusal import refuses
from fusiond.keys.text import words
from fusiond.keys.wants import Wanted

_LEAD = re.compile(
    r"""[\s"'“‘(\[{<]{0,6}(?:(?:the|la|le|el|il|die|der|a|o)\ (?![A-Z]\w))?
        (?:(?:correct\ )?(?:option|choice|letter|answer|statement|letra|lettre|lettera|Buchstabe|opción|réponse|буква|вариант|选项|選択肢)
          \s{0,3}:?\s{0,3})?
        [\s"'“‘(\[{<$\\]{0,6}(?P<letter>[A-Z])(?P<after>[\s"'”’)\]}>$]{0,6})(?![A-Za-z0-9_'’])(?P<rest>.{0,200})""",
    re.VERBOSE | re.DOTALL,
)
_LONE_LOWER = re.compile(r"[\s\"'(\[]{0,4}([a-z])[)\].:\"']{0,3}\s{0,4}$|[(\[]([a-z])[)\]]")
_SECOND = re.compile(r"\s{0,3}(?:and|or|,|/|&|und|oder|et|ou|y|и|或)\s{0,3}(?:option\s)?\(?[A-Z](?![\w'’])")
_GOES_ON = re.compile(r"\s{1,3}(?!because|since|as\b|which|for\b|is\b|and\b|but\b|with\b|from\b)[a-z]")
_MENTION = re.compile(
    r"(?<![\w|\\)])[(\[]\*{0,2}([A-Z])\*{0,2}[)\]]|(?i:\b(?:option|choice|letter|answer|opción|вариант)|选项)\s{1,3}\*{0,2}([A-Z])\b|"
    r"\*\*\(?([A-Z])(?:[).:](?:\s[^*\n]{0,200})?)?\*\*"
    r"|(?:选择?|選択肢は?)\s?([A-Z])(?![A-Za-z])"
    r"|\b([A-Z])\s{1,2}(?:is|ist|est|es)\s{1,2}(?:the\s|la\s)?(?:correct|right|best|richtig|correcta)\b|\b(?i:richtig|korrekt)\sist\s([A-Z])\b"
    r"|\b(?i:it['’]s|choose|chose|select|pick|go\swith|therefore|thus|hence),?\s{1,2}([A-Z])(?=[.!\s]{0,4}$)"
)
_DENIED = re.compile(r"\b(?:incorrect|wrong|eliminated?|false|ruled out|not (?:the (?:correct|right)|correct|right|\(?[A-Z]\b))", re.IGNORECASE)
_CLOSEST = re.compile(r"\bclosest\b[^.\n]{0,60}?[(\[]([A-Z])[)\]]", re.IGNORECASE)
_NAMED = re.compile(r"(?i:option|choice|letter|opción|вариант|选项)\s?[:：]\s?[(\[]?[A-Z][)\]]?\.?")
_BEFORE = re.compile(r"^(?:[(\[]?[A-Za-z][)\].:]\s{1,3}|(?:it|that)(?:['’]s|\s(?:is|was))\s|(?:the\s)?answer\sis\s)", re.IGNORECASE)
_OPENS = re.compile(r"(?:^|\n)\s{0,4}[(\[]?[A-Z][)\].:]\s")


def key(wanted: Wanted, reading: Reading) -> str | None:
    """The letter that a reply chooses, or None."""
    if reading.marked is not None and (letter := _region(wanted, reading.marked)) is not None:
        return letter
    for region in reversed(reading.stated):
        if (letter := _region(wanted, region)) is not None:
            return letter
        if refuses(plain(region)):
            return None
    return None if reading.marked is not None else _closing(wanted, reading)


def _region(wanted: Wanted, region: str) -> str | None:
    """The letter of an answer region: at its head, alone in brackets behind the option's text, or told by that text."""
    region = plain(unlatex(region)).strip()
    if refuses(region) and not _repeated(wanted, region):
        nearest = _CLOSEST.search(region[:400])
        return _offered(wanted, nearest[1].upper()) if nearest and not _DENIED.search(region[:400]) else None
    return _lead(wanted, region) or _repeated(wanted, region) or _mentioned(wanted, region)


def _lead(wanted: Wanted, region: str) -> str | None:
    match = _LEAD.match(region)
    if match is None:
        lower = _LONE_LOWER.match(region)
        return _offered(wanted, (lower[1] or lower[2]).upper()) if lower else None
    bare = not match["after"].strip()
    if _SECOND.match(match["rest"]) or (bare and match["letter"] in "AI" and _GOES_ON.match(match["after"] + match["rest"])):
        return None
    return _offered(wanted, match["letter"])


def _repeated(wanted: Wanted, region: str) -> str | None:
    """The option whose text the region is, if just one has it."""
    said = words(_BEFORE.sub("", region, count=1)[:2_000])
    found = [letter for letter, text in wanted.texts.items() if said and words(text) == said]
    return found[0] if len(found) == 1 else None


def _mentioned(wanted: Wanted, region: str) -> str | None:
    """The one letter that the region's first sentence names in brackets or as an option, unless it is denied."""
    found = {letter for match in _MENTION.finditer(region[:400]) if (letter := _offered(wanted, next(filter(None, match.groups()))))}
    return found.pop() if len(found) == 1 and not _DENIED.search(region[:400]) else None


def _closing(wanted: Wanted, reading: Reading) -> str | None:
    """A reply that states nothing: all of it, its last line, or the one letter that its end names."""
    walks = len(_OPENS.findall(reading.whole[-4_000:])) > 1
    for said in (reading.whole if len(reading.whole) <= 400 else "", reading.opening, reading.last):
        region = plain(unlatex(said)).strip()
        if not walks and (letter := _alone(wanted, region) or _repeated(wanted, region)) is not None:
            return letter
        if refuses(region):
            return None
    return _mentioned(wanted, reading.last[-250:])


def _alone(wanted: Wanted, region: str) -> str | None:
    """A letter with nothing behind it, or with a mark and one line of text behind it."""
    if _NAMED.fullmatch(region):
        return _mentioned(wanted, re.sub(r"[:：]\s?", " ", region))
    if len(region.strip("\"'“”‘’ .")) <= 4 or ("\n" not in region and re.match(r"[(\[]?[A-Z](?:[)\].:]| [-–—] |, because\b)", region)):
        return _lead(wanted, region)
    return None


def _offered(wanted: Wanted, letter: str) -> str | None:
    return letter if letter in (wanted.options or "ABCDEFGHIJ") else None
