"""Who may talk to the daemon: decided from the headers alone, before the body is read.

Every page in a browser on this machine can reach a loopback address; the rules here keep it out without a token:
the Host must be one of ours (so that a foreign name that points here is no use), a foreign Origin is refused, and so is what a browser says
comes from another site. A program that sends none of these headers is no browser.
"""

from __future__ import annotations

import hmac
import ipaddress
from collections.abc import Collection
from dataclasses import dataclass

from fusiond.errors import Forbidden, Unauthorized, UnsupportedMedia

OPEN_PATHS = ("/healthz", "/readyz")
_SAME = ("same-origin", "none")


@dataclass(frozen=True, slots=True, kw_only=True)
class Knock:
    """The headers of one request that matter here; one that comes several times is all its values, joined by commas.

    `target_host`: of a request line with a whole URL. `address`: at which this machine was reached. `local`: over a unix socket, which only this
    user can open.
    """

    method: str
    path: str
    host: str | None
    target_host: str | None = None
    address: str | None = None
    origin: str | None = None
    fetch_site: str | None = None
    content_type: str | None = None
    content_encoding: str | None = None
    token: str | None = None
    local: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class Gate:
    """The rules of one revision. `hosts`: names and addresses beside the loopback ones; `tokens`: any of them opens.

    With tokens the address at which the daemon was reached is one of its names: no page can make a browser send one.
    """

    hosts: frozenset[str] = frozenset()
    origins: frozenset[str] = frozenset()
    tokens: tuple[str, ...] = ()

    def check(self, knock: Knock) -> None:
        """Raises Forbidden, UnsupportedMedia or Unauthorized."""
        ours = self.hosts | {knock.address} if self.tokens and knock.address else self.hosts
        for host in (knock.host or "", *((knock.target_host,) if knock.target_host else ())):
            if not _names_us(host, ours):
                raise Forbidden(f"the host '{host}' is not served here (server.allowed_hosts)")
        if knock.origin is not None and not self.trusts(knock):
            raise Forbidden(f"pages of the origin '{knock.origin}' may not use this daemon (server.allowed_origins)")
        if knock.origin is None and knock.fetch_site is not None and knock.fetch_site not in _SAME:
            raise Forbidden(f"requests from another site are refused (Sec-Fetch-Site: {knock.fetch_site})")
        if knock.method == "OPTIONS":
            return
        _check_content(knock)
        self._check_token(knock)

    def trusts(self, knock: Knock) -> bool:
        """Whether the request's origin is the daemon's own or an allowed one."""
        scheme, _, place = (knock.origin or "").lower().partition("://")
        return knock.origin in self.origins or (scheme in ("http", "https") and place == (knock.host or "").lower())

    def _check_token(self, knock: Knock) -> None:
        if not self.tokens or knock.local or knock.path in OPEN_PATHS:
            return
        given = (knock.token or "").encode(errors="surrogateescape")  # as the server decoded it: it may be no text
        if not any([hmac.compare_digest(given, token.encode()) for token in self.tokens]):  # noqa: C419  # a list: every token is compared
            raise Unauthorized("a token is needed: Authorization: Bearer TOKEN")


def _check_content(knock: Knock) -> None:
    if knock.method != "POST":
        return
    if (knock.origin is not None or knock.fetch_site is not None) and (knock.content_type or "").partition(";")[
        0
    ].strip().lower() != "application/json":
        raise UnsupportedMedia("the content type must be application/json")
    if (knock.content_encoding or "identity").strip().lower() != "identity":
        raise UnsupportedMedia(f"a body must not be compressed (Content-Encoding: {knock.content_encoding})")


def _names_us(host: str, hosts: Collection[str]) -> bool:
    name = hostname(host)
    if name == "localhost" or name in hosts or host.lower() in hosts:
        return True
    try:
        return ipaddress.ip_address(name).is_loopback
    except ValueError:
        return False


def hostname(host: str) -> str:
    """A Host header's name without its port, in small letters and without brackets or a final dot."""
    name, colon, port = host.rpartition(":")
    name = (name if colon and port.isdigit() else host).lower()
    return name[1:-1] if name.startswith("[") and name.endswith("]") else name.removesuffix(".")
