"""The most that a request's prompt can be billed, whoever counts: an upper bound, before anything is sent.

A token stands for at least one byte of the text that the tokenizer sees: byte-level tokenizers begin with bytes and only join them, and byte fallback
gives one token to each byte of what is in no vocabulary. (A space that becomes a three-byte mark is a token of its own, and still one.) So bytes
bound tokens, in any language, and for text made to be dear. What the tokenizer sees is more than the client sent in three ways, and each is added:

- it may be normalised first: NFC doubles some signs, and NFKC makes 33 bytes of the three of U+FDFA. Text in ASCII is its own normal form, and costs
  nothing more; of other text the longest form counts, which for nearly all of it is the text as it stands;
- a mark may be put before each stretch of text, and joining stretches may re-order an accent: `TEXT`;
- a chat template writes roles, marks and instructions around it: the other allowances.

Reading tools, a schema, arguments or a tool's result, a template may write JSON in its own way; how much longer that can be is counted too.
"""

from __future__ import annotations

import json
import re
import unicodedata
from collections.abc import Mapping
from dataclasses import dataclass
from functools import lru_cache
from itertools import chain
from typing import Any, Literal

from fusiond.chat import Format, FunctionCall, ImagePart, Message, Part, Request, Tool
from fusiond.policy import images
from fusiond.policy.images import Unpriceable

__all__ = ["Bound", "Unpriceable", "most_tokens"]

TEXT = 8
"""Tokens beside each text: a mark before it and a break after it, with room."""

IMAGE = 16
"""Tokens beside each image: its begin, its end, a number ("Picture 1: ")."""

MESSAGE = 32
"""Tokens around a message: 3 to 12 in known templates (begin, role, channel, break, end)."""

CALL = 64
"""Tokens around a tool call or its result: tags, a fence, the words of its JSON; about 30 in the longest known."""

TOOLS = 1024
"""Tokens of instructions once there are tools: up to some 700 of a hidden prompt (Anthropic's guide "Tool use"), some 200 in open templates."""

TOOL = 64
"""Tokens around each tool: tags, and a type that names its fields in words."""

FORMAT = 256
"""Tokens of instructions for an answer in a form that is asked for."""

REQUEST = 1024
"""Tokens around the whole: a template's own system prompt, with dates and rules, where the client sent none. Most have 20 to 100, Mistral's some 500,
Devstral's about 1000. The same for every request, so that a further message never makes one cheaper."""

INDENT = 4
"""Spaces a level, where a template writes JSON in lines."""

EXPONENT = 16
"""Digits that a number such as 1e15 gains when it is written out."""

SLICE = 16_384
"""Characters that are normalised at once: most slices of most texts are ASCII, or in normal form, and done in no time."""

SIGNS = 16_384
"""Characters of which is remembered whether they may make a text longer: those of a few languages."""

GROWTH = 11
"""How many times longer NFKC can make a text in UTF-8 (Unicode's FAQ "Normalization": U+FDFA, 3 bytes to 33)."""

_ESCAPED = re.compile("[<>&']")
_EXPONENT = re.compile(r"\d[eE]")

NormalForm = Literal["NFC", "NFKC"]
_FORMS: tuple[NormalForm, ...] = ("NFC", "NFKC")


@dataclass(frozen=True, slots=True, kw_only=True)
class Bound:
    """At most so many prompt tokens, those of `images` images among them."""

    tokens: int
    images: int


def most_tokens(request: Request) -> Bound:
    """An upper bound on the prompt tokens of a request. Raises Unpriceable, with the reason in words for the user."""
    tokens = REQUEST + sum(map(_message, request.messages))
    if request.tools:
        tokens += TOOLS + sum(map(_tool, request.tools))
    if request.tool_choice and request.tool_choice.name:
        tokens += CALL + _text(request.tool_choice.name)
    if request.format:
        tokens += _format(request.format)
    parts = (part for message in request.messages for part in message.parts)
    return Bound(tokens=tokens, images=sum(isinstance(part, ImagePart) for part in parts))


def _message(message: Message) -> int:
    tokens = MESSAGE + sum(map(_call, message.tool_calls))
    tokens += sum(_part(part, quoted=message.role == "tool") for part in message.parts)
    if message.role == "tool":
        tokens += CALL
    return tokens + _text(message.call_id or "") + _text(message.name or "")


