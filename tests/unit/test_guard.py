"""A pattern finds its text wherever it is in a request and however it is wrapped, and nothing else."""

from __future__ import annotations

import base64
import html
import json
import re
import sys
import types
import typing
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import MISSING, dataclass, fields, is_dataclass, replace
from decimal import Decimal
from enum import Enum
from itertools import count
from typing import Any, NamedTuple
from urllib.parse import quote

import pytest
from hypothesis import given
from hypothesis import strategies as st

from fusiond.chat import Format, FunctionCall, ImagePart, Message, Overrides, Request, Sampling, TextPart, Tool, ToolChoice
from fusiond.guard import TOO_MUCH, Patterns, fault

SECRET = 'BEGIN "kéy"\nAb/9\\x\nEND'
FINDER = Patterns([r'BEGIN "k.y"\nAb/9\\x\nEND'])
PLAIN = Request(id="1", model="fusion", messages=())


def asking(*texts: str) -> Request:
    """A request whose one message has these parts."""
    return replace(PLAIN, messages=(Message(role="user", parts=tuple(TextPart(text=text) for text in texts)),))


def url(content: bytes, media: str = "text/plain") -> str:
    """A `data:` URL in base64."""
    return f"data:{media};base64,{base64.b64encode(content).decode()}"


def finds(text: str) -> bool:
    """Whether the secret is found in a message."""
    return FINDER.match(asking(text)) is not None


# every place


def holding(hint: Any, where: str = "") -> Iterator[tuple[str, Any]]:
    """Every value of a type that holds the secret in exactly one place, with the place's name."""
    origin, arms = typing.get_origin(hint), typing.get_args(hint)
    if hint is str or origin is typing.Literal:
        yield where, SECRET
    elif origin in {typing.Union, types.UnionType}:
        for arm in arms:
            yield from holding(arm, where)
    elif origin is tuple:
        yield from ((name, (value,)) for name, value in holding(arms[0], where))
    elif origin is Mapping:
        yield from ((f"{where}.{name}", {"a": 1, **value}) for name, value in SCHEMAS.items())
    elif is_dataclass(hint) and isinstance(hint, type):
        for name, inner in typing.get_type_hints(hint).items():
            yield from ((place, plain(hint, {name: value})) for place, value in holding(inner, f"{where}.{name}"))
    else:
        assert hint in {int, float, Decimal, bool, types.NoneType}, f"{where}: what is a {hint}?"


def plain(hint: type[Any], values: Mapping[str, Any]) -> Any:
    """A dataclass with these values, and as little else in it as can be."""
    needed = [field.name for field in fields(hint) if field.default is MISSING and field.name not in values]
    return hint(**{name: () if name == "messages" else "x" for name in needed}, **values)


SCHEMAS: dict[str, dict[str, Any]] = {
    "key": {SECRET: {"type": "string"}},
    "enum": {"properties": {"a": {"enum": ["x", SECRET]}}},
    "default": {"default": SECRET},
    "examples": {"examples": [[{"deep": [SECRET]}]]},
}
PLACES = dict(holding(Request))


def test_the_places_are_all_there() -> None:
    """The walk over the types has reached what it must; a hint that it does not know fails by itself."""
    assert {".model", ".messages.parts.text", ".messages.parts.url", ".messages.tool_calls.arguments", ".messages.name"} < set(PLACES)
    assert {".tools.parameters.enum", ".format.schema.key", ".sampling.stop", ".sampling.reasoning_effort", ".overrides.panel", ".ignored"} < set(
        PLACES
    )


@pytest.mark.parametrize("place", sorted(set(PLACES) - {".id"}))
def test_a_secret_is_found_in_every_field(place: str) -> None:
    """Every string that a request can hold, told from the types: what is added later is here by itself."""
    assert FINDER.match(PLACES[place])


def test_the_daemons_own_number_is_not_looked_at() -> None:
    """It is random and shown to no member: patterns for digits would match it now and then."""
    assert Patterns([r"\d{13}"]).match(replace(PLAIN, id="ab1234567890123456789012")) is None


def test_a_field_of_a_later_request_is_found() -> None:
    """Whatever a request holds one day is looked at without being named anywhere."""

    @dataclass(frozen=True, slots=True, kw_only=True)
    class Note:
        memo: str
        raw: bytes = b""

    @dataclass(frozen=True, slots=True, kw_only=True)
    class Later(Request):
        notes: Mapping[str, Sequence[Note]]

    assert FINDER.match(Later(id="1", model="fusion", messages=(), notes={"a": [Note(memo=SECRET)]}))
    assert FINDER.match(Later(id="1", model="fusion", messages=(), notes={"a": [Note(memo="", raw=SECRET.encode())]}))
    assert FINDER.match(Later(id="1", model="fusion", messages=(), notes={"a": [Note(memo="")]})) is None


