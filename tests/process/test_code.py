"""Answers that are code, through the real daemon: the one that does what the examples say is delivered as its member wrote it."""

from __future__ import annotations

import asyncio
import os
import signal
import sys
from pathlib import Path
from typing import Any

import aiohttp
import pytest

from tests.serving import TOP, answer, configured, lab, question, serving, started
from tests.upstreams.openai import OpenAIUpstream
from tests.upstreams.script import Finish, Hang, Say, Script

PROMPT = '''Write a Python function that tells the second largest of different numbers.

def second(numbers):
    """The second largest value; None where there is none.

    >>> second([3, 1, 2])
    2
    >>> second([5, 5, 4])
    4
    >>> second([1])
    """
'''
WRONG = "Sure!\n\n```python\ndef second(numbers):\n    return sorted(numbers)[-2]\n```\n\nIt sorts and takes the last but one."
WRONG_TOO = "```python\n# the same, but with a comment\ndef second(values):\n    ordered = sorted(values)\n    return ordered[-2]\n```"
RIGHT = (
    "Duplicates count once:\n\n```python\ndef second(numbers):\n    different = sorted(set(numbers))\n"
    "    return different[-2] if len(different) > 1 else None\n```\nUse it like this:\n```python\nprint(second([1, 2]))\n```\n"
)
BROKEN = "```python\ndef second(numbers:\n    return 1\n```"
FOREVER = "```python\ndef second(numbers):\n    while True:\n        pass\n```"


def fusion(strategy: str, panel: str, more: str = "") -> str:
    """A fusion of those members."""
    return f'[fusions.default]\nstrategy = "{strategy}"\npanel = [{panel}]\n{more}'


async def traced(client: aiohttp.ClientSession, text: str = PROMPT, **fields: Any) -> tuple[str, dict[str, Any]]:
    """The answer and its trace."""
    async with client.post("/v1/chat/completions", json=question("fusion", text, fusion={"trace": True}, **fields)) as response:
        document = await response.json()
        assert response.status == 200, document
    return document["choices"][0]["message"]["content"], document["fusion"]


def scripts(**answers: str) -> dict[str, Script]:
    """Members that say this."""
    return {name: Script(Say(text), Finish()) for name, text in answers.items()}


async def jailed(trace: dict[str, Any]) -> dict[str, Any]:
    """What the trace tells of the choice; the test is skipped where nothing can be run."""
    told: dict[str, Any] = trace["analysis"]
    if str(told.get("not_run", "")).startswith("code cannot be shut in"):
        pytest.skip(told["not_run"])
    return told


@pytest.mark.parametrize("strategy", ["vote", "select", "cascade"])
async def test_the_minority_that_passes_the_examples_is_delivered_verbatim(tmp_path: Path, strategy: str) -> None:
    """Against two that agree, one that does not parse, and one that never ends; the judge is not asked."""
    names = ("a", "b", "c", "d", "e", "judge")
    async with OpenAIUpstream(scripts(a=WRONG, b=WRONG_TOO, c=BROKEN, d=FOREVER, e=RIGHT)) as upstream:
        judge = 'judge = "judge"\n' if strategy == "select" else ""
        text = lab(upstream.url, *names) + fusion(strategy, '"a", "b", "c", "d", "e"', judge) + "[code]\nrun = true\n"
        async with serving(*configured(tmp_path, text)) as daemon, daemon.client() as client:
            said, trace = await traced(client)
            told = await jailed(trace)
            assert said == RIGHT
            assert (trace["strategy"], trace["decision"], told["reason"], told["run"]) == (strategy, "selected", "examples", True)
            facts = told["candidates"]
            assert {name: fact.get("examples_passed") for name, fact in facts.items()} == {"a": 1, "b": 1, "c": 0, "d": 0, "e": 2}
            assert [facts[name]["parses"] for name in "abcde"] == [True, True, False, True, True]
            assert facts["a"]["cluster"] == facts["b"]["cluster"] != facts["e"]["cluster"]
            assert {chat.body["model"] for chat in upstream.chats} == set("abcde")
            async with client.get("/fusiond/requests?limit=1") as response:
                assert (await response.json())["requests"][0]["decision"] == "selected"


