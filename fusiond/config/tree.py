"""The configuration as frozen values: one class per TOML table, every default in its place.

Two configurations are equal exactly when they mean the same, which is how a reload knows that nothing changed.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from decimal import Decimal
from typing import Any, Literal

from fusiond.config.secret import Secret

Place = Literal["local", "lan", "remote"]
StrategyName = Literal["single", "race", "vote", "select", "synthesize", "refine", "cascade", "adaptive"]
KeyKind = Literal["choice", "number", "boolean", "label", "text", "json"]
Task = Literal["code", "choice", "number", "boolean", "label", "text", "json", "prose"]
"""What a request is about, told from the request itself: code, one of the kinds of vote key, or anything else."""

Privacy = Literal["any", "lan", "local"]
"""How far a request may go: anywhere, to the local network, or not beyond this machine."""

PRIVATE_KEY = "-----BEGIN [A-Z ]*PRIVATE KEY-----"


@dataclass(frozen=True, slots=True, kw_only=True)
class ServerConfig:
    """`[server]`: addresses, limits and the gate."""

    listen: tuple[str, ...] = ("127.0.0.1:11435", "unix")
    max_requests: int = 64
    queue: int = 256
    drain_seconds: float = 30.0
    tokens: tuple[Secret, ...] = ()
    allowed_hosts: tuple[str, ...] = ()
    allowed_origins: tuple[str, ...] = ()
    heartbeat_seconds: float = 10.0


@dataclass(frozen=True, slots=True, kw_only=True)
class OllamaConfig:
    """A provider with `api = "ollama"`."""

    api: Literal["ollama"]
    url: str = "http://127.0.0.1:11434"
    place: Place | None = None
    parallel: int = 1
    discover: bool = True
    keep_alive: str = "5m"


@dataclass(frozen=True, slots=True, kw_only=True)
class OpenRouterConfig:
    """A provider with `api = "openrouter"`: always remote, whatever its address."""

    api: Literal["openrouter"]
    url: str = "https://openrouter.ai/api/v1"
    api_key: Secret | None = None
    order: tuple[str, ...] | None = None
    only: tuple[str, ...] | None = None
    ignore: tuple[str, ...] | None = None
    data_collection: Literal["allow", "deny"] | None = None
    zdr: bool | None = None
    quantizations: tuple[str, ...] | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class OpenAIConfig:
    """A provider with `api = "openai"`: any server that speaks OpenAI's protocol. `parallel` None: no limit."""

    api: Literal["openai"]
    url: str
    api_key: Secret | None = None
    place: Place | None = None
    parallel: int | None = None
    discover: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class LlamaCppConfig:
    """A provider with `api = "llamacpp"`: the built-in engine, a child process for each model."""

    api: Literal["llamacpp"]
    parallel: int = 4
    threads: int | None = None


ProviderConfig = OllamaConfig | OpenRouterConfig | OpenAIConfig | LlamaCppConfig


@dataclass(frozen=True, slots=True, kw_only=True)
class Price:
    """USD per million tokens."""

    input: Decimal
    output: Decimal


@dataclass(frozen=True, slots=True, kw_only=True)
class MemberConfig:
    """`[members.NAME]`. None: told by the provider, or guessed from the model's name."""

    provider: str
    model: str
    family: str | None = None
    size: float | None = None
    reasoning: bool | None = None
    context: int | None = None
    options: Mapping[str, Any] = field(default_factory=dict)
    price: Price | None = None
    skill: float | None = None
    first_token_seconds: float = 60.0
    stall_seconds: float = 15.0
    total_seconds: float = 300.0


