"""What an image may be billed at most: sizes from headers made by hand, and the providers' own figures."""

import base64
import random
import struct
from collections.abc import Callable
from math import ceil, sqrt

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from fusiond.policy import images
from fusiond.policy.images import LOOKS, Unpriceable, most_tokens


def png(width: int, height: int) -> bytes:
    """A PNG up to its first chunk."""
    return b"\x89PNG\r\n\x1a\n" + struct.pack(">I4sII", 13, b"IHDR", width, height)


def segment(marker: int, body: bytes) -> bytes:
    """A piece of a JPEG."""
    return struct.pack(">BBH", 0xFF, marker, len(body) + 2) + body


def frame(width: int, height: int, marker: int = 0xC0) -> bytes:
    """The piece of a JPEG that tells its size."""
    return segment(marker, struct.pack(">BHHB", 8, height, width, 3))


def jpeg(width: int, height: int, marker: int = 0xC0) -> bytes:
    """A JPEG up to its frame, with a camera's segments, in which a smaller JPEG lies."""
    exif = segment(0xE1, b"Exif\0\0" + b"\xff\xd8" + frame(160, 120) + b"\xff\xd9")
    return b"\xff\xd8" + segment(0xE0, b"JFIF\0") + exif * 3 + b"\xff\xff" + segment(0xDB, bytes(64))[1:] + frame(width, height, marker)


def gif(width: int, height: int, *, screen: tuple[int, int] = (1, 1)) -> bytes:
    """A GIF up to its first picture: a screen, colours, two extensions."""
    start = b"GIF89a" + struct.pack("<HHBBB", *screen, 0x81, 0, 0) + bytes(12)
    extensions = b"\x21\xf9\x04\0\0\0\0\0" + b"\x21\xfe\x02hi\x03you\0"
    return start + extensions + b"\x2c" + struct.pack("<HHHHB", 0, 0, width, height, 0)


def riff(kind: bytes, body: bytes) -> bytes:
    """A WebP of one chunk."""
    return b"RIFF" + struct.pack("<I", len(body) + 12) + b"WEBP" + kind + struct.pack("<I", len(body)) + body


def lossy(width: int, height: int) -> bytes:
    """A WebP of the first kind; the two highest bits of each side are a scale that no decoder applies."""
    return riff(b"VP8 ", b"\0\0\0\x9d\x01\x2a" + struct.pack("<HH", width | 0x4000, height | 0x8000))


def lossless(width: int, height: int) -> bytes:
    """A WebP of the second kind."""
    return riff(b"VP8L", b"\x2f" + struct.pack("<I", (width - 1) | (height - 1) << 14 | 1 << 28))


def extended(width: int, height: int) -> bytes:
    """A WebP of the third kind."""
    return riff(b"VP8X", bytes(4) + (width - 1).to_bytes(3, "little") + (height - 1).to_bytes(3, "little"))


def bmp(width: int, height: int) -> bytes:
    """A BMP with its rows from above."""
    return b"BM" + bytes(12) + struct.pack("<Iii", 40, width, -height)


def old_bmp(width: int, height: int) -> bytes:
    """A BMP of the oldest form."""
    return b"BM" + bytes(12) + struct.pack("<IHH", 12, width, height)


MAKERS: list[Callable[[int, int], bytes]] = [png, jpeg, gif, lossy, lossless, extended, bmp, old_bmp]


def url(data: bytes, kind: str = "png") -> str:
    """An image as clients send it."""
    return f"data:image/{kind};base64,{base64.b64encode(data).decode()}"


def size(data: bytes) -> tuple[int, int]:
    """The size that is read from an image."""
    return images.size_of(images._Header(url(data), len("data:image/png;base64,")))


@pytest.mark.parametrize("make", MAKERS)
@given(width=st.integers(1, 16_383), height=st.integers(1, 16_383))
@settings(max_examples=50)
def test_a_size_is_read_from_every_kind(make: Callable[[int, int], bytes], width: int, height: int) -> None:
    """Whatever the kind, whatever follows, and whatever the URL says that it is."""
    assert size(make(width, height)) == (width, height)
    assert size(make(width, height) + b"pixels") == (width, height)


@pytest.mark.parametrize("marker", [0xC0, 0xC1, 0xC2, 0xC3, 0xC5, 0xC9, 0xCA, 0xCF])
def test_a_jpeg_of_every_coding(marker: int) -> None:
    """Baseline, progressive, lossless, arithmetic."""
    assert size(jpeg(4032, 3024, marker)) == (4032, 3024)


@pytest.mark.parametrize("marker", [0xC4, 0xC8, 0xCC])
def test_tables_are_no_frame(marker: int) -> None:
    """Three markers among those of frames mean something else."""
    assert size(jpeg(9, 9, marker) + frame(640, 480)) == (640, 480)


