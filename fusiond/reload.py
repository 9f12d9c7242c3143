"""When the configuration may have changed: its files are looked at, and the system's notifications only say when to look early.

Directories are watched, never files: a file replaced by a rename is a new one. A file is taken for changed once it has stood still for a moment and
nobody has it open for writing, so that one in the middle of being written is not read. Where nobody can tell who has it open, one that is written in
place has to stand still for longer. From the save to the word of it passes at most `LOOK_SECONDS` and a little.
"""

from __future__ import annotations

import asyncio
import contextlib
import fcntl
import logging
import os
import signal
import sys
import time
from collections.abc import AsyncGenerator, Callable, Sequence
from contextlib import aclosing
from pathlib import Path
from typing import NamedTuple

log = logging.getLogger(__name__)

LOOK_SECONDS = 0.25
"""A look happens this often even where nothing stirs: for the gap in which a watch is renewed, and for file systems that notify nobody."""

STILL_SECONDS, QUIET_SECONDS = 0.05, 0.25
"""How long a file stands still before it is read; the second where it is written in place and it cannot be told whether its writer is done."""

RESTLESS_SECONDS = 1.0
"""A file that is saved again and again without a pause is taken as it is after so long; one that somebody still has open never is."""

LINK_LIMIT = 40
"""Symbolic links on the way to one file; the system's own limit."""

Files = Callable[[], Sequence[Path]]


class Mark(NamedTuple):
    """What tells a file from its former self."""

    device: int
    inode: int
    size: int
    modified: int
    changed: int


Marks = dict[Path, Mark | None]
"""None: the file is not there, or not ours to see."""

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
                now = await _still(files, seen, poke)
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


async def _still(files: Files, seen: Marks, poke: asyncio.Event) -> Marks:
    """How the files look, once two looks in a row agree and whoever writes is done; at once when poked."""
    now, clock = _look(files()), asyncio.get_running_loop().time
    restless, warned = clock() + RESTLESS_SECONDS, False
    while now != seen and not poke.is_set():
        await asyncio.sleep(STILL_SECONDS)
        before, now = now, _look(files())
        changed = [file for file, mark in now.items() if mark and mark != seen.get(file)]
        writers = {file: _open_for_writing(file) for file in changed}
        if held := [file for file in changed if writers[file]]:
            if clock() >= restless and not warned:
                log.warning("%s is being written: it is read when its writer has closed it, or on SIGHUP", held[0])
                warned = True
        elif clock() >= restless or (before == now and all(writers[file] is False or _quiet(file, now, seen) for file in changed)):
            break
    return now


def _quiet(file: Path, now: Marks, seen: Marks) -> bool:
    """Whether a file is likely to be whole: another has taken its name, as a rename does at once, or nothing was written for a while."""
    mark, before = now[file], seen.get(file)
    if mark is None or file not in seen or (before and (before.device, before.inode) != (mark.device, mark.inode)):
        return True
    return not 0 <= time.time() - mark.modified / 1e9 < QUIET_SECONDS


def _open_for_writing(file: Path) -> bool | None:
    """Whether somebody has the file open to write; None: that cannot be told.

    Linux tells its owner, who asks for a lease on it: a writer is in the way of that.
    """
    if sys.platform != "linux" or not os.path.isfile(file):  # noqa: PTH113  # Path.is_file raises where it may not look
        return None
    try:
        descriptor = os.open(file, os.O_RDONLY | os.O_NONBLOCK)
    except OSError:
        return None
    try:
        fcntl.fcntl(descriptor, fcntl.F_SETSIG, signal.SIGURG)  # who opens it just now makes the system tell us, by a signal that does nothing
        fcntl.fcntl(descriptor, fcntl.F_SETLEASE, fcntl.F_RDLCK)
    except BlockingIOError:
        return True
    except OSError:
        return None
    finally:
        os.close(descriptor)
    return False


def _look(files: Sequence[Path]) -> Marks:
    marks: Marks = {}
    for file in files:
        try:
            status = file.stat()
        except OSError:
            marks[file] = None
        else:
            marks[file] = Mark(status.st_dev, status.st_ino, status.st_size, status.st_mtime_ns, status.st_ctime_ns)
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
