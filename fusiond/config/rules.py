"""What the tables must say to each other and which values make sense; every rule is one function from the configuration to its faults.

A table that could not be read is not in the configuration, but its name counts: one mistake is reported once.
"""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Collection, Iterator, Mapping
from dataclasses import dataclass, fields, is_dataclass
from decimal import Decimal
from typing import Any, get_args
from urllib.parse import urlsplit

from fusiond.config.address import Address, TcpAddress, parse_address
from fusiond.config.errors import Fault, Key, nearest
from fusiond.config.kinds import broken_kinds
from fusiond.config.recipes import lacks
from fusiond.config.secret import Secret
from fusiond.config.tree import (
    PRIVATE_KEY,
    Conditions,
    Config,
    FusionConfig,
    LlamaCppConfig,
    OllamaConfig,
    OpenAIConfig,
    OpenRouterConfig,
    Privacy,
    ServerConfig,
)

Path = tuple[Key, ...]
Faults = Iterator[Fault]

AT_LEAST: Mapping[str, float] = {
    "max_requests": 1,
    "queue": 0,
    "drain_seconds": 0,
    "parallel": 1,
    "threads": 1,
    "context": 256,
    "input": 0,
    "output": 0,
    "samples": 1,
    "temperature": 0,
    "quorum": 1,
    "rounds": 1,
    "grace_seconds": 0,
    "max_prompt_tokens": 1,
    "thrift": 0,
    "per_request_usd": 0,
    "per_day_usd": 0,
    "per_month_usd": 0,
    "max_cost_usd": 0,
    "keep_days": 0,
}
AT_MOST: Mapping[str, int] = {
    "rounds": 8,
    "input": 1_000_000,
    "output": 1_000_000,
    "per_request_usd": 1_000_000_000,
    "per_day_usd": 1_000_000_000,
    "per_month_usd": 1_000_000_000,
    "max_cost_usd": 1_000_000_000,
    "keep_days": 36_500,
}
"""What is beyond these is a mistake; amounts would have more digits than are reckoned with."""

ABOVE_ZERO = ("heartbeat_seconds", "size", "first_token_seconds", "stall_seconds", "total_seconds", "deadline_seconds")

PRIVACIES: tuple[Privacy, ...] = get_args(Privacy)
"""From the loosest to the strictest."""

OURS = frozenset((
    "best_of", "fallbacks", "max_completion_tokens", "messages", "model", "models", "n", "plugins", "prediction", "provider", "response_format",
    "service_tier", "stream", "stream_options", "tools", "web_search_options",
))  # fmt: skip
"""Fields of a question that no member's `options` can set."""

HARMLESS = frozenset((
    "chat_template_kwargs", "enable_thinking", "frequency_penalty", "logit_bias", "max_tokens", "min_p", "presence_penalty", "reasoning",
    "reasoning_effort", "repetition_penalty", "seed", "stop", "temperature", "thinking", "top_a", "top_k", "top_p", "typical_p", "user", "verbosity",
))  # fmt: skip
"""Those that a paid member's may: none of them makes a call dearer than its prompt and its longest answer."""

_VARIABLE = re.compile(r"[A-Za-z_][A-Za-z0-9_]{0,127}")
_DURATION = re.compile(r"-?(?:\d+(?:\.\d+)?(?:h|m|s|ms))+")
_ORIGIN = re.compile(r"[a-z][a-z0-9+.-]*://[^/\s]+")
_NAME = re.compile(r"[^\s#*\"'\\\x00-\x1f]+")
_SERVED = re.compile(r"auto|fusion(/.*)?|openrouter/fusion")


@dataclass(frozen=True, slots=True, kw_only=True)
class Names:
    """Every name that the file gives, also to a table that could not be read. `undecided`: fusions whose strategy could not be read."""

    providers: Collection[str]
    members: Collection[str]
    fusions: Collection[str]
    aliases: Collection[str]
    undecided: Collection[str] = ()


