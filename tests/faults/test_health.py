"""Who is left alone, why and for how long: what the status says of it, what a client is told, and how a member comes back."""

from __future__ import annotations

import asyncio
import json
import time
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, suppress
from email.utils import formatdate
from pathlib import Path
from typing import Any

import pytest

from fusiond.policy import breaker
from tests.faults.conftest import Running, running
from tests.upstreams.ollama import OllamaUpstream
from tests.upstreams.openai import OpenAIUpstream
from tests.upstreams.openrouter import OpenRouterUpstream
from tests.upstreams.script import Close, ErrorChunk, Finish, Gate, Hang, Reset, Say, Script, Scripts, Status, Step

YES = Script(Say("Yes."), Finish())
KEY = "sk-made-up-key-of-a-lab"


def lab(url: str, *, key: Path | None = None, more: str = "") -> str:
    """One member by its name, and a fusion of it and another."""
    secret = f'api_key = {{ file = "{key}" }}\n' if key else ""
    text = f'[providers.lab]\napi = "openai"\nurl = "{url}"\n{secret}'
    for name in ("a", "b"):
        text += f'[members.{name}]\nprovider = "lab"\nmodel = "{name}"\nfirst_token_seconds = 0.3\nstall_seconds = 0.3\n{more}'
    return text + '[fusions.default]\nstrategy = "vote"\npanel = ["a", "b"]\n[fusions.takeover]\nstrategy = "single"\npanel = ["a", "b"]\n'


async def member(daemon: Running, name: str = "a") -> dict[str, Any]:
    """What the status says of a member."""
    async with daemon.client.get(daemon.url + "/fusiond/status") as response:
        return dict((await response.json())["members"][name])


async def by_name(daemon: Running, name: str = "a", **fields: Any) -> tuple[int, str | None, Any]:
    """Status, `Retry-After`, and what is said."""
    body = {"model": name, "messages": [{"role": "user", "content": "Is 7 prime? Answer yes or no."}], **fields}
    async with daemon.client.post(daemon.url + "/v1/chat/completions", json=body) as response:
        return response.status, response.headers.get("Retry-After"), json.loads(await response.text())


@pytest.fixture
def short(monkeypatch: pytest.MonkeyPatch) -> None:
    """Who is shut out is tried again at once."""
    monkeypatch.setattr(breaker, "FIRST_PAUSE", 0.05)
    monkeypatch.setattr(breaker, "OUT_SECONDS", 0.05)


SHUT: dict[str, tuple[list[Script], str, float, str]] = {
    "402": ([Script(Status(402))], "unavailable", 60, "cannot be asked"),
    "404": ([Script(Status(404))], "unavailable", 60, "cannot be asked"),
    "403 of the account": ([Script(Status(403, {"error": {"message": "your key has no access"}}))], "unavailable", 60, "cannot be asked"),
    "429": ([Script(Status(429))], "cooling", 5, "asks to be left alone"),
    "429 with a time": ([Script(Status(429, headers={"Retry-After": "77"}))], "cooling", 77, "asks to be left alone"),
    "429 with an endless time": ([Script(Status(429, headers={"Retry-After": "99999"}))], "cooling", 600, "asks to be left alone"),
    "500": ([Script(Status(500))] * 3, "cooling", 5, "failed 3 times in a row"),
    "503 with a time": ([Script(Status(503, headers={"Retry-After": "40"}))] * 3, "cooling", 40, "failed 3 times in a row"),
    "silence": ([Script(Finish())] * 3, "cooling", 5, "said nothing 3 times in a row"),
    "timeouts": ([Script(Hang())] * 3, "cooling", 5, "failed 3 times in a row"),
    "cut off": ([Script(Say("Y"), Close())] * 3, "cooling", 5, "failed 3 times in a row"),
    "an error in the middle": ([Script(Say("Y"), ErrorChunk("boom"))] * 3, "cooling", 5, "failed 3 times in a row"),
}
"""What a member does, its state after that, for how many seconds, and the words."""


@pytest.mark.parametrize("trouble", SHUT)
async def test_a_member_in_trouble_is_left_alone(tmp_path: Path, trouble: str) -> None:
    """The status says why and until when; by name it is 503 with that time; in a fusion the others answer, and who was left out is named."""
    scripts, state, seconds, words = SHUT[trouble]
    async with OpenAIUpstream({"a": scripts, "b": YES}) as upstream, running(lab(upstream.url), tmp_path) as daemon:
        for number in range(len(scripts)):
            assert (await member(daemon))["state"] == "ready", number
            code, _, _ = await by_name(daemon)
            assert code in (502, 504)
        told = await member(daemon)
        assert (told["state"], told["reason"].partition(":")[0]) == (state, words)
        assert seconds - 2 <= told["until"] - time.time() <= seconds
        code, retry, said = await by_name(daemon)
        assert (code, said["error"]["code"]) == (503, "no_member_available")
        assert retry
        assert seconds - 2 <= int(retry) <= seconds
        code, body, _ = await daemon.ask(fusion={"trace": True})
        assert code == 200
        [left_out] = [each for each in json.loads(body)["fusion"]["members"] if each["member"] == "a"]
        assert (left_out["status"], left_out["error"].partition(":")[0]) == ("skipped", state)
        assert len([chat for chat in upstream.chats if chat.model == "a"]) == len(scripts)


