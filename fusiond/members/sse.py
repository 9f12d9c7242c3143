"""From a provider's bytes to its messages: server-sent events, lines of JSON, and one document. Bytes in, payloads out; no I/O.

A read may bring half a message or several. One that grows beyond `LIMIT` is no message but an attack or a mistake, and is not kept.
"""

from __future__ import annotations

import codecs

from fusiond.errors import Garbled

LIMIT = 16 * 1024 * 1024
"""Bytes of one line, or of one document."""


class LineDecoder:
    """Lines of JSON (NDJSON): every complete line that is not empty."""

    __slots__ = ("_rest",)

    def __init__(self) -> None:
        self._rest = bytearray()

    def feed(self, data: bytes) -> list[bytes]:
        """The lines that are complete now. Raises Garbled."""
        lines = data.split(b"\n")
        rest = lines.pop()
        if self._rest and lines:
            lines[0] = bytes(self._rest) + lines[0]
            self._rest.clear()
        if rest:
            self._rest += rest
            if len(self._rest) > LIMIT:
                self._rest.clear()
                raise Garbled(f"a line of more than {LIMIT} bytes")
        return self._payloads(lines)

    def end(self) -> list[bytes]:
        """What stands after the last line break: a last line that was not ended, if there is one."""
        last = bytes(self._rest)
        self._rest.clear()
        return self._payloads([last])

    def _payloads(self, lines: list[bytes]) -> list[bytes]:
        return [line for raw in lines if (line := raw.strip())]


class SseDecoder(LineDecoder):
    """The `data` of server-sent events. Comments and the fields `event`, `id` and `retry` say nothing here.

    Every data line is a payload of its own: providers write one JSON document a line, and some forget the empty line between two events.
    """

    __slots__ = ()

    def _payloads(self, lines: list[bytes]) -> list[bytes]:
        """What the data lines say; one without data is as good as a comment."""
        payloads = []
        for line in lines:
            if line and (payload := line[5:].strip() if line.startswith(b"data:") else _behind(line)):
                payloads.append(payload)  # noqa: PERF401  # a read often has two lines, and a comprehension costs more than they do
        return payloads


class WholeDecoder:
    """One document, as long as the body is."""

    __slots__ = ("_document",)

    def __init__(self) -> None:
        self._document = bytearray()

    def feed(self, data: bytes) -> list[bytes]:
        """Nothing is complete before the end. Raises Garbled."""
        self._document += data
        if len(self._document) > LIMIT:
            self._document.clear()
            raise Garbled(f"an answer of more than {LIMIT} bytes")
        return []

    def end(self) -> list[bytes]:
        """The document."""
        return [bytes(self._document)]


def decoder_of(content_type: str) -> SseDecoder | WholeDecoder:
    """What takes the payloads out of such a body. Raises Garbled where there can be none."""
    match content_type:
        case "text/html":
            raise Garbled("an HTML page instead of an answer")
        case "application/json":
            return WholeDecoder()  # some servers do not stream, whatever they are asked
        case _:
            return SseDecoder()


def _behind(line: bytes) -> bytes:
    """What a line says that does not begin with its name: blanks may stand before it, and a byte order mark before the first of all."""
    bare = line.strip().removeprefix(codecs.BOM_UTF8)
    return bare[5:].lstrip() if bare.startswith(b"data:") else b""
