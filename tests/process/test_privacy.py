"""Privacy as others on the network see it: for a question that must not leave, not even a connection is made beyond where it may go."""

from __future__ import annotations

import base64
import io
import json
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import aiohttp
import pytest

from tests.faults.conftest import running
from tests.serving import chunks, question
from tests.upstreams.openai import OpenAIUpstream
from tests.upstreams.script import Finish, Say, Script, Wait

YES = Script(Say("Yes."), Finish())
SLOWER = Script(Wait(0.1), Say("Yes."), Finish())  # so that nobody's vote is settled before all are asked
FREE = "price = { input = 0, output = 0 }\n"
KEY = "-----BEGIN RSA PRIVATE KEY-----\nMIIB\n-----END RSA PRIVATE KEY-----"
VOTED = "Is 7 prime? Answer yes or no."

PANELS = """
[fusions.default]
strategy = "vote"
panel = ["near", "beside", "far"]
[fusions.home]
strategy = "vote"
panel = ["near", "beside", "far"]
privacy = "local"
[fusions.away]
strategy = "vote"
panel = ["beside", "far"]
[fusions.chosen]
strategy = "select"
panel = ["near", { member = "near2" }]
judge = "far"
[fusions.written]
strategy = "synthesize"
panel = ["near", "near2"]
judge = "near"
writer = "far"
[fusions.stepped]
strategy = "cascade"
panel = ["near", "near2"]
escalate = ["far"]
[fusions.alone]
strategy = "single"
panel = ["far", "beside", "near"]
[fusions.fast]
strategy = "race"
panel = ["far", "beside", "near"]
"""


@dataclass(frozen=True, kw_only=True)
class World:
    """A client of a daemon, and a server at each of the three places."""

    client: aiohttp.ClientSession
    near: OpenAIUpstream
    beside: OpenAIUpstream
    far: OpenAIUpstream

    async def ask(self, model: str, headers: Mapping[str, str] | None = None, **fields: Any) -> tuple[int, Any, Mapping[str, str]]:
        """Status, document and headers."""
        body = question(model, VOTED, **fields)
        async with self.client.post("/v1/chat/completions", json=body, headers=headers) as response:
            return response.status, await response.json(), response.headers

    def untouched(self) -> bool:
        """Whether nobody has knocked at the two servers beyond this machine."""
        return self.beside.connections.most == self.far.connections.most == 0


def places(near: str, beside: str, far: str) -> str:
    """A provider at each place, and its members."""
    text = ""
    for place, url, names in (("local", near, ("near", "near2")), ("lan", beside, ("beside",)), ("remote", far, ("far",))):
        text += f'[providers.at_{place}]\napi = "openai"\nurl = "{url}"\nplace = "{place}"\n'
        text += "".join(f'[members.{name}]\nprovider = "at_{place}"\nmodel = "{name}"\n{FREE}' for name in names)
    return text


@asynccontextmanager
async def world(directory: Path, more: str = "") -> AsyncIterator[World]:
    """All of it."""
    far = OpenAIUpstream({"far": YES})
    async with OpenAIUpstream({"near": SLOWER, "near2": SLOWER}) as near, OpenAIUpstream({"beside": YES}) as beside, far:
        async with asked(places(near.url, beside.url, far.url) + PANELS + more, directory) as client:
            yield World(client=client, near=near, beside=beside, far=far)


@asynccontextmanager
async def asked(text: str, directory: Path) -> AsyncIterator[aiohttp.ClientSession]:
    """A client of a daemon with this configuration."""
    async with running(text, directory) as started, aiohttp.ClientSession(started.url) as client:
        yield client


def left_out(document: Any) -> dict[str, str]:
    """The members that were not asked, and why."""
    return {member["member"]: member["error"] for member in document["fusion"]["members"] if member["status"] == "skipped"}


async def test_without_a_wish_everybody_is_asked(tmp_path: Path) -> None:
    """What the other tests here rely on: nothing but privacy keeps a member out."""
    async with world(tmp_path) as all_of_it:
        code, document, headers = await all_of_it.ask("fusion", fusion={"trace": True})
        assert (code, left_out(document)) == (200, {})
        assert "X-Fusiond-Degraded" not in headers
        assert len(all_of_it.beside.chats) == len(all_of_it.far.chats) == 1


WAYS = {"header": "X-Fusiond-Privacy", "body": "fusion.privacy", "fusion": "fusions.home.privacy"}


@pytest.mark.parametrize("way", WAYS)
async def test_a_local_question_stays_here(tmp_path: Path, way: str) -> None:
    """Whoever says it: nobody beyond this machine is even connected to, the answer says that it is less for it, and who was left out."""
    headers = {"X-Fusiond-Trace": "1"} | ({"X-Fusiond-Privacy": "local"} if way == "header" else {})
    fields = {"fusion": {"privacy": "local"}} if way == "body" else {}
    async with world(tmp_path) as all_of_it:
        for model in ["fusion/home"] if way == "fusion" else ["fusion", "fusion/alone", "fusion/fast"]:
            code, document, told = await all_of_it.ask(model, headers, **fields)
            assert (code, document["choices"][0]["message"]["content"]) == (200, "Yes.")
            assert left_out(document) == {
                "beside": f"privacy: is lan, and this request is local ({WAYS[way]})",
                "far": f"privacy: is remote, and this request is local ({WAYS[way]})",
            }
            assert "privacy" in document["fusion"]["degraded"]
            assert "privacy" in told["X-Fusiond-Degraded"].split(",")
        assert all_of_it.untouched()


