"""Numbers, exactly: a reply's number as a Fraction, written in lowest terms.

A comma is a decimal comma only where it cannot part thousands; a reply that names several numbers without saying which one
is the answer has no key.
"""

from __future__ import annotations

import re
import unicodedata
from fractions import Fraction

from fusiond.keys.latex import unlatex
from fusiond.keys.numerals import spelt
from fusiond.keys.reading import Reading, plain
from fusiond.keys.refusal import refuses

_LONGEST = 400
"""Digits, and size of an exponent, beyond which a number is not worth reading."""

_GROUPED = r"\d{1,3}(?:,\d{3}){1,40}(?!\d|,\d)|\d{1,2}(?:,\d{2}){1,20},\d{3}(?!\d|,\d)|\d{1,3}(?:[ '’_\u00a0\u202f\u2009]\d{3}){1,40}(?!\d|[ ,']\d)"
_POINTED = (
    r"\d{1,3}(?:[ \u00a0\u202f]\d{3}){1,40},\d{1,2}(?!\d|[.,]\d)|"
    r"\d{1,3}(?:\.\d{3}){2,40}(?:,\d{1,40})?(?!\d|[.,]\d)|\d{1,3}\.\d{3},\d{1,40}(?!\d|[.,]\d)"
)
_COMMA = r"\d{1,40},(?:\d{1,2}|\d{4,40})(?!\d|,\d)"
_PLAIN = r"(?:" + _GROUPED + r"|\d{1,400})(?:\.\d{1,400})?|\.\d{1,400}"
_UNSIGNED = rf"(?:{_POINTED}|{_COMMA}|{_PLAIN})"
_SIGN = r"(?:[-+][ ]?|\b(?:minus|negative)[ ])"
_CURRENCY = r"(?:(?:US|A|C|CA|NZ|HK)?\$|€|£|¥|₹|₽|₩|\b(?:USD|EUR|GBP|CHF|Rs\.?|INR|RMB|CNY|JPY)[ ]?)"
_POWER = r"(?:[eE][-+]?\d{1,4}|[ ]?[x*×·⋅][ ]?10[ ]?(?:\^|\*\*)[ ]?[({]?(?P<power>[-+]?\d{1,4})[)}]?)"
_QUANTITY = re.compile(
    rf"""(?P<sign>{_SIGN})?(?P<money>{_CURRENCY}\ ?)?(?P<inner>{_SIGN})?
         (?:(?P<hex>0x[0-9a-f]{{1,400}})
          |(?:(?P<whole>\d{{1,40}})\ (?:and\ )?)?(?P<top>\d{{1,40}})\ ?/\ ?(?P<bottom>\d{{1,40}})(?!\ ?/|\d)
          |(?P<number>{_UNSIGNED})(?P<exponent>{_POWER})?(?P<scale>(?:\ ?(?:thousand|million|billion|trillion|mn|bn)|(?-i:[kMB]))\b)?)""",
    re.VERBOSE | re.IGNORECASE,
)
_SCALES = {"thousand": 10**3, "k": 10**3, "million": 10**6, "mn": 10**6, "billion": 10**9, "bn": 10**9, "M": 10**6, "B": 10**9, "trillion": 10**12}
_BEFORE = re.compile(
    r"(?:(?:approximately|approx\.?|about|around|roughly|exactly|only|just|nearly|almost|a total of|at (?:least|most)|up to|equal to|ca\.?|etwa|"
    r"≈|~|±|"
    r"[a-z]\w{0,12} ?(?:\([^()]{0,20}\))? ?=|[:=]) ?){0,3}",
    re.IGNORECASE,
)
_UNIT = re.compile(r"(?: |-|(?=[^\w\s]))?(?:[^\W\d_]|[ %°‰²³/.'’\"()²^·*€$£¥₹-]|(?<=\^)[-\d]|(?<=[a-z])[23](?!\d)){0,60}", re.IGNORECASE)
_COPULA = re.compile(
    r"(?:=|≈|\b(?:is|are|was|were|be|equals?|has|have|had|gets?|makes?|costs?|needs?|earns?|pays?|takes?|ist|sind|beträgt|ergibt|est|font|fait|es|son|è|sono|равн[аоы]?|составляет|يساوي|total(?:s|ing)?)\b)",
    re.IGNORECASE,
)
_CLAUSE = re.compile(r"[.!?](?:\s|$)|[;\n(]|, (?=[^\W\d])|\b(?:because|since|which|so|meaning|if|but|not|per)\b", re.IGNORECASE)
_OR = re.compile(r",? \(?or ")
_PAIRED = re.compile(r"\d[^,;\d]{0,40} and [^\W\d_]['’\w ]{0,30}$")
"""A number, and something else that is about to get its own: "Tom has 36 and Ann"."""
_BOLD = re.compile(r"\*\*([^*\n]{1,80})\*\*")
_SUPERSCRIPTS = str.maketrans("⁰¹²³⁴⁵⁶⁷⁸⁹⁺⁻", "0123456789+-")
_ARABIC = str.maketrans("٫٬", ".,")
_RAISED = re.compile("[⁰¹²³⁴⁵⁶⁷⁸⁹⁺⁻]{1,9}")
_VULGAR = re.compile(r"(?<=\d)(?=[¼½¾⅐-⅞])")
_FRACTION = re.compile(r"\\frac ?\{? ?(-?\d{1,400}) ?\}? ?\{? ?(-?\d{1,400}) ?\}?")
_ITEM = re.compile(r"\s{0,8}(?:[-+*•]\s{1,4}\d|\d{1,2}[.)]\s{1,4}(?=[^\W\d]))")
"""An item of a list: a dash before a number is no minus there, and the number at the head of an item is no answer."""
_MORE_WORDS = re.compile(r"[- ](?:hundred|thousand|million|billion|half|third|quarter|and|or|of|to)\b", re.IGNORECASE)
_CLOCK = re.compile(r"\d:\d\d")


