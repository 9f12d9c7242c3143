"""The secrets that a provider is told, and may say again in an error: they are taken out of its words before anybody hears them."""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Mapping
from contextlib import contextmanager
from urllib.parse import urlsplit

from fusiond.errors import MemberError

PIECE = 8
"""Characters of a secret that say too much; a shorter one is only hidden whole."""

_TELLING = re.compile(r"auth|key|token|secret|cookie", re.IGNORECASE)
HIDDEN = "[secret]"


def secrets_of(url: str, headers: Mapping[str, str]) -> tuple[str, ...]:
    """What must not be told of a way to a provider: the password in its address, and the headers that open its door."""
    told = [value.rpartition(" ")[2] for name, value in headers.items() if _TELLING.search(name)]
    return tuple(secret for secret in (urlsplit(url).password, *told) if secret)


@contextmanager
def discreet(secrets: Iterable[str]) -> Iterator[None]:
    """Whatever member's error comes out of the block, it comes without these secrets."""
    try:
        yield
    except MemberError as error:
        error.message = without(error.message, secrets)
        error.args = (error.message,)
        raise


def without(text: str, secrets: Iterable[str]) -> str:
    """The text without these secrets and without long pieces of them."""
    for secret in secrets:
        text = _without_pieces(text, secret) if len(secret) >= PIECE else re.sub(rf"(?<!\w){re.escape(secret)}(?!\w)", HIDDEN, text)
    return text


def _without_pieces(text: str, secret: str) -> str:
    kept, at = [], 0
    while at < len(text):
        end = at + PIECE
        if text[at:end] not in secret or end > len(text):
            kept.append(text[at])
            at += 1
            continue
        while end < len(text) and text[at : end + 1] in secret:
            end += 1
        kept.append(HIDDEN)
        at = end
    return "".join(kept)
