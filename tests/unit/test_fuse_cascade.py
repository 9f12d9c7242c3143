"""The cascade: who is paid after the panel has voted, what is decided then, and what is remembered and saved. Members are scripts."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncGenerator, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from decimal import Decimal
from itertools import product
from typing import Any

import pytest

from fusiond.call import Call
from fusiond.catalog import Catalog
from fusiond.chat import Format, Overrides, Request
from fusiond.config.tree import BudgetConfig
from fusiond.errors import AllFailed, Cooling, FusiondError, Garbled, MemberError, OverBudget, SchemaFailed, TimedOut, TooDear, Unavailable, Unwilling
from fusiond.events import Event, Finished, Progress, Text, Usage
from fusiond.fuse.outcome import Decided, Outcome
from fusiond.merge import Part
from fusiond.plan import Plan, plan
from fusiond.policy.belief import Model, verdict
from fusiond.policy.lookahead import next_call
from fusiond.policy.traffic import Mean, Traffic
from fusiond.tariff import Tariff
from fusiond.telemetry import reported
from tests.asking import question
from tests.planning import PROSE, YES_NO, Stage, catalog, outcome, situation

BOOM = Garbled("boom")
SUM = "What is 17 + 25? Give the number only."
CAPITAL = "What is the capital of Italy? Answer with its name only."
TARIFFS = {"mini": Tariff.per_million(Decimal("0.6"), Decimal(3)), "strong": Tariff.per_million(Decimal(3), Decimal(15))}
FACTS: dict[str, dict[str, Any]] = {
    "big": {"size": 32.0},
    "small": {"size": 8.0},
    "tiny": {"size": 3.0},
    "mini": {"place": "remote", "tariff": TARIFFS["mini"]},
    "strong": {"place": "remote", "tariff": TARIFFS["strong"]},
    "free": {"place": "lan", "size": 32.0},
}
PAID = ("mini", "strong")
KIND = ("fusion/default", "number")
TOKENS = {"big": (20, 100), "small": (21, 100), "tiny": (22, 100), "mini": (25, 80), "strong": (30, 200), "free": (20, 100)}
"""What each counts, of the prompt and of its answer."""


class Counting(Stage):
    """A stage whose members count their tokens, and may tell what they have billed."""

    def __init__(
        self, scripts: Mapping[str, Sequence[Any]], tokens: Mapping[str, tuple[int, int]] = TOKENS, bills: Mapping[str, str] | None = None
    ) -> None:
        super().__init__(scripts)
        self._tokens = tokens
        self._bills = bills or {}
        self.over: dict[str, set[str]] = {}

    async def listen(self, call: Call) -> AsyncGenerator[Event, None]:
        """The script, with the usage before its good end. `over`: whose calls were over when somebody was asked."""
        self.over[call.voice] = set(self.closed)
        async for event in super().listen(call):
            if isinstance(event, Finished) and (tokens := self._tokens.get(call.voice)):
                bill = self._bills.get(call.voice)
                cost = None if bill is None else Decimal(bill)
                yield Usage(member=call.voice, prompt_tokens=tokens[0], completion_tokens=tokens[1], cost=cost)
            yield event

    @property
    def paid(self) -> list[str]:
        """Who was asked and has a price, in order."""
        return [call.voice for call in self.asked if call.member.paid]


class InTurn(Counting):
    """A stage on which one member waits until certain others have ended."""

    def __init__(self, scripts: Mapping[str, Sequence[Any]], last: str, after: set[str]) -> None:
        gate = asyncio.Event()
        super().__init__({**scripts, last: [gate, *scripts[last]]})
        self._gate = gate
        self._after = after

    async def listen(self, call: Call) -> AsyncGenerator[Event, None]:
        """The script, and what opens at its end."""
        async for event in super().listen(call):
            yield event
        if self._after <= self.closed:
            self._gate.set()


@dataclass
class Costs:
    """What the calls have cost."""

    costs: dict[str, Decimal] = field(default_factory=dict)
    capped: set[str] = field(default_factory=set)


def served(*panel: str, escalate: tuple[str, ...] = PAID, facts: Mapping[str, Mapping[str, Any]] | None = None, **fusion: Any) -> Catalog:
    """A cascade of the usual members. `facts`: of some of them, beside the usual ones."""
    known = {name: {**FACTS.get(name, {}), **(facts or {}).get(name, {})} for name in (*panel, *escalate)}
    return catalog(*(panel or ("big", "small", "tiny")), facts={**FACTS, **known}, strategy="cascade", escalate=escalate, **fusion)


def planned(known: Catalog, request: Request | None = None, **facts: Any) -> Plan:
    """The plan for it, with a budget that has no cap."""
    return plan(request or question(SUM), known, situation(**{"budget": BudgetConfig(), **facts}))


async def run(made: Plan, stage: Stage) -> tuple[Decided, str, list[Outcome]]:
    """What was decided, the answer's text, and everything that was said."""
    heard = await outcome(made, stage)
    [decided] = [event for event in heard if isinstance(event, Decided)]
    return decided, "".join(event.text for event in heard if isinstance(event, Text)), heard


