"""Money, against a provider that bills to the last digit: no cap is passed, nothing is under-reported, and whoever may not be paid is not asked."""

from __future__ import annotations

import asyncio
import sqlite3
from collections.abc import AsyncIterator, Callable, Mapping
from contextlib import asynccontextmanager
from dataclasses import dataclass
from decimal import Decimal
from functools import partial
from pathlib import Path
from typing import Any

import aiohttp
import pytest

import fusiond.daemon
from fusiond import bills
from fusiond.store import database
from tests.faults.conftest import Running, running
from tests.paying import DEAR, FREE, FUSION, HASTY, LISTINGS, MINI, NO, QUESTION, YES, Told, configuration, told
from tests.upstreams.openai import OpenAIUpstream
from tests.upstreams.openrouter import Listing, OpenRouterUpstream
from tests.upstreams.script import Close, ErrorChunk, Finish, Gate, Hang, NoUsage, Raw, Say, Script, Scripts, Status, Step, Usage, Wait

both_ways = pytest.mark.parametrize("stream", [False, True], ids=["whole", "streamed"])


async def until(true: Callable[[], bool]) -> None:
    """Return once it is. Fails after some seconds."""
    async with asyncio.timeout(10):
        while not true():  # noqa: ASYNC110  # nobody tells
            await asyncio.sleep(0)


@dataclass(kw_only=True)
class Shop:
    """A daemon with paid members and local ones, and both their servers."""

    daemon: Running
    router: OpenRouterUpstream
    lab: OpenAIUpstream
    path: Path

    async def ask(self, model: str, *, stream: bool = False, headers: Mapping[str, str] | None = None, **fields: Any) -> Told:
        """A question that can be voted on."""
        body = {"model": model, "messages": [{"role": "user", "content": QUESTION}], "stream": stream, "stream_options": {"include_usage": True}}
        async with self.daemon.client.post(
            self.daemon.url + "/v1/chat/completions", json={**body, **fields}, headers={"X-Fusiond-Trace": "1", **(headers or {})}
        ) as response:
            said = b""
            try:
                async for data in response.content.iter_any():
                    said += data
            except aiohttp.ClientPayloadError:
                assert b'"error"' in said
            return told(response, said.decode())

    async def priced(self) -> None:
        """Wait for the list of prices."""
        await until(lambda: self.daemon.daemon._revisions.current.catalog.members["mini"].tariff is not None)

    async def ledger(self) -> dict[str, Any]:
        """What the daemon says was spent."""
        async with self.daemon.client.get(self.daemon.url + "/fusiond/ledger") as response:
            assert response.status == 200
            return dict(await response.json())

    async def counted(self) -> Decimal:
        """Spent and set aside, in USD."""
        ledger = await self.ledger()
        return Decimal(ledger["today_usd"]) + Decimal(ledger["reserved_usd"])

    async def settled(self) -> Decimal:
        """Spent, once no request is under way."""
        await self.daemon.at_rest()
        ledger = await self.ledger()
        assert ledger["reserved_usd"] == "0"
        return Decimal(ledger["today_usd"])


@asynccontextmanager
async def shop(
    directory: Path, paid: Scripts, *, budget: str | None = "per_day_usd = 1", fusions: str = "", members: str = "", untold: int = 0
) -> AsyncIterator[Shop]:
    """Locals `a`, `b` (yes) and `c` (no), and whoever has a script in *paid*."""
    async with (
        OpenRouterUpstream(paid, listings=LISTINGS, untold=untold) as router,
        OpenAIUpstream({"a": YES, "b": YES, "c": NO}) as lab,
    ):
        async with running(configuration(router, lab, budget=budget, fusions=fusions, members=members), directory) as daemon:
            made = Shop(daemon=daemon, router=router, lab=lab, path=directory / "config.toml")
            await made.priced()
            yield made


@pytest.fixture(autouse=True)
def key(monkeypatch: pytest.MonkeyPatch) -> None:
    """The key that the provider wants."""
    monkeypatch.setenv("OPENROUTER_API_KEY", "sk-made-up")


