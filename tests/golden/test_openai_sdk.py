"""The official OpenAI SDK reads what the encoder writes, over a real connection."""

from __future__ import annotations

import re
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from decimal import Decimal

import openai
import pytest
from aiohttp import web
from openai.types.chat import ChatCompletionChunk

from fusiond.chat import Overrides, Request
from fusiond.errors import AllFailed, BadRequest, FusiondError, Truncated
from fusiond.events import Event, Finished, Text, Thinking, ToolCall, fold
from fusiond.report import Report, Totals
from fusiond.wire.openai_answer import KEEP_ALIVE, Encoder, whole
from fusiond.wire.openai_errors import envelope

REQUEST = Request(id="r1", model="fusion", messages=(), include_usage=True, overrides=Overrides(trace=True))
REPORT = Report(strategy="vote", prompt_tokens=7, completion_tokens=2, totals=Totals(calls=3), cost_usd=Decimal("0.01"))
SAID: Sequence[Event] = (
    Thinking(member="qwen", text="hm"),
    Text(member="qwen", text="Ro"),
    Text(member="qwen", text="me\u2028\x85\n\n"),
    ToolCall(member="qwen", index=0, name="weather", arguments='{"city":'),
    ToolCall(member="qwen", index=0, arguments='"Rome"}'),
)


@asynccontextmanager
async def answering(body: bytes, status: int = 200, content_type: str = "application/json") -> AsyncIterator[openai.AsyncOpenAI]:
    """An SDK client whose server answers everything with these bytes."""

    async def answer(_: web.Request) -> web.Response:
        return web.Response(body=body, status=status, content_type=content_type)

    app = web.Application()
    app.router.add_post("/v1/chat/completions", answer)
    runner = web.AppRunner(app)
    await runner.setup()
    try:
        await web.TCPSite(runner, "127.0.0.1", 0).start()
        port = runner.addresses[0][1]
        async with openai.AsyncOpenAI(base_url=f"http://127.0.0.1:{port}/v1", api_key="-", max_retries=0) as client:
            yield client
    finally:
        await runner.cleanup()


async def streamed(client: openai.AsyncOpenAI, chunks: list[ChatCompletionChunk]) -> None:
    """Ask for a stream and keep each chunk as it comes."""
    async with await client.chat.completions.create(model="fusion", messages=[], stream=True) as stream:
        async for chunk in stream:
            chunks.append(chunk)  # noqa: PERF401, what came before an error is looked at too


async def test_a_stream() -> None:
    """Text, thoughts, tool calls, reason, trace and usage arrive unharmed, with comments in between."""
    encoder = Encoder(REQUEST, 1_790_000_000)
    body = KEEP_ALIVE.join(map(encoder.event, SAID)) + encoder.end("tool_calls", REPORT)
    chunks: list[ChatCompletionChunk] = []
    async with answering(body, content_type="text/event-stream") as client:
        await streamed(client, chunks)
    deltas = [chunk.choices[0].delta for chunk in chunks if chunk.choices]
    pieces = [piece for delta in deltas for piece in delta.tool_calls or ()]
    assert deltas[0].role == "assistant"
    assert "".join(delta.content or "" for delta in deltas) == "Rome\u2028\x85\n\n"
    assert "".join(getattr(delta, "reasoning_content", "") for delta in deltas) == "hm"
    assert "".join(piece.function.arguments or "" for piece in pieces if piece.function) == '{"city":"Rome"}'
    assert (pieces[0].id, {piece.index for piece in pieces}) == ("call_r1_0", {0})
    assert [chunk.choices[0].finish_reason for chunk in chunks if chunk.choices][-2:] == [None, "tool_calls"]
    assert {(chunk.id, chunk.created, chunk.model) for chunk in chunks} == {("chatcmpl-r1", 1_790_000_000, "fusion")}
    assert [chunk.usage.total_tokens for chunk in chunks if chunk.usage] == [9]
    assert [chunk.to_dict()["fusion"] for chunk in chunks if "fusion" in chunk.to_dict()]


async def test_a_stream_put_together_by_the_sdk() -> None:
    """The SDK's own accumulator, which is stricter than its decoder, ends with the whole message."""
    encoder = Encoder(REQUEST, 1)
    body = b"".join(map(encoder.event, SAID)) + encoder.end("tool_calls", REPORT)
    async with answering(body, content_type="text/event-stream") as client, client.chat.completions.stream(model="fusion", messages=[]) as stream:
        completion = await stream.get_final_completion()
    message = completion.choices[0].message
    assert (message.role, message.content) == ("assistant", "Rome\u2028\x85\n\n")
    assert message.tool_calls
    assert message.tool_calls[0].function.arguments == '{"city":"Rome"}'


async def test_a_stream_that_fails() -> None:
    """The SDK raises what the error event says, after the pieces that came before it."""
    encoder = Encoder(REQUEST, 1)
    body = encoder.event(SAID[1]) + encoder.failure(Truncated("the stream stopped"))
    chunks: list[ChatCompletionChunk] = []
    async with answering(body, content_type="text/event-stream") as client:
        with pytest.raises(openai.APIError, match="the stream stopped") as caught:
            await streamed(client, chunks)
    assert (caught.value.code, caught.value.type, caught.value.param) == ("truncated", "upstream_error", None)
    assert [chunk.choices[0].delta.content for chunk in chunks] == ["", "Ro"]


async def test_a_whole_answer() -> None:
    """The SDK's completion has every part."""
    body = whole(REQUEST, 1, fold([*SAID, Finished(member="qwen", reason="tool_calls")]), REPORT)
    async with answering(body) as client:
        completion = await client.chat.completions.create(model="fusion", messages=[])
    assert completion.choices[0].finish_reason == "tool_calls"
    assert completion.choices[0].message.content == "Rome\u2028\x85\n\n"
    assert completion.usage
    assert completion.usage.to_dict()["cost"] == 0.01
    assert completion.to_dict()["fusion"]


@pytest.mark.parametrize(
    ("error", "raised"),
    [
        (BadRequest("messages is required", param="messages"), openai.BadRequestError),
        (AllFailed({"qwen": Truncated("the stream stopped")}), openai.InternalServerError),
    ],
    ids=["bad request", "all failed"],
)
async def test_an_error(error: FusiondError, raised: type[openai.APIStatusError]) -> None:
    """The SDK raises the class of the status, with our four keys."""
    async with answering(envelope(error, "r1"), status=error.status) as client:
        with pytest.raises(raised, match=re.escape(error.message)) as caught:
            await client.chat.completions.create(model="fusion", messages=[])
    assert (caught.value.code, caught.value.type, caught.value.param) == (error.code, error.type, error.param)
