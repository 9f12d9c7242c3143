"""When the configuration may have changed: its files are looked at, and the system's notifications only say when to look early.

Directories are watched, never files: a file replaced by a rename is a new one. A file is taken for changed once it has stood still for a moment,
so that one in the middle of being written is not read. From the save to the word of it passes at most `LOOK_SECONDS` and a little.
"""

from __future__ import annotations

import asyncio
import contextlib
import logging
import os
from collections.abc import AsyncGenerator, Callable, Sequence
from contextlib import aclosing
from pathlib import Path

log = logging.getLogger(__name__)

LOOK_SECONDS = 0.25
"""A look happens this often even where nothing stirs: for the gap in which a watch is renewed, and for file systems that notify nobody."""

STILL_SECONDS = 0.05
STILL_LOOKS = 4
"""A file that is written without a pause is taken as it is after so many looks."""

LINK_LIMIT = 40
"""Symbolic links on the way to one file; the system's own limit."""

Files = Callable[[], Sequence[Path]]
Marks = dict[Path, tuple[int, ...] | None]
Places = frozenset[tuple[Path, int]]


async def changes(files: Files, poke: asyncio.Event) -> AsyncGenerator[None, None]:
    """Yields once at the beginning, and whenever one of `files()` (absolute; absent ones too) reads differently or *poke* is set.

    The first comes at once, for what was saved while nobody looked yet. What is yielded is an occasion, not a fact: the configuration may mean
    the same as before. *poke* is cleared here. Close it with `aclosing`.
    """
    seen: Marks = {}
    complaints: set[str] = set()
    while True:
        places = _places(files())
        async with aclosing(_moments(places, poke, complaints)) as moments:
            async for _ in moments:
                now = await _still(files, seen)
                if poke.is_set() or now != seen:
                    poke.clear()
                    seen = now
                    yield
                if _places(files()) != places:
                    break


async def _moments(places: Places, poke: asyncio.Event, complaints: set[str]) -> AsyncGenerator[None, None]:
    """Occasions to look: now, when something stirs in *places*, and every `LOOK_SECONDS`. Ends when poked."""
    from watchfiles import awatch  # noqa: PLC0415  # a daemon that is not ready yet need not wait for it

    yield
    directories = [directory for directory, _ in places]
    still, look = round(STILL_SECONDS * 1000), round(LOOK_SECONDS * 1000)
    stirs = awatch(
        *directories, recursive=False, watch_filter=None, step=still, debounce=still, rust_timeout=look, yield_on_timeout=True, stop_event=poke
    )
    try:
        async with aclosing(stirs):
            async for _ in stirs:
                yield
    except FileNotFoundError:
        pass  # it went between the look and the watch: the next look finds other places
    except (OSError, RuntimeError) as error:
        if str(error) not in complaints:
            log.warning("the configuration's directories cannot be watched (%s): looking every %g s instead", error, LOOK_SECONDS)
        complaints.add(str(error))
    while not poke.is_set():
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(LOOK_SECONDS):
                await poke.wait()
        yield


async def _still(files: Files, seen: Marks) -> Marks:
    """How the files look, once two looks in a row agree."""
    now = _look(files())
    for _ in range(STILL_LOOKS if now != seen else 0):
        await asyncio.sleep(STILL_SECONDS)
        before, now = now, _look(files())
        if before == now:
            break
    return now


def _look(files: Sequence[Path]) -> Marks:
    """What tells a file from its former self; None: it is not there, or not ours to see."""
    marks: Marks = {}
    for file in files:
        try:
            status = file.stat()
        except OSError:
            marks[file] = None
        else:
            marks[file] = (status.st_dev, status.st_ino, status.st_size, status.st_mtime_ns, status.st_ctime_ns)
    return marks


def _places(files: Sequence[Path]) -> Places:
    """The directories whose entries decide what the files are; the inode tells when another directory has taken the name."""
    directories = {directory for file in files for directory in _way(file)}
    return frozenset((directory, _inode(directory)) for directory in directories)


def _way(file: Path) -> list[Path]:
    """The directory of every symbolic link on the way to *file*, and that of the file itself, or the nearest that there is."""
    directories: list[Path] = []
    here, rest = Path(file.anchor), list(file.parts[1:])
    while rest:
        step = here / rest.pop(0)
        if step.name == "..":
            here = here.parent
        elif (target := _target(step)) and len(directories) < LINK_LIMIT:
            directories.append(here)
            here, rest = (Path(target.anchor) if target.is_absolute() else here), [*target.parts[target.is_absolute() :], *rest]
        else:
            here = step
    return [*directories, next(parent for parent in here.parents if os.path.isdir(parent))]  # noqa: PTH112  # Path.is_dir raises where it may not look


def _target(step: Path) -> Path | None:
    with contextlib.suppress(OSError):  # no link, or not there
        return step.readlink()
    return None


def _inode(directory: Path) -> int:
    with contextlib.suppress(OSError):
        return directory.stat().st_ino
    return 0
