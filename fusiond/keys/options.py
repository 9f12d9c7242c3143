"""The values that a request offers: lettered options in any common layout, and labels named one after the other.

Letters must come in order from A, labels must be a list that a cue announces: a stray "A." in prose offers nothing.
"""

from __future__ import annotations

import re
from collections.abc import Mapping

_OPENING = re.compile(
    r"""(?:^|(?<=\n))[ \t]{0,12}(?:[-*•>|]\ {1,3})?\*{0,2}(?:(?i:option|choice|antwort|réponse|opción|вариант|选项)\ )?[(\[]?([A-Za-z])
        (?:[)\].．、:：]|\ [-–|]\ |\)?\s?[.:-](?=\s))\*{0,2}(?=\s|\*|[^\W\d_]{2}|\d|\$|[^\x00-\x7f])""",
    re.VERBOSE,
)
"""A letter that opens a line."""
_INLINE = re.compile(r"(?:^|(?<=[\s,;:?]))\*{0,2}[(\[]?([A-Za-z])[)\]]\*{0,2}[.:]?(?=\s|[^\W\d_]{2}|\d|\$|-\d|[^\x00-\x7f])")
"""A letter with a bracket, anywhere."""
_POINTED = re.compile(r"(?:^|(?<=[\s,;]))\*{0,2}([A-Z])[.:．、]\*{0,2}(?=\s|\d|[^\x00-\x7f])")
"""A letter with a point, anywhere: only a longer run of these is a list of options."""
_NAMED_LETTERS = re.compile(
    r"\b([A-J])(?:\s?[,/|、]\s?([A-J])){1,9},?\s{1,2}?(?:or|and|oder|ou|o|или|или)?\s?\(?([A-J])\b|\b([A-J])\s(?:or|oder|ou|o|или)\s([A-J])\b|"
    r"\(?\b([A-J])(?:-|–| to | through )([A-J])\b"
)
_ITEM = r"""(?:["'“‘`«][^"'”’`»\n]{1,40}["'”’`»]|[^\W\d_][\w+#-]{0,30}(?:/[^\W\d_][\w-]{0,20})?(?:[ ][\w-]{1,30}){0,2}?)"""
_LIST = re.compile(
    rf"""\s{{0,4}}[(\[{{]?(?P<items>{_ITEM}(?:\s{{0,2}}(?:,|/|\||;|、)\s{{0,2}}{_ITEM}){{0,30}})
         ,?\s{{0,2}}(?:\b(?:or|and|oder|und|ou|et|o|y|или|и)\b|,|/|\||、|或|または)\s{{0,2}}(?:\b(?:or|
           and)\s)?(?P<final>{_ITEM})(?=\s?[.,;:!?)\]}}\n(]|\s?$|\s(?:only|based|depending|for|in|according|without|as|with|and\snothing|
             regarding|toward)\b)""",
    re.VERBOSE,
)
_ANNOUNCED = re.compile(
    r"""\b(?:(?:classif|categori[sz]|labell?)\w{0,8}\b[^.\n]{0,160}?\b(?:as|into|to\ be|with)
            (?:\ (?:either|one\ of|exactly\ one\ of|the\ (?:following\ )?(?:labels|classes|categories)))?
          |(?:one|exactly\ one|either|any)\ of(?:\ the)?(?:\ following)?(?:\ (?:\w+\ ){0,2}(?:labels?|options?|words?|values?|categor\w{1,4}|
            class\w{0,2}|answers?|choices?))?
          |(?:(?<=^)|(?<=[\n.:!?]\ )|(?<=\n)|(?<=please\ ))(?:choose|select|pick|decide)(?:\ (?:from|between|among|
            either))(?:\ the)?(?:\ following)?(?:\ (?:labels|options|words|values|categories|classes))?
          |(?:possible|allowed|valid|available|the|candidate)\ (?:labels|answers|values|categories|classes|sentiments|options|choices)(?:\ are)?
          |(?:labels|categories|classes|sentiments?|options|intents?)(?:\ are|(?=\s?[:：]))
          |(?:label|classify|categori[sz]e|tag|rate|sentiment|category|stance|tone|topic)\b[^.\n(]{0,80}(?=\()
          |(?:klassifizier|klassifiziere|bestimme|bewerte|class(?:e|ez|ifie)|clasifica|classifica|classifique)\w{0,2}\b[^.\n]{0,160}?\b(?:als|comme|como|come|in)
          |(?:kategorien|klassen|catégories|categorías|categorie|categorias|категори\w{1,2}|тональность|метк\w)\b[^.\n:：]{0,30}(?=[:：])
          |(?:answer|respond|reply|output|return|say|write)(?:\ (?:with|only|just|either|exactly|by|using|strictly|the\ word|one\ word)){1,4}
          |(?:answer|respond|reply|output)(?=\ [^.\n]{1,120}\bor\b)
          |(?:determine|decide|predict|judge|identify|say|state|indicate)\ (?:if|whether)\ [^.\n]{1,160}?\ (?:is|are)(?:\ \w{1,20}ly)?
          |(?:sentiment|tone|stance|polarity|category|label)\b[^.\n]{0,80}?\b(?:is|as|be)(?:\ either)?)
        \s?[:：]?\s{0,2}(?=["'“‘`«(\[{]|[^\W\d_])""",
    re.IGNORECASE | re.VERBOSE,
)
_WHICH = re.compile(r"\b(?:which|what|who)\b[^.?!:\n]{1,100}[:,](?=[^?\n]{3,120}\?)", re.IGNORECASE)
_EITHER = re.compile(
    r"\b(?:is|are|was|were|does|do|did|which)\b[^.?!:,\n]{1,160}?\s(?:(?:more|a|an|the) )?([^\W\d_][\w-]{1,24}),? or (?:(?:more|a|an|"
    r"the) )?([^\W\d_][\w-]{1,24})[?]\s{0,4}$",
    re.IGNORECASE,
)
_BULLETS = re.compile(r"\n[ \t]{0,8}[-*•][ \t]{1,4}[\"“'`*]{1,3}([^\"”'`*\n]{1,40})[\"”'`*]{1,3}")
_BARE_BULLETS = re.compile(r"\n[ \t]{0,8}[-*•][ \t]{1,4}([^\W\d_][\w-]{0,30}(?: [\w-]{1,30}){0,2})[ \t]{0,4}$")
_BULLETED = re.compile(
    r"\b(?:respond with|reply with|answer with|output|labels|categories|classes|one of(?: the following)?(?: \w{1,20}){0,2}|"
    r"options)[^\n]{0,60}:[ \t]{0,4}(?=\n)",
    re.IGNORECASE,
)
_OPEN_QUOTES = "\"'“‘`«"
_QUOTES = "\"'“”‘’`«» \t*"
_QUOTED_PAIR = re.compile(r"[\"“«]([^\"”»\n]{1,40})[\"”»](?:, ?[\"“«][^\"”»\n]{1,40}[\"”»]){0,10},? or [\"“«]([^\"”»\n]{1,40})[\"”»]")
_OF_THEM = re.compile(r"\b(?:one of the|only the|the) (?:\w{1,10} )?(?:labels?|categor(?:y|ies)|class(?:es)?)\b", re.IGNORECASE)
_SIGNED = re.compile(
    r"(?:分类|归类|分|判断|标注)(?:为|成)[:：]?\s{0,2}|(?:类别|标签|选项)(?:有|是|为|包括)?[:：]\s{0,2}|(?:分類|ラベル)(?:は|を|:|:)?"
)
_SIGNED_LIST = re.compile(
    r"[“「]?([^\s“”「」。,.、:：;；或,]{1,8})[”」]?(?:[、,,/][“「]?([^\s“”「」。、:：;；或,]{1,8})[”」]?){0,20}(?:或者?|、|和|または|か)[“「]?([^\s“”「」。,、:：;；,]{1,8})[”」]?"
)
_NOT_LABELS = frozenset(
    (
        "in by to all my me if as at on. for of with is are be not no more less the a an one it this that only just your nothing "
        "either following words word sentence json text following:"
    ).split()
)


