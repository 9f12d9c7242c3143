"""OpenRouter, against a scripted one: the question with its preferences, its stream and errors, and its price list."""

from __future__ import annotations

from collections.abc import AsyncIterator, Callable
from decimal import Decimal
from pathlib import Path
from typing import Any

import pytest

from fusiond.catalog import ModelFacts
from fusiond.chat import Format, FunctionCall, Sampling, Tool
from fusiond.config.secret import Secret
from fusiond.config.tree import OpenRouterConfig
from fusiond.errors import ContextTooSmall, MemberError, Rejected, Truncated, Unwilling
from fusiond.events import Usage
from fusiond.members.openrouter import OpenRouter, question
from fusiond.members.openrouter_list import KeptList
from fusiond.tariff import Tariff
from tests import asking
from tests.asking import call, failure, heard
from tests.upstreams.openrouter import Listing, OpenRouterUpstream
from tests.upstreams.script import Call, Close, Comment, Drip, ErrorChunk, Finish, Hang, Html, Reset, Say, Script, Status, Step, Think
from tests.upstreams.script import Usage as Used

SECRET = "sk-or-v1-0123456789abcdef"
KEY = Secret(env="OPENROUTER_API_KEY")
CONFIG = OpenRouterConfig(api="openrouter", api_key=KEY)
ANSWER = Script(Say("4"), Finish())

Make = Callable[..., OpenRouter]