def test_a_gif_is_as_large_as_its_screen_or_picture() -> None:
    """A screen of one pixel does not hide a picture."""
    assert size(gif(300, 20, screen=(40, 500))) == (300, 500)


def test_only_the_header_is_decoded() -> None:
    """What follows the header is not looked at: here it is no base64."""
    assert most_tokens(url(png(800, 600) + bytes(images.CHUNK)) + "!") > 0


@pytest.mark.parametrize(
    ("sent", "reason"),
    [
        ("https://example.org/cat.png", "behind a link"),
        ("http://example.org/cat.png", "behind a link"),
        ("data:text/plain;base64,AAAA", "no image in base64"),
        ("data:image/png,AAAA", "no image in base64"),
        ("data:image/png;base64,", "ends before"),
        ("data:image/png;base64,iVBO\nRw0K", "plain base64"),
        ("data:image/png;base64,iVBé", "plain base64"),
        (url(b"<svg/>"), "no PNG"),
        (url(b"\0\0\0\x1cftypavif"), "no PNG"),
        (url(png(0, 10)), "0 x 10"),
        (url(png(10, 65_536)), "10 x 65536"),
        (url(png(2**32 - 1, 1)), "4294967295 x 1"),
        (url(jpeg(10, 0)), "10 x 0"),
        (url(bmp(-5, 5)), "4294967291 x 5"),
        (url(png(10, 10)[:20]), "ends before"),
        (url(b"\x89PNX" + png(10, 10)[4:]), "damaged"),
        (url(b"\xff\xd8" + b"junk"), "damaged"),
        (url(b"\xff\xd8\xff\xda" + bytes(9)), "damaged"),
        (url(b"\xff\xd8\xff\xe0\0\1" + bytes(9)), "damaged"),
        (url(b"GIF88a" + gif(3, 3)[6:]), "damaged"),
        (url(gif(3, 3).replace(b"\x2c", b"\x3b")), "damaged"),
        (url(riff(b"ALPH", bytes(20))), "damaged"),
        (url(b"BM" + bytes(30)), "damaged"),
        (url(b"\xff\xd8" + segment(0xFE, b"") * LOOKS + frame(1, 1)), "too many pieces"),
    ],
)
def test_what_has_no_price_says_why(sent: str, reason: str) -> None:
    """Every reason is a word for the user."""
    with pytest.raises(Unpriceable, match=reason):
        most_tokens(sent)


def counted(sent: str) -> int:
    """An image's tokens, or how long the reason is that there are none."""
    try:
        return most_tokens(sent)
    except Unpriceable as error:
        return len(str(error))


@given(st.sampled_from(MAKERS), st.data())
def test_a_cut_or_broken_header_is_a_number_or_unpriceable(make: Callable[[int, int], bytes], data: st.DataObject) -> None:
    """No other error, whatever bytes are lost or changed."""
    whole = bytearray(make(640, 480))
    for at in data.draw(st.lists(st.integers(0, len(whole) - 1), max_size=4)):
        whole[at] = data.draw(st.integers(0, 255))
    sent = url(bytes(whole[: data.draw(st.integers(0, len(whole)))]))
    sent = sent[: data.draw(st.integers(0, len(sent)))]
    assert counted(sent) > 0


@given(st.sampled_from([b"", b"\x89P", b"\xff\xd8\xff", b"GIF89a", b"RIFF", b"BM"]), st.binary(max_size=200))
def test_random_bytes_are_a_number_or_unpriceable(start: bytes, rest: bytes) -> None:
    """Nor whatever is sent for an image."""
    assert counted(url(start + rest)) > 0


def tiles(width: float, height: float, base: int, each: int) -> float:
    """OpenAI's tiles, in its guide's own words."""
    for limit, side in ((2048, max), (768, min)):
        if (edge := side(width, height)) > limit:
            width, height = width * limit / edge, height * limit / edge
    return base + each * ceil(round(width, 6) / 512) * ceil(round(height, 6) / 512)


def patches(width: int, height: int, side: int, cap: int) -> int:
    """Patches of an image that is shrunk until they are no more than `cap`."""
    count = ceil(width / side) * ceil(height / side)
    if count <= cap:
        return count
    shrink = sqrt(cap * side * side / (width * height))
    return max(1, int(width * shrink / side)) * max(1, int(height * shrink / side))


def area(width: int, height: int) -> float:
    """Anthropic's former formula: 1568 on the long edge, and about 1600 tokens at most."""
    shrink = min(1.0, 1568 / max(width, height))
    return min(width * height * shrink * shrink / 750, 1640)


def visual(width: int, height: int) -> int:
    """Anthropic's later one: 2576 on the long edge."""
    shrink = min(1.0, 2576 / max(width, height))
    return ceil(int(width * shrink) / 28) * ceil(int(height * shrink) / 28)


