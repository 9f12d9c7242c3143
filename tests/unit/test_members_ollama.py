"""Ollama by its own API, against a scripted one: loads, answers, faults, and what its lists tell."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable, Coroutine
from contextlib import aclosing
from typing import Any

import pytest

from fusiond.call import Call as Asked
from fusiond.catalog import ModelFacts
from fusiond.chat import FunctionCall
from fusiond.config.tree import OllamaConfig
from fusiond.errors import ContextTooSmall, Empty, Garbled, MemberError, Rejected, TimedOut, Truncated, Unreachable
from fusiond.events import Event, Finished, Text, Thinking, Usage, fold
from fusiond.members import ollama
from fusiond.members.listen import listen
from fusiond.members.ollama import Ollama
from fusiond.members.residency import Residency
from tests import asking
from tests.asking import collected, failure, heard, soon
from tests.upstreams.ollama import Model, OllamaUpstream
from tests.upstreams.script import (
    Call,
    Close,
    Drip,
    ErrorChunk,
    Finish,
    Flood,
    Gate,
    Hang,
    Html,
    Raw,
    Reset,
    Say,
    Script,
    Status,
    Step,
    Think,
)
from tests.upstreams.script import Usage as Used

WINDOW = 4096
ANSWER = Script(Say("4"), Finish())

Make = Callable[..., Ollama]


@pytest.fixture
async def server() -> AsyncIterator[Make]:
    """Makes the provider of an upstream. With the test its connections and loads are over; none of either may be left."""
    made: list[Ollama] = []
    loads: list[asyncio.Task[None]] = []

    def spawn(work: Coroutine[Any, Any, None]) -> asyncio.Task[None]:
        loads.append(asyncio.create_task(work))
        return loads[-1]

    def make(upstream: OllamaUpstream, **config: Any) -> Ollama:
        made.append(Ollama(OllamaConfig(api="ollama", url=upstream.url, **config), Residency(spawn)))
        return made[-1]

    yield make
    assert all(load.done() for load in loads)
    for each in made:
        connector = each._link.session.connector
        assert connector is not None
        assert not connector._acquired
        await each.aclose()


def call(**facts: Any) -> Asked:
    """A question to the model `a` with the window that the scripted server usually has."""
    return asking.call(**{"context": WINDOW, "api": "ollama", "first_token_seconds": 0.3, "stall_seconds": 0.3, **facts})


def asked_for(provider: Ollama, asked: Asked) -> asyncio.Task[Any]:
    """Somebody who asks."""
    return asyncio.create_task(heard(provider, asked))


async def test_an_answer(server: Make) -> None:
    """Thoughts, pieces, calls, usage, the end; asked as it has to be."""
    event = asyncio.Event()
    script = Script(Think("hm"), Say("The answer"), Gate(event), Say(" is 4"), Call(0, "c1", "add", '{"a": 1}'), Finish(), Used(9, 3))
    async with OllamaUpstream({"a": script}, loaded=["a"]) as upstream:
        events: list[Event] = []
        async for said in listen(server(upstream), call()):
            events.append(said)
            event.set()
        (chat,) = upstream.chats
    assert events[:3] == [Thinking(member="a", text="hm"), Text(member="a", text="The answer"), Text(member="a", text=" is 4")]
    assert events[4:] == [Usage(member="a", prompt_tokens=9, completion_tokens=3), Finished(member="a", reason="tool_calls")]
    assert {name: chat.body[name] for name in ("stream", "truncate", "shift", "keep_alive", "options")} == {
        "stream": True,
        "truncate": False,
        "shift": False,
        "keep_alive": "5m",
        "options": {"num_ctx": WINDOW},
    }
    assert fold(events).tool_calls == (FunctionCall(id="c1", name="add", arguments='{"a": 1}'),)


async def test_one_byte_at_a_time(server: Make) -> None:
    """However it is cut, also in the middle of a letter."""
    async with OllamaUpstream({"a": Script(Drip(), Say("häßlich"), Finish())}, loaded=["a"]) as upstream:
        assert (await heard(server(upstream), call())).text == "häßlich"


@pytest.mark.parametrize(
    ("steps", "kind", "words"),
    [
        pytest.param([Status(500)], Rejected, "HTTP 500: scripted status 500", id="an error of its own"),
        pytest.param([Status(503, {"error": "server busy, please try again"})], Rejected, "server busy", id="busy"),
        pytest.param([Status(400, {"error": "the prompt exceeds the context length"})], ContextTooSmall, "context length", id="too long"),
        pytest.param([Status(200, {"error": "no"})], Rejected, "no", id="an error in a 200"),
        pytest.param([Say("4"), ErrorChunk("llama runner process has terminated")], Rejected, "terminated", id="an error in the middle"),
        pytest.param([Html()], Garbled, "an HTML page", id="a page"),
        pytest.param([Finish()], Empty, "without a word", id="empty"),
        pytest.param([Think("hm"), Finish("length")], Empty, "until its tokens", id="only thoughts"),
        pytest.param([], Truncated, "without its last line", id="an empty stream"),
        pytest.param([Say("4")], Truncated, "without its last line", id="cut between two lines"),
        pytest.param([Say("4"), Raw('{"mess')], Garbled, "not JSON", id="cut in a line"),
        pytest.param([Say("4"), Close()], Truncated, "broke in the middle", id="closed"),
        pytest.param([Say("4"), Reset()], Truncated, "broke in the middle", id="reset"),
        pytest.param([Reset()], Unreachable, "no connection", id="reset at once"),
        pytest.param([Hang()], TimedOut, "no first token", id="hangs at once"),
        pytest.param([Say("4"), Hang()], TimedOut, "in the middle", id="hangs in the middle"),
        pytest.param([Raw("garbage\n"), Finish()], Garbled, "not JSON", id="garbage"),
        pytest.param([Flood(100_000_000)], Garbled, "a line of more than", id="100 MB without a line break"),
    ],
)
async def test_what_is_no_answer(server: Make, steps: list[Step], kind: type[MemberError], words: str) -> None:
    """Each fault has its own error; the connection is closed, and the slot is free."""
    async with OllamaUpstream({"a": [Script(*steps), ANSWER]}, loaded=["a"]) as upstream:
        provider = server(upstream)
        error = failure(await heard(provider, call()))
        await upstream.idle()
        assert (await heard(provider, call())).complete
    assert type(error) is kind, error
    assert words in error.message


async def test_a_last_line_without_its_end(server: Make) -> None:
    """It counts."""
    last = '{"message": {"content": ""}, "done": true, "done_reason": "stop"}'
    async with OllamaUpstream({"a": Script(Say("4"), Raw(last))}, loaded=["a"]) as upstream:
        assert (await heard(server(upstream), call())).complete


async def test_a_model_that_is_not_there(server: Make) -> None:
    """The server's own words, whether it was to be loaded or not."""
    async with OllamaUpstream({"a": ANSWER}) as upstream:
        error = failure(await heard(server(upstream), call(model="b")))
    assert isinstance(error, Rejected)
    assert (error.upstream_status, error.message) == (404, "HTTP 404: model 'b' not found")


