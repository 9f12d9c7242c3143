"""Where in a reply its answer stands.

Thinking, the marks of chat templates and a run-on into a next question are no part of the reply. All searches are linear:
patterns repeat within bounds, and only the end of a very long reply is looked at.
"""

from __future__ import annotations

import json
import re
from collections import deque
from dataclasses import dataclass

REACH = 20_000
"""Characters at the end of a reply in which an answer is looked for."""

_STATEMENTS = 16

_THOUGHT = re.compile(r"</(?:think|thinking|thought|thoughts|reasoning)>|\[/THINK\]|<\|channel\|>final<\|message\|>", re.IGNORECASE)
_THINKING = re.compile(r"\s{0,100}(?:<(?:think|thinking|thought|thoughts|reasoning)>|\[THINK\])", re.IGNORECASE)
_END = re.compile(r"</s>|<\|(?:im_end|eot_id|end|endoftext|end_of_text|return|im_start)\|>|<end_of_turn>|<｜end▁of▁sentence｜>")
_NEXT = re.compile(r"\n(?:Question|Q|Problem) ?\d{0,3} ?:|\n(?:User|Human|### Instruction) ?:", re.IGNORECASE)
_FIELD = re.compile(r"""\b(?:final[_ ]?)?answer["'*`\\]{1,4}\s{0,20}:\s{0,20}""", re.IGNORECASE)
_BARE_FIELD = re.compile(r"""^[ \t{,]{0,40}answer[ \t]{0,20}:[ \t]{0,20}(?=["'\[{])""", re.IGNORECASE | re.MULTILINE)
_STRING = re.compile(r'"((?:[^"\\]|\\.){0,8000})"\s{0,200}(?:[,}\n]|$)', re.DOTALL)
_QUOTED_LINE = re.compile(r'"([^\n]{0,8000})"')
_STATED = re.compile(
    r"""(?:\b(?:(?P<answer>answer|correct\ (?:option|choice|letter)|antwort|réponse|respuesta|risposta|resposta|ответ|الإجابة|الجواب)
        |solution|result|output|(?:option|choice)\ (?=is\b)|letter|opción|вариант|选项
        |ergebnis|lösung|résultat|resultado|результат)|(?P<sign>答案|答え|回答|正解)|结果|結果)
        [*_)\]"']{0,4}(?:\ \([^()\n]{0,30}\))?
        (?:\ (?:to|for|of)\ [^\n.:]{1,80}?(?=\ (?:is|are|ist|est|es)\b))?
        (?:\ (?:correct[ae]?|corrett[ao]|corret[ao]|esatta|final[ea]?|الصحيحة|النهائية|choice|option|value|number|lautet|
          sera|would|should|will|must|therefore|thus|here|then|is\ therefore|is\ thus)){0,2}
        [*_]{0,3}\s{0,4}(?:[:：=＝]|是|为|為|选|選|は|\bis\b|\bare\b|\bbe\b|\bist\b|\blautet\b|\best\b|\bes\b|\bé\b|\bè\b|هي|هو
          |(?<=ответ)\s{0,3}[—–-]|(?<=вариант)\s{0,3}[—–-]){1,2}
        \s{0,4}[:：]?[*_]{0,3}[ \t]{0,20}""",
    re.IGNORECASE | re.VERBOSE,
)
_HEADED = re.compile(
    r"""\n[ \t]{0,4}(?:\#{1,6}[ \t]{1,3}|\*\*)(?:the[ ])?(?:final[ ]|correct[ ])?
        (?:answer|antwort|réponse|respuesta|ответ|答案|答え)[*:：]{0,3}[ \t]{0,4}\n""",
    re.IGNORECASE | re.VERBOSE,
)
"""A heading over the answer, on a line of its own."""
_COURTESY = re.compile(
    r"""\n[ \t]{0,4}(?:please[ ])?(?:let[ ]me[ ]know|(?:i[ ])?hope[ ](?:this|that)|feel[ ]free|would[ ]you[ ]like|is[ ]there[ ]anything
        |if[ ]you[ ](?:have|need|want|would[ ]like))\b[^\n]{0,200}\s{0,20}$""",
    re.IGNORECASE | re.VERBOSE,
)
"""A last line that offers more and says nothing."""
_LANGUAGE = re.compile(r"^[\w+.#-]{0,20}[ \t]{0,20}\r?\n|^[A-Za-z]{1,20}[ \t]{1,20}(?=[\[{])")
_EMPHASIS = re.compile(r"\*\*|__|`")
_ITALIC = re.compile(r"([*_])([^*_\n]{1,400})\1(?=[.!]?$)")


@dataclass(frozen=True, slots=True, kw_only=True)
class Reading:
    r"""A reply, taken apart.

    `whole`: all that was said. `marked`: what stands in the place made for an answer (`<answer>`, a field `answer`, `\boxed{}`).
    `stated`: what follows each "the answer is", in order, to the end of its line. `last`: the last line with anything on it.
    `opening`: a first line that stands alone above the rest, where a reply that answers first and explains then has its answer.
    """

    whole: str
    marked: str | None
    stated: tuple[str, ...]
    last: str
    opening: str


def read(text: str) -> Reading:
    """Take a reply apart; linear in its length."""
    whole = _COURTESY.sub("", said(text)).strip()
    near = whole[-REACH:]
    return Reading(whole=whole, marked=_marked(near), stated=_stated(near), last=_last(near), opening=_opening(whole))


