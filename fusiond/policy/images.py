"""What an image may be billed, at most: its size is read from its header, and the dearest known way of counting wins.

Nobody's `detail` is trusted, and no member's name either: who counts how is the provider's secret, and changes. Every formula is an upper bound of
what its source says, for an image of any shape; turning an image by a quarter changes none of them.
"""

from __future__ import annotations

import binascii
import re
from collections.abc import Callable
from fractions import Fraction

LARGEST = 65_535
"""Pixels on a side; a header that says more is not believed."""

CHUNK = 16_384
"""Characters of base64 that are decoded at once: a whole number of groups of four, and the whole header of most images."""

LOOKS = 20_000
"""How often a header is looked at: some hundred times suffice for any that a camera or an editor wrote, and one made to take long is not followed."""

_DATA = re.compile(r"data:image/[\w.+-]+;base64,", re.IGNORECASE)

Size = tuple[int, int]
"""Width and height in pixels."""


class Unpriceable(ValueError):
    """No upper bound is known. Its text says why, in words for the user."""


def most_tokens(url: str) -> int:
    """The most tokens that any known provider bills for the image in a `data:` URL. Raises Unpriceable."""
    if url[:5].lower() != "data:":
        raise Unpriceable("the size of an image behind a link is not known before it is billed")
    start = _DATA.match(url)
    if not start:
        raise Unpriceable("a data: URL that holds no image in base64")
    width, height = size_of(_Header(url, start.end()))
    if not (0 < width <= LARGEST and 0 < height <= LARGEST):
        raise Unpriceable(f"an image that says it measures {width} x {height} pixels")
    return max(count(width, height) for count in COUNTS)


# --- How providers count ---


def openai_tiles(width: int, height: int) -> int:
    """OpenAI, tiles of 512 pixels after shrinking to 2048 x 2048 and then to 768 on the short side (guide "Images and vision").

    The dearest is gpt-4o-mini: 2833, and 5667 a tile. Others are 85 + 170 (gpt-4o), 75 + 150 (o1), 70 + 140 (gpt-5), 65 + 129 (computer use).
    Smaller images are not enlarged: OpenAI's own price calculator gives one tile for 150 x 150.
    """
    scale = min(Fraction(1), Fraction(2048, max(width, height)), Fraction(768, min(width, height)))
    return 2833 + 5667 * _grid(_ceil(width * scale), _ceil(height * scale), 512)


def openai_patches(width: int, height: int) -> int:
    """OpenAI, patches of 32 pixels up to a cap, times a factor (the same guide, and bills that users measured).

    1536 patches at most where the factor is 2.46 (gpt-4.1-nano) or 1.72 (o4-mini), later 2500 (gpt-5.4 with detail high); 10,000 with detail
    original, at 1.62 by the guide and 1.2 by the bills. Measured at 1.2 on later models: 11,970 patches, with no cap in sight.
    """
    patches = _grid(width, height, 32)
    return _ceil(max(Fraction("2.46") * min(patches, 2500), Fraction("1.62") * min(patches, 10_000), Fraction("1.2") * patches))


def anthropic(width: int, height: int) -> int:
    """Anthropic, patches of 28 pixels (guide "Vision"; formerly an area in pixels over 750, which is more only for what fills its patches).

    The long edge is shrunk to 2576 at the most (1568 before Opus 4.7), which is 92 patches; the cap on the sum is not counted on.
    """
    across, down = (min(_ceil(Fraction(side, 28)), 92) for side in (width, height))
    return max(across * down, _ceil(Fraction(min(width, 2576) * min(height, 2576), 750)))


