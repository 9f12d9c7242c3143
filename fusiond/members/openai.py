"""Any server that speaks OpenAI's chat completions, always asked for a stream: llama-server, vLLM, LM Studio, and the built-in engine."""

from __future__ import annotations

import json
import operator
from collections.abc import AsyncGenerator, Iterable, Iterator, Mapping
from contextlib import aclosing
from decimal import Decimal
from typing import Any

from pydantic_core import from_json

from fusiond.call import Call
from fusiond.catalog import Member, ModelFacts, ProviderFacts
from fusiond.chat import ImagePart, Message, Part, Request, TextPart
from fusiond.config.tree import OpenAIConfig
from fusiond.errors import Garbled, MemberError, Truncated
from fusiond.events import Event, Finished, FinishReason, Text, Thinking, ToolCall, Usage, joined
from fusiond.members import State
from fusiond.members.http import Link, at_end, pieces, rejected, string, whole
from fusiond.members.patience import Patience
from fusiond.members.residency import Residency
from fusiond.members.sse import SseDecoder
from fusiond.resolve import place_of

LIST_SECONDS = 10.0

_REASONS: Mapping[str, FinishReason] = {
    "stop": "stop",
    "length": "length",
    "tool_calls": "tool_calls",
    "function_call": "tool_calls",
    "content_filter": "content_filter",
}
_SAMPLING = ("temperature", "top_p", "top_k", "min_p", "max_tokens", "seed", "frequency_penalty", "presence_penalty", "reasoning_effort")


class OpenAI:
    """A provider with `api = "openai"`."""

    def __init__(self, config: OpenAIConfig, residency: Residency) -> None:
        key = config.api_key.read() if config.api_key else None
        self._config = config
        self._residency = residency
        self._link = Link(config.url, {"Authorization": f"Bearer {key}"} if key else None)

    async def stream(self, call: Call, patience: Patience) -> AsyncGenerator[Event, None]:
        """Ask one member."""
        slot = self._residency.slot((self._config.url, call.member.model), self._config.parallel, call.deadline)
        async with slot, aclosing(chat(self._link, body(call), call, patience)) as events:
            async for event in events:
                yield event

    def state(self, member: Member) -> State:  # noqa: ARG002  # such a server does not tell
        """Taken for ready."""
        return "ready"

    async def discover(self) -> ProviderFacts:
        """The models that the server lists, if the configuration wants to know."""
        if not self._config.discover:
            return ProviderFacts()
        patience = Patience(first_token=LIST_SECONDS, stall=LIST_SECONDS, total=LIST_SECONDS, deadline=float("inf"))
        try:
            listed = listing(await self._link.get("/models", patience))
        except MemberError as error:
            return ProviderFacts(error=error.message)
        place = place_of(self._config)
        return ProviderFacts(models={name: ModelFacts(model=name, place=place) for entry in listed if isinstance(name := entry.get("id"), str)})

    async def aclose(self) -> None:
        """Close every connection."""
        await self._link.aclose()


def listing(document: Any) -> list[Mapping[str, Any]]:
    """The entries of a list of models, as far as they are entries."""
    entries = document.get("data") if isinstance(document, dict) else None
    return [entry for entry in entries if isinstance(entry, dict)] if isinstance(entries, list) else []


async def chat(link: Link, question: Mapping[str, Any], call: Call, patience: Patience) -> AsyncGenerator[Event, None]:
    """The events of one streamed chat completion. Raises MemberError."""
    decoder, chunks = SseDecoder(), Chunks(call.voice)
    async with link.post("/chat/completions", question, patience) as response:
        if response.content_type == "text/html":
            raise Garbled("an HTML page instead of an answer")
        if response.content_type == "application/json":  # some servers do not stream, whatever they are asked
            rest = [await whole(response, patience)]
        else:
            async with aclosing(pieces(response, patience)) as body:
                async for data in body:
                    for event in joined(chunks.read(decoder.feed(data))):
                        patience.heard()
                        yield event
                    if chunks.done:
                        break
            rest = decoder.end()
        for event in chunks.read(rest):
            yield event
        await at_end(response)
    yield chunks.finished()


