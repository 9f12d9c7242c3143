"""The candidate's own process: looks whether code is code, and calls it with examples. Nothing of fusiond is imported here, nor is it there.

A job is one JSON object on standard input. The results are lines of JSON on standard output, each as soon as it is known: what was found before the
process was ended counts. It runs as a program of its own (`python -I -S -c`), in the jail where code is run, and anywhere where it is only read.
"""

from __future__ import annotations

import ast
import contextlib
import hashlib
import io
import itertools
import json
import os
import re
import resource
import signal
import sys
import tomllib
from collections.abc import Callable
from types import FrameType
from typing import Any, NoReturn

MEMORY = 256 * 1024 * 1024
LIMITS = {
    resource.RLIMIT_AS: MEMORY,
    resource.RLIMIT_CPU: 4,
    resource.RLIMIT_CORE: 0,
    resource.RLIMIT_FSIZE: 1024 * 1024,
    resource.RLIMIT_MEMLOCK: 0,
    resource.RLIMIT_NOFILE: 32,
}
PROCESSES = 8
"""In the jail, this one and the two that guard it among them."""

IN_JAIL = "in-jail"
"""The argument by which a process in the jail is told where it is: nowhere else anything is run."""

MOST_FILES = 1 << 20
"""No process has more open, nearly always."""

CALL_SECONDS = 2.0
LONGEST = 500
"""Characters of what is printed, and of a name."""

MOST = 10_000
"""Things of a collection that are looked at."""

LONGEST_SHOWN = 2000
"""Characters of a whole value as it is shown."""

DEPTH = 6
_ADDRESS = re.compile(r" at 0x[0-9a-f]+")
_WORDS = {"true": True, "false": False, "null": None}


class Late(BaseException):
    """A call took too long; nothing that a candidate catches."""


def main() -> None:
    """One job."""
    os.closerange(3, MOST_FILES)
    for limit, most in LIMITS.items():
        resource.setrlimit(limit, (most, most))
    job = json.loads(sys.stdin.buffer.read())
    run = sys.argv[1:] == [IN_JAIL]
    if run:
        resource.setrlimit(resource.RLIMIT_NPROC, (PROCESSES, PROCESSES))
    tell = os.fdopen(os.dup(1), "w", encoding="ascii", buffering=1)
    found = parsed(job["language"], job["code"])
    print(json.dumps(found), file=tell, flush=True)
    if found["parses"] and run:
        # What a candidate prints by itself goes to a file of the jail's, and not to us.
        printed = os.open("/tmp/printed", os.O_WRONLY | os.O_CREAT)  # noqa: S108
        os.dup2(printed, 1)
        os.dup2(printed, 2)
        teller = os.getpid()
        for number, result in enumerate(tried(job)):
            if os.getpid() != teller:  # the candidate has divided itself: one of it is enough
                break
            print(json.dumps({"number": number, **result}), file=tell, flush=True)
    os._exit(0)


def parsed(language: str, code: str) -> dict[str, Any]:
    """Whether code can be read, if not why, and a digest of what it says, whatever its comments and blanks."""
    try:
        said = _READERS[language](code)
    except (SyntaxError, ValueError, RecursionError, MemoryError) as error:
        return {"parses": False, "error": f"{type(error).__name__}: {error}"[:200]}
    return {"parses": True, "digest": hashlib.sha256(said.encode(errors="surrogatepass")).hexdigest()[:16]}


def python(code: str) -> str:
    """What a program says. Raises SyntaxError and its like where it is none."""
    tree = ast.parse(code)
    compile(code, "answer", "exec", dont_inherit=True)
    for node in ast.walk(tree):
        if isinstance(node, ast.Module | ast.ClassDef | ast.FunctionDef | ast.AsyncFunctionDef) and ast.get_docstring(node, clean=False) is not None:
            node.body = node.body[1:]
    return ast.dump(tree)


_READERS: dict[str, Callable[[str], str]] = {
    "python": python,
    "json": lambda code: json.dumps(json.loads(code), sort_keys=True),
    "toml": lambda code: repr(tomllib.loads(code)),
}


