"""OpenRouter's list: what is read of an entry, what of a strange one, and how the list is kept."""

from __future__ import annotations

import json
import os
import stat
import time as clocks
from datetime import UTC, datetime, time
from decimal import Decimal
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from fusiond.members.openrouter_list import Kept, KeptList, Listed, facts_of
from fusiond.tariff import Override, Rates, Tariff

USD = Decimal
NOON = datetime(2026, 11, 24, 12, 0, tzinfo=UTC)
PLAIN = {"prompt": "0.000003", "completion": "0.000015"}
ENTRY = {
    "id": "maker/model",
    "name": "Maker: Model",
    "context_length": 200_000,
    "architecture": {"input_modalities": ["text", "image"], "output_modalities": ["text"]},
    "supported_parameters": ["max_tokens", "reasoning", "tools"],
    "top_provider": {"context_length": 200_000, "max_completion_tokens": 64_000, "is_moderated": False},
    "pricing": PLAIN,
}


def tariff(pricing: Any, **entry: Any) -> Tariff | None:
    """The tariff of a model with these prices."""
    (model,) = facts_of({"data": [ENTRY | {"pricing": pricing} | entry]}).values()
    return model.tariff


def sure(pricing: Any) -> Tariff:
    """The same, of prices that are known."""
    known = tariff(pricing)
    assert known is not None
    return known


def test_an_entry() -> None:
    """As OpenRouter's documentation shows it."""
    assert facts_of({"data": [ENTRY]}) == {
        "maker/model": Listed(
            model="maker/model",
            context=200_000,
            reasoning=True,
            tools=True,
            vision=True,
            tariff=Tariff(base=Rates(prompt=USD("0.000003"), completion=USD("0.000015"))),
            most_completion_tokens=64_000,
        )
    }


def test_an_entry_that_says_little() -> None:
    """Its name is enough."""
    assert facts_of({"data": [{"id": "a"}]}) == {"a": Listed(model="a")}


def test_every_price() -> None:
    """Each in its place; what fusiond never asks for is not read; the dearest of an image's tokens and others stands for the prompt's."""
    stated = PLAIN | {
        "internal_reasoning": "0.00002",
        "input_cache_read": "0.0000003",
        "input_cache_write": "0.00000375",
        "input_cache_write_1h": "0.000006",
        "request": "0.005",
        "image": "0.0048",
        "image_token": "0.000004",
        "web_search": "0.01",
        "audio": "0.0001",
    }
    assert sure({**stated, "input_cache_write": "0.000005"}).base == Rates(
        prompt=USD("0.000004"),
        completion=USD("0.000015"),
        reasoning=USD("0.00002"),
        cache_read=USD("0.0000003"),
        cache_write=USD("0.000005"),
        request=USD("0.005"),
        image=USD("0.0048"),
    )


def test_overrides() -> None:
    """By length and by hours, in their order."""
    stated = PLAIN | {
        "overrides": [
            {"min_prompt_tokens": 200_000, "prompt": "0.000006", "completion": "0.0000225", "input_cache_read": "0.0000006"},
            {"utc_start": 1630, "utc_end": 30, "prompt": "0.000001"},
            {"utc_start": 30.0, "utc_end": 2400, "min_prompt_tokens": 1.5, "request": "1"},
        ]
    }
    assert sure(stated).overrides == (
        Override(min_prompt_tokens=200_000, prompt=USD("0.000006"), completion=USD("0.0000225"), cache_read=USD("0.0000006")),
        Override(utc_start=time(16, 30), utc_end=time(0, 30), prompt=USD("0.000001")),
        Override(utc_start=time(0, 30), utc_end=time(0, 0), min_prompt_tokens=1, request=USD(1)),
    )


@pytest.mark.parametrize(
    ("write", "override", "base_write", "other_write"),
    [
        pytest.param("3.75", {"prompt": "6"}, "3.75", "9.75", id="dearer than the prompt, then below it"),
        pytest.param("3.75", {"prompt": "6", "input_cache_write": "7.5"}, "3.75", "7.5", id="dearer in both"),
        pytest.param("0.375", {"prompt": "6"}, "3.375", "6.375", id="on top, and moves with the prompt"),
        pytest.param("0.375", {"input_cache_write": "0.5"}, "3.375", "3.5", id="on top, dearer"),
        pytest.param("0", {"completion": "0"}, "3", None, id="nothing on top"),
        pytest.param(None, {"prompt": "6"}, None, None, id="not stated"),
        pytest.param(None, {"prompt": "6", "input_cache_write": "7.5"}, None, "7.5", id="stated for long prompts"),
    ],
)
def test_writing_to_the_cache(write: str | None, override: dict[str, str], base_write: str | None, other_write: str | None) -> None:
    """A price below the prompt's comes on top of it (Google's is the storage alone)."""
    known = sure({"prompt": "3", "completion": "15", "input_cache_write": write, "overrides": [override]})
    assert known.base.cache_write == (base_write and USD(base_write))
    assert known.overrides[0].cache_write == (other_write and USD(other_write))


