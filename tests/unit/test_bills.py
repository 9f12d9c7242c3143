"""When the bills of calls that were cut off are asked for, and what comes of it."""

from __future__ import annotations

from collections.abc import AsyncIterator, Container, Hashable
from contextlib import aclosing
from dataclasses import dataclass, field
from decimal import Decimal
from pathlib import Path
from typing import cast

import pytest

from fusiond.bills import AT_ONCE, FIRST_SECONDS, Bills
from fusiond.errors import Garbled, MemberError, Rejected
from fusiond.revision import Revision
from fusiond.store.ledger import Ledger, PaidCall

USD = Decimal
DAY = 86_400.0


@dataclass
class Gateway:
    """A provider that tells these bills. `asked`: for which, in order."""

    bills: dict[str, Decimal | Exception | None] = field(default_factory=dict)
    asked: list[str] = field(default_factory=list)

    async def bill(self, generation: str) -> Decimal | None:
        """What is said of it."""
        self.asked.append(generation)
        told = self.bills.get(generation)
        if isinstance(told, Exception):
            raise told
        return told


@dataclass
class Reaching:
    """A revision with these providers, of which some may be asked."""

    providers: dict[str, object]
    may: list[str] | None = None

    def asked(self) -> list[str]:
        """Those that may."""
        return [*self.providers] if self.may is None else self.may

    def server(self, name: str) -> Hashable:
        """As the search for lost ones knows it."""
        return name, "server"

    def provider(self, name: str) -> object:
        """Its client."""
        return self.providers[name]


@dataclass
class Desk:
    """A ledger, who asks for its bills, and the providers."""

    ledger: Ledger
    gateway: Gateway = field(default_factory=Gateway)
    other: object = field(default_factory=object)  # tells no bills
    may: list[str] | None = None

    def __post_init__(self) -> None:
        """Nothing asked for yet."""
        self.bills = Bills(self.ledger)

    def cut_off(self, *generations: str, provider: str = "openrouter") -> None:
        """Calls of a dollar each at the worst."""
        paid = PaidCall(request="r1", fusion="fusion/default", member="sonnet", provider=provider)
        for generation in generations:
            self.ledger.assume(self.ledger.reserve(paid, USD(1)), generation)

    async def ask(self, now: float, lost: Container[Hashable] = ()) -> list[str]:
        """For which bills is asked at that time."""
        self.gateway.asked.clear()
        revision = Reaching({"openrouter": self.gateway, "other": self.other}, self.may)
        await self.bills.ask(cast("Revision", revision), lost, now)
        return list(self.gateway.asked)


@pytest.fixture
async def desk(tmp_path: Path) -> AsyncIterator[Desk]:
    """One with nothing to do."""
    async with aclosing(Ledger(tmp_path, lambda: 0.0)) as ledger:
        await ledger.open()
        yield Desk(ledger)


async def test_a_bill_is_asked_for_until_it_is_told(desk: Desk) -> None:
    """First after a moment, then after pauses that double; what is told takes the place of the worst, and is not asked for again."""
    desk.cut_off("gen-1")
    asked = [now for now in range(100) if await desk.ask(float(now))]
    assert asked == [2, 6, 14, 30, 62]
    assert desk.ledger.today() == 1
    desk.gateway.bills["gen-1"] = USD("0.25")
    assert await desk.ask(126.0) == ["gen-1"]
    assert desk.ledger.today() == USD("0.25")
    assert await desk.ask(10 * DAY) == []
    assert (desk.ledger.summary()).today == USD("0.25")


@pytest.mark.parametrize("told", [USD(0), USD("1.5")])
async def test_any_bill_counts(desk: Desk, told: Decimal) -> None:
    """Nothing, and more than the worst."""
    desk.gateway.bills["gen-1"] = told
    desk.cut_off("gen-1")
    await desk.ask(0.0)
    await desk.ask(FIRST_SECONDS)
    assert desk.ledger.today() == told
    assert desk.ledger.unknown == {}


@pytest.mark.parametrize("error", [Garbled("no bill"), Rejected("HTTP 404", upstream_status=404, unbilled=True)])
async def test_a_refusal_is_no_bill(desk: Desk, error: MemberError) -> None:
    """The others are asked for all the same, and it is asked for again."""
    desk.gateway.bills = {"gen-1": error, "gen-2": USD("0.25")}
    desk.cut_off("gen-1", "gen-2")
    await desk.ask(0.0)
    assert await desk.ask(2.0) == ["gen-1", "gen-2"]
    assert desk.ledger.today() == USD("1.25")
    assert await desk.ask(6.0) == ["gen-1"]


async def test_a_bill_that_cannot_be_asked_for_stops_no_other(desk: Desk, caplog: pytest.LogCaptureFixture) -> None:
    """Whatever is wrong with it: its worst case stays, and the others are told."""
    desk.cut_off("g1", "g2")
    desk.gateway.bills = {"g1": UnicodeEncodeError("utf-8", "\ud800", 0, 1, "surrogates not allowed"), "g2": USD("0.25")}
    await desk.ask(0)
    assert await desk.ask(2) == ["g1", "g2"]
    assert desk.ledger.today() == USD("1.25")
    assert "the bill of 'g1' cannot be asked for: its worst case stays counted" in caplog.text


async def test_a_bill_that_has_not_come_in_a_day_is_given_up(desk: Desk) -> None:
    """The worst stands, and it has been asked for a few times only."""
    desk.cut_off("gen-1")
    asked = [now for now in range(0, int(4 * DAY), 60) if await desk.ask(float(now))]
    assert (len(asked), asked[-1] < 2 * DAY) == (16, True)
    assert desk.ledger.unknown == {}
    assert desk.ledger.today() == 1


async def test_nobody_is_asked_where_there_is_no_way(desk: Desk) -> None:
    """A provider that is lost, may not be asked, is gone from the configuration or tells no bills; with a way again it is asked at once."""
    desk.cut_off("gen-1")
    desk.cut_off("gen-2", provider="removed")
    desk.cut_off("gen-3", provider="other")
    for now in range(100):
        assert await desk.ask(float(now), {("openrouter", "server")}) == []
    desk.may = ["other"]
    assert await desk.ask(100.0) == []
    desk.may = None
    assert await desk.ask(101.0) == ["gen-1"]
    assert await desk.ask(104.0) == []
    assert await desk.ask(105.0) == ["gen-1"]


async def test_a_few_at_once(desk: Desk) -> None:
    """The others are next, and those of a lost provider take nobody's place."""
    desk.cut_off(*(f"lost-{number}" for number in range(AT_ONCE)), provider="removed")
    desk.cut_off(*(f"gen-{number}" for number in range(AT_ONCE + 3)))
    await desk.ask(0.0)
    assert await desk.ask(2.0) == [f"gen-{number}" for number in range(AT_ONCE)]
    assert await desk.ask(3.0) == [f"gen-{number}" for number in range(AT_ONCE, AT_ONCE + 3)]
