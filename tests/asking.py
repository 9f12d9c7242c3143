"""Members, calls, and what is heard of them: made with as few words as a test needs."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterable, Sequence
from typing import Any

from fusiond.call import Call
from fusiond.catalog import Member
from fusiond.chat import Message, Request, TextPart
from fusiond.errors import MemberError
from fusiond.events import Event, Failed, Transcript, fold
from fusiond.members import Provider
from fusiond.members.listen import listen

MEMBER: dict[str, Any] = {
    "name": "a",
    "provider": "lab",
    "api": "openai",
    "model": "a",
    "place": "local",
    "family": "llama",
    "size": 8.0,
    "reasoning": False,
    "context": None,
    "tools": True,
    "vision": True,
    "options": {},
}


def member(**facts: Any) -> Member:
    """A member that is like most of them but for *facts*."""
    return Member(**{**MEMBER, **facts})


def question(text: str = "2+2?", **fields: Any) -> Request:
    """A client's question."""
    return Request(**{"id": "r1", "model": "fusion", "messages": (Message(role="user", parts=(TextPart(text=text),)),), **fields})


def call(request: Request | None = None, *, deadline: float = float("inf"), voice: str | None = None, **facts: Any) -> Call:
    """A call of a member with those *facts*. `deadline`: the loop's clock."""
    asked = member(**facts)
    return Call(voice=voice or asked.name, member=asked, request=request or question(), deadline=deadline)


async def collected(events: AsyncIterable[Event]) -> list[Event]:
    """All events of a stream that ends."""
    return [event async for event in events]


async def heard(provider: Provider, asked: Call | None = None) -> Transcript:
    """What came of a call."""
    return fold(await collected(listen(provider, asked or call())))


def failure(heard: Transcript | Sequence[Event]) -> MemberError:
    """The error that a call ended in."""
    end = heard.end if isinstance(heard, Transcript) else heard[-1]
    assert isinstance(end, Failed), end
    return end.error


async def soon(task: asyncio.Task[Any]) -> Any:
    """What a task brings, which must not take long."""
    async with asyncio.timeout(5):
        return await task
