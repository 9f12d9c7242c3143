"""Where candidates run: a process in user, mount, process, network and IPC namespaces of its own.

It sees the interpreter and the system's libraries, which it cannot change, and an empty `/tmp` of its own; no other file, no process, no network.
There are three processes: this one, which ends with the daemon; the first of the new namespace, with whose end the kernel ends everything in it;
and the candidate's, without any right and with an empty environment. The job comes on standard input, and standard output is all that comes back.

Run as `python -m fusiond.code.jail DAEMON`, the number being the daemon's process.
"""

from __future__ import annotations

import ctypes
import errno
import json
import os
import signal
import struct
import sys
import sysconfig
from pathlib import Path

from fusiond.code.driver import IN_JAIL, MOST_FILES
from fusiond.code.filter import install, number

NOBODY = 65534
INTERPRETER = os.path.realpath(sys.executable)
ROOT = "/proc"
"""Where the new root is put together: a directory that is there everywhere, and in which nothing lies that goes into it."""

_NEWNS, _NEWUTS, _NEWIPC, _NEWUSER, _NEWPID, _NEWNET = 0x20000, 0x4000000, 0x8000000, 0x10000000, 0x20000000, 0x40000000
_NOSUID, _NODEV, _BIND, _REC, _PRIVATE = 0x2, 0x4, 0x1000, 0x4000, 0x40000
_DETACH = 0x2
_AT_FDCWD, _AT_RECURSIVE, _ATTR_READ_ONLY_NOSUID_NODEV = -100, 0x8000, 0x7
_PR_SET_PDEATHSIG = 1

_LIBC = ctypes.CDLL(None, use_errno=True)


def main() -> None:
    """Put the job into a jail, and end with it. Where there can be no jail, say why instead of an answer."""
    os.closerange(3, MOST_FILES)  # whoever starts us may have been started with files open, and not know of it
    try:
        privileged = os.geteuid() == 0
        _apart(privileged=privileged)
        _end_with_parent()
        if os.getppid() != int(sys.argv[1]):
            os._exit(0)
        first = os.fork()
    except (OSError, AttributeError) as error:  # another system's library has no such calls
        _barred(error)
    if first == 0:
        _end_with_parent()
        _first(privileged=privileged)
    os.waitpid(first, 0)


def _first(*, privileged: bool) -> None:
    """The first process of the namespace: closes the world off, starts the candidate's, and waits for it."""
    driver = Path(__file__).with_name("driver.py").read_text(encoding="utf-8")
    try:
        _close_off()
        candidate = os.fork()
        if candidate == 0:
            _without_rights(privileged=privileged)
            os.execve(INTERPRETER, [INTERPRETER, "-I", "-S", "-B", "-c", driver, IN_JAIL], {})  # noqa: S606
    except OSError as error:
        _barred(error)
    while os.wait()[0] != candidate:
        pass
    os._exit(0)


def _apart(*, privileged: bool) -> None:
    """Into namespaces of our own. Root needs none of users for that; others are who they were in theirs, and nobody else is there."""
    user, group = os.geteuid(), os.getegid()
    kinds = _NEWNS | _NEWUTS | _NEWIPC | _NEWPID | _NEWNET
    _done(_LIBC.unshare(kinds if privileged else kinds | _NEWUSER), "namespaces")
    if not privileged:
        Path("/proc/self/setgroups").write_text("deny", encoding="ascii")
        Path("/proc/self/uid_map").write_text(f"{user} {user} 1", encoding="ascii")
        Path("/proc/self/gid_map").write_text(f"{group} {group} 1", encoding="ascii")


def _close_off() -> None:
    """A new root that has what Python needs, to be read, and a small `/tmp`; the old one is gone."""
    _mount(None, "/", None, _REC | _PRIVATE)
    _mount("jail", ROOT, "tmpfs", _NOSUID | _NODEV, b"size=1m,mode=755")
    for path in _needed():
        inside = Path(f"{ROOT}{path}")
        inside.parent.mkdir(parents=True, exist_ok=True)
        if path.is_dir():
            inside.mkdir(exist_ok=True)
        else:
            inside.touch()
        _mount(str(path), str(inside), None, _BIND | _REC)
    for packages in _installed():
        _mount("jail", f"{ROOT}{packages}", "tmpfs", _NOSUID | _NODEV, b"size=4k,mode=755")
    Path(ROOT, "tmp").mkdir(exist_ok=True)
    read_only = struct.pack("4Q", _ATTR_READ_ONLY_NOSUID_NODEV, 0, 0, 0)
    _done(_LIBC.syscall(number("mount_setattr"), _AT_FDCWD, ROOT.encode(), _AT_RECURSIVE, read_only, len(read_only)), "read-only mounts")
    _mount("jail", f"{ROOT}/tmp", "tmpfs", _NOSUID | _NODEV, b"size=8m,nr_inodes=1k,mode=1777")  # noqa: S108
    os.chdir(ROOT)
    _done(_LIBC.syscall(number("pivot_root"), b".", b"."), "a root of its own")
    _done(_LIBC.umount2(b".", _DETACH), "a root of its own")
    os.chdir("/tmp")  # noqa: S108  # the jail's own


def _needed() -> list[Path]:
    """The interpreter, its own modules, and the libraries of the system; none that lies inside another one, but what is before it."""
    own = [Path(INTERPRETER), *(Path(sysconfig.get_path(name)) for name in ("stdlib", "platstdlib"))]
    shared = [Path(sysconfig.get_config_var("LIBDIR"))] if sysconfig.get_config_var("Py_ENABLE_SHARED") else []
    system = [Path(path) for path in ("/lib", "/lib64", "/usr/lib", "/usr/lib64", "/nix/store")]
    found = sorted({path for path in (*own, *shared, *system) if path.exists()})
    return [path for path in found if not any(other in path.parents for other in found)]


def _installed() -> list[Path]:
    """Where packages lie that were installed beside the interpreter's own modules."""
    own = [Path(sysconfig.get_path(name)) for name in ("stdlib", "platstdlib")]
    return [path for path in {*(lib / "site-packages" for lib in own), Path("/usr/lib/python3/dist-packages")} if path.is_dir()]


def _without_rights(*, privileged: bool) -> None:
    """Root becomes nobody, in a namespace of users without anybody; whoever it was, `exec` leaves it no right, and the filter stays."""
    if privileged:
        os.setgroups([])
        os.setresgid(NOBODY, NOBODY, NOBODY)
        os.setresuid(NOBODY, NOBODY, NOBODY)
        _done(_LIBC.unshare(_NEWUSER), "a namespace of users")
    install()


def _end_with_parent() -> None:
    _done(_LIBC.prctl(_PR_SET_PDEATHSIG, signal.SIGKILL, 0, 0, 0), "an end with the daemon")


def _mount(source: str | None, target: str, kind: str | None, flags: int, data: bytes | None = None) -> None:
    names = [name.encode() if name is not None else None for name in (source, target, kind)]
    _done(_LIBC.mount(*names, ctypes.c_ulong(flags), data), f"the mount of {target}")


def _done(result: int, what: str) -> None:
    if result != 0:
        raise OSError(ctypes.get_errno(), f"{what}: {os.strerror(ctypes.get_errno())}")


def _barred(error: OSError | AttributeError) -> None:
    why = error.strerror if isinstance(error, OSError) and error.errno != errno.ENOENT else str(error)
    os.write(1, json.dumps({"barred": why}).encode() + b"\n")
    os._exit(1)


if __name__ == "__main__":
    main()