async def test_a_key_that_is_refused_is_not_shown_again(tmp_path: Path) -> None:
    """Until there is another one in its file, and the daemon is told; to be told without that changes nothing."""
    key = tmp_path / "key"
    key.write_text(KEY)
    key.chmod(0o600)
    async with OpenAIUpstream({"a": [Script(Status(401))], "b": YES}) as upstream, running(lab(upstream.url, key=key), tmp_path) as daemon:
        assert (await by_name(daemon))[0] == 502
        told = await member(daemon)
        assert (told["state"], told["until"]) == ("unavailable", None)
        assert told["reason"].startswith("does not take its key")
        code, retry, said = await by_name(daemon)
        assert (code, retry, said["error"]["code"]) == (503, None, "no_member_available")  # to come back does not help
        async with daemon.client.post(daemon.url + "/fusiond/reload") as response:
            assert response.status == 200
        assert (await by_name(daemon))[0] == 503
        assert len(upstream.chats) == 1
        upstream.scripts["a"] = YES
        key.write_text(KEY + "-2")
        async with daemon.client.post(daemon.url + "/fusiond/reload") as response:
            assert (await response.json())["error"] is None
        assert (await member(daemon))["state"] == "ready"
        assert (await by_name(daemon))[0] == 200
        assert upstream.chats[-1].headers["authorization"] == f"Bearer {KEY}-2"


@pytest.mark.usefixtures("short")
async def test_one_at_a_time_tries_whether_a_member_is_back(tmp_path: Path) -> None:
    """The first question after the pause tries it; whoever comes meanwhile is told so; its answer opens the door for all."""
    gate = asyncio.Event()
    async with OpenAIUpstream({"a": [Script(Status(429)), Script(Gate(gate), Say("Yes."), Finish()), YES, YES, YES], "b": YES}) as upstream:
        async with running(lab(upstream.url).replace("first_token_seconds = 0.3", "first_token_seconds = 9"), tmp_path) as daemon:
            assert (await by_name(daemon))[0] == 502
            async with asyncio.timeout(5):
                while (await member(daemon))["state"] != "ready":  # noqa: ASYNC110  # nobody tells
                    await asyncio.sleep(0.01)
            trial = asyncio.create_task(by_name(daemon))
            await upstream.asked(2, "a")
            others = [(await by_name(daemon))[0] for _ in range(5)]
            assert others == [503] * 5
            assert "is being tried again" in (await member(daemon))["reason"]
            gate.set()
            assert (await trial)[0] == 200
            assert [(await by_name(daemon))[0] for _ in range(3)] == [200] * 3


@pytest.mark.usefixtures("short")
async def test_a_trial_whose_client_leaves_does_not_lock_the_door(tmp_path: Path) -> None:
    """It has proved nothing, and the next one may try."""
    async with OpenAIUpstream({"a": [Script(Status(429)), Script(Hang()), YES], "b": YES}) as upstream:
        async with running(lab(upstream.url).replace("first_token_seconds = 0.3", "first_token_seconds = 9"), tmp_path) as daemon:
            assert (await by_name(daemon))[0] == 502
            await asyncio.sleep(0.06)  # the pause
            trial = asyncio.create_task(by_name(daemon))
            await upstream.asked(2, "a")
            trial.cancel()
            await upstream.left(1, "a")
            await daemon.at_rest()
            assert (await by_name(daemon))[0] == 200


INNOCENT: dict[str, list[Step]] = {
    "a bad request": [Status(400)],
    "too long for it": [Status(400, {"error": {"message": "maximum context length is 4096 tokens"}})],
    "a moderator's no": [Status(403, {"error": {"message": "this text is not allowed"}})],
    "an unprocessable one": [Status(422)],
}


@pytest.mark.parametrize("answer", INNOCENT)
async def test_what_the_question_has_caused_counts_against_nobody(tmp_path: Path, answer: str) -> None:
    """However often it happens."""
    async with OpenAIUpstream({"a": Script(*INNOCENT[answer]), "b": YES}) as upstream, running(lab(upstream.url), tmp_path) as daemon:
        for _ in range(12):
            assert (await by_name(daemon))[0] in (400, 502)
        assert ((await member(daemon))["state"], len(upstream.chats)) == ("ready", 12)