@pytest.mark.parametrize(("discount", "prompt"), [(None, 3), (0, 3), (0.25, 3), (1, 3), (-0.1, "3.3"), ("-1", 6)])
def test_a_discount_is_not_counted_on(discount: Any, prompt: Any) -> None:
    """And a markup is, in the overrides too."""
    known = sure({"prompt": "3", "completion": "15", "discount": discount, "overrides": [{"prompt": "3"}]})
    assert (known.base.prompt, known.overrides[0].prompt) == (USD(prompt), USD(prompt))


NO_PRICES = {
    "a router's": "-1",
    "a negative number": -1,
    "not a number": "NaN",
    "signalling": "sNaN",
    "endless": "Infinity",
    "endless, negative": "-Infinity",
    "a float that is none": float("nan"),
    "an endless float": float("inf"),
    "nothing": "",
    "a word": "free",
    "two points": "0.1.2",
    "too much": "101",
    "an exponent": "1e999999999999",
    "too many digits": 10**5000,
    "true": True,
    "a list": [],
    "an object": {},
}


@pytest.mark.parametrize("price", NO_PRICES.values(), ids=NO_PRICES)
@pytest.mark.parametrize("name", ["prompt", "completion", "internal_reasoning", "input_cache_read", "input_cache_write", "request", "image"])
def test_no_price(name: str, price: Any) -> None:
    """One price that is none makes the whole bill unknown, wherever it stands."""
    assert tariff(PLAIN | {name: price}) is None
    assert tariff(PLAIN | {"overrides": [{name: price}]}) is None


@pytest.mark.parametrize(
    "pricing",
    [
        pytest.param(None, id="none"),
        pytest.param([PLAIN], id="tiers"),
        pytest.param({}, id="empty"),
        pytest.param({"prompt": "1"}, id="no completion"),
        pytest.param({"completion": "1"}, id="no prompt"),
        pytest.param(PLAIN | {"prompt": None}, id="null"),
        pytest.param(PLAIN | {"discount": "much"}, id="discount"),
        pytest.param(PLAIN | {"discount": -1e300}, id="markup"),
        pytest.param(PLAIN | {"overrides": {}}, id="overrides"),
        pytest.param(PLAIN | {"overrides": [[]]}, id="override"),
        pytest.param(PLAIN | {"overrides": [{"utc_start": 100}]}, id="no end"),
        pytest.param(PLAIN | {"overrides": [{"utc_end": 100}]}, id="no start"),
        pytest.param(PLAIN | {"overrides": [{"utc_start": 100, "utc_end": 160}]}, id="minutes"),
        pytest.param(PLAIN | {"overrides": [{"utc_start": 100, "utc_end": 2430}]}, id="hours"),
        pytest.param(PLAIN | {"overrides": [{"utc_start": -100, "utc_end": 100}]}, id="negative hours"),
        pytest.param(PLAIN | {"overrides": [{"utc_start": 100.5, "utc_end": 200}]}, id="half minutes"),
        pytest.param(PLAIN | {"overrides": [{"utc_start": "01:00", "utc_end": "02:00"}]}, id="colon"),
        pytest.param(PLAIN | {"overrides": [{"min_prompt_tokens": "many"}]}, id="length"),
        pytest.param(PLAIN | {"overrides": [{"min_prompt_tokens": "1e999999"}]}, id="endless length"),
    ],
)
def test_strange_pricing(pricing: Any) -> None:
    """It is unknown; the model is still known."""
    assert tariff(pricing) is None


def test_a_price_is_never_below_what_is_stated() -> None:
    """Not by rounding either; and the finest there is is not nothing."""
    known = sure({"prompt": "0.00000008333333333333333333334", "completion": "1e-999999999"})
    assert known.base.prompt == USD("0.00000008333333333334")
    assert known.base.completion == USD("1e-20")
    assert not known.free


@pytest.mark.parametrize(
    ("entry", "pricing", "known"),
    [
        ({"id": "perplexity/sonar"}, {"web_search": "0.005"}, False),
        ({"id": "openai/o3-deep-research"}, {"web_search": "0.01"}, False),
        ({"id": "openai/gpt-4o-search-preview"}, {"web_search": "0.035"}, False),
        ({"id": "nousresearch/hermes-4-70b"}, {}, True),
        ({"id": "openai/gpt-5"}, {"web_search": "0.01"}, True),
        ({"id": "a/research"}, {"web_search": "0"}, True),
        ({"architecture": {"output_modalities": ["text", "image"]}}, {}, False),
        ({"architecture": {"output_modalities": ["audio"]}}, {}, False),
        ({"architecture": None}, {}, True),
    ],
    ids=str,
)
def test_bills_with_other_items(entry: dict[str, Any], pricing: dict[str, str], known: bool) -> None:
    """Searches that are made unasked, pictures and sound have a price of their own: what is listed is not the whole."""
    assert (tariff(PLAIN | pricing, **entry) is not None) == known