def test_a_number_of_a_schema_is_looked_at() -> None:
    """It is shown to members as well as a string is."""
    tool = Tool(name="pay", parameters={"properties": {"card": {"default": 4111111111111111}}})
    assert Patterns([r"\b4\d{15}\b"]).match(replace(PLAIN, tools=(tool,)))


def test_what_a_request_does_not_say_is_no_text() -> None:
    """Zeros of ours would match patterns for digits in every request; those of a schema are the client's."""
    digits = Patterns([r"\d"])
    assert digits.match(replace(PLAIN, sampling=Sampling())) is None
    assert digits.match(replace(PLAIN, tools=(Tool(name="a", parameters={"default": 0}),)))
    assert digits.match(replace(PLAIN, sampling=Sampling(seed=7)))


def test_a_text_of_another_type_is_read_as_a_text() -> None:
    """What is derived from a string, a list or bytes is what it is derived from."""

    class Word(str, Enum):  # noqa: UP042  # one whose text is not its value
        A = SECRET

    class Pair(NamedTuple):
        first: str
        second: str = ""

    class Raw(bytes):
        pass

    for value in (Word.A, Pair(SECRET), Raw(SECRET.encode()), {SECRET}, frozenset({SECRET})):
        assert FINDER.match(replace(PLAIN, tools=(Tool(name="a", parameters={"default": value}),)))


def test_a_secret_may_be_split_over_parts() -> None:
    """The parts of one message are read together; each is still read alone."""
    assert SECRET[11] == "\n"
    assert FINDER.match(asking(SECRET[:8], SECRET[8:]))
    assert FINDER.match(asking(SECRET[:11], SECRET[12:]))  # some servers put them on lines of their own
    assert Patterns(["^sk-"]).match(asking("my key:", "sk-1"))
    assert FINDER.match(replace(PLAIN, messages=(*asking(SECRET[:8]).messages, *asking(SECRET[8:]).messages))) is None


# every wrapping

