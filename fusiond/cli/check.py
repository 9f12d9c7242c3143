"""`fusiond check`: what a configuration means, or everything that is wrong with it. Nobody is asked: what providers would tell is left open."""

from __future__ import annotations

import json
import os
import sys
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import asdict
from pathlib import Path
from typing import Any, TextIO

from fusiond.access import gate_of, keys_of
from fusiond.catalog import Catalog
from fusiond.config import (
    Config,
    ConfigError,
    ConfigErrors,
    FusionConfig,
    OpenAIConfig,
    OpenRouterConfig,
    Seat,
    Secret,
    SecretError,
    candidates,
    load,
    locate,
)
from fusiond.config.tree import Conditions
from fusiond.resolve import resolve


def check(config: Path | None, as_json: bool) -> int:
    """Print what the configuration at *config* (None: the one in its usual place) serves; 0, or 78 with every error on stderr."""
    try:
        path = locate(config)
        found = load(path) if path else Config()
        _secure(found)
    except ConfigErrors as wrong:
        if as_json:
            _say(sys.stdout, json.dumps({"valid": False, "errors": [asdict(error) for error in wrong.errors]}, indent=2))
        _say(sys.stderr, str(wrong))
        return os.EX_CONFIG
    catalog = resolve(found, {}, memory=0)
    _say(sys.stdout, json.dumps(_facts(found, catalog), indent=2) if as_json else "\n".join(_lines(found, catalog)))
    return os.EX_OK


def _secure(config: Config) -> None:
    """Raises ConfigErrors where the daemon would not start: without a token that it asks for, or a key that it may not read."""
    try:
        keys_of(config)
        gate_of(config, config.server.listen)
    except SecretError as error:
        raise ConfigErrors([ConfigError(file=config.path or "", reason=str(error))]) from None


def _facts(config: Config, catalog: Catalog) -> dict[str, Any]:
    return {
        "valid": True,
        "path": config.path,
        "files": config.files,
        "members": {name: {"provider": member.provider, "model": member.model, "place": member.place} for name, member in catalog.members.items()},
        "fusions": {
            name: {
                "strategy": fusion.strategy,
                "panel": [asdict(seat) for seat in fusion.panel],
                "escalate": fusion.escalate,
                "judge": fusion.judge,
                "writer": fusion.writer,
            }
            for name, fusion in config.fusions.items()
        },
        "routes": [{"use": route.use, "when": asdict(route.when)} for route in config.routes],
        "aliases": config.aliases,
    }


def _lines(config: Config, catalog: Catalog) -> Iterable[str]:
    if config.path is None:
        looked = " or ".join(map(str, candidates()))
        yield f"There is no configuration ({looked}): the daemon starts on what it discovers."
        return
    yield f"{config.path} is valid."
    yield from _table("Members", [(name, member.provider, member.model, member.place) for name, member in catalog.members.items()])
    yield from _table("Fusions", [_recipe(name, fusion) for name, fusion in config.fusions.items()])
    yield from _table("Routes of auto", [(_when(route.when), "to", route.use) for route in config.routes])
    yield from _table("Aliases", [(name, "is", target) for name, target in config.aliases.items()])
    yield from _table("Limits", list(_limits(config)))
    yield from _table("Secrets, as they are here", [(name, _state(secret)) for name, secret in _secrets(config)])
    if not config.fusions:
        yield "There are no members: the fusion of this configuration is made of what its providers have."
    if any(seat.member.endswith("/*") for fusion in config.fusions.values() for seat in fusion.panel):
        yield "PROVIDER/* is every model that can chat, as the provider tells when the daemon runs."


def _table(title: str, rows: Sequence[Sequence[str]]) -> Iterable[str]:
    """A title and rows in columns; nothing where there are no rows."""
    if rows:
        widths = [max(map(len, column)) for column in zip(*rows, strict=True)]
        yield f"{title}:"
        for row in rows:
            yield "  " + "  ".join(cell.ljust(width) for cell, width in zip(row, widths, strict=True)).rstrip()


def _recipe(name: str, fusion: FusionConfig) -> tuple[str, ...]:
    helped = f"then {', '.join(fusion.escalate)}" if fusion.escalate else ""
    return f"fusion/{name}", fusion.strategy, ", ".join(map(_seat, fusion.panel)), helped or _roles(fusion.judge, fusion.writer)


def _when(conditions: Conditions) -> str:
    told = {name: value for name, value in asdict(conditions).items() if value is not None}
    return ", ".join(f"{name} = {json.dumps(value)}" for name, value in told.items()) or "always"


def _limits(config: Config) -> Iterator[tuple[str, str]]:
    budget = config.budget
    caps = {} if budget is None else {"request": budget.per_request_usd, "day": budget.per_day_usd, "month": budget.per_month_usd}
    told = ", ".join(f"${cap} a {period}" for period, cap in caps.items() if cap is not None) or "no cap"
    yield "money", "nothing is ever paid: there is no [budget]" if budget is None else f"{told}; beyond that {budget.when_exhausted}"
    yield "privacy", config.privacy.default
    yield "offline", config.offline.mode


def _secrets(config: Config) -> Iterator[tuple[str, Secret]]:
    for name, provider in config.providers.items():
        if isinstance(provider, OpenAIConfig | OpenRouterConfig) and provider.api_key:
            yield f"the key of {name}", provider.api_key
    for index, token in enumerate(config.server.tokens):
        yield f"server.tokens[{index}]", token


def _state(secret: Secret) -> str:
    try:
        return f"{secret.place} is set" if secret.read() else f"{secret.place} is not set or empty"
    except SecretError as error:
        return str(error)


def _seat(seat: Seat) -> str:
    return f"{seat.member} x{seat.samples}" if seat.samples > 1 else seat.member


def _roles(judge: str | None, writer: str | None) -> str:
    return ", ".join(f"{role} {name}" for role, name in (("judge", judge), ("writer", writer)) if name)


def _say(stream: TextIO, text: str) -> None:
    # A path need not be text; a question mark in it is better than no answer.
    stream.write(text.encode(errors="replace").decode() + "\n")
