"""Without a network: local members answer as if nothing had happened, and where nothing may leave, nothing even tries to.

The daemon runs in a network namespace of its own. A made-up card leads from it to everywhere: what is sent there is counted, and comes to nobody.
Names are asked for at a server of this test, which counts the questions and never answers, as it is where the way to it is cut.
"""

from __future__ import annotations

import asyncio
import socket
import subprocess
import sys
import time
from collections.abc import AsyncIterator, Callable, Iterator, Mapping
from contextlib import ExitStack, asynccontextmanager, contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import aiohttp
import pytest

from tests.serving import Served, answer, configured, lab, question, serving, status
from tests.upstreams.openai import OpenAIUpstream
from tests.upstreams.script import Finish, Say, Script

TOP = Path(__file__).parent.parent.parent
YES = Script(Say("Yes."), Finish())
FREE = "price = { input = 0, output = 0 }\n"
PROMPT = 3.0
"""Seconds within which an answer that waits for nobody comes, also on a busy machine; what is waited for in vain takes five or more."""

CARD = """
ip link set lo up
ip link add out type veth peer name hole
echo 1 > /proc/sys/net/ipv6/conf/all/disable_ipv6
ip address add 10.9.9.9/24 dev out
ip link set hole up
ip link set out arp off up
ip route add default dev out
"""
NAMES = 'mount --bind "$1" /etc/resolv.conf\nshift\nexec "$@"\n'


def _namespaces() -> bool:
    """Whether this machine lets anybody make a network of his own."""
    command = ["unshare", "-rnm", "sh", "-ec", CARD]
    try:
        return subprocess.run(command, capture_output=True, check=False, timeout=10).returncode == 0
    except (OSError, subprocess.TimeoutExpired):
        return False


class Names(asyncio.DatagramProtocol):
    """The server that is asked for names, and says nothing."""

    def __init__(self) -> None:
        self.asked: list[bytes] = []

    def datagram_received(self, data: bytes, addr: object) -> None:
        """A question."""
        self.asked.append(data)


@dataclass(kw_only=True)
class Home:
    """What is inside: the daemon, a client, a local member, and what has tried to leave."""

    daemon: Served
    client: aiohttp.ClientSession
    near: OpenAIUpstream
    names: Names

    async def ask(self, model: str, headers: Mapping[str, str] | None = None, **fields: Any) -> tuple[int, Any, float]:
        """Status, document, and seconds."""
        began = asyncio.get_running_loop().time()
        body = question(model, "Is 7 prime? Answer yes or no.", fusion={"trace": True, **fields})
        async with self.client.post("/v1/chat/completions", json=body, headers=headers) as response:
            return response.status, await response.json(), asyncio.get_running_loop().time() - began

    def left(self) -> tuple[int, int]:
        """Packets on the card, and questions for names, so far."""
        card = next(line for line in Path("/proc/net/dev").read_text().splitlines() if line.strip().startswith("out:"))
        return int(card.split(":")[1].split()[9]), len(self.names.asked)


FUSION = '[fusions.default]\nstrategy = "vote"\npanel = ["near", "far"]\n[fusions.alone]\nstrategy = "single"\npanel = ["far", "near"]\n'


def named(near: str) -> str:
    """A local member, and a remote one known by a name."""
    return (
        f'[providers.here]\napi = "openai"\nurl = "{near}"\n[members.near]\nprovider = "here"\nmodel = "near"\n'
        f'[providers.there]\napi = "openai"\nurl = "https://far.example/v1"\n[members.far]\nprovider = "there"\nmodel = "far"\n{FREE}{FUSION}'
    )


def dark(near: str) -> str:
    """The remote one is known by its address, to which packets go and from which none come."""
    return named(near).replace("https://far.example/v1", 'http://198.51.100.7/v1"\nplace = "remote')


def listed(near: str) -> str:
    """OpenRouter with a key, whose prices would be asked for."""
    return (
        named(near).replace("[fusions.default]", '[members.paid]\nprovider = "router"\nmodel = "openai/gpt-4o-mini"\n[fusions.default]')
        + '[providers.router]\napi = "openrouter"\napi_key = { env = "KEY" }\n[budget]\nper_day_usd = 1\n'
    )


@asynccontextmanager
async def home(directory: Path, text: Callable[[str], str], more: str = "") -> AsyncIterator[Home]:
    """The daemon, in the namespace that this process is in."""
    loop = asyncio.get_running_loop()
    transport, names = await loop.create_datagram_endpoint(Names, local_addr=("127.0.0.1", 53))
    async with OpenAIUpstream({"near": YES}) as near:
        async with serving(*configured(directory, text(near.url) + more), environment={"KEY": "sk-or-made-up"}) as daemon, daemon.client() as client:
            yield Home(daemon=daemon, client=client, near=near, names=names)
    transport.close()
    await asyncio.sleep(0)


