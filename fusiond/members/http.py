"""The way to a provider: one pooled client session, and every error of the transport translated once.

Redirects are not followed, and proxies from the environment are not used: a prompt and a key go to the configured address and nowhere else.
Leaving a response before its end closes its connection, which is how the provider learns that nobody waits any more.
A provider may close a connection that waits for its next question just as the question comes: what only looks is done once more, over a new one; of a
member's question that is said (`stale`), and whoever counts the retries decides.
"""

from __future__ import annotations

import asyncio
import io
import json
import os
import re
import socket
from collections.abc import AsyncGenerator, AsyncIterator, Awaitable, Callable, Iterator, Mapping
from contextlib import aclosing, asynccontextmanager, contextmanager, suppress
from typing import Any

import aiohttp
from pydantic_core import from_json

from fusiond.call import Call
from fusiond.errors import ContextTooSmall, Garbled, MemberError, Rejected, Truncated, Unreachable, Unwilling
from fusiond.members.discretion import discreet, secrets_of
from fusiond.members.egress import Egress, Meter, counting, metered, received
from fusiond.members.patience import Patience
from fusiond.members.retry_after import asked_wait
from fusiond.members.sse import LIMIT

CONNECT_SECONDS = 5.0
ERROR_BYTES = 64 * 1024
"""So much of an error's body is read, and a short piece of it told."""

ERROR_SECONDS = 2.0
"""So long an error's body may take: its status says enough."""

LARGE = 1024 * 1024
"""Bytes of a question."""

END_SECONDS = 0.05
"""So long the end of a body may come after its last message, for the connection to be used again."""

LATE = (408, 504, 524)
"""Statuses of a gateway that has not waited for the answer: it may still be made, and billed."""

TOLD = 300
_CONTEXT = re.compile(r"context (?:length|size|window)|exceeds? [^.]{0,60}context|exceed_context_size|prompt (?:is )?too long", re.IGNORECASE)
_SECRET = re.compile(r"(?:sk-|Bearer )[A-Za-z0-9._-]{4,}")
_CODE = re.compile(r":?\s*(?:<\w|\b[A-Z]\w+\().*", re.DOTALL)
"""Where a library's words go over into what only its authors understand."""

_GONE = (aiohttp.ServerDisconnectedError, aiohttp.ClientOSError, aiohttp.ClientConnectionResetError)
"""What is raised where a connection was closed while it waited for its next question."""

Ask = Callable[[aiohttp.ClientSession], Awaitable[aiohttp.ClientResponse]]