def tried(job: dict[str, Any]) -> Any:
    """What comes of each call, in order."""
    names: dict[str, Any] = {"__name__": "answer", "exit": sys.exit, "quit": sys.exit}
    sys.stdin = io.StringIO()
    signal.signal(signal.SIGALRM, _late)
    for given in job["given"]:
        _heard(lambda given=given: exec(compile(given, "given", "exec"), names))  # noqa: S102
    names.pop(job["entry"], None)
    begun = _heard(lambda: exec(compile(job["code"], "answer", "exec"), names))  # noqa: S102
    _found(names, job["entry"])
    if begun["error"] and job["entry"] not in names:  # what fails below the function is only its use
        yield {"begun": begun["error"]}
        return
    for call in job["calls"]:
        result = _called(call, names)
        yield result
        if result["said"] == f"raises {Late.__name__}":  # it would go on like that
            return


def _found(names: dict[str, Any], entry: str) -> None:
    """A function that was asked for may be a method of the one class that there is."""
    if entry and entry not in names:
        for kind in [value for value in names.values() if isinstance(value, type) and entry in vars(value)][:1]:
            with contextlib.suppress(Exception):
                names[entry] = getattr(kind(), entry)


def _called(call: dict[str, Any], names: dict[str, Any]) -> dict[str, Any]:
    for step in call["before"]:
        _heard(lambda step=step: exec(step, names))  # noqa: S102
    result = _heard(lambda: eval(call["call"], names))  # noqa: S307
    with contextlib.suppress(BaseException):
        passes = None if call["wanted"] is None else _passes(result, call["wanted"], names)
        return {"said": result["shown"], "passes": passes}
    return {"said": "no value", "passes": False}


def _passes(result: dict[str, Any], wanted: str, names: dict[str, Any]) -> bool:
    """Whether it is what was wanted: as a value, as it is shown, or as it was printed."""
    if result["error"]:
        return bool(result["error"] == wanted.removeprefix("raises "))
    if wanted in (result["repr"], result["printed"].strip()) or (isinstance(result["value"], str) and wanted == result["value"]):
        return True
    expected = _heard(lambda: eval(wanted, {**names, **_WORDS}))  # noqa: S307
    return not expected["error"] and bool(expected["shown"] == result["shown"])


def _heard(work: Any) -> dict[str, Any]:
    """What comes of something that may do anything: its value as it is compared and as it is shown, what it printed, or the error's name."""
    printed = io.StringIO()
    try:
        signal.setitimer(signal.ITIMER_REAL, CALL_SECONDS)
        with contextlib.redirect_stdout(printed):
            value = work()
            value = list(itertools.islice(value, MOST)) if hasattr(value, "__next__") else value
            told = {"value": value, "shown": shortened(shown(value)), "repr": repr(value)[:LONGEST], "printed": printed.getvalue()[:LONGEST]}
        if value is None and told["printed"]:
            told["shown"] = f"printed {told['printed']!r}"
        return {"error": "", **told}
    except BaseException as error:  # noqa: BLE001  # whatever a candidate does is a result
        name = type(error).__name__[:LONGEST]
        return {"error": name, "shown": f"raises {name}"}
    finally:
        signal.setitimer(signal.ITIMER_REAL, 0)


def _late(_number: int, _frame: FrameType | None) -> NoReturn:
    raise Late


def shown(value: Any, depth: int = DEPTH) -> str:
    """A value as it is compared: numbers by what they are worth, sets and tables in order, nothing of where it lies in memory."""
    if isinstance(value, int | float) and not isinstance(value, bool):
        return str(value) if isinstance(value, int) else f"{value:.9g}" if value != int_of(value) else str(int(value))
    if depth == 0 or not isinstance(value, list | tuple | set | frozenset | dict):
        return _ADDRESS.sub("", repr(value))
    if isinstance(value, dict):
        pairs = [(shown(key, depth - 1), shown(item, depth - 1)) for key, item in itertools.islice(value.items(), MOST)]
        return "{" + ", ".join(f"{key}: {item}" for key, item in sorted(pairs)) + "}"
    inner = [shown(item, depth - 1) for item in itertools.islice(value, MOST)]
    if isinstance(value, set | frozenset):
        return "{" + ", ".join(sorted(inner)) + "}"
    start, end = "[]" if isinstance(value, list) else "()"
    return start + ", ".join(inner) + end


def shortened(text: str) -> str:
    """The same, where it is long its beginning and a digest: all results together must not be more than is read."""
    return text if len(text) <= LONGEST_SHOWN else f"{text[:LONGEST]}... {hashlib.sha256(text.encode(errors='surrogatepass')).hexdigest()}"


def int_of(value: float) -> float | None:
    """A float without a fraction, small enough to be exact; else None."""
    return value if abs(value) < 2**53 and value == int(value) else None


if __name__ == "__main__":
    main()