@both_ways
async def test_without_a_budget_nobody_is_paid(tmp_path: Path, stream: bool) -> None:
    """By name: 402; in a fusion: left out, and said; what costs nothing is asked all the same."""
    async with shop(tmp_path, {MINI: YES, FREE: YES}, budget=None) as made:
        refused = await made.ask("mini", stream=stream)
        assert (refused.status, refused.error["code"]) == (402, "budget_exceeded")
        without = await made.ask("fusion", stream=stream)
        assert (without.status, without.text, without.usage["cost"]) == (200, "Yes.", 0)
        assert without.headers["X-Fusiond-Degraded"] == "budget"
        free = await made.ask("free", stream=stream)
        assert (free.text, free.usage["cost"]) == ("Yes.", 0)
        assert [chat.model for chat in made.router.chats] == [FREE]


async def test_a_disk_that_takes_nothing_more(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Nobody is paid, and what was spent can still be asked for, with what is wrong."""
    async with shop(tmp_path, {MINI: YES}) as made:
        await made.ask("mini")
        before = await made.ledger()
        assert before["fault"] is None
        with monkeypatch.context() as full:
            full.setattr(database, "commit", _refused)
            assert (await made.ask("mini")).status == 503
            after = await made.ledger()
            assert "disk is full" in after["fault"]
            assert {**after, "fault": None} == before


def _refused(*_: object) -> None:
    raise sqlite3.OperationalError("database or disk is full")


@both_ways
async def test_a_bill_to_the_last_digit(tmp_path: Path, stream: bool) -> None:
    """In the usage, the header, and the ledger under every name; the most that may be charged is sent along."""
    async with shop(tmp_path, {MINI: YES}) as made:
        answer = await made.ask("mini", stream=stream)
        assert (answer.status, answer.text) == (200, "Yes.")
        bill = LISTINGS[MINI].cost(len(QUESTION) + 5, 4)
        assert made.router.spent == bill
        if not stream:
            assert answer.usage["cost"] == answer.trace["cost_usd"] == float(bill)
            assert Decimal(answer.headers["X-Fusiond-Cost-Usd"]) == bill
        assert (await made.ask("fusion", stream=stream)).usage["cost"] == float(bill)
        assert await made.settled() == 2 * bill
        ledger = await made.ledger()
        assert ledger["by_member"] == {"mini": f"{2 * bill:f}"}
        assert ledger["by_fusion"] == {"mini": f"{bill:f}", "fusion/default": f"{bill:f}"}
        assert made.router.chats[0].body["provider"]["max_price"] == {"prompt": 0.123456789, "completion": 2.000000007, "request": 0, "image": 0}


async def test_the_longest_answer_that_is_paid_for(tmp_path: Path) -> None:
    """A tenth of what is left of the day, or the model's own limit, or the client's; that ours cut an answer short is said."""
    price = Decimal(LISTINGS[MINI].completion)
    cut_short = Script(Say("Yes."), Finish("length"))
    async with shop(tmp_path, {MINI: cut_short, FREE: cut_short}, budget="per_day_usd = 0.2") as made:
        first, second = await made.ask("mini"), await made.ask("fusion")
        assert first.trace["degraded"] == second.trace["degraded"] == ["output_capped"]
        own = await made.ask("mini", max_tokens=300)
        free = await made.ask("free")
        assert own.trace["degraded"] == free.trace["degraded"] == []
        one, two, three, four = (chat.body.get("max_tokens") for chat in made.router.chats)
        assert Decimal("0.0195") < one * price < Decimal("0.02")
        assert 0 < one - two < 10
        assert (three, four) == (300, None)


@both_ways
@pytest.mark.parametrize(
    ("budget", "fusion", "headers", "fields"),
    [
        pytest.param("per_request_usd = 0.0005", "", {}, {}, id="request"),
        pytest.param("per_day_usd = 0.005", "", {}, {}, id="a tenth of the day"),
        pytest.param("per_day_usd = 0.0005", "", {}, {"max_tokens": 1000}, id="day"),
        pytest.param("per_month_usd = 0.0005", "", {}, {}, id="month"),
        pytest.param("per_day_usd = 1", "max_cost_usd = 0.0005", {}, {}, id="fusion"),
        pytest.param("per_day_usd = 1", "", {"X-Fusiond-Max-Cost": "0.0005"}, {}, id="header"),
        pytest.param("per_day_usd = 1", "", {}, {"fusion": {"max_cost_usd": 0.0005}}, id="body"),
        pytest.param("per_day_usd = 1", "", {"X-Fusiond-Max-Cost": "0"}, {}, id="nothing"),
    ],
)
async def test_every_cap(tmp_path: Path, budget: str, fusion: str, headers: dict[str, str], fields: dict[str, Any], stream: bool) -> None:
    """What could cost more is refused by name and left out of a fusion, or fails it where the budget says so; nothing is sent."""
    fusions = f'{FUSION}{fusion}\n[fusions.paid]\nstrategy = "single"\npanel = ["mini"]\n{fusion}\n'
    async with shop(tmp_path, {MINI: YES}, budget=budget, fusions=fusions) as made:
        for model in ("fusion/paid",) if fusion else ("mini", "fusion/paid"):
            refused = await made.ask(model, stream=stream, headers=headers, **fields)
            assert (refused.status, refused.error["code"]) == (402, "budget_exceeded")
        without = await made.ask("fusion", stream=stream, headers=headers, **fields)
        assert (without.status, without.text, without.trace["degraded"]) == (200, "Yes.", ["budget"])
        await reconfigured(made, budget=f'{budget}\nwhen_exhausted = "reject"', fusions=fusions)
        rejected = await made.ask("fusion", stream=stream, headers=headers, **fields)
        assert (rejected.status, rejected.error["code"]) == (402, "budget_exceeded")
        assert made.router.chats == []


async def reconfigured(made: Shop, **changes: Any) -> None:
    """Another configuration, in force."""
    made.path.write_text(configuration(made.router, made.lab, **changes), encoding="utf-8")
    async with made.daemon.client.post(made.daemon.url + "/fusiond/reload") as response:
        assert (await response.json())["error"] is None


async def test_a_changed_budget_holds_for_the_next_request(tmp_path: Path) -> None:
    """A cap below what is spent, no budget at all, and a larger one."""
    async with shop(tmp_path, {MINI: YES}) as made:
        assert (await made.ask("mini", max_tokens=300)).status == 200
        for budget, status in (("per_day_usd = 0.000001", 402), (None, 402), ("per_day_usd = 0.1", 200)):
            await reconfigured(made, budget=budget)
            assert (await made.ask("mini", max_tokens=300)).status == status
        assert len(made.router.chats) == 2


@both_ways
async def test_many_at_once_never_pass_the_cap(tmp_path: Path, stream: bool) -> None:
    """Two hundred at once, of whom the day pays for some: exactly so many are asked, and at every moment all of it is counted."""
    gate, cap = asyncio.Event(), Decimal("0.02")
    async with shop(tmp_path, {MINI: Script(Say("Y"), Gate(gate), Say("es."), Finish())}, budget=f"per_day_usd = {cap}") as made:
        asked = [asyncio.create_task(made.ask("mini", stream=stream, max_tokens=300)) for _ in range(200)]
        await made.router.asked()
        ledger = made.daemon.daemon._keep.ledger
        paid = int(cap * len(ledger._open) / ledger.reserved())
        while any(not task.done() for task in asked):
            assert made.router.spent <= await made.counted() <= cap
            if sum(task.done() for task in asked) == 200 - paid:
                gate.set()
        answers = [await task for task in asked]
        assert 5 < paid < 50
        assert sorted(answer.status for answer in answers) == [200] * paid + [402] * (200 - paid)
        assert await made.settled() == made.router.spent


async def test_whatever_becomes_of_many(tmp_path: Path) -> None:
    """Answers, cuts and clients that leave, on two paid members each: at every moment all of it is counted, within the cap."""
    well, cut = (Script(Say("Y"), Wait(0.05), end) for end in (Finish(), Close()))
    fusions = FUSION.replace('"mini"', '"mini", "dear"')
    async with shop(tmp_path, {MINI: [well, cut] * 100, DEAR: well}, fusions=fusions, budget="per_day_usd = 0.5", untold=99) as made:
        asked = [asyncio.create_task(made.ask("fusion", stream=number % 2 == 0)) for number in range(100)]
        await made.router.asked(10)
        for task in asked[::7]:
            task.cancel()
        while any(not task.done() for task in asked):
            assert made.router.spent <= await made.counted() <= Decimal("0.5")
        assert {task.result().status for task in asked if not task.cancelled()} == {200}
        assert Decimal("0.5") > await made.settled() >= made.router.spent > 0


@both_ways
async def test_a_client_that_leaves_in_the_middle(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, stream: bool) -> None:
    """Its call counts in full until the provider tells, then what it was billed: here as much as a provider can that does not stop."""
    monkeypatch.setattr(bills, "FIRST_SECONDS", 0.05)
    monkeypatch.setattr(bills, "_Next", partial(bills._Next, pause=0.05))
    monkeypatch.setattr(fusiond.daemon, "PAUSE_SECONDS", 0.1)
    async with shop(tmp_path, {MINI: Script(Say("Yes"), Hang())}, untold=2) as made:
        asked = asyncio.create_task(made.ask("mini", stream=stream, max_tokens=300))
        await made.router.asked()
        reserved = await made.counted()
        asked.cancel()
        await made.router.left()
        assert await made.settled() == reserved > made.router.spent > 0
        await made.router.until(lambda: made.router.inquiries["gen-1"] > 2)
        await until(lambda: made.daemon.daemon._keep.ledger.today() == made.router.spent)
        assert await made.settled() == made.router.spent


BEFORE: dict[str, list[Step]] = {name: [Status(int(name))] for name in ("402", "429", "500")}
AFTER: dict[str, list[Step]] = {
    "an error": [ErrorChunk("boom")],
    "an error of length": [ErrorChunk("This endpoint's maximum context length is 8192 tokens", 400)],
    "a cut": [Close()],
    "no end": [],
    "a stall": [Hang()],
}


@both_ways
@pytest.mark.parametrize("fault", BEFORE)
async def test_an_error_before_the_answer_costs_nothing(tmp_path: Path, fault: str, stream: bool) -> None:
    """Whatever was set aside is there again; the client may ask once more."""
    async with shop(tmp_path, {MINI: Script(*BEFORE[fault])}) as made:
        failed = await made.ask("mini", stream=stream)
        assert failed.status >= 400
        assert "x-should-retry" not in failed.headers
        assert await made.settled() == made.router.spent == 0


@both_ways
@pytest.mark.parametrize("fault", AFTER)
async def test_an_error_in_the_answer_costs_the_worst(tmp_path: Path, fault: str, stream: bool) -> None:
    """Nobody knows what was billed: all that was set aside counts, and the client is told not to ask again."""
    async with shop(tmp_path, {MINI: Script(Say("Yes"), Wait(0.05), *AFTER[fault])}, members=HASTY, untold=99) as made:
        failed = await made.ask("hasty", stream=stream, max_tokens=300)
        assert failed.error
        if not stream:
            assert (failed.status, failed.headers["x-should-retry"]) == (failed.status, "false")
        await made.router.idle()
        assert await made.settled() >= made.router.spent > 0


async def test_who_may_not_be_asked_again(tmp_path: Path) -> None:
    """A cascade whose second call the request can no longer pay for: the first one's money is spent, and the client is told so."""
    fusions = '[fusions.default]\nstrategy = "cascade"\npanel = ["a", "c"]\nescalate = ["mini", "dear"]\nthrift = 0\n'
    budget = 'per_request_usd = 0.0265\nwhen_exhausted = "reject"'
    fails = Script(Say("Yes"), Wait(0.05), ErrorChunk("boom"))
    async with shop(tmp_path, {MINI: fails, DEAR: YES}, budget=budget, fusions=fusions) as made:
        rejected = await made.ask("fusion", max_tokens=300)
        assert (rejected.status, rejected.headers["x-should-retry"]) == (402, "false")
        assert [chat.model for chat in made.router.chats] == [MINI]


async def test_more_than_the_list_says(tmp_path: Path) -> None:
    """A bill beyond all counts as it is, also of what should be free; a price that has gone up is not paid: the provider is told the most."""
    dear = {MINI: Script(Say("Yes."), Usage(1, 1, 5.0), Finish()), FREE: Script(Say("Yes."), Usage(1, 1, 0.5), Finish()), DEAR: YES}
    async with shop(tmp_path, dear, budget="per_day_usd = 5") as made:
        made.router.charged[DEAR] = Listing(prompt="0.00001", completion="0.000050001")
        failed = await made.ask("dear")
        assert (failed.status, "No endpoints found" in failed.error["message"]) == (502, True)
        assert await made.settled() == 0
        assert (await made.ask("free")).usage["cost"] == 0.5
        assert (await made.ask("mini")).usage["cost"] == 5.0
        assert await made.settled() == Decimal("5.5")
        assert (await made.ask("mini")).status == 402


@pytest.mark.parametrize("cost", ["-5", "NaN", "1e400", "null", "[]", '"much"'])
async def test_a_bill_that_is_none(tmp_path: Path, cost: str) -> None:
    """The answer is as good as any; what it cost is not known, and the worst is taken, or the list's price where the tokens were counted."""
    usage = f'data: {{"id": "gen-1", "choices": [], "usage": {{"prompt_tokens": 60, "completion_tokens": 4, "cost": {cost}}}}}\n\n'
    async with shop(tmp_path, {MINI: Script(Say("Yes."), Raw(usage), NoUsage(), Finish())}, untold=99) as made:
        assert (await made.ask("mini", max_tokens=300)).text == "Yes."
        assert await made.settled() >= LISTINGS[MINI].cost(60, 4) > 0


@both_ways
async def test_what_cannot_be_priced(tmp_path: Path, stream: bool) -> None:
    """An image behind a link, and a model without a price: not asked, with the reason; a price of the member's own is one."""
    image = [{"type": "text", "text": QUESTION}, {"type": "image_url", "image_url": {"url": "https://example.org/a.png"}}]
    members = '[members.own]\nprovider = "router"\nmodel = "x/unknown"\nprice = { input = 1, output = 2 }\n'
    async with shop(tmp_path, {MINI: YES, "x/unknown": YES}, members=members) as made:
        refused = await made.ask("mini", stream=stream, messages=[{"role": "user", "content": image}])
        assert (refused.status, "image behind a link" in refused.error["message"]) == (402, True)
        without = await made.ask("fusion", stream=stream, messages=[{"role": "user", "content": image}])
        assert (without.text, without.trace["degraded"]) == ("Yes.", ["budget"])
        unknown = await made.ask("unknown", stream=stream)
        assert (unknown.status, "price is not known" in unknown.error["message"]) == (503, True)
        assert made.router.chats == []
        made.router.charged["x/unknown"] = Listing(prompt="0.000001", completion="0.000002")
        assert (await made.ask("own", stream=stream)).text == "Yes."
        assert made.router.chats[0].body["provider"]["max_price"] == {"prompt": 1, "completion": 2, "request": 0, "image": 0}
        assert await made.settled() == made.router.spent > 0


@both_ways
async def test_a_cascade(tmp_path: Path, stream: bool) -> None:
    """Locals that agree cost nothing, and save what the strongest would have cost; where they do not, it is asked, and nothing is saved."""
    cascade = 'strategy = "cascade"\nescalate = ["mini"]\n'
    fusions = f'[fusions.default]\n{cascade}panel = ["a", "b"]\naccept = 0.6\n[fusions.split]\n{cascade}panel = ["a", "c"]\nthrift = 0\n'
    async with shop(tmp_path, {MINI: NO}, fusions=fusions) as made:
        agreed = await made.ask("fusion", stream=stream)
        assert (agreed.text, agreed.usage["cost"], made.router.chats) == ("Yes.", 0, [])
        assert agreed.trace["saved_usd"] > 0
        split = await made.ask("fusion/split", stream=stream)
        assert (split.text, split.trace["decision"], split.usage["cost"]) == ("No.", "escalated", float(made.router.spent))
        assert await made.settled() == made.router.spent > 0
        ledger = await made.ledger()
        assert ledger["by_fusion"] == {"fusion/split": f"{made.router.spent:f}"}
        assert float(ledger["saved_usd"]) == pytest.approx(agreed.trace["saved_usd"] + split.trace["saved_usd"])
