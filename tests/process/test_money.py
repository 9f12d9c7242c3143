"""Money, with the daemon as a process: what a kill, a broken file, a second daemon or a missing price list do to it, and how it is told."""

from __future__ import annotations

import asyncio
import json
import os
import signal
import sqlite3
import sys
import time
from asyncio.subprocess import PIPE
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from decimal import Decimal
from pathlib import Path
from typing import Any

import aiohttp
import pytest

from fusiond.store.opening import BUSY_SECONDS
from tests.paying import DEAR, LISTINGS, MINI, NO, QUESTION, YES, Told, configuration, told
from tests.serving import TOP, Served, configured, serving, started, status
from tests.storing import elsewhere
from tests.upstreams.openai import OpenAIUpstream
from tests.upstreams.openrouter import OpenRouterUpstream
from tests.upstreams.script import Hang, Say, Script, Status

KEY = {"OPENROUTER_API_KEY": "sk-made-up"}
LIST = "/api/v1/models"
CASCADE = '[fusions.default]\nstrategy = "cascade"\npanel = ["a", "c"]\nescalate = ["mini"]\nthrift = 0\n'


@pytest.fixture
async def router() -> AsyncIterator[OpenRouterUpstream]:
    """Who is paid."""
    async with OpenRouterUpstream({MINI: YES, DEAR: YES}, listings=LISTINGS) as upstream:
        yield upstream


@pytest.fixture
async def arguments(tmp_path: Path, router: OpenRouterUpstream) -> AsyncIterator[tuple[str, str]]:
    """A configuration with a budget of a dollar a day, and local members that answer."""
    async with OpenAIUpstream({"a": YES, "b": YES, "c": NO}) as lab:
        yield configured(tmp_path, configuration(router, lab, budget="per_day_usd = 1", fusions=CASCADE))


@asynccontextmanager
async def client_of(daemon: Served) -> AsyncIterator[aiohttp.ClientSession]:
    """A client of a daemon that knows its prices."""
    async with daemon.client() as client:
        async with asyncio.timeout(10):
            while (await status(client))["members"]["mini"]["price"] is None:  # noqa: ASYNC110  # nobody tells
                await asyncio.sleep(0.01)
        yield client


async def ask(client: aiohttp.ClientSession, model: str, **fields: Any) -> Told:
    """A question that can be voted on."""
    body = {"model": model, "messages": [{"role": "user", "content": QUESTION}], **fields}
    async with client.post("/v1/chat/completions", json=body, headers={"X-Fusiond-Trace": "1"}) as response:
        return told(response, await response.text())


async def ledger(client: aiohttp.ClientSession) -> dict[str, Any]:
    """What the daemon says was spent."""
    async with client.get("/fusiond/ledger") as response:
        return dict(await response.json())


def ledger_file() -> Path:
    """Where it is kept."""
    return Path(os.environ["XDG_STATE_HOME"]) / "fusiond" / "ledger.db"


async def test_a_daemon_that_is_killed(router: OpenRouterUpstream, arguments: tuple[str, str]) -> None:
    """What was settled is there, and what was under way counts at its worst: no less than the provider bills."""
    async with started(*arguments, environment=KEY) as daemon:
        await daemon.said("listening on")
        async with client_of(daemon) as client:
            await ask(client, "mini")
            router.scripts[MINI] = Script(Say("Yes"), Hang())
            asking = asyncio.create_task(ask(client, "mini", stream=True, max_tokens=300))
            await router.asked(2)
            before = await ledger(client)
            daemon.signal(signal.SIGKILL)
            await asyncio.wait([asking])
            assert asking.exception()
    await router.left()
    async with serving(*arguments, environment=KEY) as daemon, client_of(daemon) as client:
        after = await ledger(client)
        assert after["reserved_usd"] == "0"
        assert Decimal(after["today_usd"]) == Decimal(before["today_usd"]) + Decimal(before["reserved_usd"]) > router.spent
        assert after["by_member"] == {"mini": after["today_usd"]}


def newer(file: Path) -> None:
    """A ledger of a later release."""
    with sqlite3.connect(file) as database:
        database.execute("PRAGMA user_version = 99")
    database.close()


def damaged(file: Path) -> None:
    """No ledger at all."""
    file.write_bytes(os.urandom(8192))


def emptied(file: Path) -> None:
    """All that was in it is gone."""
    file.touch()


BROKEN = [(newer, "newer fusiond"), (damaged, "damaged, or no database"), (emptied, "it is empty, and no fusiond leaves it so; move it away")]


@pytest.mark.parametrize(("broken", "words"), BROKEN)
async def test_a_ledger_that_cannot_be_used(
    router: OpenRouterUpstream, arguments: tuple[str, str], broken: Callable[[Path], None], words: str
) -> None:
    """Nobody is paid, and everybody is told why; the local members answer, and the file is left as it was."""
    ledger_file().parent.mkdir(parents=True, mode=0o700)
    broken(ledger_file())
    content = ledger_file().read_bytes()
    async with serving(*arguments, environment=KEY) as daemon, client_of(daemon) as client:
        await unpaid(client, words)
    assert router.chats == []
    assert ledger_file().read_bytes() == content


