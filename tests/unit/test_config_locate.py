"""Which file is the configuration."""

from __future__ import annotations

from pathlib import Path

import pytest

from fusiond.config import ConfigErrors, load, locate
from fusiond.config.loading import SYSTEM


@pytest.fixture
def home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A home directory without any configuration, and a system without one."""
    monkeypatch.delenv("FUSIOND_CONFIG", raising=False)
    monkeypatch.delenv("XDG_CONFIG_HOME", raising=False)
    monkeypatch.setenv("HOME", str(tmp_path))
    monkeypatch.setattr("fusiond.config.loading.SYSTEM", tmp_path / "etc" / "config.toml")
    return tmp_path


def touch(path: Path) -> Path:
    """An empty file, with the directories on the way to it."""
    path.parent.mkdir(parents=True, exist_ok=True)
    path.touch()
    return path


def test_order(home: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The command line's, the environment's, the user's own, the system's, none."""
    assert locate(None) is None
    system = touch(home / "etc" / "config.toml")
    assert locate(None) == system
    own = touch(home / ".config" / "fusiond" / "config.toml")
    assert locate(None) == own
    moved = touch(home / "xdg" / "fusiond" / "config.toml")
    monkeypatch.setenv("XDG_CONFIG_HOME", str(home / "xdg"))
    assert locate(None) == moved
    environment = touch(home / "environment.toml")
    monkeypatch.setenv("FUSIOND_CONFIG", str(environment))
    assert locate(None) == environment
    named = touch(home / "named.toml")
    assert locate(named) == named


def test_system_place() -> None:
    """The system's own is where every daemon's is."""
    assert Path("/etc/fusiond/config.toml") == SYSTEM


def test_named_and_absent(home: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A file that is named must be there: starting on something else would not be what was asked."""
    touch(home / ".config" / "fusiond" / "config.toml")
    absent = home / "absent.toml"
    with pytest.raises(ConfigErrors, match=f"^absent.toml: there is no such file: {absent}$"):
        locate(absent)
    monkeypatch.setenv("FUSIOND_CONFIG", str(absent))
    with pytest.raises(ConfigErrors, match="no such file"):
        locate(None)


def test_named_relatively(home: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A relative path is meant from where the command was given."""
    monkeypatch.chdir(home)
    assert locate(Path(touch(home / "named.toml").name)) == home / "named.toml"


def test_relative_xdg_is_refused(home: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A relative XDG directory is as good as none."""
    monkeypatch.chdir(home)
    touch(home / "xdg" / "fusiond" / "config.toml")
    monkeypatch.setenv("XDG_CONFIG_HOME", "xdg")
    assert locate(None) is None


def test_dangling_link_is_not_passed_over(home: Path) -> None:
    """A link that points at nothing is an error with a name, no reason to take the system's file."""
    touch(home / "etc" / "config.toml")
    link = home / ".config" / "fusiond" / "config.toml"
    link.parent.mkdir(parents=True)
    link.symlink_to(home / "gone.toml")
    found = locate(None)
    assert found == link
    with pytest.raises(ConfigErrors, match="no such file"):
        load(found)
