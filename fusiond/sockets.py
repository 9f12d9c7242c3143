"""Listening sockets, bound before anything is served on them.

A unix socket is for this user alone: mode 0600, in a directory of mode 0700 where the daemon makes it. One that another daemon still listens on is
never taken over (asyncio would do so silently); what a dead one left behind is replaced. A lock beside it settles who came first.
"""

from __future__ import annotations

import contextlib
import errno
import fcntl
import os
import socket
from collections.abc import Collection
from dataclasses import dataclass, field
from pathlib import Path
from typing import IO

from fusiond.config.address import Address, TcpAddress, UnixAddress
from fusiond.places import default_socket, private_directory

BACKLOG = 1024


class CannotListen(OSError):
    """An address is taken, or may not be used; the message names it."""


@dataclass(kw_only=True)
class Listener:
    """A bound socket and the address that it stands for."""

    address: Address
    socket: socket.socket
    path: Path | None = None
    _lock: IO[bytes] | None = field(default=None, repr=False)
    _inode: int = 0

    def __str__(self) -> str:
        if self.path is not None:
            return f"unix:{self.path}"
        host, port = self.socket.getsockname()[:2]
        return f"http://[{host}]:{port}" if ":" in host else f"http://{host}:{port}"

    def close(self) -> None:
        """Stop listening; the socket's file goes too, if it is still ours."""
        self.socket.close()
        if self.path is not None:
            with contextlib.suppress(FileNotFoundError):
                if self.path.stat().st_ino == self._inode:
                    self.path.unlink()
        if self._lock is not None:
            self._lock.close()


def bind(address: Address, held: Collection[Address] = ()) -> Listener:
    """Bind and listen. `held`: where this process listens already. Raises CannotListen, with the way out where it stands in its own way."""
    try:
        match address:
            case TcpAddress():
                return Listener(address=address, socket=_tcp(address))
            case UnixAddress():
                return _unix(address, Path(address.path).absolute() if address.path else default_socket())
    except CannotListen:
        raise
    except OSError as error:
        raise CannotListen(f"cannot listen on {_named(address)}: {error.strerror or error}{_in_our_way(address, error, held)}") from error
    except UnicodeError:
        raise CannotListen(f"cannot listen on {_named(address)}: no host can have this name") from None


def _in_our_way(address: Address, error: OSError, held: Collection[Address]) -> str:
    """What to do about an address whose port is taken by ourselves: addresses can lie inside each other, as 127.0.0.1 does in 0.0.0.0."""
    if error.errno != errno.EADDRINUSE or not isinstance(address, TcpAddress):
        return ""
    ours = next((other for other in held if isinstance(other, TcpAddress) and other.port == address.port), None)
    return f": this daemon has the port itself, on {_named(ours)}: restart it, or take another port" if ours else ""


def _named(address: Address) -> str:
    match address:
        case TcpAddress():
            return f"{address.host}:{address.port}"
        case UnixAddress():
            return f"unix:{address.path or default_socket()}"


def _tcp(address: TcpAddress) -> socket.socket:
    family, _, _, _, where = socket.getaddrinfo(address.host, address.port, type=socket.SOCK_STREAM, flags=socket.AI_PASSIVE)[0]
    listening = socket.socket(family, socket.SOCK_STREAM)
    try:
        listening.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        listening.bind(where)
        listening.listen(BACKLOG)
    except OSError:
        listening.close()
        raise
    listening.setblocking(False)
    return listening


def _unix(address: UnixAddress, path: Path) -> Listener:
    if address.path is None or not path.parent.exists():
        private_directory(path.parent)
    lock = _locked(path)
    listening = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
    try:
        _clear(path)
        mask = os.umask(0o177)
        try:
            listening.bind(str(path))
        finally:
            os.umask(mask)
        listening.listen(BACKLOG)
        listening.setblocking(False)
    except OSError:
        listening.close()
        lock.close()
        raise
    return Listener(address=address, socket=listening, path=path, _lock=lock, _inode=path.stat().st_ino)


def _locked(path: Path) -> IO[bytes]:
    lock = Path(f"{path}.lock").open("ab")  # noqa: SIM115  # held as long as the socket
    try:
        fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        lock.close()
        raise CannotListen(f"another fusiond already listens on unix:{path}") from None
    return lock


def _clear(path: Path) -> None:
    """Remove a dead socket. Somebody else's live one, or a file that is no socket, is left alone."""
    if not os.path.lexists(path):
        return
    if not path.is_socket():
        raise CannotListen(f"cannot listen on unix:{path}: there is a file that is no socket")
    with socket.socket(socket.AF_UNIX, socket.SOCK_STREAM) as probe:
        probe.setblocking(False)
        try:
            probe.connect(str(path))
        except ConnectionRefusedError:
            path.unlink()
            return
        except BlockingIOError:
            pass  # its queue is full: it is busy, not dead
    raise CannotListen(f"another process already listens on unix:{path}")
