"""Which calls of the kernel a candidate may not make, beyond what its namespaces and limits take from it.

A filter of Linux's seccomp: sockets of every family (some know no network namespace), shared memory that no limit counts, looking into other
processes, new namespaces. On a processor whose numbers are not known here there is no filter, and then no code is run.
"""

from __future__ import annotations

import ctypes
import errno
import platform
import struct
from collections.abc import Iterable, Mapping

NUMBERS: Mapping[str, tuple[int, Mapping[str, int]]] = {
    "x86_64": (
        0xC000003E,
        {
            "pivot_root": 155, "clone": 56, "socket": 41, "ptrace": 101, "process_vm_readv": 310, "process_vm_writev": 311, "shmget": 29,
            "msgget": 68, "semget": 64, "mq_open": 240, "add_key": 248, "request_key": 249, "keyctl": 250, "unshare": 272, "setns": 308,
            "bpf": 321, "perf_event_open": 298, "userfaultfd": 323,
        },
    ),
    "aarch64": (
        0xC00000B7,
        {
            "pivot_root": 41, "clone": 220, "socket": 198, "ptrace": 117, "process_vm_readv": 270, "process_vm_writev": 271, "shmget": 194,
            "msgget": 186, "semget": 190, "mq_open": 180, "add_key": 217, "request_key": 218, "keyctl": 219, "unshare": 97, "setns": 268,
            "bpf": 280, "perf_event_open": 241, "userfaultfd": 282,
        },
    ),
}  # fmt: skip
"""For each processor its audit number, and the calls by name (arch/*/entry/syscalls of the kernel)."""

EVERYWHERE: Mapping[str, int] = {"io_uring_setup": 425, "clone3": 435, "mount_setattr": 442}
"""Calls that have the same number on every processor."""

FORBIDDEN = frozenset(NUMBERS["x86_64"][1]) - {"clone"} | EVERYWHERE.keys() - {"clone3"}

_PR_SET_NO_NEW_PRIVS, _PR_SET_SECCOMP, _SECCOMP_MODE_FILTER = 38, 22, 2
_ALLOW, _ERROR, _KILL = 0x7FFF0000, 0x00050000, 0x80000000
_LOAD, _EQUAL, _AT_LEAST, _ANY_OF, _RETURN = 0x20, 0x15, 0x35, 0x45, 0x06
_NUMBER, _ARCHITECTURE, _FIRST_ARGUMENT = 0, 4, 16
_FOREIGN_CALLS = 0x40000000
_CLONE_NEWUSER = 0x10000000


def number(call: str) -> int:
    """The number of a call on this machine. Raises OSError where that is not known."""
    return EVERYWHERE[call] if call in EVERYWHERE else _machine()[1][call]


def install(forbidden: Iterable[str] = FORBIDDEN) -> None:
    """Forbid these calls to this process and all that come of it, for good; they fail with EPERM. Raises OSError where that cannot be done."""
    libc = ctypes.CDLL(None, use_errno=True)
    code = program(forbidden)
    steps = ctypes.create_string_buffer(code, len(code))
    told = ctypes.create_string_buffer(struct.pack("HxxxxxxP", len(code) // 8, ctypes.addressof(steps)))
    for order in ((_PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0), (_PR_SET_SECCOMP, _SECCOMP_MODE_FILTER, ctypes.byref(told), 0, 0)):
        if libc.prctl(*order):
            raise OSError(ctypes.get_errno(), "seccomp")


def program(forbidden: Iterable[str]) -> bytes:
    """The filter as the kernel reads it: first match decides."""
    architecture, _ = _machine()
    steps = [
        (_LOAD, 0, 0, _ARCHITECTURE),
        (_EQUAL, 1, 0, architecture),
        (_RETURN, 0, 0, _KILL),
        (_LOAD, 0, 0, _NUMBER),
        (_AT_LEAST, 0, 1, _FOREIGN_CALLS),
        (_RETURN, 0, 0, _KILL),
        # Threads may be made, namespaces not. The newer call has its flags where no filter sees them; the libraries do without it.
        *_on(number("clone3"), errno.ENOSYS),
        *(step for call in sorted(forbidden) for step in _on(number(call), errno.EPERM)),
        (_EQUAL, 0, 3, number("clone")),
        (_LOAD, 0, 0, _FIRST_ARGUMENT),
        (_ANY_OF, 0, 1, _CLONE_NEWUSER),
        (_RETURN, 0, 0, _ERROR | errno.EPERM),
        (_RETURN, 0, 0, _ALLOW),
    ]
    return b"".join(struct.pack("HBBI", *step) for step in steps)


def _on(call: int, error: int) -> tuple[tuple[int, int, int, int], ...]:
    return (_EQUAL, 0, 1, call), (_RETURN, 0, 0, _ERROR | error)


def _machine() -> tuple[int, Mapping[str, int]]:
    machine = platform.machine()
    if machine not in NUMBERS:
        raise OSError(errno.ENOSYS, f"no filter of system calls for {machine}")
    return NUMBERS[machine]
