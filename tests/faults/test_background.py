"""What goes wrong in the background: the daemon says so, tries again, and serves on."""

from __future__ import annotations

import asyncio
from pathlib import Path
from typing import Any

import pytest

from fusiond import daemon
from fusiond.bills import Bills
from tests.faults.conftest import running
from tests.serving import lab
from tests.upstreams.openai import OpenAIUpstream
from tests.upstreams.script import Finish, Say, Script


async def test_a_bug_in_the_background_ends_nothing(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture) -> None:
    """Twice in a row: it is logged, and done again."""
    asked = asyncio.Event()
    bugs = [ZeroDivisionError("first"), KeyError("second")]

    async def ask(*_: Any) -> None:
        if bugs:
            raise bugs.pop(0)
        asked.set()

    monkeypatch.setattr(Bills, "ask", ask)
    monkeypatch.setattr(daemon, "PAUSE_SECONDS", 0.01)
    async with OpenAIUpstream({"a": Script(Say("Yes."), Finish())}) as upstream, running(lab(upstream.url, "a"), tmp_path) as served:
        async with asyncio.timeout(10):
            await asked.wait()
        assert (await served.ask())[0] == 200
    assert [record.exc_info[0] for record in caplog.records if record.exc_info] == [ZeroDivisionError, KeyError]
