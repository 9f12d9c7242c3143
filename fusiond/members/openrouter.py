"""OpenRouter: OpenAI's protocol with routing preferences, and a price list. Always remote, whatever its address."""

from __future__ import annotations

import asyncio
import json
import logging
from collections.abc import AsyncGenerator, Mapping
from contextlib import aclosing
from decimal import Decimal
from typing import Any
from urllib.parse import quote

from fusiond import release
from fusiond.call import Call
from fusiond.catalog import Member, ModelFacts, ProviderFacts
from fusiond.config.tree import OpenRouterConfig
from fusiond.errors import Garbled, MemberError, Unwilling
from fusiond.events import Event
from fusiond.members import State
from fusiond.members.egress import Egress
from fusiond.members.http import Link
from fusiond.members.openai import bill, chat
from fusiond.members.openai_question import body
from fusiond.members.openrouter_list import KeptList, Listed, facts_of
from fusiond.members.patience import Patience

log = logging.getLogger(__name__)

LIST_SECONDS = 20.0
_PREFERENCES = ("order", "only", "ignore", "data_collection", "zdr", "quantizations")


class OpenRouter:
    """A provider with `api = "openrouter"`. `kept`: where its list is kept for a start without a network."""

    def __init__(self, config: OpenRouterConfig, key: str | None, kept: KeptList, egress: Egress | None = None) -> None:
        self._config = config
        self._key = key
        self._kept = kept
        headers = {"Authorization": f"Bearer {key}", "X-OpenRouter-Title": "fusiond"} if key else None
        self._link = Link(config.url, headers, egress=egress)

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

    async def recall(self) -> ProviderFacts:
        """The list as it was last seen, else as it was when this release was made."""
        models = (await asyncio.to_thread(self._kept.kept)).models or await asyncio.to_thread(release.listed)
        return ProviderFacts(models=_facts(models), closed=self._closed())

    async def discover(self) -> ProviderFacts:
        """The price list. It is public, and not asked for without a key, since nobody could be asked then."""
        if closed := self._closed():
            return ProviderFacts(error=closed, closed=closed)
        patience = Patience(first_token=LIST_SECONDS, stall=LIST_SECONDS, total=LIST_SECONDS, deadline=float("inf"))
        try:
            document = await self._link.fetch("/models", patience)
            models = await asyncio.to_thread(_listed, document)
        except MemberError as error:
            return ProviderFacts(error=f"no price list: {error.message}", lost=error.lost)
        await self._keep(document)
        return ProviderFacts(models=_facts(models), complete=True)

    async def bill(self, generation: str) -> Decimal | None:
        """What a call has cost in the end (USD); None: it is not known yet. Raises MemberError."""
        patience = Patience(first_token=LIST_SECONDS, stall=LIST_SECONDS, total=LIST_SECONDS, deadline=float("inf"))
        document = await self._link.fetch(f"/generation?id={quote(generation, safe='')}", patience)
        try:
            return bill(json.loads(document, parse_float=Decimal)["data"], "total_cost")
        except (ArithmeticError, AttributeError, KeyError, TypeError, ValueError, RecursionError):
            raise Garbled("what came is no bill") from None

    async def _keep(self, document: bytes) -> None:
        try:
            await asyncio.to_thread(self._kept.keep, document)
        except OSError as error:
            log.warning("the price list is not kept for a start without a network: %s", error)

    async def aclose(self) -> None:
        """Close every connection."""
        await self._link.aclose()

    def _closed(self) -> str | None:
        return self._without_key() if self._key is None else None

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
    if call.member.tariff:  # a free one too: it may have a price by now
        preferences["max_price"] = {name: float(price) for name, price in call.member.tariff.ceiling().items()}
    if preferences:
        asked["provider"] = {name: list(value) if isinstance(value, tuple) else value for name, value in preferences.items()}
    if (effort := asked.pop("reasoning_effort", None)) is not None:
        asked["reasoning"] = {"effort": effort}
    asked["plugins"] = [{"id": "context-compression", "enabled": False}]
    return asked


def _listed(document: bytes) -> Mapping[str, Listed]:
    """Raises Garbled where it is no list: one that names no model would take all of them away."""
    try:
        models = facts_of(json.loads(document))
    except (ValueError, RecursionError):
        models = {}
    if not models:
        raise Garbled("what came is not a list of models")
    return models


def _facts(models: Mapping[str, Listed]) -> dict[str, ModelFacts]:
    return {
        listed.model: ModelFacts(
            model=listed.model,
            place="remote",
            context=listed.context,
            reasoning=listed.reasoning,
            tools=listed.tools,
            vision=listed.vision,
            tariff=listed.tariff,
            longest=listed.most_completion_tokens,
        )
        for listed in models.values()
    }