async def a_local_question(directory: Path) -> None:
    """Not a packet, and not a name, however it is said and whoever is in the panel; the same question without that wish does ask for the name."""
    async with home(directory, named) as inside:
        for model in ("near", "fusion", "fusion/alone"):
            code, _, _ = await inside.ask(model, {"X-Fusiond-Privacy": "local"})
            assert code == 200
        code, document, _ = await inside.ask("fusion", privacy="local")
        assert (code, document["fusion"]["degraded"]) == (200, ["privacy"])
        assert inside.left() == (0, 0)
        asked = asyncio.create_task(inside.ask("far"))
        async with asyncio.timeout(5):
            while not inside.names.asked:  # noqa: ASYNC110  # nobody tells
                await asyncio.sleep(0.01)
        assert b"example" in inside.names.asked[0]
        asked.cancel()
        await asyncio.wait([asked])


async def _nothing(directory: Path, more: str, state: tuple[str, str]) -> None:
    async with home(directory, listed, more) as inside:
        for model in ("near", "fusion", "fusion/alone"):
            code, document, seconds = await inside.ask(model)
            assert (code, document["choices"][0]["message"]["content"]) == (200, "Yes.")
            assert seconds < PROMPT
        assert document["fusion"]["degraded"] == [state[0]]
        async with inside.client.post("/fusiond/reload") as response:
            assert response.status == 200
        async with inside.client.get("/v1/models") as response:
            assert response.status == 200
        told = await status(inside.client)
        assert told["ready"]
        assert told["offline"] == (state[0] == "offline")
        assert told["members"]["far"]["state"] == state[1]
        assert inside.left() == (0, 0)


async def a_local_daemon(directory: Path) -> None:
    """Nothing in the background leaves either: there is a provider with a price list, and nobody asks for it."""
    await _nothing(directory, '[privacy]\ndefault = "local"\n', ("privacy", "unavailable"))


async def an_offline_daemon(directory: Path) -> None:
    """The same where the daemon is told that it has no network."""
    await _nothing(directory, '[offline]\nmode = "always"\n', ("offline", "offline"))


async def a_start(directory: Path) -> None:
    """The daemon is ready at once, and local members answer, while the price list is still waited for."""
    async with home(directory, listed) as inside:
        async with inside.client.get("/readyz") as response:
            assert response.status == 200
        for model, headers in (("near", {}), ("fusion", {"X-Fusiond-Privacy": "local"}), ("fusion", {})):
            code, _, seconds = await inside.ask(model, headers)
            assert code == 200
            assert seconds < PROMPT
        assert any(b"openrouter" in name for name in inside.names.asked)  # it was looked for
        told = await status(inside.client)
        assert "router" not in told["providers"] or told["providers"]["router"]["error"] is None  # and waited for until now


async def a_hole(directory: Path) -> None:
    """Packets leave, and nothing comes back. The first request loses the time of one connection; later ones lose none, and say who is missing."""
    async with home(directory, dark) as inside:
        code, document, _ = await inside.ask("fusion/alone")
        assert (code, document["fusion"]["degraded"]) == (200, ["fallback", "offline"])
        assert document["fusion"]["members"][0]["error"] == "unreachable: no connection within 5 s"
        for _ in range(3):
            code, document, seconds = await inside.ask("fusion/alone")
            assert (code, document["fusion"]["degraded"]) == (200, ["offline"])
            [far] = [member for member in document["fusion"]["members"] if member["member"] == "far"]
            assert (far["status"], far["error"]) == ("skipped", "offline: no connection within 5 s")
            assert seconds < PROMPT
        told = await status(inside.client)
        assert (told["offline"], told["members"]["far"]["state"], told["ready"]) == (True, "offline", True)
        assert inside.left()[0] > 0


SCENES = {scene.__name__: scene for scene in (a_local_question, a_local_daemon, an_offline_daemon, a_start, a_hole)}


@pytest.mark.parametrize("scene", SCENES)
def test_in_a_network_of_its_own(tmp_path: Path, scene: str) -> None:
    """See there."""
    if not _namespaces():
        pytest.skip("this machine lets nobody make a network of his own")
    seconds = 4 if scene == "a_start" else 1  # a name that is asked for keeps the daemon from ending
    (tmp_path / "resolv.conf").write_text(f"nameserver 127.0.0.1\noptions timeout:{seconds} attempts:1\n")
    command = ["unshare", "-rnm", "sh", "-ec", CARD + NAMES, "sh", str(tmp_path / "resolv.conf")]
    played = subprocess.run(
        [*command, sys.executable, "-m", "tests.process.test_offline", scene, str(tmp_path)],
        cwd=TOP,
        capture_output=True,
        text=True,
        check=False,
        timeout=25,
    )
    assert played.returncode == 0, played.stderr


