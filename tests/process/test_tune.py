"""`fusiond tune` as people run it, on a daemon that takes up what it writes."""

from __future__ import annotations

import asyncio
import json
import os
import random
import sys
import tomllib
from asyncio.subprocess import PIPE
from pathlib import Path
from typing import Any

import pytest

from tests.serving import TOP, configured, lab, serving

FUSION = '[fusions.default]\nstrategy = "vote"\npanel = ["big", "small"]\n'


def recorded(directory: Path, count: int = 80) -> Path:
    """Answers to choices, where the small one is right and the big one is not."""
    draw, file = random.Random(5), directory / "answers.jsonl"

    def part(member: str, chance: float) -> dict[str, Any]:
        key = "A" if draw.random() < chance else draw.choice("BCD")
        told = {"member": member, "sample": 1, "status": "answered", "prompt_tokens": 9, "completion_tokens": 3}
        return {**told, "key": key, "right": key == "A"}

    lines = [{"id": str(n), "kind": "choice", "options": 4, "gold": "A", "members": [part("big", 0.3), part("small-3b", 0.95)]} for n in range(count)]
    file.write_text("".join(json.dumps(line) + "\n" for line in lines), encoding="utf-8")
    return file


async def tuned(*arguments: str | Path, url: str) -> tuple[int, str, str]:
    """Exit code, standard output and standard error of `fusiond tune`."""
    process = await asyncio.create_subprocess_exec(
        sys.executable,
        "-m",
        "fusiond",
        "tune",
        *map(str, arguments),
        stdin=PIPE,
        stdout=PIPE,
        stderr=PIPE,
        cwd=TOP,
        env={**os.environ, "FUSIOND_URL": url},
    )
    out, err = await process.communicate()
    assert process.returncode is not None
    assert b"Traceback" not in err
    return process.returncode, out.decode(), err.decode()


@pytest.mark.timeout(90)
async def test_what_is_found_is_shown_and_written_and_taken_up(tmp_path: Path) -> None:
    """Nothing without consent; the file is its own and keeps what it said of others; the daemon is told nothing, and notices."""
    file, config, own = recorded(tmp_path), tmp_path / "config.toml", tmp_path / "tuned.toml"
    members = lab("http://127.0.0.1:1", "big") + '[members.small]\nprovider = "lab"\nmodel = "x/small:3b"\n'
    async with serving(*configured(tmp_path, members + FUSION)) as daemon:
        code, out, err = await tuned(file, url=daemon.url)
        assert (code, "tuned.toml is not written: say --yes" in err, own.exists()) == (1, True, False)
        assert "\nchoice\t80\ttuned\t" in out
        assert "[fusions.default.kinds.choice" in out
        assert (await tuned(file, "--dry-run", url=daemon.url))[::2] == (0, "")
        own.write_text("[fusions.other.kinds.number]\nthrift = 0.2\n", encoding="utf-8")
        code, out, err = await tuned(file, "--yes", url=daemon.url)
        assert (code, 'not included yet: add it to the line include = ["tuned.toml"]' in err) == (1, True)
        said = tomllib.loads(own.read_text(encoding="utf-8"))["fusions"]
        assert said["other"] == {"kinds": {"number": {"thrift": 0.2}}}
        assert said["default"]["kinds"]["choice"]["skills"]["small"] > 0.7 > said["default"]["kinds"]["choice"]["skills"]["big"]
        own.write_text(own.read_text(encoding="utf-8").replace("fusions.other", "fusions.default"), encoding="utf-8")
        config.write_text('include = ["tuned.toml"]\n' + config.read_text(encoding="utf-8"), encoding="utf-8")
        assert await daemon.said("kinds.number.thrift: is for the strategies cascade and adaptive")


@pytest.mark.timeout(90)
async def test_what_cannot_be_tuned(tmp_path: Path) -> None:
    """Each in one line: no such fusion, one that does not count, answers of others, no answers at all."""
    file = recorded(tmp_path, 3)
    strange = '[fusions.fast]\nstrategy = "race"\npanel = ["big"]\n'
    async with serving(*configured(tmp_path, lab("http://127.0.0.1:1", "big", "small") + FUSION + strange)) as daemon:
        for arguments, words in (
            ((file, "-m", "fusion/nope"), "there is no fusion 'fusion/nope' (there are fusion/default, fusion/fast)"),
            ((file, "-m", "fusion/fast"), "only the strategies vote, cascade, adaptive can be tuned"),
            ((file,), "no question was answered by everybody: of 3 with a gold key, big 3, small 0"),
            ((tmp_path / "config.toml",), "config.toml:1: is no JSON: "),
            ((tmp_path / "none",), "none: No such file"),
        ):
            code, _, err = await tuned(*arguments, url=daemon.url)
            assert (code, words in err, err.count("\n")) == (1, True, 1), err


@pytest.mark.timeout(90)
async def test_what_a_file_says_besides_stays(tmp_path: Path) -> None:
    """Keys of the fusion itself, what was tuned from more questions, and notes, which are kept beside it."""
    few, own = recorded(tmp_path, 10), tmp_path / "tuned.toml"
    own.write_text("# mine\n[fusions.default]\naccept = 0.9\n[fusions.default.kinds.choice]\nskills = { big = 0.4 }\n", encoding="utf-8")
    members = lab("http://127.0.0.1:1", "big") + '[members.small]\nprovider = "lab"\nmodel = "x/small:3b"\n'
    async with serving(*configured(tmp_path, members + FUSION)) as daemon:
        await tuned(few, "--yes", url=daemon.url)
        assert tomllib.loads(own.read_text(encoding="utf-8"))["fusions"]["default"]["kinds"]["choice"]["skills"] == {"big": 0.4}
        await tuned(recorded(tmp_path), "--yes", url=daemon.url)
    said = tomllib.loads(own.read_text(encoding="utf-8"))["fusions"]["default"]
    assert said["accept"] == 0.9
    assert said["kinds"]["choice"]["skills"]["small"] > 0.7
    assert (tmp_path / "tuned.toml.bak").read_text(encoding="utf-8").startswith("# mine")
