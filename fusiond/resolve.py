"""A configuration and what its providers told become a `Catalog`. Pure: the same two give the same catalog."""

from __future__ import annotations

import ipaddress
from collections.abc import Iterable
from typing import TYPE_CHECKING
from urllib.parse import urlsplit

from fusiond import guess
from fusiond.catalog import Catalog, Discovered, Fusion, Member, ModelFacts, ProviderFacts, nearest
from fusiond.config.tree import (
    Config,
    FusionConfig,
    LlamaCppConfig,
    MemberConfig,
    OllamaConfig,
    OpenAIConfig,
    OpenRouterConfig,
    Place,
    Price,
    ProviderConfig,
    Seat,
)

if TYPE_CHECKING:
    from fusiond.tariff import Tariff

CONTEXT_LIMIT = 16384
"""Tokens. A model that supports more gets this much unless its member says otherwise: the cache for a window costs memory whether used or not."""

CONTEXT_UNKNOWN = 8192

PRIVATE = tuple(map(ipaddress.ip_network, ("10.0.0.0/8", "172.16.0.0/12", "192.168.0.0/16", "169.254.0.0/16", "fc00::/7", "fe80::/10")))
"""What is routed nowhere but in a network of one's own (RFC 1918, 3927, 4193, 4291)."""

LARGEST = 3
"""So many models make the panel of a daemon without a configuration."""

MEMORY_SHARE = 0.8


def resolve(config: Config, discovered: Discovered, memory: int) -> Catalog:
    """Everything that *config* serves. `memory`: bytes that local models may fill, for the panel of a start without a configuration."""
    members = {name: _member(name, entry, config, discovered) for name, entry in config.members.items()}
    for provider, facts in discovered.items():
        if _discovers(config.providers[provider]):
            members |= {f"{provider}/{model}": _found(config, discovered, provider, model) for model, said in facts.models.items() if said.chat}
    fusions = config.fusions or {"default": FusionConfig(panel=default_panel(discovered, config, memory))}
    for name in _named(fusions.values()):
        provider, slash, model = name.partition("/")
        if name not in members and slash and provider in config.providers and model != "*":
            members[name] = _found(config, discovered, provider, model)
    filled = {name: _fusion(name, fusion, members) for name, fusion in fusions.items()}
    return Catalog(members=members, fusions=filled, routes=config.routes, aliases=config.aliases)


def default_panel(discovered: Discovered, config: Config, memory: int) -> tuple[Seat, ...]:
    """Who answers without a configuration: the loaded models, else the largest that fit in memory together, else the built-in engine's.

    The paid members are named too, although they wait for a budget.
    """
    local = [(provider, facts) for provider, said in discovered.items() for facts in said.models.values() if facts.chat and facts.place != "remote"]
    own = [(p, f) for p, f in local if not isinstance(config.providers[p], LlamaCppConfig)]
    chosen = [(p, f) for p, f in own if f.loaded] or _largest(own, memory) or [(p, f) for p, f in local if (p, f) not in own]
    paid = [name for name, entry in config.members.items() if isinstance(config.providers[entry.provider], OpenRouterConfig)]
    return tuple(Seat(member=name) for name in [*(f"{p}/{f.model}" for p, f in chosen), *paid])


def place_of(provider: ProviderConfig) -> Place:
    """Where the provider's server is: loopback is local, private addresses are lan, everything else is remote, unless its table says otherwise."""
    match provider:
        case OpenRouterConfig():
            return "remote"
        case LlamaCppConfig():
            return "local"
        case OllamaConfig() | OpenAIConfig():
            return provider.place or _place_of_host(urlsplit(provider.url).hostname or "")


def _place_unseen(model: str, provider: ProviderConfig) -> Place:
    """Of a model that its provider has not told of: Ollama's cloud models say by their names that they do not run here."""
    return "remote" if isinstance(provider, OllamaConfig) and guess.cloud(model) else place_of(provider)


def _place_of_host(host: str) -> Place:
    if host == "localhost":  # names below it are asked for in the DNS by some resolvers
        return "local"
    try:
        address = ipaddress.ip_address(host)
    except ValueError:
        return "remote"
    if address.is_loopback or address.is_unspecified:
        return "local"
    return "lan" if any(address in network for network in PRIVATE if network.version == address.version) else "remote"


def _discovers(provider: ProviderConfig) -> bool:
    return isinstance(provider, LlamaCppConfig) or (isinstance(provider, OllamaConfig | OpenAIConfig) and provider.discover)


