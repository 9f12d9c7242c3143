"""What commands print: for people on a terminal, and plain otherwise."""

from __future__ import annotations

import json
import sys
from collections.abc import Sequence
from typing import Any

from rich.console import Console
from rich.table import Table
from rich.text import Text

console = Console(soft_wrap=not sys.stdout.isatty(), highlight=False)


def show_json(document: Any) -> None:
    """A document for programs."""
    sys.stdout.write(json.dumps(document, indent=2) + "\n")


def show_table(headings: Sequence[str], rows: Sequence[Sequence[str]]) -> None:
    """Rows under headings; separated by tabs where nobody looks."""
    if not sys.stdout.isatty():
        for row in rows:
            sys.stdout.write("\t".join(row) + "\n")
        return
    table = Table(box=None, pad_edge=False, header_style="bold")
    for heading in headings:
        table.add_column(heading, overflow="fold")
    for row in rows:
        table.add_row(*(Text(cell) for cell in row))
    console.print(table)


def say(text: str, style: str = "") -> None:
    """A line as it is: nothing in it is markup."""
    console.print(Text(text, style=style))


def complain(text: str) -> None:
    """A line on standard error."""
    sys.stderr.write(f"fusiond: {text}\n")
