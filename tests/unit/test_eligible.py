"""Who may be asked under a request's terms, and the terms that configuration, fusion and request together make."""

from __future__ import annotations

from dataclasses import replace
from decimal import Decimal
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from fusiond.catalog import UNPAID, Fusion, Member
from fusiond.chat import Format, ImagePart, Limit, Message, Request, Sampling, TextPart, Tool
from fusiond.config.tree import BudgetConfig, FusionConfig, Privacy
from fusiond.eligible import Terms, sorted_out, terms, text_bytes
from fusiond.policy.bound import most_tokens
from fusiond.policy.budget import Caps, Spent
from fusiond.policy.privacy import strictest
from fusiond.situation import Out, Situation
from fusiond.tariff import Tariff
from tests.asking import member, question

LEVELS: tuple[Privacy, ...] = ("any", "lan", "local")
IMAGE = Message(role="user", parts=(ImagePart(url="https://example.org/a.png"),))
DEAR = Tariff.per_million(Decimal(10), Decimal(100))
NO_CAPS = BudgetConfig()


def made(request: Request | None = None, fusion: dict[str, Any] | None = None, **facts: Any) -> Terms:
    """The terms of a request to a fusion like *fusion*, in a situation that is special by *facts*."""
    recipe = Fusion(name="default", config=FusionConfig(**(fusion or {})), panel=(), judge=None, writer=None)
    return terms(request or question(), recipe, Situation(now=0.0, **facts))


def paid(**facts: Any) -> Member:
    """A remote member with a price."""
    return member(**{"place": "remote", "tariff": DEAR, **facts})


def why(made: Terms, asked: Member) -> str | None:
    """Why the member is left out, word and sentence."""
    unfit = made.unfit(asked)
    return str(unfit) if unfit else None


def limits(*wishes: tuple[str, Privacy | None, Decimal | None]) -> Request:
    """A request with these limits."""
    return question().limited(*(Limit(name=name, privacy=privacy, max_cost_usd=cost) for name, privacy, cost in wishes))


@pytest.mark.parametrize("default", LEVELS)
@pytest.mark.parametrize("own", [None, *LEVELS])
@pytest.mark.parametrize("header", [None, *LEVELS])
@pytest.mark.parametrize("body", [None, *LEVELS])
def test_the_strictest_holds(default: Privacy, own: Privacy | None, header: Privacy | None, body: Privacy | None) -> None:
    """Of the configuration, the fusion and each limit of the request; whatever would be looser than that is named."""
    wishes: dict[str, Privacy | None] = {"header": header, "body": body}
    found = made(limits(*((name, wish, None) for name, wish in wishes.items() if wish)), {"privacy": own}, privacy=default)
    assert found.privacy == strictest(default, own, header, body)
    assert found.ignored == tuple(name for name, wish in wishes.items() if wish and LEVELS.index(wish) < LEVELS.index(found.privacy))


def test_what_must_not_leave_stands_over_the_clients_word() -> None:
    """The guard's limit is one like the others, and it is the client's that is named."""
    found = made(limits(("X-Fusiond-Privacy", "lan", None), ("privacy.never_remote", "local", None)))
    assert (found.privacy, found.ignored) == ("local", ("X-Fusiond-Privacy",))


AMOUNTS = st.none() | st.decimals(0, 5, places=2)


@given(AMOUNTS, AMOUNTS, AMOUNTS, AMOUNTS)
def test_the_least_amount_holds(everybody: Decimal | None, own: Decimal | None, header: Decimal | None, body: Decimal | None) -> None:
    """Of the budget, the fusion and each limit; dearer ones are named; the caps of the day and the month are the budget's."""
    wishes = {"header": header, "body": body}
    budget = BudgetConfig(per_request_usd=everybody, per_day_usd=Decimal(7), per_month_usd=Decimal(9))
    found = made(limits(*((name, None, wish) for name, wish in wishes.items() if wish is not None)), {"max_cost_usd": own}, budget=budget)
    least = min((amount for amount in (everybody, own, header, body) if amount is not None), default=None)
    assert found.caps == Caps(request=least, day=Decimal(7), month=Decimal(9))
    assert found.ignored == tuple(name for name, wish in wishes.items() if wish is not None and least is not None and wish > least)


def test_without_a_budget_there_are_no_caps() -> None:
    """Whatever the fusion and the client would pay."""
    assert made(limits(("body", None, Decimal(1))), {"max_cost_usd": Decimal(2)}).caps is None


@pytest.mark.parametrize(
    ("privacy", "place", "expected"),
    [
        ("any", "remote", None),
        ("any", "lan", None),
        ("lan", "lan", None),
        ("lan", "remote", "privacy: is remote, and this request is lan (privacy.default)"),
        ("local", "lan", "privacy: is lan, and this request is local (privacy.default)"),
        ("local", "remote", "privacy: is remote, and this request is local (privacy.default)"),
        ("local", "local", None),
    ],
)
def test_a_place_that_the_request_may_not_reach(privacy: Privacy, place: str, expected: str | None) -> None:
    """A word for counters, and a sentence."""
    free = Tariff.per_million(Decimal(0), Decimal(0))
    assert why(made(privacy=privacy), member(place=place, tariff=free)) == expected