def gemini(width: int, height: int) -> int:
    """Gemini: 258 a tile, up to version 2.5; from 3 on a sum by `media_resolution`, 2240 at its highest (guides "Tokens" and "Media resolution").

    A tile's side is the short edge through 1.5, between 256 and 768 pixels.
    """
    side = min(max(min(width, height) * 2 // 3, 256), 768)
    return max(2240, 258 * _grid(width, height, side))


def qwen(width: int, height: int) -> int:
    """Qwen-VL: patches of 28 pixels (Qwen3-VL: 32) and two marks, 16,384 patches at most (`smart_resize` of qwen-vl-utils).

    Tiny images are enlarged, to 256 patches at the most where a server asks for it; the bound leaves room for a long thin one.
    """
    return 2 + max(512, min(_grid(width, height, 28), 16_384))


def llama(width: int, height: int) -> int:
    """Llama 4: 144 for each of at most 16 tiles and the whole, with a mark each; Llama 3.2: 1601 for each of at most 4 tiles (Together's guide)."""
    return max(145 * (min(_grid(width, height, 336), 16) + 1) + 2, 1601 * 4)


def mistral(width: int, height: int) -> int:
    """Pixtral: patches of 16 pixels, the long edge shrunk to 1024; later models 28 pixels and 1540. A row ends in a mark (mistral-common)."""
    across, down = (min(_ceil(Fraction(side, 16)), 64) for side in (width, height))
    return (max(across, down) + 1) * max(across, down)


def grok(width: int, height: int) -> int:
    """Grok: 256 for each tile of 448 pixels and one more, 1792 at the most (xAI's guide "Image understanding")."""
    return 256 * (min(_grid(width, height, 448), 6) + 1)


COUNTS: tuple[Callable[[int, int], int], ...] = (openai_tiles, openai_patches, anthropic, gemini, qwen, llama, mistral, grok)


def _grid(width: int, height: int, side: int) -> int:
    """Squares that cover an image."""
    return -(-width // side) * -(-height // side)


def _ceil(number: Fraction) -> int:
    return -(-number.numerator // number.denominator)


# --- What a header says ---


class _Header:
    """The bytes of an image, decoded as far as they are looked at."""

    __slots__ = ("_done", "_looks", "_read", "_url")

    def __init__(self, url: str, start: int) -> None:
        self._url = url
        self._read = start
        self._done = bytearray()
        self._looks = 0

    def at(self, offset: int, length: int) -> bytes:
        """`length` bytes from `offset`. Raises Unpriceable where they are missing, or no base64."""
        self._looks += 1
        if self._looks > LOOKS:
            raise Unpriceable("an image whose header has too many pieces")
        while len(self._done) < offset + length:
            piece = self._url[self._read : self._read + CHUNK]
            if not piece:
                raise Unpriceable("an image that ends before its size is told")
            try:
                self._done += binascii.a2b_base64(piece, strict_mode=True)
            except ValueError:  # no ASCII, or binascii's own, which is one
                raise Unpriceable("an image that is not in plain base64") from None
            self._read += CHUNK
        return bytes(self._done[offset : offset + length])

    def number(self, offset: int, length: int) -> int:
        """An unsigned number, the most significant byte first."""
        return int.from_bytes(self.at(offset, length), "big")

    def little(self, offset: int, length: int) -> int:
        """An unsigned number, the least significant byte first."""
        return int.from_bytes(self.at(offset, length), "little")


def size_of(header: _Header) -> Size:
    """Width and height of an image of any kind that is known here, by its first bytes. Raises Unpriceable."""
    first = header.at(0, 2)
    read = {b"\x89P": _png, b"\xff\xd8": _jpeg, b"GI": _gif, b"RI": _webp, b"BM": _bmp}.get(first)
    if read is None:
        raise Unpriceable("an image that is no PNG, JPEG, GIF, WebP or BMP")
    return read(header)


def _png(header: _Header) -> Size:
    if header.at(0, 8) != b"\x89PNG\r\n\x1a\n" or header.at(12, 4) != b"IHDR":
        raise _damaged("PNG")
    return header.number(16, 4), header.number(20, 4)


_FRAMES = frozenset(range(0xC0, 0xD0)) - {0xC4, 0xC8, 0xCC}
"""The markers of a JPEG's frame, of every coding; the three left out are tables and a reserved one."""


def _jpeg(header: _Header) -> Size:
    """The first frame outside any segment: a thumbnail lies inside one, which is passed by its length."""
    at = 2
    while True:
        if header.number(at, 1) != 0xFF:
            raise _damaged("JPEG")
        marker = header.number(at + 1, 1)
        if marker == 0xFF:  # filling
            at += 1
        elif marker in _FRAMES:
            return header.number(at + 7, 2), header.number(at + 5, 2)
        elif marker in range(0xD0, 0xD8) or marker == 0x01:  # these stand alone
            at += 2
        elif marker in {0x00, 0xD8, 0xD9, 0xDA} or (length := header.number(at + 2, 2)) < 2:
            raise _damaged("JPEG")  # pixels, or its end, before any frame
        else:
            at += 2 + length


def _gif(header: _Header) -> Size:
    """The screen, or the first picture where it is larger: some decoders enlarge the screen to hold it."""
    if header.at(0, 6) not in {b"GIF87a", b"GIF89a"}:
        raise _damaged("GIF")
    at = 13 + _colours(header.number(10, 1))
    while (block := header.at(at, 1)) == b"\x21":  # an extension: what it is, then pieces up to an empty one
        at += 2
        while length := header.number(at, 1):
            at += 1 + length
        at += 1
    if block != b"\x2c":
        raise _damaged("GIF")
    left, top, across, down = (header.little(at + 1 + 2 * field, 2) for field in range(4))
    return max(header.little(6, 2), left + across), max(header.little(8, 2), top + down)


def _colours(flags: int) -> int:
    """Bytes of a GIF's table of colours."""
    return 3 << ((flags & 7) + 1) if flags & 0x80 else 0


def _webp(header: _Header) -> Size:
    kind = header.at(12, 4)
    if header.at(0, 4) != b"RIFF" or header.at(8, 4) != b"WEBP":
        raise _damaged("WebP")
    if kind == b"VP8X":
        return header.little(24, 3) + 1, header.little(27, 3) + 1
    if kind == b"VP8L" and header.at(20, 1) == b"\x2f":
        packed = header.little(21, 4)
        return (packed & 0x3FFF) + 1, (packed >> 14 & 0x3FFF) + 1
    if kind == b"VP8 " and header.at(23, 3) == b"\x9d\x01\x2a":
        return header.little(26, 2) & 0x3FFF, header.little(28, 2) & 0x3FFF
    raise _damaged("WebP")


def _bmp(header: _Header) -> Size:
    """A height below zero means that the rows run downwards."""
    length = header.little(14, 4)
    if length == 12:  # the oldest form
        return header.little(18, 2), header.little(20, 2)
    if length < 16:
        raise _damaged("BMP")
    return header.little(18, 4), abs(int.from_bytes(header.at(22, 4), "little", signed=True))


def _damaged(kind: str) -> Unpriceable:
    return Unpriceable(f"a {kind} whose header is damaged")
