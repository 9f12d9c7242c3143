"""How candidates are shown to a judge or writer: anonymous, in a seeded order, fenced as data by a word that no candidate can know."""

from __future__ import annotations

import hashlib
import random
from collections.abc import Mapping, Sequence
from string import ascii_uppercase

from fusiond.chat import Message, Request, TextPart
from fusiond.events import Transcript


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
    turns = "\n".join(f"[{message.role}] {message.text}" for message in request.messages if message.text)
    return f"<conversation {word}>\n{turns}\n</conversation {word}>"


def said(role: str, text: str) -> Message:
    """A message of one text part."""
    return Message(role="system" if role == "system" else "user", parts=(TextPart(text=text),))