def lettered(text: str) -> Mapping[str, str]:
    """Letter -> text of the last complete run of options from A on (two at least), or nothing."""
    for marks in (_OPENING, _INLINE, _POINTED):
        best = max(_runs(list(marks.finditer(text))), key=lambda run: (len(run), run[0].start()), default=[])
        if len(best) >= (3 if marks is _POINTED else 2) and (texts := _texts(text, best)):
            return {} if marks is _INLINE and _talked_about(text, texts) else texts
    return {}


def _talked_about(text: str, texts: Mapping[str, str]) -> bool:
    """Whether options stand in a sentence that goes on ("A) stay or B) go, and I feel lost"), rather than end the question."""
    return len(texts) == 2 and texts["A"].endswith((" or", ", or")) and not text.rstrip().endswith(("?", ")"))


def _runs(marks: list[re.Match[str]]) -> list[list[re.Match[str]]]:
    """Every run A, B, C ... of one case, each begun anew at an A."""
    runs: list[list[re.Match[str]]] = []
    for mark in marks:
        letter = _letter(mark)
        if letter in "Aa":
            runs.append([mark])
        elif runs and len(runs[-1]) < 26 and ord(letter) == ord(_letter(runs[-1][-1])) + 1:
            runs[-1].append(mark)
    return runs


