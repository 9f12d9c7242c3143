"""Where the daemon's files and sockets are, and where Ollama is."""

from __future__ import annotations

import os
import sys
import tempfile
from pathlib import Path

import pytest

from fusiond.places import cache_directory, configuration_directory, default_socket, ollama_url, private_directory, runtime_directory


@pytest.mark.parametrize(
    ("host", "url"),
    [
        ("", "http://127.0.0.1:11434"),
        ("  ", "http://127.0.0.1:11434"),
        ("box", "http://box:11434"),
        (" box:8080 ", "http://box:8080"),
        (":8080", "http://127.0.0.1:8080"),
        ("0.0.0.0", "http://127.0.0.1:11434"),  # noqa: S104  # not bound, but read
        ("0.0.0.0:8080", "http://127.0.0.1:8080"),
        ("http://box:8080/", "http://box:8080"),
        ("http://box", "http://box:80"),
        ("https://box", "https://box:443"),
        ("https://box:8443", "https://box:8443"),
        ("[::1]", "http://[::1]:11434"),
        ("[::1]:8080", "http://[::1]:8080"),
        ("::1", "http://[::1]:11434"),
        ("fe80::2:1", "http://[fe80::2:1]:11434"),
        ("http://box:8080/ollama", "http://box:8080/ollama"),
        ("https://box/ollama/", "https://box:443/ollama"),
    ],
)
def test_ollama_host_means_what_it_means_to_ollama(host: str, url: str) -> None:
    """Without a scheme the port is Ollama's, with one it is the scheme's; a path stays; an address to bind is this machine."""
    assert ollama_url(host) == url


def test_the_services_directories_come_first(monkeypatch: pytest.MonkeyPatch) -> None:
    """The first of several, and none that is relative."""
    monkeypatch.setenv("RUNTIME_DIRECTORY", "/run/fusiond:/run/other")
    monkeypatch.setenv("CACHE_DIRECTORY", "/var/cache/fusiond")
    assert (default_socket(), cache_directory()) == (Path("/run/fusiond/fusiond.sock"), Path("/var/cache/fusiond"))
    monkeypatch.setenv("CACHE_DIRECTORY", "here")
    assert cache_directory() == Path(os.environ["XDG_CACHE_HOME"], "fusiond")


def test_the_users_directories_come_next(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """As XDG says: a relative value is as good as none, and then it is the home directory's."""
    assert configuration_directory() == Path(os.environ["XDG_CONFIG_HOME"], "fusiond")
    assert default_socket() == Path(os.environ["XDG_RUNTIME_DIR"], "fusiond", "fusiond.sock")
    monkeypatch.setenv("HOME", str(tmp_path))
    monkeypatch.setenv("XDG_CONFIG_HOME", "here")
    monkeypatch.delenv("XDG_CACHE_HOME")
    assert (configuration_directory(), cache_directory()) == (tmp_path / ".config/fusiond", tmp_path / ".cache/fusiond")


@pytest.mark.skipif(sys.platform == "darwin", reason="its temporary directory is the user's own")
@pytest.mark.parametrize("runtime", ["", "here"])
def test_without_a_runtime_directory_it_is_one_of_this_user(monkeypatch: pytest.MonkeyPatch, runtime: str) -> None:
    """Two users of a machine never meet in the shared temporary directory."""
    monkeypatch.setenv("XDG_RUNTIME_DIR", runtime)
    assert runtime_directory() == Path(tempfile.gettempdir(), f"fusiond-{os.getuid()}")


def test_a_private_directory_is_made_for_this_user_alone(tmp_path: Path) -> None:
    """Mode 0700 whatever the umask; one that is there is taken as it is."""
    usual = os.umask(0)
    try:
        path = private_directory(tmp_path / "between" / "mine")
    finally:
        os.umask(usual)
    assert path.stat().st_mode & 0o777 == 0o700
    assert private_directory(path) == path


def test_a_directory_that_others_can_change_is_refused(tmp_path: Path) -> None:
    """Neither one that others can write to, nor a link to one."""
    tmp_path.chmod(0o770)
    with pytest.raises(PermissionError, match=f"others can write to {tmp_path} .chmod 700 {tmp_path}."):
        private_directory(tmp_path)
    tmp_path.chmod(0o700)
    link = tmp_path / "link"
    link.symlink_to(tmp_path)
    with pytest.raises(PermissionError, match="link is not a directory of this user"):
        private_directory(link)