class Link:
    """The connections to one provider.

    `url`: its base; `headers`: for this provider only; `socket`: a unix socket that leads to it; `egress`: who is told of every byte that leaves
    this machine through it (None: none does); `beyond`: whether all do, or only those for members that run elsewhere.
    """

    def __init__(
        self,
        url: str,
        headers: Mapping[str, str] | None = None,
        *,
        socket: str | None = None,
        egress: Egress | None = None,
        beyond: bool = True,
    ) -> None:
        self._url = url.rstrip("/")
        self._headers = dict(headers or {})
        self._socket = socket
        self._egress = egress
        self._beyond = beyond
        self._secrets = secrets_of(self._url, self._headers)
        self._session: aiohttp.ClientSession | None = None
        self._fresh: aiohttp.ClientSession | None = None
        self._idle = 0  # connections that wait for a question, those included that were closed meanwhile

    @asynccontextmanager
    async def post(self, path: str, body: Mapping[str, Any], patience: Patience, call: Call | None = None) -> AsyncIterator[aiohttp.ClientResponse]:
        """The response to a JSON body, once its headers say 200. Raises MemberError. `call`: whose question it is."""
        content = _encoded(body)
        headers = _JSON | {DEPTH: str(call.request.depth + 1)} if call else _JSON
        with discreet(self._secrets):
            async with metered(self._listener(call), self._url, len(content), call) as meter:
                if call and call.cleared:
                    await call.cleared()

                def ask(session: aiohttp.ClientSession) -> Awaitable[aiohttp.ClientResponse]:
                    data = content if len(content) < LARGE else io.BytesIO(content)  # a large one is written a piece at a time
                    return session.post(self._url + path, data=data, headers=headers, allow_redirects=False, trace_request_ctx=meter)

                async with self._responded(ask, patience, meter, call) as response:
                    yield response

    async def get(self, path: str, patience: Patience) -> Any:
        """The JSON document at *path*. Raises MemberError."""
        document = await self.fetch(path, patience)
        try:
            return from_json(document)
        except ValueError:
            with discreet(self._secrets):
                raise Garbled(f"not JSON: {document[:80]!r}") from None

    async def fetch(self, path: str, patience: Patience) -> bytes:
        """What there is at *path*. Raises MemberError."""
        with discreet(self._secrets):
            async with metered(self._listener(None), self._url, 0, None) as meter:

                def ask(session: aiohttp.ClientSession) -> Awaitable[aiohttp.ClientResponse]:
                    return session.get(self._url + path, allow_redirects=False, trace_request_ctx=meter)

                async with self._responded(ask, patience, meter, None) as response:
                    return await whole(response, patience)

    @property
    def session(self) -> aiohttp.ClientSession:
        """The pool, made when it is first needed."""
        if self._session is None:
            self._session = self._opened()
        return self._session

    @property
    def fresh(self) -> aiohttp.ClientSession:
        """Where every question has a new connection, made when it is first needed."""
        if self._fresh is None:
            self._fresh = self._opened(once=True)
        return self._fresh

    def _opened(self, *, once: bool = False) -> aiohttp.ClientSession:
        """`once`: each of its connections serves one question."""
        return aiohttp.ClientSession(
            connector=aiohttp.UnixConnector(self._socket, limit=0, force_close=once)
            if self._socket
            else aiohttp.TCPConnector(limit=0, force_close=once),
            headers=self._headers,
            timeout=aiohttp.ClientTimeout(total=None, connect=CONNECT_SECONDS, sock_connect=CONNECT_SECONDS),
            cookie_jar=aiohttp.DummyCookieJar(),
            trust_env=False,
            trace_configs=[counting()] if self._egress else None,
        )

    @asynccontextmanager
    async def _responded(self, ask: Ask, patience: Patience, meter: Meter, call: Call | None) -> AsyncIterator[aiohttp.ClientResponse]:
        with translated(begun=False):
            response = await self._begun(ask, patience, call)
        try:
            if response.status != 200:
                raise await _refusal(response, patience)
            yield response
        finally:
            meter.received = received(response)
            self._idle += response.content.at_eof()
            response.close()  # if it was read to its end, its connection is back in the pool already

    async def _begun(self, ask: Ask, patience: Patience, call: Call | None) -> aiohttp.ClientResponse:
        """The response, as soon as it has begun. Where a waiting connection was closed, a call ends (Unreachable); all else takes a new one."""
        if call and call.afresh:
            return await patience.wait(ask(self.fresh))
        reused = self._idle > 0
        self._idle -= reused
        try:
            return await patience.wait(ask(self.session))
        except _GONE as error:
            if not (reused and _nothing_came(error)):
                raise
            if call:
                raise Unreachable(f"no connection ({_plain(error)})", stale=True) from error
        return await patience.wait(ask(self.fresh))

    def _listener(self, call: Call | None) -> Egress | None:
        return self._egress if (call.member.place != "local" if call else self._beyond) else None

    async def aclose(self) -> None:
        """Close every connection."""
        for session in (self._session, self._fresh):
            if session is not None:
                await session.close()


_JSON = {"Content-Type": "application/json"}

DEPTH = "X-Fusiond-Depth"
"""How many daemons of our kind a question has come through: two that ask each other would never end."""


def _encoded(body: Mapping[str, Any]) -> bytes:
    """Raises Unwilling where it holds what JSON has not: Infinity would be taken for anything."""
    try:
        return json.dumps(body, allow_nan=False).encode()
    except ValueError:
        raise Unwilling("the question holds a number that JSON cannot say") from None


def _nothing_came(error: Exception) -> bool:
    """Whether the connection was there, and closed before the first byte of an answer."""
    begun = isinstance(error, aiohttp.ServerDisconnectedError) and not isinstance(error.message, str)
    return not begun and not isinstance(error, aiohttp.ClientConnectorError)


async def whole(response: aiohttp.ClientResponse, patience: Patience) -> bytes:
    """A body that is one document. Raises MemberError."""
    document = bytearray()
    async with aclosing(pieces(response, patience)) as parts:
        async for data in parts:
            document += data
            if len(document) > LIMIT:
                raise Garbled(f"an answer of more than {LIMIT} bytes")
    return bytes(document)


async def pieces(response: aiohttp.ClientResponse, patience: Patience) -> AsyncGenerator[bytes, None]:
    """The body as it comes. Raises MemberError."""
    while data := await piece(response, patience):
        yield data


async def piece(response: aiohttp.ClientResponse, patience: Patience) -> bytes:
    """What has come of the body since; nothing at its end. Raises MemberError."""
    with translated(begun=True):
        return await patience.wait(response.content.readany())


