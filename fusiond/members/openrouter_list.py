"""OpenRouter's list of models with their prices (`GET /models`, docs of 2026-08): how it is read, and how it is kept for a start without a network.

A price that cannot be known is None, never a guess: with it a model is as good as one without a price. Discounts are left out, markups are not.
"""

from __future__ import annotations

import json
import os
import re
import tempfile
from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime, time
from decimal import ROUND_CEILING, Decimal, InvalidOperation
from math import floor
from pathlib import Path
from typing import Any

from fusiond.members.openai import listing
from fusiond.places import private_directory
from fusiond.tariff import Override, Rates, Tariff

_PRICES = {
    "prompt": ("prompt", "image_token"),
    "completion": ("completion",),
    "reasoning": ("internal_reasoning",),
    "cache_read": ("input_cache_read",),
    "cache_write": ("input_cache_write",),
    "request": ("request",),
    "image": ("image",),
}
"""What the list calls each price. The dearest counts where there are several: an image's tokens are tokens of the prompt."""

_FINEST = Decimal("1e-20")
_HIGHEST = Decimal(100)
"""Of a price in USD: finer ones are rounded up, higher ones are no prices. So every sum over a call's tokens is exact."""

_LARGEST = 10**12
"""Of any number in the list; what is beyond it is a mistake."""

_SEARCHER = re.compile(r"^~?perplexity/|search")


class _Strange(Exception):
    """A price that is none."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Listed:
    """One model of the list. None: the list does not say. `context` and `most_completion_tokens` in tokens."""

    model: str
    context: int | None = None
    reasoning: bool = False
    tools: bool = False
    vision: bool = False
    tariff: Tariff | None = None
    most_completion_tokens: int | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Kept:
    """What was kept, and since when; nothing where there is none, or none that can be read."""

    models: Mapping[str, Listed] = field(default_factory=dict)
    at: datetime | None = None


class KeptList:
    """The last list that came, in a file of its own. Both ways block, and belong in a thread."""

    def __init__(self, path: Path) -> None:
        self._path = path

    def keep(self, document: bytes) -> None:
        """Replace what is kept, whole or not at all; only this user can read it. Raises OSError."""
        folder = private_directory(self._path.parent)
        handle, name = tempfile.mkstemp(dir=folder, prefix=f".{self._path.name}-")
        written = Path(name)
        try:
            with os.fdopen(handle, "wb") as file:
                file.write(document)
                file.flush()
                os.fsync(file.fileno())
            written.replace(self._path)
        except BaseException:
            written.unlink(missing_ok=True)
            raise

    def kept(self) -> Kept:
        """What `keep` was last given."""
        try:
            with self._path.open("rb") as file:
                at = datetime.fromtimestamp(os.fstat(file.fileno()).st_mtime, UTC)
                models = facts_of(json.load(file))
        except (OSError, ValueError, RecursionError):  # the list will come again, and nothing hangs on this copy
            return Kept()
        return Kept(models=models, at=at) if models else Kept()


def facts_of(document: Any) -> dict[str, Listed]:
    """The models of a list by their names; an entry of another form than the list's is left out."""
    return {model.model: model for model in map(_listed, listing(document)) if model}


def _listed(entry: Mapping[str, Any]) -> Listed | None:
    name = entry.get("id")
    if not isinstance(name, str) or not name:
        return None
    parameters = _list(entry.get("supported_parameters"))
    architecture, provider = _mapping(entry.get("architecture")), _mapping(entry.get("top_provider"))
    return Listed(
        model=name,
        context=_count(entry.get("context_length")),
        reasoning="reasoning" in parameters,
        tools="tools" in parameters,
        vision="image" in _list(architecture.get("input_modalities")),
        tariff=_tariff(name, _list(architecture.get("output_modalities")), entry.get("pricing")),
        most_completion_tokens=_count(provider.get("max_completion_tokens")),
    )