async def test_a_cold_model_is_loaded_once_for_all(server: Make) -> None:
    """By the daemon's own request, with the window of the questions; these wait for it, longer than for a first token."""
    event = asyncio.Event()
    async with OllamaUpstream({"a": ANSWER}, load=Script(Gate(event))) as upstream:
        provider = server(upstream, parallel=3)
        assert provider.state(call().member) == "cold"
        several = [asked_for(provider, call(first_token_seconds=0.2)) for _ in range(3)]
        await upstream.until(lambda: len(upstream.loads) == 1)
        assert (provider.state(call().member), upstream.chats) == ("loading", [])
        late = asyncio.get_running_loop().time() + 0.3
        await upstream_quiet(late)
        event.set()
        assert all([(await soon(task)).complete for task in several])
        assert [(load.window, load.state) for load in upstream.loads] == [(WINDOW, "loaded")]
        assert provider.state(call().member) == "ready"


async def upstream_quiet(until: float) -> None:
    """Let the loop's clock pass *until*: longer than any patience of the test."""
    loop = asyncio.get_running_loop()
    passed = loop.create_future()
    loop.call_at(until, passed.set_result, None)
    await passed


async def test_leaving_does_not_stop_the_load(server: Make) -> None:
    """A client that leaves during the load leaves it running, and the next one finds the model loaded."""
    event = asyncio.Event()
    async with OllamaUpstream({"a": ANSWER}, load=Script(Gate(event))) as upstream:
        provider = server(upstream)
        gone = asked_for(provider, call())
        await upstream.until(lambda: len(upstream.loads) == 1)
        gone.cancel()
        await asyncio.wait([gone])
        waiting = asked_for(provider, call())
        event.set()
        assert (await soon(waiting)).complete
        assert [load.state for load in upstream.loads] == ["loaded"]


async def test_a_deadline_during_the_load(server: Make) -> None:
    """The member was late, and says why; the load goes on."""
    event = asyncio.Event()
    async with OllamaUpstream({"a": ANSWER}, load=Script(Gate(event))) as upstream:
        provider = server(upstream)
        error = failure(await heard(provider, call(deadline=asyncio.get_running_loop().time() + 0.2)))
        assert isinstance(error, TimedOut)
        assert "still being loaded" in error.message
        event.set()
        assert (await heard(provider, call())).complete
        assert [load.state for load in upstream.loads] == ["loaded"]


