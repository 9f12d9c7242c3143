"""A scripted Ollama by its own API: `/api/chat`, `/api/tags`, `/api/show`, `/api/ps`, `/api/version`.

As the real server has it: a model that is not in memory with the window that is asked for is loaded first, one at a time; a client that leaves
during a load aborts it; a question without messages only loads, or unloads with `keep_alive` 0.
"""

from __future__ import annotations

import asyncio
import hashlib
import json
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Any, ClassVar, Literal

from tests.upstreams.loopback import Reply
from tests.upstreams.record import Asked
from tests.upstreams.script import Call, Comment, ErrorChunk, Finish, Say, Script, Scripts, Spoken, Status, Think, Usage
from tests.upstreams.upstream import Encode, Upstream, run

VERSION = "0.24.0"
USUAL_WINDOW = 4096
MODIFIED = "2026-01-01T00:00:00Z"
MILLISECOND = 1_000_000
"""Nanoseconds."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Model:
    """What the server knows of a model. `parameters`: how many; `size` in bytes; `remote`: whose computer runs it, where that is not this one."""

    family: str = "llama"
    parameters: int = 134_515_008
    quantization: str = "Q4_K_M"
    size: int = 98_363_007
    context: int = 8192
    capabilities: tuple[str, ...] = ("completion", "tools")
    remote: str | None = None

    @property
    def details(self) -> dict[str, Any]:
        """As three of the pages have it."""
        count = f"{self.parameters / 1e9:.1f}B" if self.parameters >= 1e9 else f"{self.parameters / 1e6:.2f}M"
        return {
            "parent_model": "",
            "format": "gguf",
            "family": self.family,
            "families": [self.family],
            "parameter_size": count,
            "quantization_level": self.quantization,
        }


@dataclass(slots=True, eq=False, kw_only=True)
class Load:
    """One time that a model was loaded: `window` in tokens; what became of it."""

    model: str
    window: int
    state: Literal["loading", "loaded", "failed", "aborted"] = "loading"


class OllamaUpstream(Upstream):
    """Ollama. `loaded`: the models in memory, with their windows; `loads`: every load so far.

    *load* is played while a model is loaded: `Gate(event)` holds it, `Status(500, {"error": "..."})` makes it fail. It can be set at any time.
    A name without a tag is one with `:latest`.
    """

    chat_path: ClassVar[str] = "/api/chat"
    stream_type: ClassVar[str] = "application/x-ndjson"

    def __init__(
        self, scripts: Scripts, *, models: Mapping[str, Model] | None = None, loaded: Iterable[str] = (), load: Script | None = None, port: int = 0
    ) -> None:
        super().__init__({_full(name): script for name, script in scripts.items()}, port=port)
        self.models = {name: Model() for name in self.scripts} | {_full(name): model for name, model in (models or {}).items()}
        self.loaded = {_full(name): USUAL_WINDOW for name in loaded}
        self.load = load or Script()
        self.loads: list[Load] = []
        self._loader = asyncio.Lock()

    def pull(self, name: str, script: Script, model: Model | None = None) -> None:
        """Have one model more."""
        self.scripts[_full(name)] = script
        self.models[_full(name)] = model or Model()

    async def chat(self, asked: Asked, reply: Reply) -> None:
        """Load the model where needed, then answer by its script."""
        name = _full(asked.model)
        question = bool(asked.body.get("messages"))
        if question:
            self.is_chat(asked)
        if refusal := self._refusal(asked, name):
            await self.play(Script(refusal), asked, reply)
        elif not question and asked.body.get("keep_alive") == 0:
            self.loaded.pop(name, None)
            await reply.whole(200, _line(asked.model, done=True, done_reason="unload"))
        else:
            await self._in_memory(name, asked, reply)
            if question and not reply.over:
                await self.play(self.script_for(name), asked, reply)
            elif not reply.over:
                await reply.whole(200, _line(asked.model, done=True, done_reason="load"))

    def encoder(self, asked: Asked, script: Script) -> Encode:
        """Lines of JSON."""
        return lambda step: _bytes(_said(step, asked.model, script.usage))

    def page(self, asked: Asked) -> Status:
        """Everything but chat."""
        match asked.method, asked.path:
            case "GET", "/":
                return Status(200, "Ollama is running")
            case "GET", "/api/version":
                return Status(200, {"version": VERSION})
            case "GET", "/api/tags":
                return Status(200, {"models": [self._listed(name) for name in self.models]})
            case "GET", "/api/ps":
                return Status(200, {"models": [self._running(name) for name in self.loaded]})
            case "POST", "/api/show":
                return self._shown(asked.body or {})
        return Status(404, "404 page not found")

    def unknown(self, model: str) -> Status:
        """A model that is not there."""
        return Status(404, self.error(404, f"model '{model}' not found"))

    def error(self, status: int, message: str) -> Any:
        """One key."""
        return {"error": message}

    def _refusal(self, asked: Asked, name: str) -> Status | None:
        """What is refused before anything is loaded."""
        model = self.models.get(name)
        if not asked.model:
            return Status(400, self.error(400, "model is required"))
        if model is None:
            return self.unknown(asked.model)
        if "completion" not in model.capabilities:
            return Status(400, self.error(400, f'"{asked.model}" does not support chat'))
        if asked.body.get("think") and "thinking" not in model.capabilities:
            return Status(400, self.error(400, f'"{asked.model}" does not support thinking'))
        if asked.body.get("tools") and "tools" not in model.capabilities:
            return Status(400, self.error(400, f"registry.ollama.ai/library/{name} does not support tools"))
        return None

    async def _in_memory(self, name: str, asked: Asked, reply: Reply) -> None:
        """Return once the model is in memory with the window asked for; if it cannot be, the reply says so."""
        window = int((asked.body.get("options") or {}).get("num_ctx") or USUAL_WINDOW)
        if self.models[name].remote is not None or self.loaded.get(name) == window:
            return
        async with self._loader:
            if self.loaded.get(name) == window:
                return
            self.loaded.pop(name, None)
            load = Load(model=name, window=window)
            self.loads.append(load)
            self.news()
            try:
                await self.play(self.load, asked, reply)
                load.state = "failed" if reply.over else "loaded"
            finally:
                if load.state == "loading":
                    load.state = "aborted"
                self.news()
            if load.state == "loaded":
                self.loaded[name] = window

    def _listed(self, name: str) -> dict[str, Any]:
        model = self.models[name]
        remote = {} if model.remote is None else {"remote_model": name, "remote_host": model.remote}
        digest = hashlib.sha256(name.encode()).hexdigest()
        return {"name": name, "model": name, **remote, "modified_at": MODIFIED, "size": model.size, "digest": digest, "details": model.details}

    def _running(self, name: str) -> dict[str, Any]:
        listed = self._listed(name)
        del listed["modified_at"]
        window = min(self.loaded[name], self.models[name].context)
        return {**listed, "expires_at": _time(minutes=5), "size_vram": 0, "context_length": window}

    def _shown(self, body: Mapping[str, Any]) -> Status:
        asked = body.get("model") or body.get("name") or ""
        if (model := self.models.get(_full(asked))) is None:
            return self.unknown(asked)
        info = {
            "general.architecture": model.family,
            "general.parameter_count": model.parameters,
            f"{model.family}.context_length": model.context,
            f"{model.family}.embedding_length": 576,
        }
        shown = {"modelfile": "", "template": "{{ .Prompt }}", "details": model.details, "model_info": info}
        return Status(200, {**shown, "capabilities": list(model.capabilities), "modified_at": MODIFIED})


def _said(step: Spoken, model: str, usage: Usage | None) -> dict[str, Any]:
    """A step as a line."""
    match step:
        case Say(text):
            return _line(model, {"content": text}, done=False)
        case Think(text):
            return _line(model, {"thinking": text}, done=False)
        case Call(index, call_id, name, arguments):
            function = {"index": index, "name": name, "arguments": json.loads(arguments or "{}")}
            return _line(model, {"tool_calls": [{"id": call_id, "function": function}]}, done=False)
        case Finish(reason):
            return _line(model, done=True, **_end(reason, usage))
        case ErrorChunk(message):
            return {"error": message}
        case Comment():
            raise ValueError("lines of JSON know no comments")


def _line(model: str, message: Mapping[str, Any] | None = None, *, done: bool, **fields: Any) -> dict[str, Any]:
    said = {"role": "assistant", "content": "", **(message or {})}
    return {"model": model, "created_at": _time(), "message": said, "done": done, **fields}


def _end(reason: str | None, usage: Usage | None) -> dict[str, Any]:
    told = {} if reason is None else {"done_reason": reason}
    if usage is None:
        return told
    return {
        **told,
        "total_duration": 30 * MILLISECOND,
        "load_duration": MILLISECOND,
        "prompt_eval_count": usage.prompt,
        "prompt_eval_duration": 9 * MILLISECOND,
        "eval_count": usage.completion,
        "eval_duration": 20 * MILLISECOND,
    }


def _time(minutes: int = 0) -> str:
    """Now, or so much later."""
    return (datetime.now(UTC) + timedelta(minutes=minutes)).isoformat().replace("+00:00", "Z")


def _bytes(line: Mapping[str, Any]) -> bytes:
    return json.dumps(line, ensure_ascii=False, separators=(",", ":")).encode() + b"\n"


def _full(name: str) -> str:
    return name if ":" in name.rsplit("/", 1)[-1] else f"{name}:latest"


if __name__ == "__main__":
    run(OllamaUpstream)
