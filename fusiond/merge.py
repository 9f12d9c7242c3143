"""Many members, one request: where they are started, heard and ended.

One TaskGroup a request. Whatever ends the block (answered, settled, client gone, deadline, shutdown), it ends every member, and an
`ExceptionGroup` that comes out of it is a bug: a member's failure is a value, `Failed`.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncGenerator, AsyncIterator, Callable, Coroutine, Iterable
from contextlib import aclosing, asynccontextmanager
from dataclasses import dataclass, field
from typing import TypeVar

from fusiond.call import Call
from fusiond.errors import NoTime, OverBudget, TimedOut, TooDear
from fusiond.events import Event, Failed, Finished, Text, Thinking, ToolCall, Transcript
from fusiond.members.patience import NEARLY

Listen = Callable[[Call], AsyncGenerator[Event, None]]
Found = TypeVar("Found")
Start = Callable[[Coroutine[None, None, None]], asyncio.Task[None]]

AHEAD = 64
"""Events that the members together may be ahead of the strategy; then they wait, and with them their upstreams."""


@dataclass(slots=True)
class Part:
    """One member's part in a request: what it was asked, and everything it said. Times are the loop's clock, in seconds.

    `first`: when it said anything, thoughts included; `spoke`: when its answer began. `dismissed`: it was not needed any more, before its end was
    heard of, even if it had come.
    """

    call: Call
    asked: float
    first: float | None = None
    spoke: float | None = None
    ended: float | None = None
    dismissed: bool = False
    transcript: Transcript = field(default_factory=Transcript)


class Gathering:
    """The members of one request. Made by `gathering`, and gone with its block."""

    def __init__(self, listen: Listen, start: Start, left: Callable[[Part], None]) -> None:
        self._listen = listen
        self._start = start
        self._left = left
        self._loop = asyncio.get_running_loop()
        self._tasks: dict[str, asyncio.Task[None]] = {}
        self.parts: dict[str, Part] = {}

    def ask(self, calls: Iterable[Call], *, others: int = 0) -> Hearing:
        """Start the calls side by side; what they say comes through the hearing. `others`: see `relay`."""
        calls = tuple(calls)
        hearing = Hearing(self, [call.voice for call in calls])
        for call in calls:
            self._tasks[call.voice] = self._start(self._pump(call, hearing.queue, others))
        return hearing

    async def relay(self, call: Call, others: int = 0) -> AsyncGenerator[Event, None]:
        """One member's stream as it comes, in the caller's own task. To be closed by the caller (`aclosing`).

        `others`: how many may be asked after it. Where there are any, it has to begin within its share of the time that is left until its deadline.
        """
        part = self.parts[call.voice] = Part(call=call, asked=self._loop.time())
        try:
            async with aclosing(self._turn(call, part.asked, others)) as stream:
                async for event in stream:
                    if part.spoke is None and isinstance(event, Text | Thinking | ToolCall):
                        self._began(part, event)
                    part.transcript.hear(event)
                    if part.transcript.end is not None:
                        self._over(part)
                    yield event
        finally:
            self._over(part)

    def _turn(self, call: Call, now: float, others: int) -> AsyncGenerator[Event, None]:
        if now >= call.deadline:
            return _unasked(call)
        return _hurried(call, self._listen(call), _share(call, now, others)) if others else self._listen(call)

    def _began(self, part: Part, event: Event) -> None:
        now = self._loop.time()
        part.first = part.first or now
        if not isinstance(event, Thinking):
            part.spoke = now

    def _over(self, part: Part) -> None:
        """The call has ended, which is known before its end is heard."""
        if part.ended is None:
            part.ended = self._loop.time()
            self._left(part)

    def dismiss(self, voices: Iterable[str]) -> None:
        """End these members' calls now: their upstream connections are closed in this turn of the loop or the next."""
        for voice in voices:
            self._tasks[voice].cancel()
            if part := self.parts.get(voice):
                part.dismissed = True

    async def _pump(self, call: Call, queue: asyncio.Queue[Event], others: int) -> None:
        async with aclosing(self.relay(call, others)) as stream:
            async for event in stream:
                await queue.put(event)


