"""A configuration that changes while the daemon works: in effect at once, no request lost, and a mistake in it changes nothing."""

from __future__ import annotations

import asyncio
import json
import signal
import socket
import statistics
import sys
import time
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from pathlib import Path

import aiohttp
import pytest

from tests.serving import Served, answer, chunks, configured, lab, question, serving, status
from tests.upstreams.openai import OpenAIUpstream
from tests.upstreams.script import Finish, Gate, Say, Script, Wait

CHANGES = 200
WATCHED = 40
"""So many of them are left to be noticed; the rest is asked for with SIGHUP or `POST /fusiond/reload`, and the watch comes on top."""

CLIENTS = 8
LATEST = 2.0
"""Seconds from the save to the effect: generous, since the machine is busy; what was measured is printed."""

Save = Callable[[Path, str], None]


def in_place(file: Path, text: str) -> None:
    """As most editors' simplest mode and `echo >` do."""
    file.write_text(text, encoding="utf-8")


def by_rename(file: Path, text: str) -> None:
    """As careful programs do."""
    (new := file.with_suffix(".new")).write_text(text, encoding="utf-8")
    new.replace(file)


def by_link(file: Path, text: str) -> None:
    """As configuration management does: the file is a link to a version, and the link is swapped."""
    version = file.with_suffix(f".{time.monotonic_ns()}")
    version.write_text(text, encoding="utf-8")
    (link := file.with_suffix(".link")).symlink_to(version.name)
    link.replace(file)


SAVES: tuple[Save, ...] = (in_place, by_rename, by_link)


def generation(number: int) -> Script:
    """The model of one generation says which it is, in two pieces with a moment between them."""
    return Script(Say("generation "), Wait(0.02), Say(str(number)), Finish())


def main_file(url: str, model: str) -> str:
    """A configuration whose only member is that model."""
    return f'include = ["tuned.toml"]\n[server]\nlisten = ["127.0.0.1:0"]\n{lab(url)}[members.it]\nprovider = "lab"\nmodel = "{model}"\n'


def included_file(model: str) -> str:
    """What `tuned.toml` adds: a member of its own."""
    return f'[members.tuned]\nprovider = "lab"\nmodel = "{model}"\n'


class Load:
    """Clients that ask without a pause. `seen`: for each member and revision what its answers said."""

    def __init__(self, client: aiohttp.ClientSession) -> None:
        self._client = client
        self.seen: dict[tuple[str, int], set[str]] = {}
        self.answers = 0
        self.over = False

    async def ask(self, member: str, *, stream: bool) -> None:
        """Ask until told to stop. Fails at the first answer that is not complete."""
        while not self.over:
            async with self._client.post("/v1/chat/completions", json=question(member, stream=stream)) as response:
                body = await response.text()
            assert response.status == 200, body
            if stream:
                assert body.endswith("data: [DONE]\n\n"), body
                said = "".join(chunk["choices"][0]["delta"].get("content", "") for chunk in chunks(body))
            else:
                said = json.loads(body)["choices"][0]["message"]["content"]
            self.seen.setdefault((member, int(response.headers["X-Fusiond-Revision"])), set()).add(said)
            self.answers += 1


@asynccontextmanager
async def under_load(client: aiohttp.ClientSession) -> AsyncIterator[Load]:
    """Eight clients, half of them streaming, for as long as the block lasts."""
    load = Load(client)
    async with asyncio.TaskGroup() as group:
        for number in range(CLIENTS):
            group.create_task(load.ask("it" if number < CLIENTS / 2 else "tuned", stream=number % 2 == 0))
        yield load
        load.over = True