def scripts(**words: str | MemberError) -> dict[str, list[Any]]:
    """One word a member."""
    return {name: [word] for name, word in words.items()}


async def paid_for(made: Plan, **words: str | MemberError) -> list[str]:
    """Whom the cascade pays when they say this."""
    stage = Counting(scripts(**words))
    await run(made, stage)
    return stage.paid


async def test_locals_that_agree_cost_nothing() -> None:
    """And the leading one's words are delivered."""
    stage = Counting(scripts(big="42.", small="42", tiny="It is 42.", mini="41", strong="41"))
    decided, text, _ = await run(planned(served()), stage)
    assert (stage.paid, decided.decision, decided.agreement, text) == ([], "agreed", 1.0, "42.")


async def test_the_cheap_one_that_agrees_spares_the_strong_one() -> None:
    """The paid answer joins the vote."""
    stage = Counting(scripts(big="42", small="41", tiny="40", mini="42!", strong="40"))
    decided, text, _ = await run(planned(served()), stage)
    assert (stage.paid, decided.decision, decided.agreement) == (["mini"], "escalated", 0.5)
    assert decided.keys == {"big": "42", "small": "41", "tiny": "40", "mini": "42"}
    assert (decided.voice, text) == ("mini", "42!")


@pytest.mark.parametrize(("reasoning", "voice"), [(False, "mini"), (True, "big")])
async def test_the_words_are_those_of_the_most_skilled_behind_the_winner(reasoning: bool, voice: str) -> None:
    """Paid or not, first or last."""
    made = planned(served("tiny", "mini", "big", facts={"big": {"reasoning": reasoning}}, escalate=()))
    decided, text, _ = await run(made, Counting(scripts(tiny="42", mini="42!", big="42.")))
    assert (decided.voice, text) == (voice, {"mini": "42!", "big": "42."}[voice])


async def test_the_strong_one_is_asked_where_the_cheap_one_settles_nothing() -> None:
    """It joins the vote, and is the most skilled of those that agree."""
    stage = Counting(scripts(big="42", small="41", tiny="40", mini="39", strong="42, surely."))
    decided, text, _ = await run(planned(served()), stage)
    assert (stage.paid, decided.decision, decided.voice, text) == (["mini", "strong"], "escalated", "strong", "42, surely.")
    assert decided.confidence is not None
    assert 0.5 < decided.confidence < 1


async def test_the_strong_one_can_be_outvoted() -> None:
    """Its answer is a vote, not the truth; and yet it was asked."""
    stage = Counting(scripts(big="42", small="42", tiny="41", mini="41", strong="40"))
    decided, text, _ = await run(planned(served(facts={"strong": {"skill": 0.6}}, thrift=0.0)), stage)
    assert (stage.paid, decided.decision, text) == (["mini", "strong"], "escalated", "41")


@pytest.mark.parametrize(("thrift", "agreed", "disputed"), [(0.0, [*PAID], [*PAID]), (0.1, [], [*PAID]), (0.3, [], ["mini"]), (1.0, [], [])], ids=str)
async def test_thrift(thrift: float, agreed: list[str], disputed: list[str]) -> None:
    """0 pays for every hope, even to turn three that agree; 1 for almost none, even where all differ."""
    made = planned(served(thrift=thrift))
    assert await paid_for(made, big="42", small="42", tiny="42", mini="41", strong="41") == agreed
    assert await paid_for(made, big="42", small="41", tiny="40", mini="39", strong="41") == disputed


async def test_accept_stops_early() -> None:
    """What is surer than that is not questioned, however cheap a question would be; what is less sure is."""
    words: dict[str, str | MemberError] = {"big": "42", "small": "42", "tiny": "41", "mini": "41", "strong": "41"}
    assert await paid_for(planned(served(accept=0.5, thrift=0.0)), **words) == []
    assert await paid_for(planned(served(accept=0.99, thrift=0.0)), **words) == ["mini", "strong"]
    made = planned(served())
    sure = verdict(Model(), made.voters, {voter: str(words[voter.name]) for voter in made.voters if not voter.paid}).confidence
    assert await paid_for(planned(served(accept=sure, thrift=0.0)), **words) == []