async def test_a_load_that_fails(server: Make) -> None:
    """Everybody who waited is told the server's reason, and the next one tries again."""
    failing = Script(Status(500, {"error": "model requires more system memory"}))
    async with OllamaUpstream({"a": ANSWER}, load=failing) as upstream:
        provider = server(upstream, parallel=2)
        several = [asked_for(provider, call()) for _ in range(2)]
        for task in several:
            error = failure(await soon(task))
            assert "model requires more system memory" in error.message
        upstream.load = Script()
        assert (await heard(provider, call())).complete


async def test_another_window_is_another_load(server: Make) -> None:
    """A model that is in memory with another window is loaded by the daemon, not under a question's patience."""
    async with OllamaUpstream({"a": ANSWER}, loaded=["a"]) as upstream:
        provider = server(upstream)
        assert (await heard(provider, call())).complete
        assert upstream.loads == []
        assert (await heard(provider, call(context=2048))).complete
        assert [load.window for load in upstream.loads] == [2048]
        assert {chat.body["options"]["num_ctx"] for chat in upstream.chats} == {WINDOW, 2048}


async def test_one_at_a_time(server: Make) -> None:
    """As many as the server runs at once for one model; names with and without their tag are the same model."""
    async with OllamaUpstream({"a": ANSWER, "b": ANSWER}, loaded=["a", "b"]) as upstream:
        provider = server(upstream)
        several = [asked_for(provider, call(model=name)) for name in ("a", "a:latest", "a", "a:latest")]
        assert all([(await soon(task)).complete for task in several])
        assert upstream.streams.most == 1


async def test_leaving_closes_the_connection(server: Make) -> None:
    """Who stops listening is seen to leave at once, and the slot is free."""
    async with OllamaUpstream({"a": [Script(Say("4"), Hang()), ANSWER]}, loaded=["a"]) as upstream:
        provider = server(upstream)
        async with aclosing(listen(provider, call())) as events:
            await anext(events)
        await upstream.left()
        assert (await heard(provider, call())).complete


async def test_a_connection_serves_again(server: Make) -> None:
    """After a complete answer the next question comes over the same connection."""
    async with OllamaUpstream({"a": ANSWER}, loaded=["a"]) as upstream:
        provider = server(upstream)
        for _ in range(3):
            assert (await heard(provider, call())).complete
            await upstream.idle()
        assert (len(upstream.chats), upstream.connections.most) == (3, 1)


async def test_no_key_and_no_proxy(server: Make, monkeypatch: pytest.MonkeyPatch) -> None:
    """The key for Ollama's own cloud goes to nobody, neither with a question nor with a look, and nothing takes a way through a proxy."""
    monkeypatch.setenv("OLLAMA_API_KEY", "secret-of-the-cloud")
    async with OllamaUpstream({}) as proxy, OllamaUpstream({"a": ANSWER}) as upstream:
        for name in ("HTTP_PROXY", "http_proxy", "ALL_PROXY", "all_proxy"):
            monkeypatch.setenv(name, proxy.url)
        for name in ("NO_PROXY", "no_proxy"):
            monkeypatch.delenv(name, raising=False)
        provider = server(upstream)
        assert (await provider.discover()).error is None
        assert (await heard(provider, call())).complete
        assert proxy.requests == []
        assert {request.path for request in upstream.requests} == {"/api/tags", "/api/ps", "/api/show", "/api/chat"}
        assert all("authorization" not in request.headers for request in upstream.requests)


async def test_redirects_are_refused(server: Make) -> None:
    """A prompt goes to the configured address and nowhere else, and so do questions about models."""
    async with OllamaUpstream({"a": ANSWER}) as other:
        moved = {path: Script(Status(307, "", {"Location": other.url + path})) for path in ("/api/tags", "/api/ps", "/api/show")}
        async with OllamaUpstream({"a": Script(Status(307, "", {"Location": f"{other.url}/api/chat"}))}, loaded=["a"]) as upstream:
            provider = server(upstream)
            error = failure(await heard(provider, call()))
            upstream.pages.update(moved)
            facts = await provider.discover()
        assert other.requests == []
    assert "redirects are not followed" in error.message
    assert facts.error


MODELS = {
    "qwen3:8b": Model(family="qwen3", parameters=8_190_735_360, size=5_200_000_000, context=40960, capabilities=("completion", "tools", "thinking")),
    "llava": Model(family="llama", capabilities=("completion", "vision")),
    "embed:latest": Model(family="bert", capabilities=("embedding",)),
    "gpt-oss:120b-cloud": Model(family="gptoss", remote="https://ollama.com:443"),
    "my-own-name": Model(family="gptoss", remote="https://ollama.com:443"),
}


