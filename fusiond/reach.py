"""Which providers there is a way to: told by their members' own failures, and by a cheap probe that says nothing to anybody.

A connection that cannot be made takes a provider out at once, so that no further request waits for it; the probe, a bare connection that is closed
again, brings it back. The clock is passed in.
"""

from __future__ import annotations

import asyncio
from collections.abc import Hashable, Mapping
from contextlib import suppress
from dataclasses import dataclass, replace
from urllib.parse import urlsplit

FIRST_PROBE, LONGEST_PROBE = 0.5, 15.0
"""Seconds from the loss to the first probe; from probe to probe it is twice as long each time, up to this."""

PROBE_SECONDS = 3.0


@dataclass(frozen=True, slots=True, kw_only=True)
class Lost:
    """A provider that there is no way to: why, since when, and when it is looked for again, `pause` seconds after the last time."""

    url: str
    why: str
    since: float
    pause: float
    due: float

    def sought(self, now: float) -> Lost:
        """The same while it is looked for, and if that is in vain."""
        pause = min(self.pause * 2, LONGEST_PROBE)
        return replace(self, pause=pause, due=now + pause)


class Reach:
    """The providers that cannot be reached, by what identifies them for the caller."""

    def __init__(self) -> None:
        self._lost: dict[Hashable, Lost] = {}
        self._news = asyncio.Event()

    @property
    def lost(self) -> Mapping[Hashable, Lost]:
        """Who cannot be reached."""
        return self._lost

    def lose(self, provider: Hashable, url: str, why: str, now: float) -> None:
        """A connection could not be made."""
        if provider not in self._lost:
            self._lost[provider] = Lost(url=url, why=why, since=now, pause=FIRST_PROBE, due=now + FIRST_PROBE)
            self._news.set()

    def find(self, provider: Hashable) -> None:
        """There is a way again."""
        self._lost.pop(provider, None)

    def keep(self, providers: frozenset[Hashable]) -> None:
        """Forget those that are gone."""
        for provider in self._lost.keys() - providers:
            del self._lost[provider]

    async def probe(self, now: float) -> None:
        """Look for everyone who is due. What was said of a provider meanwhile (found, forgotten, lost anew) is newer than what its probe finds."""
        due = {provider: lost.sought(now) for provider, lost in self._lost.items() if now >= lost.due}
        self._lost |= due  # before the first is waited for: nobody else looks for them now
        async with asyncio.TaskGroup() as group:
            for provider, lost in due.items():
                group.create_task(self._look_for(provider, lost))

    async def _look_for(self, provider: Hashable, lost: Lost) -> None:
        if await answers(lost.url) and self._lost.get(provider) is lost:
            self.find(provider)

    async def wait(self, now: float) -> None:
        """Until somebody is lost, or due."""
        self._news.clear()
        due = min((lost.due for lost in self._lost.values()), default=None)
        with suppress(TimeoutError):
            async with asyncio.timeout(None if due is None else max(0.0, due - now)):
                await self._news.wait()


async def answers(url: str) -> bool:
    """Whether something accepts a connection there. Nothing is said to it."""
    parts = urlsplit(url)
    port = parts.port or (443 if parts.scheme == "https" else 80)
    try:
        async with asyncio.timeout(PROBE_SECONDS):
            _, writer = await asyncio.open_connection(parts.hostname, port)
    except (OSError, UnicodeError):  # a timeout is an OSError
        return False
    writer.close()
    with suppress(OSError):
        await writer.wait_closed()
    return True
