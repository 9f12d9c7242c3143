"""What one paid call may cost: each cap in its turn, the share of each, and that no offer is ever above a cap, to the last digit."""

from __future__ import annotations

from decimal import Decimal
from fractions import Fraction

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from fusiond.errors import TooDear
from fusiond.policy.bound import Bound
from fusiond.policy.budget import LEAST_TOKENS, SHARE_OF_DAY, USUAL_TOKENS, Caps, Offer, Spent, Wish, offer
from fusiond.tariff import Override, Rates, Tariff

USD = Decimal
PLAIN = Tariff(base=Rates(prompt=USD("1e-6"), completion=USD("1e-5")))
FREE_ANSWERS = Tariff(base=Rates(prompt=USD("1e-6"), completion=USD(0)))
PICTURES = Tariff(base=Rates(prompt=USD("1e-6"), completion=USD("1e-5"), request=USD("0.001"), image=USD("0.01")))
PROMPT = Bound(tokens=1000, images=0)  # 0.001 USD of PLAIN
NOTHING = Spent()


def wish(tokens: int | None = None, limit: int | None = None, bound: Bound = PROMPT) -> Wish:
    """A prompt of a thousand tokens, unless it is another."""
    return Wish(bound=bound, tokens=tokens, limit=limit)


def refusal(tariff: Tariff, wished: Wish, caps: Caps, spent: Spent = NOTHING, *, shares: int = 1) -> str:
    """Why there is no offer."""
    with pytest.raises(TooDear) as caught:
        offer(tariff, wished, caps, spent, shares=shares)
    return caught.value.message


@pytest.mark.parametrize("tokens", [1, LEAST_TOKENS - 1, 5000])
def test_the_clients_own_limit_is_sent_as_it_is(tokens: int) -> None:
    """Few tokens too, where the client wants few; no share is taken of its money, and it has not been cut short by us."""
    amount = PLAIN.worst(1000, tokens)
    tight = Caps(request=amount, day=amount, month=amount)
    assert offer(PLAIN, wish(tokens), tight, NOTHING, shares=7) == Offer(amount=amount, max_tokens=tokens)


@pytest.mark.parametrize(
    ("caps", "spent", "named"),
    [
        (Caps(request=USD("0.01"), day=USD(1), month=USD(1)), Spent(), "$0.01 are left of the request's $0.01"),
        (Caps(request=USD(1), day=USD("0.01"), month=USD(1)), Spent(), "$0.01 are left of the day's $0.01"),
        (Caps(request=USD(1), day=USD(1), month=USD("0.01")), Spent(), "$0.01 are left of the month's $0.01"),
        (Caps(request=USD("0.02")), Spent(request=USD("0.0090001")), "$0.0109999 are left of the request's $0.02"),
        (Caps(day=USD(2)), Spent(day=USD("1.9890001")), "$0.0109999 are left of the day's $2"),
        (Caps(month=USD(30)), Spent(month=USD("29.9890001")), "$0.0109999 are left of the month's $30"),
        (Caps(day=USD(2)), Spent(day=USD("2.5")), "$0 are left of the day's $2"),
        (Caps(request=USD(0)), Spent(), "$0 are left of the request's $0"),
    ],
)
def test_each_cap_refuses_what_is_beyond_it(caps: Caps, spent: Spent, named: str) -> None:
    """The message names the cap, what is left of it and what the call could cost: 1000 tokens each way are $0.011."""
    assert refusal(PLAIN, wish(1000), caps, spent) == f"could cost $0.011, and {named}"


def test_what_is_left_to_the_last_digit_is_enough() -> None:
    """A cap may be reached, not passed."""
    amount = PLAIN.worst(1000, 1000)
    spent = Spent(request=USD("0.3"), day=USD("1.3"), month=USD("2.3"))
    caps = Caps(request=USD("0.3") + amount, day=USD("1.3") + amount, month=USD("2.3") + amount)
    assert offer(PLAIN, wish(1000), caps, spent).amount == amount
    least = USD("1e-18")
    for caps in (Caps(request=amount - least), Caps(day=amount - least), Caps(month=amount - least)):
        assert "could cost $0.011, and $0.0109999 are left" in refusal(PLAIN, wish(1000), caps)


