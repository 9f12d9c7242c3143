"""What a daemon has learnt of its traffic is there after a restart, however it ended; and what a cascade says of its answers."""

from __future__ import annotations

import asyncio
import json
import os
import signal
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import pytest

from fusiond.policy.belief import Model, Voter, verdict
from fusiond.store.traffic import FILE
from tests.serving import PATIENCE, answer, configured, lab, question, serving, started
from tests.upstreams.openai import OpenAIUpstream
from tests.upstreams.script import Finish, Say, Script

YES, NO = Script(Say("Yes."), Finish()), Script(Say("No."), Finish())
ASK = "Is 7 prime? Answer yes or no."
PAID = '[providers.far]\napi = "openai"\nurl = "{url}"\nplace = "remote"\n[members.dear]\nprovider = "far"\nmodel = "dear"\n'
PRICE = "price = { input = 1.0, output = 5.0 }\n"
FUSION = '[fusions.default]\nstrategy = "cascade"\npanel = ["a", "b"]\nescalate = ["dear"]\nspend = 0.33\n[budget]\n'


@pytest.fixture
async def arguments(tmp_path: Path) -> AsyncIterator[tuple[str, str]]:
    """Two free members that never agree, and a paid one."""
    async with OpenAIUpstream({"a": YES, "b": NO, "dear": YES}) as upstream:
        yield configured(tmp_path, lab(upstream.url, "a", "b") + PAID.format(url=upstream.url) + PRICE + FUSION)


def kept() -> Any:
    """What is in the file of the one kind of traffic."""
    document = json.loads((Path(os.environ["XDG_STATE_HOME"]) / "fusiond" / FILE).read_text())
    return document["kinds"]["fusion/default boolean"]


async def test_a_restart(arguments: tuple[str, str]) -> None:
    """Means are counted on, and the thrift goes on from where it was."""
    found = []
    for _ in range(2):
        async with serving(*arguments) as daemon, daemon.client() as client:
            await answer(client, text=ASK)
        found.append(kept())
    first, second = found
    assert (first["length"]["count"], second["length"]["count"]) == (1, 2)
    assert second["thrift"] / first["thrift"] == pytest.approx(first["thrift"] / 0.1)
    assert first["thrift"] != 0.1


async def test_a_kill(arguments: tuple[str, str]) -> None:
    """What was heard more than a moment before it is there."""
    async with started(*arguments) as daemon:
        await daemon.said("listening on")
        async with daemon.client() as client:
            await answer(client, text=ASK)
        async with asyncio.timeout(PATIENCE):
            while not (Path(os.environ["XDG_STATE_HOME"]) / "fusiond" / FILE).exists():  # noqa: ASYNC110  # nobody tells
                await asyncio.sleep(0.05)
        daemon.signal(signal.SIGKILL)
        await daemon.ended()
    assert kept()["length"]["count"] == 1


async def test_how_sure_it_is(arguments: tuple[str, str]) -> None:
    """Header and trace state the posterior of the votes, and the share of them that agrees."""
    async with serving(*arguments) as daemon, daemon.client() as client:
        async with client.post("/v1/chat/completions", json=question(text=ASK), headers={"X-Fusiond-Trace": "1"}) as response:
            trace = (await response.json())["fusion"]
    a, b, dear = (Voter(name="a"), Voter(name="b"), Voter(name="dear", paid=True))
    sure = verdict(Model(), [a, b, dear], {a: "yes", b: "no", dear: "yes"}, 2).confidence
    assert trace["decision"] == "escalated"
    assert trace["confidence"] == pytest.approx(sure, abs=1e-6)
    assert trace["agreement"] == pytest.approx(2 / 3, abs=1e-3)
    assert float(response.headers["X-Fusiond-Confidence"]) == pytest.approx(sure, abs=1e-4)
    assert float(response.headers["X-Fusiond-Agreement"]) == pytest.approx(2 / 3, abs=1e-4)
