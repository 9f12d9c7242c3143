"""Keys and tokens: each goes to the one server that it is for, and is said nowhere else, whatever that server says back.

Every way in which a provider can echo a key is played to the real daemon at its most talkative; then everything that the daemon has said, shown and
written is searched for any telling piece of it.
"""

from __future__ import annotations

import asyncio
import json
from collections.abc import Iterator, Mapping
from contextlib import suppress
from pathlib import Path

import aiohttp
import pytest

from fusiond.config import ConfigErrors, load
from tests.serving import Served, configured, failed, question, serving, status
from tests.upstreams.ollama import OllamaUpstream
from tests.upstreams.openai import OpenAIUpstream
from tests.upstreams.openrouter import OpenRouterUpstream
from tests.upstreams.script import Close, ErrorChunk, Finish, Head, Html, Raw, Say, Script, Status, Wire

LAB, ROUTER, TOKEN = "sk-lab-Vq7Zx2Lm9Tc4Wd8Rk5", "sk-or-v1-Hn3Jp6Bf0Gy1Ks9Qa2", "token-Ux4Ew8Oi6Nz2Mb7Ct5"
SECRETS = {"lab": LAB[7:], "router": ROUTER[9:], "token": TOKEN[6:]}
"""The telling part of each."""

PIECE = 8
YES = Script(Say("Yes."), Finish())
FREE = "price = { input = 0, output = 0 }\n"


def echoes(key: str) -> dict[str, Script]:
    """The ways in which a server says a key again."""
    said = f"Incorrect API key provided: {key}."
    errors = {
        "message": {"error": {"message": said}},
        "string": {"error": said},
        "bare": {"message": said},
        "detail": {"detail": said},
        "type": {"error": {"type": key}},
        "raw": {"error": {"message": "Provider returned error", "metadata": {"raw": f"Authorization: Bearer {key}"}}},
        "deep": {"error": {"message": {"headers": [key]}}},
        "list": [key],
        "code": {"error": {"message": "no", "code": key}},
        "twice": {"error": {"message": f"{key}{key}"}},
        "plain": f"no: {key}",
        "late": "x" * 270 + key,
    }
    found = {f"error_{name}": Script(Status(400, body)) for name, body in errors.items()}
    found |= {f"status_{code}": Script(Status(code, errors["message"])) for code in (401, 402, 403, 404, 408, 413, 422, 429, 500, 502, 503, 529)}
    found |= {f"inside_{name}": Script(Status(200, body)) for name, body in errors.items()}
    found |= {
        "page": Script(Html(200, f"<html>{key}</html>")),
        "error_page": Script(Html(502, f"<html>{key}</html>")),
        "chunk": Script(ErrorChunk(said)),
        "chunk_code": Script(ErrorChunk("no", code=key)),
        "chunk_later": Script(Say("Y"), ErrorChunk(said)),
        "chunk_raw": Script(ErrorChunk("no", metadata={"metadata": {"raw": key}})),
        "garbage": Script(Raw(f"data: {key}\n\n")),
        "garbage_later": Script(Say("Y"), Raw(f"data: {key}\n\n")),
        "half_a_line": Script(Raw(f'data: {{"error": "{key}'), Close()),
        "odd_chunk": Script(Raw(f'data: {{"choices": "{key}"}}\n\n')),
        "odd_delta": Script(Raw(f'data: {{"choices": [{{"delta": "{key}"}}]}}\n\n')),
        "odd_number": Script(Raw(f'data: {{"choices": [{{"delta": {{"tool_calls": [{{"index": "{key}"}}]}}}}]}}\n\n')),
        "odd_reason": Script(Finish(reason=key)),
        "error_reason": Script(Raw(f'data: {{"choices": [{{"delta": {{}}, "finish_reason": "error", "error": {{"message": "{key}"}}}}]}}\n\n')),
        "odd_usage": Script(Say("Yes."), Raw(f'data: {{"choices": [], "usage": {{"prompt_tokens": "{key}", "cost": "{key}"}}}}\n\n'), Finish()),
        "header": Script(Head({"X-Echo": key, "X-Generation-Id": "gen-1"}), Raw("data: ?\n\n")),
        "redirect": Script(Status(307, "", {"Location": f"http://127.0.0.1:9/{key}"})),
        "wait": Script(Status(429, errors["message"], {"Retry-After": key})),
        "no_http": Script(Wire(f"{key}\r\n\r\n"), Close()),
        "odd_status": Script(Wire(f"HTTP/1.1 {key} OK\r\n\r\n"), Close()),
        "odd_header": Script(Wire(f"HTTP/1.1 200 OK\r\n{key}\r\n\r\n"), Close()),
        "odd_length": Script(Wire(f"HTTP/1.1 200 OK\r\nContent-Length: {key}\r\n\r\n"), Close()),
        "odd_framing": Script(Wire(f"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n{key}\r\n"), Close()),
        "odd_coding": Script(Wire(f"HTTP/1.1 200 OK\r\nContent-Encoding: gzip\r\nContent-Length: {len(key)}\r\n\r\n{key}"), Close()),
    }
    return found