def crops(width: int, height: int) -> int:
    """Gemini's tiles up to version 2.5; small images are one."""
    if max(width, height) <= 384:
        return 258
    unit = min(max(int(min(width, height) / 1.5), 256), 768)
    return 258 * ceil(width / unit) * ceil(height / unit)


def rows(width: int, height: int, patch: int, longest: int) -> int:
    """Mistral's patches and marks."""
    shrink = max(1.0, max(width, height) / longest)
    across, down = ((int(side / shrink) - 1) // patch + 1 for side in (width, height))
    return (max(across, 1) + 1) * max(down, 1)


PROVIDERS: dict[str, Callable[[int, int], float]] = {
    "gpt-4o": lambda w, h: tiles(w, h, 85, 170),
    "gpt-4o-mini": lambda w, h: tiles(w, h, 2833, 5667),
    "o1": lambda w, h: tiles(w, h, 75, 150),
    "gpt-5": lambda w, h: tiles(w, h, 70, 140),
    "gpt-4.1-mini": lambda w, h: 1.62 * patches(w, h, 32, 1536),
    "gpt-4.1-nano": lambda w, h: 2.46 * patches(w, h, 32, 1536),
    "o4-mini": lambda w, h: 1.72 * patches(w, h, 32, 1536),
    "gpt-5.4 original": lambda w, h: 1.2 * patches(w, h, 32, 10_000),
    "claude": area,
    "claude, later": visual,
    "gemini": crops,
    "gemini 3": lambda w, h: 2240,
    "qwen2.5-vl": lambda w, h: patches(w, h, 28, 16_384) + 2,
    "qwen3-vl": lambda w, h: patches(w, h, 32, 16_384) + 2,
    "llama 3.2": lambda w, h: 1601 * min(ceil(w / 560), 2) * min(ceil(h / 560), 2),
    "llama 4": lambda w, h: 145 * 17 + 2,
    "pixtral": lambda w, h: rows(w, h, 16, 1024),
    "mistral": lambda w, h: rows(w, h, 28, 1540),
    "grok": lambda w, h: 256 * 7,
}
SIDES = st.one_of(st.integers(1, 8192), st.sampled_from([1, 28, 32, 384, 385, 512, 513, 767, 768, 769, 1024, 1536, 2048, 2049, 4096, 8192]))


@pytest.mark.parametrize("provider", PROVIDERS)
@given(width=SIDES, height=SIDES)
def test_no_provider_bills_more(provider: str, width: int, height: int) -> None:
    """The bound holds for each one's own formula, as its guide tells it."""
    assert most_tokens(url(png(width, height))) >= PROVIDERS[provider](width, height)


FIGURES = [
    (images.openai_tiles, 150, 150, 2833 + 5667),
    (images.openai_tiles, 2048, 4096, 2833 + 6 * 5667),
    (images.openai_tiles, 4096, 8192, 2833 + 6 * 5667),
    (images.openai_patches, 1024, 1024, 2520),
    (images.openai_patches, 4032, 3024, 16_200),
    (images.anthropic, 1000, 1000, 1334),
    (images.gemini, 960, 540, 2240),
    (images.gemini, 3072, 3072, 258 * 16),
    (images.qwen, 1024, 1024, 1371),
    (images.mistral, 1024, 1024, 4160),
    (images.llama, 2000, 2000, 6404),
    (images.grok, 5000, 5000, 1792),
]


@pytest.mark.parametrize(("count", "width", "height", "tokens"), FIGURES)
def test_figures_of_the_guides(count: Callable[[int, int], int], width: int, height: int, tokens: int) -> None:
    """Each formula gives the figure that its source states or follows from it, whichever way the image is turned."""
    assert count(width, height) == count(height, width) == tokens


MEASURED = {
    "claude": [(256, 256, 177), (1024, 1024, 1446), (1920, 1080, 2768), (3840, 2160, 3069), (4032, 3024, 4005)],
    "gpt": [(256, 256, 77), (1024, 1024, 1229), (1920, 1080, 2448), (3840, 2160, 9792), (4032, 3024, 14_364)],
}


@pytest.mark.parametrize("provider", MEASURED)
def test_no_measured_bill_was_higher(provider: str) -> None:
    """Bills that were published for images of known sizes (each with the same text, of 77 tokens, for Claude)."""
    count, text = {"claude": (images.anthropic, 77), "gpt": (images.openai_patches, 0)}[provider]
    assert all(count(width, height) + text >= billed for width, height, billed in MEASURED[provider])


def test_every_formula_counts() -> None:
    """The dearest wins, at any size."""
    source = random.Random(7)
    for _ in range(300):
        width, height = source.randint(1, 8192), source.randint(1, 8192)
        assert most_tokens(url(png(width, height))) == max(count(width, height) for count in images.COUNTS)
    assert most_tokens(url(png(512, 512))) == 8500
    assert most_tokens(url(png(8192, 8192))) == 78_644
