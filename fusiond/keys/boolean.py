"""Yes or no, in the words of several languages; true and false are yes and no.

The word must open an answer region, the reply or its last line, or close a "the statement is ..."; a reply that opens with one
and ends with the other has no key.
"""

from __future__ import annotations

import re

from fusiond.keys.latex import unlatex
from fusiond.keys.reading import Reading, plain
from fusiond.keys.refusal import refuses

_YES = ("yes yep yeah true correct ja richtig wahr stimmt oui vrai sí si verdadero cierto sim verdadeiro sì vero да верно правда истина").split()
_NO = ("no nope not false incorrect nein falsch non faux falso não нет неверно ложь неправда").split()
_MEANS = dict.fromkeys(_YES, "yes") | dict.fromkeys(_NO, "no")
_SIGNS = {
    "不是": "no",
    "不对": "no",
    "不正确": "no",
    "错误": "no",
    "错": "no",
    "否": "no",
    "假": "no",
    "没有": "no",
    "いいえ": "no",
    "偽": "no",
    "아니": "no",
    "거짓": "no",
    "是": "yes",
    "对": "yes",
    "正确": "yes",
    "真": "yes",
    "はい": "yes",
    "네": "yes",
    "예": "yes",
    "참": "yes",
}
_WORD = re.compile(r"\W{0,6}([^\W\d_]{1,12})(?!['’])")
_CLOSE = re.compile(
    r"\b(?:is|are|be|evaluates to|returns?|ist|est|es|это|output)\b:?\s{1,3}(?:not\s{1,3})?(?:indeed\s)?[\"'`(]?(true|false|yes|no|correct|"
    r"incorrect|richtig|falsch|wahr|vrai|faux|vrai|verdadero|falso)\b\W{0,4}$",
    re.IGNORECASE,
)
_BOTH = re.compile(r"\W{0,3}(?:and|or|/|und|oder|et|ou)\W{0,3}(?:no|false|nein|non|yes|true)\b", re.IGNORECASE)


def key(reading: Reading) -> str | None:
    """`yes`, `no`, or None."""
    if reading.marked is not None:
        return _lead(reading.marked)
    stated = [meant for region in reading.stated if (meant := _lead(region) or _close(region)) is not None]
    if stated:
        return stated[-1]
    first, last = _lead(reading.whole), _lead(reading.last) or _close(reading.last)
    if first is None or last is None or first == last:
        return first or last
    return None


def _lead(region: str) -> str | None:
    region = plain(unlatex(region[:400]))
    if refuses(region):
        return None
    match = _WORD.match(region)
    if match and match[1].lower() in _MEANS and not _BOTH.match(region[match.end() :]):
        return (
            None
            if _describes(region[match.end() :]) and match[1].lower() not in ("yes", "no", "true", "false")
            else _leading_no(match[1].lower(), region[match.end() :])
        )
    return next((meant for sign, meant in _SIGNS.items() if region.lstrip("\"'“「(（").startswith(sign)), None)


def _leading_no(word: str, rest: str) -> str | None:
    """What the opening word means; "no" before a noun ("no man is ...") is a phrase, "not true" is no."""
    if (
        word in ("no", "not")
        and re.match(r" [a-z]", rest)
        and not re.match(r" (?:it|that|this|they|he|she|there|because|true|correct|not|since|you|we|i)\b", rest, re.IGNORECASE)
    ):
        return None
    return _MEANS[word]


def _describes(rest: str) -> bool:
    """Whether a word that can be an adjective stands before what it describes ("correct answer", "true story")."""
    return re.match(r" [a-z]", rest) is not None and re.match(r" (?:because|since|as)\b", rest) is None


def _close(region: str) -> str | None:
    match = _CLOSE.search(plain(region)[-200:])
    if match is None:
        return None
    meant = _MEANS[match[1].lower()]
    return {"yes": "no", "no": "yes"}[meant] if re.search(r"\bnot\b", match[0], re.IGNORECASE) else meant