def key(reading: Reading) -> str | None:
    """The number that a reply gives, or None."""
    if reading.marked is not None:
        return None if refuses(plain(reading.marked)) else _shown(one(_tidy(reading.marked)))
    for region in reversed(reading.stated):
        if refuses(region):
            return None
        if (value := one(_tidy(region))) is not None:
            return str(value)
    if refuses(reading.last) or refuses(reading.whole):
        return None
    return _shown(_closing(reading))


def value(text: str) -> Fraction | None:
    """The number that all of `text` is, with nothing beside it but a sign, currency, percent or degrees."""
    tidy = _tidy(text).strip(" .")
    match = _QUANTITY.match(tidy)
    if match is None or tidy[match.end() :].strip(" %°€$£") or _CLOCK.search(tidy):
        return None
    return _fraction(match)


def one(tidy: str) -> Fraction | None:
    """The one number that a region gives: at its head, with a unit, or the result of the equation it holds."""
    if "=" in tidy and (after := tidy.rpartition("=")[2].strip()) and (result := _head(after)) is not None:
        return result
    inner = tidy[1:-1] if tidy.startswith("(") and tidy.endswith(")") and "," not in tidy else tidy
    if (head := _head(inner)) is not None:
        return head
    if len(alike := {_head(part) for part in _OR.split(tidy)}) == 1 and " or " in tidy:
        return alike.pop()
    clause = _CLAUSE.split(tidy, maxsplit=1)[0]
    return _only(clause) if clause.strip() else None


def _shown(number: Fraction | None) -> str | None:
    return None if number is None else str(number)


def _tidy(text: str) -> str:
    """One way to write what has several: LaTeX, superscripts, vulgar fractions, minus signs, widths, blanks."""
    text = _RAISED.sub(lambda raised: "^" + raised[0].translate(_SUPERSCRIPTS), _VULGAR.sub(" ", text[:4_000]))
    text = _FRACTION.sub(r" \1/\2", unlatex(plain(text)))
    text = unicodedata.normalize("NFKC", text.replace("\u2212", "-").replace("–", "-").replace("\u2044", "/"))
    text = text.replace("\u2212", "-").replace("\u2044", "/").replace("^circ", "°").replace("−", "-")
    return " ".join(text.translate(_ARABIC).split()).strip("\"'“”‘’ ")


def _head(text: str) -> Fraction | None:
    """The number at the head of a region, if nothing but a unit and an aside stand between it and the clause's end."""
    start = _BEFORE.match(text)
    match = _QUANTITY.match(text, start.end() if start else 0)
    if match is None:
        return _spelt(text)
    unit = _UNIT.match(text, match.end())
    rest = text[unit.end() if unit else match.end() :]
    tail = text[match.end() :]
    clause = _CLAUSE.split(tail, maxsplit=1)[0]
    if (rest.strip() and any(sign.isdigit() for sign in clause)) or _CLOCK.match(text[match.start() :]) or _runs_on(tail):
        return None
    return _fraction(match)


def _runs_on(tail: str) -> bool:
    """Whether what follows makes the number a part of something else: a word, a sum, a list, a range."""
    return bool(
        re.match(
            r"[^\W\d]{0,3}\d| ?[π√]|[_:]\d| ?[-+*/^×÷,] ?[$\d(]| (?:or|and|to|times|plus|minus|und|oder|et|ou) (?:\D{0,20})\d|[a-z]\s?[=^(]",
            tail,
            re.IGNORECASE,
        )
    )