async def test_a_ledger_that_another_holds(router: OpenRouterUpstream, arguments: tuple[str, str]) -> None:
    """Whoever costs nothing does not wait for it; who is paid does, and is told."""
    async with serving(*arguments, environment=KEY) as daemon:
        async with client_of(daemon) as client:
            await ask(client, "mini")
    with elsewhere(ledger_file(), "PRAGMA locking_mode = EXCLUSIVE") as other:
        other.execute("BEGIN EXCLUSIVE")
        async with serving(*arguments, environment=KEY) as daemon, daemon.client() as client:
            began = time.monotonic()
            for model, fields in (("a", {}), ("fusion", {"fusion": {"privacy": "local"}})):
                assert (await ask(client, model, **fields)).status == 200
            assert time.monotonic() - began < BUSY_SECONDS / 2
            refused = await ask(client, "mini")
            assert (refused.status, "database is locked" in refused.error["message"]) == (503, True)
            assert time.monotonic() - began > BUSY_SECONDS / 2
            assert (await ask(client, "fusion")).status == 200
    assert len(router.chats) == 1


async def unpaid(client: aiohttp.ClientSession, words: str) -> None:
    """Who can be asked for money's sake, and who cannot."""
    refused = await ask(client, "mini")
    assert (refused.status, refused.error["code"], words in refused.error["message"]) == (503, "no_member_available", True)
    answered = await ask(client, "fusion")
    assert (answered.status, answered.usage["cost"]) == (200, 0)
    assert [member["member"] for member in answered.trace["members"] if member["status"] == "skipped"] == ["mini"]
    async with client.get("/fusiond/ledger") as response:
        assert (response.status, words in (await response.json())["error"]["message"]) == (503, True)
    assert words in (await status(client))["members"]["mini"]["reason"]
    assert words in (await status(client))["ledger"]["error"]


async def test_a_directory_that_cannot_be_written(router: OpenRouterUpstream, arguments: tuple[str, str]) -> None:
    """As with a broken file."""
    async with serving(*arguments, environment={**KEY, "STATE_DIRECTORY": "/proc/fusiond"}) as daemon, client_of(daemon) as client:
        await unpaid(client, "/proc/fusiond/ledger.db")
    assert router.chats == []


async def test_two_daemons_on_one_ledger(router: OpenRouterUpstream, arguments: tuple[str, str]) -> None:
    """The second one pays nobody, and says who does; once the first has gone, a new one goes on with what it spent."""
    async with serving(*arguments, environment=KEY) as first, client_of(first) as client:
        await ask(client, "mini")
        async with serving(*arguments, environment=KEY) as second, client_of(second) as other:
            await unpaid(other, f"another fusiond (pid {first.process.pid})")
        assert (await ask(client, "mini")).status == 200
    async with serving(*arguments, environment=KEY) as third, client_of(third) as client:
        assert Decimal((await ledger(client))["today_usd"]) == router.spent == 2 * LISTINGS[MINI].cost(len(QUESTION) + 5, 4)


async def test_prices_are_kept_for_a_start_without_a_list(router: OpenRouterUpstream, arguments: tuple[str, str]) -> None:
    """The second daemon pays by the list that the first one had, and says that it has no other."""
    async with serving(*arguments, environment=KEY) as daemon, client_of(daemon):
        router.pages[LIST] = Script(Status(503))
    async with serving(*arguments, environment=KEY) as daemon, client_of(daemon) as client:
        await daemon.said("no price list: HTTP 503")
        assert (await ask(client, "mini")).status == 200
    assert router.chats[0].body["provider"]["max_price"]["prompt"] == 0.123456789


async def test_costs(router: OpenRouterUpstream, arguments: tuple[str, str]) -> None:
    """What was spent by day, member and fusion, for people and for programs."""
    async with serving(*arguments, environment=KEY) as daemon, client_of(daemon) as client:
        for model in ("mini", "mini", "fusion"):
            await ask(client, model)
        spent = f"{router.spent:f}"
        plain, document = await costs(daemon), json.loads(await costs(daemon, "--json"))
    assert (document["today_usd"], document["month_usd"], document["by_member"]) == (spent, spent, {"mini": spent})
    assert sorted((line["member"], line["fusion"], line["calls"]) for line in document["spent"]) == [
        ("mini", "fusion/default", 1),
        ("mini", "mini", 2),
    ]
    assert sum(Decimal(line["usd"]) for line in document["spent"]) == router.spent
    assert "today $0.000037" in plain
    assert "fusion/default" in plain


async def costs(daemon: Served, *options: str) -> str:
    """What the command prints."""
    command = (sys.executable, "-m", "fusiond", "costs", *options)
    process = await asyncio.create_subprocess_exec(*command, stdout=PIPE, cwd=TOP, env={**os.environ, "FUSIOND_URL": daemon.url})
    printed, _ = await process.communicate()
    assert process.returncode == 0
    return printed.decode()
