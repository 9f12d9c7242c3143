"""What one revision can serve: members with everything known of them, fusions with their seats filled, and every name.

Values and pure functions: the configuration and what the providers told in, a `Catalog` out.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field, replace
from difflib import get_close_matches
from typing import TYPE_CHECKING, Any

from fusiond.config.tree import FusionConfig, Place, RouteConfig, Seat
from fusiond.errors import UnknownModel

if TYPE_CHECKING:
    from fusiond.tariff import Tariff

DEFAULT_FUSION = "default"
UNPAID = "costs money, and there is no [budget]"
"""Why a member that costs money is not asked."""

LONGEST_NAME = 128
"""Characters of a name that nobody knows, in an error and in the search for what was meant: that takes time with the square of it."""


@dataclass(frozen=True, slots=True, kw_only=True)
class ModelFacts:
    """What a provider says of one model. None: it does not say.

    `size` in billions of parameters, `bytes` on disk; `longest`: tokens of an answer at most; `unavailable`: why it cannot be asked.
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
    tariff: Tariff | None = None
    longest: int | None = None
    unavailable: str | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class ProviderFacts:
    """What one look at a provider brought; `complete`: it has no other models; `error` says why it brought nothing.

    `lost`: there was no way to it; `closed`: why nobody of it can be asked.
    """

    models: Mapping[str, ModelFacts] = field(default_factory=dict)
    complete: bool = False
    error: str | None = None
    lost: bool = False
    closed: str | None = None


Discovered = Mapping[str, ProviderFacts]


@dataclass(frozen=True, slots=True, kw_only=True)
class Member:
    """One model of one provider, with its options, as a plan sees it.

    `context`: tokens, the pinned num_ctx. `tariff` None: costs nothing when local, unknown when remote. `longest`: tokens of an answer at most.
    `skill`: configured prior, the chance of being right. `unavailable` says why it cannot be asked. `discovered`: not in the configuration, found at
    its provider.
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
    tariff: Tariff | None = None
    longest: int | None = None
    skill: float | None = None
    first_token_seconds: float = 60.0
    stall_seconds: float = 15.0
    total_seconds: float = 300.0
    unavailable: str | None = None
    discovered: bool = False

    @property
    def paid(self) -> bool:
        """Whether asking it may cost money: it has a price, or is remote and none is known."""
        return self.place == "remote" if self.tariff is None else not self.tariff.free


@dataclass(frozen=True, slots=True, kw_only=True)
class Fusion:
    """A recipe whose panel names members that exist (`ollama/*` is spread out here). `config` keeps the rest."""

    name: str
    config: FusionConfig
    panel: tuple[Seat, ...]
    escalate: tuple[str, ...] = ()
    judge: str | None
    writer: str | None


@dataclass(frozen=True, slots=True, kw_only=True)
class Catalog:
    """Everything that can be asked for by name."""

    members: Mapping[str, Member] = field(default_factory=dict)
    fusions: Mapping[str, Fusion] = field(default_factory=dict)
    routes: tuple[RouteConfig, ...] = ()
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
    raise UnknownModel(f"no model named '{shortened(name)}'{nearest(name, served(catalog))}", param="model")


def served(catalog: Catalog) -> list[str]:
    """Every name that can be asked for, fusions first."""
    fusions = [f"fusion/{name}" for name in catalog.fusions]
    default = DEFAULT_FUSION in catalog.fusions
    first = ["fusion"] if default else []
    auto = ["auto"] if default or catalog.routes else []
    synthesis = ["openrouter/fusion"] if default else []
    return [*first, *fusions, *auto, *synthesis, *catalog.members, *catalog.aliases]


def shortened(name: str) -> str:
    """A client's name as an error repeats it."""
    return name if len(name) <= LONGEST_NAME else f"{name[:LONGEST_NAME]}..."


def nearest(name: str, names: Iterable[str]) -> str:
    """The name that was perhaps meant, as the end of an error."""
    close = get_close_matches(name[:LONGEST_NAME], list(names), n=1, cutoff=0.5)
    return f" (did you mean '{close[0]}'?)" if close else ""
