"""The official OpenAI SDK, whichever of its versions is installed, against the real daemon."""

from __future__ import annotations

import asyncio
import json
from pathlib import Path
from typing import Any

import openai
import pydantic
import pytest

from tests.clients.conftest import Scene
from tests.serving import configured, lab, serving
from tests.upstreams.openai import OpenAIUpstream
from tests.upstreams.script import Finish, Gate, Say, Script

pytestmark = pytest.mark.asyncio(loop_scope="session")

Messages = list[Any]
ASK: Messages = [{"role": "user", "content": "Say something."}]
TOOLS: list[Any] = [
    {
        "type": "function",
        "function": {
            "name": name,
            "description": "Tells it.",
            "strict": True,  # older versions of the helper take no others
            "parameters": {"type": "object", "properties": {place: {"type": "string"}}, "required": [place], "additionalProperties": False},
        },
    }
    for name, place in (("weather", "city"), ("time", "zone"))
]
SCHEMA: Any = {
    "type": "json_schema",
    "json_schema": {
        "name": "seen",
        "schema": {
            "type": "object",
            "properties": {"city": {"type": "string"}, "degrees": {"type": "integer"}},
            "required": ["city", "degrees"],
        },
    },
}
PIXEL = "data:image/png;base64,iVBORw0KGgoAAAANSUhEUgAAAAEAAAABCAYAAAAfFcSJAAAADUlEQVR42mNk+M9QDwADhgGAWjR9awAAAABJRU5ErkJggg=="


class Seen(pydantic.BaseModel):
    """What was seen."""

    city: str
    degrees: int


CALLS = [("call_w", "weather", {"city": "Rome"}), ("call_t", "time", {"zone": "CET"})]


async def chunks_of(client: openai.AsyncOpenAI, model: str, **options: Any) -> list[Any]:
    """All chunks of a streamed answer."""
    async with await client.chat.completions.create(model=model, messages=ASK, stream=True, **options) as stream:
        return [chunk async for chunk in stream]


async def test_a_whole_answer(client: openai.AsyncOpenAI) -> None:
    """Every field that the SDK types has its type, and the model is the one that was asked for."""
    completion = await client.chat.completions.create(model="plain", messages=ASK)
    (choice,) = completion.choices
    assert (choice.index, choice.finish_reason, choice.message.role, choice.message.content) == (0, "stop", "assistant", "Hello \u2028there")
    assert completion.usage
    assert (completion.usage.prompt_tokens, completion.usage.completion_tokens, completion.usage.total_tokens) == (11, 3, 14)
    assert (completion.object, completion.model) == ("chat.completion", "plain")
    assert completion.id.startswith("chatcmpl-")


async def test_a_streamed_answer(client: openai.AsyncOpenAI) -> None:
    """The role first, then the pieces, then the reason; one id in all of them; no usage where none was asked for."""
    chunks = await chunks_of(client, "plain")
    assert chunks[0].choices[0].delta.role == "assistant"
    assert "".join(chunk.choices[0].delta.content or "" for chunk in chunks) == "Hello \u2028there"
    assert [chunk.choices[0].finish_reason for chunk in chunks][-1] == "stop"
    assert len({(chunk.id, chunk.created, chunk.model) for chunk in chunks}) == 1
    assert not any(chunk.usage for chunk in chunks)


async def test_usage_is_alone_in_its_chunk(client: openai.AsyncOpenAI) -> None:
    """With `include_usage` it comes once, last, without choices."""
    *before, last = await chunks_of(client, "plain", stream_options={"include_usage": True})
    assert (last.choices, last.usage.total_tokens) == ([], 14)
    assert not any(chunk.usage for chunk in before)
    assert all(chunk.choices for chunk in before)


async def test_the_helper_for_streams(client: openai.AsyncOpenAI) -> None:
    """The SDK's own accumulator sees the pieces, and ends with the whole."""
    async with client.chat.completions.stream(model="plain", messages=ASK) as stream:
        said = [event.delta async for event in stream if event.type == "content.delta"]
        completion = await stream.get_final_completion()
    assert "".join(said) == completion.choices[0].message.content == "Hello \u2028there"