def test_the_first_reason_is_told() -> None:
    """What the request may not, before what the member cannot; nothing of a member's health or price where privacy forbids it."""
    asked = paid(unavailable="no key", vision=False, context=1)
    request = question("word " * 100)
    request = replace(request, messages=(*request.messages, IMAGE))
    out = {"a": Out(reason="cooling", why="failed 3 times in a row", until=5.0)}
    assert why(made(request, privacy="local", out=out), asked) == "privacy: is remote, and this request is local (privacy.default)"
    assert why(made(request, out=out), asked) == "unavailable: no key"
    asked = replace(asked, unavailable=None)
    unfit = made(request, out=out).unfit(asked)
    assert unfit
    assert (str(unfit), unfit.until) == ("cooling: failed 3 times in a row", 5.0)
    assert why(made(request), asked) == f"budget: {UNPAID}"
    asked = replace(asked, tariff=Tariff.per_million(Decimal(0), Decimal(0)))
    assert why(made(request), asked) == "modality: cannot see images"
    assert why(made(request), replace(asked, vision=True)) == "context: its context of 1 tokens is too small for the request"
    assert why(made(request), replace(asked, vision=True, context=None)) is None


def test_who_costs_money() -> None:
    """A price, or an unknown one of who is remote; a local member may have a price of its own."""
    free = Tariff.per_million(Decimal(0), Decimal(0))
    assert why(made(), member(place="local")) is None
    assert why(made(), member(place="lan", tariff=free)) is None
    assert why(made(), paid(tariff=free)) is None
    for asked in (paid(), paid(tariff=None), member(tariff=DEAR)):
        assert why(made(), asked) == f"budget: {UNPAID}"
        assert (why(made(budget=NO_CAPS), asked) is None) == (asked.tariff is not None)


def test_a_price_that_nobody_knows() -> None:
    """Could not be set aside: the member cannot be asked, whatever the budget."""
    assert why(made(budget=NO_CAPS), paid(tariff=None)) == "unavailable: its price is not known, and its member's table does not say it (price)"


def test_a_ledger_that_cannot_be_written() -> None:
    """Ends all that is paid, and nothing else."""
    broken = made(budget=NO_CAPS, unpayable="the disk is full")
    assert why(broken, paid()) == "unavailable: what it costs cannot be recorded: the disk is full"
    assert why(broken, member()) is None


def test_what_is_too_dear() -> None:
    """A cap that the worst case does not fit into, with what is spent already; the client's own length counts as it is."""
    asked = question(sampling=Sampling(max_tokens=1000))
    worst = DEAR.worst(most_tokens(asked).tokens, 1000)
    less = worst - Decimal("0.000001")
    for enough, short in (
        (BudgetConfig(per_request_usd=worst), BudgetConfig(per_request_usd=less)),
        (BudgetConfig(per_day_usd=worst), BudgetConfig(per_day_usd=less)),
        (BudgetConfig(per_month_usd=worst), BudgetConfig(per_month_usd=less)),
    ):
        assert why(made(asked, budget=enough), paid()) is None
        told = why(made(asked, budget=short), paid())
        assert told
        assert told.startswith("budget: could cost $")
    cent = Decimal("0.01")
    day = BudgetConfig(per_day_usd=worst + cent)
    assert why(made(asked, budget=day, spent=Spent(day=cent)), paid()) is None
    assert why(made(asked, budget=day, spent=Spent(day=cent * 2)), paid())
    assert why(made(asked, {"max_cost_usd": cent}, budget=NO_CAPS), paid())
    assert why(made(asked.limited(Limit(name="body", max_cost_usd=cent)), budget=NO_CAPS), paid())


def test_a_short_answer_need_not_be_long() -> None:
    """Without the client's length 256 tokens must be paid for, or all that the model can say."""
    prompt = most_tokens(question()).tokens
    budget = BudgetConfig(per_request_usd=DEAR.worst(prompt, 100))
    assert why(made(budget=budget), paid()) is not None
    assert why(made(budget=budget), paid(longest=100)) is None


def test_what_it_could_cost_is_not_known() -> None:
    """An image that is not there to be measured, sent to who is paid; who is free sees it."""
    request = question(messages=(IMAGE,))
    told = why(made(request, budget=NO_CAPS), paid())
    assert told
    assert told.startswith("budget: what it could cost is not known: ")
    assert why(made(request), member()) is None


def test_a_judge_reads_the_request_as_text() -> None:
    """No image, no tool, no long answer of the client's stands in its way; what it must read does."""
    request = question(
        "word " * 100,
        sampling=Sampling(max_tokens=10**9),
        tools=(Tool(name="now", description="x" * 1000),),
        format=Format(kind="json_schema", schema={"x": "y" * 1000}),
    )
    request = replace(request, messages=(*request.messages, IMAGE, *request.messages))
    cap = DEAR.worst(most_tokens(question("word " * 200)).tokens, 1)
    judging = made(request, budget=BudgetConfig(per_request_usd=cap)).judging()
    assert why(judging, paid(vision=False, context=125)) is None
    assert why(judging, paid(context=124)) == "context: its context of 124 tokens is too small for the request"
    less = BudgetConfig(per_request_usd=cap - Decimal("0.000001"))
    told = why(made(request, budget=less).judging(), paid())
    assert told
    assert told.startswith("budget: could cost")
    assert why(made(request, privacy="lan", budget=NO_CAPS).judging(), paid()) == "privacy: is remote, and this request is lan (privacy.default)"


def test_sorted_out() -> None:
    """Both sides in the order of the panel, each member once."""
    a, b, c = member(name="a"), paid(name="b"), member(name="c")
    able, skipped = sorted_out(made(), [c, b, a, b, c])
    assert list(able) == ["c", "a"]
    assert [skip.member.name for skip in skipped] == ["b"]


def test_bytes_of_text() -> None:
    """Of all messages, as UTF-8, half characters included; images have none."""
    message = Message(role="user", parts=(TextPart(text="é"), *IMAGE.parts, TextPart(text="\ud83d")))
    assert text_bytes(question(messages=(message, message))) == 10