async def test_it_is_streamed_whole(tmp_path: Path) -> None:
    """Once it is known which."""
    async with OpenAIUpstream(scripts(a=WRONG, b=RIGHT)) as upstream:
        text = lab(upstream.url, "a", "b") + fusion("vote", '"a", "b"') + "[code]\nrun = true\n"
        async with serving(*configured(tmp_path, text)) as daemon, daemon.client() as client:
            await jailed((await traced(client))[1])
            assert await answer(client, text=PROMPT, stream=True) == RIGHT


async def test_by_default_nothing_is_run(tmp_path: Path) -> None:
    """What reads is better than what does not; of that, what most members wrote; the trace says what was not done."""
    outside = tmp_path / "outside"
    evil = f"```python\nopen({str(outside)!r}, 'w')\ndef second(numbers):\n    return 2\n```"
    async with OpenAIUpstream(scripts(a=BROKEN, b=WRONG, c=evil, d=WRONG.replace("sorts", "orders"))) as upstream:
        text = lab(upstream.url, "a", "b", "c", "d") + fusion("vote", '"a", "b", "c", "d"')
        async with serving(*configured(tmp_path, text)) as daemon, daemon.client() as client:
            said, trace = await traced(client)
            assert said == WRONG
            told = trace["analysis"]
            assert (told["reason"], told["run"], told["not_run"]) == ("cluster", False, "code.run is false")
            assert "examples_passed" not in told["candidates"]["b"]
            assert trace["agreement"] == 0.5
    assert not outside.exists()


async def test_code_that_cannot_be_shut_in_is_not_run(tmp_path: Path) -> None:
    """As under systemd's RestrictNamespaces: the answer comes all the same, and the trace says why it was chosen by less."""
    outside = tmp_path / "outside"
    evil = f"```python\nopen({str(outside)!r}, 'w')\ndef second(numbers):\n    return 2\n```"
    (tmp_path / "sitecustomize.py").write_text(
        f"import sys\nsys.path.append({str(TOP)!r})\nfrom fusiond.code.filter import install\ninstall(['unshare'])\n"
    )
    path = os.pathsep.join([str(tmp_path), *filter(None, [os.environ.get("PYTHONPATH")])])
    async with OpenAIUpstream(scripts(a=BROKEN, b=evil)) as upstream:
        text = lab(upstream.url, "a", "b") + fusion("vote", '"a", "b"') + "[code]\nrun = true\n"
        async with serving(*configured(tmp_path, text), environment={"PYTHONPATH": path}) as daemon, daemon.client() as client:
            for _ in range(2):
                said, trace = await traced(client)
                assert said == evil
                told = trace["analysis"]
                assert (told["run"], told["reason"]) == (False, "examples")
                assert told["not_run"] == "code cannot be shut in here: namespaces: Operation not permitted"
    assert not outside.exists()


@pytest.mark.skipif(sys.platform != "linux", reason="there is a jail on Linux only")
async def test_a_killed_daemon_leaves_no_candidate_behind(tmp_path: Path) -> None:
    """Its end is the end of all that it shut in."""
    endless = "```python\nimport time\ntime.sleep(1000)\ndef second(numbers):\n    return 2\n```"
    async with OpenAIUpstream(scripts(a=endless, b=RIGHT)) as upstream:
        text = lab(upstream.url, "a", "b") + fusion("vote", '"a", "b"') + "[code]\nrun = true\n"
        async with started(*configured(tmp_path, text)) as daemon:
            await daemon.said("listening on")
            async with daemon.client() as client:
                asking = asyncio.create_task(traced(client))
                while not (shut_in := candidates(daemon.process.pid)) and not asking.done():  # noqa: ASYNC110  # nobody tells of a new process
                    await asyncio.sleep(0.005)
                daemon.signal(signal.SIGKILL)
                await daemon.ended()
                assert shut_in or (await jailed((await asking)[1]))
                with pytest.raises(aiohttp.ClientError):
                    await asking
        async with asyncio.timeout(5):
            while any(map(alive, shut_in)):  # noqa: ASYNC110  # the kernel ends them in its own time
                await asyncio.sleep(0.01)


