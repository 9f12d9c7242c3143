"""From a provider's bytes to its messages: server-sent events and lines of JSON. Bytes in, payloads out; no I/O.

A read may bring half a message or several. One that grows beyond `LIMIT` is no message but an attack or a mistake, and is not kept.
"""

from __future__ import annotations

from collections.abc import Iterable

from fusiond.errors import Garbled

LIMIT = 16 * 1024 * 1024
"""Bytes of one line."""


class LineDecoder:
    """Lines of JSON (NDJSON): every complete line that is not empty."""

    __slots__ = ("_rest",)

    def __init__(self) -> None:
        self._rest = bytearray()

    def feed(self, data: bytes) -> list[bytes]:
        """The lines that are complete now. Raises Garbled."""
        *lines, rest = data.split(b"\n")
        if lines and self._rest:
            lines[0] = bytes(self._rest) + lines[0]
            self._rest.clear()
        self._rest += rest
        if len(self._rest) > LIMIT:
            self._rest.clear()
            raise Garbled(f"a line of more than {LIMIT} bytes")
        return [line for line in (raw.strip() for raw in lines) if line]

    def end(self) -> list[bytes]:
        """What stands after the last line break: a last line that was not ended, if there is one."""
        last = bytes(self._rest.strip())
        self._rest.clear()
        return [last] if last else []


class SseDecoder:
    """The `data` of server-sent events. Comments and the fields `event`, `id` and `retry` say nothing here.

    Every data line is a payload of its own: providers write one JSON document a line, and some forget the empty line between two events.
    """

    __slots__ = ("_lines",)

    def __init__(self) -> None:
        self._lines = LineDecoder()

    def feed(self, data: bytes) -> list[bytes]:
        """The payloads that are complete now. Raises Garbled."""
        return _payloads(self._lines.feed(data))

    def end(self) -> list[bytes]:
        """A last payload whose line was not ended."""
        return _payloads(self._lines.end())


def _payloads(lines: Iterable[bytes]) -> list[bytes]:
    """What the data lines say; one without data is as good as a comment."""
    return [payload for line in lines if line.startswith(b"data:") and (payload := line[5:].lstrip())]