LISTS = {
    "lab": [
        "error_message",
        "error_plain",
        "inside_message",
        "inside_string",
        "inside_plain",
        "inside_list",
        "inside_deep",
        "page",
        "error_page",
        "no_http",
    ],
    "router": ["error_message", "error_plain", "error_raw", "error_page", "no_http", "odd_status", "odd_header", "redirect"],
}
"""What of it is said in place of a list of models."""


@pytest.fixture
def keys(tmp_path: Path) -> Mapping[str, Path]:
    """A file for each secret."""
    found = {}
    for name, secret in (("lab", LAB), ("router", ROUTER), ("token", TOKEN)):
        found[name] = tmp_path / f"{name}.key"
        found[name].write_text(secret + "\n")
        found[name].chmod(0o600)
    return found


def servers(lab: str, router: str, keys: Mapping[str, Path], names: Mapping[str, list[str]], other: str = "lab_good") -> str:
    """Two providers with a key each, and members by these names."""
    text = f'tokens = [{{ file = "{keys["token"]}" }}]\n'
    text += f'[providers.lab]\napi = "openai"\nurl = "{lab}"\nplace = "remote"\ndiscover = true\napi_key = {{ file = "{keys["lab"]}" }}\n'
    text += f'[providers.router]\napi = "openrouter"\nurl = "{router}"\napi_key = {{ file = "{keys["router"]}" }}\n'
    text += "[records]\ntext = true\n[budget]\nper_day_usd = 100\nper_request_usd = 50\n"
    for provider, members in names.items():
        for name in members:
            text += f'[members.{provider}_{name}]\nprovider = "{provider}"\nmodel = "{name}"\nfirst_token_seconds = 1\nstall_seconds = 1\n'
            text += FREE if provider == "lab" else "price = { input = 1, output = 1 }\n"
            panel = list(dict.fromkeys([f"{provider}_{name}", other]))
            text += f'[fusions.{provider}_{name}]\nstrategy = "vote"\npanel = {panel}\n'
    return text


def pieces(secret: str) -> Iterator[str]:
    """What tells too much of it."""
    return (secret[at : at + PIECE] for at in range(len(secret) - PIECE + 1))


def told(text: str) -> list[str]:
    """Whose secret is in a text, wholly or in part."""
    return [name for name, secret in SECRETS.items() if any(piece in text for piece in pieces(secret))]


async def everything(daemon: Served, client: aiohttp.ClientSession, directory: Path) -> str:
    """All that the daemon shows, has said and has written."""
    shown = []
    for path in ("status", "ledger", "costs", "egress?limit=500", "requests?limit=500"):
        async with client.get(f"/fusiond/{path}") as response:
            shown.append(await response.text())
            assert response.status == 200, shown
    for row in json.loads(shown[-1])["requests"]:
        async with client.get(f"/fusiond/requests/{row['id']}") as response:
            shown.append(await response.text())
    return "\n".join([*shown, *daemon.log, *_written(directory)])


def _written(directory: Path) -> list[str]:
    files = [path for path in directory.rglob("*") if path.is_file() and path.suffix != ".key"]
    assert {"ledger.db", "records.db"} <= {path.name for path in files}
    return [path.read_bytes().decode("latin-1") for path in files]


