"""Listen addresses: what is one, and who can reach it."""

from __future__ import annotations

import pytest

from fusiond.config.address import Address, TcpAddress, UnixAddress, parse_address


@pytest.mark.parametrize(
    ("text", "address"),
    [
        ("unix", UnixAddress(path=None)),
        ("unix:/run/f.sock", UnixAddress(path="/run/f.sock")),
        ("unix:a:1", UnixAddress(path="a:1")),
        ("127.0.0.1:11435", TcpAddress(host="127.0.0.1", port=11435)),
        ("[::1]:0", TcpAddress(host="::1", port=0)),
        ("localhost:65535", TcpAddress(host="localhost", port=65535)),
        ("my-host.example.org:1", TcpAddress(host="my-host.example.org", port=1)),
    ],
)
def test_addresses(text: str, address: Address) -> None:
    """The three forms."""
    assert parse_address(text) == address


@pytest.mark.parametrize(
    "text",
    [
        "",
        "unix:",
        "127.0.0.1",
        ":80",
        "a:",
        "a:b",
        "a:-1",
        "a:65536",
        "a:80 ",
        "a:٣",
        "::1:80",
        "[::1:80",
        "[x]:80",
        "1.2.3:80",
        "256.1.1.1:80",
        "a b:80",
        "http://a:80",
        "-a:80",
        "*:80",
        "unix:" + "x" * 104,
        "unix:a\0b",
    ],
)
def test_no_addresses(text: str) -> None:
    """Everything else says what is wrong with it."""
    with pytest.raises(ValueError, match=r"."):
        parse_address(text)


@pytest.mark.parametrize(
    ("host", "loopback"),
    [
        ("127.0.0.1", True),
        ("127.9.9.9", True),
        ("::1", True),
        ("localhost", True),
        ("0.0.0.0", False),  # noqa: S104  # not bound
        ("::", False),
        ("10.0.0.1", False),
        ("box", False),
    ],
)
def test_loopback(host: str, loopback: bool) -> None:
    """Who reaches only this machine."""
    assert TcpAddress(host=host, port=1).loopback is loopback
