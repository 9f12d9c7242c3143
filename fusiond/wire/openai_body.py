"""The body of OpenAI's chat completions, as clients write it: shapes only; what they mean is told in `openai_chat`.

The rule: a field stands here when it is used, or when it is refused as soon as it asks for something. Everything else is passed over.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Annotated, Any

from pydantic import Field

from fusiond.wire.body import Bool, Count, Int, Many, Share, Str, Word, or_string

Temperature = Annotated[float, Field(strict=True, ge=0, le=2)]
Penalty = Annotated[float, Field(strict=True, ge=-2, le=2)]
Amount = Annotated[float, Field(strict=True, ge=0, le=1e9)]
Object = Annotated[dict[str, Any], Field(strict=True)]


@dataclass(frozen=True, slots=True, kw_only=True)
class ImageUrl:
    """`image_url` of a part."""

    url: Word
    detail: Str | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class ContentPart:
    """One part of a message's content; which of the fields it needs is told by `type`."""

    type: Str
    text: Str | None = None
    refusal: Str | None = None
    image_url: Annotated[ImageUrl | None, or_string(dict, lambda url: {"url": url}, "must be a string or an object with a url")] = None


def _text_parts(text: str) -> list[dict[str, str]]:
    return [{"type": "text", "text": text}] if text else []


@dataclass(frozen=True, slots=True, kw_only=True)
class CalledFunction:
    """`function` of an assistant's tool call."""

    name: Word
    arguments: Str | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class AssistantCall:
    """A tool call that an assistant made, as the client echoes it."""

    id: Str | None = None
    type: Str | None = None
    function: CalledFunction


@dataclass(frozen=True, slots=True, kw_only=True)
class ChatMessage:
    """One message of any role."""

    role: Str
    content: Annotated[Many[ContentPart] | None, or_string(list, _text_parts, "must be a string or a list of parts")] = None
    name: Str | None = None
    tool_calls: Many[AssistantCall] | None = None
    tool_call_id: Str | None = None
    function_call: Any = None
    audio: Any = None


@dataclass(frozen=True, slots=True, kw_only=True)
class OfferedFunction:
    """`function` of a tool."""

    name: Word
    description: Str | None = None
    parameters: Object | None = None
    strict: Bool | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class OfferedTool:
    """A tool that the client offers; without a `type` it is a function. `parameters` are those of OpenRouter's own tool that fuses."""

    type: Str | None = None
    function: OfferedFunction | None = None
    parameters: Object | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class NamedFunction:
    """`function` of a tool choice."""

    name: Word


@dataclass(frozen=True, slots=True, kw_only=True)
class Choice:
    """`tool_choice`; a bare string is its `type`."""

    type: Str | None = None
    function: NamedFunction | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class NamedSchema:
    """`json_schema` of a response format."""

    name: Word | None = None
    schema: Object
    strict: Bool | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class ResponseFormat:
    """`response_format`. `schema` beside `json_object` is how llama.cpp's server takes a schema."""

    type: Str
    json_schema: NamedSchema | None = None
    schema: Object | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class StreamOptions:
    """`stream_options`."""

    include_usage: Bool | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Judge:
    """`judge` in LiteLLM's form; a bare string is its `model`."""

    model: Word


@dataclass(frozen=True, slots=True, kw_only=True)
class FusionOptions:
    """`fusion`, the daemon's own field: what this request changes of the fusion it names. `models` is LiteLLM's word for the panel."""

    strategy: Str | None = None
    panel: Many[Word] | None = None
    models: Many[Word] | None = None
    judge: Annotated[Judge | None, or_string(dict, lambda model: {"model": model}, "must be a string or an object with a model")] = None
    writer: Word | None = None
    trace: Bool | None = None
    progress: Bool | None = None
    max_cost_usd: Amount | None = None
    privacy: Str | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Plugin:
    """One of `plugins`, OpenRouter's field."""

    id: Str
    enabled: Bool | None = None
    analysis_models: Many[Word] | None = None
    model: Word | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class ChatBody:
    """Every field of the body that is used, or refused when it asks for something."""

    model: Word
    messages: Many[ChatMessage]
    stream: Bool | None = None
    stream_options: StreamOptions | None = None
    temperature: Temperature | None = None
    top_p: Share | None = None
    top_k: Int | None = None
    min_p: Share | None = None
    max_tokens: Count | None = None
    max_completion_tokens: Count | None = None
    stop: Annotated[Many[Str] | None, or_string(list, lambda stop: [stop], "must be a string or a list of strings")] = None
    seed: Int | None = None
    frequency_penalty: Penalty | None = None
    presence_penalty: Penalty | None = None
    reasoning_effort: Word | None = None
    tools: Many[OfferedTool] | None = None
    tool_choice: Annotated[Choice | None, or_string(dict, lambda mode: {"type": mode}, "must be a string or an object")] = None
    parallel_tool_calls: Bool | None = None
    response_format: ResponseFormat | None = None
    fusion: FusionOptions | None = None
    n: Count | None = None
    logprobs: Bool | None = None
    modalities: Many[Str] | None = None
    audio: Any = None
    functions: Any = None
    function_call: Any = None
    plugins: Many[Plugin] | None = None
