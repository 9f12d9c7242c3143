"""What a client asks, free of any wire protocol.

Values only: every wire family decodes into these, every member encodes from them, and nothing here knows either.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from decimal import Decimal
from typing import Any, Literal

from fusiond.config.tree import Privacy

Role = Literal["system", "user", "assistant", "tool"]
JsonObject = Mapping[str, Any]
"""A JSON object kept as it came: a schema, a tool's parameters, a provider's own options."""


@dataclass(frozen=True, slots=True, kw_only=True)
class TextPart:
    """A piece of text in a message."""

    text: str


@dataclass(frozen=True, slots=True, kw_only=True)
class ImagePart:
    """An image, as a `data:` URL (an https URL is passed on, never fetched)."""

    url: str
    detail: str | None = None


Part = TextPart | ImagePart


@dataclass(frozen=True, slots=True, kw_only=True)
class FunctionCall:
    """A tool call that an assistant made: `arguments` is JSON text, exactly as the model wrote it."""

    id: str
    name: str
    arguments: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Message:
    """One turn of the conversation. `call_id` and `name` belong to tool results."""

    role: Role
    parts: tuple[Part, ...] = ()
    tool_calls: tuple[FunctionCall, ...] = ()
    call_id: str | None = None
    name: str | None = None

    @property
    def text(self) -> str:
        """All text parts, joined as they stand."""
        return "".join(part.text for part in self.parts if isinstance(part, TextPart))


@dataclass(frozen=True, slots=True, kw_only=True)
class Tool:
    """A function that the client offers."""

    name: str
    description: str | None = None
    parameters: JsonObject | None = None
    strict: bool | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class ToolChoice:
    """Whether tools may or must be called; with `name`, which one."""

    mode: Literal["none", "auto", "required"] = "auto"
    name: str | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Format:
    """The form that the answer must have: any JSON object, or JSON that fits `schema`."""

    kind: Literal["json_object", "json_schema"]
    schema: JsonObject | None = None
    name: str = "answer"
    strict: bool | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Sampling:
    """How a member draws its answer. None: the member's own default stands. `max_tokens` counts completion tokens."""

    temperature: float | None = None
    top_p: float | None = None
    top_k: int | None = None
    min_p: float | None = None
    max_tokens: int | None = None
    stop: tuple[str, ...] = ()
    seed: int | None = None
    frequency_penalty: float | None = None
    presence_penalty: float | None = None
    reasoning_effort: str | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Overrides:
    """What one request changes of the fusion it names; None: nothing. `said`: the body's fields that say so, where they are none of `fusion`.

    `analysis`: the answer carries the judge's comparison and the drafts, as the dialect has it in which a synthesis was asked for.
    """

    strategy: str | None = None
    panel: tuple[str, ...] | None = None
    judge: str | None = None
    writer: str | None = None
    trace: bool = False
    progress: bool = False
    analysis: bool = False
    said: tuple[tuple[str, str], ...] = field(default=(), compare=False)

    def where(self, wish: str) -> str:
        """The path of the field that says it."""
        return dict(self.said).get(wish, f"fusion.{wish}")


@dataclass(frozen=True, slots=True, kw_only=True)
class Limit:
    """A limit that the request sets itself, and where it says so. It can only be stricter than ours. `max_cost_usd`: for the whole request."""

    name: str
    privacy: Privacy | None = None
    max_cost_usd: Decimal | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Request:
    """One question to the daemon. `ignored` names the fields that were accepted and not used; `depth`: how many fusions it has come through."""

    id: str
    model: str
    messages: tuple[Message, ...]
    sampling: Sampling = Sampling()
    tools: tuple[Tool, ...] = ()
    tool_choice: ToolChoice | None = None
    parallel_tool_calls: bool | None = None
    format: Format | None = None
    stream: bool = False
    include_usage: bool = False
    overrides: Overrides = Overrides()
    limits: tuple[Limit, ...] = ()
    depth: int = 0
    ignored: tuple[str, ...] = ()

    def traced(self) -> Request:
        """The same request, with a trace asked for."""
        return replace(self, overrides=replace(self.overrides, trace=True))

    def limited(self, *limits: Limit) -> Request:
        """The same request, with further limits."""
        return replace(self, limits=(*self.limits, *limits)) if limits else self
