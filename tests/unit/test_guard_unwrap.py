"""What a text says is told exactly, in bounds, and the short cuts tell the same as the long way."""

from __future__ import annotations

import base64
import html
import json
import random
from collections.abc import Iterator
from urllib.parse import quote, unquote

import pytest
from hypothesis import given
from hypothesis import strategies as st

from fusiond import guard
from fusiond.chat import ImagePart, Message, Request, TextPart
from fusiond.guard import Patterns, unwrap
from fusiond.guard.unwrap import EACH, FREE, SHORTEST, TIMES, Allowance, TooMuch

PRIVATE = "-----BEGIN RSA PRIVATE KEY-----\nMIIB\n-----END RSA PRIVATE KEY-----\n"
KEY = Patterns(["-----BEGIN [A-Z ]*PRIVATE KEY-----"])


def asking(*texts: str) -> Request:
    """A request of one message that has these parts."""
    return Request(id="1", model="fusion", messages=(Message(role="user", parts=tuple(TextPart(text=text) for text in texts)),))


def showing(content: bytes, media: str = "image/png") -> Request:
    """A request with what is called an image."""
    url = f"data:{media};base64,{base64.b64encode(content).decode()}"
    return Request(id="1", model="fusion", messages=(Message(role="user", parts=(ImagePart(url=url),)),))


def said(text: str, *, quoted: bool = False) -> list[str]:
    """All that a text says, itself first."""
    told = unwrap.readings(text, Allowance(len(text)), lambda _: True, quoted=quoted)
    return [reading.decode() for reading, on_lines in told if on_lines == quoted]


# what is undone


@given(st.text())
def test_the_escapes_of_json_are_undone(text: str) -> None:
    """All of them and nothing else, few of them or many."""
    for document in (json.dumps(text), json.dumps(text, ensure_ascii=False)):
        assert unwrap.encoded(unwrap._unescaped(document)) == unwrap.encoded(f'"{text}"')
        assert unwrap.encoded(unwrap._few_unescaped(document)) == unwrap.encoded(f'"{text}"')


@given(st.lists(st.sampled_from(["%", "4", "1", "C", "3", "a", "é", "+", "%C3%A9", "%41"])).map("".join))
def test_percents_are_undone_as_everywhere(text: str) -> None:
    """Like the standard library does it."""
    assert unwrap._unquoted(text) == unquote(text, errors="replace")


@given(st.text())
def test_entities_are_undone_as_everywhere(text: str) -> None:
    """Like the standard library does it, where they have their semicolon."""
    assert unwrap._without_entities(html.escape(text)) == text
    assert unwrap._without_entities("&#955;&#x3bb;&lambda; &zzz; a && b &amp") == "λλλ &zzz; a && b &amp"


@given(st.lists(st.text('ab"\\\r é', min_size=1), min_size=1))
def test_each_string_of_json_stands_on_a_line_of_its_own(texts: list[str]) -> None:
    """Between lines that are none of them."""
    assert said(json.dumps(texts), quoted=True)[0].split("\n")[1::2] == texts


@pytest.mark.parametrize("quotation", ['"', "\n"])
def test_escapes_that_no_json_has_are_left(quotation: str) -> None:
    """A path of Windows, a regular expression."""
    assert unwrap._unescaped(r"C:\dir\4 \d+", quotation) == r"C:\dir\4 \d+"


# how much