def _only(clause: str) -> Fraction | None:
    """The number of a clause: the only one, or the only one after its last "is" or "="."""
    copulas = list(_COPULA.finditer(clause))
    if copulas and _PAIRED.search(clause[: copulas[-1].start()].rstrip()) and "total" not in clause:
        return None
    if copulas and not any(sign.isdigit() for sign in clause):
        return _spelt(clause[copulas[-1].end() :].strip())
    for part in ([clause[copulas[-1].end() :]] if copulas else []) + [clause]:
        matches = list(_QUANTITY.finditer(part))
        values = {_fraction(match) for match in matches if _stands_alone(part, match)}
        if len(values) == 1 and not any(_continues(part, match) for match in matches):
            return values.pop()
        if values:
            return None
    return None


def _continues(text: str, match: re.Match[str]) -> bool:
    """Whether a number belongs with another one: a range, a time, a sum, a power, a list."""
    if _runs_on(text[match.end() :]):
        return True
    before = text[: match.start()].rstrip()
    return before[-1:].isdigit() or (before[-1:] in ":/" and before[-2:-1].isdigit()) or before.endswith(tuple("<>≤≥≠"))


def _stands_alone(text: str, match: re.Match[str]) -> bool:
    return not (match.start() and re.match(r"[A-Za-z\d_^]", text[match.start() - 1])) and not re.match(
        r"[A-Za-z_:]\d|st\b|nd\b|rd\b|th\b", text[match.end() :]
    )


def _closing(reading: Reading) -> Fraction | None:
    """The number of a reply that marks none: a last line or all of it that is a number, what is bold at its end, or what its last sentence says."""
    if _ITEM.match(reading.last):
        return None
    if "\n" in reading.whole and (alone := value(plain(reading.last))) is not None:
        return alone
    for short in (reading.whole if len(reading.whole) <= 80 else "", reading.opening if len(reading.opening) <= 40 else ""):
        if short and not _ITEM.match(short) and (head := _head(_tidy(short))) is not None:
            return head
    bold = [head for region in _BOLD.findall(reading.last) if (head := _head(_tidy(region))) is not None]
    if len(bold) == 1:
        return bold[0]
    sentence = _last_sentence(_tidy(reading.last))
    if "=" in sentence and (result := _head(sentence.rpartition("=")[2].strip())) is not None:
        return result
    return _only(sentence) if _only(sentence) is not None else _only(_CLAUSE.split(sentence, maxsplit=1)[0])


def _last_sentence(line: str) -> str:
    sentences = [part for part in re.split(r"(?<=[.!?。])\s{1,3}(?=[^\W\d])", line) if part.strip()]
    return sentences[-1].strip(" .!。") if sentences else ""


def _spelt(text: str) -> Fraction | None:
    """A number in words at the head of a region without digits: all of it, or one or two words before what is counted."""
    if any(sign.isdigit() for sign in text):
        return None
    words = text.split(" ")
    heads = (text, *(" ".join(words[:count]) for count in (4, 3, 2, 1) if len(words) > count))
    length, found = next(((len(head), found) for head in heads if (found := spelt(head)) is not None), (0, None))
    return None if _MORE_WORDS.match(text[length:]) else found


def _fraction(match: re.Match[str]) -> Fraction | None:
    sign = -1 if (match["sign"] or match["inner"] or "+").strip().lower() in ("-", "minus", "negative") else 1
    if match["hex"]:
        return Fraction(sign * int(match["hex"], 16))
    if match["top"]:
        bottom = int(match["bottom"])
        return sign * (int(match["whole"] or 0) + Fraction(int(match["top"]), bottom)) if bottom else None
    number = Fraction(_decimal(match["number"]))
    if match["exponent"]:
        power = int(match["power"] or match["exponent"][1:])
        if abs(power) > _LONGEST:
            return None
        number *= Fraction(10) ** power
    scale = (match["scale"] or "").strip()
    return sign * number * _SCALES.get(scale if scale in "MB" else scale.lower(), 1)


def _decimal(digits: str) -> str:
    """The digits of a number with a point for decimals and nothing between thousands."""
    if re.fullmatch(_POINTED, digits):
        return re.sub(r"[. \u00a0\u202f]", "", digits).replace(",", ".")
    if re.fullmatch(_COMMA, digits):
        return digits.replace(",", ".")
    return re.sub(r"[,_ '’\u00a0\u202f\u2009]", "", digits)
