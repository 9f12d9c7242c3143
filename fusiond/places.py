"""Where things are: the daemon's files and sockets (the service manager's directories first, then the XDG ones), and Ollama's address."""

from __future__ import annotations

import os
import stat
import sys
import tempfile
from pathlib import Path

DEFAULT_ADDRESS = "127.0.0.1:11435"


def configuration_directory() -> Path:
    """The user's own configuration directory."""
    return _xdg("XDG_CONFIG_HOME", ".config") / "fusiond"


def cache_directory() -> Path:
    """What can be made again: checked models, lists."""
    return _of_service("CACHE_DIRECTORY") or _xdg("XDG_CACHE_HOME", ".cache") / "fusiond"


def state_directory() -> Path:
    """What must not be lost: the ledger, the records."""
    return _of_service("STATE_DIRECTORY") or _xdg("XDG_STATE_HOME", ".local/state") / "fusiond"


def default_socket() -> Path:
    """The socket that the word `unix` means, for the daemon and for the commands that talk to it."""
    if service := _of_service("RUNTIME_DIRECTORY"):
        return service / "fusiond.sock"
    return runtime_directory() / "fusiond.sock"


def runtime_directory() -> Path:
    """A directory of this user alone, gone after a restart of the machine. Not created here."""
    runtime = os.environ.get("XDG_RUNTIME_DIR", "")
    if Path(runtime).is_absolute():
        return Path(runtime, "fusiond")
    if sys.platform == "darwin":
        return Path(tempfile.gettempdir(), "fusiond")
    return Path(tempfile.gettempdir(), f"fusiond-{os.getuid()}")


def private_directory(path: Path) -> Path:
    """Create *path* for this user alone. Raises PermissionError where it is somebody else's, or open to others."""
    path.mkdir(mode=0o700, parents=True, exist_ok=True)
    status = path.lstat()
    if not stat.S_ISDIR(status.st_mode) or status.st_uid != os.getuid():
        raise PermissionError(f"{path} is not a directory of this user")
    if status.st_mode & (stat.S_IWGRP | stat.S_IWOTH):
        raise PermissionError(f"others can write to {path} (chmod 700 {path})")
    if status.st_mode & (stat.S_IRWXG | stat.S_IRWXO):
        path.chmod(0o700)
    return path


def ollama_url(host: str) -> str:
    """`OLLAMA_HOST` as Ollama takes it: with or without a scheme (which brings its own port), a port and a path; 0.0.0.0 stands for this machine."""
    scheme, _, rest = host.strip().rpartition("://")
    place, slash, path = rest.rstrip("/").partition("/")
    name, colon, port = place.rpartition(":")
    if not colon or not port.isdigit() or (":" in name and not name.endswith("]")):  # the end of an IPv6 address is no port
        name, port = place, {"http": "80", "https": "443"}.get(scheme, "11434")
    name = {"": "127.0.0.1", "0.0.0.0": "127.0.0.1", "::": "::1"}.get(name.strip("[]"), name.strip("[]"))  # noqa: S104  # not bound, but read
    return f"{scheme or 'http'}://{f'[{name}]' if ':' in name else name}:{port}{slash}{path}"


def _of_service(variable: str) -> Path | None:
    first = os.environ.get(variable, "").split(":")[0]
    return Path(first) if Path(first).is_absolute() else None


def _xdg(variable: str, default: str) -> Path:
    """XDG's rule: a relative value is as good as none."""
    value = Path(os.environ.get(variable, ""))
    return value if value.is_absolute() else Path.home() / default