def test_what_may_be_unwrapped_grows_with_the_request() -> None:
    """Something for every request, and more for a larger one."""
    for size in (0, 1 << 20):
        allowance = Allowance(size)
        for _ in range((FREE + size * TIMES) // EACH):
            allowance.spend(0)
        with pytest.raises(TooMuch):
            allowance.spend(0)


def test_too_many_signs_are_not_undone(monkeypatch: pytest.MonkeyPatch) -> None:
    """Each would be an object while it is."""
    monkeypatch.setattr(unwrap, "MOST", 100)
    assert unwrap._few_unescaped("\\n" * 100) == "\n" * 100
    with pytest.raises(TooMuch):
        unwrap._few_unescaped("\\n" * 101)
    assert unwrap._unescaped('"' + "\\n" * 1000 + '"') == '"' + "\n" * 1000 + '"'  # JSON takes no such


NASTY = [
    "\\",
    "\\\\",
    "\\n",
    "%0A",
    "%",
    "%5C",
    "\\u005c",
    "&amp;",
    "&",
    ";base64,",
    ";base64,AA ",
    "data:;base64,AAAA\\n",
    '"',
    '\\"',
    "A\n",
    "A" * 70 + " ",
    "TE9OR" * 20 + "\n",
    "\n",
    "\r\n",
    "\0",
    "\xa0",
    "[",
]


@pytest.mark.parametrize("unit", NASTY)
@pytest.mark.parametrize("before", ["", "A", '["'])
def test_what_is_read_is_in_bounds(unit: str, before: str) -> None:
    """So many times the text at the most, whatever it is; what is beyond is said to be too much."""
    text = before + unit * (20_000 // len(unit))
    total = 0
    try:
        for reading, _ in unwrap.readings(text, Allowance(len(text)), lambda _: True, quoted=True):
            total += len(reading)
    except TooMuch:
        pass
    assert total <= 6 * (FREE + TIMES * len(text))


# base64

HEADS = {
    "PNG": b"\x89PNG\r\n\x1a\n",
    "JPEG": b"\xff\xd8\xff\xe0\x00\x10JFIF",
    "GIF": b"GIF89a\x10\x00\x10\x00",
    "WebP": b"RIFF\x24\x00\x00\x00WEBP",
    "BMP": b"BM\x36\x00\x0c\x00\x00\x00\x00\x00",
    "TIFF": b"II*\x00",
    "ICO": b"\x00\x00\x01\x00",
    "HEIC": b"\x00\x00\x00\x18ftypheic",
    "MP3": b"ID3\x04\x00",
    "Ogg": b"OggS\x00",
    "FLAC": b"fLaC\x00",
    "Matroska": b"\x1aE\xdf\xa3",
    "zip": b"PK\x03\x04",
    "gzip": b"\x1f\x8b\x08",
    "WOFF": b"wOF2\x00",
}


@pytest.mark.parametrize("name", HEADS)
def test_what_is_a_picture_by_its_bytes_is_left_alone(name: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """It is not decoded, and chance letters in it are none; what is only called so is looked into."""
    noise = random.Random(7).randbytes(50_000) + PRIVATE.encode()
    request = showing(HEADS[name] + noise)
    sizes = []

    def counted(letters: bytes) -> bytes:
        sizes.append(len(letters))
        return base64.b64decode(letters)

    monkeypatch.setattr(unwrap, "a2b_base64", counted)
    assert KEY.match(request) is None
    assert Patterns(["(?i)a!"]).match(request) is None
    assert max(sizes) <= SHORTEST


@pytest.mark.parametrize("media", ["image/png", "image/x-unheard-of", "audio/pcm", "application/octet-stream", "text/plain"])
def test_text_is_looked_into_whatever_it_is_called(media: str) -> None:
    """A drawing is text as well. In noise that is called an image or a sound, chance letters are none."""
    assert KEY.match(showing(PRIVATE.encode(), media))
    assert KEY.match(showing(f"<svg><text>{html.escape(PRIVATE)}</text></svg>".encode(), media))
    assert KEY.match(showing(PRIVATE.encode("utf-16-be"), media))
    noise = random.Random(7).randbytes(50_000) + b"a!"
    assert bool(Patterns(["(?i)a!"]).match(showing(noise, media))) == (media in {"application/octet-stream", "text/plain"})


@pytest.mark.parametrize("coding", ["utf-8", "utf-8-sig", "utf-16", "utf-16-le", "utf-16-be", "utf-32", "utf-32-le", "utf-32-be"])
def test_the_coding_is_told_from_the_bytes(coding: str) -> None:
    """With a mark and without; a Western text, and a secret in one that is none."""
    assert unwrap.decoded("straße in 東京: abc".encode(coding)) == "straße in 東京: abc"
    foreign = "абвгд" * 5 + PRIVATE
    assert KEY.match(showing(foreign.encode(coding), "text/plain"))


@pytest.mark.parametrize("before", ["", "x", "token:", "token-", "token_", "/path/of/", "C:\\path\\", "a=", "\\n", "%20", '{"a": "', "data:;base64,"])
@pytest.mark.parametrize("after", ["", "=", " and", "\n\nand", '"}', "\\n", "%0A", ",", "."])
def test_base64_is_found_wherever_it_stands(before: str, after: str) -> None:
    """Letters of a word before it may be letters of it."""
    for encode in (base64.b64encode, base64.urlsafe_b64encode):
        letters = encode(("Über-" + PRIVATE).encode()).decode().rstrip("=")
        assert KEY.match(asking(before + letters + after))


def test_base64_may_be_broken_into_lines() -> None:
    """In all the ways in which it is written; or each line is a text."""
    letters = base64.b64encode((PRIVATE * 3).encode()).decode()
    for width in (64, 76, 77):
        for end in ("\n", "\r\n", "\\n", "\\r\\n", "\\\\n", "%0A", "%0D%0A", "\n    ", "\\u000a"):
            broken = end.join(letters[at : at + width] for at in range(0, len(letters), width))
            assert KEY.match(asking(f"tls.key: {broken}")), (width, end)
    tokens = [base64.b64encode(token.encode()).decode().rstrip("=") for token in ("x" * 52, "y" * 64, PRIVATE, "z" * 70)]
    assert KEY.match(asking("\n".join(tokens)))
    assert KEY.match(asking("\n".join(f"key{number}/{token}" for number, token in enumerate(tokens))))


def test_digits_may_be_broken_too() -> None:
    """What is hexadecimal in part is nothing that breaks."""
    digits = PRIVATE.encode().hex()
    for text in (digits, f"{digits}%3D{'0' * 81}", f"{digits}\n{'a' * 81}", f"{digits}0", "\n".join([digits] * 3)):
        assert KEY.match(asking(f"x: {text}"))


def test_words_are_no_base64() -> None:
    """Neither are numbers, paths and sums: nothing of them is a text."""
    digests = "\n".join(f"--hash=sha256:{random.Random(number).randbytes(32).hex()}" for number in range(300))
    sums = " ".join(base64.b64encode(random.Random(number).randbytes(64)).decode() for number in range(300))
    paths = "\n".join(f"/usr/lib/python3/dist-packages/very/long/path/of/a/module/number_{number}.py" for number in range(300))
    for text in (digests, sums, paths, "supercalifragilistic" * 20, "\n".join(["word"] * 300)):
        assert len(said(text)) <= 4


# the short cuts

PATTERNS = {
    "-----BEGIN [A-Z ]*PRIVATE KEY-----": "PRIVATE",
    r"\bAKIA[0-9A-Z]{16}\b": "AKIA",
    "(?i)internal use only": "(?i)internal",
    r"sk-[a-z]{2,}-live": "live",
    r"colou?rs{0,2}": "colo",
    r"ab*c+def?": "de",
    r"a\.b\d\wcde\nf": "cde",
    "[abc]+x[^]]y[[:alpha:]z]": "x",
    "stra(ß|ss)e": "",
    "a|b": "",
    r"\x41BC": "",
    r"\x{41}BC": "",
    r"\pLBC": "",
    r"\p{Greek}BC": "",
    r"\Qa*\E": "",
    "(?s)abc": "",
    r"\d{16}": "",
    "a{2}": "",
    "a{,3}b": "b",
    "": "",
}


@pytest.mark.parametrize("pattern", PATTERNS)
def test_the_word_of_a_pattern(pattern: str) -> None:
    """The longest of which it is certain; none rather than a wrong one."""
    assert guard._word(pattern) == PATTERNS[pattern]


def test_edges_of_lines() -> None:
    """Only what asks for an edge is changed."""
    for pattern, by_lines in {
        "^a$": "(?m:^)a(?m:$)",
        r"\Aa\z": "(?m:^)a(?m:$)",
        r"\^[$^]\$[\]^][]^]": r"\^[$^]\$[\]^][]^]",
        r"\Q^\A\E$": r"\Q^\A\E(?m:$)",
        r"[[:alpha:]$]\\A": r"[[:alpha:]$]\\A",
        "(?-m:^a)": "(?-m:(?m:^)a)",
        r"\Q$": r"\Q$",
    }.items():
        assert guard._by_lines(pattern) == by_lines
        guard._compile(by_lines)


SOME = [r"^a", r"b$", r"^a.*b$", r"\Aa\z", r"\ba\b", r"\Bb\B", r"^$|a", r"(?s)^a.b", r"(?m)^b$", r"(?i)^A\nb", r"[^a]b$", r"\Aa?$"]


@given(st.sampled_from(SOME), st.lists(st.text("ab \n", max_size=4), max_size=4), st.integers(0, 4))
def test_what_is_found_in_a_text_is_found_among_many(pattern: str, texts: list[str], place: int) -> None:
    """They stand on lines of their own, and no edge is lost."""
    text = texts[place % len(texts)] if texts else ""
    together = guard._APART.join(texts)
    if guard._compile(pattern).search(text.encode()):
        assert guard._compile(guard._by_lines(pattern)).search(together.encode())
        assert guard._compile(guard._by_lines(pattern)).search("\n".join(texts).encode())


ESCAPES = (
    r"\ \\ \u0050 \u005c \u212a \u200b \u00ad \u0026 \x50 \n \" \/ %50 %5C %25 %26 %23 %3B %2C %20 %C2%AD %E2%80%8B "
    "&#80; &#x50; &amp; &lt; &shy; &amp;#80;"
)
OTHERS = [*'%&#;ux0," \n\0\xad\u200b\xa0éP', "\r\n", "50", "u0050", ";base64,", "base64", "SECRET", "SEC", "RET", "SE"]
pieces = st.sampled_from([*ESCAPES.split(), *OTHERS])
FOUND = ["SECRET", "(?i)secret", "SECRET key", r"\bSECRET\b", "S[A-Z]CRET", "P"]


def wrappings() -> Iterator[st.SearchStrategy[str]]:
    """Texts in texts."""
    plain = st.lists(pieces, max_size=10).map("".join)
    yield plain
    yield plain.map(json.dumps)
    yield plain.map(html.escape)
    yield plain.map(lambda text: quote(text, safe="", errors="replace"))
    yield plain.map(lambda text: f"data:image/png;base64,{base64.b64encode(text.encode(errors='replace')).decode()}")
    yield plain.map(lambda text: base64.b64encode(text.encode(errors="replace") * 3).decode())


wrapped = st.one_of(*wrappings())
texts = st.tuples(st.lists(pieces, max_size=3).map("".join), wrapped, st.lists(pieces, max_size=3).map("".join)).map("".join)


@given(st.sampled_from(FOUND), st.lists(texts | texts.map(json.dumps), min_size=1, max_size=3))
def test_what_is_spared_would_say_nothing(pattern: str, told: list[str]) -> None:
    """A pattern that is told by its word finds what it finds when everything is unwrapped."""
    short, long = Patterns([pattern]), Patterns([pattern])
    long.__dict__["_words"] = []
    assert short._words
    assert bool(short.match(asking(*told))) >= bool(long.match(asking(*told)))


@given(st.sampled_from([*FOUND, "^SECRET", r"SECRET\z", "^SECRET$"]), st.lists(st.text('SECRT \n"\\'), max_size=4), st.integers(0, 1))
def test_many_texts_are_looked_at_as_each_alone(pattern: str, told: list[str], hold: int) -> None:
    """Together they say no more and no less."""
    texts = [*told, "SECRET"] if hold else told
    parts = [Request(id="1", model="m", messages=(Message(role="user", parts=(TextPart(text=text),)),)) for text in texts]
    every = Request(id="1", model="m", messages=tuple(message for part in parts for message in part.messages))
    patterns = Patterns([pattern])
    assert bool(patterns.match(every)) == any(patterns.match(part) for part in parts)