WRAPPINGS: dict[str, str] = {
    "line ends of Windows": SECRET.replace("\n", "\r\n"),
    "line ends of old": SECRET.replace("\n", "\r"),
    "JSON": json.dumps({"a": SECRET}),
    "JSON as it is": json.dumps({"a": SECRET}, ensure_ascii=False),
    "a key of JSON": json.dumps({SECRET: 1}),
    "JSON with line ends of Windows": json.dumps([SECRET.replace("\n", "\r\n")]),
    "JSON in JSON": json.dumps({"a": json.dumps([SECRET])}),
    "a string of JSON": json.dumps(SECRET),
    "JSON after blanks": "\ufeff \n" + json.dumps([SECRET]),
    "JSON that breaks off later": json.dumps({"a": SECRET, "b": 1})[:-3],
    "a URL": url(SECRET.encode()),
    "a URL in a text": f"look at {url(SECRET.encode())} and answer",
    "a URL in brackets": f"![x]({url(SECRET.encode())})",
    "the second of two URLs": f"{url(b'x')} {url(SECRET.encode())}",
    "a URL in JSON": json.dumps({"url": url(SECRET.encode())}),
    "JSON in a URL": url(json.dumps({"a": SECRET}).encode(), "application/json"),
    "a URL in capitals": url(SECRET.encode()).replace("data:", "DATA:").replace("base64", "Base64"),
    "no type": url(SECRET.encode(), ""),
    "no type of use": url(SECRET.encode(), "application/octet-stream"),
    "a type of keys": url(SECRET.encode(), "application/x-pem-file"),
    "a drawing": url(SECRET.encode(), "image/svg+xml"),
    "a character set": url(SECRET.encode(), "text/plain; charset=utf-8"),
    "a name with a comma": url(SECRET.encode(), 'text/plain;name="a,b"'),
    "without padding": url(SECRET.encode()).rstrip("="),
    "one letter too many": url(SECRET.encode()).rstrip("=") + "AAA",
    "the other alphabet": url(("~~~???" + SECRET).encode()).replace("+", "-").replace("/plain", "!").replace("/", "_").replace("!", "/plain"),
    "broken into lines": "data:text/plain;base64," + base64.encodebytes((SECRET * 9).encode()[-200:] + SECRET.encode()).decode(),
    "base64 with percents": url(SECRET.encode()).replace("=", "%3D").replace("B", "%42"),
    "UTF-16, little end first": url(b"\xff\xfe" + SECRET.encode("utf-16-le")),
    "UTF-16, big end first": url(b"\xfe\xff" + SECRET.encode("utf-16-be")),
    "UTF-32": url(SECRET.encode("utf-32")),
    "among bytes": url(b"\x00\xff\xfe" + SECRET.encode() + b"\x80\x00"),
    "percents": f"data:text/plain,{quote(SECRET, safe='')}",
    "percents without a type": f"data:,{quote(SECRET, safe='')} and on",
    "JSON after a string with escapes": '{"a": "\\"\\\\", "b": "c"}'.replace("}", f', "d": {json.dumps(SECRET)}' + "}"),
    "JSON after a URL in it": json.dumps(["data:,", "data:image/png;base64,AAAA", SECRET]),
    "JSON after a head that does not end": json.dumps(["data:image/png;x", url(SECRET.encode())]),
    "JSON after a URL outside of a string": "[data:," + json.dumps(SECRET),
    "JSON after what is none": '{"a": "\\q", ' + json.dumps(SECRET),
    "JSON in a sentence": f"It said {json.dumps(SECRET)} and no more.",
    "a picture by name only": url(SECRET.encode(), "image/png"),
    "a sound by name only": url(SECRET.encode(), "audio/wav"),
    "no URL": url(SECRET.encode()).replace("data:", "date:"),
    "base64 alone": base64.b64encode((SECRET * 4).encode()).decode(),
    "base64 in lines": base64.encodebytes((SECRET * 9).encode()).decode(),
    "base64 in short lines": "\n".join(re.findall(".{1,60}", base64.b64encode((SECRET * 9).encode()).decode())),
    "base64 in lines of JSON": json.dumps({"content": base64.encodebytes((SECRET * 9).encode()).decode()}),
    "base64 as PHP writes JSON": json.dumps([base64.b64encode((SECRET * 3 + "???").encode()).decode()]).replace("/", "\\/"),
    "base64 as .NET writes JSON": json.dumps([base64.b64encode((SECRET * 3 + ">>>").encode()).decode()]).replace("+", "\\u002b"),
    "base64 in the query of a URL": f"https://a.b/?c={quote(base64.b64encode((SECRET * 3).encode()).decode(), safe='')}",
    "base64 in the path of a URL": f"https://a.b/ab/{base64.urlsafe_b64encode((SECRET * 9).encode()).decode()}",
    "base64 after a word": f"token-{base64.b64encode((SECRET * 9).encode()).decode()}",
    "tokens, one a line": "\n".join(base64.b64encode((text * 3).encode()).decode().rstrip("=") for text in ("abcdefghijklmnopqrstuvwxyz.", SECRET)),
    "UTF-16 without a mark": url(SECRET.encode("utf-16-le")),
    "UTF-16 without a mark, big end first": url(SECRET.encode("utf-16-be")),
    "UTF-32 without a mark": url(SECRET.encode("utf-32-le")),
    "UTF-32 without a mark, big end first": url(SECRET.encode("utf-32-be")),
    "UTF-16 without a mark, in base64 alone": base64.b64encode((SECRET * 2).encode("utf-16-le")).decode(),
    "hexadecimal": (SECRET * 2).encode().hex(),
    "hexadecimal in lines": "\n".join(re.findall(".{1,60}", (SECRET * 3).encode().hex())),
    "HTML": html.escape(SECRET),
    "HTML by numbers": "".join(f"&#{ord(sign)};" for sign in SECRET),
    "HTML by hexadecimal numbers": "".join(f"&#x{ord(sign):x};" for sign in SECRET),
    "HTML with a blank that does not break": SECRET.replace(" ", "&nbsp;").replace('"', "&quot;"),
    "escapes that are not needed": "".join(f"\\u{ord(sign):04X}" for sign in SECRET),
    "escapes of other languages": "".join(f"\\x{ord(sign):02x}" for sign in SECRET),
    "escapes of Markdown": SECRET.replace("\\", "\\\\").replace('"', '\\"').replace("/", "\\/"),
    "percents without a URL": quote(SECRET, safe=""),
    "a blank that does not break": SECRET.replace(" ", "\xa0"),
    "a soft hyphen": "\xad".join(SECRET),
    "signs without width": "\u200b".join(SECRET),
    "zeros": "\0".join(SECRET),
    "zeros in JSON": json.dumps(["\0".join(SECRET)]),
    "beside half a character": "\ud800" + SECRET + "\udc00",
    "beside nothing": "\x00" + SECRET + "\x00",
}


