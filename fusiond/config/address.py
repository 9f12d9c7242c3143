"""What a listen address says: `HOST:PORT`, `unix:PATH`, or the word `unix`."""

from __future__ import annotations

import ipaddress
import re
from dataclasses import dataclass

_HOST = re.compile(r"(?!-)[A-Za-z0-9-]+(?:\.[A-Za-z0-9-]+)*\.?")
_PATH_LIMIT = 103
"""Bytes of a socket's path that every system takes (Linux: 107)."""


@dataclass(frozen=True, slots=True, kw_only=True)
class TcpAddress:
    """A host (without the brackets of IPv6) and a port; port 0 is any free one."""

    host: str
    port: int

    @property
    def loopback(self) -> bool:
        """Whether only this machine reaches it."""
        if self.host.rstrip(".").lower() == "localhost":
            return True
        try:
            return ipaddress.ip_address(self.host).is_loopback
        except ValueError:
            return False


@dataclass(frozen=True, slots=True, kw_only=True)
class UnixAddress:
    """A socket in the file system; None: the default one."""

    path: str | None


Address = TcpAddress | UnixAddress


def parse_address(text: str) -> Address:
    """Raises ValueError that says what is wrong with *text*."""
    if text == "unix":
        return UnixAddress(path=None)
    if text.startswith("unix:"):
        return UnixAddress(path=_path(text.removeprefix("unix:")))
    host, colon, port = text.rpartition(":")
    if not colon or not host or not re.fullmatch(r"[0-9]{1,5}", port):
        raise ValueError("must be HOST:PORT, unix:PATH or unix")
    if int(port) > 65535:
        raise ValueError("a port is at most 65535")
    return TcpAddress(host=_host(host), port=int(port))


def _path(path: str) -> str:
    if not path:
        raise ValueError("names no path after unix:")
    if "\0" in path or len(path.encode()) > _PATH_LIMIT:
        raise ValueError(f"the path of a socket is at most {_PATH_LIMIT} bytes long")
    return path


def _host(host: str) -> str:
    if host.startswith("[") and host.endswith("]"):
        return str(ipaddress.IPv6Address(host[1:-1]))
    if ":" in host:
        raise ValueError("an IPv6 address stands in brackets: [::1]:11435")
    if host.replace(".", "").isdigit():
        return str(ipaddress.IPv4Address(host))
    if not _HOST.fullmatch(host):
        raise ValueError("names no host")
    return host
