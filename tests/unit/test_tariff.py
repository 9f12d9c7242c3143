"""What calls cost: worked bills, and that no bill is ever above the worst case that was set aside for it."""

from __future__ import annotations

from datetime import UTC, datetime, time, timedelta, timezone
from decimal import Decimal

import pytest
from hypothesis import given
from hypothesis import strategies as st

from fusiond.tariff import Counted, Override, Rates, Tariff

USD = Decimal
NOON = datetime(2026, 11, 24, 12, 0, tzinfo=UTC)
PLAIN = Tariff.per_million(USD(3), USD(15))
LONG = Tariff(
    base=Rates(prompt=USD("2e-6"), completion=USD("12e-6"), reasoning=USD("12e-6"), cache_read=USD("2e-7"), cache_write=USD("2.5e-6")),
    overrides=(Override(min_prompt_tokens=200_000, prompt=USD("4e-6"), completion=USD("18e-6")),),
)
PEAK = Tariff(
    base=Rates(prompt=USD("1e-6"), completion=USD("2e-6")),
    overrides=(
        Override(utc_start=time(1), utc_end=time(5), prompt=USD("3e-6")),
        Override(utc_start=time(16, 30), utc_end=time(0, 30), completion=USD("1e-6")),
    ),
)

rate = st.decimals(0, USD("0.01"), places=12)
dearer = st.decimals(0, 1, places=4)
clock = st.integers(0, 1439).map(lambda minute: time(minute // 60, minute % 60))
window = st.one_of(st.just({}), st.builds(lambda start, end: {"utc_start": start, "utc_end": end}, clock, clock))
length = st.integers(0, 3000)
PRICES = {"prompt": rate, "completion": rate, "reasoning": rate, "cache_read": rate, "cache_write": rate, "request": dearer, "image": dearer}
SURE = {"prompt": rate, "completion": rate}
rates = st.fixed_dictionaries(SURE, optional={name: price for name, price in PRICES.items() if name not in SURE}).map(lambda prices: Rates(**prices))
conditions = st.builds(lambda daily, longer: daily | longer, window, st.fixed_dictionaries({}, optional={"min_prompt_tokens": length}))
overrides = st.builds(lambda when, prices: Override(**when, **prices), conditions, st.fixed_dictionaries({}, optional=PRICES))
tariffs = st.builds(lambda base, several: Tariff(base=base, overrides=tuple(several)), rates, st.lists(overrides, max_size=4))
zones = st.sampled_from([UTC, timezone(timedelta(hours=9)), timezone(timedelta(hours=-3, minutes=-30))])
moments = st.builds(lambda second, zone: (NOON + timedelta(seconds=second)).astimezone(zone), st.integers(0, 86_399), zones)


@st.composite
def bills(draw: st.DrawFn) -> tuple[Counted, int, int, int]:
    """What a provider counts, and amounts that it does not exceed: tokens of the prompt and of the completion, images."""
    prompt, completion, images = draw(length), draw(length), draw(st.integers(0, 5))
    within = draw(st.integers(0, prompt))
    cached = draw(st.integers(0, within))
    counted = Counted(
        prompt_tokens=draw(st.sampled_from([within, within - cached])),
        completion_tokens=draw(st.integers(0, completion)),
        reasoning_tokens=draw(st.none() | st.integers(0, completion)),
        cached_tokens=cached,
        cache_write_tokens=draw(st.none() | st.integers(0, within - cached)),
        images=draw(st.integers(0, images)),
    )
    return counted, prompt, completion, images


@given(tariffs, bills(), moments)
def test_no_bill_is_above_the_worst_case(tariff: Tariff, bill: tuple[Counted, int, int, int], at: datetime) -> None:
    """At every time of the day, for every length up to the one that was thought of, however the tokens divide."""
    counted, prompt, completion, images = bill
    assert 0 <= tariff.cost(counted, at) <= tariff.worst(prompt, completion, images)
    assert tariff.expected(counted.prompt_tokens, counted.completion_tokens, at) <= tariff.worst(prompt, completion, images)


@given(tariffs, length, length, st.integers(0, 5), length, length, st.integers(0, 5))
def test_more_is_never_cheaper(tariff: Tariff, prompt: int, completion: int, images: int, longer: int, further: int, others: int) -> None:
    """So that the worst case of a bound is the worst of all that is within it."""
    assert tariff.worst(prompt, completion, images) <= tariff.worst(prompt + longer, completion + further, images + others)


@given(tariffs, st.decimals(0, 1000, places=6), length, st.integers(0, 5))
def test_the_most_that_can_be_afforded(tariff: Tariff, amount: Decimal, prompt: int, images: int) -> None:
    """It is within the amount, and one token more is not."""
    most = tariff.most_completion(amount, prompt, images)
    if most is None:
        assert tariff.worst(prompt, 10**9, images) <= amount
    else:
        assert tariff.worst(prompt, most, images) <= amount or (most == 0 and tariff.worst(prompt, 0, images) > amount)
        assert tariff.worst(prompt, most + 1, images) > amount


@given(tariffs, length, moments)
def test_no_rate_is_above_the_ceiling(tariff: Tariff, prompt: int, at: datetime) -> None:
    """What OpenRouter is told as the highest price would never shut out the model at the prices of its own list."""
    ceiling = tariff.ceiling()
    assert tariff.expected(0, 0, at) <= ceiling["request"]
    assert tariff.expected(0, 1_000_000, at) - tariff.expected(0, 0, at) <= ceiling["completion"]
    assert tariff.expected(prompt, 0, at) <= prompt * ceiling["prompt"] / 1_000_000 + ceiling["request"]


@given(tariffs, bills(), moments)
def test_free_means_free(tariff: Tariff, bill: tuple[Counted, int, int, int], at: datetime) -> None:
    """Nothing is billed for what is free, and one price of one override is enough for it not to be."""
    counted, prompt, completion, images = bill
    if tariff.free:
        assert tariff.cost(counted, at) == tariff.worst(prompt, completion, images) == 0
    assert Tariff(base=Rates(prompt=USD(0), completion=USD(0), cache_read=USD(0)), overrides=(Override(request=USD(0)),)).free
    assert not Tariff(base=Rates(prompt=USD(0), completion=USD(0)), overrides=(Override(request=USD("1e-20")),)).free


def test_prices_per_million() -> None:
    """As a configuration states them."""
    assert PLAIN.expected(1_000_000, 1_000_000, NOON) == 18
    assert PLAIN.worst(1000, 100) == USD("0.0045")
    assert PLAIN.most_completion(USD("0.0045"), 1000) == 100
    assert PLAIN.ceiling() == {"prompt": 3, "completion": 15, "request": 0, "image": 0}
    assert not PLAIN.free
    assert Tariff.per_million(USD(0), USD(0)).free


@pytest.mark.parametrize(
    ("counted", "bill"),
    [
        pytest.param(Counted(prompt_tokens=1000, completion_tokens=100, reasoning_tokens=0, cache_write_tokens=0), "0.0032", id="plain"),
        pytest.param(
            Counted(prompt_tokens=1000, completion_tokens=100, reasoning_tokens=0, cached_tokens=600, cache_write_tokens=0), "0.00212", id="read"
        ),
        pytest.param(Counted(prompt_tokens=1000, completion_tokens=100, reasoning_tokens=0, cache_write_tokens=400), "0.0034", id="written"),
        pytest.param(Counted(prompt_tokens=1000, completion_tokens=100, cached_tokens=600), "0.00232", id="the rest perhaps written"),
        pytest.param(Counted(prompt_tokens=400, completion_tokens=0, cached_tokens=600, cache_write_tokens=400), "0.00112", id="cached tokens apart"),
        pytest.param(Counted(prompt_tokens=200_000, completion_tokens=100, reasoning_tokens=100, cache_write_tokens=0), "0.4012", id="at the limit"),
        pytest.param(Counted(prompt_tokens=200_001, completion_tokens=100, reasoning_tokens=100, cache_write_tokens=0), "0.801804", id="beyond it"),
    ],
)
def test_a_bill_by_the_list(counted: Counted, bill: str) -> None:
    """Every token at its own rate; what was not counted at the dearer one; a long prompt at the rates of long prompts."""
    assert LONG.cost(counted, NOON) == USD(bill)


@pytest.mark.parametrize(("said", "thought", "bill"), [(100, 0, 100), (100, 60, 340), (60, 100, 500), (100, None, 500)])
def test_tokens_of_thought(said: int, thought: int | None, bill: int) -> None:
    """They are part of the completion, dearer than it or not; where nobody counted them, all may have been thought."""
    dear = Tariff(base=Rates(prompt=USD(0), completion=USD(1), reasoning=USD(5)))
    cheap = Tariff(base=Rates(prompt=USD(0), completion=USD(1), reasoning=USD("0.5")))
    counted = Counted(prompt_tokens=0, completion_tokens=said, reasoning_tokens=thought)
    assert dear.cost(counted, NOON) == bill
    assert cheap.cost(counted, NOON) == max(said, thought or 0)
    assert [dear.worst(0, 100), cheap.worst(0, 100)] == [600, 150]


@pytest.mark.parametrize(
    ("at", "bill"),
    [
        ("00:29:59.999", 2),
        ("00:30", 3),
        ("00:59", 3),
        ("01:00", 5),
        ("04:59:59.999", 5),
        ("05:00", 3),
        ("16:29", 3),
        ("16:30", 2),
        ("23:59", 2),
    ],
)
def test_windows_of_the_day(at: str, bill: int) -> None:
    """From their start until before their end, past midnight too, by the clock of UTC wherever the time was read."""
    moment = datetime.fromisoformat(f"2026-11-24T{at}+00:00")
    assert PEAK.expected(1_000_000, 1_000_000, moment) == bill
    assert PEAK.expected(1_000_000, 1_000_000, moment.astimezone(timezone(timedelta(hours=-7)))) == bill
    assert PEAK.worst(1_000_000, 1_000_000) == 5


def test_a_window_without_length_is_the_whole_day() -> None:
    """As where one entry tiles the day by itself."""
    tariff = Tariff(base=Rates(prompt=USD(1), completion=USD(1)), overrides=(Override(utc_start=time(7), utc_end=time(7), prompt=USD(2)),))
    assert [tariff.expected(1, 0, NOON.replace(hour=hour)) for hour in (0, 6, 7, 8)] == [2, 2, 2, 2]


def test_later_overrides_win_price_by_price() -> None:
    """One that names only the prompt leaves the completion to those before it, and both conditions must be met."""
    tariff = Tariff(
        base=Rates(prompt=USD(1), completion=USD(1), request=USD(7)),
        overrides=(
            Override(prompt=USD(2), completion=USD(2)),
            Override(prompt=USD(3)),
            Override(min_prompt_tokens=1, utc_start=time(0), utc_end=time(6), prompt=USD(9)),
        ),
    )
    assert tariff.expected(1, 1, NOON) == 3 + 2 + 7
    assert tariff.expected(2, 1, NOON) == 6 + 2 + 7
    assert tariff.expected(1, 1, NOON.replace(hour=3)) == 3 + 2 + 7
    assert tariff.expected(2, 1, NOON.replace(hour=3)) == 18 + 2 + 7
    assert tariff.ceiling() == {"prompt": 9_000_000, "completion": 2_000_000, "request": 7, "image": 0}


def test_the_worst_case() -> None:
    """All written to the cache, all thought, each at the dearest rate, with the images and the request; a rate for longer prompts does not count."""
    assert LONG.worst(200_000, 1000) == USD("0.5") + USD("0.024")
    assert LONG.worst(200_001, 1000) == 200_001 * USD("4e-6") + USD("0.030")
    fees = Tariff(base=Rates(prompt=USD(0), completion=USD(0), request=USD("0.01"), image=USD("0.002")))
    assert fees.worst(1000, 1000, images=3) == USD("0.016")
    assert fees.cost(Counted(prompt_tokens=1000, completion_tokens=1000, images=3), NOON) == USD("0.016")


def test_free_tokens_have_no_bound() -> None:
    """Unless what comes before them cannot be paid."""
    fees = Tariff(base=Rates(prompt=USD(0), completion=USD(0), request=USD("0.01")))
    assert fees.most_completion(USD("0.01"), 10) is None
    assert fees.most_completion(USD("0.009"), 10) == 0
    assert PLAIN.most_completion(USD("0.001"), 1000) == 0
