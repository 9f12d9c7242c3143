"""Listening sockets: for one user alone and one daemon alone, and never in the place of what is somebody else's."""

from __future__ import annotations

import os
import signal
import socket
import stat
import subprocess
import sys
from collections.abc import Iterator
from contextlib import closing, contextmanager
from pathlib import Path

import pytest

from fusiond.config.address import TcpAddress, UnixAddress
from fusiond.sockets import CannotListen, Listener, bind

HOLD = """
import sys
from fusiond.config.address import UnixAddress
from fusiond.sockets import bind
held = bind(UnixAddress(path=sys.argv[1]))
print("bound", flush=True)
sys.stdin.read()
"""
"""A process that holds a socket until it is killed."""


def unix(path: Path) -> Listener:
    """A socket at that path."""
    return bind(UnixAddress(path=str(path)))


def answers(path: Path) -> bool:
    """Whether somebody listens there."""
    with socket.socket(socket.AF_UNIX) as client:
        try:
            client.connect(str(path))
        except (ConnectionRefusedError, FileNotFoundError):
            return False
        return True


def mode(path: Path) -> int:
    """Who may do what."""
    return stat.S_IMODE(path.stat().st_mode)


@contextmanager
def umask(mask: int) -> Iterator[None]:
    """The usual one is back in the end."""
    usual = os.umask(mask)
    try:
        yield
    finally:
        os.umask(usual)


@pytest.fixture
def path(short_path: Path) -> Path:
    """Where a socket may be made."""
    return short_path / "s.sock"


@pytest.mark.parametrize("mask", [0o000, 0o022, 0o077])
def test_the_default_socket_is_for_this_user_alone(short_path: Path, mask: int) -> None:
    """0600 in a directory of 0700, whatever the umask, which stays what it was."""
    with umask(mask), closing(bind(UnixAddress(path=None))) as listener:
        assert listener.path == short_path / "fusiond" / "fusiond.sock"
        assert (mode(listener.path), mode(listener.path.parent)) == (0o600, 0o700)
        assert str(listener) == f"unix:{listener.path}"
        assert os.umask(mask) == mask
    assert not listener.path.exists()


def test_a_directory_for_a_named_socket_is_made_private_too(short_path: Path) -> None:
    """Where there is none; one that is there is the user's business, and the socket is 0600 all the same."""
    with umask(0), closing(unix(short_path / "made" / "s.sock")) as listener:
        assert (mode(short_path / "made"), mode(short_path / "made" / "s.sock")) == (0o700, 0o600)
    (short_path / "open").mkdir(mode=0o755)
    with umask(0), closing(unix(short_path / "open" / "s.sock")) as listener:
        assert listener.path is not None
        assert (mode(short_path / "open"), mode(listener.path)) == (0o755, 0o600)


def test_a_default_directory_that_others_can_change_is_refused(short_path: Path) -> None:
    """They could put a socket of their own there."""
    (short_path / "fusiond").mkdir()
    (short_path / "fusiond").chmod(0o777)
    with pytest.raises(CannotListen, match=r"cannot listen on unix:.*/fusiond/fusiond\.sock: .*others can write to"):
        bind(UnixAddress(path=None))


def test_a_socket_of_a_living_daemon_is_never_taken(path: Path) -> None:
    """The first one goes on, and its socket is the same file."""
    with closing(unix(path)):
        inode = path.stat().st_ino
        with pytest.raises(CannotListen, match=f"another fusiond already listens on unix:{path}"):
            unix(path)
        assert path.stat().st_ino == inode
        assert answers(path)
    assert not path.exists()


def test_a_socket_of_another_program_is_never_taken(path: Path) -> None:
    """It has no lock of ours, but it answers; once it is gone the path is free."""
    with socket.socket(socket.AF_UNIX) as other:
        other.bind(str(path))
        other.listen()
        with pytest.raises(CannotListen, match=f"another process already listens on unix:{path}"):
            unix(path)
        assert answers(path)
    unix(path).close()


def test_a_program_too_busy_to_answer_lives(path: Path) -> None:
    """A socket whose queue is full is not waited for, and not taken."""
    with socket.socket(socket.AF_UNIX) as other, socket.socket(socket.AF_UNIX) as waiting:
        other.bind(str(path))
        other.listen(0)
        waiting.connect(str(path))
        with pytest.raises(CannotListen, match=f"another process already listens on unix:{path}"):
            unix(path)
        assert path.is_socket()


def test_a_dead_socket_is_replaced(path: Path) -> None:
    """What a killed program left behind is nobody's."""
    with socket.socket(socket.AF_UNIX) as dead:
        dead.bind(str(path))
        dead.listen()
    assert path.is_socket()
    with closing(unix(path)):
        assert answers(path)