async def test_discovery(server: Make) -> None:
    """Everything that the server tells of each model, under the name that people use."""
    async with OllamaUpstream({}, models=MODELS, loaded=["llava"]) as upstream:
        provider = server(upstream)
        facts = await provider.discover()
    assert facts.error is None
    assert facts.models["qwen3:8b"] == ModelFacts(
        model="qwen3:8b",
        place="local",
        family="qwen3",
        size=8.19073536,
        bytes=5_200_000_000,
        context=40960,
        reasoning=True,
        tools=True,
        vision=False,
        chat=True,
        loaded=False,
    )
    llava = facts.models["llava"]
    assert (llava.vision, llava.loaded, llava.reasoning, llava.tools) == (True, True, False, False)
    assert not facts.models["embed"].chat
    assert provider.state(asking.member(model="llava", context=WINDOW)) == "ready"
    assert provider.state(asking.member(model="qwen3:8b", context=WINDOW)) == "cold"


async def test_models_of_the_cloud_are_remote(server: Make) -> None:
    """Whatever their name, since a prompt to them leaves this machine; those that are not stay where the server is."""
    async with OllamaUpstream({}, models=MODELS) as upstream:
        facts = await server(upstream).discover()
        elsewhere = {name for name, said in facts.models.items() if said.place == "remote"}
        assert elsewhere == {"gpt-oss:120b-cloud", "my-own-name"}
        near = await server(upstream, place="lan").discover()
        assert near.models["qwen3:8b"].place == "lan"
        assert near.models["my-own-name"].place == "remote"


async def test_a_remote_model_is_not_loaded(server: Make) -> None:
    """It is ready, and asked at once."""
    async with OllamaUpstream({"my-own-name": ANSWER}, models=MODELS) as upstream:
        provider = server(upstream)
        asked = call(model="my-own-name", place="remote")
        assert provider.state(asked.member) == "ready"
        assert (await heard(provider, asked)).complete
        assert {request.path for request in upstream.requests} == {"/api/chat"}


async def test_details_are_asked_once(server: Make) -> None:
    """A second look asks for those of new models only."""
    async with OllamaUpstream({"a": ANSWER, "b": ANSWER}) as upstream:
        provider = server(upstream)
        await provider.discover()
        upstream.pull("c", ANSWER)
        facts = await provider.discover()
        shown = [request.body["model"] for request in upstream.requests if request.path == "/api/show"]
    assert shown == ["a:latest", "b:latest", "c:latest"]
    assert set(facts.models) == {"a", "b", "c"}


@pytest.mark.parametrize("path", ["/api/tags", "/api/ps", "/api/show"])
@pytest.mark.parametrize(
    "steps",
    [[Status(500)], [Status(500, [1])], [Status(200, [1])], [Status(200, {"models": 4})], [Html()], [Raw("[" * 100_000)], [Reset()]],
    ids=["500", "500 with a list", "a list", "a number of models", "a page", "a deep list", "a reset"],
)
async def test_odd_lists_do_not_raise(server: Make, path: str, steps: list[Step]) -> None:
    """A server that tells nothing sensible is a fact."""
    async with OllamaUpstream({"a": ANSWER}) as upstream:
        upstream.pages[path] = Script(*steps)
        facts = await server(upstream).discover()
    assert facts.error or facts.models.keys() <= {"a"}


async def test_nobody_there(server: Make) -> None:
    """The error names the address."""
    async with OllamaUpstream({}) as upstream:
        provider = server(upstream)
    facts = await provider.discover()
    assert facts.error is not None
    assert facts.error.startswith(f"{upstream.url}: ")
    error = failure(await heard(provider, call()))
    assert isinstance(error, Unreachable)


async def test_a_list_of_what_is_loaded_that_does_not_come(server: Make, monkeypatch: pytest.MonkeyPatch) -> None:
    """It is waited for for a while, and no longer than the request has."""
    monkeypatch.setattr(ollama, "LOOK_SECONDS", 0.2)
    async with OllamaUpstream({"a": ANSWER}) as upstream:
        upstream.pages["/api/ps"] = Script(Hang())
        provider = server(upstream)
        assert isinstance(failure(await heard(provider, call())), TimedOut)
        monkeypatch.setattr(ollama, "LOOK_SECONDS", 60)
        assert isinstance(failure(await heard(provider, call(deadline=asyncio.get_running_loop().time() + 0.2))), TimedOut)
        await upstream.idle()


async def test_voices(server: Make) -> None:
    """Every event has the voice of its call."""
    async with OllamaUpstream({"a": Script(Think("hm"), Say("4"), Call(0, "c", "f", "{}"), Finish())}, loaded=["a"]) as upstream:
        events = await collected(listen(server(upstream), call(voice="a#2")))
    assert {event.member for event in events} == {"a#2"}
