"""OpenAI's chat completions: events in, the bytes of an answer out, streamed (`Encoder`) or whole (`whole`).

The rule: the family's exact shape, and what is ours beside it (`usage.cost`, `usage.fusion`, `fusion`). Thinking is never content; usage
comes in a chunk of its own, because clients drop what stands beside it; a stream that failed has no `finish_reason` and no `[DONE]`.
All JSON is ASCII: some clients split lines at U+2028 or U+0085, and half of a surrogate pair, which members do send, has no UTF-8.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from json.encoder import encode_basestring_ascii
from typing import Any

from fusiond.chat import FunctionCall, Request
from fusiond.errors import FusiondError
from fusiond.events import Event, Failed, Finished, FinishReason, Opened, Progress, Text, Thinking, ToolCall, Transcript, Usage
from fusiond.report import MemberReport, Report
from fusiond.wire.openai_errors import error_body

KEEP_ALIVE = b": keep-alive\n\n"
"""What a silent stream sends. Not `ping`: one client takes that comment for the end."""

_DONE = b"data: [DONE]\n\n"


class Encoder:
    """One answer as server-sent events. `created`: seconds since 1970; the same id, time and model stand in every chunk."""

    __slots__ = ("_begun", "_calls_begun", "_delta_end", "_delta_start", "_head", "_request")

    def __init__(self, request: Request, created: int) -> None:
        self._request = request
        self._head = b"data: " + _json(_frame(request, created, "chat.completion.chunk"))[:-1]
        self._delta_start = self._head + b',"choices":[{"index":0,"delta":'
        self._delta_end = b',"finish_reason":null}]}\n\n'
        self._begun = False
        self._calls_begun: set[int] = set()

    def event(self, event: Event) -> bytes:
        """The chunk for one event; the role comes before the first. Empty for what is told by `end` or `failure`, or was not asked for."""
        match event:
            case Text():
                return self._delta(b'{"content":%b}' % _string(event.text))
            case Thinking():
                thought = _string(event.text)
                return self._delta(b'{"reasoning":%b,"reasoning_content":%b}' % (thought, thought))
            case ToolCall():
                return self._delta(_json({"tool_calls": [self._call(event)]}))
            case Progress():
                return self._progress(event) if self._request.overrides.progress else b""
            case Usage() | Opened() | Finished() | Failed():
                return b""

    def end(self, reason: FinishReason, report: Report) -> bytes:
        """The success end: why the answer stops, then the trace and the usage as far as they were asked for, then the terminator."""
        chunks = [self._role(), self._head, b',"choices":[{"index":0,"delta":{},"finish_reason":%b}]}\n\n' % _string(reason)]
        if told := _told(self._request, report):
            chunks.append(self._without_choices("fusion", told))
        if self._request.include_usage or self._request.overrides.trace:
            chunks.append(self._without_choices("usage", _usage(report)))
        return b"".join((*chunks, _DONE))

    def failure(self, error: FusiondError) -> bytes:
        """The end of a stream that failed after it began. The connection must be aborted after it: a clean end looks like success."""
        return b"data: %b\n\n" % _json(error_body(error))

    def _delta(self, delta: bytes) -> bytes:
        chunk = self._delta_start + delta + self._delta_end
        return chunk if self._begun else self._role() + chunk

    def _role(self) -> bytes:
        if self._begun:
            return b""
        self._begun = True
        return self._delta(b'{"role":"assistant","content":""}')

    def _call(self, piece: ToolCall) -> dict[str, Any]:
        if piece.index in self._calls_begun:
            return {"index": piece.index, "function": {"arguments": piece.arguments}}
        self._calls_begun.add(piece.index)
        return {"index": piece.index, **_tool_call(self._request, piece.index, piece)}

    def _progress(self, event: Progress) -> bytes:
        said = {"member": event.member, "text": event.text, "status": event.status}
        return self._without_choices("fusion", {"progress": {name: value for name, value in said.items() if value}})

    def _without_choices(self, name: str, value: Mapping[str, Any]) -> bytes:
        return b'%b,"choices":[],"%b":%b}\n\n' % (self._head, name.encode(), _json(value))


def whole(request: Request, created: int, transcript: Transcript, report: Report) -> bytes:
    """The answer in one piece. The transcript must have ended well."""
    if not isinstance(transcript.end, Finished):
        raise TypeError(f"not a complete answer: {transcript.end}")
    choice = {"index": 0, "message": _message(request, transcript), "logprobs": None, "finish_reason": transcript.end.reason}
    body = {**_frame(request, created, "chat.completion"), "choices": [choice], "usage": _usage(report)}
    if told := _told(request, report):
        body["fusion"] = told
    return _json(body)


def _frame(request: Request, created: int, kind: str) -> dict[str, Any]:
    return {"id": f"chatcmpl-{request.id}", "object": kind, "created": created, "model": request.model, "system_fingerprint": "fusiond"}


def _message(request: Request, transcript: Transcript) -> dict[str, Any]:
    text, thinking, calls = transcript.text, transcript.thinking, transcript.tool_calls
    message: dict[str, Any] = {"role": "assistant", "content": text if text or not calls else None, "refusal": None}
    if calls:
        message["tool_calls"] = [_tool_call(request, index, call) for index, call in enumerate(calls)]
    if thinking:
        message |= {"reasoning": thinking, "reasoning_content": thinking}
    return message


def _tool_call(request: Request, index: int, call: ToolCall | FunctionCall) -> dict[str, Any]:
    """A call needs an id for its result to refer to: where the member gave none, it is made of the request's."""
    return {"id": call.id or f"call_{request.id}_{index}", "type": "function", "function": {"name": call.name, "arguments": call.arguments}}


