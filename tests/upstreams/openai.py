"""A scripted server with OpenAI's chat completions: `POST {url}/chat/completions`, always streamed, and `GET {url}/models`."""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import Any, ClassVar

from tests.upstreams.record import Asked
from tests.upstreams.script import Call, Comment, ErrorChunk, Finish, Say, Script, Spoken, Status, Think, Usage
from tests.upstreams.upstream import Encode, Upstream, run

CREATED = 1767225600


class OpenAIUpstream(Upstream):
    """OpenAI's protocol, as llama-server, vLLM and LM Studio speak it."""

    chat_path: ClassVar[str] = "/v1/chat/completions"
    base_path: ClassVar[str] = "/v1"
    stream_type: ClassVar[str] = "text/event-stream"

    def encoder(self, asked: Asked, script: Script) -> Encode:
        """Chunks as server-sent events."""
        wanted = asked.body.get("stream_options") or {} if isinstance(asked.body, dict) else {}
        return Chunks(asked.model, script.usage if wanted.get("include_usage") else None).encode

    def page(self, asked: Asked) -> Status:
        """The list of models."""
        if (asked.method, asked.path) == ("GET", f"{self.base_path}/models"):
            return Status(200, {"object": "list", "data": [self.listed(model) for model in self.scripts]})
        return Status(404, self.error(404, f"{asked.method} {asked.path} is not there"))

    def listed(self, model: str) -> dict[str, Any]:
        """An entry of that list."""
        return {"id": model, "object": "model", "created": CREATED, "owned_by": "scripted"}

    def unknown(self, model: str) -> Status:
        """A model that is not there."""
        error = {"message": f"The model `{model}` does not exist", "type": "invalid_request_error", "param": None, "code": "model_not_found"}
        return Status(404, {"error": error})

    def error(self, status: int, message: str) -> Any:
        """The envelope with its four keys."""
        kind = "server_error" if status >= 500 else "invalid_request_error"
        return {"error": {"message": message, "type": kind, "param": None, "code": None}}


class Chunks:
    """The chunks of one answer. The first says the role, and nothing else."""

    id = "chatcmpl-scripted"

    def __init__(self, model: str, usage: Usage | None) -> None:
        self._model = model
        self._usage = usage
        self._begun = False

    def encode(self, step: Spoken) -> bytes:
        """A step as the bytes of its events."""
        match step:
            case Say(text):
                return self._delta({"content": text})
            case Think(text, field):
                return self._delta(self.thought(text, field))
            case Call():
                return self._delta({"tool_calls": [_call(step)]})
            case Finish():
                return self._finish(step)
            case ErrorChunk():
                return event(self.error(step))
            case Comment(text):
                return f": {text}\n\n".encode()

    def chunk(self, **fields: Any) -> dict[str, Any]:
        """What every chunk says, and *fields*."""
        usage = {"usage": None} if self._usage else {}
        return {"id": self.id, "object": "chat.completion.chunk", "created": CREATED, "model": self._model, **usage, **fields}

    def choice(self, delta: Mapping[str, Any], reason: str | None = None) -> dict[str, Any]:
        """The one choice."""
        return {"index": 0, "delta": delta, "logprobs": None, "finish_reason": reason}

    def thought(self, text: str, field: str) -> dict[str, Any]:
        """The delta of a thought."""
        return {field: text}

    def usage(self, usage: Usage) -> dict[str, Any]:
        """Tokens, counted and summed."""
        return {"prompt_tokens": usage.prompt, "completion_tokens": usage.completion, "total_tokens": usage.prompt + usage.completion}

    def error(self, step: ErrorChunk) -> dict[str, Any]:
        """A chunk that is an error."""
        return {"error": {"message": step.message, "type": "server_error", "param": None, "code": step.code, **step.metadata}}

    def _delta(self, delta: Mapping[str, Any]) -> bytes:
        role = b"" if self._begun else event(self.chunk(choices=[self.choice({"role": "assistant", "content": ""})]))
        self._begun = True
        return role + event(self.chunk(choices=[self.choice(delta)]))

    def _finish(self, step: Finish) -> bytes:
        end = event(self.chunk(choices=[self.choice({}, step.reason)])) if step.reason is not None else b""
        usage = event(self.chunk(choices=[], usage=self.usage(self._usage))) if self._usage else b""
        return end + usage + (b"data: [DONE]\n\n" if step.done else b"")


def event(document: Mapping[str, Any]) -> bytes:
    """A server-sent event."""
    return f"data: {json.dumps(document, ensure_ascii=False, separators=(',', ':'))}\n\n".encode()


def _call(step: Call) -> dict[str, Any]:
    opening = {"id": step.id, "type": "function"} if step.id else {}
    name = {"name": step.name} if step.name else {}
    return {"index": step.index, **opening, "function": {**name, "arguments": step.arguments}}


if __name__ == "__main__":
    run(OpenAIUpstream)