def said(text: str) -> str:
    """The reply without thinking before it and without anything after its end. A thought that never ends leaves nothing."""
    text = text.strip().replace("\r\n", "\n")
    if last := deque(_THOUGHT.finditer(text), maxlen=1):
        text = text[last[0].end() :]
    elif _THINKING.match(text):
        return ""
    if end := _END.search(text):
        text = text[: end.start()]
    return _own(text).strip()


def plain(text: str) -> str:
    """Without bold, code marks, italics around all of it, and the marks that open a heading, a quote or a list item."""
    text = _EMPHASIS.sub("", text).strip().lstrip("#>•").strip()
    return text[1:].replace(text[0], "", 1) if _ITALIC.fullmatch(text.rstrip(".!")) else text


def unfenced(text: str) -> str:
    """Without a code fence around all of it."""
    text = text.strip()
    if not (text.startswith("```") and text.endswith("```") and len(text) > 6):
        return text
    return _LANGUAGE.sub("", text[3:-3], count=1).strip("\n").rstrip()


def _own(text: str) -> str:
    """Models without a chat template run on into a next question: what follows an answer and `Question:` is not theirs."""
    for following in _NEXT.finditer(text):
        before = text[max(0, following.start() - REACH) : following.start()]
        if _marked(before) is not None or _STATED.search(before):
            return text[: following.start()]
        break
    return text


def _marked(text: str) -> str | None:
    for place in (_tagged, _field, boxed):
        if (found := place(text)) is not None and (found.strip(" _…") or not found):
            return found.strip()
    return None


def _tagged(text: str) -> str | None:
    lower = text.lower()
    if len(lower) != len(text):
        lower = text
    last = lower.rfind("</answer>")
    start = lower.rfind("<answer>", 0, last if last >= 0 else None)
    if start < 0:
        return _half_tagged(text, last)
    end = lower.find("</answer>", start)
    inner = text[start + len("<answer>") : end if end > start else None]
    return inner.strip() if end > start else inner if 0 < len(inner) < 400 else None


def _half_tagged(text: str, end: int) -> str | None:
    """`42</answer>`: the opening tag was lost, as happens when it was the prompt's last word."""
    before = text[: max(end, 0)].strip().removeprefix("answer>")
    return before if before and len(before) <= 200 and "\n\n" not in before else None


def _field(text: str) -> str | None:
    matches = [*_FIELD.finditer(text), *_BARE_FIELD.finditer(text)]
    for match in sorted(matches, key=lambda found: found.end(), reverse=True)[:3]:
        if (value := _value(text[match.end() :])) is not None:
            return value
    return None


def _value(rest: str) -> str | None:
    """The value of a field in JSON that may be broken."""
    if string := _STRING.match(rest):
        return _unescaped(string[1])
    if rest.startswith('"'):
        line = _QUOTED_LINE.match(rest)
        return line[1] if line else None
    try:
        value, end = json.JSONDecoder().raw_decode(rest)
    except (ValueError, RecursionError):
        return _unquoted(rest.partition("\n")[0])
    if not re.match(r"\s{0,200}(?:[,}\n]|$)", rest[end:]):
        return _unquoted(rest.partition("\n")[0])
    return value if isinstance(value, str) else repr(value) if value is None or isinstance(value, bool) else json.dumps(value, ensure_ascii=False)


def _unquoted(line: str) -> str:
    r"""A value that is not JSON: its line, without the quotes (`'...'`, `\"...\"`) and the braces around it."""
    line = line.strip().rstrip(",}").strip()
    for quote in ('\\"', "'", '"'):
        if line.startswith(quote) and line.endswith(quote) and len(line) >= 2 * len(quote):
            return line[len(quote) : -len(quote)]
    return line


def _unescaped(raw: str) -> str:
    r"""A JSON string's text. Where LaTeX was left unescaped (`\frac` reads as a form feed and "rac"), the raw text."""
    try:
        text: str = json.loads('"' + raw.replace("\n", "\\n") + '"')
    except ValueError:
        text = raw.replace('\\"', '"')
    if any(sign in text for sign in "\b\f\t\r"):
        text = raw
    return text.replace("\\\\", "\\")


def boxed(text: str) -> str | None:
    r"""What the last `\boxed{}` (or `\fbox{}`) holds, braces balanced."""
    end = len(text)
    for _ in range(3):
        end = text.rfind("boxed{", 0, end)
        if end < 0:
            return None
        if (inner := _braced(text, end + len("boxed"))) is not None:
            return inner
    return None


def _braced(text: str, start: int) -> str | None:
    depth = 0
    for place in range(start, min(len(text), start + 4_000)):
        depth += (text[place] == "{") - (text[place] == "}")
        if depth == 0:
            return text[start + 1 : place]
    return None


def _stated(text: str) -> tuple[str, ...]:
    """What was called the answer; where nothing was, what was called the result."""
    found = [(match, region) for match in _STATED.finditer(text) if (region := _line_after(text, match.end()))]
    headed = [(match.end() - 1, region) for match in _HEADED.finditer(f"\n{text}") if (region := _line_after(text, match.end() - 1))]
    answers = sorted([(match.end(), region) for match, region in found if match["answer"] or match["sign"]] + headed)
    return tuple(region for _, region in answers or [(match.end(), region) for match, region in found])[-_STATEMENTS:]


def _line_after(text: str, start: int) -> str:
    """The rest of the line, or the next line that holds anything."""
    rest = text[start : start + 2_000].lstrip()
    return rest.partition("\n")[0].strip()


def _opening(text: str) -> str:
    first, _, rest = text[:400].partition("\n")
    return first.strip() if rest.startswith(("\n", " \n", "\r\n")) and not first.rstrip().endswith(":") else ""


def _last(text: str) -> str:
    return text.rstrip().rpartition("\n")[2].strip()
