"""The example at the top of the repository: it works as it stands, and it shows everything that there is."""

from __future__ import annotations

import re
from dataclasses import fields
from decimal import Decimal
from pathlib import Path
from typing import get_args

import pytest

from fusiond.config import (
    Config,
    FusionConfig,
    LlamaCppConfig,
    MemberConfig,
    OllamaConfig,
    OpenAIConfig,
    OpenRouterConfig,
    Price,
    Seat,
    Secret,
    ServerConfig,
    load,
)
from fusiond.config.tables import TOP
from fusiond.config.tree import (
    BudgetConfig,
    CodeConfig,
    Conditions,
    KindConfig,
    OfflineConfig,
    Privacy,
    PrivacyConfig,
    RecordsConfig,
    RouteConfig,
    StrategyName,
    Task,
)

EXAMPLE = Path(__file__).parents[2] / "config.toml"
COMMENTED = re.compile(r'^# (?=\[\[?[a-z."]+\]\]? |\[\[?[a-z."]+\]\]?$|[a-z_]+ = |"[^"]+" = )', re.MULTILINE)


def test_loads_as_it_stands() -> None:
    """With whatever is there: an Ollama, a key, the built-in engine."""
    config = load(EXAMPLE)
    assert set(config.providers) == {"ollama", "openrouter", "builtin"}
    assert config.members["smollm2"].provider == "builtin"
    assert config.fusions["default"].strategy == "adaptive"
    assert config.budget is None


def test_loads_with_everything_in_it(tmp_path: Path) -> None:
    """What is commented out is right, too."""
    text, count = COMMENTED.subn("", EXAMPLE.read_text())
    assert count > 40
    path = tmp_path / "config.toml"
    path.write_text(text)
    config = load(path)
    assert set(config.members) == {"smollm2", "qwen", "sonnet"}
    assert config.aliases == {"gpt-4o": "fusion"}
    assert config.fusions["thrifty"].escalate == ("sonnet",)
    assert config.routes == (RouteConfig(use="smollm2", when=Conditions(task="number", max_prompt_tokens=4000, tools=False)),)
    assert config.budget == BudgetConfig(per_request_usd=Decimal("0.05"), per_day_usd=Decimal(2), per_month_usd=Decimal(30))


TABLES = [
    ServerConfig,
    OllamaConfig,
    OpenRouterConfig,
    OpenAIConfig,
    LlamaCppConfig,
    MemberConfig,
    Price,
    Seat,
    FusionConfig,
    KindConfig,
    RouteConfig,
    Conditions,
    BudgetConfig,
    PrivacyConfig,
    OfflineConfig,
    RecordsConfig,
    CodeConfig,
    Secret,
]


@pytest.mark.parametrize("table", TABLES)
def test_shows_every_key(table: type) -> None:
    """Every key of every table, and every table."""
    text = EXAMPLE.read_text()
    assert [field.name for field in fields(table) if not re.search(rf"\b{field.name} = ", text)] == []
    assert [name for name in TOP if f"[{name}" not in text] == []


def test_names_every_strategy_task_and_word() -> None:
    """What can be said where only some words can be."""
    text = EXAMPLE.read_text()
    words = [*get_args(StrategyName), *get_args(Task), *get_args(Privacy), "auto", "always", "never", "local", "reject"]
    assert [word for word in words if not re.search(rf"\b{word}\b", text)] == []


def test_says_the_defaults(tmp_path: Path) -> None:
    """A server's key that is commented out without a word about its default shows it."""
    section = EXAMPLE.read_text().split("[server]")[1].split("# --- Providers")[0]
    lines = [line for line in COMMENTED.sub("", section).splitlines() if "none by default" not in line]
    path = tmp_path / "config.toml"
    path.write_text("[server]\n" + "\n".join(lines))
    assert load(path).server == ServerConfig()


@pytest.mark.parametrize("name", ["privacy", "offline", "records"])
def test_says_the_defaults_of_small_tables(name: str, tmp_path: Path) -> None:
    """They stand there empty, with each default behind its `#`."""
    section = EXAMPLE.read_text().split(f"\n[{name}]\n")[1].split("\n\n")[0]
    shown, count = COMMENTED.subn("", section)
    path = tmp_path / "config.toml"
    path.write_text(f"[{name}]\n{shown}\n")
    assert getattr(load(path), name) == getattr(Config(), name)
    assert count == len(fields(getattr(Config(), name)))