@pytest.mark.parametrize("name", WRAPPINGS)
def test_a_secret_is_found_in_a_wrapping(name: str) -> None:
    """As a text, as an image's address, as a tool call's arguments."""
    text = WRAPPINGS[name]
    call = FunctionCall(id="1", name="f", arguments=text)
    assert finds(text)
    assert FINDER.match(replace(PLAIN, messages=(Message(role="user", parts=(ImagePart(url=text),)),)))
    assert FINDER.match(replace(PLAIN, messages=(Message(role="assistant", tool_calls=(call,)),)))


@pytest.mark.parametrize(
    "text",
    [
        "",
        "BEGIN END",
        json.dumps({"a": SECRET})[:12],  # breaks off before the secret ends
        url(b"\x89PNG\r\n\x1a\n" + SECRET.encode(), "image/png"),  # nobody reads what is in a picture's bytes
        url(b"\xff\xd8\xff\xe0" + SECRET.encode(), "text/plain"),  # whatever is said of it
        url(b"PK\x03\x04" + SECRET.encode(), "application/zip"),
        base64.b64encode(SECRET.encode()).decode(),  # too short to be told from a word
        "data:text/plain;base64,",
        "data:text/plain;base64,=",
        "data:text/plain;base64,%",
        "data:text/plain;base64,A",
        "data:",
        "data:,%",
        "\ud800",
        "\x00",
        '"',
        '["',
    ],
)
def test_nothing_is_found_where_nothing_is(text: str) -> None:
    """Nor does anything break."""
    assert not finds(text)


@pytest.mark.parametrize("text", ["a\r\nb", "a\rb", "a\nb"])
def test_line_ends_are_made_equal_in_a_text_that_wraps_nothing(text: str) -> None:
    """No quotation mark and no colon need be in it."""
    assert Patterns(["a\nb"]).match(asking(text))


def test_each_string_of_json_is_a_text_of_its_own() -> None:
    """It begins and ends for itself."""
    arguments = json.dumps({"a": ["sk-12"], "b": "my sk-3"})
    assert Patterns([r"^sk-\d\d$"]).match(asking(arguments))
    assert Patterns([r"^sk-3$"]).match(asking(arguments)) is None


@pytest.mark.parametrize("before", ["", "data:,", "\\n", '\\"', "data:;base64,AAAA"])
def test_a_string_that_reads_the_same_in_its_json_is_read_alone(before: str) -> None:
    """Its edges are its own, whatever strings stand before and after it."""
    arguments = f'["{before}", "sk-12", "x", "{before}", "my sk-3", "{before}"]'
    assert Patterns([r"^sk-\d\d$"]).match(asking(arguments))
    assert Patterns([r"\Ask-\d\d\z"]).match(asking(arguments))
    assert Patterns([r"^sk-3$"]).match(asking(arguments)) is None


def as_json(text: str) -> str:
    """In JSON."""
    return json.dumps({"a": [1, text]})


def as_base64(text: str) -> str:
    """In a URL, in the middle of a text."""
    return f"see {url(text.encode(errors='replace'))} there"


def as_html(text: str) -> str:
    """As HTML."""
    return f"<p>{html.escape(text)}</p>"


def as_percents(text: str) -> str:
    """In a URL without base64, in the middle of a text."""
    return f"see data:,{quote(text, errors='replace')} there"


wrapped = st.lists(st.sampled_from([as_json, as_base64, as_percents, as_html]), max_size=7)
words = st.text(max_size=12)
documents = st.recursive(words | st.integers() | st.none() | st.floats(), lambda inner: st.lists(inner, max_size=3) | st.dictionaries(words, inner))
schemas = st.dictionaries(words, documents, max_size=3)
messages = st.builds(
    Message,
    role=st.sampled_from(["system", "user", "assistant", "tool"]),
    parts=st.lists(st.builds(TextPart, text=words) | st.builds(ImagePart, url=words), max_size=3).map(tuple),
    tool_calls=st.lists(st.builds(FunctionCall, id=words, name=words, arguments=words | schemas.map(json.dumps)), max_size=2).map(tuple),
    name=st.none() | words,
)
requests = st.builds(
    Request,
    id=st.just("1"),
    model=words,
    messages=st.lists(messages, max_size=4).map(tuple),
    sampling=st.builds(Sampling, stop=st.lists(words, max_size=2).map(tuple), reasoning_effort=st.none() | words, seed=st.none() | st.integers()),
    tools=st.lists(st.builds(Tool, name=words, description=st.none() | words, parameters=st.none() | schemas), max_size=2).map(tuple),
    tool_choice=st.none() | st.builds(ToolChoice, name=st.none() | words),
    format=st.none() | st.builds(Format, kind=st.just("json_schema"), schema=schemas, name=words),
    overrides=st.builds(Overrides, panel=st.none() | st.lists(words, max_size=2).map(tuple), judge=st.none() | words),
)


