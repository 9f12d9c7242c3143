"""Scripts for the scripted upstreams: what a server does with one question, step by step, as plain data.

    async with OpenAIUpstream({"a": Script(Say("4"), Finish()), "b": [Script(Status(503)), Script(Say("5"), Finish())]}) as upstream:
        ...                           ask `upstream.url`; "b" answers its first question with 503, its second with 5, and has no answer for a third
        chat = await upstream.asked(2)      the second question has come: `chat.body`, `chat.headers`
        chat = await upstream.left()        a client has left in the middle of an answer; `chat.left` says when (the loop's clock)
        await upstream.idle()               no answer is under way any more
        await upstream.gone()               no connection is open any more
        await upstream.until(lambda: ...)   whatever else must come true
        upstream.streams.now, .most, upstream.connections.now, .most, upstream.requests (every request), upstream.chats (questions only)
        upstream.scripts["a"] = Script(Hang())            from now on
        upstream.pages["/v1/models"] = Script(Status(500))    a script in place of a page, by its path

`OpenAIUpstream`, `OpenRouterUpstream` and `OllamaUpstream` speak the same scripts in their own protocols. Each runs as a process, too:
`python -m tests.upstreams.openai --port 8001 --script FILE.json` with `{"a": [{"Say": "4"}, {"Wait": 0.5}, {"Finish": null}]}`: each step its name
and its argument, an object of arguments, or null; a list of such lists is one script a question.

A script is played from its first step to its last, then the body is ended as HTTP wants it. Nothing else is said: a script without `Finish` is an
answer that stops without its end. The head goes out with the first byte of the body, or where `Head` stands. Steps between which nothing waits go out
at once; put a `Gate` or a `Wait` between those that a client must see one after the other.
"""

from __future__ import annotations

import asyncio
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Self, TypeAlias


@dataclass(frozen=True, slots=True)
class Say:
    """A piece of the answer."""

    text: str


@dataclass(frozen=True, slots=True)
class Think:
    """A piece of the thoughts; `field`: where OpenAI's protocol has it, `reasoning_content` or `reasoning`."""

    text: str
    field: str = "reasoning_content"


@dataclass(frozen=True, slots=True)
class Call:
    """A piece of a tool call: the first has `id` and `name`; Ollama's only piece has all the arguments."""

    index: int
    id: str = ""
    name: str = ""
    arguments: str = ""


@dataclass(frozen=True, slots=True)
class Finish:
    """The success end as the protocol has it, usage and all. OpenAI's: None leaves out the finishing chunk, `done=False` the `[DONE]`."""

    reason: str | None = "stop"
    done: bool = True


@dataclass(frozen=True, slots=True)
class ErrorChunk:
    """An error as a message of the stream."""

    message: str
    code: int | str = 500
    metadata: Mapping[str, Any] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Comment:
    """A comment of server-sent events."""

    text: str


@dataclass(frozen=True, slots=True)
class Usage:
    """What `Finish` reports, wherever in the script this stands; without it, 9 tokens and one for each piece. `cost` in USD."""

    prompt: int
    completion: int
    cost: float | None = None


@dataclass(frozen=True, slots=True)
class NoUsage:
    """`Finish` reports no usage."""


@dataclass(frozen=True, slots=True)
class Wait:
    """Nothing for so many seconds."""

    seconds: float


@dataclass(frozen=True, slots=True)
class Gate:
    """Nothing until the test sets the event."""

    event: asyncio.Event


@dataclass(frozen=True, slots=True)
class Head:
    """The status line and headers, before anything of the body. `framed=False`: the body has no chunks, and ends where the connection does."""

    headers: Mapping[str, str] = field(default_factory=dict)
    framed: bool = True


@dataclass(frozen=True, slots=True)
class Raw:
    """These bytes as part of the body."""

    data: bytes | str


@dataclass(frozen=True, slots=True)
class Wire:
    """These bytes on the connection, whatever HTTP says."""

    data: bytes | str


@dataclass(frozen=True, slots=True)
class Flood:
    """So many bytes of the body without a line break."""

    size: int


@dataclass(frozen=True, slots=True)
class Drip:
    """From here on each byte comes alone, those of the framing included; `gap` seconds lie between two of them."""

    gap: float = 0.0


@dataclass(frozen=True, slots=True)
class Status:
    """The whole answer: a status and a body. None: an error as the protocol words it; a string: plain text; anything else: JSON."""

    code: int
    body: Any = None
    headers: Mapping[str, str] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Html:
    """The whole answer: a page, as proxies show it."""

    code: int = 200
    page: str = "<html><body><h1>Sorry</h1></body></html>"


@dataclass(frozen=True, slots=True)
class Close:
    """The connection is closed in the middle of the body: no last chunk."""


@dataclass(frozen=True, slots=True)
class Reset:
    """The connection is reset: an RST instead of a FIN."""


@dataclass(frozen=True, slots=True)
class Hang:
    """Nothing more until the client leaves."""


Spoken: TypeAlias = Say | Think | Call | Finish | ErrorChunk | Comment
"""What each protocol has its own words for."""

Last: TypeAlias = Status | Html | Close | Reset | Hang
"""What nothing can follow."""

Step: TypeAlias = Spoken | Usage | NoUsage | Wait | Gate | Head | Raw | Wire | Flood | Drip | Last

STEPS: Mapping[str, Any] = {
    kind.__name__: kind
    for kind in (Say, Think, Call, Finish, ErrorChunk, Comment, Usage, NoUsage, Wait, Head, Raw, Wire, Flood, Drip, Status, Html, Close, Reset, Hang)
}
"""By name, for scripts in JSON: all but `Gate`, which only a test can open."""


class Script(tuple[Step, ...]):
    """The steps, in their order."""

    __slots__ = ()

    def __new__(cls, *steps: Step) -> Self:
        """Raises ValueError where a step could never be reached."""
        if any(isinstance(step, Last) for step in steps[:-1]):
            raise ValueError(f"nothing can follow an end: {steps}")
        return super().__new__(cls, steps)

    @property
    def usage(self) -> Usage | None:
        """What is reported at the end."""
        for step in self:
            if isinstance(step, Usage | NoUsage):
                return step if isinstance(step, Usage) else None
        return Usage(9, sum(isinstance(step, Say | Think | Call) for step in self))


Scripts: TypeAlias = Mapping[str, Script | Sequence[Script]]
"""For each model one script for every question, or a list with one for each question in turn."""


def scripts(document: Mapping[str, Any]) -> dict[str, Script | Sequence[Script]]:
    """Scripts written as JSON. Raises ValueError with the step that is none."""
    return {model: [_script(one) for one in told] if told and isinstance(told[0], list) else _script(told) for model, told in document.items()}


def _script(told: Sequence[Mapping[str, Any]]) -> Script:
    return Script(*(_step(entry) for entry in told))


def _step(entry: Mapping[str, Any]) -> Step:
    name, argument = next(iter(entry.items()), ("", None))
    if len(entry) != 1 or name not in STEPS:
        raise ValueError(f"{entry}: a step is an object with one key out of {', '.join(STEPS)}")
    arguments = argument if isinstance(argument, Mapping) else {} if argument is None else None
    step: Step = STEPS[name](argument) if arguments is None else STEPS[name](**arguments)
    return step