def refused(near: str, port: int) -> str:
    """The remote one is known by a port of this machine where nobody listens."""
    return named(near).replace("https://far.example/v1", f'http://127.0.0.1:{port}/v1"\nplace = "remote')


async def test_who_comes_back_is_found_without_a_question(tmp_path: Path) -> None:
    """By name it is a 503 that says when to come back; once it listens again it is asked again, and nothing was said to it before."""
    async with OpenAIUpstream({"far": YES}) as gone:
        port = gone.port
    async with OpenAIUpstream({"near": YES}) as near, serving(*configured(tmp_path, refused(near.url, port))) as daemon, daemon.client() as client:
        async with client.post("/v1/chat/completions", json=question("far")) as response:
            assert response.status == 502
        async with client.post("/v1/chat/completions", json=question("far")) as response:
            assert response.status == 503
            assert int(response.headers["Retry-After"]) >= 1
        body = question("fusion", "Is 7 prime? Answer yes or no.", fusion={"trace": True})
        async with client.post("/v1/chat/completions", json=body) as response:
            assert response.headers["X-Fusiond-Degraded"] == "offline"
            [left_out] = [member for member in (await response.json())["fusion"]["members"] if member["status"] == "skipped"]
            assert (left_out["member"], left_out["error"].partition(":")[0]) == ("far", "offline")
        assert (await status(client))["offline"] is True
        async with OpenAIUpstream({"far": YES}, port=port) as back, asyncio.timeout(10):
            while (await status(client))["offline"]:  # noqa: ASYNC110  # nobody tells
                await asyncio.sleep(0.05)
            assert (back.connections.most, back.requests) == (1, [])
            assert (await status(client))["members"]["far"]["state"] == "ready"
            async with client.post("/v1/chat/completions", json=question("far")) as response:
                assert response.status == 200


@contextmanager
def swallowed() -> Iterator[int]:
    """A port where nobody answers, not even by a refusal: its queue of connections is full."""
    with socket.create_server(("127.0.0.1", 0), backlog=0) as server, ExitStack() as open_ones:
        for _ in range(3):
            client = open_ones.enter_context(socket.socket())
            client.setblocking(False)
            client.connect_ex(server.getsockname())
        yield server.getsockname()[1]


@pytest.mark.parametrize(
    ("price", "model", "seconds"),
    [
        ("", "near", 1.0),
        ("", "auto", 1.0),
        ("price = { input = 1, output = 1 }\n", "auto", 1.0),
        ("", "/v1/models", 3.0),
        ("", "fusion", 3.0),
    ],
)
async def test_what_is_not_needed_is_not_waited_for(tmp_path: Path, price: str, model: str, seconds: float) -> None:
    """A price list that does not come delays only those whose members it is about, and not for long."""
    with swallowed() as port:
        text = f"""
            [providers.router]
            api = "openrouter"
            url = "http://127.0.0.1:{port}/v1"
            api_key = {{ env = "FUSIOND_TEST_KEY" }}
            [members.far]
            provider = "router"
            model = "made/up"
            {price}
            [fusions.default]
            panel = ["near", "far"]
            [[routes]]
            when = {{ task = "number" }}
            use = "near"
            [budget]
            per_day_usd = 1
        """
        async with OpenAIUpstream({"near": YES}) as near:
            arguments = configured(tmp_path, lab(near.url, "near") + text)
            environment = {"FUSIOND_TEST_KEY": "sk-made-up", "XDG_CACHE_HOME": str(tmp_path)}
            async with serving(*arguments, environment=environment) as daemon, daemon.client() as client:
                began = time.monotonic()
                if model.startswith("/"):
                    async with client.get(model) as response:
                        assert response.status == 200
                else:
                    assert await answer(client, model, "What is 3 + 4? Answer with a number.") == "Yes."
                assert time.monotonic() - began < seconds


async def test_nobody_is_left_out_where_that_is_not_wanted(tmp_path: Path) -> None:
    """`never`: each question tries."""
    async with OpenAIUpstream({"far": YES}) as gone:
        port = gone.port
    text = refused("http://127.0.0.1:9/v1", port) + '[offline]\nmode = "never"\n'
    async with serving(*configured(tmp_path, text)) as daemon, daemon.client() as client:
        for _ in range(2):
            async with client.post("/v1/chat/completions", json=question("far")) as response:
                assert response.status == 502
        assert (await status(client))["offline"] is False
        async with OpenAIUpstream({"far": YES}, port=port):
            async with client.post("/v1/chat/completions", json=question("far")) as response:
                assert response.status == 200


if __name__ == "__main__":
    asyncio.run(SCENES[sys.argv[1]](Path(sys.argv[2])))
