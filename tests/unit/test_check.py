"""`fusiond check` says what a configuration means, or everything that is wrong with it."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

from fusiond.cli.check import check

GOOD = """
[providers.ollama]
api = "ollama"
[providers.lab]
api = "openai"
url = "http://192.168.1.9:8000/v1"
[members.qwen]
provider = "ollama"
model = "qwen3:8b"
[members.big]
provider = "lab"
model = "llama"
[fusions.default]
panel = ["big", { member = "qwen", samples = 3 }, "ollama/*"]
judge = "big"
[aliases]
"gpt-4o" = "fusion"
"""
BAD = GOOD.replace("model = ", "modle = ")


@pytest.fixture
def good(tmp_path: Path) -> Path:
    """A configuration to which nothing can be objected."""
    path = tmp_path / "config.toml"
    path.write_text(GOOD)
    return path


def test_good(good: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """Members with their places, fusions with what they resolve to, aliases; nothing on stderr."""
    assert check(good, as_json=False) == 0
    out, err = capsys.readouterr()
    assert err == ""
    assert out.splitlines() == [
        f"{good} is valid.",
        "Members:",
        "  qwen  ollama  qwen3:8b  local",
        "  big   lab     llama     lan",
        "Fusions:",
        "  fusion/default  adaptive  big, qwen x3, ollama/*  judge big",
        "Aliases:",
        "  gpt-4o  is  fusion",
        "Limits:",
        "  money    nothing is ever paid: there is no [budget]",
        "  privacy  any",
        "  offline  auto",
        "PROVIDER/* is every model that can chat, as the provider tells when the daemon runs.",
    ]


def test_good_as_json(good: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """The same for programs."""
    assert check(good, as_json=True) == 0
    said = json.loads(capsys.readouterr().out)
    assert said["valid"] is True
    assert said["members"]["big"] == {"provider": "lab", "model": "llama", "place": "lan"}
    assert said["fusions"]["default"]["panel"][1] == {"member": "qwen", "samples": 3, "temperature": None}


def test_bad(good: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """Every error on stderr, nothing on stdout, and the exit code of a bad configuration."""
    good.write_text(BAD)
    assert check(good, as_json=False) == 78
    out, err = capsys.readouterr()
    assert out == ""
    assert len(err.splitlines()) == 4
    assert "config.toml: members.qwen.modle: unknown key (did you mean 'model'?)" in err


def test_bad_as_json(good: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """Programs get every error in its parts."""
    good.write_text(BAD)
    assert check(good, as_json=True) == 78
    said = json.loads(capsys.readouterr().out)
    assert said["valid"] is False
    assert said["errors"][1] == {
        "file": str(good),
        "line": 9,
        "column": None,
        "path": "members.qwen.modle",
        "reason": "unknown key",
        "suggestion": "model",
    }


def test_without_configuration(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
    """No file is no error: the daemon starts on what it discovers, and so it is said."""
    monkeypatch.delenv("FUSIOND_CONFIG", raising=False)
    monkeypatch.setenv("XDG_CONFIG_HOME", str(tmp_path))
    monkeypatch.setattr("fusiond.config.loading.SYSTEM", tmp_path / "etc")
    assert check(None, as_json=False) == 0
    assert "the daemon starts on what it discovers" in capsys.readouterr().out


@pytest.mark.parametrize(("text", "code"), [(GOOD, 0), (BAD, 78), ("[", 78), ("\0", 78)])
def test_as_a_process(good: Path, text: str, code: int) -> None:
    """The command's exit code, and no traceback whatever the file holds."""
    good.write_text(text)
    run = subprocess.run([sys.executable, "-m", "fusiond", "check", "--config", str(good)], capture_output=True, text=True, check=False)
    assert run.returncode == code, run.stderr
    assert "Traceback" not in run.stderr
    assert bool(run.stderr) is (code != 0)


def test_path_that_is_no_text(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """A file whose name is no text can be checked, too."""
    path = tmp_path / os.fsdecode(b"\xff.toml")
    path.write_text(GOOD)
    assert check(path, as_json=False) == 0
    assert capsys.readouterr().out.startswith(f"{tmp_path}/?.toml is valid.")


@pytest.mark.parametrize(
    ("more", "told"),
    [
        ('[server]\ntokens = [{ env = "FUSIOND_TEST_NOPE" }]\n', "config.toml: server.tokens[0]: $FUSIOND_TEST_NOPE is not set or empty"),
        ('[providers.paid]\napi = "openrouter"\napi_key = { file = "/dev/null" }\n', "config.toml: /dev/null is not a file"),
    ],
    ids=["token", "key"],
)
def test_what_would_not_start_is_not_valid(good: Path, more: str, told: str, capsys: pytest.CaptureFixture[str]) -> None:
    """A token that is not set here, a key that cannot be read here: the daemon would end with 78, and so does this."""
    good.write_text(GOOD + more)
    assert check(good, as_json=False) == 78
    out, err = capsys.readouterr()
    assert (out, err) == ("", told + "\n")
    assert check(good, as_json=True) == 78
    assert json.loads(capsys.readouterr().out)["valid"] is False