class Hearing:
    """What several members say, in the order in which it comes."""

    def __init__(self, members: Gathering, voices: list[str]) -> None:
        self.queue: asyncio.Queue[Event] = asyncio.Queue(AHEAD)
        self._members = members
        self._speaking = dict.fromkeys(voices)

    @property
    def speaking(self) -> tuple[str, ...]:
        """The voices that have not ended, in panel order."""
        return tuple(self._speaking)

    async def next(self, until: float | None = None) -> Event | None:
        """The next event; None once all have ended, or at *until* (the loop's clock). Raises OverBudget where one is too dear to go on."""
        try:
            async with asyncio.timeout_at(until):
                while self._speaking:
                    event = await self.queue.get()
                    if event.member not in self._speaking:
                        continue  # said before it was dismissed
                    if isinstance(event, Finished | Failed):
                        del self._speaking[event.member]
                    if isinstance(event, Failed) and isinstance(event.error, TooDear) and event.error.final:
                        raise OverBudget(f"{event.member}: {event.error.message}", param="model")
                    return event
        except TimeoutError:
            pass
        return None

    async def out(self) -> None:
        """Hear everybody out; what they said is in their parts."""
        while await self.next() is not None:
            pass

    def dismiss(self, *, but: str | None = None) -> None:
        """End every call that still runs, but one."""
        ended = [voice for voice in self._speaking if voice != but]
        self._members.dismiss(ended)
        for voice in ended:
            del self._speaking[voice]


def waited(parts: Iterable[Part], delivers: str, now: float) -> float:
    """Seconds in which somebody was waited for. Whoever *delivers* is not waited for once its answer has begun: it goes out as it comes."""
    seconds, until = 0.0, float("-inf")
    for part in sorted(parts, key=lambda part: part.asked):
        end = part.ended or (part.spoke if part.call.voice == delivers else None) or now
        seconds += max(0.0, end - max(part.asked, until))
        until = max(until, end)
    return seconds


def _share(call: Call, now: float, others: int) -> float:
    """Seconds within which a call has to begin. Where they are about the member's own limit, that goes first: then it is known to be the member's."""
    share, own = (call.deadline - now) / (others + 1), call.member.first_token_seconds
    return share if share < NEARLY * own else max(share, own / NEARLY)


async def _unasked(call: Call) -> AsyncGenerator[Event, None]:
    yield Failed(member=call.voice, error=NoTime())


async def _hurried(call: Call, stream: AsyncGenerator[Event, None], seconds: float) -> AsyncGenerator[Event, None]:
    """A member's stream, which has to begin within so many seconds; to be loaded, and to wait for its turn, takes of them too."""
    until = asyncio.get_running_loop().time() + seconds
    async with aclosing(stream):
        begun = False
        while not begun:
            try:
                async with asyncio.timeout_at(until) as limit:
                    event = await anext(stream)
            except TimeoutError:
                if not limit.expired():
                    raise
                late = TimedOut(f"no first token within {seconds:.3g} s: the others need what was left of the request's time", ours=True)
                yield Failed(member=call.voice, error=late)
                return
            begun = isinstance(event, Text | Thinking | ToolCall | Finished | Failed)
            yield event
        async for event in stream:
            yield event


@asynccontextmanager
async def gathering(listen: Listen, left: Callable[[Part], None] = lambda _: None) -> AsyncIterator[Gathering]:
    """The lifetime of all members that one request asks. `left` is told of every call that is over, however it ended."""
    async with _started() as start:
        yield Gathering(listen, start, left)


@asynccontextmanager
async def beside(work: Coroutine[None, None, None]) -> AsyncIterator[None]:
    """Run *work* for as long as the block lasts."""
    async with _started() as start:
        start(work)
        yield


async def together(works: Iterable[Coroutine[None, None, Found]]) -> list[Found]:
    """Do all of it at once: what came of each, in order. If one fails, the others end with it."""
    found: dict[int, Found] = {}

    async def kept(place: int, work: Coroutine[None, None, Found]) -> None:
        found[place] = await work

    async with asyncio.TaskGroup() as group:
        for place, work in enumerate(works):
            group.create_task(kept(place, work))
    return [found[place] for place in sorted(found)]


@asynccontextmanager
async def _started() -> AsyncIterator[Start]:
    """What starts tasks that end with this block. The block's own error comes out as it is, not wrapped by the group."""
    tasks: list[asyncio.Task[None]] = []
    failure: Exception | None = None

    def start(work: Coroutine[None, None, None]) -> asyncio.Task[None]:
        tasks.append(group.create_task(work))
        return tasks[-1]

    async with asyncio.TaskGroup() as group:
        try:
            yield start
        except Exception as error:  # noqa: BLE001  # raised again below
            failure = error
        for task in tasks:
            task.cancel()
    if failure is not None:
        raise failure
