"""What commands print: for people on a terminal, and plain otherwise."""

from __future__ import annotations

import json
import os
import sys
import termios
from collections.abc import Iterator, Sequence
from contextlib import contextmanager, suppress
from decimal import Decimal
from typing import Any

from rich.console import Console
from rich.table import Table
from rich.text import Text

_CONTROLS = dict.fromkeys({*range(0x20), *range(0x7F, 0xA0)} - {ord("\n"), ord("\t")})
"""What a terminal obeys instead of showing it: a model's words must not move its cursor or change its title."""

console = Console(soft_wrap=not (sys.stdout and sys.stdout.isatty()), highlight=False)


def show_json(document: Any) -> None:
    """A document for programs."""
    sys.stdout.write(json.dumps(document, indent=2) + "\n")


def show_table(headings: Sequence[str], rows: Sequence[Sequence[str]]) -> None:
    """Rows under headings; separated by tabs where nobody looks."""
    if not sys.stdout.isatty():
        for row in (headings, *rows):
            sys.stdout.write("\t".join(" ".join(plain(cell).split()) for cell in row) + "\n")
        return
    table = Table(box=None, pad_edge=False, header_style="bold")
    for heading in headings:
        table.add_column(heading, overflow="fold")
    for row in rows:
        table.add_row(*(Text(plain(cell)) for cell in row))
    console.print(table)


def plain(text: str) -> str:
    """The text without what is no text; lines and tabs stay."""
    return text.translate(_CONTROLS)


def say(text: str, style: str = "") -> None:
    """A line as it is: nothing in it is markup."""
    console.print(Text(plain(text), style=style))


def complain(text: str) -> None:
    """A line on standard error."""
    with suppress(OSError):
        sys.stderr.write(f"fusiond: {plain(text)}\n")


@contextmanager
def unechoed() -> Iterator[None]:
    """What is typed meanwhile is not shown: the ^C of an interrupt would shift what is then to be wiped off by a line."""
    if not sys.stdin.isatty() or os.tcgetpgrp(0) != os.getpgrp():  # in the background the terminal is somebody else's
        yield
        return
    before = termios.tcgetattr(0)
    quiet = termios.tcgetattr(0)
    quiet[3] &= ~termios.ECHO
    termios.tcsetattr(0, termios.TCSADRAIN, quiet)
    try:
        yield
    finally:
        termios.tcsetattr(0, termios.TCSADRAIN, before)


def dollars(amount: str | float | Decimal) -> str:
    """Cents where that says enough, else as many digits as a small amount needs: what is not free must not look so."""
    usd = Decimal(str(amount))
    if abs(usd) >= 1 or not usd:
        return f"{'-' if usd < 0 else ''}${abs(usd):.2f}"
    shown = f"{abs(usd):.6f}"
    return f"{'-' if usd < 0 else ''}${shown if Decimal(shown) else f'{abs(usd):.2g}'}"