def changed(value: Any, change: Callable[[str], str]) -> Any:
    """The same value with every string changed, but for the request's own number."""
    match value:
        case str():
            return change(value)
        case Mapping():
            return {change(key): changed(inner, change) for key, inner in value.items()}
        case list() | tuple():
            return type(value)(changed(inner, change) for inner in value)
        case _ if is_dataclass(value) and not isinstance(value, type):
            names = [field.name for field in fields(value) if field.name != "id" or not isinstance(value, Request)]
            return replace(value, **{name: changed(getattr(value, name), change) for name in names})
    return value


@given(requests, wrapped, st.data())
def test_a_secret_anywhere_is_found(request: Request, wrappings: list[Callable[[str], str]], data: st.DataObject) -> None:
    """In any string of any request, in any wrapping that is opened."""
    total = 0

    def counted(text: str) -> str:
        nonlocal total
        total += 1
        return text

    changed(request, counted)
    chosen, place = data.draw(st.integers(0, total - 1)), count()
    text = SECRET
    for wrap in wrappings:
        text = wrap(text)
    assert FINDER.match(changed(request, lambda old: text if next(place) == chosen else old))


@given(requests)
def test_a_request_without_the_secret_passes(request: Request) -> None:
    """Whatever else is in it."""
    assert FINDER.match(request) is None


# what a pattern is


@pytest.mark.parametrize(
    ("pattern", "words"),
    [
        (r"(a)\1", r"has a backreference (\1), which a search in linear time cannot have"),
        (r"(?P<a>b)(?P=a)", r"has a backreference ((?P)"),
        (r"(?<a>b)\k<a>", r"has a backreference (\k)"),
        ("a(?=b)", "has a lookahead ((?=)"),
        ("a(?!b)", "has a lookahead ((?!)"),
        ("(?<=a)b", "has a lookbehind ((?<=)"),
        ("(?<!a)b", "has a lookbehind ((?<!)"),
        ("(?>a)b", "has a atomic group"),
        ("(", "is no regular expression of RE2: missing )"),
        ("[z-a]", "is no regular expression of RE2: invalid character class range: z-a"),
        ("[\n", "is no regular expression of RE2: missing ]: ["),
        (r"a\Z", r"is no regular expression of RE2: invalid escape sequence: \Z"),
        (r"(\pL{30}){30}", "is too large: it needs more than 8 MiB"),
        ("\ud800", "holds half a character"),
        ("", "matches an empty text"),
        ("a*", "matches an empty text"),
    ],
)
def test_a_fault_is_said_in_words(pattern: str, words: str, capfd: pytest.CaptureFixture[str]) -> None:
    """In one line that says what is wrong; the engine itself writes nothing."""
    said = fault(pattern)
    assert said is not None
    assert said.startswith(words)
    assert "\n" not in said
    assert capfd.readouterr() == ("", "")


@pytest.mark.parametrize(
    "pattern", ["-----BEGIN [A-Z ]*PRIVATE KEY-----", r"\bAKIA[0-9A-Z]{16}\b", "(?i)geheim", "(?P<year>\\d{4})", "straße", "a\x00b"]
)
def test_a_good_pattern_has_no_fault(pattern: str) -> None:
    """Among them the one of the example."""
    assert fault(pattern) is None


def test_a_faulty_pattern_is_never_skipped() -> None:
    """Without the check it would fail at the first request."""
    with pytest.raises(ValueError, match="lookahead"):
        Patterns(["a", "(?=b)"]).match(PLAIN)
    with pytest.raises(ValueError, match="range"):
        Patterns(["[z-a]word"]).match(PLAIN)


def test_the_pattern_that_matches_is_named() -> None:
    """The first one of those that do."""
    assert Patterns(["x", "b+", "b"]).match(asking("abc")) == "b+"