def broken(config: Config, names: Names) -> Faults:
    """Everything in *config* that breaks a rule."""
    yield from _names(names)
    for path, value in _walk(config):
        yield from _value(path, value)
    yield from _addresses(config.server)
    for name, member in config.members.items():
        if member.provider not in names.providers:
            yield _unknown(("members", name, "provider"), f"there is no provider {member.provider!r}", member.provider, names.providers)
        elif isinstance(config.providers.get(member.provider), OpenAIConfig | OpenRouterConfig):
            paid = isinstance(config.providers.get(member.provider), OpenRouterConfig) or member.price is not None
            yield from _options(("members", name, "options"), member.options, paid=paid)
            if paid and member.model.endswith(":online"):
                yield Fault(path=("members", name, "model"), reason="would search the web, which is billed on top and has no bound")
    for name, fusion in config.fusions.items():
        yield from _fusion(("fusions", name), fusion, config, names)
        yield from _limits(("fusions", name), fusion, config)
        yield from broken_kinds(("fusions", name), fusion)
    yield from _routes(config, names)
    for name, target in config.aliases.items():
        yield from _alias(name, target, config, names)


def _options(path: Path, options: Mapping[str, Any], *, paid: bool) -> Faults:
    """What is sent with every question may set how a member answers, not who answers or what for; where it is paid, only what surely does no more."""
    unfit = options.keys() - HARMLESS if paid else options.keys() & OURS
    for key in sorted(unfit):
        suggestion = "max_tokens" if key == "max_completion_tokens" else None
        yield Fault(path=(*path, key), reason="cannot be an option: it changes who answers, or what a call costs", suggestion=suggestion)
    longest = options.get("max_tokens", 1)
    if not isinstance(longest, int) or isinstance(longest, bool) or longest < 1:
        yield Fault(path=(*path, "max_tokens"), reason="must be a whole number of at least 1")


def _names(names: Names) -> Faults:
    for table in ("providers", "members", "fusions", "aliases"):
        for name in getattr(names, table):
            if not _NAME.fullmatch(name):
                yield Fault(path=(table, name), reason="a name has at least one character, and neither white space nor any of # * \" ' \\")
            elif table in ("providers", "fusions") and "/" in name:
                yield Fault(path=(table, name), reason="this name cannot have a slash: it stands before or after one")
            elif table in ("members", "aliases") and _SERVED.fullmatch(name):
                yield Fault(path=(table, name), reason="this name is taken: the daemon itself serves it")
    if "fusion" in names.providers:
        yield Fault(path=("providers", "fusion"), reason="this name is taken: fusions are served as fusion/NAME")


def _walk(value: Any, path: Path = ()) -> Iterator[tuple[Path, Any]]:
    """Every value with its path, down to the leaves; what is passed on untouched (`options`) is not looked into."""
    yield path, value
    if is_dataclass(value):
        for field in fields(value):
            yield from _walk(getattr(value, field.name), (*path, field.name))
    elif isinstance(value, tuple):
        for index, item in enumerate(value):
            yield from _walk(item, (*path, index))
    elif isinstance(value, Mapping) and len(path) == 1:
        for name, item in value.items():
            yield from _walk(item, (*path, name))


def _value(path: Path, value: Any) -> Faults:
    """What is wrong with one value for itself, whatever else the file says."""
    key = path[-1] if path else ""
    reason: str | None = None
    match value:
        case int() | float() | Decimal():
            reason = _number(str(key), value)
        case Secret():
            reason = _secret(value)
        case "" if key in ("provider", "model", "family", "judge", "writer", "member", "use") or path[2:3] == ("escalate",):
            reason = "must not be empty"
        case str() if key == "url":
            reason = _url(value)
        case str() if key == "keep_alive" and not _DURATION.fullmatch(value):
            reason = "must be a duration such as 5m, 1h30m or -1m (for ever)"
        case str() if path[:2] == ("server", "allowed_origins") and not _ORIGIN.fullmatch(value):
            reason = "must be an origin such as https://example.org, without a path"
        case str() if path[:2] == ("server", "allowed_hosts") and not re.fullmatch(r"[^/\s]+", value):
            reason = "must be a host's name, without a scheme or a path"
        case str() if path[:2] == ("privacy", "never_remote") and value != PRIVATE_KEY:
            reason = _pattern(value)
    if reason:
        yield Fault(path=path, reason=reason)