async def test_clients_who_leave_count_against_nobody(tmp_path: Path) -> None:
    """Before the first word, and in the middle of an answer."""
    scripts: Scripts = {"a": [Script(Hang())] * 4 + [Script(Say("Y"), Hang())] * 4 + [YES], "b": YES}
    text = lab("{url}").replace("_seconds = 0.3", "_seconds = 9")
    async with OpenAIUpstream(scripts) as upstream, running(text.replace("{url}", upstream.url), tmp_path) as daemon:
        for number in range(1, 9):
            asked = asyncio.create_task(by_name(daemon, stream=True))
            await upstream.asked(number, "a")
            asked.cancel()
            await upstream.left(number, "a")
        await daemon.at_rest()
        assert (await member(daemon))["state"] == "ready"
        assert (await by_name(daemon))[0] == 200


async def test_an_answer_of_another_form_counts_against_nobody(tmp_path: Path) -> None:
    """A model that cannot write JSON is well."""
    async with OpenAIUpstream({"a": YES, "b": YES}) as upstream, running(lab(upstream.url), tmp_path) as daemon:
        for _ in range(6):
            code, _, said = await by_name(daemon, response_format={"type": "json_object"})
            assert (code, said["error"]["code"]) == (502, "schema")
        assert (await member(daemon))["state"] == "ready"


async def test_a_cold_load_counts_against_nobody(tmp_path: Path) -> None:
    """The deadlines of questions that wait for a model on its way into memory pass; the model is well, and is there when it has come."""
    gate = asyncio.Event()
    async with OllamaUpstream({"m": YES}, load=Script(Gate(gate))) as upstream:
        text = f'[providers.o]\napi = "ollama"\nurl = "{upstream.url}"\nparallel = 8\n[members.a]\nprovider = "o"\nmodel = "m"\ntotal_seconds = 0.3\n'
        async with running(text + '[fusions.default]\nstrategy = "single"\npanel = ["a"]\ndeadline_seconds = 0.3\n', tmp_path) as daemon:
            for _ in range(4):
                assert (await daemon.ask())[0] == 504
            assert (await member(daemon))["state"] == "loading"
            gate.set()
            await upstream.until(lambda: bool(upstream.loaded), "the loaded model")
            async with asyncio.timeout(5):
                while (await member(daemon))["state"] != "ready":  # noqa: ASYNC110  # nobody tells
                    await asyncio.sleep(0.01)
            assert (await daemon.ask())[0] == 200
            assert len(upstream.loads) == 1


async def test_a_passing_trouble_is_waited_out(tmp_path: Path) -> None:
    """503 that says when: the same member is asked once more, after that time, and the client hears only the answer."""
    scripts: Scripts = {"a": [Script(Status(503, headers={"Retry-After": "1"})), YES], "b": YES}
    async with OpenAIUpstream(scripts) as upstream, running(lab(upstream.url), tmp_path) as daemon:
        code, _, said = await by_name(daemon)
        assert (code, said["choices"][0]["message"]["content"]) == (200, "Yes.")
        first, second = upstream.chats
        assert second.came - first.came >= 1
        assert (await member(daemon))["state"] == "ready"


@pytest.mark.parametrize(
    "trouble", [[Status(503)], [Status(500)], [Status(503, headers={"Retry-After": "30"})], [Say("Y"), Reset()], [Say("Y"), Close()]]
)
async def test_nobody_is_asked_twice_where_it_may_not_help(tmp_path: Path, trouble: list[Step]) -> None:
    """An error that does not pass soon, and whatever comes after the first word."""
    async with OpenAIUpstream({"a": [Script(*trouble), YES], "b": YES}) as upstream, running(lab(upstream.url), tmp_path) as daemon:
        assert (await by_name(daemon))[0] == 502
        code, body, ended = await daemon.ask(model="b", stream=True)
        assert (code, ended, "[DONE]" in body) == (200, True, True)
        assert len([chat for chat in upstream.chats if chat.model == "a"]) == 1


@pytest.mark.parametrize("trouble", [[Status(502)], [Status(503, headers={"Retry-After": "0.01"})], [Reset()]], ids=["502", "503", "reset"])
async def test_a_storm_is_not_made_worse(tmp_path: Path, trouble: list[Step], monkeypatch: pytest.MonkeyPatch) -> None:
    """Two hundred questions that fail at once: a tenth of them, and those few that there are at first, are asked again."""
    monkeypatch.setattr(breaker, "ROW", 10_000)  # the worst case: nobody is shut out
    monkeypatch.setattr(breaker, "ENOUGH", 10_000)
    text = lab("{url}").replace("_seconds = 0.3", "_seconds = 9")
    async with OpenAIUpstream({"a": Script(*trouble), "b": YES}) as upstream:
        async with running(text.replace("{url}", upstream.url) + "[server]\nmax_requests = 300\n", tmp_path) as daemon:
            codes = await asyncio.gather(*(by_name(daemon) for _ in range(200)))
            assert {code for code, _, _ in codes} == {502}
            assert 200 < len(upstream.chats) <= 200 + 20 + 3