async def test_the_synchronous_client(scene: Scene) -> None:
    """The same for those who do not wait in a loop."""

    def ask() -> tuple[str | None, str]:
        with openai.OpenAI(base_url=f"{scene.daemon.url}/v1", api_key="not-needed", max_retries=0) as client:
            whole = client.chat.completions.create(model="plain", messages=ASK).choices[0].message.content
            with client.chat.completions.create(model="plain", messages=ASK, stream=True) as stream:
                return whole, "".join(chunk.choices[0].delta.content or "" for chunk in stream)

    assert await asyncio.to_thread(ask) == ("Hello \u2028there", "Hello \u2028there")


async def test_tool_calls_whole(client: openai.AsyncOpenAI, scene: Scene) -> None:
    """Two calls with their ids and arguments; the tools reach the member as they were."""
    completion = await client.chat.completions.create(model="caller", messages=ASK, tools=TOOLS, tool_choice="required")
    (choice,) = completion.choices
    assert (choice.finish_reason, choice.message.content) == ("tool_calls", None)
    made: list[Any] = list(choice.message.tool_calls or ())
    assert [(call.id, call.function.name, json.loads(call.function.arguments)) for call in made] == CALLS
    asked = scene.upstream.chats[-1].body
    assert (asked["tools"], asked["tool_choice"]) == (TOOLS, "required")


async def test_tool_calls_streamed(client: openai.AsyncOpenAI) -> None:
    """Index, id and name in each call's first piece, then the arguments in pieces; the reason at the end."""
    chunks = await chunks_of(client, "caller", tools=TOOLS)
    pieces = [piece for chunk in chunks for piece in chunk.choices[0].delta.tool_calls or ()]
    firsts = {piece.index: piece for piece in reversed(pieces)}
    told = [
        (first.id, first.function.name, json.loads("".join(piece.function.arguments or "" for piece in pieces if piece.index == index)))
        for index, first in sorted(firsts.items())
    ]
    assert told == CALLS
    assert sum(piece.id is not None for piece in pieces) == 2
    assert chunks[-1].choices[0].finish_reason == "tool_calls"


async def test_tool_calls_through_the_helper(client: openai.AsyncOpenAI) -> None:
    """The accumulator, which is stricter than the decoder, puts them together."""
    async with client.chat.completions.stream(model="caller", messages=ASK, tools=TOOLS) as stream:
        completion = await stream.get_final_completion()
    made: list[Any] = list(completion.choices[0].message.tool_calls or ())
    assert [(call.id, call.function.name, json.loads(call.function.arguments)) for call in made] == CALLS


async def test_the_turn_after_a_tool_call(client: openai.AsyncOpenAI, scene: Scene) -> None:
    """The SDK's own message goes back as it came, with the results, and the member is told all of it."""
    first = await client.chat.completions.create(model="caller", messages=ASK, tools=TOOLS)
    results = [{"role": "tool", "tool_call_id": name, "content": "21"} for name, _, _ in CALLS]
    messages: Messages = [*ASK, first.choices[0].message, *results]
    second = await client.chat.completions.create(model="plain", messages=messages, tools=TOOLS)
    assert second.choices[0].message.content
    asked = scene.upstream.chats[-1].body["messages"]
    assert [message["role"] for message in asked] == ["user", "assistant", "tool", "tool"]
    assert [call["id"] for call in asked[1]["tool_calls"]] == [message["tool_call_id"] for message in asked[2:]]


async def test_thoughts_are_no_content(client: openai.AsyncOpenAI) -> None:
    """They come beside it, under both names that clients read."""
    message = (await client.chat.completions.create(model="thinker", messages=ASK)).choices[0].message.to_dict()
    assert (message["content"], message["reasoning_content"], message["reasoning"]) == ("4", "Hm, well.", "Hm, well.")
    deltas = [chunk.choices[0].delta.to_dict() for chunk in await chunks_of(client, "thinker")]
    assert "".join(delta.get("content") or "" for delta in deltas) == "4"
    assert "".join(delta.get("reasoning_content") or "" for delta in deltas) == "Hm, well."


async def test_an_answer_that_is_too_long(client: openai.AsyncOpenAI, scene: Scene) -> None:
    """Why it stops is said, under both of the limit's names, which the member is told."""
    for name in ("max_tokens", "max_completion_tokens"):
        completion = await client.chat.completions.create(model="long", messages=ASK, **{name: 2})  # type: ignore[call-overload]
        assert completion.choices[0].finish_reason == "length"
        assert scene.upstream.chats[-1].body["max_tokens"] == 2