async def test_a_key_that_is_echoed_is_not_repeated(tmp_path: Path, keys: Mapping[str, Path]) -> None:
    """By name and in a fusion, whole and streamed: not in the answer, its headers, the trace, the log, the records or the ledger."""
    from_lab, from_router = echoes(LAB), echoes(ROUTER)
    lab = OpenAIUpstream({**from_lab, "good": YES})
    lab.pages["/v1/models"] = Script(Status(200, {"data": []}))
    async with lab, OpenRouterUpstream(from_router) as router:
        text = servers(lab.url, router.url, keys, {"lab": [*from_lab, "good"], "router": list(from_router)})
        arguments = (*configured(tmp_path, text), "--log-level", "debug")
        async with serving(*arguments) as daemon, aiohttp.ClientSession(daemon.url, headers={"Authorization": f"Bearer {TOKEN}"}) as client:
            names = [*(f"lab_{name}" for name in from_lab), *(f"router_{name}" for name in from_router)]
            codes = await asyncio.gather(*(_failing(client, name) for name in names))
            assert sum(codes) > len(names)
            text = await everything(daemon, client, tmp_path)
        assert told(text + "\n".join(daemon.log)) == []
    assert {told(str(chat.headers)).pop() for chat in lab.requests} == {"lab"}
    assert {told(str(chat.headers)).pop() for chat in router.requests} == {"router"}
    assert all(len(told(str(chat.headers) + json.dumps(chat.body))) == 1 for chat in [*lab.requests, *router.requests])


async def _failing(client: aiohttp.ClientSession, name: str) -> int:
    """How often of three an answer fails as a whole; nothing of any of them tells a key."""
    failures = 0
    for model, stream in ((name, False), (name, True), (f"fusion/{name}", False)):
        body = question(model, "Is 7 prime? Answer yes or no.", stream=stream, max_tokens=300, fusion={"trace": True})
        async with client.post("/v1/chat/completions", json=body) as response:
            heard = ""
            with suppress(aiohttp.ClientPayloadError):  # after its first word, a stream that fails is cut
                async for piece in response.content.iter_any():
                    heard += piece.decode()
            failures += response.status >= 400
            assert told(heard + str(response.headers)) == [], (name, stream, heard)
    return failures


@pytest.mark.parametrize("provider", LISTS)
async def test_a_key_that_is_echoed_in_a_list_is_not_repeated(tmp_path: Path, keys: Mapping[str, Path], provider: str) -> None:
    """What a provider says in place of its models or prices is told in the status and the log."""
    async with OpenAIUpstream({"good": YES}) as lab, OpenRouterUpstream({"good": YES}) as router:
        text = servers(lab.url, router.url, keys, {"lab": ["good"]})
        upstream, path = (lab, "/v1/models") if provider == "lab" else (router, "/api/v1/models")
        scripts = echoes(LAB if provider == "lab" else ROUTER)
        upstream.pages[path] = Script(Status(500, scripts["error_message"][0].body))  # type: ignore[union-attr]
        arguments = (*configured(tmp_path, text), "--log-level", "debug")
        async with serving(*arguments) as daemon, aiohttp.ClientSession(daemon.url, headers={"x-api-key": TOKEN}) as client:
            for number, name in enumerate(LISTS[provider]):
                upstream.pages[path] = scripts[name]
                seen = len([asked for asked in upstream.requests if asked.path == path])
                configured(tmp_path, text.replace('provider = "lab"\nmodel', f'skill = 0.{number + 1:02}\nprovider = "lab"\nmodel'))
                async with client.post("/fusiond/reload") as response:
                    assert (await response.json())["error"] is None
                await upstream.until(lambda seen=seen: len([asked for asked in upstream.requests if asked.path == path]) > seen)  # type: ignore[misc]
                await upstream.idle()
            shown = await everything(daemon, client, tmp_path)
        assert "error" in shown
        assert told(shown + "\n".join(daemon.log)) == []