@asynccontextmanager
async def dropping() -> AsyncIterator[tuple[str, list[bytes]]]:
    """A server that answers the first question on a connection, and reads a second one only to close it; and what it has read."""
    asked: list[bytes] = []
    chunk = b'data: {"choices": [{"index": 0, "delta": {"content": "Yes."}, "finish_reason": "stop"}]}\n\ndata: [DONE]\n\n'
    head = b"HTTP/1.1 200 OK\r\nContent-Type: text/event-stream\r\nContent-Length: %d\r\n\r\n" % len(chunk)

    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        with suppress(asyncio.IncompleteReadError):
            for last in (False, True):
                lines = (await reader.readuntil(b"\r\n\r\n")).splitlines()
                length = next(int(line.split(b":")[1]) for line in lines if line.lower().startswith(b"content-length"))
                asked.append(await reader.readexactly(length))
                if not last:
                    writer.write(head + chunk)
        writer.close()

    async with await asyncio.start_server(serve, "127.0.0.1", 0) as server:
        yield f"http://127.0.0.1:{server.sockets[0].getsockname()[1]}/v1", asked


async def test_connections_that_are_dropped_are_retries_too(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A tenth of the questions, and those few that there are at first, are asked again; then it is said that it failed."""
    monkeypatch.setattr(breaker, "ROW", 10_000)
    monkeypatch.setattr(breaker, "ENOUGH", 10_000)
    async with dropping() as (url, asked), running(lab(url), tmp_path) as daemon:
        codes = [(await by_name(daemon))[0] for _ in range(100)]
        assert codes[:6] == [200] * 6
        assert set(codes) == {200, 502}
        assert 100 < len(asked) <= 100 + 10 + 3


async def test_a_dropped_connection_is_nobodys_turn(tmp_path: Path) -> None:
    """Although another could take over: it says nothing of the member, and costs no time."""
    async with OpenAIUpstream({"a": [YES, Script(Close()), YES], "b": YES}) as upstream, running(lab(upstream.url), tmp_path) as daemon:
        assert [(await by_name(daemon, name))[0] for name in ("a", "fusion/takeover")] == [200, 200]
        assert [chat.model for chat in upstream.chats] == ["a", "a", "a"]
        assert (await member(daemon))["state"] == "ready"


async def test_a_date_to_come_back_at(tmp_path: Path) -> None:
    """It is kept, and passed on in seconds."""
    header = {"Retry-After": formatdate(time.time() + 120, usegmt=True)}
    async with OpenAIUpstream({"a": Script(Status(429, headers=header)), "b": YES}) as upstream, running(lab(upstream.url), tmp_path) as daemon:
        for code in (502, 503):
            answered, retry, _ = await by_name(daemon)
            assert (answered, 115 <= int(retry or 0) <= 120) == (code, True)


@pytest.mark.parametrize("header", ["inf", "nan", "1e400", "1e300", "-3"])
async def test_a_time_that_is_none(tmp_path: Path, header: str) -> None:
    """Is not passed on, and breaks nothing."""
    many = Script(Status(429, headers={"Retry-After": header}))
    async with OpenAIUpstream({"a": many}) as upstream, running(lab(upstream.url), tmp_path) as daemon:
        assert (await by_name(daemon))[:2] == (502, None)


async def test_what_may_have_been_billed_is_not_asked_again(tmp_path: Path) -> None:
    """A connection that breaks before the first byte of a paid answer: nobody knows what it has cost. An error that is free is waited out."""
    key = tmp_path / "key"
    key.write_text(KEY)
    key.chmod(0o600)
    scripts = {"m/unknown": [Script(Reset()), YES], "m/free": [Script(Status(503, headers={"Retry-After": "0.01"})), YES]}
    async with OpenRouterUpstream(scripts) as upstream:
        text = f'[providers.r]\napi = "openrouter"\nurl = "{upstream.url}"\napi_key = {{ file = "{key}" }}\n[budget]\nper_day_usd = 1\n'
        text += "".join(f'[members.{name}]\nprovider = "r"\nmodel = "m/{name}"\n' for name in ("unknown", "free"))
        async with running(text, tmp_path) as daemon:
            assert (await by_name(daemon, "unknown", max_tokens=300))[0] == 502
            assert len(upstream.chats) == 1
            assert (await by_name(daemon, "free", max_tokens=300))[0] == 200
            assert len(upstream.chats) == 3
