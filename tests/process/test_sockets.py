"""The unix socket and the port as other processes see them: for one user alone, and for one daemon alone."""

from __future__ import annotations

import os
import signal
import socket
import stat
from pathlib import Path

import pytest

from tests.serving import answer, configured, failed, lab, serving, started
from tests.upstreams.openai import OpenAIUpstream
from tests.upstreams.script import Finish, Say, Script


def mode(path: Path) -> int:
    """Who may do what."""
    return stat.S_IMODE(path.stat().st_mode)


async def test_the_socket_is_for_this_user_alone_and_gone_in_the_end(tmp_path: Path, short_path: Path) -> None:
    """0600 in a directory of 0700, whatever the umask; the same answers as on TCP; no file is left after SIGTERM."""
    path = short_path / "fusiond" / "fusiond.sock"
    usual = os.umask(0)
    try:
        async with (
            OpenAIUpstream({"a": Script(Say("hello"), Finish())}) as upstream,
            serving(*configured(tmp_path, lab(upstream.url, "a"), listen='"127.0.0.1:0", "unix"')) as daemon,
        ):
            assert (mode(path), mode(path.parent)) == (0o600, 0o700)
            async with daemon.client(path) as through_socket, daemon.client() as through_port:
                assert await answer(through_socket, "a") == await answer(through_port, "a") == "hello"
    finally:
        os.umask(usual)
    assert not path.exists()


async def test_a_second_daemon_on_the_same_socket_ends_and_the_first_goes_on(tmp_path: Path, short_path: Path) -> None:
    """Exit code 1 and one line that names the socket."""
    path = short_path / "s.sock"
    arguments = configured(tmp_path, "", listen=f'"unix:{path}"')
    async with serving(*arguments) as daemon:
        code, log = await failed(*arguments)
        assert (code, log) == (1, [f"fusiond: another fusiond already listens on unix:{path}"])
        async with daemon.client(path) as client, client.get("/healthz") as response:
            assert response.status == 200
        assert mode(path) == 0o600


async def test_a_second_daemon_on_the_same_port_ends(tmp_path: Path) -> None:
    """Exit code 1 and one line that names the address; the first goes on."""
    async with serving(*configured(tmp_path, "")) as daemon:
        host = daemon.url.removeprefix("http://")
        code, log = await failed("--config", str(tmp_path / "config.toml"), "--listen", host)
        assert code == 1
        assert [line for line in log if line.startswith(f"fusiond: cannot listen on {host}: ")] == log
        async with daemon.client() as client, client.get("/healthz") as response:
            assert response.status == 200


async def test_a_dead_daemons_socket_is_taken_over(tmp_path: Path, short_path: Path) -> None:
    """After `kill -9` the file is still there; the next daemon replaces it."""
    path = short_path / "s.sock"
    arguments = configured(tmp_path, "", listen=f'"unix:{path}"')
    async with started(*arguments) as dead:
        await dead.said("listening on")
        dead.signal(signal.SIGKILL)
        await dead.ended()
        assert path.is_socket()
    async with serving(*arguments) as daemon, daemon.client(path) as client, client.get("/healthz") as response:
        assert response.status == 200
    assert not path.exists()


@pytest.mark.parametrize("kind", ["socket", "file"])
async def test_what_is_somebody_elses_is_left_alone(tmp_path: Path, short_path: Path, kind: str) -> None:
    """Neither another program's live socket nor a file that is none is replaced: exit code 1."""
    path = short_path / "s.sock"
    with socket.socket(socket.AF_UNIX) as other:
        if kind == "socket":
            other.bind(str(path))
            other.listen()
        else:
            path.write_text("precious")
        inode = path.stat().st_ino
        code, log = await failed(*configured(tmp_path, "", listen=f'"unix:{path}"'))
        assert (code, len(log)) == (1, 1)
        assert f"unix:{path}" in log[0]
        assert path.stat().st_ino == inode


async def test_an_open_directory_is_refused(tmp_path: Path, short_path: Path) -> None:
    """Where others may write, they could put a socket of their own in the place of ours."""
    directory = short_path / "fusiond"
    directory.mkdir()
    directory.chmod(0o777)
    code, log = await failed(*configured(tmp_path, "", listen='"unix"'))
    assert (code, log) == (1, [f"fusiond: cannot listen on unix:{directory}/fusiond.sock: others can write to {directory} (chmod 700 {directory})"])
