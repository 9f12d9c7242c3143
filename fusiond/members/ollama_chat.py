"""Ollama's chat as bytes: the question for a call, and what the lines of its answer mean. No I/O."""

from __future__ import annotations

import json
import logging
from collections.abc import Iterable, Iterator, Mapping
from typing import Any

from pydantic_core import from_json

from fusiond.call import Call
from fusiond.catalog import Member
from fusiond.chat import FunctionCall, ImagePart, Message, Request
from fusiond.errors import Garbled, Rejected
from fusiond.events import Event, Finished, Text, Thinking, ToolCall, Usage
from fusiond.members.dialects import count, reason_of
from fusiond.members.http import rejected, string

log = logging.getLogger(__name__)

_OPTIONS = ("temperature", "top_p", "top_k", "min_p", "seed", "frequency_penalty", "presence_penalty")
_EFFORTS = {"low": "low", "medium": "medium", "high": "high", "xhigh": "high", "minimal": "low"}


class Lines:
    """The lines of one answer, read one after the other. `end`: the success end, once its line has come."""

    __slots__ = ("_calls", "_voice", "end")

    def __init__(self, voice: str) -> None:
        self._voice = voice
        self._calls = 0
        self.end: Finished | None = None

    def read(self, lines: Iterable[bytes]) -> Iterator[Event]:
        """The events of lines that came together; what stands after the end is no part of the answer. Raises MemberError."""
        for line in lines:
            if self.end is not None:
                return
            try:
                yield from self._line(parsed(line))
            except (ArithmeticError, AttributeError, KeyError, TypeError, ValueError) as error:
                raise Garbled(f"a line of another form ({type(error).__name__}): {line[:80]!r}") from None

    def _line(self, said: Mapping[str, Any]) -> Iterator[Event]:
        if "error" in said:
            raise rejected(said["error"])
        message = said.get("message") or {}
        if thought := message.get("thinking"):
            yield Thinking(member=self._voice, text=string(thought))
        if text := message.get("content"):
            yield Text(member=self._voice, text=string(text))
        for made in message.get("tool_calls") or ():
            yield self._tool_call(made)
        if said.get("done"):
            yield from self._usage(said)
            self.end = self._finished(said.get("done_reason"))

    def _tool_call(self, made: Mapping[str, Any]) -> ToolCall:
        """A call comes whole, with its arguments as an object."""
        function = made["function"]
        arguments = function.get("arguments")
        index, self._calls = self._calls, self._calls + 1
        text = arguments if isinstance(arguments, str) else json.dumps(arguments or {})
        return ToolCall(member=self._voice, index=index, id=string(made.get("id") or ""), name=string(function["name"]), arguments=text)

    def _usage(self, said: Mapping[str, Any]) -> Iterator[Usage]:
        """The tokens, where they are told as such; of a prompt that it still had in its cache, some servers count none."""
        try:
            prompt, completion = count(said.get("prompt_eval_count")), count(said.get("eval_count"))
        except ValueError as error:
            log.debug("%s: its usage is none, and stays unknown (%s)", self._voice, error)
            return
        if prompt or completion:
            yield Usage(member=self._voice, prompt_tokens=prompt or 0, completion_tokens=completion or 0)

    def _finished(self, reason: object) -> Finished:
        if reason in ("load", "unload"):
            raise Rejected(f"the server only did a {reason}, and gave no answer")
        told = reason_of(string(reason or "stop"))
        return Finished(member=self._voice, reason="tool_calls" if self._calls and told == "stop" else told)


def parsed(line: bytes) -> dict[str, Any]:
    """A line's object. Raises Garbled."""
    try:
        said = from_json(line)
    except ValueError:
        raise Garbled(f"not JSON: {line[:80]!r}") from None
    if not isinstance(said, dict):
        raise Garbled(f"not an object: {line[:80]!r}")
    return said


def question(call: Call, keep_alive: str) -> dict[str, Any]:
    """The body for `/api/chat`. What the request says stands over the member's own options, and over both the window, which is pinned."""
    request = call.request
    asked: dict[str, Any] = {
        "model": call.member.model,
        "messages": [_message(message, request) for message in request.messages],
        "stream": True,
        "truncate": False,
        "shift": False,
        "keep_alive": keep_alive,
        "options": {**call.member.options, **_sampling(call), **window(call.member)},
    }
    if (think := _think(call)) is not None:
        asked["think"] = think
    if request.tools and not (request.tool_choice and request.tool_choice.mode == "none"):
        asked["tools"] = [_tool(tool.name, tool.description, tool.parameters) for tool in request.tools]
    if request.format is not None:
        asked["format"] = request.format.schema if request.format.schema is not None else "json"
    return asked


def load_order(member: Member, keep_alive: str) -> dict[str, Any]:
    """The body that has a model loaded, with the options that would otherwise have it loaded again."""
    runner = {**{name: value for name, value in member.options.items() if name.startswith(("num_", "main_gpu", "use_mmap"))}, **window(member)}
    runner.pop("num_predict", None)
    return {"model": member.model, "messages": [], "stream": False, "shift": False, "keep_alive": keep_alive, "options": runner}


def window(member: Member) -> dict[str, int]:
    """The pinned context."""
    return {} if member.context is None else {"num_ctx": member.context}


def _sampling(call: Call) -> dict[str, Any]:
    sampling = call.request.sampling
    options: dict[str, Any] = {name: value for name in _OPTIONS if (value := getattr(sampling, name)) is not None}
    if (most := call.most_tokens) is not None:
        options["num_predict"] = most
    if sampling.stop:
        options["stop"] = list(sampling.stop)
    return options


def _think(call: Call) -> bool | str | None:
    """Said explicitly to members that think; the others refuse to be told. An effort is a level only for those that know levels."""
    if not call.member.reasoning:
        return None
    effort = call.request.sampling.reasoning_effort
    if effort == "none":
        return False
    return _EFFORTS.get(effort or "", True) if "gpt-oss" in call.member.model else True


def _message(message: Message, request: Request) -> dict[str, Any]:
    told: dict[str, Any] = {"role": message.role, "content": message.text}
    if images := [_base64(part) for part in message.parts if isinstance(part, ImagePart)]:
        told["images"] = images
    if message.tool_calls:
        told["tool_calls"] = [{"id": made.id, "function": {"name": made.name, "arguments": _arguments(made)}} for made in message.tool_calls]
    if message.call_id is not None:
        told["tool_call_id"] = message.call_id
        if name := message.name or _name_of(message.call_id, request):
            told["tool_name"] = name
    return told


def _base64(image: ImagePart) -> str:
    scheme, _, data = image.url.partition(";base64,")
    if not scheme.startswith("data:") or not data:
        raise Rejected("takes images only as data: URLs, and fetches none")
    return data


def _arguments(made: FunctionCall) -> dict[str, Any]:
    """Arguments as the object that Ollama wants; what is no JSON object cannot be told."""
    try:
        arguments = from_json(made.arguments or "{}")
    except ValueError:
        arguments = None
    if not isinstance(arguments, dict):
        raise Rejected(f"the arguments of the earlier tool call {made.name} are not a JSON object")
    return arguments


def _name_of(call_id: str, request: Request) -> str | None:
    return next((made.name for message in request.messages for made in message.tool_calls if made.id == call_id), None)


def _tool(name: str, description: str | None, parameters: Mapping[str, Any] | None) -> dict[str, Any]:
    function = {"name": name, "description": description, "parameters": parameters or {"type": "object", "properties": {}}}
    return {"type": "function", "function": {key: value for key, value in function.items() if value is not None}}
