"""What an upstream has seen: every request and how it ended, what is open now and was at the most, and ways to wait for it without sleeping."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

PATIENCE = 10.0
"""Seconds after which a wait is a failed test, with words that say what was waited for."""


@dataclass(slots=True, eq=False, kw_only=True)
class Asked:
    """One request. `headers` by their names in lower case; `body`: its JSON, None where there is none; the times are the loop's, in seconds."""

    method: str
    path: str
    headers: Mapping[str, str]
    body: Any
    came: float
    ended: float | None = None
    """When the upstream had written its answer, or had ended the connection on purpose."""
    left: float | None = None
    """When the client left before that."""

    @property
    def open(self) -> bool:
        """Whether the answer is still under way."""
        return self.ended is None and self.left is None

    @property
    def model(self) -> str:
        """Who is asked."""
        return str(self.body.get("model", "")) if isinstance(self.body, dict) else ""


@dataclass(slots=True)
class Count:
    """How many there are."""

    now: int = 0
    most: int = 0

    def up(self) -> None:
        """One more."""
        self.now += 1
        self.most = max(self.most, self.now)

    def down(self) -> None:
        """One less."""
        self.now -= 1


class Record:
    """The memory of one upstream. `chats`: the requests that are questions; `streams` counts those that are not answered yet."""

    def __init__(self) -> None:
        self.requests: list[Asked] = []
        self.chats: list[Asked] = []
        self.connections = Count()
        self.streams = Count()
        self._news = asyncio.Event()

    async def asked(self, number: int = 1, model: str | None = None) -> Asked:
        """The *number*th question (to *model*), once it has come."""
        return await self._nth(number, f"question {number}{_to(model)}", lambda chat: model in (None, chat.model))

    async def left(self, number: int = 1, model: str | None = None) -> Asked:
        """The *number*th question (to *model*) whose client left before the answer's end, once it has."""
        return await self._nth(number, f"leaving {number}{_to(model)}", lambda chat: chat.left is not None and model in (None, chat.model))

    async def idle(self) -> None:
        """Return once no answer is under way."""
        await self.until(lambda: self.streams.now == 0, "the end of every answer")

    async def gone(self) -> None:
        """Return once no connection is open."""
        await self.until(lambda: self.connections.now == 0, "the end of every connection")

    async def until(self, true: Callable[[], bool], what: str = "what was waited for") -> None:
        """Return once *true* is, which is looked at whenever something happens here. Raises AssertionError when that takes too long."""
        try:
            async with asyncio.timeout(PATIENCE):
                while not true():
                    await self._news.wait()
        except TimeoutError:
            raise AssertionError(f"no sign of {what} within {PATIENCE:g} s; seen: {self._seen()}") from None

    def news(self) -> None:
        """Have everybody who waits look again."""
        self._news.set()
        self._news.clear()

    def came(self, asked: Asked) -> None:
        """A request has come."""
        self.requests.append(asked)
        self.news()

    def is_chat(self, asked: Asked) -> None:
        """It is a question, and its answer begins."""
        self.chats.append(asked)
        self.streams.up()
        self.news()

    def over(self, asked: Asked, *, left: bool = False) -> None:
        """Its answer has ended, by whichever side."""
        if not asked.open:
            return
        now = asyncio.get_running_loop().time()
        asked.left, asked.ended = (now, None) if left else (None, now)
        if asked in self.chats:
            self.streams.down()
        self.news()

    async def _nth(self, number: int, what: str, wanted: Callable[[Asked], bool]) -> Asked:
        await self.until(lambda: sum(map(wanted, self.chats)) >= number, what)
        return [chat for chat in self.chats if wanted(chat)][number - 1]

    def _seen(self) -> str:
        fates = [f"{each.method} {each.path} {each.model} ({_fate(each)})" for each in self.requests]
        return f"{', '.join(fates) or 'no request'}; {self.connections.now} connections open"


def _to(model: str | None) -> str:
    return f" to {model}" if model else ""


def _fate(asked: Asked) -> str:
    return "open" if asked.open else "ended" if asked.left is None else "left"