def _letter(mark: re.Match[str]) -> str:
    return mark[1]


def _texts(text: str, run: list[re.Match[str]]) -> Mapping[str, str]:
    """The text of each option: up to the next mark, the last one's to the end of its line. Drawings are no options."""
    ends = [mark.start() for mark in run[1:]] + [len(text)]
    found = {}
    for mark, end in zip(run, ends, strict=True):
        said = text[mark.end() : end]
        said = said.partition("\n")[0] if mark is run[-1] else said
        found[_letter(mark).upper()] = said.strip(" \t\n;,*|")
    return found if all(len(said) <= 2_000 and _says(said) for said in found.values()) else {}


def _says(text: str) -> bool:
    return any(sign.isalnum() or sign in "∅∞+-<>=$\\|&" for sign in text) and not text.startswith("─")


def named_letters(text: str) -> tuple[str, ...]:
    """The letters of "answer with A, B, C or D" or "A-D", in order from A, or nothing."""
    for match in _NAMED_LETTERS.finditer(text):
        last = max(group for group in match.groups() if group)
        if min(group for group in match.groups() if group) == "A" and last > "A":
            return tuple(chr(code) for code in range(ord("A"), ord(last) + 1))
    return ()


def labels(text: str) -> tuple[str, ...]:
    """The labels that the text offers, as they are spelt there, or nothing."""
    for announced in _BULLETED.finditer(text):
        found = _bullets(text, announced.end())
        if len(found) >= 2:
            return found
    for announced in reversed(list(_ANNOUNCED.finditer(text))):
        if (match := _LIST.match(text, announced.end())) and (found := _items(match)):
            return found
    return _quoted(text) or _signed(text)


def _quoted(text: str) -> tuple[str, ...]:
    """Labels in quotes and joined by "or", where the text speaks of labels further on."""
    match = _QUOTED_PAIR.search(text) if _OF_THEM.search(text) else None
    return tuple(dict.fromkeys(item.strip(_QUOTES) for item in re.findall(r"[\"“«]([^\"”»\n]{1,40})[\"”»]", match[0]))) if match else ()


def _signed(text: str) -> tuple[str, ...]:
    """Labels in scripts that put no blanks between words."""
    for announced in _SIGNED.finditer(text):
        if match := _SIGNED_LIST.match(text, announced.end()):
            return tuple(dict.fromkeys(filter(None, re.split(r"[、,,/“”「」]|或者?|和|または", match[0]))))
    return ()


def alternatives(question: str) -> tuple[str, ...]:
    """The words between which a short question chooses ("is it hot or cold?", "which is a fish: cod or cow?"), or nothing."""
    near = question.strip()[-300:]
    if (which := _WHICH.search(near)) and (match := _LIST.match(near, which.end())):
        return _items(match)
    match = _EITHER.search(near)
    return (match[1], match[2]) if match else ()


def _bullets(text: str, start: int) -> tuple[str, ...]:
    """The quoted heads of the bullet points that follow at once."""
    found: list[str] = []
    for line in text[start + 1 : start + 4_000].split("\n"):
        match = _BULLETS.match("\n" + line) or _BARE_BULLETS.match("\n" + line)
        if match is None:
            break
        found.append(match[1].strip(_QUOTES))
    return tuple(dict.fromkeys(found))


def _items(match: re.Match[str]) -> tuple[str, ...]:
    """The labels of a list, or nothing where a word is no label."""
    spelt = tuple(dict.fromkeys(item for item in _parted(match) if item))
    if all(item.isupper() for item in spelt) or (match["items"][0] in _OPEN_QUOTES and match["final"][0] in _OPEN_QUOTES):
        return spelt if len(spelt) >= 2 else ()
    words = {word for item in spelt for word in (item.lower(), item.lower().split()[0])}
    return spelt if len(spelt) >= 2 and words.isdisjoint(_NOT_LABELS) else ()


def _parted(match: re.Match[str]) -> list[str]:
    """The items of a list; a slash parts them only where nothing else does ("good/bad", but "World, Sci/Tech")."""
    commas = re.search("[,|;、]", match["items"]) is not None
    between = match.string[match.end("items") : match.start("final")].strip()
    joint = "/" if commas and between == "/" else ","
    items = re.split(r"\s{0,2}[,|;、]\s{0,2}" if commas else r"\s{0,2}[/,]\s{0,2}", f"{match['items']}{joint}{match['final']}")
    return [re.sub(r"^(?:or|and|either|a|an) ", "", item.strip(_QUOTES)) for item in items]
