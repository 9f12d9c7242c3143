"""The upper bound on a prompt's tokens, against a tokenizer that gives every byte a token of its own."""

import json
import unicodedata
from collections.abc import Iterator
from dataclasses import replace
from typing import Any, Literal

import pytest
from hypothesis import given
from hypothesis import strategies as st

from fusiond.chat import Format, FunctionCall, ImagePart, Message, Request, Role, TextPart, Tool, ToolChoice
from fusiond.policy import bound, images
from fusiond.policy.bound import Bound, Unpriceable, most_tokens

PIXEL = "data:image/png;base64,iVBORw0KGgoAAAANSUhEUgAAAAEAAAABCAYAAAAfFcSJAAAADUlEQVR42mNk+M9QDwADhgGAWjR9awAAAABJRU5ErkJggg=="

texts = st.text(st.characters(exclude_categories=()), max_size=60)
calls = st.builds(FunctionCall, id=texts, name=texts, arguments=texts)
parts = st.one_of(st.builds(TextPart, text=texts), st.just(ImagePart(url=PIXEL)))
messages = st.builds(
    Message,
    role=st.sampled_from(["system", "user", "assistant", "tool"]),
    parts=st.lists(parts, max_size=3).map(tuple),
    tool_calls=st.lists(calls, max_size=2).map(tuple),
    call_id=st.none() | texts,
    name=st.none() | texts,
)
values: st.SearchStrategy[Any] = st.recursive(
    st.none() | st.booleans() | st.integers() | texts,
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(texts, inner, max_size=3),
    max_leaves=8,
)
objects = st.dictionaries(texts, values, max_size=3)
tools = st.builds(Tool, name=texts, description=st.none() | texts, parameters=st.none() | objects, strict=st.none() | st.booleans())
requests = st.builds(
    Request,
    id=st.just("r"),
    model=st.just("m"),
    messages=st.lists(messages, max_size=4).map(tuple),
    tools=st.lists(tools, max_size=2).map(tuple),
    tool_choice=st.none() | st.builds(ToolChoice, name=st.none() | texts),
    format=st.none() | st.builds(Format, kind=st.just("json_schema"), schema=st.none() | objects, name=texts),
)


def asked(*messages: Message, **more: Any) -> Request:
    """A request of these messages."""
    return Request(id="r", model="m", messages=messages, **more)


def said(text: str, role: Role = "user") -> Message:
    """A message of one text."""
    return Message(role=role, parts=(TextPart(text=text),))


def length(text: str) -> int:
    """Bytes of a text."""
    return len(text.encode("utf-8", "surrogatepass"))


def strings(value: Any) -> Iterator[str]:
    """Every string of a document."""
    if isinstance(value, str):
        yield value
    elif isinstance(value, dict):
        for name, inner in value.items():
            yield name
            yield from strings(inner)
    elif isinstance(value, list):
        for inner in value:
            yield from strings(inner)


def prompt(request: Request) -> list[str]:
    """Every string of a request that can stand in a prompt."""
    found = [part.text for message in request.messages for part in message.parts if isinstance(part, TextPart)]
    for message in request.messages:
        found += [message.call_id or "", message.name or ""]
        found += [text for call in message.tool_calls for text in (call.id, call.name, call.arguments)]
    for tool in request.tools:
        found += [tool.name, tool.description or "", *strings(tool.parameters)]
    if request.tool_choice:
        found.append(request.tool_choice.name or "")
    if request.format:
        found += [request.format.name, *strings(request.format.schema)]
    return found


Form = Literal["NFC", "NFKC"] | None


@pytest.mark.parametrize("form", [None, "NFC", "NFKC"])
@given(request=requests)
def test_no_tokenizer_makes_more_tokens_than_bytes(form: Form, request: Request) -> None:
    """With a token for every byte of every string, after any normalisation, and one before each string, the bound holds."""
    seen = [unicodedata.normalize(form, text) if form else text for text in prompt(request)]
    assert most_tokens(request).tokens >= sum(length(text) + 1 for text in seen if text)


