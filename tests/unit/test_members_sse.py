"""The decoders of streams: the same payloads however the bytes were cut, and nothing kept of what is too long."""

from __future__ import annotations

import tracemalloc
from collections.abc import Callable, Iterable, Iterator

import pytest

from fusiond.errors import Garbled
from fusiond.members.sse import LIMIT, LineDecoder, SseDecoder, WholeDecoder, decoder_of

Decoder = LineDecoder | SseDecoder | WholeDecoder

EVENTS = (
    b": OPENROUTER PROCESSING\n\n"
    b'data: {"a":"\xc3\xa9"}\n\n'
    b'event: message\nid: 7\nretry: 10\ndata:{"b":1}\n\n'
    b'data: {"c":2}\r\n\r\n'
    b"\n\n\r\n"
    b'data: {"d":3}\ndata: {"e":4}\n'
    b"datum: no\n"
    b"data:\n\n"
    b": data: no\n\n"
    b"data:   [DONE]  \n\n"
)
PAYLOADS = [b'{"a":"\xc3\xa9"}', b'{"b":1}', b'{"c":2}', b'{"d":3}', b'{"e":4}', b"[DONE]"]

LINES = b'{"a":"\xc3\xa9"}\n\n  \n{"b":1}\r\n{"c":2}\n'
OBJECTS = [b'{"a":"\xc3\xa9"}', b'{"b":1}', b'{"c":2}']

FORMS = [pytest.param(SseDecoder, EVENTS, PAYLOADS, id="sse"), pytest.param(LineDecoder, LINES, OBJECTS, id="lines")]


def fed(decoder: Decoder, pieces: Iterable[bytes]) -> list[bytes]:
    """Everything that comes out."""
    return [payload for piece in pieces for payload in decoder.feed(piece)]


def ways(data: bytes) -> Iterator[list[bytes]]:
    """Whole, byte by byte, and split at every point, with an empty read in between."""
    yield [data]
    yield [data[at : at + 1] for at in range(len(data))]
    for at in range(len(data) + 1):
        yield [data[:at], b"", data[at:]]


@pytest.mark.parametrize(("make", "data", "payloads"), FORMS)
def test_however_it_is_cut(make: Callable[[], Decoder], data: bytes, payloads: list[bytes]) -> None:
    """The same payloads come out, and nothing is left at the end."""
    for pieces in ways(data):
        decoder = make()
        assert fed(decoder, pieces) == payloads, pieces
        assert decoder.end() == []


@pytest.mark.parametrize(("make", "data", "payloads"), FORMS)
def test_with_a_tail(make: Callable[[], Decoder], data: bytes, payloads: list[bytes]) -> None:
    """What has no line break yet waits for it, and comes with it."""
    for at in range(1, len(tail := b"data: 1" if make is SseDecoder else b'{"d":3}')):
        decoder = make()
        assert fed(decoder, [data + tail[:at]]) == payloads
        assert fed(decoder, [tail[at:]]) == []
        assert fed(decoder, [b"\n"]) == [tail.removeprefix(b"data: ")]


def test_a_byte_order_mark() -> None:
    """The first event may stand behind one, however it is cut."""
    for pieces in ways(b'\xef\xbb\xbfdata: {"a":1}\n\ndata: 2\n'):
        assert fed(SseDecoder(), pieces) == [b'{"a":1}', b"2"]
    for pieces in ways(b"\xef\xbb\xbf\n\xef\xbb\xbf: data:\ndata: 2\n"):
        assert fed(SseDecoder(), pieces) == [b"2"]


def test_a_whole_document() -> None:
    """It is there at its end, over several lines too; one of any length is refused, and not kept."""
    for pieces in ways(b'{"a":\n1}\n'):
        decoder = WholeDecoder()
        assert (fed(decoder, pieces), decoder.end()) == ([], [b'{"a":\n1}\n'])
    decoder = WholeDecoder()
    with pytest.raises(Garbled, match="an answer of more than"):
        fed(decoder, [b"x" * 65536] * 300)
    assert decoder.end() == [b""]


@pytest.mark.parametrize(("kind", "made"), [("application/json", WholeDecoder), ("text/event-stream", SseDecoder), ("text/plain", SseDecoder)])
def test_the_decoder_of_a_body(kind: str, made: type) -> None:
    """By what the server says it sends; a page is no answer."""
    assert isinstance(decoder_of(kind), made)
    with pytest.raises(Garbled, match="an HTML page"):
        decoder_of("text/html")


def test_a_last_line_without_its_end() -> None:
    """It is taken at the end, once, if it says anything."""
    lines = LineDecoder()
    assert fed(lines, [b'{"a":1}\n {"b"', b":2}"]) == [b'{"a":1}']
    assert (lines.end(), lines.end()) == ([b'{"b":2}'], [])
    events = SseDecoder()
    assert fed(events, [b"data: 1\n\ndata: [DO", b"NE]"]) == [b"1"]
    assert (events.end(), events.end()) == ([b"[DONE]"], [])
    for rest in (b": comment", b"\r", b"  ", b"data:"):
        assert fed(events, [rest]) == []
        assert events.end() == []


@pytest.mark.parametrize("make", [SseDecoder, LineDecoder])
def test_a_line_of_100_mb_is_refused_and_not_kept(make: Callable[[], Decoder]) -> None:
    """It is refused as soon as it is longer than a line may be, and its bytes are let go."""
    decoder, piece = make(), b"x" * 65536
    flood = iter([piece] * 1600)
    tracemalloc.start()
    try:
        with pytest.raises(Garbled, match="a line of more than"):
            fed(decoder, flood)
        assert len(list(flood)) * len(piece) > 80_000_000
        assert tracemalloc.get_traced_memory()[0] < LIMIT // 8
    finally:
        tracemalloc.stop()
    assert decoder.end() == []


def test_a_long_line_that_is_not_too_long() -> None:
    """A payload of some megabytes in many pieces is whole."""
    decoder, piece = LineDecoder(), b"x" * 65536
    assert fed(decoder, [piece] * 200) == []
    assert fed(decoder, [b"\n"]) == [piece * 200]
