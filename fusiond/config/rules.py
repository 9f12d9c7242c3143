"""What the tables must say to each other and which values make sense; every rule is one function from the configuration to its faults.

A table that could not be read is not in the configuration, but its name counts: one mistake is reported once.
"""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Collection, Iterator, Mapping
from dataclasses import dataclass, fields, is_dataclass
from decimal import Decimal
from typing import Any
from urllib.parse import urlsplit

from fusiond.config.address import Address, TcpAddress, parse_address
from fusiond.config.errors import Fault, Key, nearest
from fusiond.config.secret import Secret
from fusiond.config.tree import Config, FusionConfig, LlamaCppConfig, OllamaConfig, OpenAIConfig, ServerConfig

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
    "grace_seconds": 0,
}
ABOVE_ZERO = ("heartbeat_seconds", "size", "first_token_seconds", "stall_seconds", "total_seconds", "deadline_seconds")

_DURATION = re.compile(r"-?(?:\d+(?:\.\d+)?(?:h|m|s|ms))+")
_ORIGIN = re.compile(r"[a-z][a-z0-9+.-]*://[^/\s]+")
_NAME = re.compile(r"[^\s#*\"'\\\x00-\x1f]+")
_SERVED = re.compile(r"auto|fusion(/.*)?|openrouter/fusion")


@dataclass(frozen=True, slots=True, kw_only=True)
class Names:
    """Every name that the file gives, also to a table that could not be read."""

    providers: Collection[str]
    members: Collection[str]
    fusions: Collection[str]
    aliases: Collection[str]


def broken(config: Config, names: Names) -> Faults:
    """Everything in *config* that breaks a rule."""
    yield from _names(names)
    for path, value in _walk(config):
        yield from _value(path, value)
    yield from _addresses(config.server)
    for name, member in config.members.items():
        if member.provider not in names.providers:
            yield _unknown(("members", name, "provider"), f"there is no provider {member.provider!r}", member.provider, names.providers)
    for name, fusion in config.fusions.items():
        yield from _fusion(("fusions", name), fusion, config, names)
    for name, target in config.aliases.items():
        yield from _alias(name, target, config, names)


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
        case "" if key in ("provider", "model", "family", "judge", "writer", "member"):
            reason = "must not be empty"
        case str() if key == "url":
            reason = _url(value)
        case str() if key == "keep_alive" and not _DURATION.fullmatch(value):
            reason = "must be a duration such as 5m, 1h30m or -1m (for ever)"
        case str() if path[:2] == ("server", "allowed_origins") and not _ORIGIN.fullmatch(value):
            reason = "must be an origin such as https://example.org, without a path"
        case str() if path[:2] == ("server", "allowed_hosts") and not re.fullmatch(r"[^/\s]+", value):
            reason = "must be a host's name, without a scheme or a path"
    if reason:
        yield Fault(path=path, reason=reason)


def _number(key: str, value: float | Decimal) -> str | None:
    if key in AT_LEAST and value < AT_LEAST[key]:
        return f"must be at least {AT_LEAST[key]}"
    if key in ABOVE_ZERO and value <= 0:
        return "must be more than 0"
    if key == "skill" and not 0 < value < 1:
        return "must be between 0 and 1, and neither of them"
    return None


def _secret(secret: Secret) -> str | None:
    given = [place for place in (secret.env, secret.file, secret.credential) if place is not None]
    if len(given) != 1:
        return "must have exactly one of env, file and credential"
    return None if given[0] else "must not be empty"


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
    if fusion.strategy == "select" and not fusion.judge:
        yield Fault(path=(*path, "judge"), reason="is missing: select needs a judge")
    if fusion.strategy == "synthesize" and not (fusion.judge or fusion.writer):
        yield Fault(path=(*path, "writer"), reason="is missing: synthesize needs a writer or a judge")
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
    match config.providers[provider]:
        case OllamaConfig(discover=discover) | OpenAIConfig(discover=discover):
            return discover
        case LlamaCppConfig():
            return True
    return False


def _alias(name: str, target: str, config: Config, names: Names) -> Faults:
    if name in names.members:
        yield Fault(path=("aliases", name), reason="this name is taken by a member")
    fusions = {f"fusion/{fusion}" for fusion in names.fusions} | ({"fusion", "openrouter/fusion"} if "default" in names.fusions else set())
    if target in names.aliases:
        yield Fault(path=("aliases", name), reason=f"{target!r} is an alias itself: name what it stands for")
    elif target not in fusions and not _discovered(target, config) and target not in names.members:
        yield _unknown(("aliases", name), f"there is no model {target!r}", target, {*names.members, *fusions})


def _discovered(name: str, config: Config) -> bool:
    provider, _, model = name.partition("/")
    return model not in ("", "*") and provider in config.providers and discovers(config, provider)


def _unknown(path: Path, reason: str, name: str, names: Collection[str]) -> Fault:
    return Fault(path=path, reason=reason, suggestion=nearest(name, names))