async def test_a_key_goes_to_its_own_server_alone(tmp_path: Path, keys: Mapping[str, Path]) -> None:
    """Redirects are not followed, proxies of the environment are not used, who needs no key gets none, and the client's own token stays here."""
    elsewhere = OpenAIUpstream({"moved": YES, "plain": YES})
    async with elsewhere, OpenAIUpstream({"good": YES}) as bare, OllamaUpstream({"small": YES}, loaded=["small"]) as ollama:
        redirects = [Script(Status(code, "", {"Location": f"{elsewhere.url}/chat/completions"})) for code in (301, 302, 303, 307, 308)]
        lab = OpenAIUpstream({"moved": redirects, "plain": YES})
        router = OpenRouterUpstream({"good": YES})
        for upstream, path in ((lab, "/v1/models"), (router, "/api/v1/models"), (ollama, "/api/ps")):
            upstream.pages[path] = Script(Status(302, "", {"Location": f"{elsewhere.url}/models"}))
        proxy = elsewhere.url.removesuffix("/v1")
        environment = {name: proxy for word in ("http_proxy", "https_proxy", "all_proxy") for name in (word, word.upper())}
        environment |= {"OLLAMA_API_KEY": TOKEN, "OPENAI_API_KEY": LAB, "no_proxy": "", "NO_PROXY": ""}
        async with lab, router:
            text = servers(lab.url, router.url, keys, {"lab": ["plain", "moved"]}, "bare_good")
            text += f'[providers.bare]\napi = "openai"\nurl = "{bare.url}"\n[members.bare_good]\nprovider = "bare"\nmodel = "good"\n'
            text += f'[providers.o]\napi = "ollama"\nurl = "{ollama.url}"\n[members.small]\nprovider = "o"\nmodel = "small"\n'
            arguments = configured(tmp_path, text)
            async with serving(*arguments, environment=environment) as daemon:
                async with aiohttp.ClientSession(daemon.url, headers={"Authorization": f"Bearer {TOKEN}"}, trust_env=False) as client:
                    for model in ["lab_moved"] * 5 + ["lab_plain", "bare_good"]:
                        async with client.post("/v1/chat/completions", json=question(model)) as response:
                            assert response.status in ((502, 503) if model == "lab_moved" else (200,)), await response.text()
                    async with client.post("/v1/chat/completions", json=question("small")) as response:
                        await response.read()
                    told_of = await status(client)
        assert elsewhere.connections.most == 0
        assert set(told_of["providers"]) == {"lab", "router", "bare", "o"}
        assert lab.chats
        assert {told(str(asked.headers)).pop() for asked in lab.requests} == {"lab"}
        for asked in [*bare.requests, *ollama.requests]:
            assert "authorization" not in asked.headers
            assert told(str(asked.headers) + json.dumps(asked.body)) == []


UNFIT = {"open to others": (LAB.encode(), 0o644), "no text": (LAB.encode() + b"\xff\xfe", 0o600)}
"""Key files that cannot be used: what is in them, and their modes."""


@pytest.mark.parametrize("fault", UNFIT)
async def test_a_file_that_cannot_be_used_is_named_and_not_shown(tmp_path: Path, keys: Mapping[str, Path], fault: str) -> None:
    """At the start, and in a reload, which changes nothing."""
    content, mode = UNFIT[fault]
    text = servers("http://127.0.0.1:9/v1", "http://127.0.0.1:9/v1", keys, {"lab": ["good"]})
    async with serving(*configured(tmp_path, text)) as daemon, aiohttp.ClientSession(daemon.url, headers={"x-api-key": TOKEN}) as client:
        async with client.get("/v1/models") as response:
            assert response.status == 200  # every provider has been looked at
        keys["lab"].write_bytes(content)
        keys["lab"].chmod(mode)
        async with client.post("/fusiond/reload") as response:
            said = await response.text()
            assert response.status == 422
        assert str(keys["lab"]) in said
        shown = json.dumps(await status(client))
        assert str(keys["lab"]) in shown
    assert told(said + shown + "\n".join(daemon.log)) == []
    code, log = await failed("--config", str(tmp_path / "config.toml"), "--log-level", "debug")
    assert code != 0
    assert any(str(keys["lab"]) in line for line in log)
    assert told("\n".join(log)) == []


MISPLACED = {
    "as text": f'[providers.p]\napi = "openrouter"\napi_key = "{LAB}"\n',
    "without quotes": f'[providers.p]\napi = "openrouter"\napi_key = {LAB}\n',
    "as a list": f'[providers.p]\napi = "openrouter"\napi_key = ["{LAB}"]\n',
    "under another name": f'[providers.p]\napi = "openrouter"\napi_key = {{ key = "{LAB}" }}\n',
    "in the wrong place": f'[providers.p]\napi = "openai"\nurl = "http://127.0.0.1:9/v1"\nkey = "{LAB}"\n',
    "in the address": f'[providers.p]\napi = "openai"\nurl = "http://user:{LAB}@127.0.0.1:9/v1"\n',
    "in the query": f'[providers.p]\napi = "openai"\nurl = "http://127.0.0.1:9/v1?key={LAB}"\n',
    "as a token": f'[server]\ntokens = ["{LAB}"]\n',
    "as a number of seconds": f'[members.m]\nprovider = "p"\nmodel = "m"\nstall_seconds = "{LAB}"\n',
}
"""Keys where a configuration cannot have them."""


def test_a_key_in_the_wrong_place_is_not_repeated(tmp_path: Path) -> None:
    """The error names the place, and not what stands there."""
    files = {where: tmp_path / f"{where}.toml" for where in MISPLACED}
    for where, file in files.items():
        file.write_text(MISPLACED[where])
        with pytest.raises(ConfigErrors) as refused:
            load(file)
        assert str(refused.value), where
        assert told(str(refused.value)) == [], where
