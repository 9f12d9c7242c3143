"""What every test can rely on: no configuration, state, sockets or keys of whoever runs them."""

from __future__ import annotations

import shutil
import tempfile
from collections.abc import Iterator
from pathlib import Path

import pytest

FOREIGN = (
    "CACHE_DIRECTORY",
    "CREDENTIALS_DIRECTORY",
    "FUSIOND_CONFIG",
    "FUSIOND_TOKEN",
    "FUSIOND_URL",
    "LISTEN_FDS",
    "LISTEN_PID",
    "NOTIFY_SOCKET",
    "OLLAMA_HOST",
    "OPENROUTER_API_KEY",
    "RUNTIME_DIRECTORY",
    "STATE_DIRECTORY",
)


@pytest.fixture(autouse=True)
def clean_environment(monkeypatch: pytest.MonkeyPatch, tmp_path: Path, short_path: Path) -> None:
    """Directories of this test alone, and nothing in the environment that the daemon would listen to."""
    for name in FOREIGN:
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("XDG_RUNTIME_DIR", str(short_path))
    for name in ("XDG_CONFIG_HOME", "XDG_STATE_HOME", "XDG_CACHE_HOME"):
        monkeypatch.setenv(name, str(tmp_path / name.lower()))


@pytest.fixture
def short_path() -> Iterator[Path]:
    """An empty directory whose name is short enough for sockets in it."""
    directory = Path(tempfile.mkdtemp(prefix="fd-"))
    yield directory
    shutil.rmtree(directory, ignore_errors=True)