@pytest.mark.parametrize(
    "error",
    [BOOM, TooDear("more than is left of the day"), Cooling("has failed lately"), Unwilling("gone")],
    ids=["failed", "too dear", "cooling", "unavailable"],
)
async def test_a_paid_member_that_fails_is_left_out(error: MemberError) -> None:
    """The next is asked; where none answers, what the panel says stands, and is not called escalated."""
    decided, text, _ = await run(planned(served()), Counting(scripts(big="42", small="41", tiny="40", mini=error, strong="41")))
    assert (decided.decision, text) == ("escalated", "41")
    alone = Counting(scripts(big="42", small="41", tiny="40", mini=error, strong=error))
    decided, text, heard = await run(planned(served()), alone)
    assert (alone.paid, decided.decision, text) == (["mini", "strong"], "weighted", "42")
    assert [step.status for step in heard if isinstance(step, Progress) and step.member in PAID] == [error.reason] * 2


async def test_a_paid_member_that_abstains() -> None:
    """Has answered, without a vote; it is not asked again."""
    stage = Counting(scripts(big="42", small="41", tiny="40", mini="I am not sure.", strong="40"))
    decided, _, _ = await run(planned(served()), stage)
    assert (stage.paid, decided.keys["mini"], decided.decision) == (["mini", "strong"], None, "escalated")


async def test_without_any_key_the_most_skilled_is_delivered() -> None:
    """Paid or not; that it was paid for makes no decision of it."""
    stage = Counting(scripts(big="Who knows.", small="Hard to say.", tiny=BOOM, mini="Nobody knows.", strong="It depends."))
    decided, text, _ = await run(planned(served()), stage)
    assert (stage.paid, decided.decision, decided.confidence, text) == ([*PAID], "no_key", None, "It depends.")


async def test_half_of_the_votes_are_no_majority() -> None:
    """Two that contradict each other, and nobody to ask."""
    made = planned(served("big", "small", facts={"small": {"size": 32.0}}, escalate=()))
    decided, text, _ = await run(made, InTurn(scripts(big="42", small="41"), "big", {"small"}))
    assert (decided.decision, decided.agreement, text) == ("weighted", 0.5, "42")


async def test_a_final_refusal_ends_the_request() -> None:
    """Where the budget says to reject, rather than with what the panel says."""
    stage = Counting(scripts(big="42", small="41", tiny="40", mini=TooDear("nothing is left", final=True), strong="42"))
    with pytest.raises(OverBudget, match="mini: nothing is left"):
        await run(planned(served()), stage)
    assert stage.paid == ["mini"]


@pytest.mark.parametrize(("thrift", "for_a_key"), [(0.1, ["mini"]), (1.0, [])])
async def test_whatever_it_costs_an_answer_is_better_than_an_error(thrift: float, for_a_key: list[str]) -> None:
    """All locals fail: the paid ones are asked until one answers, though a call that is so much dearer than usual would be worth no vote."""
    made = planned(served(thrift=thrift), traffic={KIND: Traffic(prices={"strong": Mean(count=9, value=0.0001)})})
    stage = Counting(scripts(big=BOOM, small=BOOM, tiny=BOOM, mini=BOOM, strong="42"))
    decided, text, _ = await run(made, stage)
    assert (stage.paid, decided.decision, decided.keys, text) == (["mini", "strong"], "escalated", {"strong": "42"}, "42")
    assert await paid_for(made, big="Who knows.", small=BOOM, tiny=BOOM, mini="42", strong="42") == for_a_key


async def test_without_a_panel_the_paid_ones_answer() -> None:
    """Where nobody else may be asked."""
    gone = {name: {"unavailable": "gone"} for name in ("big", "small", "tiny")}
    stage = Counting(scripts(mini="42", strong="42"))
    decided, text, _ = await run(planned(served("big", "small", "tiny", facts=gone)), stage)
    assert (stage.paid[0], decided.decision, text) == ("mini", "escalated", "42")


