"""A scripted OpenRouter: OpenAI's protocol with comments first, errors as the last chunk, the usage always and with its cost, prices, and books.

It bills as the dearest provider would: a call that comes to its `Finish` for what was said, a byte a token; any other that was begun or left, as if
all of `max_tokens` had been said. `spent` is what it has billed so far, to the last digit; `GET /generation?id=` tells a bill, but not at once.
"""

from __future__ import annotations

import asyncio
import json
import re
from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass
from decimal import Decimal
from typing import Any, ClassVar
from urllib.parse import parse_qs, urlsplit

from tests.upstreams.loopback import Connection, Loopback, Reply
from tests.upstreams.openai import CREATED, Chunks, OpenAIUpstream
from tests.upstreams.record import Asked
from tests.upstreams.script import Call, ErrorChunk, Finish, Say, Script, Scripts, Spoken, Status, Think, Usage
from tests.upstreams.upstream import Encode, run

PROCESSING = b": OPENROUTER PROCESSING\n\n"

MESSAGE = 5
"""Tokens of a message beside its text."""

LONGEST = 65536
"""Tokens of an answer to a question that sets no limit."""

_USD = re.compile(rb'"usd:([0-9.]+)"')


@dataclass(frozen=True, slots=True, kw_only=True)
class Listing:
    """What the list says of a model. Prices in USD per token, as strings. `longest`: tokens of an answer at most."""

    prompt: str = "0.000001"
    completion: str = "0.000002"
    context: int = 131072
    longest: int | None = None
    parameters: tuple[str, ...] = ("max_tokens", "temperature", "top_p", "seed", "stop", "tools", "tool_choice", "response_format")
    modalities: tuple[str, ...] = ("text",)

    def cost(self, prompt: int, completion: int) -> Decimal:
        """What so many tokens cost, in USD."""
        return prompt * Decimal(self.prompt) + completion * Decimal(self.completion)

    def within(self, most: Mapping[str, float]) -> bool:
        """Whether it is no dearer than `provider.max_price`, in USD per million tokens."""
        prices = {"prompt": self.prompt, "completion": self.completion}
        return all(Decimal(price).scaleb(6) <= Decimal(str(most.get(name, "Infinity"))) for name, price in prices.items())


@dataclass(slots=True, kw_only=True)
class Entry:
    """One call in the books: its tokens, and what it is billed once it is over (USD; None: not yet)."""

    id: str
    listing: Listing
    prompt: int
    limit: int
    said: int = 0
    usd: Decimal | None = None

    def close(self, *, left: bool) -> None:
        """The end of a call, also of one that did not come to its own: that is billed in full, unless it failed before its first word."""
        if self.usd is None:
            self.usd = self.listing.cost(self.prompt, self.limit) if self.said or left else Decimal(0)


class OpenRouterUpstream(OpenAIUpstream):
    """OpenRouter. *listings*: what its list says of a model, where that matters. `Think`'s field is always `reasoning` here.

    An error in a 200 without choices is `Status(200, {"error": {"code": 502, "message": "Provider returned error"}})`.

    `charged`: what is charged for a model, where that is not what the list says. `untold`: how often each bill is asked for in vain. `books`: what
    each question is billed, in their order; `inquiries`: how often the bill of an id was asked for.
    """

    chat_path: ClassVar[str] = "/api/v1/chat/completions"
    base_path: ClassVar[str] = "/api/v1"

    def __init__(self, scripts: Scripts, *, listings: Mapping[str, Listing] | None = None, port: int = 0, untold: int = 0) -> None:
        super().__init__(scripts, port=port)
        self._server = _Listening(self, self._answer, self.stream_type)
        self.listings = dict(listings or {})
        self.charged: dict[str, Listing] = {}
        self.untold = untold
        self.books: dict[Asked, Entry] = {}
        self.inquiries: Counter[str] = Counter()

    @property
    def spent(self) -> Decimal:
        """USD billed so far."""
        return sum((entry.usd for entry in self.books.values() if entry.usd is not None), Decimal(0))

    async def chat(self, asked: Asked, reply: Reply) -> None:
        """Answer a question by its script, unless nobody does so for the price that it allows."""
        self.is_chat(asked)
        charged = self.charged.get(asked.model, self._listing(asked.model))
        limits = [limit for name in ("max_tokens", "max_completion_tokens") if (limit := asked.body.get(name)) is not None]
        most = max(limits, default=charged.longest or LONGEST)
        self.books[asked] = Entry(id=f"gen-{len(self.books) + 1}", listing=charged, prompt=_prompt_tokens(asked.body), limit=most)
        found = charged.within((asked.body.get("provider") or {}).get("max_price") or {})
        script = self.script_for(asked.model) if found else Script(Status(404, self.error(404, "No endpoints found")))
        await self.play(script, asked, reply)

    def over(self, asked: Asked, *, left: bool = False) -> None:
        """Its answer has ended, by whichever side, and is billed."""
        if asked.open and asked in self.books:
            self.books[asked].close(left=left)
        super().over(asked, left=left)

    def encoder(self, asked: Asked, script: Script) -> Encode:
        """Chunks, with the usage whether it was asked for or not."""
        if asked not in self.books:
            return Chunks(asked.model, None).encode
        scripted = any(isinstance(step, Usage) for step in script)
        return RoutedChunks(asked.model, script.usage, self.books[asked], counted=not scripted).encode

    def listed(self, model: str) -> dict[str, Any]:
        """An entry of the list."""
        listing = self._listing(model)
        return {
            "id": model,
            "canonical_slug": model,
            "name": model,
            "created": CREATED,
            "context_length": listing.context,
            "architecture": {
                "modality": f"{'+'.join(listing.modalities)}->text",
                "input_modalities": list(listing.modalities),
                "output_modalities": ["text"],
                "tokenizer": "Other",
                "instruct_type": None,
            },
            "pricing": {"prompt": listing.prompt, "completion": listing.completion, "request": "0", "image": "0"},
            "top_provider": {"context_length": listing.context, "max_completion_tokens": listing.longest, "is_moderated": False},
            "per_request_limits": None,
            "supported_parameters": list(listing.parameters),
        }

    def unknown(self, model: str) -> Status:
        """A model that is not there is a bad request."""
        return Status(400, self.error(400, f"{model} is not a valid model ID"))

    def error(self, status: int, message: str) -> Any:
        """The envelope: the status once more, and the message."""
        return {"error": {"code": status, "message": message}}

    async def _answer(self, asked: Asked, reply: Reply) -> None:
        if asked.path == f"{self.base_path}/generation" and asked.path not in self.pages and isinstance(reply._connection, _Remembering):
            await self.play(Script(self._generation(parse_qs(urlsplit(reply._connection.target).query)["id"][0])), asked, reply)
        else:
            await super()._answer(asked, reply)

    def _generation(self, name: str) -> Status:
        """What a call was billed, once that has been asked for often enough."""
        self.inquiries[name] += 1
        usd = next((entry.usd for entry in self.books.values() if entry.id == name), None)
        if usd is None or self.inquiries[name] <= self.untold:
            return Status(404, self.error(404, f"Generation {name} not found"))
        told = json.dumps({"data": {"id": name, "total_cost": _exactly(usd), "is_byok": False}})
        return Status(200, _numbers(told.encode()).decode(), {"Content-Type": "application/json; charset=utf-8"})

    def _listing(self, model: str) -> Listing:
        return self.listings.get(model, Listing())


