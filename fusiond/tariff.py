"""What a call costs: a price list's rates, the conditions under which others hold, and the most that can be billed.

Amounts are USD. The worst case takes every price at its dearest, whatever the hour and the length: clocks differ, tokens are counted by others, and
what was set aside must never be less than the bill. The figures' meaning is OpenRouter's (docs, "Models", the pricing object, of 2026-08).
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, fields, replace
from datetime import UTC, datetime, time
from decimal import Decimal
from functools import cached_property

_MILLION = Decimal(1_000_000)
_NOTHING = Decimal(0)


@dataclass(frozen=True, slots=True, kw_only=True)
class Counted:
    """What was used: tokens, of the prompt and of the completion and as parts of these, and images sent. None: nobody counted it."""

    prompt_tokens: int
    completion_tokens: int
    reasoning_tokens: int | None = None
    cached_tokens: int = 0
    cache_write_tokens: int | None = None
    images: int = 0


@dataclass(frozen=True, slots=True, kw_only=True)
class Rates:
    """USD per token, and USD each for a request and an image.

    `cache_read`, `cache_write`: a token of the prompt that was read or written there, all told (None: as any other). `reasoning`: a token of thought;
    whether it replaces `completion` or comes on top of it, providers do not agree.
    """

    prompt: Decimal
    completion: Decimal
    reasoning: Decimal = _NOTHING
    cache_read: Decimal | None = None
    cache_write: Decimal | None = None
    request: Decimal = _NOTHING
    image: Decimal = _NOTHING

    @property
    def read(self) -> Decimal:
        """A token that was found in the cache."""
        return self.prompt if self.cache_read is None else self.cache_read

    @property
    def written(self) -> Decimal:
        """A token that was written to the cache."""
        return self.prompt if self.cache_write is None else self.cache_write

    @property
    def thought(self) -> Decimal:
        """A token of reasoning."""
        return max(self.completion, self.reasoning)


_PRICES = tuple(field.name for field in fields(Rates))


@dataclass(frozen=True, slots=True, kw_only=True)
class Override:
    """Rates that replace the base's (None: it stays) where every condition is met.

    For prompts of more than `min_prompt_tokens`, daily from `utc_start` until before `utc_end`, past midnight where that is earlier.
    """

    min_prompt_tokens: int | None = None
    utc_start: time | None = None
    utc_end: time | None = None
    prompt: Decimal | None = None
    completion: Decimal | None = None
    reasoning: Decimal | None = None
    cache_read: Decimal | None = None
    cache_write: Decimal | None = None
    request: Decimal | None = None
    image: Decimal | None = None

    def reaches(self, prompt_tokens: int) -> bool:
        """Whether a prompt is long enough for it."""
        return self.min_prompt_tokens is None or prompt_tokens > self.min_prompt_tokens

    def open_at(self, clock: time) -> bool:
        """Whether it holds at that time of the day (UTC). A window that ends where it starts is the whole day."""
        if self.utc_start is None or self.utc_end is None:
            return True
        if self.utc_start < self.utc_end:
            return self.utc_start <= clock < self.utc_end
        return clock >= self.utc_start or clock < self.utc_end


@dataclass(frozen=True, kw_only=True)
class Tariff:
    """The prices of one model. Where several overrides hold, the later one wins, price by price."""

    base: Rates
    overrides: tuple[Override, ...] = ()

    @classmethod
    def per_million(cls, input: Decimal, output: Decimal) -> Tariff:  # noqa: A002  # as the configuration names them
        """Two prices in USD per million tokens, whatever the hour and the length."""
        return cls(base=Rates(prompt=input / _MILLION, completion=output / _MILLION))

    @cached_property
    def free(self) -> bool:
        """Whether nothing can cost anything, under no condition."""
        return not any(getattr(rates, name) for rates in (self.base, *self.overrides) for name in _PRICES)

    def worst(self, prompt_tokens: int, completion_tokens: int, images: int = 0) -> Decimal:
        """The most that a call with at most these amounts can be billed."""
        rates = self._dearest(prompt_tokens)
        return _before(rates, prompt_tokens, images) + completion_tokens * _token(rates)

    def most_completion(self, amount: Decimal, prompt_tokens: int, images: int = 0) -> int | None:
        """The largest completion whose worst case is within the amount; 0 also where not even the prompt is. None: no bound, its tokens are free."""
        rates = self._dearest(prompt_tokens)
        left = amount - _before(rates, prompt_tokens, images)
        if left < 0:
            return 0
        each = _token(rates)
        return int(left // each) if each else None

    def cost(self, counted: Counted, at: datetime) -> Decimal:
        """What the list asks for a call at that time (aware); what was not counted is taken for the dearer of what it can be."""
        written = counted.cache_write_tokens or 0
        prompt = max(counted.prompt_tokens, counted.cached_tokens + written)  # some count what was cached apart
        fresh = prompt - counted.cached_tokens - written
        thought = counted.reasoning_tokens or 0
        said = max(counted.completion_tokens - thought, 0)
        rates = self._rates(prompt, at)
        return (
            fresh * (max(rates.prompt, rates.written) if counted.cache_write_tokens is None else rates.prompt)
            + counted.cached_tokens * rates.read
            + written * rates.written
            + said * (rates.thought if counted.reasoning_tokens is None else rates.completion)
            + thought * rates.thought
            + counted.images * rates.image
            + rates.request
        )

    def expected(self, prompt_tokens: int, completion_tokens: int, at: datetime) -> Decimal:
        """What a plain call at that time (aware) costs, without cache, reasoning and images: to judge its worth, never to set money aside."""
        return self.cost(Counted(prompt_tokens=prompt_tokens, completion_tokens=completion_tokens, reasoning_tokens=0, cache_write_tokens=0), at)

    def ceiling(self) -> dict[str, Decimal]:
        """OpenRouter's `provider.max_price`: USD per million tokens, USD each for requests and images, as dear as any override makes them."""
        rates = self._at_most(self.overrides)
        return {
            "prompt": rates.prompt * _MILLION,
            "completion": rates.completion * _MILLION,
            "request": rates.request,
            "image": rates.image,
        }

    def _rates(self, prompt_tokens: int, at: datetime) -> Rates:
        rates = self.base
        if not self.overrides:
            return rates
        clock = at.astimezone(UTC).time()
        for override in self.overrides:
            if override.reaches(prompt_tokens) and override.open_at(clock):
                rates = replace(rates, **{name: price for name in _PRICES if (price := getattr(override, name)) is not None})
        return rates

    def _dearest(self, prompt_tokens: int) -> Rates:
        """Every price at the most that it can be for a prompt up to that length, at any hour."""
        return self._at_most(override for override in self.overrides if override.reaches(prompt_tokens))

    def _at_most(self, overrides: Iterable[Override]) -> Rates:
        possible = (self.base, *overrides)
        if len(possible) == 1:
            return self.base
        prices = {name: [price for rates in possible if (price := getattr(rates, name)) is not None] for name in _PRICES}
        return replace(self.base, **{name: max(several) for name, several in prices.items() if several})


def _before(rates: Rates, prompt_tokens: int, images: int) -> Decimal:
    """The most that is billed before the first token of an answer."""
    return prompt_tokens * max(rates.prompt, rates.read, rates.written) + images * rates.image + rates.request


def _token(rates: Rates) -> Decimal:
    """The most that is billed for one token of an answer."""
    return rates.completion + rates.reasoning
