"""How candidates are shown to a judge or writer: anonymous, in a seeded order, fenced as data by a word that no candidate can know."""

from __future__ import annotations

import hashlib
import json
import random
from collections.abc import Mapping, Sequence
from dataclasses import replace
from string import ascii_uppercase
from typing import Any, Literal

from fusiond.chat import Format, Message, Request, Sampling, TextPart
from fusiond.events import Transcript
from fusiond.keys.document import unwrapped


def fence(request: Request) -> str:
    """A word for this request alone."""
    return hashlib.sha256(f"fence {request.id}".encode()).hexdigest()[:12]


def shuffled(request: Request, voices: Sequence[str]) -> list[str]:
    """The candidates in an order that is the same whenever this request is judged, and has nothing to do with who they are."""
    order = list(voices)
    random.Random(request.id).shuffle(order)  # noqa: S311  # an order, no secret
    return order


def lettered(voices: Sequence[str]) -> dict[str, str]:
    """Letter -> voice."""
    return dict(zip((letter(place) for place in range(len(voices))), voices, strict=True))


def letter(place: int) -> str:
    """A to Z, then A2 to Z2 and so on."""
    turn, rest = divmod(place, len(ascii_uppercase))
    return ascii_uppercase[rest] + (str(turn + 1) if turn else "")


def candidates(request: Request, named: Mapping[str, str], answers: Mapping[str, Transcript]) -> str:
    """All answers in full, each between two lines with the fence."""
    word = fence(request)
    return "\n\n".join(f"<answer {name} {word}>\n{answers[voice].text}\n</answer {name} {word}>" for name, voice in named.items())


def conversation(request: Request) -> str:
    """The conversation as text, for a judge who only reads it."""
    word = fence(request)
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
