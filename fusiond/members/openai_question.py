"""A question as OpenAI's chat completions have it."""

from __future__ import annotations

from typing import Any

from fusiond.call import Call
from fusiond.chat import Message, Part, Request, TextPart

_SAMPLING = ("temperature", "top_p", "top_k", "min_p", "seed", "frequency_penalty", "presence_penalty", "reasoning_effort")


def body(call: Call) -> dict[str, Any]:
    """What is asked; the member's own options are what stands where the request says nothing."""
    request = call.request
    sampling = {name: value for name in _SAMPLING if (value := getattr(request.sampling, name)) is not None}
    if (most := call.most_tokens) is not None:
        sampling["max_tokens"] = most
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
    if isinstance(part, TextPart):
        return {"type": "text", "text": part.text}
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