@pytest.mark.parametrize("kind", ["file", "directory", "link", "broken link"])
def test_what_is_no_socket_is_left_alone(path: Path, kind: str) -> None:
    """Nothing is removed, and nothing is held afterwards: with the path free again a socket can be made."""
    other = path.with_name("other")
    match kind:
        case "file":
            path.write_text("precious")
        case "directory":
            path.mkdir()
        case "link":
            other.write_text("precious")
            path.symlink_to(other)
        case "broken link":
            path.symlink_to(other)
    before = path.lstat()
    with pytest.raises(CannotListen, match=f"cannot listen on unix:{path}: there is a file that is no socket"):
        unix(path)
    assert path.lstat().st_ino == before.st_ino
    path.rename(path.with_name("aside"))
    unix(path).close()


def test_only_our_own_file_is_removed(path: Path) -> None:
    """Who moved our socket away and put another there keeps it."""
    listener = unix(path)
    path.rename(path.with_name("old"))
    with socket.socket(socket.AF_UNIX) as other:
        other.bind(str(path))
        other.listen()
        listener.close()
        assert answers(path)


def test_a_file_that_is_gone_already_does_no_harm(path: Path) -> None:
    """Closing removes what is there."""
    listener = unix(path)
    path.unlink()
    listener.close()
    unix(path).close()


def test_closing_frees_path_and_lock(path: Path) -> None:
    """The same process can listen again at once."""
    for _ in range(3):
        with closing(unix(path)):
            assert answers(path)
        assert not path.exists()


def test_a_path_in_a_directory_that_cannot_be_made(short_path: Path) -> None:
    """The error names the address and the reason."""
    (short_path / "file").write_text("")
    with pytest.raises(CannotListen, match=f"cannot listen on unix:{short_path}/file/deeper/s.sock: Not a directory"):
        unix(short_path / "file" / "deeper" / "s.sock")


def test_kill_frees_the_lock_and_leaves_a_socket_that_is_replaced(path: Path) -> None:
    """While the process lives the socket is its own; after SIGKILL the next one takes over."""
    with subprocess.Popen([sys.executable, "-c", HOLD, str(path)], stdin=subprocess.PIPE, stdout=subprocess.PIPE) as holder:
        try:
            assert holder.stdout
            assert holder.stdout.readline() == b"bound\n"
            with pytest.raises(CannotListen, match="another fusiond"):
                unix(path)
        finally:
            holder.send_signal(signal.SIGKILL)
            holder.wait(10)
    assert path.is_socket()
    assert not answers(path)
    with closing(unix(path)):
        assert answers(path)


def test_a_port_that_is_taken_is_said() -> None:
    """By its address; no socket is left open."""
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
        with pytest.raises(CannotListen, match=f"cannot listen on 127.0.0.1:{port}: Address already in use"):
            bind(TcpAddress(host="127.0.0.1", port=port))
    bind(TcpAddress(host="127.0.0.1", port=port)).close()


def test_a_port_that_is_our_own_is_said_to_be() -> None:
    """Addresses can lie inside each other: who only changes the one for the other is told what to do."""
    with closing(bind(TcpAddress(host="127.0.0.1", port=0))) as ours:
        port = ours.socket.getsockname()[1]
        held, wider = TcpAddress(host="127.0.0.1", port=port), TcpAddress(host="0.0.0.0", port=port)  # noqa: S104  # it is refused
        with pytest.raises(CannotListen, match=f"in use: this daemon has the port itself, on 127.0.0.1:{port}: restart it, or take another port$"):
            bind(wider, [held])
        for other in ([], [UnixAddress(path=None)], [TcpAddress(host="127.0.0.1", port=port % 65535 + 1)]):
            with pytest.raises(CannotListen, match=r"in use$"):
                bind(wider, other)


def test_an_address_of_another_machine_is_said() -> None:
    """One that cannot be bound here."""
    with pytest.raises(CannotListen, match=r"cannot listen on 192\.0\.2\.1:8080: Cannot assign requested address"):
        bind(TcpAddress(host="192.0.2.1", port=8080))


def test_any_free_port_is_named_as_it_was_given() -> None:
    """Port 0: the listener says which one it is."""
    with closing(bind(TcpAddress(host="127.0.0.1", port=0))) as listener:
        port = listener.socket.getsockname()[1]
        assert port
        assert str(listener) == f"http://127.0.0.1:{port}"
        assert not listener.socket.getblocking()
        with socket.create_connection(("127.0.0.1", port), timeout=5):
            pass


@pytest.mark.skipif(not socket.has_dualstack_ipv6(), reason="no IPv6 on this machine")
def test_ipv6_is_told_in_brackets() -> None:
    """As a URL that can be clicked."""
    with closing(bind(TcpAddress(host="::1", port=0))) as listener:
        assert str(listener) == f"http://[::1]:{listener.socket.getsockname()[1]}"
