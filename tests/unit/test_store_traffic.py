"""What is known of the traffic survives a restart, and nothing that is wrong with its file stops anybody."""

from __future__ import annotations

import json
import logging
from collections.abc import Callable
from decimal import Decimal
from pathlib import Path
from typing import Any

import pytest

from fusiond.policy.traffic import Heard
from fusiond.store.traffic import FILE, KINDS, VERSION, KnownTraffic

KIND = ("fusion/default", "number")
HEARD = Heard(lead=100, lengths={"mini": 80}, prices={"mini": Decimal("0.0002"), "sonnet": Decimal("0.004")})

Document = dict[str, Any]


async def opened(folder: Path) -> KnownTraffic:
    """What a daemon that starts there knows."""
    known = KnownTraffic(folder)
    await known.open()
    return known


async def kept(folder: Path) -> Document:
    """A folder in which something was kept, and what is in its file."""
    known = KnownTraffic(folder)
    known.hear(KIND, HEARD, 0.33)
    await known.save()
    document: Document = json.loads((folder / FILE).read_text())
    return document


async def test_a_restart_forgets_nothing(tmp_path: Path) -> None:
    """Every mean and the thrift, of every kind; the file is this user's alone."""
    known = await opened(tmp_path / "new")
    for kind in (KIND, ("fusion/with space in it", "text")):
        for _ in range(3):
            known.hear(kind, HEARD, 0.33)
    await known.save()
    assert (await opened(tmp_path / "new")).kinds == known.kinds
    assert (tmp_path / "new" / FILE).stat().st_mode & 0o777 == 0o600


async def test_nothing_is_written_without_news(tmp_path: Path) -> None:
    """An idle daemon leaves the disk alone."""
    await kept(tmp_path)
    known = await opened(tmp_path)
    (tmp_path / FILE).unlink()
    await known.save()
    assert not (tmp_path / FILE).exists()


async def test_what_was_heard_last_stays(tmp_path: Path) -> None:
    """More kinds than are kept: the one not heard for longest goes."""
    known = await opened(tmp_path)
    for number in range(KINDS):
        known.hear((f"fusion/{number}", "number"), HEARD, None)
    known.hear(("fusion/0", "number"), HEARD, None)
    known.hear(KIND, HEARD, None)
    assert len(known.kinds) == KINDS
    assert known.kinds[("fusion/0", "number")].length.count == 2
    assert ("fusion/1", "number") not in known.kinds


WRONG: list[tuple[str, Callable[[Document], Any], str]] = [
    ("newer", lambda document: document | {"version": VERSION + 1}, "another fusiond wrote it (version 2, this one knows 1)"),
    ("no version", lambda document: {"kinds": document["kinds"]}, "it is damaged"),
    ("a list", lambda _document: [], "it is damaged"),
    ("an unknown key", lambda document: changed(document, length={"count": 1, "value": 1.0, "more": 1}), "it is damaged"),
    ("a negative length", lambda document: changed(document, length={"count": 1, "value": -1.0}), "has figures that cannot be"),
    ("a negative price", lambda document: changed(document, prices={"mini": {"count": 1, "value": -1.0}}), "has figures that cannot be"),
    ("no thrift of ours", lambda document: changed(document, thrift=7.0), "has figures that cannot be"),
    ("words", lambda document: changed(document, thrift="0.1"), "it is damaged"),
]


def changed(document: Document, **figures: Any) -> Document:
    """The document with other figures of its one kind."""
    ((name, traffic),) = document["kinds"].items()
    return document | {"kinds": {name: traffic | figures}}


@pytest.mark.parametrize(("change", "why"), [wrong[1:] for wrong in WRONG], ids=[wrong[0] for wrong in WRONG])
async def test_what_cannot_be_used_is_begun_anew(
    tmp_path: Path, caplog: pytest.LogCaptureFixture, change: Callable[[Document], Any], why: str
) -> None:
    """The log says why, nothing is taken from it, and it is still there under another name when the new one is written."""
    text = json.dumps(change(await kept(tmp_path)))
    await refused(tmp_path, text.encode(), why, caplog)


@pytest.mark.parametrize("data", [b"", b"{", b"\xff\xfe\x00", b"[" * 100_000], ids=["empty", "cut", "bytes", "deep"])
async def test_what_is_no_json_is_begun_anew(tmp_path: Path, caplog: pytest.LogCaptureFixture, data: bytes) -> None:
    """A disk may leave anything."""
    await refused(tmp_path, data, "it is damaged", caplog)


async def refused(folder: Path, data: bytes, why: str, caplog: pytest.LogCaptureFixture) -> None:
    """The file with this in it is refused, put aside, and replaced."""
    (folder / FILE).write_bytes(data)
    with caplog.at_level(logging.WARNING):
        known = await opened(folder)
    assert why in caplog.text
    assert known.kinds == {}
    assert (folder / f"{FILE}.unusable").read_bytes() == data
    known.hear(KIND, HEARD, None)
    await known.save()
    assert (await opened(folder)).kinds == known.kinds


async def test_a_disk_that_refuses(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    """Said once, and tried again until it can be written."""
    (tmp_path / f"{FILE}.new").mkdir()
    known = await opened(tmp_path)
    known.hear(KIND, HEARD, None)
    await known.save()
    await known.save()
    assert caplog.text.count("cannot be written") == 1
    (tmp_path / f"{FILE}.new").rmdir()
    await known.save()
    assert (await opened(tmp_path)).kinds == known.kinds


async def test_a_file_that_cannot_be_put_aside(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    """Stops nobody either."""
    (tmp_path / FILE).write_text("{")
    (tmp_path / f"{FILE}.unusable" / "in the way").mkdir(parents=True)
    known = await opened(tmp_path)
    assert known.kinds == {}
    assert "it is lost with the next change" in caplog.text