class RoutedChunks(Chunks):
    """The chunks of one answer, after a comment that it is being worked on. `counted`: the usage is what was said, not what the script says."""

    def __init__(self, model: str, usage: Usage | None, entry: Entry, *, counted: bool) -> None:
        super().__init__(model, usage)
        self.id = entry.id
        self._entry = entry
        self._counted = counted
        self._comment = PROCESSING

    def encode(self, step: Spoken) -> bytes:
        """A step as the bytes of its events."""
        match step:
            case Say(text) | Think(text):
                self._entry.said += len(text.encode())
            case Call():
                self._entry.said += len(f"{step.name}{step.arguments}".encode())
            case Finish():
                self._bill()
        comment, self._comment = self._comment, b""
        return comment + _numbers(super().encode(step))

    def chunk(self, **fields: Any) -> dict[str, Any]:
        """What every chunk says, and *fields*."""
        return {**super().chunk(), "provider": "Scripted", **fields}

    def choice(self, delta: Mapping[str, Any], reason: str | None = None) -> dict[str, Any]:
        """The one choice, with the provider's own reason."""
        return {**super().choice(delta, reason), "native_finish_reason": reason}

    def thought(self, text: str, field: str) -> dict[str, Any]:
        """The delta of a thought, in both forms."""
        details = [{"type": "reasoning.text", "text": text, "format": "unknown", "index": 0}]
        return {"content": "", "reasoning": text, "reasoning_details": details}

    def usage(self, usage: Usage) -> dict[str, Any]:
        """Tokens, and what they cost."""
        return {**super().usage(usage), "cost": _exactly(self._entry.usd or Decimal(0)), "is_byok": False}

    def error(self, step: ErrorChunk) -> dict[str, Any]:
        """A chunk that is an error, and the finish of its choice as well."""
        error = {"code": step.code, "message": step.message, **({"metadata": step.metadata} if step.metadata else {})}
        return self.chunk(error=error, choices=[self.choice({"content": ""}, "error")])

    def _bill(self) -> None:
        """What was said, unless the script says otherwise."""
        entry, usage = self._entry, self._usage
        if usage is not None and self._counted:
            usage = self._usage = Usage(entry.prompt, entry.said)
        tokens = (entry.prompt, entry.said) if usage is None else (usage.prompt, usage.completion)
        entry.usd = entry.listing.cost(*tokens) if usage is None or usage.cost is None else Decimal(str(usage.cost))


class _Remembering(Connection):
    """A connection that knows what was asked for last, query and all."""

    target = ""

    def data_received(self, data: bytes) -> None:
        if not self._heard:
            self.target = data.split(b" ", 2)[1].decode()
        super().data_received(data)


class _Listening(Loopback):
    """A server of such connections."""

    async def start(self, port: int) -> int:
        self._server = await asyncio.get_running_loop().create_server(lambda: _Remembering(self), "127.0.0.1", port, backlog=1024)
        return int(self._server.sockets[0].getsockname()[1])


def _prompt_tokens(body: Mapping[str, Any]) -> int:
    """A token for each byte of text, and some for each message."""
    return sum(MESSAGE + len(_text(message.get("content")).encode()) for message in body["messages"])


def _text(content: Any) -> str:
    parts = [{"text": content}] if isinstance(content, str) else content or []
    return "".join(part.get("text", "") for part in parts)


def _exactly(usd: Decimal) -> str:
    """What becomes a number with all its digits, by `_numbers`: JSON's own writer knows binary ones only."""
    return f"usd:{usd:f}"


def _numbers(document: bytes) -> bytes:
    return _USD.sub(rb"\1", document)


if __name__ == "__main__":
    run(OpenRouterUpstream)
