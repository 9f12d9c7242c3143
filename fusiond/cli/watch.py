"""A fused answer as it comes: every member's words while they are said, side by side on a terminal, and what became of them."""

from __future__ import annotations

import sys
import time
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from rich.console import Group
from rich.live import Live
from rich.panel import Panel
from rich.table import Table
from rich.text import Text

from fusiond.cli.terminal import console, dollars, plain, say, unechoed

WIDTH, LINES = 34, 9

_STATUS = {"abstained": "no vote", "timed_out": "timed out", "skipped": "not asked"}
_MISSING = ("failed", "timed_out", "skipped")
_DECISIONS = {"no_key": "not a question that can be counted", "actor": "left to one member, since tools may be called"}
"""Words for those that are none by themselves."""

_LACKS = {
    "budget": "not everybody may be paid",
    "privacy": "not everybody may see the question",
    "offline": "not everybody can be reached",
    "output_capped": "the budget was too small for a longer answer",
    "quorum": "only as many were waited for as are needed",
    "deadline": "the time was up",
    "judge_failed": "the judge failed",
    "fallback": "who should have answered did not",
    "members": "not everybody answered",
}


@dataclass(slots=True)
class Watched:
    """One answer, as far as it has come. `voices`: what each member has said."""

    voices: dict[str, str] = field(default_factory=dict)
    ended: dict[str, str] = field(default_factory=dict)
    text: str = ""
    trace: Mapping[str, Any] | None = None
    seconds: float = 0.0

    def hear(self, chunk: Mapping[str, Any]) -> None:
        """Take one chunk."""
        ours = chunk.get("fusion") or {}
        if progress := ours.get("progress"):
            member = progress["member"]
            self.voices[member] = self.voices.get(member, "") + progress.get("text", "")
            if "status" in progress:
                self.ended[member] = progress["status"]
        elif ours:
            self.trace = ours
        for choice in chunk.get("choices", ()):
            self.text += choice["delta"].get("content") or ""


def watch(chunks: Iterable[Mapping[str, Any]]) -> Watched:
    """Show the members side by side while they speak; without a terminal each when it has ended."""
    watched, began = Watched(), time.monotonic()
    if not console.is_terminal:
        for chunk in chunks:
            told = len(watched.ended)
            watched.hear(chunk)
            for voice in list(watched.ended)[told:]:
                say(f"  {voice} {_named(_STATUS, watched.ended[voice])} after {time.monotonic() - began:.1f} s: {_line(watched.voices[voice])}")
    else:
        with unechoed(), Live(console=console, refresh_per_second=12, transient=True) as live:
            for chunk in chunks:
                watched.hear(chunk)
                live.update(_side_by_side([_growing(watched, voice) for voice in watched.voices]))
    watched.seconds = time.monotonic() - began
    members = watched.trace["members"] if watched.trace else ()
    if console.is_terminal:
        console.print(_side_by_side([_ended(member) for member in members]))
    for member in members:
        if member["status"] == "cancelled":
            say(f"  {voice_of(member)} was not needed any more")
        elif voice_of(member) not in watched.ended and not console.is_terminal:
            say(f"  {voice_of(member)} {_named(_STATUS, member['status'])}: {_line(member['text'] or member['error'] or '')}")
    return watched


def outcome(watched: Watched) -> list[str]:
    """How it came about, in lines: who said what, what was decided and how sure it is, time and cost."""
    trace = watched.trace or {}
    lines = []
    for key, voices in _votes(trace.get("members", ())).items():
        lines.append(f"vote   {key}: {', '.join(voices)}")
    if silent := [voice_of(member) for member in trace.get("members", ()) if member["status"] == "abstained"]:
        lines.append(f"no vote: {', '.join(silent)}")
    sure = trace.get("confidence")
    parts = [
        _named(_DECISIONS, str(trace.get("decision"))),
        f"confidence {sure:.2f}" if sure is not None else "",
        f"agreement {trace['agreement']:.2f}" if sure is not None else "",
    ]
    parts += [f"{watched.seconds:.1f} s", dollars(trace.get("cost_usd", 0))]
    return [*lines, ", ".join(part for part in parts if part)]


def lacking(watched: Watched) -> str:
    """What made the answer less than it could have been, and who was left out and why; empty where nothing did."""
    trace = watched.trace or {}
    if not trace.get("degraded"):
        return ""
    missing = [member for member in trace["members"] if member["status"] in _MISSING]
    out = [f"{voice_of(member)}: {member['error'] or _named(_STATUS, member['status'])}" for member in missing]
    reasons = ", ".join(_named(_LACKS, reason) for reason in trace["degraded"])
    return f"degraded: {reasons}" + (f" ({'; '.join(out)})" if out else "")


def details(member: Mapping[str, Any]) -> str:
    """One member's figures in a line."""
    usage = member["usage"]
    parts = [_named(_STATUS, member["status"]), f"says {member['key']}" if member["key"] else "", member["error"] or ""]
    parts += [f"first token {member['first_token_ms']:.0f} ms" if member["first_token_ms"] is not None else ""]
    parts += [f"{member['total_ms']:.0f} ms" if member["total_ms"] is not None else "", f"{usage['completion_tokens']} tokens" if usage else ""]
    parts += [dollars(member["cost_usd"])]
    return ", ".join(part for part in parts if part)


def voice_of(member: Mapping[str, Any]) -> str:
    """A member's name, with the number of its sample after the first."""
    return f"{member['member']}#{member['sample']}" if member["sample"] > 1 else str(member["member"])


def _named(words: Mapping[str, str], code: str) -> str:
    return words.get(code, code)


def _votes(members: Sequence[Mapping[str, Any]]) -> dict[str, list[str]]:
    votes: dict[str, list[str]] = {}
    for member in members:
        if member["key"] is not None:
            votes.setdefault(member["key"], []).append(voice_of(member))
    return dict(sorted(votes.items(), key=lambda vote: -len(vote[1])))


def _side_by_side(panels: Sequence[Panel]) -> Group:
    """As many in a row as have room; whoever has the same row has the same width."""
    across = max(1, min(len(panels), console.width // WIDTH))
    rows = [panels[start : start + across] for start in range(0, len(panels), across)]
    grids = [Table.grid(expand=True) for _ in rows]
    for grid, row in zip(grids, rows, strict=True):
        for _ in range(across):
            grid.add_column(ratio=1)
        grid.add_row(*row)
    return Group(*grids)


def _growing(watched: Watched, voice: str) -> Panel:
    text = plain(watched.voices[voice][-WIDTH * LINES :])
    return Panel(Text(text), title=Text(plain(voice)), subtitle=_named(_STATUS, watched.ended.get(voice, "...")), height=LINES)


def _ended(member: Mapping[str, Any]) -> Panel:
    said = Text(plain(member["text"].strip() or member["error"] or ""))
    return Panel(Group(said, Text(plain(details(member)), style="dim")), title=Text(plain(voice_of(member))))


def _line(text: str) -> str:
    return " ".join(text.split()) or "(nothing)"


def stream_plainly(chunks: Iterable[Mapping[str, Any]]) -> Watched:
    """Print the answer's text as it comes."""
    watched, began = Watched(), time.monotonic()
    for chunk in chunks:
        before = len(watched.text)
        watched.hear(chunk)
        sys.stdout.write(plain(watched.text[before:]))
        sys.stdout.flush()
    sys.stdout.write("\n")
    watched.seconds = time.monotonic() - began
    return watched
