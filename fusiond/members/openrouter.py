"""OpenRouter: OpenAI's protocol with routing preferences, and a price list. Always remote, whatever its address."""

from __future__ import annotations

from collections.abc import AsyncGenerator, Mapping
from contextlib import aclosing
from decimal import Decimal, InvalidOperation
from typing import Any

from fusiond.call import Call
from fusiond.catalog import Member, ModelFacts, ProviderFacts
from fusiond.config.tree import OpenRouterConfig, Price
from fusiond.errors import MemberError, Unwilling
from fusiond.events import Event
from fusiond.members import State
from fusiond.members.http import Link
from fusiond.members.openai import body, chat, listing
from fusiond.members.patience import Patience

LIST_SECONDS = 20.0
_PREFERENCES = ("order", "only", "ignore", "data_collection", "zdr", "quantizations")
_MILLION = Decimal(1_000_000)


class OpenRouter:
    """A provider with `api = "openrouter"`."""

    def __init__(self, config: OpenRouterConfig) -> None:
        key = config.api_key.read() if config.api_key else None
        self._config = config
        self._key = key
        self._link = Link(config.url, {"Authorization": f"Bearer {key}", "X-OpenRouter-Title": "fusiond"} if key else None)

    async def stream(self, call: Call, patience: Patience) -> AsyncGenerator[Event, None]:
        """Ask one member."""
        if self._key is None:
            raise Unwilling(self._without_key())
        async with aclosing(chat(self._link, question(call, self._config), call, patience)) as events:
            async for event in events:
                yield event

    def state(self, member: Member) -> State:  # noqa: ARG002  # somebody else's business
        """Taken for ready."""
        return "ready"

    async def discover(self) -> ProviderFacts:
        """The price list. It is public, and not asked for without a key, since nobody could be asked then."""
        if self._key is None:
            return ProviderFacts(error=self._without_key())
        patience = Patience(first_token=LIST_SECONDS, stall=LIST_SECONDS, total=LIST_SECONDS, deadline=float("inf"))
        try:
            entries = listing(await self._link.get("/models", patience))
        except MemberError as error:
            return ProviderFacts(error=f"no price list: {error.message}")
        return ProviderFacts(models={facts.model: facts for facts in map(_facts, entries) if facts})

    async def aclose(self) -> None:
        """Close every connection."""
        await self._link.aclose()

    def _without_key(self) -> str:
        secret = self._config.api_key
        place = secret and (secret.env or secret.file or secret.credential)
        return f"no API key ({place} is not set or empty)" if place else "no API key (providers.*.api_key)"


def question(call: Call, config: OpenRouterConfig) -> dict[str, Any]:
    """The body of a chat. Fields that matter must be honoured by whoever answers, and nothing may be left out of the prompt to make it fit."""
    asked = body(call)
    preferences: dict[str, Any] = {name: value for name in _PREFERENCES if (value := getattr(config, name)) is not None}
    if {"tools", "response_format", "seed"} & asked.keys():
        preferences["require_parameters"] = True
    if preferences:
        asked["provider"] = {name: list(value) if isinstance(value, tuple) else value for name, value in preferences.items()}
    if (effort := asked.pop("reasoning_effort", None)) is not None:
        asked["reasoning"] = {"effort": effort}
    asked["plugins"] = [{"id": "context-compression", "enabled": False}]
    return asked


def _facts(entry: Mapping[str, Any]) -> ModelFacts | None:
    """A model of the list; one whose entry is of another form than the list's is left out."""
    if not isinstance(entry.get("id"), str):
        return None
    parameters = _list(entry.get("supported_parameters"))
    architecture = entry.get("architecture")
    modalities = _list(architecture.get("input_modalities")) if isinstance(architecture, dict) else []
    context = entry.get("context_length")
    return ModelFacts(
        model=entry["id"],
        place="remote",
        context=context if isinstance(context, int) else None,
        reasoning="reasoning" in parameters,
        tools="tools" in parameters,
        vision="image" in modalities,
        price=_price(entry.get("pricing")),
    )


def _list(value: Any) -> list[Any]:
    return value if isinstance(value, list) else []


def _price(pricing: Any) -> Price | None:
    """Strings in USD per token become USD per million. Unknown where one is missing, no number, or negative (a router's: it depends)."""
    if not isinstance(pricing, Mapping):
        return None
    try:
        each = [Decimal(str(pricing[name])) * _MILLION for name in ("prompt", "completion")]
    except (KeyError, InvalidOperation):
        return None
    if any(not price.is_finite() or price < 0 for price in each):
        return None
    return Price(input=each[0], output=each[1])
