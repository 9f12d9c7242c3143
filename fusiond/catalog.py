"""What one revision can serve: members with everything known of them, fusions with their seats filled, and every name.

Values and pure functions: the configuration and what the providers told in, a `Catalog` out.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field, replace
from difflib import get_close_matches
from typing import Any

from fusiond.config.tree import FusionConfig, Place, Price, Seat
from fusiond.errors import UnknownModel

DEFAULT_FUSION = "default"


@dataclass(frozen=True, slots=True, kw_only=True)
class ModelFacts:
    """What a provider says of one model. None: it does not say.

    `size` in billions of parameters, `bytes` on disk; `unavailable`: why it cannot be asked.
    """

    model: str
    place: Place
    family: str | None = None
    size: float | None = None
    bytes: int | None = None
    context: int | None = None
    reasoning: bool | None = None
    tools: bool | None = None
    vision: bool | None = None
    chat: bool = True
    loaded: bool = False
    price: Price | None = None
    unavailable: str | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class ProviderFacts:
    """What one look at a provider brought; `error` says why it brought nothing."""

    models: Mapping[str, ModelFacts] = field(default_factory=dict)
    error: str | None = None


Discovered = Mapping[str, ProviderFacts]


@dataclass(frozen=True, slots=True, kw_only=True)
class Member:
    """One model of one provider, with its options, as a plan sees it.

    `context`: tokens, the pinned num_ctx. `price` None: costs nothing when local, unknown when remote. `skill`: configured prior, the chance of being
    right. `unavailable` says why it cannot be asked. `discovered`: not in the configuration, found at its provider.
    """

    name: str
    provider: str
    api: str
    model: str
    place: Place
    family: str
    size: float
    reasoning: bool
    context: int | None
    tools: bool
    vision: bool
    options: Mapping[str, Any]
    price: Price | None = None
    skill: float | None = None
    first_token_seconds: float = 60.0
    stall_seconds: float = 15.0
    total_seconds: float = 300.0
    unavailable: str | None = None
    discovered: bool = False

    @property
    def paid(self) -> bool:
        """Whether asking it may cost money: a remote model whose price is not known to be zero."""
        return self.place == "remote" and not (self.price is not None and self.price.input == 0 and self.price.output == 0)


@dataclass(frozen=True, slots=True, kw_only=True)
class Fusion:
    """A recipe whose panel names members that exist (`ollama/*` is spread out here). `config` keeps the rest."""

    name: str
    config: FusionConfig
    panel: tuple[Seat, ...]
    judge: str | None
    writer: str | None


@dataclass(frozen=True, slots=True, kw_only=True)
class Catalog:
    """Everything that can be asked for by name."""

    members: Mapping[str, Member] = field(default_factory=dict)
    fusions: Mapping[str, Fusion] = field(default_factory=dict)
    aliases: Mapping[str, str] = field(default_factory=dict)


def look_up(name: str, catalog: Catalog) -> Fusion | Member:
    """What is served under a name: `fusion`, `fusion/NAME`, `auto`, `openrouter/fusion`, a member, or an alias of one of them."""
    name = catalog.aliases.get(name, name)
    if name in catalog.members:
        return catalog.members[name]
    if name == "openrouter/fusion" and DEFAULT_FUSION in catalog.fusions:
        default = catalog.fusions[DEFAULT_FUSION]
        return replace(default, config=replace(default.config, strategy="synthesize"))
    wished = DEFAULT_FUSION if name in ("fusion", "auto") else name.removeprefix("fusion/")
    if wished in catalog.fusions and (name != wished):
        return catalog.fusions[wished]
    raise UnknownModel(f"no model named '{name}'{nearest(name, served(catalog))}", param="model")


def served(catalog: Catalog) -> list[str]:
    """Every name that can be asked for, fusions first."""
    fusions = [f"fusion/{name}" for name in catalog.fusions]
    general = ["fusion", "auto", "openrouter/fusion"] if DEFAULT_FUSION in catalog.fusions else []
    return [*general[:1], *fusions, *general[1:], *catalog.members, *catalog.aliases]


def nearest(name: str, names: Iterable[str]) -> str:
    """The name that was perhaps meant, as the end of an error."""
    close = get_close_matches(name, list(names), n=1, cutoff=0.5)
    return f" (did you mean '{close[0]}'?)" if close else ""