class Chunks:
    """What the chunks of one stream mean, read one after the other."""

    __slots__ = ("_call_ids", "_reason", "_voice", "done")

    def __init__(self, voice: str) -> None:
        self._voice = voice
        self._reason: FinishReason | None = None
        self._call_ids: list[str] = []
        self.done = False

    def read(self, payloads: Iterable[bytes]) -> Iterator[Event]:
        """The events of payloads that came together. Raises MemberError."""
        for payload in payloads:
            if payload == b"[DONE]":
                self.done = True
                return
            try:
                yield from self._chunk(from_json(payload))
            except ValueError:
                raise Garbled(f"not JSON: {payload[:80]!r}") from None
            except (ArithmeticError, AttributeError, IndexError, KeyError, TypeError) as error:
                raise Garbled(f"a chunk of another form ({type(error).__name__}): {payload[:80]!r}") from None

    def finished(self) -> Finished:
        """The end. Raises Truncated where the stream did not say that it was complete."""
        if self._reason is None and not self.done:
            raise Truncated("the stream stopped without its end")
        return Finished(member=self._voice, reason=self._reason or ("tool_calls" if self._call_ids else "stop"))

    def _chunk(self, chunk: Mapping[str, Any]) -> Iterator[Event]:
        if chunk.get("error"):
            raise rejected(chunk["error"])
        if choices := chunk.get("choices"):
            choice = choices[0]
            delta = choice.get("delta") or choice.get("message") or {}
            if text := delta.get("content"):
                yield Text(member=self._voice, text=string(text))
            if len(delta) > 1 or not text:
                yield from self._more(delta)
            if reason := choice.get("finish_reason"):
                self._reason = self._read_reason(choice, reason)
        if usage := chunk.get("usage"):
            yield self._usage(usage)

    def _more(self, delta: Mapping[str, Any]) -> Iterator[Event]:
        """What a delta may hold beside text."""
        if thought := delta.get("reasoning_content") or delta.get("reasoning"):
            yield Thinking(member=self._voice, text=string(thought))
        if refusal := delta.get("refusal"):
            yield Text(member=self._voice, text=string(refusal))
        for place, piece in enumerate(delta.get("tool_calls") or ()):
            yield self._tool_call(place, piece)

    def _read_reason(self, choice: Mapping[str, Any], reason: str) -> FinishReason:
        if reason == "error":
            raise rejected(choice.get("error") or "the provider ended the answer with an error")
        return _REASONS.get(reason, "stop")

    def _tool_call(self, place: int, piece: Mapping[str, Any]) -> ToolCall:
        function = piece.get("function") or {}
        index = piece.get("index")
        arguments = function.get("arguments") or ""
        call_id, name = string(piece.get("id") or ""), string(function.get("name") or "")
        if name:
            self._call_ids.append(call_id)
        return ToolCall(
            member=self._voice,
            index=place if index is None else operator.index(index),
            id=call_id,
            name=name,
            arguments=arguments if isinstance(arguments, str) else json.dumps(arguments),
        )

    def _usage(self, usage: Mapping[str, Any]) -> Usage:
        cost = None if usage.get("cost") is None else Decimal(str(usage["cost"]))
        if cost is not None and not 0 <= cost < Decimal("Infinity"):
            raise ValueError(cost)
        return Usage(
            member=self._voice,
            prompt_tokens=int(usage.get("prompt_tokens") or 0),
            completion_tokens=int(usage.get("completion_tokens") or 0),
            cost=cost,
        )


def body(call: Call) -> dict[str, Any]:
    """The question as OpenAI's protocol has it; the member's own options are what stands where the request says nothing."""
    request = call.request
    sampling = {name: value for name in _SAMPLING if (value := getattr(request.sampling, name)) is not None}
    question: dict[str, Any] = {
        "model": call.member.model,
        "messages": [_message(message) for message in request.messages],
        "stream": True,
        "stream_options": {"include_usage": True},
        **sampling,
        **_tools(request),
    }
    if request.sampling.stop:
        question["stop"] = list(request.sampling.stop)
    if request.format is not None:
        question["response_format"] = _format(request)
    return {**call.member.options, **question}


def _message(message: Message) -> dict[str, Any]:
    told: dict[str, Any] = {"role": message.role, "content": _content(message.parts)}
    if message.tool_calls:
        told["tool_calls"] = [
            {"id": made.id, "type": "function", "function": {"name": made.name, "arguments": made.arguments}} for made in message.tool_calls
        ]
        told["content"] = told["content"] or None
    if message.call_id is not None:
        told["tool_call_id"] = message.call_id
    if message.name is not None:
        told["name"] = message.name
    return told


def _content(parts: tuple[Part, ...]) -> str | list[dict[str, Any]]:
    """Plain text as a string, which every server takes; parts only where there is more than text."""
    if all(isinstance(part, TextPart) for part in parts):
        return "".join(part.text for part in parts if isinstance(part, TextPart))
    return [_part(part) for part in parts]


def _part(part: Part) -> dict[str, Any]:
    match part:
        case TextPart():
            return {"type": "text", "text": part.text}
        case ImagePart():
            return {"type": "image_url", "image_url": {"url": part.url} | ({"detail": part.detail} if part.detail else {})}


def _tools(request: Request) -> dict[str, Any]:
    if not request.tools:
        return {}
    offered: dict[str, Any] = {"tools": []}
    for tool in request.tools:
        function = {"name": tool.name, "description": tool.description, "parameters": tool.parameters, "strict": tool.strict}
        offered["tools"].append({"type": "function", "function": {key: value for key, value in function.items() if value is not None}})
    if request.tool_choice is not None:
        named = request.tool_choice.name
        offered["tool_choice"] = {"type": "function", "function": {"name": named}} if named else request.tool_choice.mode
    if request.parallel_tool_calls is not None:
        offered["parallel_tool_calls"] = request.parallel_tool_calls
    return offered


def _format(request: Request) -> dict[str, Any]:
    wanted = request.format
    if wanted is None or wanted.kind == "json_object":
        return {"type": "json_object"}
    schema = {"name": wanted.name, "schema": wanted.schema or {}, "strict": wanted.strict}
    return {"type": "json_schema", "json_schema": {key: value for key, value in schema.items() if value is not None}}