async def test_a_lan_question_stays_in_the_house(tmp_path: Path) -> None:
    """The local network is asked, the rest of the world is not."""
    async with world(tmp_path) as all_of_it:
        code, document, _ = await all_of_it.ask("fusion", {"X-Fusiond-Privacy": "LAN "}, fusion={"trace": True})
        assert (code, left_out(document)) == (200, {"far": "privacy: is remote, and this request is lan (X-Fusiond-Privacy)"})
        assert (len(all_of_it.beside.chats), all_of_it.far.connections.most) == (1, 0)


async def test_a_streamed_answer_says_it_before_its_first_word(tmp_path: Path) -> None:
    """Header and trace say the same; nobody is connected to."""
    async with world(tmp_path) as all_of_it:
        body = question("fusion", VOTED, stream=True, fusion={"trace": True, "privacy": "local"})
        async with all_of_it.client.post("/v1/chat/completions", json=body) as response:
            assert response.headers["X-Fusiond-Degraded"] == "privacy"
            [told] = [chunk for chunk in chunks(await response.text()) if "fusion" in chunk]
        assert left_out(told).keys() == {"beside", "far"}
        assert all_of_it.untouched()


async def test_who_is_asked_by_name_is_never_replaced(tmp_path: Path) -> None:
    """403: there is nobody who may answer, and it is no use to come back later."""
    async with world(tmp_path) as all_of_it:
        for name in ("beside", "far", "fusion/away"):
            code, document, headers = await all_of_it.ask(name, {"X-Fusiond-Privacy": "local"})
            assert (code, document["error"]["code"]) == (403, "forbidden")
            assert "Retry-After" not in headers
        assert all_of_it.untouched()


async def test_judges_writers_and_those_who_may_be_asked_later_are_left_out_too(tmp_path: Path) -> None:
    """They would see the question as well as the panel's answers."""
    async with world(tmp_path) as all_of_it:
        for model in ("fusion/chosen", "fusion/written", "fusion/stepped"):
            code, document, _ = await all_of_it.ask(model, {"X-Fusiond-Privacy": "local"}, fusion={"trace": True})
            assert (code, document["choices"][0]["message"]["content"]) == (200, "Yes.")
            assert "privacy" in document["fusion"]["degraded"]
            assert left_out(document) == {"far": "privacy: is remote, and this request is local (X-Fusiond-Privacy)"}
        assert all_of_it.untouched()


async def test_overrides_bring_nobody_in(tmp_path: Path) -> None:
    """A panel, a judge or a writer that the request names is bound by the same."""
    async with world(tmp_path) as all_of_it:
        wish = {"panel": ["near", "far"], "judge": "far", "writer": "far", "strategy": "synthesize", "privacy": "local"}
        code, document, _ = await all_of_it.ask("fusion", {"X-Fusiond-Trace": "1"}, fusion=wish)
        assert (code, set(left_out(document))) == (200, {"far"})
        plugin = [{"id": "fusion", "analysis_models": ["near", "far"], "model": "far"}]
        code, document, _ = await all_of_it.ask("fusion", {"X-Fusiond-Trace": "1", "X-Fusiond-Privacy": "local"}, plugins=plugin)
        assert (code, set(left_out(document))) == (200, {"far"})
        assert all_of_it.untouched()


async def test_a_wish_that_would_loosen_has_no_effect_and_is_named(tmp_path: Path) -> None:
    """Neither against the fusion's own limit, nor against a stricter wish in the same request."""
    async with world(tmp_path) as all_of_it:
        code, document, headers = await all_of_it.ask("fusion/home", {"X-Fusiond-Privacy": "any"}, fusion={"privacy": "lan", "trace": True})
        assert (code, set(left_out(document))) == (200, {"beside", "far"})
        assert set(headers["X-Fusiond-Ignored"].split(", ")) == {"X-Fusiond-Privacy", "fusion.privacy"}
        code, document, _ = await all_of_it.ask("fusion", {"X-Fusiond-Privacy": "any"}, fusion={"privacy": "local", "trace": True})
        assert (code, set(left_out(document))) == (200, {"beside", "far"})
        assert all_of_it.untouched()


async def test_a_wish_that_is_not_understood_is_refused(tmp_path: Path) -> None:
    """It may have been meant as the strictest."""
    async with world(tmp_path) as all_of_it:
        for wish in ("", "locale", "local, any"):
            code, document, _ = await all_of_it.ask("fusion", {"X-Fusiond-Privacy": wish})
            assert (code, document["error"]["param"]) == (400, "X-Fusiond-Privacy")
        for odd in ("", "locale", "Local"):
            code, document, _ = await all_of_it.ask("fusion", fusion={"privacy": odd})
            assert (code, document["error"]["param"]) == (400, "fusion.privacy")
        assert all_of_it.untouched()


