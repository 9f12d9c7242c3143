"""The way from a command to the daemon: its address, and its answers as they come. Expected failures are `Trouble`, in one line."""

from __future__ import annotations

import json
import os
import socket
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any

from fusiond.places import DEFAULT_ADDRESS, default_socket

if TYPE_CHECKING:
    import httpx

CONNECT_SECONDS, DOCUMENT_SECONDS = 5.0, 30.0


class Trouble(Exception):
    """Why a command cannot do its work, for people."""


class Refused(Trouble):
    """A daemon that answers, and refuses; `status` is HTTP's."""

    def __init__(self, response: httpx.Response) -> None:
        super().__init__(_refusal(response))
        self.status = response.status_code


class Client:
    """One daemon. `url`: `http://HOST:PORT` or `unix:PATH`; None: `$FUSIOND_URL`, else the default socket if it answers, else the default address."""

    def __init__(self, url: str | None = None) -> None:
        import httpx  # noqa: PLC0415  # seventy milliseconds that `--version` and `check` do without

        self.address = url or os.environ.get("FUSIOND_URL") or _usual()
        path = self.address.removeprefix("unix:") if self.address.startswith("unix:") else None
        if path == "" or (path is None and not self.address.startswith(("http://", "https://"))):
            raise Trouble(f"'{self.address}' is no address of a daemon: it must begin with http://, https:// or unix:")
        token = os.environ.get("FUSIOND_TOKEN")
        try:
            self._http = httpx.Client(
                base_url="http://localhost" if path is not None else self.address.rstrip("/"),
                transport=httpx.HTTPTransport(uds=path) if path is not None else None,
                headers={"Authorization": f"Bearer {token}"} if token else {},
                timeout=httpx.Timeout(None, connect=CONNECT_SECONDS),
                trust_env=False,
            )
        except httpx.InvalidURL as error:
            raise Trouble(f"'{self.address}' is no address of a daemon: {error}") from None
        except UnicodeEncodeError:
            raise Trouble("$FUSIOND_TOKEN holds characters that no token has") from None

    def get(self, path: str) -> dict[str, Any]:
        """A document of the daemon's. Raises Trouble."""
        return self._document("GET", path)

    def post(self, path: str, body: Mapping[str, Any]) -> dict[str, Any]:
        """The answer to a document, whole; a refusal's too, where the daemon explains it. Raises Trouble."""
        return self._document("POST", path, body)

    def chunks(self, body: Mapping[str, Any]) -> Iterator[dict[str, Any]]:
        """A streamed answer, chunk by chunk. Raises Trouble where it does not come to its end."""
        with self._reached(), self._http.stream("POST", "/v1/chat/completions", json={**body, "stream": True}) as response:
            if response.status_code != 200:
                response.read()
                raise Refused(response)
            for line in response.iter_lines():
                if line == "data: [DONE]":
                    return
                if line.startswith("data: "):
                    chunk: dict[str, Any] = json.loads(line[6:])
                    if "error" in chunk:
                        raise Trouble(f"the answer broke off: {chunk['error'].get('message')}")
                    yield chunk
        raise Trouble("the answer broke off without its end")

    def _document(self, method: str, path: str, body: Mapping[str, Any] | None = None) -> dict[str, Any]:
        with self._reached():
            response = self._http.request(method, path, json=body, timeout=None if path.startswith("/v1/chat") else DOCUMENT_SECONDS)
        if response.status_code >= 400 and response.status_code != 422:
            raise Refused(response)
        try:
            document: dict[str, Any] = response.json()
        except ValueError:
            raise Trouble(f"{self.address} answers, but is no fusiond") from None
        return document

    @contextmanager
    def _reached(self) -> Iterator[None]:
        import httpx  # noqa: PLC0415

        try:
            yield
        except (httpx.ConnectError, httpx.ConnectTimeout):
            raise Trouble(f"no daemon answers at {self.address} (start one with: fusiond serve)") from None
        except httpx.HTTPError as error:
            raise Trouble(f"the connection to {self.address} broke: {str(error) or type(error).__name__}") from None
        except (ValueError, AttributeError):
            raise Trouble(f"{self.address} answers, but is no fusiond") from None


def _usual() -> str:
    path = default_socket()
    with socket.socket(socket.AF_UNIX, socket.SOCK_STREAM) as probe:
        try:
            probe.connect(str(path))
        except OSError:
            return f"http://{DEFAULT_ADDRESS}"
    return f"unix:{path}"


def _refusal(response: httpx.Response) -> str:
    try:
        error = response.json()["error"]
        return f"{error['message']} ({response.status_code} {error['code']})"
    except (ValueError, KeyError, TypeError):
        return f"HTTP {response.status_code}"
