"""`fusiond ask`: one question through the daemon."""

from __future__ import annotations

import sys

from fusiond.cli.client import Client, Trouble
from fusiond.cli.terminal import complain, console, say, show_json
from fusiond.cli.watch import details, lacking, outcome, stream_plainly, voice_of, watch


def ask(client: Client, prompt: str, *, model: str, compare: bool, as_json: bool) -> None:
    """Print the answer; with `compare` every member's beside it; with `as_json` all there is to know.

    What made it less than it could have been is said on standard error.
    """
    question = {"model": model, "messages": [{"role": "user", "content": _prompt(prompt)}]}
    if as_json:
        show_json(client.post("/v1/chat/completions", {**question, "fusion": {"trace": True}}))
        return
    if not compare:
        watched = stream_plainly(client.chunks({**question, "fusion": {"trace": True}}))
        if console.is_terminal:
            say(outcome(watched)[-1], "dim")
        _warn(lacking(watched))
        return
    watched = watch(client.chunks({**question, "fusion": {"trace": True, "progress": True}}))
    if not console.is_terminal and watched.trace:
        for member in watched.trace["members"]:
            say(f"{voice_of(member)}: {details(member)}\n{member['text']}\n")
    for line in outcome(watched):
        say(line, "dim")
    say(watched.text)
    _warn(lacking(watched))


def _warn(lack: str) -> None:
    if lack:
        complain(lack)


def _prompt(prompt: str) -> str:
    if prompt != "-":
        if not prompt.strip():
            raise Trouble("the question is empty")
        return prompt
    if sys.stdin.isatty():
        raise Trouble("there is no question: fusiond ask 'QUESTION'")
    try:
        text = sys.stdin.read()
    except UnicodeDecodeError:
        raise Trouble("the question on standard input is not UTF-8 text") from None
    if not text.strip():
        raise Trouble("there is no question on standard input")
    return text
