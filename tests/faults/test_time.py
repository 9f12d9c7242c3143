"""A request's time: who gets how much of it, what a member that used it up is told to have done, and what is no use of it at all."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from tests.faults.conftest import Running, running
from tests.upstreams.openai import OpenAIUpstream
from tests.upstreams.script import Finish, Hang, Head, Say, Script, Scripts, Status, Think, Wait

YES = Script(Say("Yes."), Finish())
HANG, SLOW = Script(Hang()), Script(Wait(0.6), Say("Yes."), Finish())
both_ways = pytest.mark.parametrize("stream", [False, True], ids=["whole", "streamed"])


def lab(url: str, *members: str, own: float = 60, **fusion: Any) -> str:
    """A fusion of patient members. `own`: how long each may take for its first token."""
    text = f'[providers.lab]\napi = "openai"\nurl = "{url}"\n'
    for name in members:
        text += f'[members.{name}]\nprovider = "lab"\nmodel = "{name}"\nfirst_token_seconds = {own}\n'
    return text + f"[fusions.default]\npanel = {list(members)}\n" + "".join(f"{key} = {json.dumps(value)}\n" for key, value in fusion.items())


async def states(daemon: Running) -> dict[str, str]:
    """How the members are."""
    async with daemon.client.get(daemon.url + "/fusiond/status") as response:
        return {name: told["state"] for name, told in (await response.json())["members"].items()}


@both_ways
@pytest.mark.parametrize("begins", [Script(Hang()), Script(Head(), Hang())], ids=["nothing", "headers"])
@pytest.mark.parametrize(("strategy", "text"), [("single", "Is 7 prime?"), ("vote", "Write a poem.")], ids=["single", "keyless vote"])
async def test_members_that_hang_leave_time_for_who_takes_over(strategy: str, text: str, begins: Script, stream: bool, tmp_path: Path) -> None:
    """However patient they are, and however many there are; they are none the worse for it."""
    scripts: Scripts = {"a": begins, "b": begins, "c": YES}
    async with OpenAIUpstream(scripts) as upstream:
        async with running(lab(upstream.url, "a", "b", "c", strategy=strategy, deadline_seconds=1.2), tmp_path) as daemon:
            for _ in range(3):
                status, body, ended = await daemon.ask(messages=[{"role": "user", "content": text}], stream=stream)
                assert (status, ended, "Yes." in body) == (200, True, True)
            assert await states(daemon) == dict.fromkeys("abc", "ready")
            await daemon.at_rest()
            await upstream.idle()


async def test_a_member_that_is_slow_may_answer_as_long_as_nobody_needs_its_time(tmp_path: Path) -> None:
    """Of two, half of the time; of whoever has begun, all of it; thoughts are a beginning."""
    scripts: Scripts = {"a": [SLOW, Script(Think("hm"), Wait(1.2), Say("Yes."), Finish())], "b": Script(Say("No."), Finish())}
    async with OpenAIUpstream(scripts) as upstream:
        async with running(lab(upstream.url, "a", "b", strategy="single", deadline_seconds=2), tmp_path) as daemon:
            for _ in range(2):
                status, body, _ = await daemon.ask()
                assert (status, json.loads(body)["choices"][0]["message"]["content"]) == (200, "Yes.")


@both_ways
@pytest.mark.parametrize("strategy", ["single", "vote"])
async def test_a_fusions_own_haste_counts_against_nobody(strategy: str, stream: bool, tmp_path: Path) -> None:
    """A member that would have answered is well, and answers whoever has more time; the reason says whose limit it was."""
    async with OpenAIUpstream({"a": SLOW}) as upstream:
        async with running(lab(upstream.url, "a", strategy=strategy, deadline_seconds=0.2), tmp_path) as daemon:
            for _ in range(4):
                status, body, _ = await daemon.ask(stream=stream)
                assert status == 504
                assert "which is all the time that the request had for it" in json.loads(body)["error"]["members"]["a"]["message"]
            assert await states(daemon) == {"a": "ready"}
            assert (await daemon.ask(model="a"))[0] == 200


@pytest.mark.parametrize(("own", "panel"), [(0.2, "ab"), (0.3, "ab"), (0.6, "a")], ids=["sooner", "as the share", "as the deadline"])
async def test_a_member_that_exceeds_its_own_limits_is_not_excused(own: float, panel: str, tmp_path: Path) -> None:
    """Though the request's are no longer."""
    scripts: Scripts = {"a": HANG, "b": YES}
    async with OpenAIUpstream(scripts) as upstream:
        async with running(lab(upstream.url, *panel, own=own, strategy="single", deadline_seconds=0.6), tmp_path) as daemon:
            for _ in range(3):
                assert (await daemon.ask())[0] == (200 if "b" in panel else 504)
            assert (await states(daemon))["a"] == "cooling"


@pytest.mark.parametrize("strategy", ["single", "vote", "race"])
async def test_whom_the_plan_left_out_is_named_with_those_who_failed(strategy: str, tmp_path: Path) -> None:
    """In the message and as data."""
    scripts: Scripts = {"a": [Script(Status(429))], "b": Script(Status(500))}
    async with OpenAIUpstream(scripts) as upstream, running(lab(upstream.url, "a", "b", strategy=strategy), tmp_path) as daemon:
        assert (await daemon.ask(model="a"))[0] == 502
        status, body, _ = await daemon.ask()
        error = json.loads(body)["error"]
        assert (status, {name: told["reason"] for name, told in error["members"].items()}) == (502, {"a": "cooling", "b": "rejected"})
        assert "a: cooling: asks to be left alone" in error["message"]


@both_ways
async def test_to_wait_for_a_member_is_no_work_of_the_daemons(stream: bool, tmp_path: Path) -> None:
    """Not for one that hangs until the grace is over, and not for thoughts."""
    scripts: Scripts = {"a": YES, "b": HANG, "thinks": Script(Think("hm"), Wait(0.5), Say("Yes."), Finish())}
    thinker = '[members.thinks]\nprovider = "lab"\nmodel = "thinks"\n'
    text = lab("{url}", "a", "b", strategy="vote", quorum=1, grace_seconds=0.5) + thinker
    async with OpenAIUpstream(scripts) as upstream, running(text.replace("{url}", upstream.url), tmp_path) as daemon:
        for model in ("a", "fusion", "thinks"):
            body = {"model": model, "stream": stream, "messages": [{"role": "user", "content": "Is 7 prime? Answer yes or no."}]}
            async with daemon.client.post(daemon.url + "/v1/chat/completions", json=body) as response:
                assert response.status == 200
                assert float(response.headers["X-Fusiond-Overhead-Ms"]) < 200
                await response.read()
