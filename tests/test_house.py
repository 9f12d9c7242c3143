"""The house rules that no linter knows: which way imports point, how long a file may be, and what must not stand in files that others read."""

from __future__ import annotations

import ast
import re
import tomllib
from pathlib import Path

import pytest

TOP = Path(__file__).parent.parent
PACKAGE = TOP / "fusiond"
MODULES = {".".join(path.relative_to(TOP).with_suffix("").parts).removesuffix(".__init__"): path for path in sorted(PACKAGE.rglob("*.py"))}
LONGEST_FILE = 350

LAYERS = [
    {"errors", "chat", "events", "config", "catalog", "report", "call", "guard", "guess", "places", "tariff"},
    {"wire", "members", "keys", "policy", "merge", "resolve"},
    {"plan", "choose", "fuse", "telemetry", "situation", "eligible", "task", "tuned", "turns"},
    {"run", "revision", "keep", "purse", "bills"},
    {"server", "handler", "accounts", "admin", "reload", "systemd"},
    {"daemon"},
    {"cli", "__main__"},
]
"""From values to the shell: a module imports its own layer and those before it. What is named nowhere is of the second."""

CONCRETE = {f"fusiond.members.{api}" for api in ("ollama", "openai", "openrouter", "llamacpp")}


def layer(module: str) -> int:
    """The layer of a module, by its first name below the package; the package itself, which has the version, is below all."""
    _, _, inside = module.partition(".")
    first = inside.partition(".")[0]
    return next((rank for rank, names in enumerate(LAYERS) if first in names), 1) if first else -1


def imports(path: Path) -> set[str]:
    """Every module that a file imports, at its top or inside a function."""
    found = set()
    for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
        if isinstance(node, ast.Import):
            found |= {alias.name for alias in node.names}
        elif isinstance(node, ast.ImportFrom) and node.module:
            found |= {inner if (inner := f"{node.module}.{alias.name}") in MODULES else node.module for alias in node.names}
    return found


@pytest.mark.parametrize("module", MODULES)
def test_imports_point_one_way(module: str) -> None:
    """A module imports nothing of a later layer; wire and members never know each other; only the daemon names concrete members."""
    ours = {name for name in imports(MODULES[module]) if name.partition(".")[0] == "fusiond"}
    assert {name for name in ours if layer(name) > layer(module)} == set()
    strangers = {"fusiond.wire": "fusiond.members", "fusiond.members": "fusiond.wire"}
    assert not any(module.startswith(one) and name.startswith(other) for one, other in strangers.items() for name in ours)
    if module != "fusiond.daemon" and not module.startswith("fusiond.members."):
        assert ours & CONCRETE == set()


@pytest.mark.parametrize("module", MODULES)
def test_a_file_can_be_read_in_one_sitting(module: str) -> None:
    """No file is longer than the limit, and each says at its top what it is."""
    text = MODULES[module].read_text(encoding="utf-8")
    assert text.count("\n") <= LONGEST_FILE
    assert not text.strip() or ast.get_docstring(ast.parse(text))


def test_one_module_knows_the_ollama_client() -> None:
    """The official client is imported in exactly one place."""
    users = [module for module, path in MODULES.items() if any(name.partition(".")[0] == "ollama" for name in imports(path))]
    assert users == ["fusiond.members.ollama"]


def test_the_engine_never_enters_the_daemon() -> None:
    """Only the engine's own process imports llama.cpp."""
    users = [module for module, path in MODULES.items() if any(name.partition(".")[0] == "xllamacpp" for name in imports(path))]
    assert users == ["fusiond.members.engine"]


@pytest.mark.parametrize("lock", sorted(TOP.glob("*.lock")), ids=lambda path: path.name)
def test_a_lock_has_hashes_and_no_addresses(lock: Path) -> None:
    """Every pinned version has a hash, and nothing says where it is to be fetched from."""
    text = lock.read_text(encoding="utf-8")
    assert "://" not in text
    pins = re.findall(r"^\S+==.*\\\n +--hash=sha256:[0-9a-f]{64}", text, re.MULTILINE)
    assert len(pins) == len(re.findall(r"^[^\s#]", text, re.MULTILINE)) > 0


def test_every_dependency_is_used() -> None:
    """What an installation brings along is imported somewhere."""
    project = tomllib.loads((TOP / "pyproject.toml").read_text(encoding="utf-8"))["project"]
    named = [*project["dependencies"], *project["optional-dependencies"]["llamacpp"]]
    wanted = {re.split(r"[^A-Za-z0-9_-]", name)[0].replace("-", "_").removeprefix("google_") for name in named}
    assert wanted - {name.partition(".")[0] for path in MODULES.values() for name in imports(path)} == set()