@pytest.mark.parametrize(
    ("caps", "shares", "limit", "tokens"),
    [
        (Caps(), 9, None, USUAL_TOKENS),
        (Caps(), 9, 777, 777),
        (Caps(request=USD("0.011")), 1, None, 1000),
        (Caps(request=USD("0.033")), 3, None, 1000),
        (Caps(request=USD("0.0330299")), 3, None, 1000),
        (Caps(request=USD("0.03303")), 3, None, 1001),
        (Caps(day=USD("0.11")), 3, None, 1000),
        (Caps(month=USD("0.011")), 3, None, 1000),
        (Caps(request=USD(1), day=USD("0.11"), month=USD(1)), 1, None, 1000),
        (Caps(request=USD("0.011"), day=USD("0.11"), month=USD("0.011")), 1, 1000, 1000),
        (Caps(request=USD("0.011")), 1, 999, 999),
        (Caps(request=USD("0.00356")), 1, None, LEAST_TOKENS),
        (Caps(request=USD("0.0011")), 1, 10, 10),
    ],
)
def test_without_a_limit_the_answer_is_as_long_as_the_money_lasts(caps: Caps, shares: int, limit: int | None, tokens: int) -> None:
    """The request's cap is divided between its calls, of the day a tenth is taken, the month gives what is left; the model's own limit ends it."""
    offered = offer(PLAIN, wish(limit=limit), caps, NOTHING, shares=shares)
    assert offered == Offer(amount=PLAIN.worst(1000, tokens), max_tokens=tokens, capped=limit is None or tokens < limit)


def test_what_is_gone_already_shortens_the_answer() -> None:
    """Shares are taken of what is left."""
    caps = Caps(request=USD("0.1"), day=USD(2))
    assert offer(PLAIN, wish(), caps, Spent(request=USD("0.078")), shares=2).max_tokens == 1000
    assert offer(PLAIN, wish(), caps, Spent(day=USD("1.89")), shares=2).max_tokens == 1000


@pytest.mark.parametrize(
    ("caps", "message"),
    [
        (Caps(request=USD("0.003559")), "could cost $0.00356, and $0.003559 are left of the request's $0.003559"),
        (Caps(request=USD(0)), "could cost $0.00356, and $0 are left of the request's $0"),
        (
            Caps(request=USD("0.007118")),
            "could say 255 tokens for $0.003559, its share of what is left of the request's $0.007118, and fewer than 256 are not worth asking for",
        ),
        (
            Caps(request=USD(1), day=USD("0.02")),
            "could say 100 tokens for $0.002, its share of what is left of the day's $0.02, and fewer than 256 are not worth asking for",
        ),
        (
            Caps(day=USD("0.005")),
            "could say 0 tokens for $0.0005, its share of what is left of the day's $0.005, and fewer than 256 are not worth asking for",
        ),
    ],
)
def test_an_answer_too_short_to_be_worth_it_is_not_asked_for(caps: Caps, message: str) -> None:
    """A cap that is below even the shortest is named; else the share that is."""
    assert refusal(PLAIN, wish(), caps, shares=2) == message


def test_a_share_that_is_too_small_does_not_hide_a_cap_that_is_used_up() -> None:
    """The one that no waiting for other calls would change is named."""
    assert "of the day's $2" in refusal(PLAIN, wish(), Caps(request=USD("0.007"), day=USD(2)), Spent(day=USD(2)), shares=2)


def test_answers_that_cost_nothing_are_as_long_as_the_model_makes_them() -> None:
    """Only the prompt must be paid."""
    paid = Caps(request=USD("0.001"))
    assert offer(FREE_ANSWERS, wish(), paid, NOTHING) == Offer(amount=USD("0.001"), max_tokens=USUAL_TOKENS, capped=True)
    assert offer(FREE_ANSWERS, wish(limit=99), paid, NOTHING) == Offer(amount=USD("0.001"), max_tokens=99)
    assert refusal(FREE_ANSWERS, wish(), Caps(request=USD("0.0009"))) == "could cost $0.001, and $0.0009 are left of the request's $0.0009"


def test_images_and_the_request_itself_are_paid_before_the_first_token() -> None:
    """With two images 0.022 USD are gone before the answer begins."""
    seen = Bound(tokens=1000, images=2)
    assert offer(PICTURES, wish(bound=seen), Caps(request=USD("0.032")), NOTHING) == Offer(amount=USD("0.032"), max_tokens=1000, capped=True)
    assert "could cost $0.02456" in refusal(PICTURES, wish(bound=seen), Caps(request=USD("0.022")))