def test_capitals_count_unless_the_pattern_says_otherwise() -> None:
    """The same pattern with and without its sign."""
    assert Patterns(["secret"]).match(asking("SECRET")) is None
    assert Patterns(["(?i)secret"]).match(asking("SECRET"))
    assert Patterns(["(?i)straße"]).match(asking("STRAßE"))


def test_a_point_is_a_character_and_no_byte() -> None:
    """Letters beyond ASCII are counted as one."""
    assert Patterns(["^k.y$"]).match(asking("kéy"))


def test_who_has_no_patterns_needs_no_engine(monkeypatch: pytest.MonkeyPatch) -> None:
    """It is loaded for the first pattern that is used."""
    monkeypatch.setitem(sys.modules, "re2", None)
    assert Patterns([]).match(asking(SECRET)) is None
    with pytest.raises(ImportError):
        Patterns(["another"]).match(asking(SECRET))


# what a request may be


@pytest.mark.parametrize("pattern", ["(a+)+$", "(a|a)*b$", "(a|aa)+c", "(.*a){20}c", "a{1,500}a{1,500}c"])
def test_no_pattern_takes_forever(pattern: str) -> None:
    """An engine that tries one way after another would not end within anybody's patience."""
    assert Patterns([pattern]).match(asking("a" * 100_000 + "!")) is None


def test_what_overflows_the_memory_is_found_all_the_same() -> None:
    """The states of this search are more than fit; it goes on without them."""
    noise = "".join("ab"[n * n // 7 % 2] for n in range(50_000))
    assert Patterns(["a[ab]{60}c"]).match(asking(noise + "a" + "b" * 60 + "c"))


@pytest.mark.parametrize(
    "text",
    ["data:;base64,AA ", "data:text/plain;base64,ZGF0YTosZGF0YTos ", "%5C", "\\u005c", "&amp;#92;", '\\"', "\\\\", "A\n" * 70 + " "],
)
def test_what_holds_too_much_must_not_leave(text: str) -> None:
    """Nobody has seen what is in it, and nobody has the time to. A share of it is looked through."""
    assert FINDER.match(asking(text * (1 << 14))) in {None, TOO_MUCH}
    assert FINDER.match(asking(text * (1 << 14), SECRET))


def test_what_never_comes_to_an_end_must_not_leave() -> None:
    """Each of these stands for the beginning of the next. A few of them are looked through."""
    assert FINDER.match(asking("\\" + "u005c" * 100)) is None
    assert FINDER.match(asking("\\" + "u005c" * 100_000)) == TOO_MUCH


def test_base64_that_may_end_here_or_there_is_read_both_ways() -> None:
    """At every depth, and that is not too much."""
    text = SECRET * (1 << 10)
    for _ in range(9):
        text = url(text.ljust(-(-len(text.encode()) // 3) * 3).encode()) + " x"
    assert finds(text)


def test_what_ordinary_texts_hold_is_opened() -> None:
    """Many strings, most with escapes; an agent's arguments inside the JSON of a log inside JSON."""
    lines = [{"file": f"C:\\src\\main{number}.c", "text": f'printf("{number}\\n");'} for number in range(20_000)]
    inner = json.dumps([json.dumps(lines)])
    assert FINDER.match(asking(inner)) is None
    assert FINDER.match(asking(inner, json.dumps(SECRET))) == FINDER._patterns[0]


@pytest.mark.parametrize("wrap", [as_json, as_base64, as_percents, as_html])
def test_it_is_found_however_deep(wrap: Callable[[str], str]) -> None:
    """As long as it is not too much: then the request stays here as well."""
    text = SECRET
    for _ in range(40):
        text = wrap(text) if len(text) < 1 << 18 else text
        assert finds(text)


def test_a_schema_may_be_deep() -> None:
    """Deeper than the interpreter's own stack."""
    schema: dict[str, Any] = {"default": SECRET}
    for _ in range(100_000):
        schema = {"items": schema}
    assert FINDER.match(replace(PLAIN, format=Format(kind="json_schema", schema=schema)))
    while schema.get("items"):  # let go of it from outside: its own end would recurse
        schema = schema["items"]


def test_arguments_may_be_deep() -> None:
    """JSON is not built, only its strings are read."""
    call = FunctionCall(id="1", name="f", arguments="[" * 200_000 + json.dumps(SECRET))
    assert FINDER.match(replace(PLAIN, messages=(Message(role="assistant", tool_calls=(call,)),)))