def _tariff(name: str, output: list[Any], pricing: Any) -> Tariff | None:
    """None too where the list's prices are not the whole bill: of pictures and sound in the answer, and of searches that the model makes unasked."""
    if not isinstance(pricing, Mapping) or any(kind != "text" for kind in output):
        return None
    try:
        if _SEARCHER.search(name) and _price(pricing, ("web_search",)):
            return None
        markup = _markup(pricing.get("discount"))
        base = _prices(pricing, markup)
        if not {"prompt", "completion"} <= base.keys():
            return None
        overrides = tuple(_override(entry, base, markup) for entry in _entries(pricing.get("overrides")))
        return Tariff(base=Rates(**_all_told(base, base)), overrides=overrides)
    except _Strange:
        return None


def _override(entry: Mapping[str, Any], base: dict[str, Decimal], markup: Decimal) -> Override:
    start, end, length = entry.get("utc_start"), entry.get("utc_end"), entry.get("min_prompt_tokens")
    if (start is None) != (end is None):
        raise _Strange
    return Override(
        min_prompt_tokens=None if length is None else floor(_number(length)),
        utc_start=None if start is None else _clock(start),
        utc_end=None if end is None else _clock(end),
        **_all_told(_prices(entry, markup), base),
    )


def _all_told(stated: dict[str, Decimal], base: dict[str, Decimal]) -> dict[str, Decimal]:
    """A price of writing to the cache below the prompt's is what comes on top of it (Google's storage; nothing, elsewhere), and moves with it."""
    if "cache_write" not in base | stated or not {"prompt", "cache_write"} & stated.keys():
        return stated
    prompt, write = ((base | stated)[name] for name in ("prompt", "cache_write"))
    return stated | {"cache_write": write if write >= prompt else prompt + write}


def _prices(stated: Mapping[str, Any], markup: Decimal) -> dict[str, Decimal]:
    """The prices that are stated, by our names. Raises _Strange where one of them is none."""
    return {name: _rounded(price * markup) for name, names in _PRICES.items() if (price := _price(stated, names)) is not None}


def _price(stated: Mapping[str, Any], names: tuple[str, ...]) -> Decimal | None:
    """The dearest of several; None where none is stated. A negative one is a router's: it depends."""
    several = [_rounded(_number(value)) for name in names if (value := stated.get(name)) is not None]
    return max(several, default=None)


def _rounded(price: Decimal) -> Decimal:
    if not 0 <= price <= _HIGHEST:
        raise _Strange
    return price.quantize(_FINEST, ROUND_CEILING).normalize()


def _markup(discount: Any) -> Decimal:
    """Prices are to be multiplied by 1 - discount, and a negative discount is a markup."""
    return 1 - min(_number(discount), Decimal(0)) if discount is not None else Decimal(1)


def _number(value: Any) -> Decimal:
    """Prices are strings, conditions numbers; both are taken for either."""
    if not isinstance(value, str | int | float):
        raise _Strange
    try:
        number = Decimal(str(value))
    except (InvalidOperation, ValueError):
        raise _Strange from None
    if not number.is_finite() or not -_LARGEST <= number <= _LARGEST:
        raise _Strange
    return number


def _clock(value: Any) -> time:
    """1630 is half past four in the afternoon; 2400 is midnight."""
    number = _number(value)
    hours, minutes = divmod(int(number), 100)
    if number != int(number) or not 0 <= number <= 2400 or minutes >= 60:
        raise _Strange
    return time(hours % 24, minutes)


def _entries(value: Any) -> list[Mapping[str, Any]]:
    if value is None:
        return []
    if not isinstance(value, list) or not all(isinstance(entry, Mapping) for entry in value):
        raise _Strange
    return value


def _count(value: Any) -> int | None:
    return value if isinstance(value, int) and not isinstance(value, bool) and value > 0 else None


def _list(value: Any) -> list[Any]:
    return value if isinstance(value, list) else []


def _mapping(value: Any) -> Mapping[str, Any]:
    return value if isinstance(value, Mapping) else {}