def _pattern(pattern: str) -> str | None:
    from fusiond.guard import fault  # noqa: PLC0415  # only for a pattern of the user's own is the engine needed

    return fault(pattern)


def _number(key: str, value: float | Decimal) -> str | None:
    if key in AT_LEAST and value < AT_LEAST[key]:
        return f"must be at least {AT_LEAST[key]}"
    if key in AT_MOST and value > AT_MOST[key]:
        return f"must be at most {AT_MOST[key]}"
    if key in ABOVE_ZERO and value <= 0:
        return "must be more than 0"
    if key == "skill" and not 0 < value < 1:
        return "must be between 0 and 1, and neither of them"
    return "must be more than 0 and at most 1" if key in ("accept", "spend") and not 0 < value <= 1 else None


def _secret(secret: Secret) -> str | None:
    given = [place for place in (secret.env, secret.file, secret.credential) if place is not None]
    if len(given) != 1:
        return "must have exactly one of env, file and credential"
    if not given[0]:
        return "must not be empty"
    if secret.env is not None and not _VARIABLE.fullmatch(secret.env):
        return "must have the name of a variable as env, not what is in it"
    return None


def _url(url: str) -> str | None:
    """None, or what is wrong; the URL itself is not repeated, for it may hold a password."""
    try:
        parts = urlsplit(url)
        host, _ = parts.hostname, parts.port
    except ValueError:
        return "is not a URL"
    if parts.scheme not in ("http", "https") or not host:
        return "must begin with http:// or https:// and name a host"
    if parts.username is not None or parts.password is not None:
        return "must not hold a user or a password: give the key as api_key"
    return "must not have a query or a fragment" if parts.query or parts.fragment else None


def _addresses(server: ServerConfig) -> Faults:
    seen: dict[Address, int] = {}
    for index, text in enumerate(server.listen):
        path = ("server", "listen", index)
        try:
            address = parse_address(text)
        except ValueError as error:
            yield Fault(path=path, reason=str(error))
            continue
        if seen.setdefault(address, index) != index and getattr(address, "port", None) != 0:
            yield Fault(path=path, reason=f"is the same as listen[{seen[address]}]")
        if isinstance(address, TcpAddress) and not address.loopback and not server.tokens:
            yield Fault(path=path, reason="can be reached from other machines: that needs server.tokens")
    if not server.listen:
        yield Fault(path=("server", "listen"), reason="must have at least one address")


def _fusion(path: Path, fusion: FusionConfig, config: Config, names: Names) -> Faults:
    if not fusion.panel:
        yield Fault(path=(*path, "panel"), reason="must name at least one member")
    for index, seat in enumerate(fusion.panel):
        yield from _reference((*path, "panel", index), seat.member, config, names, all_of=True)
    for name, count in Counter(seat.member for seat in fusion.panel).items():
        if count > 1:
            yield Fault(path=(*path, "panel"), reason=f"names {name!r} more than once: give it several samples")
    for key, one in (("judge", fusion.judge), ("writer", fusion.writer)):
        if one:
            yield from _reference((*path, key), one, config, names, all_of=False)
    yield from lacks(path, fusion) if path[1] not in names.undecided else ()
    yield from _escalation(path, fusion, config, names)
    votes = sum(seat.samples for seat in fusion.panel)
    if fusion.panel and fusion.quorum and fusion.quorum > votes and not any(seat.member.endswith("/*") for seat in fusion.panel):
        yield Fault(path=(*path, "quorum"), reason=f"is more than the panel's answers, which are {votes}")


def _reference(path: Path, name: str, config: Config, names: Names, *, all_of: bool) -> Faults:
    """A panel, judge or writer names a member, or `PROVIDER/MODEL` of a provider that discovers its models; a panel also all of them."""
    if name in names.members or not name:
        return
    provider, slash, model = name.partition("/")
    if not slash or provider not in names.providers or not model:
        yield _unknown(path, f"there is no member {name!r}", name, names.members)
    elif model == "*" and not all_of:
        yield Fault(path=path, reason=f"must be one member, and {name!r} stands for several")
    elif provider in config.providers and not discovers(config, provider):
        yield Fault(path=path, reason=f"provider {provider!r} does not discover its models: {name!r} must be a member")


