"""A changed configuration is noticed, however it was saved: real files, real notifications."""

from __future__ import annotations

import asyncio
import itertools
import os
import resource
import sys
import time
from collections.abc import AsyncGenerator, AsyncIterator, Callable, Iterator
from contextlib import aclosing, asynccontextmanager
from pathlib import Path

import pytest

from fusiond import reload
from fusiond.reload import changes

GENEROUS = 20


class Watched:
    """The iterator under test, waited for with patience; `files` may be changed as a reload would."""

    def __init__(self, *files: Path) -> None:
        self.files = list(files)
        self.poke = asyncio.Event()
        self.iterator: AsyncGenerator[None, None] = changes(lambda: self.files, self.poke)
        self.next: asyncio.Future[None] | None = None

    async def noticed(self, until: Callable[[], bool] = lambda: True) -> None:
        """Waits for the next occasion at which *until* holds: one save may be noticed in two parts."""
        async with asyncio.timeout(GENEROUS):
            if self.next:
                await self.next
                self.next = None
                if until():
                    return
            async for _ in self.iterator:
                if until():
                    return


@asynccontextmanager
async def watching(*files: Path) -> AsyncIterator[Watched]:
    """The files as they are watched once the first occasion has passed."""
    watched = Watched(*files)
    async with aclosing(watched.iterator):
        await watched.noticed()
        yield watched


def replace(path: Path, text: str) -> None:
    """As editors save: a new file takes the name."""
    new = path.with_name(path.name + "~")
    new.write_text(text)
    new.replace(path)


async def unnoticed(watched: Watched, seconds: float) -> None:
    """Nothing is an occasion for so long."""
    watched.next = watched.next or asyncio.ensure_future(anext(watched.iterator))
    await asyncio.wait([watched.next], timeout=seconds)
    assert not watched.next.done()


async def test_first_occasion_comes_at_once(tmp_path: Path) -> None:
    """What was saved before anybody looked is not missed."""
    async with watching(tmp_path / "config.toml"):
        pass


async def test_written_in_place(tmp_path: Path) -> None:
    """A file that is written where it is."""
    path = tmp_path / "config.toml"
    path.write_text("a")
    async with watching(path) as watched:
        for text in ("b", "c", "d"):
            path.write_text(text)
            await watched.noticed()


async def test_atomic_renames(tmp_path: Path) -> None:
    """Every one of several replacements, not only the first."""
    path = tmp_path / "config.toml"
    path.write_text("0")
    async with watching(path) as watched:
        for text in "12345":
            replace(path, text)
            await watched.noticed()


async def test_what_is_being_written_is_not_read(tmp_path: Path) -> None:
    """Half a file is no configuration: as long as somebody has it open to write, however long the pause, it is waited for."""
    path = tmp_path / "config.toml"
    path.write_text("whole")
    async with watching(path) as watched:
        with path.open("w") as writer:
            await unnoticed(watched, 1.3)
            writer.write("half")
            writer.flush()
            await unnoticed(watched, 0.6)
            writer.write(" and half")
        await watched.noticed()
        assert path.read_text() == "half and half"


async def test_asked_to_look_it_does_not_wait_for_a_writer(tmp_path: Path) -> None:
    """Whoever pokes wants the file as it is."""
    path = tmp_path / "config.toml"
    path.write_text("a")
    async with watching(path) as watched:
        with path.open("w"):
            await unnoticed(watched, 0.3)
            watched.poke.set()
            await watched.noticed()