async def test_nobody_answers() -> None:
    """The error has everybody's reason; its kind is that of the reasons."""
    made = planned(served())
    failed = dict.fromkeys(("big", "small", "tiny", "mini", "strong"), BOOM)
    with pytest.raises(AllFailed, match=r"big: garbled: boom; .*strong: garbled: boom") as all_failed:
        await run(made, Counting(scripts(**failed)))
    assert set(all_failed.value.failures) == set(failed)
    kinds: list[tuple[MemberError, type[FusiondError], int]] = [
        (TimedOut("late"), AllFailed, 504),
        (Cooling("ill"), Unavailable, 503),
        (TooDear("too dear"), OverBudget, 402),
    ]
    for error, kind, status in kinds:
        with pytest.raises(kind) as raised:
            await run(made, Counting(scripts(**dict.fromkeys(failed, error))))
        assert raised.value.status == status


async def test_once_its_time_is_up_nobody_is_paid() -> None:
    """A call that cannot end would be paid for nothing."""
    late = replace(planned(served(thrift=0.0)), deadline=asyncio.get_running_loop().time() - 1)
    assert await paid_for(late, big="42", small="41", tiny="40") == []
    with pytest.raises(AllFailed):
        await run(late, Counting(scripts(big=BOOM, small=BOOM, tiny=BOOM)))


async def test_the_quorum_and_its_grace() -> None:
    """Who is late says nothing, is named as left out, and is dismissed before anybody is paid: though its vote might have changed the outcome."""
    peers = {name: {"size": 8.0} for name in ("big", "small", "tiny")}
    stage = Counting({**scripts(big="42", small="41", mini="41", strong="41"), "tiny": [asyncio.Event()]})
    decided, text, _ = await run(planned(served("big", "small", "tiny", facts=peers, quorum=2, grace_seconds=0)), stage)
    assert (decided.degraded, decided.decision, text) == (("quorum",), "escalated", "41")
    assert stage.over["mini"] == {"big", "small", "tiny"}
    assert "tiny" not in decided.keys


async def test_short_texts_are_joined_before_anybody_is_paid() -> None:
    """What says the same in more words agrees, of the panel's and of paid answers."""
    made = planned(served(), question(CAPITAL))
    assert await paid_for(made, big="Rome", small="Rome, Italy", tiny="Rome", mini="Milan", strong="Milan") == []
    stage = Counting(scripts(big="Rome", small="Milan", tiny="Turin", mini="Rome, Italy", strong="Milan"))
    decided, text, _ = await run(made, stage)
    assert (stage.paid, decided.agreement, text) == (["mini"], 0.5, "Rome, Italy")


async def test_json() -> None:
    """Equal documents agree, and are delivered bare; where the panel has none, somebody is paid for one; where nobody has, none is delivered."""
    made = planned(served(thrift=1.0), question(PROSE, format=Format(kind="json_object")))
    stage = Counting(scripts(big='```json\n{"x": 1}\n```', small='{"x": 1.0}', tiny="{}", mini="{}", strong="{}"))
    decided, text, _ = await run(made, stage)
    assert (decided.keys["big"] == decided.keys["small"], text) == (True, '{"x": 1}')
    broken = Counting(scripts(big='{"x"', small='{"x"', tiny=BOOM, mini=BOOM, strong='{"x": 2}'))
    decided, text, _ = await run(made, broken)
    assert (broken.paid, decided.decision, text) == (["mini", "strong"], "escalated", '{"x": 2}')
    with pytest.raises(SchemaFailed, match=r"big: its answer is not a JSON document: .*mini: boom"):
        await run(made, Counting(scripts(big='{"x"', small='{"x"', tiny=BOOM, mini=BOOM, strong="[")))


async def test_yes_or_no() -> None:
    """Two locals that contradict each other are settled by a paid one."""
    stage = Counting(scripts(big="Yes.", small="No.", mini="No.", strong="No, it is not."))
    decided, text, _ = await run(planned(served("big", "small"), question(YES_NO)), stage)
    assert (stage.paid[0], decided.keys["mini"], text) == ("mini", "no", "No, it is not.")


async def test_further_samples_of_one_member() -> None:
    """Are free votes; where they scatter somebody is paid."""
    made = planned(served("big", samples=3))
    assert [call.voice for call in made.calls] == ["big", "big#2", "big#3"]
    scattered = Counting({**scripts(big="42", mini="40", strong="40"), "big#2": ["41"], "big#3": ["40"]})
    decided, text, _ = await run(made, scattered)
    assert (scattered.paid[0], decided.decision, text) == ("mini", "escalated", "40")
    assert decided.keys["big#2"] == "41"


