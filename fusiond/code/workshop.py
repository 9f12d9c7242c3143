"""Looks at candidates, each in a process of its own: read by `driver` with little memory and time, or run by it in a `jail`.

Where there can be no jail, code is only read, and what was found says why. Nothing of a candidate is ever read or run in the daemon itself.
"""

from __future__ import annotations

import asyncio
import json
import logging
import os
import signal
import sys
from asyncio.subprocess import DEVNULL, PIPE, Process
from collections.abc import Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import fusiond
from fusiond.code.answer import Program
from fusiond.code.examples import Example
from fusiond.code.request import PYTHON, Coding

SECONDS = 6.0
"""For all calls of one candidate, the start of its process included."""

OUTPUT = 256 * 1024
"""Bytes of results that are read; a process that says more is ended."""

GONE_SECONDS = 10.0
"""So long a process that was ended is waited for: a kernel that is busy with its namespaces may keep it for longer, and no request waits for that."""

TOLD, OUTPUT_EACH = 200, 4000
"""Characters of an error, and of what came of one call."""

PLACES = max(2, (os.cpu_count() or 2) // 2)
"""Candidates of all requests that are looked at at once."""

READABLE = (PYTHON, "json", "toml")
_DRIVER = str(Path(__file__).with_name("driver.py"))
_TOP = str(Path(fusiond.__file__).parent.parent)


Lines = Sequence[Mapping[str, Any]]
"""What a process said of its job."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Trial:
    """What was found out about one program.

    `parses` None: nobody can tell for its language. `error`: why it does not, or why it does not even begin. `said`: what came of each call, in
    order; where it was ended before, fewer. `passed`: the calls whose value was as wanted. `barred`: why it was not run, though it should have been.
    """

    parses: bool | None = None
    error: str = ""
    digest: str = ""
    said: tuple[str, ...] = ()
    passed: int = 0
    ran: bool = False
    barred: str = ""


UNTRIED = Trial()
LATE: Lines = ({"late": True},)
"""There was no time for it, or no process to be had."""

log = logging.getLogger("fusiond.code")


class Workshop:
    """The one place of a daemon where candidates are looked at. `barred`: why there can be no jail, once that is known."""

    def __init__(self) -> None:
        self.barred = ""
        self._places = asyncio.Semaphore(PLACES)

    async def look(self, coding: Coding, program: Program, calls: Sequence[Example], until: float) -> Trial:
        """Read a program, and run the calls where that is allowed. `until`: the loop's clock; nothing is found out after it."""
        if program.language not in READABLE:
            return UNTRIED
        barred = ""
        if coding.run and calls and program.language == PYTHON:
            found = [] if self.barred else await self._worked(_job(coding, program, calls), until, jailed=True)
            barred = self.barred or str(found[0].get("barred", "") if found else "its process ended without a word")
            if not barred:
                return _trial(found, calls, ran=True)
            if found:  # said by the jail itself, for a candidate is not begun before the first word
                self.barred = barred
        return _trial(await self._worked(_job(coding, program, ()), until, jailed=False), (), barred=barred)

    async def _worked(self, job: Mapping[str, Any], until: float, *, jailed: bool) -> Lines:
        """The lines that came of a job before its time was up."""
        clock = asyncio.get_running_loop().time
        async with self._places:
            end = min(clock() + SECONDS, until)
            try:
                output = await _said(job, end, jailed=jailed) if clock() < end else b""
            except OSError as error:
                log.warning("no process can be started to look at code: %s", error)
                return LATE
            return _lines(output) or (LATE if clock() >= end else ())


async def _said(job: Mapping[str, Any], until: float, *, jailed: bool) -> bytes:
    """What a process says of a job. However this is left, nothing of it goes on."""
    process = await _started(jailed=jailed)
    assert process.stdin  # noqa: S101  (a pipe, as asked for)
    try:
        process.stdin.write(json.dumps(job).encode())
        process.stdin.close()
        return await _read(process, until)
    finally:
        _end(process)
        with suppress(TimeoutError):
            async with asyncio.timeout(GONE_SECONDS):
                await process.wait()


async def _started(*, jailed: bool) -> Process:
    """In a session of its own, so that it can be ended with all that belongs to it; it inherits neither files nor environment."""
    command = ["-P", "-B", "-S", "-m", "fusiond.code.jail", str(os.getpid())] if jailed else ["-I", "-B", "-S", _DRIVER]
    environment = {"PYTHONPATH": _TOP} if jailed else {}
    return await asyncio.create_subprocess_exec(
        sys.executable, *command, stdin=PIPE, stdout=PIPE, stderr=DEVNULL, env=environment, start_new_session=True, close_fds=True
    )


async def _read(process: Process, until: float) -> bytes:
    """What it says until it has ended, has said too much, or its time is up: what it had said by then counts."""
    assert process.stdout  # noqa: S101  (a pipe, as asked for)
    with suppress(TimeoutError):
        async with asyncio.timeout_at(until):
            return await _all_of(process.stdout)
    _end(process)
    with suppress(TimeoutError):
        async with asyncio.timeout(GONE_SECONDS):
            return await _all_of(process.stdout)
    return b""


async def _all_of(output: asyncio.StreamReader) -> bytes:
    try:
        return await output.readexactly(OUTPUT)
    except asyncio.IncompleteReadError as end:
        return end.partial


def _end(process: Process) -> None:
    if process.returncode is None:
        with suppress(ProcessLookupError):
            os.killpg(process.pid, signal.SIGKILL)


def _job(coding: Coding, program: Program, calls: Sequence[Example]) -> dict[str, Any]:
    return {
        "language": program.language,
        "code": program.code,
        "given": [coding.given, program.before],
        "entry": coding.entry,
        "calls": [{"call": call.call, "wanted": call.wanted, "before": call.before} for call in calls],
    }


def _lines(output: bytes) -> Lines:
    """Whole lines only: the last one may be cut off. What a candidate wrote among them is none of ours, and is passed over."""
    found = []
    for line in output.split(b"\n")[:-1]:
        with suppress(ValueError, RecursionError):
            if isinstance(told := json.loads(line), dict):
                found.append(told)
    return found


def _trial(found: Lines, calls: Sequence[Example], *, ran: bool = False, barred: str = "") -> Trial:
    """A program of which nothing is said was more than its limits allow; unless nobody looked.

    What is said may be the candidate's own words: it is taken once for each call, in their order, so that nobody passes more than there is.
    """
    if found is LATE:
        return UNTRIED
    first = found[0] if found and "parses" in found[0] else {"parses": False, "error": "cannot be read within the limits"}
    begun = next((str(line["begun"]) for line in found if "begun" in line), "")
    results: list[Mapping[str, Any]] = []
    for line in found:
        if "said" in line and line.get("number") == len(results) < len(calls):
            results.append(line)
    return Trial(
        parses=first["parses"] is True,
        error=(begun or str(first.get("error", "")))[:TOLD],
        digest=str(first.get("digest", ""))[:TOLD],
        said=tuple(str(result["said"])[:OUTPUT_EACH] for result in results),
        passed=sum(result.get("passes") is True and call.wanted is not None for result, call in zip(results, calls, strict=False)),
        ran=ran,
        barred=barred,
    )
