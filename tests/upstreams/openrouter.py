"""A scripted OpenRouter: OpenAI's protocol with comments first, errors as the last chunk, the usage always and with its cost, and a price list."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, ClassVar

from tests.upstreams.openai import CREATED, Chunks, OpenAIUpstream
from tests.upstreams.record import Asked
from tests.upstreams.script import ErrorChunk, Script, Scripts, Spoken, Status, Usage
from tests.upstreams.upstream import Encode, run

PROCESSING = b": OPENROUTER PROCESSING\n\n"


@dataclass(frozen=True, slots=True, kw_only=True)
class Listing:
    """What the list says of a model. Prices in USD per token, as strings."""

    prompt: str = "0.000001"
    completion: str = "0.000002"
    context: int = 131072
    parameters: tuple[str, ...] = ("max_tokens", "temperature", "top_p", "seed", "stop", "tools", "tool_choice", "response_format")
    modalities: tuple[str, ...] = ("text",)

    def cost(self, usage: Usage) -> float:
        """What so many tokens cost, where the script does not say."""
        return usage.prompt * float(self.prompt) + usage.completion * float(self.completion) if usage.cost is None else usage.cost


class OpenRouterUpstream(OpenAIUpstream):
    """OpenRouter. *listings*: what its list says of a model, where that matters. `Think`'s field is always `reasoning` here.

    An error in a 200 without choices is `Status(200, {"error": {"code": 502, "message": "Provider returned error"}})`.
    """

    chat_path: ClassVar[str] = "/api/v1/chat/completions"
    base_path: ClassVar[str] = "/api/v1"

    def __init__(self, scripts: Scripts, *, listings: Mapping[str, Listing] | None = None, port: int = 0) -> None:
        super().__init__(scripts, port=port)
        self.listings = dict(listings or {})

    def encoder(self, asked: Asked, script: Script) -> Encode:
        """Chunks, with the usage whether it was asked for or not."""
        return RoutedChunks(asked.model, script.usage, self._listing(asked.model)).encode

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
            "top_provider": {"context_length": listing.context, "max_completion_tokens": None, "is_moderated": False},
            "per_request_limits": None,
            "supported_parameters": list(listing.parameters),
        }

    def unknown(self, model: str) -> Status:
        """A model that is not there is a bad request."""
        return Status(400, self.error(400, f"{model} is not a valid model ID"))

    def error(self, status: int, message: str) -> Any:
        """The envelope: the status once more, and the message."""
        return {"error": {"code": status, "message": message}}

    def _listing(self, model: str) -> Listing:
        return self.listings.get(model, Listing())


class RoutedChunks(Chunks):
    """The chunks of one answer, after a comment that it is being worked on."""

    id = "gen-scripted"

    def __init__(self, model: str, usage: Usage | None, listing: Listing) -> None:
        super().__init__(model, usage)
        self._listing = listing
        self._comment = PROCESSING

    def encode(self, step: Spoken) -> bytes:
        """A step as the bytes of its events."""
        comment, self._comment = self._comment, b""
        return comment + super().encode(step)

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
        return {**super().usage(usage), "cost": self._listing.cost(usage), "is_byok": False}

    def error(self, step: ErrorChunk) -> dict[str, Any]:
        """A chunk that is an error, and the finish of its choice as well."""
        error = {"code": step.code, "message": step.message, **({"metadata": step.metadata} if step.metadata else {})}
        return self.chunk(error=error, choices=[self.choice({"content": ""}, "error")])


if __name__ == "__main__":
    run(OpenRouterUpstream)