async def test_a_paid_member_of_the_panel() -> None:
    """Is asked in any case, and does not make an escalation of it."""
    stage = Counting(scripts(big="42", small="42", mini="42", strong="41"))
    decided, _, _ = await run(planned(served("big", "small", "mini", escalate=("strong",))), stage)
    assert (stage.paid, decided.decision) == (["mini"], "agreed")
    disputed = Counting(scripts(big="42", small="41", mini=BOOM, strong="41"))
    decided, _, _ = await run(planned(served("big", "small", "mini", escalate=("strong",))), disputed)
    assert (disputed.paid, decided.decision) == (["mini", "strong"], "escalated")


async def test_who_costs_nothing_is_asked_before_the_paid_ones() -> None:
    """Wherever it is named, as long as it may change what stands; an answer that is not paid for is no escalation."""
    made = planned(served("small", "tiny", escalate=("mini", "free", "strong"), thrift=1.0))
    stage = Counting(scripts(small="42", tiny="41", free="41", mini="41", strong="41"))
    decided, text, _ = await run(made, stage)
    assert ([call.voice for call in stage.asked], decided.decision, text) == (["small", "tiny", "free"], "majority", "41")
    failing = Counting(scripts(small=BOOM, tiny=BOOM, free="41", mini="41", strong="41"))
    await run(made, failing)
    assert failing.paid == []
    experts = {name: {"skill": 0.95} for name in ("e1", "e2", "e3", "e4")} | {"free": {"skill": 0.3}}
    sure = Counting(scripts(e1="42", e2="42", e3="42", e4="42", free="41"))
    await run(planned(served("e1", "e2", "e3", "e4", escalate=("free",), facts=experts)), sure)
    assert "free" not in [call.voice for call in sure.asked]


@pytest.mark.parametrize("stream", [False, True])
async def test_the_answer_comes_whole_after_the_decision(stream: bool) -> None:
    """Streamed or not: there is one decision, right before the text, and one end."""
    stage = Counting(scripts(big="42", small="41", tiny="40", mini="39", strong="42, surely."))
    _, _, heard = await run(planned(served(), question(SUM, stream=stream)), stage)
    assert [type(event) for event in heard if not isinstance(event, Progress)] == [Decided, Text, Finished]


@pytest.mark.parametrize("watched", [False, True])
async def test_progress(watched: bool) -> None:
    """Everybody's end is told, and to those that watch everybody's words, the paid ones' too."""
    stage = Counting(scripts(big="42", small="41", tiny=BOOM, mini="39", strong="42"))
    _, _, heard = await run(planned(served(), question(SUM, overrides=Overrides(progress=watched))), stage)
    steps = [event for event in heard if isinstance(event, Progress)]
    ends = {"big": "answered", "small": "answered", "tiny": "garbled", "mini": "answered", "strong": "answered"}
    assert {step.member: step.status for step in steps if step.status} == ends
    words = {"big": "42", "small": "41", "mini": "39", "strong": "42"} if watched else {}
    assert {step.member: step.text for step in steps if step.text} == words


FAILS = "!"
PANELS = ["111", "112", "121", "211", "123", "11-", "12!", "1--", "-1!", "-11", "!12", "---"]
"""What the locals say: so many digits; a dash abstains, a bang fails."""


def word_of(letter: str) -> str | MemberError:
    """A member's script."""
    return BOOM if letter == FAILS else f"4{letter}" if letter.isdigit() else "Who knows."


def key_of(letter: str) -> str | None:
    """What it says."""
    return f"4{letter}" if letter.isdigit() else None


