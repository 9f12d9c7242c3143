"""How candidates are shown to a judge or writer: anonymous, in a seeded order, fenced as data by a word that no candidate can know.

Every prompt has a fence of its own: a member that was shown one knows it, and may be asked again.
"""

from __future__ import annotations

import json
import random
import secrets
from collections.abc import Mapping, Sequence
from dataclasses import replace
from string import ascii_uppercase
from typing import Any, Literal

from fusiond.catalog import Member
from fusiond.chat import Format, Message, Request, Sampling, TextPart
from fusiond.eligible import USUAL_BYTES_PER_TOKEN, text_bytes
from fusiond.events import Transcript
from fusiond.fuse.plain import shortened
from fusiond.keys.document import unwrapped

SHARE = 0.7
"""Of a reader's context, for the conversation and all that is to be read with it; the rest is for the reply and what tokens cost more."""

LEAST = 400
"""Bytes of an answer that are shown at the least; a context that is too small for that says so itself."""


def fence() -> str:
    """A word for one prompt alone."""
    return secrets.token_hex(6)


def shuffled(request: Request, voices: Sequence[str]) -> list[str]:
    """The candidates in an order that has nothing to do with who they are; the same whenever a request with a seed is judged."""
    order = list(voices)
    seed = request.sampling.seed
    random.Random(request.id if seed is None else str(seed)).shuffle(order)  # noqa: S311  # an order, no secret
    return order


def lettered(voices: Sequence[str]) -> dict[str, str]:
    """Letter -> voice."""
    return dict(zip((letter(place) for place in range(len(voices))), voices, strict=True))


def letter(place: int) -> str:
    """A to Z, then A2 to Z2 and so on."""
    turn, rest = divmod(place, len(ascii_uppercase))
    return ascii_uppercase[rest] + (str(turn + 1) if turn else "")


def candidates(word: str, named: Mapping[str, str], texts: Mapping[str, str]) -> str:
    """The answers, each between two lines with the fence. `named`: letter -> voice; `texts`: by voice."""
    return "\n\n".join(f"<answer {name} {word}>\n{texts[voice]}\n</answer {name} {word}>" for name, voice in named.items())


def fitted(texts: Mapping[str, str], reader: Member, request: Request) -> dict[str, str]:
    """The texts in full, as far as the reader's context can hold them beside the conversation."""
    size = None
    if reader.context is not None:
        room = int(SHARE * reader.context) * USUAL_BYTES_PER_TOKEN - text_bytes(request)
        size = max(LEAST, room // len(texts))
    return {voice: shortened(text, size) for voice, text in texts.items()}


def conversation(word: str, request: Request) -> str:
    """The conversation as text, for a judge who only reads it."""
    turns = "\n".join(f"[{turn.role}] {turn.text}" for turn in request.messages if turn.text)
    return f"<conversation {word}>\n{turns}\n</conversation {word}>"


def message(role: Literal["system", "user"], text: str) -> Message:
    """A message of one text part."""
    return Message(role=role, parts=(TextPart(text=text),))


def judging(request: Request, system: str, text: str, schema: Mapping[str, object], *, max_tokens: int) -> Request:
    """What a judge is asked: cold, and in the form of the schema."""
    return replace(
        request,
        messages=(message("system", system), message("user", text)),
        sampling=Sampling(temperature=0.0, max_tokens=max_tokens),
        tools=(),
        tool_choice=None,
        parallel_tool_calls=None,
        format=Format(kind="json_schema", schema=schema, name="judgement", strict=True),
    )


def judgement(answer: Transcript) -> dict[str, Any] | None:
    """The JSON object that a judge replied with; None where there is none."""
    try:
        reply = json.loads(unwrapped(answer.text)) if answer.complete else None
    except (ValueError, RecursionError):
        return None
    return reply if isinstance(reply, dict) else None
