"""The gate, rule by rule: which hosts, pages, contents and tokens get through."""

from __future__ import annotations

from typing import Any

import pytest

from fusiond.errors import Forbidden, Unauthorized, UnsupportedMedia
from fusiond.gate import Gate, Knock, hostname

HOST = "localhost:11435"
PAGE = "https://chat.example"


def knock(**facts: Any) -> Knock:
    """A program's question, but for these facts."""
    return Knock(**{"method": "POST", "path": "/v1/chat/completions", "host": HOST, "content_type": "application/json", **facts})


@pytest.mark.parametrize(
    "host",
    [
        "localhost",
        "localhost:11435",
        "LocalHost:80",
        "localhost.",
        "localhost.:11435",
        "127.0.0.1",
        "127.0.0.1:11435",
        "127.1.2.3:11435",
        "[::1]",
        "[::1]:11435",
        "[0:0:0:0:0:0:0:1]:80",
    ],
)
def test_the_loopback_names_are_ours(host: str) -> None:
    """With and without a port, in any case, IPv6 in brackets."""
    Gate().check(knock(host=host))


@pytest.mark.parametrize(
    "host",
    [
        None,
        "",
        ":11435",
        "evil.example",
        "evil.example:11435",
        "localhost.evil.example",
        "127.0.0.1.nip.io",
        "127.0.0.1.evil.example:11435",
        "localhost@evil.example",
        "127.0.0.1:11435@evil.example",
        "evil.example#localhost",
        "localhost:evil.example",
        "sub.localhost",
        "0.0.0.0",  # noqa: S104  # not bound, but read
        "192.168.1.5:11435",
        "2130706433",
        "0x7f000001",
        "127.1",
        "::1",
        "[::]",
        "[::2]:80",
        "[fe80::1]:80",
        "[::1].evil.example",
        "[::1]evil.example:80",
        "[::1",
        "localhost, evil.example",
        "\udcff",
    ],
)
def test_every_other_name_is_refused(host: str | None) -> None:
    """A foreign name that points here, an address of another machine, and whatever only looks like one of ours."""
    with pytest.raises(Forbidden, match=r"is not served here \(server\.allowed_hosts\)"):
        Gate().check(knock(host=host))


@pytest.mark.parametrize(
    ("hosts", "host"),
    [
        ({"box.lan"}, "box.lan"),
        ({"box.lan"}, "Box.LAN:8080"),
        ({"box.lan"}, "box.lan."),
        ({"box.lan:8080"}, "Box.lan:8080"),
        ({"192.168.1.5"}, "192.168.1.5:11435"),
        ({"fd00::5"}, "[FD00::5]:11435"),
    ],
)
def test_allowed_hosts_are_ours_too(hosts: set[str], host: str) -> None:
    """By name with any port, or with the one that was given."""
    Gate(hosts=frozenset(hosts)).check(knock(host=host))


@pytest.mark.parametrize(("hosts", "host"), [({"box.lan:8080"}, "box.lan:80"), ({"box.lan"}, "x.box.lan"), ({"box.lan"}, "box.lan.evil.example")])
def test_an_allowed_host_allows_no_other(hosts: set[str], host: str) -> None:
    """Neither another port where one was given, nor names below or around it."""
    with pytest.raises(Forbidden):
        Gate(hosts=frozenset(hosts)).check(knock(host=host))


@pytest.mark.parametrize(("target", "through"), [("127.0.0.1:11435", True), ("localhost", True), ("evil.example", False), ("evil.example:80", False)])
def test_a_whole_url_in_the_request_line_is_looked_at_too(target: str, through: bool) -> None:
    """The Host header alone does not decide."""
    if through:
        Gate().check(knock(target_host=target))
        return
    with pytest.raises(Forbidden, match="evil"):
        Gate().check(knock(target_host=target))


@pytest.mark.parametrize("host", ["evil.example", None])
def test_unix_peers_need_a_host_of_ours_as_well(host: str | None) -> None:
    """The rules are the same on every address."""
    with pytest.raises(Forbidden):
        Gate().check(knock(host=host, local=True))


@pytest.mark.parametrize("origin", ["http://localhost:11435", "HTTP://LocalHost:11435", "https://localhost:11435", PAGE])
@pytest.mark.parametrize("site", [None, "same-origin", "cross-site"])
def test_our_own_pages_and_allowed_ones_may_ask(origin: str, site: str | None) -> None:
    """Whatever else the browser says of an allowed page."""
    Gate(origins=frozenset({PAGE})).check(knock(origin=origin, fetch_site=site))


@pytest.mark.parametrize(
    "origin",
    [
        "null",
        "",
        "https://evil.example",
        "http://localhost",
        "http://localhost:3000",
        "http://127.0.0.1:11435",
        "http://localhost:11435.evil.example",
        "file://",
        "chrome-extension://localhost:11435",
        "http://user@localhost:11435",
        "https://chat.example:8443",
        "https://chat.example.evil.example",
        "http://chat.example",
        "http://[",
        "http://[::1",
        "http://[nonsense]",
    ],
)
@pytest.mark.parametrize("method", ["GET", "POST", "OPTIONS", "HEAD"])
def test_other_pages_may_not(origin: str, method: str) -> None:
    """Not a sandboxed one (null), not another port of this machine, not what cannot be read; for every method."""
    with pytest.raises(Forbidden, match=r"may not use this daemon \(server\.allowed_origins\)"):
        Gate(origins=frozenset({PAGE})).check(knock(origin=origin, method=method))


