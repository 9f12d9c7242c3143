"""The filter of system calls, as far as it can be looked at without being put in force (tests/faults/test_code_jail.py does that)."""

from __future__ import annotations

import platform
import struct

import pytest

from fusiond.code.filter import FORBIDDEN, NUMBERS, number, program


@pytest.mark.parametrize("machine", NUMBERS)
def test_a_jump_never_leaves_the_filter(monkeypatch: pytest.MonkeyPatch, machine: str) -> None:
    """The kernel would refuse it; and its last word allows what nothing has forbidden."""
    monkeypatch.setattr(platform, "machine", lambda: machine)
    code = program(FORBIDDEN)
    steps = [struct.unpack_from("HBBI", code, offset) for offset in range(0, len(code), 8)]
    assert all(place + 1 + max(then, otherwise) < len(steps) for place, (_, then, otherwise, _) in enumerate(steps[:-1]))
    assert steps[-1] == (0x06, 0, 0, 0x7FFF0000)
    compared = {value for code, _, _, value in steps if code == 0x15}
    assert {number(call) for call in FORBIDDEN} <= compared


def test_every_processor_has_the_same_calls() -> None:
    """One that lacks a number would let the call pass."""
    calls = [set(numbers) for _, numbers in NUMBERS.values()]
    assert all(names == calls[0] for names in calls)
    assert all(len(set(numbers.values())) == len(numbers) for _, numbers in NUMBERS.values())


def test_without_a_filter_there_is_no_jail(monkeypatch: pytest.MonkeyPatch) -> None:
    """On a processor whose numbers nobody has written down."""
    monkeypatch.setattr(platform, "machine", lambda: "riscv64")
    with pytest.raises(OSError, match="no filter of system calls for riscv64"):
        program(FORBIDDEN)