def candidates(daemon: int) -> set[int]:
    """The processes in jails that have come of a daemon."""
    found: set[int] = set()
    for children in Path(f"/proc/{daemon}/task").glob("*/children"):
        for child in map(int, children.read_text().split()):
            found |= candidates(child)
            found |= {child} if b"in-jail" in Path(f"/proc/{child}/cmdline").read_bytes() else set()
    return found


def alive(process: int) -> bool:
    """Whether it still runs; one that has ended and is not waited for has no program any more."""
    return Path(f"/proc/{process}/exe").exists()


async def test_a_judge_looks_at_what_differs(tmp_path: Path) -> None:
    """One of each kind, where no two members do the same: other languages are not run, and only read by the judge."""
    prompt = "Write a JavaScript function that doubles a number."
    a, b = "```js\nconst f = x => x * 2\n```", "```js\nconst f = x => x + x\n```"
    verdict = Script(Say('{"winner": "A"}'), Finish())
    async with OpenAIUpstream({**scripts(a=a, b=b), "judge": verdict}) as upstream:
        text = lab(upstream.url, "a", "b", "judge") + fusion("vote", '"a", "b"', 'judge = "judge"\n') + "[code]\nrun = true\n"
        async with serving(*configured(tmp_path, text)) as daemon, daemon.client() as client:
            said, trace = await traced(client, prompt)
            assert said in (a, b)
            assert trace["analysis"]["reason"] == "judge"
            assert [fact["parses"] for fact in trace["analysis"]["candidates"].values()] == [None, None]
            ballots = [chat.body["messages"][-1]["content"] for chat in upstream.chats if chat.body["model"] == "judge"]
            assert len(ballots) == 2


async def test_a_cascade_pays_only_where_the_examples_fail(tmp_path: Path) -> None:
    """A panel that passes them is enough."""
    paid = '[members.p]\nprovider = "lab"\nmodel = "p"\nprice = { input = 1, output = 1 }\n'
    for panel, asked, wanted in ((RIGHT, {"a", "b"}, RIGHT), (WRONG_TOO, {"a", "b", "p"}, RIGHT + "\n")):
        async with OpenAIUpstream(scripts(a=WRONG, b=panel, p=RIGHT + "\n")) as upstream:
            text = lab(upstream.url, "a", "b") + paid + fusion("cascade", '"a", "b"', 'escalate = ["p"]\n')
            text += "[budget]\nper_day_usd = 1.0\n[code]\nrun = true\n"
            async with serving(*configured(tmp_path, text)) as daemon, daemon.client() as client:
                said, trace = await traced(client)
                await jailed(trace)
                assert said == wanted
                assert {chat.body["model"] for chat in upstream.chats} == asked


async def test_prose_and_silence_are_answers_too(tmp_path: Path) -> None:
    """Without any code the most skilled is delivered; who fails is reported, and who hangs is not waited for beyond its time."""
    async with OpenAIUpstream({**scripts(a="I would rather not.", b=RIGHT), "c": Script(Hang())}) as upstream:
        text = lab(upstream.url, "a", "b", "c") + "first_token_seconds = 1\n" + fusion("vote", '"a", "b", "c"')
        async with serving(*configured(tmp_path, text)) as daemon, daemon.client() as client:
            said, trace = await traced(client)
            assert said == RIGHT
            assert {part["member"]: part["status"] for part in trace["members"]} == {"a": "abstained", "b": "answered", "c": "timed_out"}
            upstream.scripts["b"] = Script(Say("Me neither."), Finish())
            said, trace = await traced(client)
            assert said == "I would rather not."
            assert trace["analysis"]["candidates"] == {"a": {"code": False}, "b": {"code": False}}