def said(*messages: Mapping[str, Any], **fields: Any) -> dict[str, Any]:
    """A question after these messages."""
    return {"model": "fusion", "messages": [*messages, {"role": "user", "content": VOTED}], **fields}


def tool(parameters: Mapping[str, Any]) -> list[Any]:
    """A tool that is offered."""
    return [{"type": "function", "function": {"name": "look", "parameters": parameters}}]


def made(arguments: str) -> tuple[Mapping[str, Any], Mapping[str, Any]]:
    """A tool call of before, and its result."""
    call = {"id": "c1", "type": "function", "function": {"name": "look", "arguments": arguments}}
    return {"role": "assistant", "content": None, "tool_calls": [call]}, {"role": "tool", "tool_call_id": "c1", "content": "done"}


def encoded(kind: str, text: str = KEY) -> str:
    """A `data:` URL."""
    return f"data:{kind};base64,{base64.b64encode(text.encode()).decode()}"


HIDDEN: dict[str, dict[str, Any]] = {
    "in the question": said({"role": "user", "content": KEY}),
    "in a system message": said({"role": "system", "content": f"Use this:\n{KEY}"}),
    "in an earlier answer": said({"role": "assistant", "content": KEY}),
    "split over parts": said({"role": "user", "content": [{"type": "text", "text": KEY[:14]}, {"type": "text", "text": KEY[14:]}]}),
    "in a call's arguments": said(*made(json.dumps({"file": KEY}))),
    "escaped in a call's arguments": said(*made('{"file": "-----\\u0042EGIN \\u0052SA PRIVATE KEY-----"}')),
    "in a tool's result": said(made("{}")[0], {"role": "tool", "tool_call_id": "c1", "content": KEY}),
    "in a tool's schema": said(tools=tool({"type": "object", "properties": {"a": {"enum": [KEY]}}})),
    "in a key of a tool's schema": said(tools=tool({"type": "object", "properties": {KEY: {}}})),
    "in the schema of the answer": said(
        response_format={"type": "json_schema", "json_schema": {"name": "a", "schema": {"type": "object", "description": KEY}}}
    ),
    "in base64": said({"role": "user", "content": f"see {encoded('text/plain')}"}),
    "in an attachment": said({"role": "user", "content": [{"type": "image_url", "image_url": {"url": encoded("application/x-pem-file")}}]}),
    "in a stop word": said(stop=[KEY]),
    "in a tool's name": said(made("{}")[0], {"role": "tool", "tool_call_id": "c1", "name": KEY, "content": "done"}),
    "far down in a large body": said({"role": "user", "content": "x" * 1_500_000 + KEY}),
}


@pytest.mark.filterwarnings("ignore:Sending a large body")
async def test_what_must_not_leave_is_found_wherever_it_hides(tmp_path: Path) -> None:
    """A private key makes the question local, wherever in it the key stands."""
    async with world(tmp_path) as all_of_it:
        for where, body in HIDDEN.items():
            asked = len(all_of_it.near.chats)
            data, headers = io.BytesIO(json.dumps(body).encode()), {"X-Fusiond-Trace": "1", "Content-Type": "application/json"}
            async with all_of_it.client.post("/v1/chat/completions", data=data, headers=headers) as response:
                document = await response.json()
            assert len(all_of_it.near.chats) > asked, (where, document)
            assert all_of_it.untouched(), where
            if response.status == 200:
                assert set(left_out(document)) == {"beside", "far"}, where
                assert "privacy" in response.headers["X-Fusiond-Degraded"], where
            else:
                assert document["error"]["code"] == "schema", (where, document)  # a Yes is no document


async def test_a_key_is_found_for_who_is_asked_by_name(tmp_path: Path) -> None:
    """403, whatever the request says of its own privacy."""
    async with world(tmp_path) as all_of_it:
        body = question("far", KEY, fusion={"privacy": "any"})
        async with all_of_it.client.post("/v1/chat/completions", json=body) as response:
            assert response.status == 403
            assert "BEGIN" not in await response.text()
        assert all_of_it.untouched()


async def test_patterns_of_ones_own(tmp_path: Path) -> None:
    """They take the place of the usual one; what does not match goes out."""
    async with world(tmp_path, '[privacy]\nnever_remote = ["(?i)project [a-z]+bird"]\n') as all_of_it:
        async with all_of_it.client.post("/v1/chat/completions", json=said({"role": "user", "content": "On Project\tX"})) as response:
            assert response.status == 200
        assert len(all_of_it.far.chats) == 1
        async with all_of_it.client.post("/v1/chat/completions", json=said({"role": "user", "content": "On Project Bluebird"})) as response:
            assert response.headers["X-Fusiond-Degraded"] == "privacy"
        assert (len(all_of_it.far.chats), len(all_of_it.beside.chats)) == (1, 1)