async def test_models(client: openai.AsyncOpenAI) -> None:
    """Everything that can be asked is listed, and found by its name, slashes and all."""
    listed = [model.id async for model in client.models.list()]
    assert {"fusion", "fusion/default", "fusion/json", "plain", "gpt-4o", "lab/deep/model:latest"} <= set(listed)
    for name in ("fusion/json", "lab/deep/model:latest", "plain"):
        found = await client.models.retrieve(name)
        assert (found.id, found.object) == (name, "model")
    with pytest.raises(openai.NotFoundError):
        await client.models.retrieve("fusion/jason")


async def test_a_fusion_by_its_name(client: openai.AsyncOpenAI) -> None:
    """The next member takes over from one that fails, and a trace asked for through `extra_body` says so."""
    answer = await client.chat.completions.with_raw_response.create(model="fusion", messages=ASK, extra_body={"fusion": {"trace": True}})
    completion = answer.parse().to_dict()
    assert answer.headers["x-fusiond-degraded"] == "fallback,members"
    assert [(member["member"], member["status"]) for member in completion["fusion"]["members"]] == [("broken", "failed"), ("plain", "answered")]  # type: ignore[index]


@pytest.mark.parametrize("stream", [False, True], ids=["whole", "streamed"])
async def test_a_form_through_a_vote(client: openai.AsyncOpenAI, scene: Scene, *, stream: bool) -> None:
    """Two of three say the same in different words: their document wins, as JSON that keeps the schema, which every member was told."""
    before = len(scene.upstream.chats)
    if stream:
        said = "".join(chunk.choices[0].delta.content or "" for chunk in await chunks_of(client, "fusion/json", response_format=SCHEMA))
    else:
        completion = await client.chat.completions.create(model="fusion/json", messages=ASK, response_format=SCHEMA)
        said = completion.choices[0].message.content or ""
    assert json.loads(said) == {"city": "Rome", "degrees": 21}
    told = [chat.body["response_format"]["json_schema"]["schema"] for chat in scene.upstream.chats[before:]]
    assert told == [SCHEMA["json_schema"]["schema"]] * 3


async def test_a_form_as_a_class(client: openai.AsyncOpenAI) -> None:
    """The SDK's own `parse`, with a class whose schema is strict."""
    seen = await client.chat.completions.parse(model="fusion/json", messages=ASK, response_format=Seen)
    assert seen.choices[0].message.parsed == Seen(city="Rome", degrees=21)


async def test_developers_and_parts(client: openai.AsyncOpenAI, scene: Scene) -> None:
    """The `developer` role is taken, and content in parts of text is text."""
    messages: Messages = [
        {"role": "developer", "content": "Be brief."},
        {"role": "user", "content": [{"type": "text", "text": "Say "}, {"type": "text", "text": "something."}]},
    ]
    completion = await client.chat.completions.create(model="plain", messages=messages)
    assert completion.choices[0].message.content
    told = scene.upstream.chats[-1].body["messages"]
    assert told[0]["role"] in ("system", "developer")
    assert told[1] == {"role": "user", "content": "Say something."}


async def test_images_are_passed_on(client: openai.AsyncOpenAI, scene: Scene) -> None:
    """As the parts that they came in, in their order."""
    parts = [{"type": "text", "text": "What is it?"}, {"type": "image_url", "image_url": {"url": PIXEL, "detail": "low"}}]
    messages: Messages = [{"role": "user", "content": parts}]
    await client.chat.completions.create(model="plain", messages=messages)
    assert scene.upstream.chats[-1].body["messages"][0]["content"] == parts


async def test_a_model_that_is_not_there(client: openai.AsyncOpenAI) -> None:
    """`NotFoundError` with the nearest name, whole and streamed."""
    for stream in (False, True):
        with pytest.raises(openai.NotFoundError, match="did you mean 'plain'") as caught:
            await client.chat.completions.create(model="plian", messages=ASK, stream=stream)
        assert (caught.value.code, caught.value.param, caught.value.type) == ("model_not_found", "model", "invalid_request_error")


async def test_a_question_that_is_wrong(client: openai.AsyncOpenAI) -> None:
    """`BadRequestError` with the field."""
    with pytest.raises(openai.BadRequestError) as caught:
        await client.chat.completions.create(model="plain", messages=ASK, temperature="warm")  # type: ignore[call-overload]
    assert caught.value.param == "temperature"


