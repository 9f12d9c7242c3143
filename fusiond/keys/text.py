"""Short texts: by their words, sign by sign, or as a value of a program; and the subset rule that joins longer with shorter.

Long prose has no key: text is never counted by likeness.
"""

from __future__ import annotations

import ast
import re
import unicodedata
from collections.abc import Mapping

from fusiond.keys import number
from fusiond.keys.latex import unlatex
from fusiond.keys.reading import Reading, plain, unfenced
from fusiond.keys.refusal import refuses
from fusiond.keys.wants import Wanted

LONGEST = 12
"""Words beyond which a text is prose and has no key."""
_FEW = 4
"""Words that a name has at the most; a paragraph of so few is no sentence."""

NEGATIONS = frozenset(
    (
        "no not never none neither nor without nothing nobody cannot cant isnt arent wasnt werent dont doesnt didnt wont non except "
        "nicht kein keine keiner nie niemals ohne pas jamais sans aucun aucune nunca jamás sin "
        "ningún ninguno senza nessuno não sem nenhum не нет без никогда ни ليس لا غير 不 没 没有 非"
    ).split()
)
_APART = frozenset(
    (
        "or either but former latter north south east west northern southern eastern western northeast northwest southeast southwest "
        "before after first second third last junior senior jr sr left right upper lower old new great half step anti pre post ex less "
        "more minus plus under over one two three four five six seven eight nine ten eleven twelve twenty thirty forty fifty hundred "
        "thousand million billion oder ou o или aber mais pero ma но nord süd sud norte sur север юг северная южная "
        "neu neue nouveau nouvelle nuevo nueva novo nova nuovo nuova erste erster zweite zweiter premier première seconde segundo segunda"
    ).split()
)
_ARTICLES = frozenset(("the", "a", "an"))
_LEAD_IN = re.compile(r"(?:(?:the|my) )?(?:final |correct )?answer(?: is)?\s{0,3}[:：]?\s{1,3}|(?:it|that|this) (?:is|was) |it['’]s ", re.IGNORECASE)
_BOLD = re.compile(r"\*\*([^*\n]{1,120})\*\*")
_POINT = re.compile(r"(?<=[^\W\d_]{3})\.(?:\s|$)")
_QUOTING = re.compile(r"[\"'\[\]{}()]")
_LITERAL = 20_000


def key(wanted: Wanted, reading: Reading) -> str | None:
    """The canonical text of a reply, or None."""
    match wanted.form:
        case "words":
            return _by_words(reading)
        case "string":
            return _by_signs(reading)
        case "literal":
            return _by_value(reading)


def words(text: str) -> tuple[str, ...]:
    """The words of a text: compatibility forms and case folded, articles and punctuation left out.

    Marks belong to their letter (scripts with vowel signs), a point or comma between digits to its number, `+` and `#` behind a
    letter to its word (C++, C#), and a minus to the number that it stands before.
    """
    folded = unicodedata.normalize("NFKC", text).replace("\u2212", "-").casefold()
    spelt: list[str] = []
    for place, sign in enumerate(folded):
        before, after = folded[place - 1 : place], folded[place + 1 : place + 2]
        if (
            sign.isalnum()
            or unicodedata.category(sign)[0] == "M"
            or (sign in ".,:/" and before.isdigit() and after.isdigit())
            or (sign in "+#" and (before.isalnum() or before == sign))
            or (sign == "-" and after.isdigit() and not before.isalnum())
        ):
            spelt.append(sign)
        elif sign not in "'’" and not (sign == "." and _initial(folded, place)):
            spelt.append(" ")
    found = "".join(spelt).split()
    return tuple(word for word in found if word not in _ARTICLES) or tuple(found)


def joined(keys: Mapping[str, str | None]) -> dict[str, str | None]:
    """The keys with every text joined to the one longer text that says the same and more, if there is just one such."""
    sets = {key: frozenset(words(key)) for key in keys.values() if key is not None}
    roots = [key for key in sets if not any(_holds(sets[other], sets[key]) for other in sets)]
    return {voter: key if key is None else _root(key, roots, sets) for voter, key in keys.items()}


def _root(key: str, roots: list[str], sets: Mapping[str, frozenset[str]]) -> str:
    """Where a key goes: to the only root above it. With several roots it could mean any of them, and stays alone."""
    above = [root for root in roots if _holds(sets[root], sets[key])]
    return above[0] if len(above) == 1 else key


def _holds(larger: frozenset[str], smaller: frozenset[str]) -> bool:
    """Whether the larger says what the smaller says and nothing against it."""
    more = larger - smaller
    return bool(smaller) and smaller < larger and not any(_tells_apart(word) for word in more)


def _tells_apart(word: str) -> bool:
    return word in NEGATIONS or word in _APART or any(sign.isdigit() for sign in word)


def _initial(text: str, place: int) -> bool:
    """Whether the point at `place` ends a single letter (U.S.)."""
    return text[place - 1 : place].isalpha() and not text[max(place - 2, 0) : place - 1].isalnum() and place > 0