@pytest.mark.timeout(90)
async def test_no_request_is_lost_by_200_changes_under_load(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """Every request is answered by the revision that it names, however the file is saved; nothing is left open by those that are gone."""
    file, tuned = tmp_path / "config.toml", tmp_path / "tuned.toml"
    now = {"it": 0, "tuned": 0}
    expected = {(member, 1): {"generation 0"} for member in now}
    delays = []
    async with OpenAIUpstream({f"g{number}": generation(number) for number in range(CHANGES + 1)}) as upstream:
        file.write_text(main_file(upstream.url, "g0"), encoding="utf-8")
        tuned.write_text(included_file("g0"), encoding="utf-8")
        async with serving("--config", str(file)) as daemon, daemon.client() as client:
            async with under_load(client) as load:
                for number in range(1, CHANGES + 1):
                    began = time.monotonic()
                    save = SAVES[number % len(SAVES)]
                    if number % 4:
                        now["it"] = number
                        save(file, main_file(upstream.url, f"g{number}"))
                    else:
                        now["tuned"] = number
                        save(tuned, included_file(f"g{number}"))
                    expected |= {(member, number + 1): {f"generation {at}"} for member, at in now.items()}
                    if number <= WATCHED:
                        await daemon.said(f"revision {number + 1} serves")
                        delays.append(time.monotonic() - began)
                    else:
                        await hurried(daemon, client, number)
                    if number == WATCHED:
                        settled = descriptors(daemon), memory(daemon)
            open_files, held = descriptors(daemon), memory(daemon)
            told = await status(client)
        await upstream.gone()
    with capsys.disabled():
        median, worst = statistics.median(delays), max(delays)
        sys.stdout.write(f"\n{load.answers} answers; in effect after {median * 1000:.0f} ms (median), {worst * 1000:.0f} ms (worst of {WATCHED}); ")
        sys.stdout.write(f"descriptors {settled[0]} -> {open_files}, memory {settled[1] >> 20} -> {held >> 20} MiB\n")
    assert max(delays) < LATEST
    assert (told["revision"], told["config"]["error"]) == (CHANGES + 1, None)
    assert load.seen == {key: expected[key] for key in load.seen}
    assert open_files < settled[0] + 2 * CLIENTS
    assert held < settled[1] + 16 * 1024 * 1024


async def hurried(daemon: Served, client: aiohttp.ClientSession, number: int) -> None:
    """Have a change taken now, by request or by signal."""
    if number % 3 == 0:
        daemon.signal(signal.SIGHUP)
    else:
        async with client.post("/fusiond/reload") as response:
            assert (response.status, await response.json()) == (200, {"revision": number + 1, "error": None})
    await daemon.said(f"revision {number + 1} serves")


def descriptors(daemon: Served) -> int:
    """How many files and connections the daemon holds."""
    return len(list(Path(f"/proc/{daemon.process.pid}/fd").iterdir()))


def memory(daemon: Served) -> int:
    """Bytes of memory that are the daemon's own."""
    lines = Path(f"/proc/{daemon.process.pid}/status").read_text(encoding="utf-8").splitlines()
    return next(int(line.split()[1]) * 1024 for line in lines if line.startswith("RssAnon:"))


@pytest.mark.parametrize("stream", [False, True], ids=["whole", "streamed"])
async def test_a_request_in_flight_finishes_on_its_revision(tmp_path: Path, *, stream: bool) -> None:
    """The old revision's connections last as long as its last request, and no longer."""
    gate = asyncio.Event()
    scripts = {"old": Script(Say("o"), Gate(gate), Say("ld"), Finish()), "new": Script(Say("new"), Finish())}
    async with OpenAIUpstream(scripts) as upstream:
        file = tmp_path / "config.toml"
        file.write_text(main_file(upstream.url, "old"), encoding="utf-8")
        async with serving("--config", str(file)) as daemon, daemon.client() as client:
            asked = asyncio.create_task(answer(client, "it", stream=stream))
            await upstream.asked()
            file.write_text(main_file(upstream.url, "new"), encoding="utf-8")
            await daemon.said("revision 2 serves")
            assert await answer(client, "it", stream=stream) == "new"
            assert upstream.connections.now == 2
            gate.set()
            assert await asked == "old"
            await upstream.until(lambda: upstream.connections.now == 1, "the end of the old revision's connection")


@pytest.mark.parametrize(
    ("bad", "reason"),
    [
        ("[server]\nqueu = 1\n", "server.queu: unknown key (did you mean 'queue'?)"),
        ("[members.it\n", "is not valid TOML"),
        ("[server]\nlisten = ['0.0.0.0:0']\n", "server.listen[0]: can be reached from other machines"),
        ("", "config.toml: is empty: what it said before stays in force"),
        ("# to be written\n", "config.toml: is empty: what it said before stays in force"),
    ],
    ids=["unknown key", "no TOML", "open to all", "empty", "nothing but comments"],
)
async def test_a_bad_file_changes_nothing_and_is_reported(tmp_path: Path, bad: str, reason: str) -> None:
    """In the log once, and in the status until a good one comes, even if that says what served before."""
    async with OpenAIUpstream({"g0": generation(0), "g1": generation(1)}) as upstream:
        file = tmp_path / "config.toml"
        file.write_text(good := main_file(upstream.url, "g0"), encoding="utf-8")
        async with serving("--config", str(file)) as daemon, daemon.client() as client:
            file.write_text(bad, encoding="utf-8")
            assert reason in await daemon.said("the configuration was not taken")
            told = await status(client)
            assert (told["revision"], told["ready"], reason in told["config"]["error"]) == (1, True, True)
            assert await answer(client, "it") == "generation 0"
            async with client.post("/fusiond/reload") as response:
                assert response.status == 422
                assert reason in (await response.json())["error"]
            file.write_text(good, encoding="utf-8")
            async with client.post("/fusiond/reload") as response:
                assert (response.status, await response.json()) == (200, {"revision": 1, "error": None})
            assert (await status(client))["config"]["error"] is None
            file.write_text(main_file(upstream.url, "g1"), encoding="utf-8")
            await daemon.said("revision 2 serves")
            assert await answer(client, "it") == "generation 1"
        assert sum("the configuration was not taken" in line for line in daemon.log) == 1


@pytest.mark.skipif(sys.platform != "linux", reason="elsewhere nobody can tell who has a file open")
async def test_half_a_file_is_not_taken(tmp_path: Path) -> None:
    """A privacy that is to be written in a second is not loosened until then."""
    arguments = configured(tmp_path, tail := '[privacy]\ndefault = "local"\n')
    file = Path(arguments[1])
    text = file.read_text(encoding="utf-8")  # noqa: ASYNC240  # nothing else runs here
    async with serving(*arguments) as daemon, daemon.client() as client:
        with file.open("w", encoding="utf-8") as writer:  # noqa: ASYNC230
            await asyncio.sleep(0.5)
            writer.write(text.removesuffix(tail) + "queue = 7\n")
            writer.flush()
            for _ in range(10):
                await asyncio.sleep(0.1)
                told = await status(client)
                assert (told["revision"], told["privacy"], told["config"]["error"]) == (1, "local", None)
            writer.write(tail)
        await daemon.said("revision 2 serves")
        assert (await status(client))["privacy"] == "local"


async def test_a_file_that_is_gone_changes_nothing(tmp_path: Path) -> None:
    """What it said stays in force, and the status says so; when it comes back it is read again."""
    arguments = configured(tmp_path, "")
    file = Path(arguments[1])
    async with serving(*arguments) as daemon, daemon.client() as client:
        file.unlink()  # noqa: ASYNC240  # nothing else runs here
        await daemon.said("there is no such file")
        told = await status(client)
        assert (told["revision"], "no such file" in told["config"]["error"]) == (1, True)
        configured(tmp_path, "queue = 1\n")
        await daemon.said("revision 2 serves")
        assert (await status(client))["config"]["error"] is None


async def test_a_new_address_is_listened_on_before_the_old_one_is_let_go(tmp_path: Path, short_path: Path) -> None:
    """The new socket answers, a request on the old one is finished, and then the old one is gone."""
    gate = asyncio.Event()
    old, new = short_path / "old.sock", short_path / "new.sock"
    async with OpenAIUpstream({"a": Script(Say("hel"), Gate(gate), Say("lo"), Finish())}) as upstream:
        arguments = configured(tmp_path, lab(upstream.url, "a"), listen=f'"unix:{old}"')
        async with serving(*arguments) as daemon, daemon.client(old) as before, daemon.client(new) as after:
            asked = asyncio.create_task(answer(before, "a"))
            await upstream.asked()
            configured(tmp_path, lab(upstream.url, "a"), listen=f'"unix:{new}"')
            await daemon.said("revision 2 serves")
            assert not old.exists()
            async with after.get("/healthz") as response:
                assert response.status == 200
            gate.set()
            assert await asked == "hello"


async def test_an_address_that_is_taken_rejects_the_whole_file(tmp_path: Path) -> None:
    """Nothing of the file is taken, not even the addresses that are free: all of it is, or none."""
    async with OpenAIUpstream({"g0": generation(0), "g1": generation(1)}) as upstream:
        file = tmp_path / "config.toml"
        file.write_text(main_file(upstream.url, "g0"), encoding="utf-8")
        with socket.socket() as taken, socket.socket() as free:
            for each in (taken, free):
                each.bind(("127.0.0.1", 0))
            taken.listen()
            busy, idle = (f"127.0.0.1:{each.getsockname()[1]}" for each in (taken, free))
            free.close()
            async with serving("--config", str(file)) as daemon, daemon.client() as client:
                wish = main_file(upstream.url, "g1").replace('"127.0.0.1:0"', f'"127.0.0.1:0", "{idle}", "{busy}"')
                file.write_text(wish, encoding="utf-8")
                assert busy in await daemon.said("the configuration was not taken")
                assert busy in (await status(client))["config"]["error"]
                assert await answer(client, "it") == "generation 0"
                with pytest.raises(aiohttp.ClientConnectorError):
                    await client.get(f"http://{idle}/healthz")
                taken.close()
                daemon.signal(signal.SIGHUP)
                await daemon.said("revision 2 serves")
                for address in (idle, busy):
                    async with client.get(f"http://{address}/healthz") as response:
                        assert response.status == 200
                assert await answer(client, "it") == "generation 1"


async def test_what_says_the_same_is_no_new_revision(tmp_path: Path) -> None:
    """Comments and SIGHUP change nothing, so the connections to the members stay."""
    arguments = configured(tmp_path, "")
    async with serving(*arguments) as daemon, daemon.client() as client:
        configured(tmp_path, "# a word\n")
        async with client.post("/fusiond/reload") as response:
            assert (response.status, (await response.json())["revision"]) == (200, 1)


async def test_a_file_that_appears_is_taken(tmp_path: Path, short_path: Path) -> None:
    """A daemon that started without a configuration serves the user's own as soon as there is one."""
    home = tmp_path / "home" / "fusiond"
    home.mkdir(parents=True)
    nobody = {"OLLAMA_HOST": "127.0.0.1:9", "XDG_CONFIG_HOME": str(home.parent)}
    upstream = OpenAIUpstream({"a": Script(Say("hello"), Finish())})
    async with upstream, serving("--listen", "unix", environment=nobody) as daemon, daemon.client(short_path / "fusiond" / "fusiond.sock") as client:
        configured(home, lab(upstream.url, "a"))
        await daemon.said("revision 2 serves")
        assert await answer(client, "a") == "hello"
        assert (await status(client))["config"]["path"] == str(home / "config.toml")