def test_amounts_of_any_size_can_be_told() -> None:
    """More digits than decimals usually have, many or small."""
    assert refusal(PLAIN, wish(10**40), Caps(request=USD("1e-12"))).endswith("$0.000000000001 are left of the request's $0.000000000001")
    dear = Tariff(base=Rates(prompt=USD("0.123456789012345678901234567"), completion=USD("0.1")))
    assert refusal(dear, wish(1), Caps(day=USD(1))) == "could cost $123.557, and $1 are left of the day's $1"


prices = st.decimals(0, USD("0.001"), places=12) | st.decimals(0, USD("0.001"), places=35)
rates = st.builds(Rates, prompt=prices, completion=prices, reasoning=prices, cache_write=st.none() | prices, request=prices, image=prices)
tariffs = st.builds(
    lambda base, long: Tariff(base=base, overrides=(long,)), rates, st.builds(Override, min_prompt_tokens=st.just(500), prompt=prices)
)
amounts = st.decimals(0, 3, places=18)
caps = st.builds(Caps, request=st.none() | amounts, day=st.none() | amounts, month=st.none() | amounts)
spents = st.builds(Spent, request=amounts, day=amounts, month=amounts)
wishes = st.builds(
    Wish,
    bound=st.builds(Bound, tokens=st.integers(1, 10**6), images=st.integers(0, 3)),
    tokens=st.none() | st.integers(1, 10**6),
    limit=st.none() | st.integers(1, 10**5),
)


@given(tariff=tariffs, wished=wishes, caps=caps, spent=spents, shares=st.integers(1, 12))
@example(
    tariff=Tariff(base=Rates(prompt=USD("0.00000033333333333333333333333333333"), completion=USD("1e-7"))),
    wished=Wish(bound=Bound(tokens=3, images=0)),
    caps=Caps(request=USD("0.1")),
    spent=Spent(),
    shares=3,
)
@example(
    tariff=Tariff(base=Rates(prompt=USD(0), completion=USD(f"0.{'3' * 99}4"))),  # a third, rounded up
    wished=Wish(bound=Bound(tokens=1, images=0), limit=1),
    caps=Caps(request=USD(1)),
    spent=Spent(),
    shares=3,
)
def test_no_offer_is_above_a_cap(tariff: Tariff, wished: Wish, caps: Caps, spent: Spent, shares: int) -> None:
    """Compared as fractions: the amount covers the call at its worst, no cap and no share is passed, and nothing affordable is refused or cut."""
    pots = [(caps.request, spent.request, shares), (caps.day, spent.day, SHARE_OF_DAY), (caps.month, spent.month, 1)]
    left = [Fraction(cap) - Fraction(gone) for cap, gone, _ in pots if cap is not None]
    parts = [(Fraction(cap) - Fraction(gone)) / divisor for cap, gone, divisor in pots if cap is not None]

    def worst(tokens: int) -> Fraction:
        base, bound = tariff.base, wished.bound
        long = tariff.overrides[0].prompt if tariff.overrides and bound.tokens > 500 else None
        prompt = max(Fraction(price) for price in (base.prompt, base.cache_write or USD(0), long or USD(0)))
        each = Fraction(base.completion) + Fraction(base.reasoning)
        return bound.tokens * prompt + bound.images * Fraction(base.image) + Fraction(base.request) + tokens * each

    most = wished.limit or USUAL_TOKENS
    try:
        offered = offer(tariff, wished, caps, spent, shares=shares)
    except TooDear:
        if wished.tokens is not None:
            assert worst(wished.tokens) > min(left)
        else:
            assert worst(min(LEAST_TOKENS, most)) > min(parts)
        return
    assert Fraction(offered.amount) == worst(offered.max_tokens)
    assert all(worst(offered.max_tokens) <= rest for rest in left)
    if wished.tokens is not None:
        assert (offered.max_tokens, offered.capped) == (wished.tokens, False)
        return
    assert min(LEAST_TOKENS, most) <= offered.max_tokens <= most
    assert all(worst(offered.max_tokens) <= part for part in parts)
    assert offered.capped == (wished.limit is None or offered.max_tokens < most)
    if offered.max_tokens < most:
        assert worst(offered.max_tokens + 1) > min(parts)