async def test_members_that_fail(client: openai.AsyncOpenAI) -> None:
    """Before the first content a stream fails like a whole answer: `InternalServerError`, and each member's reason in the body."""
    for stream in (False, True):
        with pytest.raises(openai.InternalServerError) as caught:
            await client.chat.completions.create(model="broken", messages=ASK, stream=stream)
        assert caught.value.status_code == 502
        body: Any = caught.value.body
        assert body["members"]["broken"]["reason"] == "rejected"


async def test_a_stream_that_fails_in_the_middle(client: openai.AsyncOpenAI, scene: Scene) -> None:
    """What had come is there; then `APIError` with the reason, never a quiet end."""
    said: list[str] = []

    async def read() -> None:
        async with await client.chat.completions.create(model="cut", messages=ASK, stream=True) as stream:
            async for chunk in stream:
                said.append(chunk.choices[0].delta.content or "")
                scene.gate.set()

    with pytest.raises(openai.APIError) as caught:
        await read()
    assert "".join(said) == "Half of"
    assert caught.value.code == "truncated"


async def test_a_client_that_leaves_ends_the_call(client: openai.AsyncOpenAI, scene: Scene) -> None:
    """Closing the stream closes the connection to the member."""
    before = sum(chat.left is not None for chat in scene.upstream.chats if chat.model == "endless")
    async with await client.chat.completions.create(model="endless", messages=ASK, stream=True) as stream:
        async for chunk in stream:
            if chunk.choices[0].delta.content:
                break
    await scene.upstream.left(before + 1, "endless")


async def test_a_whole_answer_that_is_cancelled_ends_the_call(client: openai.AsyncOpenAI, scene: Scene) -> None:
    """The same where nothing had come yet."""
    left = sum(chat.left is not None for chat in scene.upstream.chats if chat.model == "silent")
    came = sum(chat.model == "silent" for chat in scene.upstream.chats)
    asking = asyncio.create_task(client.chat.completions.create(model="silent", messages=ASK))
    await scene.upstream.asked(came + 1, "silent")
    asking.cancel()
    await scene.upstream.left(left + 1, "silent")


async def test_a_timeout_of_the_client_ends_the_call(client: openai.AsyncOpenAI, scene: Scene) -> None:
    """The SDK's own `timeout`."""
    left = sum(chat.left is not None for chat in scene.upstream.chats if chat.model == "silent")
    with pytest.raises(openai.APITimeoutError):
        await client.chat.completions.create(model="silent", messages=ASK, timeout=0.1)
    await scene.upstream.left(left + 1, "silent")


async def test_a_daemon_that_is_busy_is_asked_again(tmp_path: Path) -> None:
    """503 with `Retry-After`: without retries an `InternalServerError`, with them the answer, once there is room."""
    gate, refused = asyncio.Event(), asyncio.Event()

    async def look(response: Any) -> None:
        """Whether the daemon has said that it is busy."""
        if response.status_code == 503:
            refused.set()

    upstream = OpenAIUpstream({"a": Script(Gate(gate), Say("hello"), Finish())})
    async with upstream, serving(*configured(tmp_path, f"max_requests = 1\nqueue = 0\n{lab(upstream.url, 'a')}")) as daemon:
        http = openai.DefaultAsyncHttpxClient(event_hooks={"response": [look]})
        async with openai.AsyncOpenAI(base_url=f"{daemon.url}/v1", api_key="not-needed", max_retries=0, http_client=http) as client:
            first = asyncio.create_task(client.chat.completions.create(model="a", messages=ASK))
            await upstream.asked()
            with pytest.raises(openai.InternalServerError) as caught:
                await client.chat.completions.create(model="a", messages=ASK)
            assert (caught.value.status_code, caught.value.code) == (503, "overloaded")
            assert 0 < float(caught.value.response.headers["retry-after"]) < 120
            assert caught.value.response.headers.get("x-should-retry") != "false"
            refused.clear()
            second = asyncio.create_task(client.with_options(max_retries=2).chat.completions.create(model="a", messages=ASK))
            await refused.wait()
            gate.set()
            assert [(await task).choices[0].message.content for task in (first, second)] == ["hello", "hello"]