@given(requests, st.data())
def test_a_further_message_never_makes_a_request_cheaper(request: Request, data: st.DataObject) -> None:
    """The bound of a request is at least that of the same with any message removed."""
    whole = most_tokens(request)
    if request.messages:
        gone = data.draw(st.integers(0, len(request.messages) - 1))
        rest = most_tokens(replace(request, messages=request.messages[:gone] + request.messages[gone + 1 :]))
        assert whole.tokens > rest.tokens
        assert whole.images >= rest.images


@given(objects)
def test_tools_and_schemas_may_be_written_in_any_style(parameters: dict[str, Any]) -> None:
    """Compact, in ASCII, in lines: the longest counts."""
    empty = most_tokens(asked())
    tool = most_tokens(asked(tools=(Tool(name="f", parameters=parameters),)))
    form = most_tokens(asked(format=Format(kind="json_schema", schema=parameters)))
    for ascii_only in (True, False):
        for indent in (None, 2, 4):
            written = length(json.dumps(parameters, ensure_ascii=ascii_only, indent=indent))
            sent = {"type": "function", "function": {"name": "f", "parameters": parameters}}
            assert form.tokens - empty.tokens >= written + bound.FORMAT
            assert tool.tokens - empty.tokens >= length(json.dumps([sent], ensure_ascii=ascii_only, indent=indent)) + bound.TOOLS + bound.TOOL


def escaped(text: str) -> str:
    """As a template that escapes for HTML writes JSON."""
    for sign in "<>&'":
        text = text.replace(sign, f"\\u{ord(sign):04x}")
    return text


@given(texts)
def test_results_and_arguments_may_be_quoted(text: str) -> None:
    """A tool's result and a call's arguments may stand in the prompt as JSON strings."""
    quoted = length(escaped(json.dumps(text, ensure_ascii=False)))
    call = Message(role="assistant", tool_calls=(FunctionCall(id="", name="", arguments=text),))
    for message in (said(text, "tool"), call):
        assert most_tokens(asked(message)).tokens - most_tokens(asked()).tokens >= quoted + bound.CALL


@given(objects | st.lists(st.floats(allow_nan=False, allow_infinity=False)).map(lambda numbers: {"numbers": numbers}))
def test_arguments_may_be_written_anew(arguments: dict[str, Any]) -> None:
    """Compact arguments may be read, and written with spaces."""
    sent = json.dumps(arguments, ensure_ascii=False, separators=(",", ":")).replace("e+", "e")
    call = Message(role="assistant", tool_calls=(FunctionCall(id="", name="", arguments=sent),))
    written = length(escaped(json.dumps(json.loads(sent), ensure_ascii=False)))
    assert most_tokens(asked(call)).tokens - most_tokens(asked()).tokens >= written + bound.CALL


def test_many_escapes_and_many_spaces() -> None:
    """Where what is added is more than any allowance."""
    marked, listed = "<&'>" * 500, "[" + ",".join(["1"] * 1000) + "]"
    assert most_tokens(asked(said(marked, "tool"))).tokens - bound.REQUEST >= length(escaped(marked))
    call = Message(role="assistant", tool_calls=(FunctionCall(id="", name="", arguments=listed),))
    assert most_tokens(asked(call)).tokens - bound.REQUEST >= length(json.dumps(json.loads(listed)))


def test_a_number_may_be_written_in_full() -> None:
    """Four signs may become eighteen."""
    short, long = '{"x":[' + ",".join(["1e15"] * 100) + "]}", '{"x":[' + ",".join(["1000000000000000.0"] * 100) + "]}"
    call = Message(role="assistant", tool_calls=(FunctionCall(id="", name="", arguments=short),))
    assert json.dumps(json.loads(short), separators=(",", ":")) == long
    assert most_tokens(asked(call)).tokens >= length(long)