@pytest.mark.parametrize(
    "document", [None, [], "x", 1, {}, {"data": None}, {"data": {}}, {"data": ["x", None, [], {}, {"id": 1}, {"id": ""}]}], ids=str
)
def test_no_list(document: Any) -> None:
    """Nothing is read of it."""
    assert facts_of(document) == {}


def test_a_strange_entry_costs_no_other_one() -> None:
    """It is left out, or what is strange of it."""
    strange = {
        "id": "b",
        "context_length": "8k",
        "supported_parameters": "tools",
        "architecture": ["image"],
        "top_provider": {"max_completion_tokens": True},
        "pricing": PLAIN,
    }
    models = facts_of({"data": [strange, {"id": 7}, ENTRY]})
    assert models["b"] == Listed(model="b", tariff=Tariff(base=Rates(prompt=USD("0.000003"), completion=USD("0.000015"))))
    assert list(models) == ["b", "maker/model"]


names = st.sampled_from(
    [*ENTRY, *PLAIN, "internal_reasoning", "input_cache_write", "discount", "overrides", "min_prompt_tokens", "utc_start", "utc_end"]
)
plain = st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=8) | st.sampled_from(["0", "0.1", "-1", "1e-400", "1e400"])
documents = st.recursive(plain, lambda inner: st.lists(inner, max_size=3) | st.dictionaries(names, inner, max_size=5), max_leaves=12)
pricings = st.fixed_dictionaries({"prompt": plain, "completion": plain}, optional={"overrides": documents, "discount": plain, "request": plain})


@given(st.lists(documents | st.fixed_dictionaries({"id": st.text(min_size=1), "pricing": pricings | documents}), max_size=4))
def test_no_document_is_too_strange(entries: list[Any]) -> None:
    """Whatever is listed is read without an error, and no price that comes of it is negative or endless."""
    for model in facts_of({"data": entries}).values():
        if model.tariff:
            cost = model.tariff.expected(1000, 1000, NOON)
            assert cost.is_finite()
            assert 0 <= cost <= model.tariff.worst(1000, 1000)


def test_a_list_is_kept(tmp_path: Path) -> None:
    """For this user alone, and as it was last given."""
    path = tmp_path / "cache" / "fusiond" / "openrouter.json"
    kept = KeptList(path)
    for context in (1000, 2000):
        kept.keep(json.dumps({"data": [ENTRY | {"context_length": context}]}).encode())
    assert stat.S_IMODE(path.stat().st_mode) == 0o600
    assert stat.S_IMODE(path.parent.stat().st_mode) == 0o700
    assert [each.name for each in path.parent.iterdir()] == ["openrouter.json"]
    os.utime(path, (NOON.timestamp(), NOON.timestamp()))
    assert KeptList(path).kept() == Kept(models=facts_of({"data": [ENTRY | {"context_length": 2000}]}), at=NOON)


def test_it_knows_since_when(tmp_path: Path) -> None:
    """The time at which it was kept."""
    kept = KeptList(tmp_path / "list.json")
    before = clocks.time()
    kept.keep(json.dumps({"data": [ENTRY]}).encode())
    at = kept.kept().at
    assert at is not None
    assert before - 1 <= at.timestamp() <= clocks.time() + 1


@pytest.mark.parametrize(
    "content", [None, b"", b"{", b"\xff\xfe\xfd", b"[" * 100_000, b"[]", b'{"data": []}', b"9" * 5000], ids=lambda content: str(content)[:12]
)
def test_nothing_is_kept(tmp_path: Path, content: bytes | None) -> None:
    """Where there is no file, or a broken one."""
    path = tmp_path / "list.json"
    if content is not None:
        path.write_bytes(content)
    assert KeptList(path).kept() == Kept(models={}, at=None)


def test_what_cannot_be_written_leaves_what_was_there(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The disk is full: the error is told, the old list stays, and no piece of the new one."""
    path = tmp_path / "list.json"
    kept = KeptList(path)
    kept.keep(json.dumps({"data": [ENTRY]}).encode())

    def full(_file: int) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(os, "fsync", full)
    with pytest.raises(OSError, match="No space left"):
        kept.keep(b"{}")
    assert list(kept.kept().models) == ["maker/model"]
    assert [each.name for each in tmp_path.iterdir()] == ["list.json"]


def test_nobody_else_may_write_there(tmp_path: Path) -> None:
    """A list with prices of somebody else's would be a way to the money."""
    tmp_path.chmod(0o777)
    with pytest.raises(PermissionError):
        KeptList(tmp_path / "list.json").keep(b"{}")