def discovers(config: Config, provider: str) -> bool:
    """Whether the provider's models are members by the name `PROVIDER/MODEL` without being in the file."""
    found = config.providers[provider]
    return isinstance(found, LlamaCppConfig) or (isinstance(found, OllamaConfig | OpenAIConfig) and found.discover)


def _escalation(path: Path, fusion: FusionConfig, config: Config, names: Names) -> Faults:
    """Who may join a cascade, each once, and the keys that say how."""
    seats = {seat.member for seat in fusion.panel}
    for index, name in enumerate(fusion.escalate):
        yield from _reference((*path, "escalate", index), name, config, names, all_of=False)
        if name and (name in seats or name in fusion.escalate[:index]):
            yield Fault(path=(*path, "escalate", index), reason=f"names {name!r}, who is asked already")
    if fusion.strategy not in ("cascade", "adaptive") and path[1] not in names.undecided:
        for key in ("escalate", "thrift", "spend", "accept"):
            if getattr(fusion, key) != getattr(FusionConfig(), key):
                yield Fault(path=(*path, key), reason="is for the strategies cascade and adaptive")
    if fusion.spend is not None and fusion.thrift != FusionConfig().thrift:
        yield Fault(path=(*path, "thrift"), reason="follows from spend by itself: leave one of the two out")


def _limits(path: Path, fusion: FusionConfig, config: Config) -> Faults:
    """A fusion's own limits may only be stricter than everybody's."""
    if fusion.privacy and PRIVACIES.index(fusion.privacy) < PRIVACIES.index(config.privacy.default):
        yield Fault(path=(*path, "privacy"), reason=f"may only be stricter than privacy.default, which is {config.privacy.default!r}")
    cap = config.budget.per_request_usd if config.budget else None
    if cap is not None and fusion.max_cost_usd is not None and fusion.max_cost_usd > cap:
        yield Fault(path=(*path, "max_cost_usd"), reason=f"must be at most budget.per_request_usd, which is {cap}")


def _routes(config: Config, names: Names) -> Faults:
    """Each stands for something, and one for every request."""
    for index, route in enumerate(config.routes):
        path = ("routes", index, "use")
        if route.use == "auto" or config.aliases.get(route.use) == "auto":
            yield Fault(path=path, reason=f"{route.use!r} stands for the routes themselves")
        else:
            yield from _served(path, route.use, config, names)
    if config.routes and "default" not in names.fusions and all(route.when != Conditions() for route in config.routes):
        yield Fault(path=("routes",), reason="what none of them matches goes to fusion/default, which is missing: add it, or a route without `when`")


def _alias(name: str, target: str, config: Config, names: Names) -> Faults:
    if name in names.members:
        yield Fault(path=("aliases", name), reason="this name is taken by a member")
    if target in names.aliases:
        yield Fault(path=("aliases", name), reason=f"{target!r} is an alias itself: name what it stands for")
    elif target != "auto" or not (config.routes or "default" in names.fusions):
        yield from _served(("aliases", name), target, config, names)


def _served(path: Path, target: str, config: Config, names: Names) -> Faults:
    """What an alias or a route stands for: a fusion, a member, or a model that its provider discovers; a route also an alias."""
    fusions = {f"fusion/{fusion}" for fusion in names.fusions} | ({"fusion", "openrouter/fusion"} if "default" in names.fusions else set())
    known = {*names.members, *fusions, *(names.aliases if path[0] == "routes" else ())}
    if target and target not in known and not _discovered(target, config):
        yield _unknown(path, f"there is no model {target!r}", target, known)


def _discovered(name: str, config: Config) -> bool:
    provider, _, model = name.partition("/")
    return model not in ("", "*") and provider in config.providers and discovers(config, provider)


def _unknown(path: Path, reason: str, name: str, names: Collection[str]) -> Fault:
    return Fault(path=path, reason=reason, suggestion=nearest(name, names))