def _part(part: Part, *, quoted: bool) -> int:
    """A piece of a message; a tool's result may be put into the prompt as a JSON string."""
    if isinstance(part, ImagePart):
        return IMAGE + images.most_tokens(part.url)
    return _quoted(part.text) if quoted else _text(part.text)


def _call(call: FunctionCall) -> int:
    """A tool call. Its name counts twice: some templates look it up again for the result."""
    return CALL + _text(call.id) + 2 * _text(call.name) + _rewritten(call.arguments)


def _tool(tool: Tool) -> int:
    """A tool as it is sent, in a list."""
    function = {"name": tool.name, "description": tool.description, "parameters": tool.parameters, "strict": tool.strict}
    return TOOL + _json([{"type": "function", "function": function}])


def _format(form: Format) -> int:
    return FORMAT + _text(form.name) + _json(form.schema or {})


def _text(text: str) -> int:
    """Tokens of a text: its bytes, in whichever normal form it has the most, slice by slice.

    One that more than doubles was made to be dear: its rest counts at the worst growth there is, rather than being written out to be measured.
    """
    if text.isascii():
        return TEXT + len(text)
    tokens = TEXT
    for at in range(0, len(text), SLICE):
        piece = text[at : at + SLICE]
        longest = _longest(piece)
        tokens += longest
        if longest > 2 * _bytes(piece) + TEXT:
            return tokens + GROWTH * _bytes(text[at + SLICE :])
    return tokens


def _longest(piece: str) -> int:
    """Bytes in the longest normal form, and room for an accent that another slice would have re-ordered."""
    if piece.isascii():
        return len(piece)
    if unicodedata.is_normalized("NFKC", piece) or not any(map(_stretches, set(piece))):
        return TEXT + _bytes(piece)
    return TEXT + max(_bytes(piece), *(_bytes(unicodedata.normalize(form, piece)) for form in _FORMS))


@lru_cache(maxsize=SIGNS)
def _stretches(sign: str) -> bool:
    """Whether a text may grow because this is in it: a sign that grows by itself, or an accent, which may undo a shorter combination.

    A text without any only shrinks: each sign becomes a form that is no longer, and what then combines becomes shorter still.
    """
    return unicodedata.combining(sign) > 0 or any(_bytes(unicodedata.normalize(form, sign)) > _bytes(sign) for form in _FORMS)


def _bytes(text: str) -> int:
    return len(text.encode("utf-8", "surrogatepass"))


def _quoted(text: str) -> int:
    """A text that may become a JSON string: what its escapes add is ASCII, a byte a sign. Some writers escape for HTML too, in six signs for one."""
    return _text(text) + len(json.dumps(text, ensure_ascii=False)) - len(text) + 5 * len(_ESCAPED.findall(text))


def _rewritten(arguments: str) -> int:
    """JSON text that may be quoted, or read and written anew, with a space after each comma and colon and numbers in full."""
    return _quoted(arguments) + arguments.count(",") + arguments.count(":") + EXPONENT * len(_EXPONENT.findall(arguments))


def _json(value: Any) -> int:
    """A document that may be written in any style: in lines that are indented, in ASCII only, escaped for HTML, as tags."""
    try:
        plain, ascii_only = json.dumps(value, ensure_ascii=False), json.dumps(value)
    except RecursionError:
        raise Unpriceable("tools or a schema nested too deeply to be counted") from None
    return max(_text(plain), len(ascii_only)) + 5 * len(_ESCAPED.findall(plain)) + _layout(value)


def _layout(value: Any) -> int:
    """Signs that lines add to a document: a break and an indent for each entry, and for each end."""
    signs, indent, level = 0, 0, [value]
    while level:
        full = [entries for each in level if (entries := _entries(each))]
        signs += len(full) * (1 + indent)
        level, indent = list(chain.from_iterable(full)), indent + INDENT
        signs += len(level) * (1 + indent)
    return signs


def _entries(value: Any) -> list[Any]:
    if isinstance(value, Mapping):
        return list(value.values())
    return list(value) if isinstance(value, (list, tuple)) else []