@dataclass(frozen=True, slots=True, kw_only=True)
class Seat:
    """A place in a panel: a member, and how many samples it gives. In TOML a bare name or a table."""

    member: str
    samples: int = 1
    temperature: float | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class KindConfig:
    """`[fusions.NAME.kinds.KIND]`: what is different where this kind of answer is wanted. `fusiond tune` writes it.

    `panel`: who of the fusion's panel is asked; None: everybody. `skills`: member -> chance of a right answer.
    """

    panel: tuple[str, ...] | None = None
    thrift: float | None = None
    skills: Mapping[str, float] = field(default_factory=dict)


@dataclass(frozen=True, slots=True, kw_only=True)
class FusionConfig:
    """`[fusions.NAME]`: a recipe that clients select as a model.

    `escalate`: who may be paid to join the panel of a cascade, in this order. `thrift`: what a mean call of the strongest of them must at least add
    to the chance of a right answer. `spend`: instead of it, the share of always asking that one which may be spent on average.
    `accept`: confidence at which an answer stands unquestioned. `kinds`: by kind of vote key. `rounds`: layers of synthesize, revisions of refine.
    """

    strategy: StrategyName = "adaptive"
    panel: tuple[Seat, ...] = ()
    escalate: tuple[str, ...] = ()
    judge: str | None = None
    writer: str | None = None
    thrift: float = 0.14
    spend: float | None = None
    accept: float = 1.0
    kind: KeyKind | None = None
    kinds: Mapping[str, KindConfig] = field(default_factory=dict)
    rounds: int = 1
    quorum: int | None = None
    grace_seconds: float = 5.0
    deadline_seconds: float = 120.0
    privacy: Privacy | None = None
    max_cost_usd: Decimal | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Conditions:
    """`when` of a route: all that is given must hold. `max_prompt_tokens` is compared with a quarter of the prompt's bytes."""

    task: Task | None = None
    max_prompt_tokens: int | None = None
    tools: bool | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class RouteConfig:
    """`[[routes]]`: which model the name `auto` stands for, the first that matches."""

    use: str
    when: Conditions = Conditions()


@dataclass(frozen=True, slots=True, kw_only=True)
class BudgetConfig:
    """`[budget]`: without this table nothing is ever paid. USD; None: no cap. Days and months are UTC."""

    per_request_usd: Decimal | None = None
    per_day_usd: Decimal | None = None
    per_month_usd: Decimal | None = None
    when_exhausted: Literal["local", "reject"] = "local"


@dataclass(frozen=True, slots=True, kw_only=True)
class PrivacyConfig:
    """`[privacy]`: what may leave. A request in which one of `never_remote` matches is `local`."""

    default: Privacy = "any"
    never_remote: tuple[str, ...] = (PRIVATE_KEY,)


@dataclass(frozen=True, slots=True, kw_only=True)
class OfflineConfig:
    """`[offline]`: whether remote members leave the panel while they cannot be reached, always, or never."""

    mode: Literal["auto", "always", "never"] = "auto"


@dataclass(frozen=True, slots=True, kw_only=True)
class CodeConfig:
    """`[code]`: whether code of answers may be run, to choose among them by what it does."""

    run: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class RecordsConfig:
    """`[records]`: what is kept of every request, and for how many days."""

    text: bool = False
    keep_days: int = 30


@dataclass(frozen=True, slots=True, kw_only=True)
class Config:
    """A whole configuration. `path` is None for the start without a file."""

    path: str | None = None
    files: tuple[str, ...] = ()
    server: ServerConfig = ServerConfig()
    providers: Mapping[str, ProviderConfig] = field(default_factory=dict)
    members: Mapping[str, MemberConfig] = field(default_factory=dict)
    fusions: Mapping[str, FusionConfig] = field(default_factory=dict)
    routes: tuple[RouteConfig, ...] = ()
    aliases: Mapping[str, str] = field(default_factory=dict)
    budget: BudgetConfig | None = None
    privacy: PrivacyConfig = PrivacyConfig()
    offline: OfflineConfig = OfflineConfig()
    records: RecordsConfig = RecordsConfig()
    code: CodeConfig = CodeConfig()
