"""What is kept: a row for every question whatever its end, and one for everything that left this machine, with every byte of it."""

from __future__ import annotations

import asyncio
import json
import resource
from collections.abc import AsyncIterator, Iterator
from contextlib import AsyncExitStack, asynccontextmanager, contextmanager, suppress
from io import BytesIO
from pathlib import Path
from typing import Any, Self

import aiohttp
import pytest

from fusiond.members.egress import HEADERS
from tests.faults.conftest import running
from tests.serving import answer, configured, question, serving, started, status
from tests.upstreams.openai import OpenAIUpstream
from tests.upstreams.openrouter import OpenRouterUpstream
from tests.upstreams.script import Close, Finish, Hang, Html, Reset, Say, Script, Status, Wait
from tests.upstreams.upstream import Upstream

YES = Script(Say("Yes."), Finish())
FREE = "price = { input = 0, output = 0 }\n"
FRAMING = 64
"""Bytes that the chunks of a short answer are wrapped in."""

VOTED = "Is 7 prime? Answer yes or no."


class Wire:
    """A way to an upstream on which every byte is counted. `sent`: towards the upstream; `received`: back from it."""

    def __init__(self, upstream: Upstream) -> None:
        self._upstream = upstream
        self.sent = self.received = 0

    async def __aenter__(self) -> Self:
        self._server = await asyncio.start_server(self._connected, "127.0.0.1", 0)
        self.host = f"127.0.0.1:{self._server.sockets[0].getsockname()[1]}"
        self.url = f"http://{self.host}{self._upstream.base_path}"
        return self

    async def __aexit__(self, *_: object) -> None:
        self._server.close()

    async def _connected(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        back, forth = await asyncio.open_connection("127.0.0.1", self._upstream.port)
        with suppress(ConnectionError):
            async with asyncio.TaskGroup() as both:
                both.create_task(self._there(reader, forth))
                both.create_task(self._back(back, writer))

    async def _there(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        while data := await reader.read(65536):
            self.sent += len(data)
            writer.write(data)
        writer.close()

    async def _back(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        with suppress(ConnectionError):
            while data := await reader.read(65536):
                self.received += len(data)
                writer.write(data)
        writer.close()


@asynccontextmanager
async def beside(directory: Path, text: str) -> AsyncIterator[aiohttp.ClientSession]:
    """A client of a daemon in this process."""
    async with running(text, directory) as daemon, aiohttp.ClientSession(daemon.url) as client:
        yield client


def lab(url: str, place: str, *members: str, more: str = "") -> str:
    """A provider at some place, and members of it that cost nothing."""
    text = f'[providers.lab]\napi = "openai"\nurl = "{url}"\nplace = "{place}"\n{more}'
    return text + "".join(f'[members.{name}]\nprovider = "lab"\nmodel = "{name}"\nfirst_token_seconds = 0.5\n{FREE}' for name in members)


async def rows(client: aiohttp.ClientSession, path: str = "egress", **query: Any) -> list[dict[str, Any]]:
    """The newest rows."""
    async with client.get(f"/fusiond/{path}", params=query) as response:
        document = await response.json()
        assert response.status == 200, document
        return list(document["rows" if path == "egress" else "requests"])


async def asked(client: aiohttp.ClientSession, model: str, **fields: Any) -> tuple[int, str]:
    """Status and id of a question, to the end of its answer, whatever that is."""
    async with client.post("/v1/chat/completions", json=question(model, VOTED, **fields)) as response:
        with suppress(aiohttp.ClientPayloadError):
            await response.read()
        return response.status, response.headers["X-Request-Id"]


ENDS = {
    "well": YES,
    "error": Script(Status(500)),
    "page": Script(Html(502)),
    "redirect": Script(Status(302, "", {"Location": "/"})),
    "cut": Script(Say("Y"), Close()),
    "late": Script(Hang()),
    "reset": Script(Reset()),
}
"""How a call can end, by the name of its member."""


@pytest.mark.parametrize("place", ["lan", "remote"])
async def test_every_byte_that_leaves_is_in_a_row(tmp_path: Path, place: str) -> None:
    """Head and body of each question, however its answer ends: whom it went to, for which request, exactly how much, and what came back."""
    async with OpenAIUpstream(ENDS) as upstream, Wire(upstream) as wire:
        async with beside(tmp_path, lab(wire.url, place, *ENDS)) as client:
            for name in ENDS:
                sent, received = wire.sent, wire.received
                code, request = await asked(client, name)
                assert code == (200 if name == "well" else 504 if name == "late" else 502)
                found = await rows(client, request_id=request)  # more than one where it was asked again
                assert {(row["member"], row["host"]) for row in found} == {(name, wire.host)}
                assert sum(row["bytes_sent"] for row in found) == wire.sent - sent, name
                framing = wire.received - received - sum(row["bytes_received"] for row in found)  # the lengths of chunks are not counted
                assert 0 <= framing < FRAMING, name


async def test_a_call_that_nobody_waits_for_is_in_a_row_too(tmp_path: Path) -> None:
    """The client left; what had gone out by then had gone out. And so is one that could not be made, of which nothing had."""
    async with OpenAIUpstream({"a": Script(Say("Y"), Wait(0.1), Hang())}) as upstream, Wire(upstream) as wire:
        text = lab(wire.url, "remote", "a") + '[providers.gone]\napi = "openai"\nurl = "http://127.0.0.1:9/v1"\nplace = "remote"\n'
        text += f'[members.b]\nprovider = "gone"\nmodel = "b"\n{FREE}'
        async with serving(*configured(tmp_path, text)) as daemon, daemon.client() as client:
            async with client.post("/v1/chat/completions", json=question("a", stream=True)) as response:
                await response.content.readany()
                request = response.headers["X-Request-Id"]
                response.close()
            await upstream.left()
            await daemon.said("status=499")
            [row] = await rows(client, request_id=request)
            assert row["bytes_sent"] == wire.sent
            assert 0 < row["bytes_received"] <= wire.received
            code, request = await asked(client, "b")
            [row] = await rows(client, request_id=request)
            assert (code, row["member"], row["bytes_sent"], row["bytes_received"]) == (502, "b", 0, 0)


async def test_what_stays_here_is_in_no_row(tmp_path: Path) -> None:
    """Neither answers of local members nor their lists; nor what privacy has kept here."""
    async with OpenAIUpstream({"a": YES}) as here, OpenAIUpstream({"far": YES}) as there:
        text = lab(here.url, "local", "a", more="discover = true\n") + f'[providers.far]\napi = "openai"\nurl = "{there.url}"\nplace = "remote"\n'
        text += f'[members.far]\nprovider = "far"\nmodel = "far"\n{FREE}[fusions.default]\npanel = ["a", "far"]\n'
        async with beside(tmp_path, text) as client:
            assert await answer(client, "a") == "Yes."
            assert await answer(client, "fusion", VOTED, fusion={"privacy": "local"}) == "Yes."
            assert await rows(client) == []


async def test_lists_and_prices_are_in_rows_too(tmp_path: Path) -> None:
    """Without a request and a member, for nobody has asked for them."""
    key = tmp_path / "key"
    key.write_text("sk-or-made-up")
    key.chmod(0o600)
    async with OpenAIUpstream({"a": YES}) as listed, OpenRouterUpstream({"m/a": YES}) as router, Wire(listed) as first, Wire(router) as second:
        text = lab(first.url, "lan", "a", more="discover = true\n")
        text += f'[providers.router]\napi = "openrouter"\nurl = "{second.url}"\napi_key = {{ file = "{key}" }}\n'
        async with serving(*configured(tmp_path, text)) as daemon, daemon.client() as client:
            await daemon.said("providers: lab")
            await daemon.said("providers: router")
            found = {row["host"]: row for row in await rows(client)}
            async with asyncio.timeout(5):
                while not found.keys() >= {first.host, second.host} or not found[second.host]["bytes_received"]:
                    found = {row["host"]: row for row in await rows(client)}
            for wire in (first, second):
                row = found[wire.host]
                assert (row["member"], row["request_id"]) == (None, None)
                assert (row["bytes_sent"], row["bytes_received"]) == (wire.sent, wire.received)


async def test_what_had_left_is_known_after_a_kill(tmp_path: Path) -> None:
    """At least the question itself is counted, with room for its head, though the daemon never heard the answer."""
    async with OpenAIUpstream({"a": Script(Hang())}) as upstream, Wire(upstream) as wire:
        arguments = configured(tmp_path, lab(wire.url, "remote", "a").replace("first_token_seconds = 0.5", ""))
        async with started(*arguments) as daemon:
            await daemon.said("listening on")
            async with daemon.client() as client:
                assert await rows(client) == []  # the file is open
                text = "x" * 5000
                waiting = asyncio.create_task(asked(client, "a", user=text, stop=[text]))
                await upstream.asked()
                daemon.process.kill()
                await asyncio.wait([waiting])
                assert waiting.exception()
        async with serving(*arguments) as daemon, daemon.client() as client:
            [row] = await rows(client)
            assert (row["member"], row["host"]) == ("a", wire.host)
            assert wire.sent <= row["bytes_sent"] <= wire.sent + HEADERS


async def test_pages_of_rows(tmp_path: Path) -> None:
    """Newest first, each row once, also while others are added; a mark that is none, and a limit out of bounds, are refused."""
    async with OpenAIUpstream({"a": YES}) as upstream:
        text = lab(upstream.url, "remote", "a") + '[fusions.default]\nstrategy = "single"\npanel = ["a"]\n'
        async with beside(tmp_path, text) as client:
            ids = [(await asked(client, ("a", "fusion")[number % 2]))[1] for number in range(7)]
            for path, key, field in (("egress", "rows", "request_id"), ("requests", "requests", "id")):
                seen: list[str] = []
                mark: dict[str, str] = {}
                while True:
                    async with client.get(f"/fusiond/{path}", params={"limit": "3", **mark}) as response:
                        page = await response.json()
                    seen += [row[field] for row in page[key]]
                    await asked(client, "a")  # goes before the first page
                    if page["next"] is None:
                        break
                    mark = {"before": page["next"]}
                assert seen[-7:] == ids[::-1], path
                assert len(seen) == len(set(seen))
                for wrong in ({"before": "nonsense"}, {"limit": "0"}, {"limit": "501"}, {"limit": "x"}, {"colour": "red"}):
                    async with client.get(f"/fusiond/{path}", params=wrong) as response:
                        assert (response.status, (await response.json())["error"]["param"]) == (400, next(iter(wrong)))
            assert {row["model"] for row in await rows(client, "requests", model="fusion")} == {"fusion"}
            assert {row["fusion"] for row in await rows(client, "requests", fusion="default")} == {"default"}
            assert await rows(client, "requests", status="502") == []
            assert await rows(client, "requests", since="2100-01-01") == []
            newest, *_ = older = await rows(client, "requests", limit=500)
            assert await rows(client, "requests", before=newest["id"], limit=500) == older[1:]


async def test_every_question_has_one_row_whatever_its_end(tmp_path: Path) -> None:
    """Facts and figures of each, and no texts."""
    scripts = {
        "a": YES,
        "bad": Script(Status(500)),
        "cut": Script(Say("Y"), Close()),
        "slow": Script(Say("Y"), Wait(0.1), Hang()),
        "late": Script(Hang()),
    }
    async with OpenAIUpstream(scripts) as upstream:
        text = lab(upstream.url, "local", *scripts) + '[fusions.default]\nstrategy = "vote"\npanel = ["bad", "a"]\n'
        text += '[fusions.steps]\nstrategy = "cascade"\npanel = ["a"]\nescalate = ["late"]\n'
        text += '[providers.far]\napi = "openai"\nurl = "http://127.0.0.1:9/v1"\nplace = "remote"\n[members.far]\nprovider = "far"\nmodel = "far"\n'
        text += '[members.paid]\nprovider = "far"\nmodel = "paid"\nprice = { input = 1, output = 1 }\n'
        async with serving(*configured(tmp_path, text)) as daemon, daemon.client() as client:
            expected = {}
            for model, stream, status_, error in (
                ("a", False, 200, None),
                ("a", True, 200, None),
                ("fusion", False, 200, None),
                ("fusion/steps", False, 200, None),
                ("bad", False, 502, "all_members_failed"),
                ("bad", True, 502, "all_members_failed"),
                ("late", False, 504, "all_members_failed"),
                ("cut", False, 502, "all_members_failed"),
                ("far", False, 403, "forbidden"),
                ("paid", True, 402, "budget_exceeded"),
                ("nobody", False, 404, "model_not_found"),
            ):
                code, request = await asked(client, model, stream=stream, **({"fusion": {"privacy": "local"}} if model == "far" else {}))
                assert code == status_
                expected[request] = (model, status_, error)
            async with client.post("/v1/chat/completions", json=question("slow", stream=True)) as response:
                await response.content.readany()
                expected[response.headers["X-Request-Id"]] = ("slow", 499, None)
                response.close()
            await daemon.said("status=499")
            found = await rows(client, "requests")
            assert {row["id"]: (row["model"], row["status"], row["error"]) for row in found} == expected
            [voted] = [row for row in found if row["model"] == "fusion"]
            assert (voted["fusion"], voted["strategy"], voted["key"], voted["degraded"]) == ("default", "vote", "yes", ["members"])
            assert [(each["member"], each["status"]) for each in voted["members"]] == [("bad", "failed"), ("a", "answered")]
            assert voted["cost_usd"] == "0"
            assert VOTED not in json.dumps(found)
            for request in expected:
                async with client.get(f"/fusiond/requests/{request}") as response:
                    row = await response.json()
                assert (row["prompt"], row["answer"]) == (None, None)
            async with client.get("/fusiond/requests/nobody") as response:
                assert (response.status, (await response.json())["error"]["code"]) == (404, "not_found")
        assert _written(tmp_path)
        assert VOTED.encode() not in _written(tmp_path)


NOBODY_ASKED: list[tuple[bytes | dict[str, Any], dict[str, str], tuple[str, int, str]]] = [
    (b"{", {}, ("", 400, "invalid_request")),
    (b"[]", {}, ("", 400, "invalid_request")),
    ({"model": 7, "messages": []}, {}, ("", 400, "invalid_request")),
    ({"model": "a"}, {}, ("a", 400, "invalid_request")),
    (question("a", temperature="hot"), {}, ("a", 400, "invalid_request")),
    (question("fusion", n=2), {}, ("fusion", 400, "not_supported")),
    (question("a"), {"X-Fusiond-Privacy": "secret"}, ("a", 400, "invalid_request")),
    (question("a"), {"X-Fusiond-Depth": "2"}, ("a", 400, "invalid_request")),
    (question("a", "x" * 2_000_000, n=2), {}, ("", 400, "not_supported")),
]


async def test_a_request_that_nobody_was_asked_for_has_a_row_too(tmp_path: Path) -> None:
    """With what could be read of it; one whose client leaves while it waits for its turn as well, and one that is not all there."""
    async with OpenAIUpstream({"a": Script(Hang())}) as upstream:
        arguments = configured(tmp_path, "max_requests = 1\nqueue = 1\n" + lab(upstream.url, "local", "a").replace("= 0.5", "= 20"))
        async with serving(*arguments) as daemon, daemon.client() as client:
            expected = []
            for body, more, row in NOBODY_ASKED:
                data = body if isinstance(body, bytes) else json.dumps(body).encode()
                headers = {"Content-Type": "application/json", **more}
                async with client.post("/v1/chat/completions", data=BytesIO(data), headers=headers) as response:
                    expected.append((response.headers["X-Request-Id"], *row))
                    assert response.status == row[1]
            found = await rows(client, "requests")
            assert sorted((row["id"], row["model"], row["status"], row["error"]) for row in found) == sorted(expected)
            assert {(row["fusion"], row["privacy"], row["strategy"], len(row["members"])) for row in found} == {(None, "", "", 0)}
            running = asyncio.create_task(asked(client, "a"))
            await upstream.asked()
            waiting = asyncio.create_task(asked(client, "a"))
            async with asyncio.timeout(5):
                while not (await status(client))["requests"]["waiting"]:  # noqa: ASYNC110  # nobody tells
                    await asyncio.sleep(0.01)
            waiting.cancel()
            await daemon.said("refused status=499")
            _, writer = await asyncio.open_connection(*daemon.url.removeprefix("http://").split(":"))
            writer.write(b"POST /v1/chat/completions HTTP/1.1\r\nHost: localhost\r\nContent-Length: 100\r\n\r\n{")
            await writer.drain()
            await asyncio.sleep(0.1)
            writer.close()
            await daemon.said("refused status=499", 2)
            running.cancel()
            await daemon.said("members=a:cancelled")
            gone = await rows(client, "requests", status=499)
            assert sorted((row["model"], row["error"], len(row["members"])) for row in gone) == [("", None, 0), ("a", None, 0), ("a", None, 1)]


async def test_a_request_that_the_plan_refuses_is_found_by_its_fusion(tmp_path: Path) -> None:
    """By every name under which that is served, and with how far it might have gone."""
    text = lab("http://127.0.0.1:9/v1", "remote", "paid").replace(FREE, "price = { input = 1, output = 1 }\n")
    text += '[fusions.default]\npanel = ["paid"]\nprivacy = "lan"\n[fusions.other]\npanel = ["paid"]\n[aliases]\nmine = "fusion"\n'
    async with serving(*configured(tmp_path, text)) as daemon, daemon.client() as client:
        expected = {}
        for model, fields, row in (
            ("fusion", {}, ("default", 403, "lan")),
            ("mine", {"fusion": {"privacy": "local"}}, ("default", 403, "local")),
            ("openrouter/fusion", {}, ("default", 403, "lan")),
            ("fusion/other", {}, ("other", 402, "any")),
            ("paid", {}, (None, 402, "any")),
            ("nobody", {}, (None, 404, "")),
        ):
            _, request = await asked(client, model, **fields)
            expected[request] = row
        found = await rows(client, "requests")
        assert {row["id"]: (row["fusion"], row["status"], row["privacy"]) for row in found} == expected
        for name in ("default", "fusion", "fusion/default", "openrouter/fusion", "auto", "mine"):
            assert len(await rows(client, "requests", fusion=name, status=403)) == 3, name
        assert [len(await rows(client, "requests", fusion=name)) for name in ("other", "fusion/other", "gone", "paid")] == [1, 1, 0, 0]


def _written(directory: Path) -> bytes:
    return b"".join(path.read_bytes() for path in directory.rglob("records.db*"))


async def test_texts_are_kept_where_that_is_wanted(tmp_path: Path) -> None:
    """The question's and the answer's, in the one place where a single request is shown."""
    async with OpenAIUpstream({"a": YES}) as upstream:
        text = lab(upstream.url, "local", "a") + "[records]\ntext = true\n"
        async with serving(*configured(tmp_path, text)) as daemon, daemon.client() as client:
            for stream in (False, True):
                _, request = await asked(client, "a", stream=stream)
                async with client.get(f"/fusiond/requests/{request}") as response:
                    row = await response.json()
                assert (row["prompt"], row["answer"]) == (f"[user] {VOTED}", "Yes.")
            assert VOTED not in json.dumps(await rows(client, "requests"))
            assert not any(VOTED in line or "Yes." in line for line in daemon.log)


@contextmanager
def small_files(size: int) -> Iterator[None]:
    """No file of a process that is started now can become larger than this, in bytes."""
    soft, hard = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (size, hard))
    try:
        yield
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, (soft, hard))


async def test_a_full_disk_stops_no_answer(tmp_path: Path) -> None:
    """Answers go on, and the status says what is not kept."""
    async with OpenAIUpstream({"a": YES}) as upstream, AsyncExitStack() as stack:
        with small_files(80_000):
            daemon = await stack.enter_async_context(serving(*configured(tmp_path, lab(upstream.url, "remote", "a"))))
        async with daemon.client() as client:
            assert (await status(client))["records"]["error"] is None
            async with asyncio.timeout(15):
                while (await status(client))["records"]["error"] is None:
                    assert await answer(client, "a") == "Yes."
            assert await answer(client, "a", stream=True) == "Yes."
            told = await status(client)
            assert told["ready"]
            assert "full" in told["records"]["error"] or "disk" in told["records"]["error"]
            assert daemon.process.returncode is None


@pytest.mark.parametrize("kind", ["a file", "below a file", "another's"])
async def test_a_place_that_cannot_be_written_stops_no_answer(tmp_path: Path, kind: str) -> None:
    """The same from the start: unpaid answers need no records, unless they would leave this machine."""
    place = tmp_path / "state"
    if kind == "another's":
        place.mkdir(mode=0o777)
        (place / "records.db").mkdir()
        (place / "ledger.db").mkdir()
    else:
        place.write_text("")
    directory = place / "inner" if kind == "below a file" else place
    async with OpenAIUpstream({"a": YES}) as upstream:
        far = lab(upstream.url, "remote", "far").replace("lab", "other")
        arguments = configured(tmp_path, lab(upstream.url, "local", "a") + far + "[budget]\nper_day_usd = 1\n")
        async with serving(*arguments, environment={"STATE_DIRECTORY": str(directory)}) as daemon, daemon.client() as client:
            assert await answer(client, "a") == "Yes."
            async with client.post("/v1/chat/completions", json=question("far", VOTED)) as response:
                assert response.status == 503
                assert "what leaves this machine cannot be recorded" in (await response.json())["error"]["message"]
            assert [chat.model for chat in upstream.chats] == ["a"]
            told = await status(client)
            assert told["ready"]
            assert "records.db" in told["records"]["error"]
            assert "ledger.db" in told["ledger"]["error"]
            for path in ("requests", "egress", "ledger", "requests/x"):
                async with client.get(f"/fusiond/{path}") as response:
                    assert response.status == 503, path
