"""Standard input and output, in whatever state a command is started: closed, full, left by their reader, or of another century's encoding."""

from __future__ import annotations

import codecs
import os
import sys
from io import TextIOWrapper


def mend() -> None:
    """Text is UTF-8 where the locale knows no more than ASCII, and what cannot be shown is a question mark; what is closed is empty."""
    if sys.stdin is None:
        sys.stdin = open(os.devnull, encoding="utf-8")  # noqa: PTH123, SIM115  # for as long as the process
    if sys.stderr is None:
        sys.stderr = open(os.devnull, "w", encoding="utf-8")  # noqa: PTH123, SIM115
    for stream, errors in ((sys.stdin, "strict"), (sys.stdout, "replace"), (sys.stderr, "backslashreplace")):
        if isinstance(stream, TextIOWrapper):
            ascii_only = codecs.lookup(stream.encoding).name == "ascii"
            stream.reconfigure(encoding="utf-8" if ascii_only else None, errors=errors)


def give_up_output() -> None:
    """What could not be written is thrown away, or the interpreter would try again at its end and complain."""
    nowhere = os.open(os.devnull, os.O_WRONLY)
    os.dup2(nowhere, sys.stdout.fileno())
    os.close(nowhere)


def text_of(argument: str) -> str:
    """An argument as it was typed: where the locale knows no more than ASCII, Python leaves its bytes as they are."""
    try:
        argument.encode()
    except UnicodeEncodeError:
        return os.fsencode(argument).decode(errors="replace")
    return argument