def _largest(models: list[tuple[str, ModelFacts]], memory: int) -> list[tuple[str, ModelFacts]]:
    chosen: list[tuple[str, ModelFacts]] = []
    left = int(memory * MEMORY_SHARE)
    for provider, facts in sorted(models, key=lambda pair: (-(pair[1].bytes or 0), pair[1].model)):
        if len(chosen) < LARGEST and (facts.bytes or 0) <= left:
            chosen.append((provider, facts))
            left -= facts.bytes or 0
    return chosen


def _named(fusions: Iterable[FusionConfig]) -> list[str]:
    return [name for fusion in fusions for name in (*(seat.member for seat in fusion.panel), *fusion.escalate, fusion.judge, fusion.writer) if name]


def _found(config: Config, discovered: Discovered, provider: str, model: str) -> Member:
    name = f"{provider}/{model}"
    known = model in discovered.get(provider, ProviderFacts()).models
    return _member(name, MemberConfig(provider=provider, model=model), config, discovered, discovered_at=known)


def _member(name: str, entry: MemberConfig, config: Config, discovered: Discovered, *, discovered_at: bool = False) -> Member:
    provider = config.providers[entry.provider]
    said = discovered.get(entry.provider, ProviderFacts())
    facts = said.models.get(entry.model.removesuffix(":latest")) or ModelFacts(model=entry.model, place=_place_unseen(entry.model, provider))
    return Member(
        name=name,
        provider=entry.provider,
        api=provider.api,
        model=entry.model,
        place=facts.place,
        family=entry.family or facts.family or guess.family(entry.model),
        size=entry.size or facts.size or guess.size(entry.model) or guess.DEFAULT_SIZE,
        reasoning=_first_said(entry.reasoning, facts.reasoning, guess.reasoning(entry.model)),
        context=_context(entry, facts, provider),
        tools=_first_said(facts.tools, not isinstance(provider, LlamaCppConfig)),
        vision=_first_said(facts.vision, not isinstance(provider, LlamaCppConfig)),
        options=entry.options,
        tariff=_own(entry.price) if entry.price else facts.tariff,
        longest=facts.longest,
        skill=entry.skill,
        first_token_seconds=entry.first_token_seconds,
        stall_seconds=entry.stall_seconds,
        total_seconds=entry.total_seconds,
        unavailable=facts.unavailable or said.closed or (_unlisted(entry, said) if isinstance(provider, OpenRouterConfig) else None),
        discovered=discovered_at,
    )


def _unlisted(entry: MemberConfig, said: ProviderFacts) -> str | None:
    """A model that is not on the list of a provider that lists all it has, its variants (`:nitro`) aside."""
    known = said.models.keys()
    if not said.complete or entry.model in known or entry.price or entry.model.rpartition(":")[0] in known:
        return None
    return f"the provider lists no model '{entry.model}'{nearest(entry.model, known)}"


def _own(price: Price) -> Tariff:
    from fusiond.tariff import Tariff  # noqa: PLC0415  # most members cost nothing

    return Tariff.per_million(price.input, price.output)


def _first_said(*answers: bool | None) -> bool:
    return next(answer for answer in answers if answer is not None)


def _context(entry: MemberConfig, facts: ModelFacts, provider: ProviderConfig) -> int | None:
    """Ollama and the built-in engine get a window from us; other servers have their own."""
    if entry.context or not isinstance(provider, OllamaConfig | LlamaCppConfig):
        return entry.context or facts.context
    return min(facts.context or CONTEXT_UNKNOWN, CONTEXT_LIMIT)


def _fusion(name: str, fusion: FusionConfig, members: dict[str, Member]) -> Fusion:
    written = {*(entry.member for entry in fusion.panel), *fusion.escalate}
    seats = [seat for entry in fusion.panel for seat in _spread(entry, members) if seat is entry or seat.member not in written]
    return Fusion(name=name, config=fusion, panel=tuple(seats), escalate=fusion.escalate, judge=fusion.judge, writer=fusion.writer or fusion.judge)


def _spread(seat: Seat, members: dict[str, Member]) -> list[Seat]:
    """`PROVIDER/*` stands for all of its models that can chat, in order of their names; one that has a place of its own as well keeps that alone."""
    provider, _, model = seat.member.partition("/")
    if model != "*":
        return [seat]
    found = sorted(name for name, member in members.items() if member.provider == provider and member.discovered)
    return [Seat(member=name, samples=seat.samples, temperature=seat.temperature) for name in found]