@pytest.mark.parametrize(("how", "least"), [("in place", 0.25), ("renamed", 0.0)])
async def test_where_no_writer_can_be_seen(how: str, least: float, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Other systems, other people's files: what is written in place stands still for longer, what is renamed is whole; both are soon there."""
    monkeypatch.setattr(reload, "_open_for_writing", lambda _: None)
    path = tmp_path / "config.toml"
    path.write_text("a")
    async with watching(path) as watched:
        took = []
        for text in ("b", "c", "d"):
            began = time.monotonic()
            path.write_text(text) if how == "in place" else replace(path, text)
            await watched.noticed()
            took.append(time.monotonic() - began)
        assert least <= min(took) < 0.5


async def test_saved_without_a_pause(tmp_path: Path) -> None:
    """Who saves for ever is not waited for."""
    path = tmp_path / "config.toml"
    path.write_text("a")
    async with watching(path) as watched:

        async def restless() -> None:
            for number in itertools.count():
                replace(path, str(number))
                await asyncio.sleep(0.01)

        saving = asyncio.create_task(restless())
        await watched.noticed()
        saving.cancel()


async def test_deleted_and_back(tmp_path: Path) -> None:
    """A file that goes and comes again."""
    path = tmp_path / "config.toml"
    path.write_text("a")
    async with watching(path) as watched:
        path.unlink()
        await watched.noticed()
        path.write_text("a")
        await watched.noticed()


async def test_include_appears(tmp_path: Path) -> None:
    """A file that was looked for and absent."""
    path, tuned = tmp_path / "config.toml", tmp_path / "tuned.toml"
    path.write_text("a")
    async with watching(path, tuned) as watched:
        tuned.write_text("b")
        await watched.noticed()


async def test_include_named_later(tmp_path: Path) -> None:
    """A reload that names a new file has it watched from then on, in another directory too."""
    path, tuned = tmp_path / "config.toml", tmp_path / "more" / "tuned.toml"
    path.write_text("a")
    async with watching(path) as watched:
        watched.files.append(tuned)
        replace(path, "b")
        await watched.noticed()
        tuned.parent.mkdir()
        tuned.write_text("c")
        await watched.noticed(tuned.exists)
        replace(tuned, "d")
        await watched.noticed(lambda: tuned.read_text() == "d")


async def test_link_is_turned(tmp_path: Path) -> None:
    """A symbolic link that is pointed at another file."""
    for name in ("one", "two"):
        (tmp_path / name).mkdir()
        (tmp_path / name / "real.toml").write_text(name)
    link, new = tmp_path / "config.toml", tmp_path / "new"
    link.symlink_to("one/real.toml")
    async with watching(link) as watched:
        new.symlink_to("two/real.toml")
        new.replace(link)
        await watched.noticed()
        replace(tmp_path / "two" / "real.toml", "three")
        await watched.noticed(lambda: link.read_text() == "three")


async def test_target_of_a_link_is_saved(tmp_path: Path) -> None:
    """An edit of the file behind a link."""
    (tmp_path / "real").mkdir()
    target = tmp_path / "real" / "config.toml"
    target.write_text("a")
    link = tmp_path / "config.toml"
    link.symlink_to(target)
    async with watching(link) as watched:
        replace(target, "b")
        await watched.noticed()


async def test_directory_behind_a_link_is_swapped(tmp_path: Path) -> None:
    """The way in which Kubernetes renews a mounted configuration: `config.toml -> ..data/config.toml`, `..data -> ..1`."""
    for name in ("..1", "..2"):
        (tmp_path / name).mkdir()
        (tmp_path / name / "config.toml").write_text(name)
    (tmp_path / "..data").symlink_to("..1")
    path = tmp_path / "config.toml"
    path.symlink_to("..data/config.toml")
    async with watching(path) as watched:
        (tmp_path / "..new").symlink_to("..2")
        (tmp_path / "..new").replace(tmp_path / "..data")
        await watched.noticed(lambda: path.read_text() == "..2")


async def test_directory_that_is_not_there_yet(tmp_path: Path) -> None:
    """The file's whole directory appears later, is replaced, and appears again."""
    directory = tmp_path / "etc" / "fusiond"
    path = directory / "config.toml"
    async with watching(path) as watched:
        directory.mkdir(parents=True)
        path.write_text("a")
        await watched.noticed(path.exists)
        directory.rename(tmp_path / "old")
        await watched.noticed(lambda: not path.exists())
        directory.mkdir()
        path.write_text("b")
        await watched.noticed(path.exists)


async def test_poke(tmp_path: Path) -> None:
    """A signal is an occasion even where no file has changed, and each only once."""
    path = tmp_path / "config.toml"
    path.write_text("a")
    async with watching(path) as watched:
        for _ in range(2):
            watched.poke.set()
            await watched.noticed()
            assert not watched.poke.is_set()


async def test_neighbours_are_no_occasion(tmp_path: Path) -> None:
    """What happens to other files of the directory is nobody's business: the next occasion is the file's own."""
    path = tmp_path / "config.toml"
    path.write_text("a")
    async with watching(path) as watched:
        (tmp_path / "other").write_text("x")
        with pytest.raises(TimeoutError):
            async with asyncio.timeout(0.6):
                await anext(watched.iterator)


async def test_links_in_a_circle(tmp_path: Path) -> None:
    """A link to itself is a file that is not there, until it is one."""
    path = tmp_path / "config.toml"
    path.symlink_to(path)
    async with watching(path) as watched:
        replace(path, "a")
        await watched.noticed(path.is_file)


@pytest.fixture
def no_descriptor_left() -> Iterator[Callable[[], None]]:
    """Called, it leaves the process without a free file descriptor, and so without a new watch."""
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)

    def exhaust() -> None:
        lowest_free = os.dup(0)
        os.close(lowest_free)
        resource.setrlimit(resource.RLIMIT_NOFILE, (lowest_free, hard))

    yield exhaust
    resource.setrlimit(resource.RLIMIT_NOFILE, (soft, hard))


@pytest.mark.skipif(sys.platform != "linux", reason="other systems watch without a file descriptor")
async def test_without_notifications(tmp_path: Path, caplog: pytest.LogCaptureFixture, no_descriptor_left: Callable[[], None]) -> None:
    """Where the system has no watch left, the files are looked at all the same, and the log says so once."""
    path, new = tmp_path / "config.toml", tmp_path / "new"
    new.write_text("a")
    async with watching(path) as watched:
        no_descriptor_left()
        new.replace(path)
        await watched.noticed(path.exists)
        watched.poke.set()
        await watched.noticed()
        path.unlink()
        await watched.noticed(lambda: not path.exists())
    assert [record.getMessage().split(" (")[0] for record in caplog.records] == ["the configuration's directories cannot be watched"]