def test_what_each_thing_adds() -> None:
    """The allowances stand where they are meant to, and plain text costs its bytes."""
    empty = most_tokens(asked()).tokens
    assert empty == bound.REQUEST
    assert most_tokens(asked(said("x" * 1000))).tokens - empty == 1000 + bound.MESSAGE + 3 * bound.TEXT  # its call id and name are empty texts
    assert most_tokens(asked(said("日本語" * 100))).tokens - empty <= 900 + bound.MESSAGE + 4 * bound.TEXT
    assert most_tokens(asked(said("née, Ångström, naïve"))).tokens - empty <= 24 + bound.MESSAGE + 4 * bound.TEXT
    assert most_tokens(asked(said("\ufdfa"))).tokens - empty >= 33
    assert most_tokens(asked(said("\ud800"))).tokens - empty >= 3


@pytest.mark.parametrize("sign", ["\ufdfa", "\u3316", "\u0344", "\U0001d160", "e\u0301\u0323", "\u00e9\u0323", "\u1f82\u0323", "한", "＂", "ｶﾞ"])
@pytest.mark.parametrize("count", [1, 1000, bound.SLICE // 3 + 1, 3 * bound.SLICE])
def test_dear_signs_in_any_number(sign: str, count: int) -> None:
    """The bound holds across slices, and where the rest is counted at the worst."""
    text = "x" + sign * count
    longest = max(length(text), length(unicodedata.normalize("NFC", text)), length(unicodedata.normalize("NFKC", text)))
    assert most_tokens(asked(said(text))).tokens >= longest


DEAR = "aé½ﾊﾞ한ᄒ\u1161\u0301\u0323\u0345\u1f82\ufdfa\u3316\u0344\u00a0（Ａ\u1e9bﬀ\ud800\U0001d160"


@given(st.text(st.sampled_from(DEAR), max_size=40))
def test_signs_and_accents_in_any_order(text: str) -> None:
    """Signs that grow, shrink and combine, in one text."""
    longest = max(length(text), length(unicodedata.normalize("NFC", text)), length(unicodedata.normalize("NFKC", text)))
    assert bound._text(text) >= longest + 1


@given(st.text(st.characters(exclude_categories=("Mn", "Me", "Mc")), max_size=40).filter(lambda text: not any(map(bound._stretches, text))))
def test_a_text_without_signs_that_grow_only_shrinks(text: str) -> None:
    """What is not normalised to be measured need not be."""
    assert length(unicodedata.normalize("NFC", text)) <= length(text)
    assert length(unicodedata.normalize("NFKC", text)) <= length(text)


def test_nothing_grows_more_than_the_worst() -> None:
    """The figure for the rest of a dear text is true of every character."""
    for sign in filter(unicodedata.decomposition, map(chr, range(0x110000))):
        assert length(unicodedata.normalize("NFKC", sign)) <= bound.GROWTH * length(sign)
        assert length(unicodedata.normalize("NFC", sign)) <= bound.GROWTH * length(sign)


def test_images_count_and_are_counted() -> None:
    """Each adds what its own bound says, and its URL is no text."""
    message = Message(role="user", parts=(ImagePart(url=PIXEL), TextPart(text="and"), ImagePart(url=PIXEL, detail="low")))
    plain = most_tokens(asked(replace(message, parts=message.parts[1:2])))
    assert most_tokens(asked(message)) == Bound(tokens=plain.tokens + 2 * (images.most_tokens(PIXEL) + bound.IMAGE), images=2)
    assert plain.images == 0


def test_an_image_without_a_price_leaves_the_request_without_one() -> None:
    """The reason is the image's."""
    with pytest.raises(Unpriceable, match="behind a link"):
        most_tokens(asked(Message(role="user", parts=(ImagePart(url="https://example.org/a.png"),))))


def test_a_schema_nested_without_end_has_no_price() -> None:
    """Not counted, and no crash."""
    schema: dict[str, Any] = {}
    for _ in range(100_000):
        schema = {"items": schema}
    with pytest.raises(Unpriceable, match="nested too deeply"):
        most_tokens(asked(format=Format(kind="json_schema", schema=schema)))


def test_a_call_counts_its_name_again_for_its_result() -> None:
    """Some templates look it up."""
    short, long = (Message(role="assistant", tool_calls=(FunctionCall(id="c", name="n" * size, arguments="{}"),)) for size in (10, 110))
    assert most_tokens(asked(long)).tokens - most_tokens(asked(short)).tokens == 200
