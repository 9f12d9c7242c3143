"""The release's own list: whole, small, and read only when it is wanted."""

from __future__ import annotations

import json
import subprocess
import sys
from decimal import Decimal
from importlib.resources import files
from typing import Any

import pytest

from fusiond.release import listed

FILE = files("fusiond").joinpath("prices.json")


@pytest.fixture
def document() -> Any:
    """The file as it is shipped."""
    return json.loads(FILE.read_text(encoding="utf-8"))


def test_it_says_where_it_is_from(document: Any) -> None:
    """Source, licence and date stand in the file, in which a line is a model."""
    assert document.keys() == {"source", "licence", "date", "data"}
    assert "models.dev" in document["source"]
    assert document["licence"].startswith("MIT License Copyright")
    text = FILE.read_text(encoding="utf-8")
    assert len(text.encode()) < 150_000
    assert text.count("\n") == len(document["data"]) + 7


def test_every_model_is_read(document: Any) -> None:
    """In order, none twice, each with its context and with prices that are known and such as prices are."""
    names = [entry["id"] for entry in document["data"]]
    assert names == sorted(set(names))
    assert list(listed()) == names
    for model in listed().values():
        assert model.context is not None
        assert model.tariff is not None
        assert all(price < 1000 for price in model.tariff.ceiling().values())


def test_free_is_what_is_called_free() -> None:
    """And nothing else: a price that was lost would make a model free."""
    assert {name for name, model in listed().items() if model.tariff and model.tariff.free} - {"openrouter/free"} == {
        name for name in listed() if name.endswith(":free")
    }


def test_a_model_that_is_known() -> None:
    """Against its maker's own price list: USD 5 and 25 per million tokens, 10 and 37.5 beyond 200,000 of the prompt."""
    opus = listed()["anthropic/claude-opus-4.6"]
    assert (opus.context, opus.reasoning, opus.tools, opus.vision, opus.most_completion_tokens) == (1_000_000, True, True, True, 128_000)
    assert opus.tariff is not None
    assert opus.tariff.worst(100_000, 1000) == Decimal("0.625") + Decimal("0.025")
    assert opus.tariff.worst(300_000, 1000) == Decimal("3.75") + Decimal("0.0375")


def test_it_is_read_once() -> None:
    """And cannot be changed by who asks."""
    assert listed() is listed()
    with pytest.raises(TypeError):
        listed()["a"] = listed()["openai/gpt-5"]  # type: ignore[index]


def test_it_is_not_read_at_import() -> None:
    """A start that needs no prices does not pay for them."""
    script = "import fusiond.release as release; print(release.listed.cache_info().currsize)"
    assert subprocess.run([sys.executable, "-c", script], capture_output=True, check=True, text=True).stdout == "0\n"