def _usage(report: Report) -> dict[str, Any]:
    totals = report.totals
    usage: dict[str, Any] = {
        **_tokens(report),
        "cost": float(report.cost_usd),
        "fusion": {"prompt_tokens": totals.prompt_tokens, "completion_tokens": totals.completion_tokens, "calls": totals.calls},
    }
    return usage | {"estimated": True} if report.estimated else usage


def _tokens(counted: Usage | Report) -> dict[str, int]:
    prompt, completion = counted.prompt_tokens, counted.completion_tokens
    return {"prompt_tokens": prompt, "completion_tokens": completion, "total_tokens": prompt + completion}


def _told(request: Request, report: Report) -> dict[str, Any]:
    """What was asked for of how the answer came about: the trace, and OpenRouter's words for a synthesis."""
    told = _trace(report) if request.overrides.trace else {}
    return told | _deliberation(report) if request.overrides.analysis else told


def _deliberation(report: Report) -> dict[str, Any]:
    """The judge's comparison, the drafts, and who of the panel gave none."""
    panel = [member for member in report.members if member.role == "panel"]
    return {
        "analysis": report.analysis,
        "responses": [{"model": member.member, "content": member.text} for member in panel if member.status == "answered"],
        "failed_models": [{"model": member.member, "error": member.error} for member in panel if member.error],
    }


def _trace(report: Report) -> dict[str, Any]:
    told = {
        "strategy": report.strategy,
        "members": [_part_of(member) for member in report.members],
        "confidence": report.confidence,
        "agreement": report.agreement,
        "decision": report.decision,
        "reason": report.reason,
        "analysis": report.analysis,
        "cost_usd": float(report.cost_usd),
        "saved_usd": float(report.saved_usd),
        "degraded": report.degraded,
    }
    return told | {"fields": dict(report.fields)} if report.fields else told


def _part_of(member: MemberReport) -> dict[str, Any]:
    return {
        "member": member.member,
        "sample": member.sample,
        "role": member.role,
        "model": member.model,
        "place": member.place,
        "status": member.status,
        "key": member.key,
        "text": member.text,
        "first_token_ms": member.first_token_ms,
        "total_ms": member.total_ms,
        "usage": _tokens(member.usage) if member.usage else None,
        "cost_usd": float(member.cost_usd),
        "error": member.error,
    }


def _string(text: str) -> bytes:
    return encode_basestring_ascii(text).encode()


def _json(value: Mapping[str, Any]) -> bytes:
    return json.dumps(value, separators=(",", ":")).encode()
