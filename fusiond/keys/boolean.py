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
    "no": re.compile(
        r"不(?:是|对|正确|[,,。!]|$)|错|否(?!则|定)|假(?!设|如|定)|没有(?!足够|办法|人)|いいえ|偽|아니|거짓"
        r"|لا(?=\s{0,3}(?:[،,.!]|$))|خطأ|خاطئ"
    ),
    "yes": re.compile(r"是(?!否|不是|因)|对(?!于|比|不)|没错|正确(?!答案|的)|真(?!的)|はい|네(?!덜)|예(?!를|제|상)|참(?!고)|نعم|صحيح"),
}
"""In scripts that put no blanks between words, and where a word's end tells it from another."""
_AROUND = re.compile(r"^[\s\"'“‘「((]{1,6}|[\s.\"'”’」))]{1,6}$")
_SINGLE = {"y": "yes", "n": "no"}
_WORD = re.compile(r"\W{0,6}([^\W\d_]{1,12})(?!['’])")
_CLOSE = re.compile(
    r"(?:\b(?:is|are|be|evaluates to|returns?|ist|est|es|это|output)\b|['’]s\b):?\s{1,3}(?:(?:not|nicht|pas)\s{1,3})?"
    r"(?:indeed\s)?[\"'`(]?(true|false|yes|no|correct|incorrect|richtig|falsch|wahr|vrai|faux|vrai|verdadero|falso)\b\W{0,4}$",
    re.IGNORECASE,
)
_FINAL = re.compile(r"[.!?,:]\s{1,3}(?:(?:so|thus|therefore|hence)[,:]?\s)?(yes|no|true|false)\W{0,3}$", re.IGNORECASE)
"""A last sentence of one word."""
_BOTH = re.compile(r"\W{0,3}(?:and|or|but|/|und|oder|et|ou)\W{0,3}(?:no|false|nein|non|yes|true)\b", re.IGNORECASE)


def key(reading: Reading) -> str | None:
    """`yes`, `no`, or None."""
    if reading.marked is not None:
        return _lead(reading.marked)
    stated = [meant for region in reading.stated if (meant := _lead(region) or _close(region)) is not None]
    if stated:
        return stated[-1]
    first, last = _lead(reading.whole), _lead(reading.last) or _close(reading.last) or _final(reading.last)
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
    bare = _AROUND.sub("", region)
    return _SINGLE.get(bare.lower()) or next((meant for meant, sign in _SIGNS.items() if sign.match(bare)), None)


def _leading_no(word: str, rest: str) -> str | None:
    """What the opening word means; "no" before a noun ("no man is ...") is a phrase, "not true" is no."""
    if (
        word in ("no", "not", "non", "нет")
        and re.match(r" [^\W\d_]", rest)
        and not re.match(r" (?:it|that|this|they|he|she|there|because|true|correct|not|since|you|we|i)\b", rest, re.IGNORECASE)
    ):
        return None
    return _MEANS[word]


def _describes(rest: str) -> bool:
    """Whether a word that can be an adjective stands before what it describes ("correct answer", "true story")."""
    return re.match(r" [a-z]", rest) is not None and re.match(r" (?:because|since|as)\b", rest) is None


def _final(region: str) -> str | None:
    match = _FINAL.search(plain(region)[-60:])
    return None if match is None else _MEANS[match[1].lower()]


def _close(region: str) -> str | None:
    match = _CLOSE.search(plain(region)[-200:])
    if match is None:
        return None
    meant = _MEANS[match[1].lower()]
    return {"yes": "no", "no": "yes"}[meant] if re.search(r"\b(?:not|nicht|pas)\b", match[0], re.IGNORECASE) else meant