def _by_words(reading: Reading) -> str | None:
    region = _short_region(reading)
    if region is None or refuses(region):
        return None
    region = plain(unlatex(region[:2_000]))
    if lead_in := _LEAD_IN.match(region):
        region = region[lead_in.end() :]
    if refuses(region):
        return None
    if (exact := number.value(region)) is not None:
        return str(exact)
    found = words(region)
    return " ".join(found) if 0 < len(found) <= LONGEST else _signs(region)[:80] or None if not found else None


def _short_region(reading: Reading) -> str | None:
    """The marked or stated answer, else the whole reply, else what is bold in its last line, else that line, if it is short."""
    if reading.marked is not None:
        return reading.marked
    if reading.stated:
        return _first_sentence(reading.stated[-1])
    if "\n\n" not in reading.whole and len(reading.whole) <= 200 and len(words(reading.whole)) <= LONGEST:
        return reading.whole
    bold: set[str] = set(_BOLD.findall(reading.last if "\n" in reading.whole else reading.whole[-2_000:]))
    if len(bold) == 1:
        return bold.pop()
    if "\n\n" in reading.whole:
        return _lone(reading)
    opening = _first_sentence(reading.whole[:400])
    return opening if "\n" not in reading.whole and len(words(opening)) <= LONGEST else None


def _lone(reading: Reading) -> str | None:
    """The opening or the last line of several paragraphs, if just one of them is a few words and the other is not."""
    lone = {line for line in (reading.opening, reading.last) if 0 < len(words(line)) <= _FEW}
    return lone.pop() if len(lone) == 1 else None


def _first_sentence(text: str) -> str:
    """Up to the first point behind a word of three letters at least, so that initials and titles do not end it."""
    end = _POINT.search(text)
    return text[: end.start()] if end else text


def _by_signs(reading: Reading) -> str | None:
    region = _plain_region(reading) if reading.marked is None else reading.marked
    if region is None or refuses(plain(unlatex(region))):
        return None
    return _signs(region) or None


def _plain_region(reading: Reading) -> str | None:
    """Without a marked place: a short reply as a whole, else what was stated last, else a short last line."""
    fence = re.search(r"```\w{0,20}\n((?:[^`]|`(?!``)){1,4000})\n?```\s{0,20}$", reading.whole[-4_100:])
    if fence:
        return fence[1]
    if len(reading.whole) <= 200 and "\n\n" not in reading.whole:
        return reading.stated[-1] if reading.stated and ":" not in reading.stated[-1] else reading.whole
    if reading.whole.endswith(reading.stated[-1:]) and reading.stated:
        return reading.stated[-1]
    return reading.last if len(reading.last) <= 60 else None


def _signs(region: str) -> str:
    """A text sign by sign: case, blanks, quotes and markdown around it do not count; neither do the brackets and quotes of a list."""
    text = plain(unlatex(unfenced(region)))
    if lead_in := _LEAD_IN.match(text):
        text = text[lead_in.end() :]
    if (exact := number.value(text)) is not None:
        return str(exact)
    text = " ".join(_unquoted(unicodedata.normalize("NFC", text)).split()).casefold()
    text = re.sub(r"^[a-z] ?= ?(?=[-+]?\d)", "", text).rstrip(".")
    text = text.replace("×", "*").replace("·", "*").replace(" x ", " * ")
    if "\\" in region or "$" in region:
        return text.replace(" ", "")
    return _listed(text) if text[:1] in "[(" or "," in text else text


def _listed(text: str) -> str:
    """A list without the square brackets around it and the quotes in it. Round brackets stay: an interval is no list."""
    text = re.sub(r" ?, ?", ",", text)
    if text.startswith("[") and text.endswith("]") and text.count("[") == 1:
        text = text[1:-1]
    return re.sub(r"[\"']", "", text)


def _unquoted(text: str) -> str:
    text = text.strip()
    return text[1:-1] if len(text) > 1 and text[0] == text[-1] and text[0] in "\"'`" and text[0] not in text[1:-1] else text


def _by_value(reading: Reading) -> str | None:
    """A program's value, in the form that Python shows it in; what is no literal is taken for a string, if it can be one."""
    if reading.marked is not None:
        text = reading.marked.strip()
        return _shown(text) or _shown(text.replace("\n", "\\n")) or (None if refuses(text) else _string(text))
    region = _plain_region(reading)
    if region is None:
        return None
    text = plain(unfenced(region)).strip()
    return _shown(text) or (None if refuses(text) or _QUOTING.search(text) else _string(text))


def _string(text: str) -> str | None:
    return repr(text.strip("'\"")) if len(text) <= _LITERAL else None


def _shown(text: str) -> str | None:
    if len(text) > _LITERAL:
        return None
    try:
        return repr(ast.literal_eval(text))
    except (ValueError, SyntaxError, TypeError, MemoryError, RecursionError):
        return None