@pytest.mark.parametrize(
    ("site", "through"), [("none", True), ("same-origin", True), ("same-site", False), ("cross-site", False), ("", False), ("NEW", False)]
)
@pytest.mark.parametrize("method", ["GET", "POST"])
def test_what_a_browser_says_of_the_other_site_counts(site: str, through: bool, method: str) -> None:
    """An image or a link in a foreign page has no Origin, but says where it comes from."""
    if through:
        Gate().check(knock(fetch_site=site, method=method))
        return
    with pytest.raises(Forbidden, match=f"Sec-Fetch-Site: {site}"):
        Gate().check(knock(fetch_site=site, method=method))


@pytest.mark.parametrize("browser", [{"origin": f"http://{HOST}"}, {"fetch_site": "same-origin"}], ids=["origin", "fetch-site"])
@pytest.mark.parametrize(
    ("content", "through"),
    [
        ("application/json", True),
        ("Application/JSON; charset=utf-8", True),
        (None, False),
        ("", False),
        ("text/plain", False),
        ("text/plain;application/json", False),
        ("application/x-www-form-urlencoded", False),
        ("multipart/form-data; boundary=x", False),
        ("application/jsonp", False),
    ],
)
def test_a_browser_must_say_that_it_sends_json(browser: dict[str, str], content: str | None, through: bool) -> None:
    """What a form can send without a preflight is refused."""
    asked = knock(content_type=content, **browser)
    if through:
        Gate().check(asked)
        return
    with pytest.raises(UnsupportedMedia, match="application/json"):
        Gate().check(asked)


@pytest.mark.parametrize("content", [None, "text/plain", "application/x-www-form-urlencoded"])
def test_a_program_need_not(content: str | None) -> None:
    """Such as curl, which without -H sends a form's type; nothing in it is a browser."""
    Gate().check(knock(content_type=content))


def test_a_get_has_no_content_to_speak_of() -> None:
    """A browser's GET carries no content type."""
    Gate().check(knock(method="GET", content_type=None, fetch_site="none"))


@pytest.mark.parametrize(("encoding", "through"), [(None, True), ("identity", True), (" Identity ", True), ("gzip", False), ("br, gzip", False)])
def test_a_body_must_not_be_compressed(encoding: str | None, through: bool) -> None:
    """So that its size is what is held of it."""
    if through:
        Gate().check(knock(content_encoding=encoding))
        return
    with pytest.raises(UnsupportedMedia, match=f"Content-Encoding: {encoding}"):
        Gate().check(knock(content_encoding=encoding))


GUARDED = Gate(tokens=("first", "zweites-ü"), origins=frozenset({PAGE}))


@pytest.mark.parametrize("token", ["first", "zweites-ü"])
def test_any_of_the_tokens_opens(token: str) -> None:
    """One a client, or an old and a new one."""
    GUARDED.check(knock(token=token))


@pytest.mark.parametrize("token", [None, "", "firs", "first ", "FIRST", "firstzweites-ü", "zweites-\udcff"])
def test_nothing_else_does(token: str | None) -> None:
    """Neither none nor a part of one, nor bytes that are no text. The error says how, and no token."""
    with pytest.raises(Unauthorized, match=r"^a token is needed: Authorization: Bearer TOKEN$"):
        GUARDED.check(knock(token=token))


@pytest.mark.parametrize("path", ["/healthz", "/readyz"])
def test_whether_it_lives_is_told_without_a_token(path: str) -> None:
    """For whatever watches services."""
    GUARDED.check(knock(method="GET", path=path))


@pytest.mark.parametrize("path", ["/healthz/", "/healthz/../v1/models", "/v1/models", "/fusiond/status", "/", "/metrics"])
def test_nothing_else_is(path: str) -> None:
    """Only exactly these two."""
    with pytest.raises(Unauthorized):
        GUARDED.check(knock(method="GET", path=path))


def test_the_user_at_the_socket_needs_no_token() -> None:
    """Nobody else can open it."""
    GUARDED.check(knock(local=True))


def test_a_preflight_is_answered_before_tokens() -> None:
    """It carries none, and no content; the origin still counts."""
    GUARDED.check(knock(method="OPTIONS", origin=PAGE, content_type=None, fetch_site="cross-site"))
    with pytest.raises(Forbidden):
        GUARDED.check(knock(method="OPTIONS", origin="https://evil.example"))


def test_a_token_opens_no_foreign_host_or_page() -> None:
    """The rules add up."""
    for foreign in ({"host": "evil.example"}, {"origin": "https://evil.example"}, {"fetch_site": "cross-site"}):
        with pytest.raises(Forbidden):
            GUARDED.check(knock(token="first", **foreign))


def test_without_tokens_none_is_asked_for() -> None:
    """A token that nobody asked for does no harm."""
    Gate().check(knock(token="anything"))


@pytest.mark.parametrize(
    ("host", "name"),
    [("LocalHost:80", "localhost"), ("[::1]:80", "::1"), ("[FD00::5]", "fd00::5"), ("box.", "box"), ("a:b", "a:b"), ("", "")],
)
def test_a_hosts_name_is_without_its_port(host: str, name: str) -> None:
    """In small letters, without brackets and the final dot."""
    assert hostname(host) == name
