"""What a member says, and what the fused answer says: one closed vocabulary for both.

Every stream of events ends in exactly one `Finished` or `Failed`. Whole replies, the judge's inputs, records and traces
are folds of such a stream (`Transcript`): there is one path, never two.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field
from decimal import Decimal
from typing import Literal

from fusiond.chat import FunctionCall
from fusiond.errors import MemberError

FinishReason = Literal["stop", "length", "tool_calls", "content_filter"]


@dataclass(frozen=True, slots=True, kw_only=True)
class Text:
    """A piece of the answer itself."""

    member: str
    text: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Thinking:
    """A piece of a member's reasoning: never content, never a vote."""

    member: str
    text: str


@dataclass(frozen=True, slots=True, kw_only=True)
class ToolCall:
    """A piece of the tool call at `index`: `id` and `name` come with the first piece, `arguments` is a fragment of JSON text."""

    member: str
    index: int
    id: str = ""
    name: str = ""
    arguments: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class Opened:
    """A paid call has begun: what the provider knows it by, for the bill of one that is cut off."""

    member: str
    generation: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Usage:
    """Tokens as the member counts them, and what the provider says it billed (USD; None: it did not say).

    Of the prompt's tokens some were read from its cache or written to it, of the completion's some were reasoning (None: not told). `final`: no more
    will be counted; some members count as they go on.
    """

    member: str
    prompt_tokens: int
    completion_tokens: int
    reasoning_tokens: int | None = None
    cached_tokens: int = 0
    cache_write_tokens: int | None = None
    cost: Decimal | None = None
    final: bool = True

    def after(self, known: Usage | None) -> Usage:
        """What stands of it and what was *known* before: of two that say the end, the one that says more."""
        return known if known and known.final and self.extent < known.extent else self

    @property
    def extent(self) -> tuple[Decimal, int]:
        """How much it says: the bill, and where that is the same, the length."""
        return self.cost or Decimal(0), self.completion_tokens


@dataclass(frozen=True, slots=True, kw_only=True)
class Progress:
    """What a member of the panel says while the outcome is open, for clients that asked to watch."""

    member: str
    text: str = ""
    status: str | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Finished:
    """The stream is complete."""

    member: str
    reason: FinishReason


@dataclass(frozen=True, slots=True, kw_only=True)
class Failed:
    """The stream ended before it was complete; what came before it is not an answer."""

    member: str
    error: MemberError


Event = Text | Thinking | ToolCall | Opened | Usage | Progress | Finished | Failed


@dataclass(slots=True)
class Transcript:
    """The fold of one stream: what was said so far, and how it ended."""

    texts: list[str] = field(default_factory=list)
    thoughts: list[str] = field(default_factory=list)
    calls: dict[int, list[ToolCall]] = field(default_factory=dict)
    usage: Usage | None = None
    generation: str | None = None
    end: Finished | Failed | None = None

    def hear(self, event: Event) -> None:
        """Add one event."""
        match event:
            case Text():
                self.texts.append(event.text)
            case Thinking():
                self.thoughts.append(event.text)
            case ToolCall():
                self.calls.setdefault(event.index, []).append(event)
            case Usage():
                self.usage = event.after(self.usage)
            case Finished() | Failed():
                self.end = event
            case Opened():
                self.generation = event.generation
            case Progress():
                pass

    @property
    def text(self) -> str:
        """The answer's content so far."""
        return "".join(self.texts)

    @property
    def thinking(self) -> str:
        """The reasoning so far."""
        return "".join(self.thoughts)

    @property
    def tool_calls(self) -> tuple[FunctionCall, ...]:
        """The tool calls, each put together from its pieces, in order of their index."""
        return tuple(_assembled(self.calls[index]) for index in sorted(self.calls))

    @property
    def complete(self) -> bool:
        """Whether the stream ended well."""
        return isinstance(self.end, Finished)


def joined(events: Iterable[Event]) -> Iterator[Event]:
    """The same events with neighbouring pieces of text as one: what came together goes on together."""
    pieces: list[Text] = []
    for event in events:
        if type(event) is Text:
            pieces.append(event)
            continue
        if pieces:
            yield _one(pieces)
            pieces = []
        yield event
    if pieces:
        yield _one(pieces)


def fold(events: Iterable[Event]) -> Transcript:
    """The transcript of events that are all in."""
    transcript = Transcript()
    for event in events:
        transcript.hear(event)
    return transcript


def _one(pieces: list[Text]) -> Text:
    return pieces[0] if len(pieces) == 1 else Text(member=pieces[0].member, text="".join([piece.text for piece in pieces]))


def _assembled(pieces: list[ToolCall]) -> FunctionCall:
    first = next((piece for piece in pieces if piece.name), pieces[0])
    return FunctionCall(
        id=next((piece.id for piece in pieces if piece.id), ""),
        name=first.name,
        arguments="".join(piece.arguments for piece in pieces),
    )