@pytest.fixture
async def router(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> AsyncIterator[Make]:
    """Makes the provider of an upstream, with a key; its connections are closed with the test, and none may be in use."""
    monkeypatch.setenv("OPENROUTER_API_KEY", SECRET)
    made: list[OpenRouter] = []

    def make(upstream: OpenRouterUpstream, **config: Any) -> OpenRouter:
        kept = KeptList(tmp_path / "kept" / "list.json")
        wanted = OpenRouterConfig(**{"api": "openrouter", "url": upstream.url, "api_key": KEY, **config})
        made.append(OpenRouter(wanted, wanted.api_key.read() if wanted.api_key else None, kept))
        return made[-1]

    yield make
    for each in made:
        connector = each._link.session.connector
        assert connector is not None
        assert not connector._acquired
        await each.aclose()


async def test_a_stream(router: Make) -> None:
    """Comments are nothing, thoughts come once although they are told twice, and the last chunk has usage and cost."""
    script = Script(Comment("OPENROUTER PROCESSING"), Think("hm"), Say("4"), Call(0, "c1", "add", "{}"), Finish("tool_calls"), Used(12, 5, 0.00031))
    async with OpenRouterUpstream({"a": script}) as upstream:
        transcript = await heard(router(upstream))
        (chat,) = upstream.chats
    assert (transcript.thinking, transcript.text, transcript.complete) == ("hm", "4", True)
    assert transcript.tool_calls == (FunctionCall(id="c1", name="add", arguments="{}"),)
    assert transcript.usage == Usage(member="a", prompt_tokens=12, completion_tokens=5, cost=Decimal("0.00031"))
    assert (chat.headers["authorization"], chat.headers["x-openrouter-title"]) == (f"Bearer {SECRET}", "fusiond")


async def test_one_byte_at_a_time(router: Make) -> None:
    """Comments cut into pieces are still comments."""
    async with OpenRouterUpstream({"a": Script(Drip(), Say("4"), Finish())}) as upstream:
        assert (await heard(router(upstream))).text == "4"


RAW = {"raw": '{"error":"Rate limit reached"}', "provider_name": "X"}


@pytest.mark.parametrize(
    ("steps", "kind", "status", "words"),
    [
        pytest.param([Status(429, {"error": {"code": 429, "message": "slow"}})], Rejected, 429, "slow", id="429"),
        pytest.param([Status(402, {"error": {"code": 402, "message": "credits"}})], Rejected, 402, "credits", id="402"),
        pytest.param([Status(200, {"error": {"code": 502, "message": "down"}})], Rejected, 502, "down", id="in a 200"),
        pytest.param([Say("4"), ErrorChunk("down", 503)], Rejected, 503, "down", id="in the middle"),
        pytest.param([ErrorChunk("down", "server_error")], Rejected, None, "down", id="with a word as its code"),
        pytest.param([ErrorChunk("Provider returned error", 429, RAW)], Rejected, 429, "error: {.*Rate limit", id="with a cause"),
        pytest.param([Status(400, {"error": {"code": 400, "message": "maximum context length is 9"}})], ContextTooSmall, None, "", id="context"),
        pytest.param([Html(524)], Rejected, 524, "HTTP 524", id="an edge's page"),
        pytest.param([Say("4"), Close()], Truncated, None, "broke in the middle", id="cut"),
        pytest.param([Say("4")], Truncated, None, "without its end", id="no end"),
    ],
)
async def test_errors(router: Make, steps: list[Step], kind: type[MemberError], status: int | None, words: str) -> None:
    """By their kind, with the provider's own status, and the cause behind the gateway's words."""
    async with OpenRouterUpstream({"a": Script(*steps)}) as upstream:
        error = failure(await heard(router(upstream)))
    assert type(error) is kind
    assert getattr(error, "upstream_status", None) == status
    with pytest.raises(MemberError, match=words or None):
        raise error


async def test_the_key_is_never_told(router: Make) -> None:
    """Not even where the provider says it back."""
    told = {"error": {"message": f"Invalid key {SECRET}", "metadata": {"raw": f"Authorization: Bearer {SECRET}"}}}
    async with OpenRouterUpstream({"a": [Script(Status(401, told)), Script(Status(200, told)), Script(Status(401, f"Bearer {SECRET}"))]}) as upstream:
        provider = router(upstream)
        for _ in range(3):
            error = failure(await heard(provider))
            assert SECRET[6:] not in error.message
            assert "[secret]" in error.message


@pytest.mark.parametrize("key", [Secret(env="NOT_SET"), Secret(file="/nonexistent"), Secret(credential="absent"), None], ids=str)
async def test_without_a_key_nobody_is_asked(router: Make, key: Secret | None) -> None:
    """Neither for an answer nor for the list; the reason names where the key is looked for."""
    async with OpenRouterUpstream({"a": ANSWER}) as upstream:
        provider = router(upstream, api_key=key)
        error = failure(await heard(provider))
        facts = await provider.discover()
        assert upstream.requests == []
    assert isinstance(error, Unwilling)
    assert facts.error == error.message
    assert "no API key" in error.message
    assert key is None or (key.env or key.file or key.credential or "?") in error.message


async def test_a_key_from_a_file(router: Make, tmp_path: Path) -> None:
    """Without the line break that editors add."""
    (tmp_path / "key").write_text("k1\n")
    (tmp_path / "key").chmod(0o600)
    async with OpenRouterUpstream({"a": ANSWER}) as upstream:
        assert (await heard(router(upstream, api_key=Secret(file=str(tmp_path / "key"))))).complete
        assert upstream.chats[0].headers["authorization"] == "Bearer k1"


def test_the_question() -> None:
    """Nothing may be left out of the prompt to make it fit; effort by OpenRouter's own name."""
    asked = question(call(asking.question(sampling=Sampling(reasoning_effort="low", max_tokens=7))), CONFIG)
    assert asked["plugins"] == [{"id": "context-compression", "enabled": False}]
    assert (asked["reasoning"], asked["max_tokens"], "reasoning_effort" in asked, "provider" in asked) == ({"effort": "low"}, 7, False, False)


def test_preferences() -> None:
    """As the configuration has them."""
    config = OpenRouterConfig(api="openrouter", order=("x", "y"), only=("x",), ignore=(), data_collection="deny", zdr=True, quantizations=("fp8",))
    wanted = {"order": ["x", "y"], "only": ["x"], "ignore": [], "data_collection": "deny", "zdr": True, "quantizations": ["fp8"]}
    assert question(call(), config)["provider"] == wanted
    assert question(call(asking.question(tools=(Tool(name="now"),))), config)["provider"] == {**wanted, "require_parameters": True}


@pytest.mark.parametrize("fields", [{"tools": (Tool(name="now"),)}, {"format": Format(kind="json_object")}, {"sampling": Sampling(seed=1)}])
def test_what_matters_must_be_honoured(fields: dict[str, Any]) -> None:
    """OpenRouter would leave it out in silence."""
    assert question(call(asking.question(**fields)), CONFIG)["provider"] == {"require_parameters": True}


async def test_the_price_list(router: Make) -> None:
    """USD a million tokens, exactly; what is known of each model beside it."""
    listings = {
        "x/small": Listing(
            prompt="0.00000015", completion="0.0000006", context=4096, parameters=("tools", "reasoning"), modalities=("text", "image")
        ),
        "x/free": Listing(prompt="0", completion="0", parameters=()),
        "openrouter/auto": Listing(prompt="-1", completion="-1"),
        "x/odd": Listing(prompt="cheap"),
        "x/endless": Listing(prompt="Infinity"),
    }
    async with OpenRouterUpstream(dict.fromkeys(listings, ANSWER), listings=listings) as upstream:
        facts = await router(upstream).discover()
    assert facts.error is None
    assert facts.models["x/small"] == ModelFacts(
        model="x/small",
        place="remote",
        context=4096,
        reasoning=True,
        tools=True,
        vision=True,
        tariff=Tariff.per_million(Decimal("0.15"), Decimal("0.6")),
    )
    free = facts.models["x/free"].tariff
    assert free
    assert free.free
    assert [facts.models[name].tariff for name in ("openrouter/auto", "x/odd", "x/endless")] == [None, None, None]
    assert (facts.models["x/free"].tools, facts.models["x/free"].reasoning, facts.models["x/free"].vision) == (False, False, False)


async def test_odd_entries_do_not_spoil_the_list(router: Make) -> None:
    """Each is left out, or what is odd in it is unknown."""
    odd: list[object] = [
        4,
        None,
        {"id": 7},
        {},
        {"id": "a", "supported_parameters": 4, "architecture": 4, "pricing": 4, "context_length": "many"},
        {"id": "b", "supported_parameters": None, "architecture": {"input_modalities": 4}, "pricing": {"prompt": []}},
        {"id": "c", "pricing": {"prompt": "0.000001", "completion": "0.000001"}},
    ]
    async with OpenRouterUpstream({}) as upstream:
        upstream.pages["/api/v1/models"] = Script(Status(200, {"data": odd}))
        facts = await router(upstream).discover()
    assert facts.error is None
    assert [(name, said.tariff, said.context) for name, said in facts.models.items()] == [
        ("a", None, None),
        ("b", None, None),
        ("c", Tariff.per_million(Decimal(1), Decimal(1)), None),
    ]


@pytest.mark.parametrize("steps", [[Status(401)], [Html()], [Reset()], [Status(302, "", {"Location": "/"})]], ids=str)
async def test_no_list(router: Make, steps: list[Step]) -> None:
    """An error is a fact, and does not raise."""
    async with OpenRouterUpstream({}) as upstream:
        upstream.pages["/api/v1/models"] = Script(*steps)
        facts = await router(upstream).discover()
    assert facts.models == {}
    assert facts.error
    assert facts.error.startswith("no price list: ")


async def test_a_list_that_does_not_come(router: Make, monkeypatch: pytest.MonkeyPatch) -> None:
    """It is waited for for a while."""
    monkeypatch.setattr("fusiond.members.openrouter.LIST_SECONDS", 0.1)
    async with OpenRouterUpstream({}) as upstream:
        upstream.pages["/api/v1/models"] = Script(Hang())
        facts = await router(upstream).discover()
        await upstream.gone()
    assert facts.error
