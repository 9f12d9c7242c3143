"""Numbers in words: English up to the millions, the small ones of other languages, and Chinese and Japanese numerals below ten thousand."""

from __future__ import annotations

import re
from fractions import Fraction

_SMALL = "zero one two three four five six seven eight nine ten eleven twelve thirteen fourteen fifteen sixteen seventeen eighteen nineteen".split()
_TENS = "twenty thirty forty fifty sixty seventy eighty ninety".split()
_ENGLISH = {word: value for value, word in enumerate(_SMALL)} | {word: 20 + 10 * place for place, word in enumerate(_TENS)} | {"dozen": 12}
_GREATER = {"hundred": 100, "thousand": 1_000, "million": 1_000_000}
_OTHERS = (
    "null eins zwei drei vier fünf sechs sieben acht neun zehn elf zwölf",
    "zéro un deux trois quatre cinq six sept huit neuf dix onze douze",
    "cero uno dos tres cuatro cinco seis siete ocho nueve diez once doce",
    "zero uno due tre quattro cinque sei sette otto nove dieci undici dodici",
    "zero um dois três quatro cinco seis sete oito nove dez onze doze",
    "ноль один два три четыре пять шесть семь восемь девять десять одиннадцать двенадцать",
)
_FOREIGN = {word: value for words in _OTHERS for value, word in enumerate(words.split())}
_DIGITS = {sign: value for value, sign in enumerate("零一二三四五六七八九")} | {"〇": 0, "两": 2}
_PLACES = {"十": 10, "百": 100, "千": 1_000}
_PARTS = {"half": Fraction(1, 2), "a half": Fraction(1, 2), "one half": Fraction(1, 2), "one-half": Fraction(1, 2), "a third": Fraction(1, 3)} | {
    f"{top}{dash}{bottom}": Fraction(value, parts)
    for value, top in ((1, "one"), (2, "two"), (3, "three"))
    for parts, bottom in ((3, "third"), (3, "thirds"), (4, "quarter"), (4, "quarters"), (4, "fourths"))
    for dash in ("-", " ")
}
_ALONE = re.compile(r"[\s*]{0,4}([^\W\d_][^\W\d_ -]{0,14}(?:[ -][^\W\d_]{1,14}){0,12}?)[\s.*!。]{0,4}")
_SIGNED = re.compile(r"(?:minus|negative) ", re.IGNORECASE)


def spelt(text: str) -> Fraction | None:
    """The number that all of `text` says in words."""
    signed = _SIGNED.match(text)
    match = _ALONE.fullmatch(text[signed.end() :] if signed else text)
    if match is None:
        return None
    said = match[1].lower()
    found = _PARTS.get(said) or _english(re.split("[ -]", said)) or _signs(said)
    if found is None:
        known = _FOREIGN.get(said, 0 if said == "zero" else None)
        found = None if known is None else Fraction(known)
    return None if found is None else -found if signed else found


def _english(words: list[str]) -> Fraction | None:
    """The value of English number words, or None for nought and where any word is none ("and" and "a" apart)."""
    total = part = 0
    for word in words:
        if word in _GREATER:
            part = max(part, 1) * _GREATER[word]
            if word != "hundred":
                total, part = total + part, 0
        elif word in _ENGLISH:
            part += _ENGLISH[word]
        elif word not in ("and", "a"):
            return None
    return Fraction(total + part) or None


def _signs(text: str) -> Fraction | None:
    total, digit = 0, None
    for sign in text:
        if sign in _DIGITS:
            digit = _DIGITS[sign]
        elif sign in _PLACES:
            total, digit = total + (1 if digit is None else digit) * _PLACES[sign], 0
        else:
            return None
    return Fraction(total + (digit or 0)) if text else None