async def at_end(response: aiohttp.ClientResponse) -> None:
    """Wait a moment for the end of a body whose last message has come; a provider that does not end it loses the connection, no more."""
    with suppress(TimeoutError, aiohttp.ClientError):
        async with asyncio.timeout(END_SECONDS):
            while not response.content.at_eof():
                await response.content.readany()


@contextmanager
def translated(*, begun: bool) -> Iterator[None]:
    """The transport's errors as ours; `begun`: the response was already on its way."""
    try:
        yield
    except aiohttp.ServerTimeoutError as error:
        raise Unreachable(f"no connection within {CONNECT_SECONDS:g} s", lost=not begun) from error
    except aiohttp.ClientConnectorError as error:
        raise Unreachable(f"no connection ({_plain(error)})", lost=True) from error
    except (aiohttp.ClientPayloadError, aiohttp.ClientConnectionError, OSError) as error:
        told = _plain(error)
        raise (
            Truncated(f"the connection broke in the middle of the answer ({told})") if begun else Unreachable(f"no connection ({told})")
        ) from error
    except (aiohttp.ClientError, ValueError) as error:
        raise Garbled(f"the answer is not HTTP as it should be ({_plain(error)})") from error


async def _refusal(response: aiohttp.ClientResponse, patience: Patience) -> MemberError:
    """The error that a status other than 200 means, with the provider's own words."""
    said = message_in(await _beginning(response, patience))
    if response.status in (301, 302, 303, 307, 308):
        return Rejected(f"HTTP {response.status}: redirects are not followed", upstream_status=response.status, unbilled=True)
    if response.status in (400, 413, 422, 500) and _CONTEXT.search(said):
        return ContextTooSmall(said)
    return Rejected(
        f"HTTP {response.status}: {said}",
        upstream_status=response.status,
        retry_after=asked_wait(response.headers.get("Retry-After")),
        unbilled=response.status not in LATE,
    )


async def _beginning(response: aiohttp.ClientResponse, patience: Patience) -> bytes:
    """An error's body, as far as it comes: one that is cut off, or never ends, is still an error with its status."""
    body = bytearray()
    with suppress(MemberError, TimeoutError):
        async with asyncio.timeout(ERROR_SECONDS), aclosing(pieces(response, patience)) as parts:
            async for data in parts:
                body += data
                if len(body) >= ERROR_BYTES:
                    break
    return bytes(body[:ERROR_BYTES])


def message_in(body: bytes) -> str:
    """What an error's body says, in a line: the JSON forms that providers use, or the beginning of whatever it is."""
    try:
        document = from_json(body)
    except ValueError:
        return shortened(" ".join(body.decode(errors="replace").split()) or "no reason given")
    error = document.get("error", document) if isinstance(document, dict) else document
    if isinstance(error, dict):
        return error_message(error)
    return shortened(str(error or "no reason given"))


def error_message(error: Mapping[str, Any]) -> str:
    """The words of an error object; the cause behind a gateway's error says more than the gateway."""
    metadata = error.get("metadata")
    raw = metadata.get("raw") if isinstance(metadata, dict) else None
    message = error.get("message") or error.get("detail") or error.get("type") or "no reason given"
    return shortened(f"{message}: {raw}" if raw else str(message))


def shortened(text: str) -> str:
    """At most a few hundred characters, without anything that looks like a key, or is no character."""
    text = _SECRET.sub("[secret]", text.encode(errors="replace").decode())
    return text if len(text) <= TOLD else f"{text[:TOLD]}..."


def rejected(error: object) -> MemberError:
    """The error that a provider reports in an answer that had begun well."""
    words = error_message(error) if isinstance(error, Mapping) else shortened(str(error or "no reason given"))
    code = error.get("code") if isinstance(error, Mapping) else None
    if _CONTEXT.search(words):
        return ContextTooSmall(words)
    return Rejected(words, upstream_status=code if isinstance(code, int) and 400 <= code < 600 else None)


def string(text: object) -> str:
    """What must be a string where a provider's JSON has text. Raises TypeError."""
    if not isinstance(text, str):
        raise TypeError(type(text).__name__)
    return text


def _plain(error: BaseException) -> str:
    cause = error.os_error if isinstance(error, aiohttp.ClientConnectorError) else error
    if isinstance(cause, socket.gaierror):
        return f"the name is not found: {cause.strerror or cause}".lower()
    if isinstance(cause, OSError) and cause.errno:
        return os.strerror(cause.errno).lower()
    if isinstance(error, aiohttp.ServerDisconnectedError):
        return "closed by the server"
    told = error.message if isinstance(error, aiohttp.ClientResponseError) else str(error)
    return shortened(_CODE.sub("", " ".join(told.split())) or "without a reason")
