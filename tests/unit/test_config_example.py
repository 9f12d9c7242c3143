"""The example at the top of the repository: it works as it stands, and it shows everything that there is."""

from __future__ import annotations

import re
from dataclasses import fields
from pathlib import Path

import pytest

from fusiond.config import (
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

EXAMPLE = Path(__file__).parents[2] / "config.toml"
COMMENTED = re.compile(r'^# (?=\[[a-z."]+\] |\[[a-z."]+\]$|[a-z_]+ = |"[^"]+" = )', re.MULTILINE)


def test_loads_as_it_stands() -> None:
    """With whatever is there: an Ollama, a key, the built-in engine."""
    config = load(EXAMPLE)
    assert set(config.providers) == {"ollama", "openrouter", "builtin"}
    assert config.members["smollm2"].provider == "builtin"
    assert config.fusions["default"].strategy == "vote"


def test_loads_with_everything_in_it(tmp_path: Path) -> None:
    """What is commented out is right, too."""
    text, count = COMMENTED.subn("", EXAMPLE.read_text())
    assert count > 40
    path = tmp_path / "config.toml"
    path.write_text(text)
    config = load(path)
    assert set(config.members) == {"smollm2", "qwen", "sonnet"}
    assert config.aliases == {"gpt-4o": "fusion"}


@pytest.mark.parametrize(
    "table", [ServerConfig, OllamaConfig, OpenRouterConfig, OpenAIConfig, LlamaCppConfig, MemberConfig, Price, Seat, FusionConfig, Secret]
)
def test_shows_every_key(table: type) -> None:
    """Every key of every table, and every table."""
    text = EXAMPLE.read_text()
    assert [field.name for field in fields(table) if not re.search(rf"\b{field.name} = ", text)] == []
    assert [name for name in TOP if f"[{name}" not in text] == []


def test_says_the_defaults(tmp_path: Path) -> None:
    """A server's key that is commented out without a word about its default shows it."""
    section = EXAMPLE.read_text().split("[server]")[1].split("# --- Providers")[0]
    lines = [line for line in COMMENTED.sub("", section).splitlines() if "none by default" not in line]
    path = tmp_path / "config.toml"
    path.write_text("[server]\n" + "\n".join(lines))
    assert load(path).server == ServerConfig()
