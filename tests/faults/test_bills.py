"""What is told of a request's cost where it is easily told wrong: relayed, dismissed, cut off, limited by a member's own options."""

from __future__ import annotations

import asyncio
from decimal import Decimal
from pathlib import Path

import pytest

import fusiond.daemon
from fusiond import bills
from tests.faults.test_money import both_ways, key, reconfigured, shop  # noqa: F401
from tests.paying import FREE, LISTINGS, MINI, NO, QUESTION, YES
from tests.upstreams.script import Close, Finish, Hang, Raw, Say, Script, Usage, Wait


async def test_a_reload_while_a_bill_is_asked_for(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The daemon goes on, and asks the new revision's provider."""
    monkeypatch.setattr(bills, "FIRST_SECONDS", 0.05)
    monkeypatch.setattr(fusiond.daemon, "PAUSE_SECONDS", 0.05)
    async with shop(tmp_path, {MINI: Script(Say("Yes"), Hang())}) as made:
        made.router.pages["/api/v1/generation"] = Script(Hang())
        asked = [asyncio.create_task(made.ask("mini", max_tokens=300)) for _ in range(3)]
        await made.router.asked(3)
        await asyncio.sleep(0.1)
        for task in asked:
            task.cancel()
        await made.router.left(3)
        await made.router.until(lambda: any(each.path.endswith("generation") for each in made.router.requests))
        await reconfigured(made, budget="per_day_usd = 2")
        await asyncio.sleep(0.3)
        assert (await made.ask("a")).text == "Yes."


async def test_streamed_by_one_member(tmp_path: Path) -> None:
    """The usage, the trace, the record: what it cost, and that our limit cut it short."""
    async with shop(tmp_path, {MINI: Script(Say("Yes."), Finish("length"))}) as made:
        answer = await made.ask("mini", stream=True)
        await made.daemon.at_rest()
        async with made.daemon.client.get(made.daemon.url + "/fusiond/requests") as response:
            (row,) = (await response.json())["requests"]
        assert answer.usage["cost"] == answer.trace["cost_usd"] == float(made.router.spent)
        assert Decimal(row["cost_usd"]) == made.router.spent
        assert answer.trace["degraded"] == ["output_capped"]


@both_ways
@pytest.mark.parametrize("strategy", ["vote", "race"])
async def test_a_paid_member_that_is_dismissed(tmp_path: Path, strategy: str, stream: bool) -> None:
    """What it may have cost is part of what the request cost, as the ledger has it."""
    more = "quorum = 2\ngrace_seconds = 0.05\n" if strategy == "vote" else ""
    fusions = f'[fusions.default]\nstrategy = "{strategy}"\npanel = ["a", "b", "mini"]\n{more}'
    async with shop(tmp_path, {MINI: Script(Wait(0.3), Say("No"), Hang())}, fusions=fusions) as made:
        made.lab.scripts["a"] = made.lab.scripts["b"] = Script(Wait(0.1), Say("Yes."), Finish())
        answer = await made.ask("fusion", stream=stream, max_tokens=300)
        assert len(made.router.chats) == 1
        assert answer.usage["cost"] == float(await made.settled()) > 0


async def test_a_cascades_savings_are_in_the_ledger(tmp_path: Path) -> None:
    """As the trace has them."""
    fusions = '[fusions.default]\nstrategy = "cascade"\nescalate = ["mini"]\npanel = ["a", "b"]\naccept = 0.6\n'
    async with shop(tmp_path, {MINI: NO}, fusions=fusions) as made:
        answer = await made.ask("fusion")
        assert float((await made.ledger())["saved_usd"]) == pytest.approx(answer.trace["saved_usd"])


async def test_a_members_own_length(tmp_path: Path) -> None:
    """`options` say how long its answers may be: no more is asked for, or set aside."""
    members = '[members.short]\nprovider = "router"\nmodel = "x/mini"\noptions = { max_tokens = 100 }\n'
    async with shop(tmp_path, {MINI: YES}, members=members) as made:
        await made.ask("short")
        await made.ask("short", max_tokens=50)
        assert [chat.body["max_tokens"] for chat in made.router.chats] == [100, 50]


@both_ways
async def test_a_usage_before_the_end(tmp_path: Path, stream: bool) -> None:
    """A cost that is told with the first word is not the bill of a stream that is cut off."""
    early = '{"id":"gen-1","choices":[{"index":0,"delta":{"content":"Yes"}}],"usage":{"prompt_tokens":1,"completion_tokens":1,"cost":0}}'
    async with shop(tmp_path, {MINI: Script(Raw(f"data: {early}\n\n"), Wait(0.05), Close())}, untold=99) as made:
        await made.ask("mini", stream=stream, max_tokens=300)
        assert await made.settled() > LISTINGS[MINI].cost(0, 300)


@both_ways
async def test_what_is_listed_as_free_and_billed_when_it_is_cut_off(tmp_path: Path, stream: bool, monkeypatch: pytest.MonkeyPatch) -> None:
    """The provider is asked what it cost, and that counts."""
    monkeypatch.setattr(bills, "FIRST_SECONDS", 0.05)
    monkeypatch.setattr(fusiond.daemon, "PAUSE_SECONDS", 0.05)
    async with shop(tmp_path, {FREE: Script(Say("Yes"), Hang()), MINI: YES}) as made:
        asked = asyncio.create_task(made.ask("free", stream=stream, max_tokens=300))
        await made.router.asked()
        await asyncio.sleep(0.1)
        next(iter(made.router.books.values())).listing = LISTINGS[MINI]
        asked.cancel()
        await made.router.left()
        await made.router.until(lambda: any(each.path.endswith("generation") for each in made.router.requests))
        assert await made.settled() == made.router.spent > 0


async def test_amounts_in_plain_digits(tmp_path: Path) -> None:
    """Neither powers of ten nor zeros that say nothing."""
    async with shop(tmp_path, {MINI: Script(Say("Yes."), Finish(), Usage(1, 1, 1e-9)), FREE: YES}) as made:
        told = [(await made.ask(model)).headers["X-Fusiond-Cost-Usd"] for model in ("mini", "free", "a")]
        made.router.scripts[MINI] = YES
        told.append((await made.ask("mini")).headers["X-Fusiond-Cost-Usd"])
        assert told == ["0.000000001", "0", "0", f"{LISTINGS[MINI].cost(len(QUESTION) + 5, 4):f}"]