def expected_calls(made: Plan, letters: Mapping[str, str], usual: float | None = None) -> list[str]:
    """Whom `next_call` pays, one after the other. `usual`: the price of a mean call of the strongest; None: this one's.

    The price of a call is that of the leading local's prompt and answer, or of the next one's prompt and 256 tokens where it fails.
    """
    counted = next((TOKENS[name][0] for name in ("big", "small", "tiny") if letters[name] != FAILS), len(SUM) // 4)
    prices = {name: float(price(name, counted, 256 if letters["big"] == FAILS else 100)) for name in TARIFFS}
    tolls = {name: made.thrift * each / (usual or prices["strong"]) for name, each in prices.items()}
    votes = {voter: key_of(letters[voter.name]) for voter in made.voters if not voter.paid}
    asked = []
    while verdict(Model(), made.voters, votes).confidence < made.accept and (voter := next_call(Model(), made.voters, votes, tolls)):
        asked.append(voter.name)
        votes[voter] = key_of(letters[voter.name])
    return asked


@pytest.mark.parametrize(
    ("escalate", "thrift", "usual"),
    [
        (PAID, 0.0, None),
        (PAID, 0.1, None),
        (PAID, 0.3, 0.003),
        (PAID, 1.0, None),
        (PAID[::-1], 0.1, None),
        (PAID[::-1], 0.03, 0.0005),
        (PAID[::-1], 0.4, None),
    ],
)
async def test_whom_the_cascade_pays_is_what_the_look_ahead_says(escalate: tuple[str, ...], thrift: float, usual: float | None) -> None:
    """For every panel, every word of the paid ones, in either order: also once the strongest has been heard its price is the measure."""
    heard = Traffic(prices={"strong": Mean(count=9, value=usual)}) if usual else Traffic()
    made = planned(served(escalate=escalate, thrift=thrift), traffic={KIND: heard})
    seen = set()
    for panel, cheap, strong in product(PANELS, "13!", "14"):
        letters = dict(zip(("big", "small", "tiny", "mini", "strong"), (*panel, cheap, strong), strict=True))
        expected = expected_calls(made, letters, usual)
        assert await paid_for(made, **{name: word_of(letter) for name, letter in letters.items()}) == expected, letters
        seen.add(tuple(expected))
    assert len(seen) > 1


def reference(made: Plan, letters: Mapping[str, str]) -> tuple[str | None, list[str]]:
    """What stands once the whole panel has said this, and whom it pays then."""
    votes = {voter: key_of(letters[voter.name]) for voter in made.voters if not voter.paid}
    return verdict(Model(), made.voters, votes).key, expected_calls(made, letters)


SKILLS: dict[str, dict[str, float]] = {
    "usual": {},
    "experts": {"big": 0.97, "small": 0.9, "tiny": 0.3},
    "guessers": {"big": 0.7, "small": 0.5, "tiny": 0.3},
}
EXPERTS = {name: {"skill": skill} for name, skill in SKILLS["experts"].items()}


def completions(known: str) -> Iterator[str]:
    """All that a third may say after two: what was said, something new, or nothing."""
    yield from sorted({*known.replace("-", "").replace("!", ""), "9", "-"})


@pytest.mark.parametrize("last", ["big", "small", "tiny"])
@pytest.mark.parametrize(
    ("skills", "escalate", "thrift", "accept"),
    [
        ("usual", PAID, 0.1, 1.0),
        ("usual", PAID, 1.0, 1.0),
        ("experts", PAID, 0.3, 1.0),
        ("experts", PAID, 0.1, 0.5),
        ("guessers", ("strong",), 0.3, 1.0),  # who are two against each other, and a silent third makes a call worth while that no vote of it does
    ],
)
async def test_the_panel_is_dismissed_just_where_nothing_can_change(
    last: str, skills: str, escalate: tuple[str, ...], thrift: float, accept: float
) -> None:
    """Neither what stands nor that nobody is paid, whatever the last one says; and never before the leading one's length is known."""
    facts = {name: {"skill": skill, "size": 8.0} for name, skill in SKILLS[skills].items()}
    made = planned(served("big", "small", "tiny", facts=facts, escalate=escalate, thrift=thrift, accept=accept))
    others = [name for name in ("big", "small", "tiny") if name != last]
    for known in ("11", "12", "1-", "-1", "1!", "!1"):
        said = dict(zip(others, known, strict=True)) | {"mini": "1", "strong": "2"}
        found = [reference(made, said | {last: word}) for word in completions(known)]
        settled = all(end == (found[0][0], []) for end in found) and last != "big" and said["big"] != FAILS
        stage = InTurn({name: [word_of(letter)] for name, letter in {**said, last: "1"}.items()}, last, set(others))
        decided, _, _ = await run(made, stage)
        assert (last not in decided.keys) == settled, known
        if settled:
            assert (decided.keys[decided.voice], stage.paid) == (found[0][0], [])


async def test_with_nobody_to_pay_it_is_a_vote() -> None:
    """Which ends as soon as nobody missing can change it: without a budget nobody is waited for who would only be worth a paid call."""
    stage = Counting({"big": ["42"], "small": ["42"], "tiny": [asyncio.Event()]}, tokens={})
    decided, text, _ = await run(planned(served("big", "small", "tiny", facts=EXPERTS), budget=None), stage)
    assert (set(decided.keys), decided.decision, text, decided.otherwise) == ({"big"}, "majority", "42", None)
    assert "tiny" in stage.closed


async def test_one_of_two_missing_may_be_too_much_to_try() -> None:
    """Of four, two that agree may be enough, if the others together cannot change it: the same answer comes of waiting for them."""
    facts = {name: {"skill": skill} for name, skill in (("e1", 0.97), ("e2", 0.97), ("d1", 0.3), ("d2", 0.3))}
    made = planned(served("e1", "e2", "d1", "d2", facts=facts, thrift=1.0))
    tokens = dict.fromkeys(facts, (20, 100))
    stage = Counting({"e1": ["42"], "e2": ["42"], "d1": [asyncio.Event()], "d2": [asyncio.Event()]}, tokens)
    decided, _, _ = await run(made, stage)
    assert (set(decided.keys), decided.decision) == ({"e1", "e2"}, "agreed")
    for one, other in product(("42", "41", "40", "Who knows."), repeat=2):
        full = Counting(scripts(e1="42", e2="42", d1=one, d2=other), tokens)
        assert ((await run(made, full))[0].keys["e1"], full.paid) == ("42", [])


def saved(made: Plan, decided: Decided, stage: Stage, costs: Mapping[str, str]) -> Decimal:
    """What is told of it, when the calls have cost so much."""
    parts = {call.voice: Part(call=call, asked=0.0, ended=1.0) for call in stage.asked}
    bill = Costs({name: Decimal(cost) for name, cost in costs.items()})
    return reported(made, parts, decided, bill, 2.0).saved_usd


def price(name: str, prompt: int, completion: int) -> Decimal:
    """What a call costs."""
    rates = TARIFFS[name].base
    return prompt * rates.prompt + completion * rates.completion


async def test_what_is_saved_where_nobody_was_paid() -> None:
    """The strongest would have answered at the leading local's length, until its own mean is known."""
    made = planned(served())
    stage = Counting(scripts(big="42", small="42", tiny="42"))
    decided, _, _ = await run(made, stage)
    assert decided.otherwise == price("strong", 20, 100)
    assert saved(made, decided, stage, {}) == price("strong", 20, 100)
    decided, _, _ = await run(planned(served("tiny", "small", "big")), stage)
    assert decided.otherwise == price("strong", 20, 100)
    known = planned(served(), traffic={KIND: Traffic(lengths={"strong": Mean(count=3, value=300.0)})})
    decided, _, _ = await run(known, Counting(scripts(big="42", small="42", tiny="42")))
    assert decided.otherwise == price("strong", 20, 300)


async def test_what_is_saved_where_the_cheap_one_was_enough() -> None:
    """The strongest's price less the cheap one's."""
    made = planned(served())
    stage = Counting(scripts(big="42", small="41", tiny="40", mini="42"))
    decided, _, _ = await run(made, stage)
    assert decided.otherwise == price("strong", 20, 100)
    assert saved(made, decided, stage, {"mini": "0.0001"}) == price("strong", 20, 100) - Decimal("0.0001")


async def test_nothing_is_saved_where_the_strong_one_was_asked() -> None:
    """It costs what it did, at its own length and by its own count or bill; the cheap one before it is a loss."""
    words = scripts(big="42", small="41", tiny="40", mini="39", strong="42")
    made, own = planned(served()), price("strong", 30, 200)
    stage = Counting(words)
    decided, _, _ = await run(made, stage)
    assert decided.otherwise == own
    assert saved(made, decided, stage, {"mini": "0.0001", "strong": f"{own}"}) == Decimal("-0.0001")
    billed = Counting(words, bills={"strong": "0.0077"})
    decided, _, _ = await run(made, billed)
    assert saved(made, decided, billed, {"strong": "0.0077"}) == 0


async def test_the_strongest_is_the_dearest_of_a_mean_call() -> None:
    """Of those that are allowed, by what is remembered, whatever their order and this request's price."""
    dearer = Traffic(prices={"mini": Mean(count=3, value=0.02), "strong": Mean(count=3, value=0.01)})
    words = scripts(big="42", small="42", tiny="42")
    decided, _, _ = await run(planned(served(accept=0.5), traffic={KIND: dearer}), Counting(words))
    assert decided.otherwise == price("mini", 20, 100)
    decided, _, _ = await run(planned(served(facts={"strong": {"unavailable": "gone"}}, accept=0.5)), Counting(words))
    assert decided.otherwise == price("mini", 20, 100)
    decided, _, _ = await run(planned(served(escalate=("strong", "mini"), accept=0.5)), Counting(words))
    assert decided.otherwise == price("strong", 20, 100)


async def test_the_traffic_is_remembered() -> None:
    """The lengths of the leading local and of the paid members that answered, and what each might have cost; the next request goes by it."""
    words = scripts(big="42", small="41", tiny="40", mini="39", strong="42")
    decided, _, _ = await run(planned(served()), Counting(words))
    assert decided.heard is not None
    traffic = Traffic().after(decided.heard)
    assert (traffic.length, traffic.root) == (Mean(count=1, value=100.0), Mean(count=1, value=10.0))
    assert traffic.lengths == {"mini": Mean(count=1, value=80.0), "strong": Mean(count=1, value=200.0)}
    assert traffic.prices == {name: Mean(count=1, value=float(price(name, 20, 100))) for name in PAID}
    following = planned(served(), traffic={KIND: traffic})
    decided, _, _ = await run(following, Counting(scripts(big="42", small="42", tiny="42"), {**TOKENS, "big": (20, 400)}))
    assert decided.heard is not None
    traffic = traffic.after(decided.heard)
    assert decided.otherwise == price("strong", 20, 200)
    assert traffic.length == Mean(count=2, value=250.0)
    assert traffic.prices["strong"].value == pytest.approx(float(price("strong", 20, 100) + price("strong", 20, 200)) / 2)
    assert set(traffic.lengths) == set(PAID)


async def test_a_long_answer_makes_a_call_dearer_than_usual() -> None:
    """What is worth a usual call's price may not be worth four times as much."""
    usual = Traffic(
        length=Mean(count=9, value=100.0), root=Mean(count=9, value=10.0), prices={"strong": Mean(count=9, value=float(price("strong", 20, 100)))}
    )
    made = planned(served(escalate=("strong",), thrift=0.15), traffic={KIND: usual})
    words = scripts(big="42", small="41", tiny="40", strong="42")
    short, long = Counting(words), Counting(words, {**TOKENS, "big": (20, 6400)})
    await run(made, short)
    await run(made, long)
    assert (short.paid, long.paid) == (["strong"], [])


async def test_without_counts_there_are_estimates() -> None:
    """The prompt's bytes, and the usual length; what is not counted is not remembered."""
    stage = Counting(scripts(big="42", small="42", tiny="42"), {})
    decided, _, _ = await run(planned(served()), stage)
    assert decided.otherwise == price("strong", len(SUM) // 4, 256)
    assert decided.heard is not None
    traffic = Traffic().after(decided.heard)
    assert (traffic.length, traffic.lengths) == (Mean(), {})
    silent = Counting(scripts(big=BOOM, small="42", tiny="42"))
    decided, _, _ = await run(planned(served(thrift=1.0)), silent)
    assert decided.otherwise == price("strong", 21, 256)
    assert decided.heard is not None
    traffic = Traffic().after(decided.heard)
    assert traffic.length == Mean()


@pytest.mark.parametrize("last", ["big", "small", "tiny"])
async def test_the_order_of_arrival_changes_nothing(last: str) -> None:
    """Neither the words delivered nor the money."""
    words = scripts(big="42", small="41", tiny="40", mini="39", strong="41")
    expected, text, _ = await run(planned(served()), Counting(words))
    others = {"big", "small", "tiny"} - {last}
    found, again, _ = await run(planned(served()), InTurn(words, last, others))
    assert (found, list(found.keys), again) == (expected, list(expected.keys), text)


async def test_whoever_is_asked_next_has_time_where_there_is_nothing_to_deliver() -> None:
    """One that hangs does not use up the time of those behind it."""
    stage = Stage({"big": [BOOM], "mini": [asyncio.Event()], "strong": ["42"]})
    decided, text, _ = await run(planned(served("big", deadline_seconds=0.3)), stage)
    assert (decided.voice, text, [asked.voice for asked in stage.asked]) == ("strong", "42", ["big", "mini", "strong"])


async def test_whoever_is_asked_besides_has_all_the_time_where_there_is_something_to_deliver() -> None:
    """It was worth asking, and may be slow: nobody has to take over from it."""
    slow = asyncio.Event()
    stage = Stage({"big": ["41"], "mini": [slow, "42"], "strong": ["42"]})
    asyncio.get_running_loop().call_later(0.2, slow.set)
    decided, _, _ = await run(planned(served("big", deadline_seconds=0.3)), stage)
    assert decided.keys["mini"] == "42"
