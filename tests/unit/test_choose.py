"""How a request is answered: what adaptive chooses, and why, as tables."""

from __future__ import annotations

from typing import Any

import pytest

from fusiond.chat import Format, ImagePart, Message, Request, Sampling, TextPart, Tool
from fusiond.choose import strong
from fusiond.plan import Plan, plan
from tests.asking import member, question
from tests.planning import PROSE, YES_NO, catalog, situation

LARGE: dict[str, Any] = {"size": 70.0}
STRONG = {"w": LARGE, "j": LARGE}
CODE = "Write a Python function that reverses a list."


def adapted(request: Request, *panel: str, facts: Any = None, **fusion: Any) -> Plan:
    """The plan of an adaptive fusion of that panel, by default two members with a strong judge and writer."""
    roles: dict[str, Any] = {} if panel else {"judge": "j", "writer": "w"}
    return plan(
        request, catalog(*(panel or ("a", "b")), facts=STRONG if facts is None else facts, strategy="adaptive", **roles, **fusion), situation(0.0)
    )


@pytest.mark.parametrize(
    ("asked", "strategy", "because", "reason"),
    [
        (question(YES_NO), "cascade", None, "answers can be counted (boolean)"),
        (question(PROSE, format=Format(kind="json_object")), "cascade", None, "answers can be counted (json)"),
        (question("Which is it?\nA) wet\nB) dry\nAnswer with the letter."), "cascade", None, "answers can be counted (choice)"),
        (question("Explain why the sea is salty, and what follows from it."), "synthesize", None, "prose, and the writer is strong enough"),
        (question(CODE), "select", None, "code, and the judge is strong enough"),
        (question(PROSE, tools=(Tool(name="look"),)), "single", "actor", "tools need one actor"),
        (question(YES_NO, tools=(Tool(name="look"),)), "single", "actor", "tools need one actor"),
        (question("Write a poem about the sea."), "single", "no_key", "one voice is wanted: creative writing, or a style"),
        (question("Describe the sea in the style of Hemingway."), "single", "no_key", "one voice is wanted: creative writing, or a style"),
        (question(PROSE, sampling=Sampling(temperature=1.0)), "single", "no_key", "a draw is wanted (temperature 1)"),
        (question(YES_NO, sampling=Sampling(temperature=1.0)), "cascade", None, "answers can be counted (boolean)"),
        (question(YES_NO, sampling=Sampling(temperature=1.4)), "single", "no_key", "a draw is wanted (temperature 1.4)"),
        (question(PROSE, sampling=Sampling(max_tokens=16)), "single", "no_key", "only a few words are wanted"),
        (question(PROSE, sampling=Sampling(temperature=0.7, max_tokens=4096)), "synthesize", None, "prose, and the writer is strong enough"),
    ],
)
def test_what_is_chosen(asked: Request, strategy: str, because: str | None, reason: str) -> None:
    """By what the request itself is."""
    made = adapted(asked)
    expected = None if strategy == "single" and because == "no_key" and asked.sampling.temperature == 1.4 else because
    assert (made.strategy, made.because, made.reason) == (strategy, expected, reason)
    assert (made.writer is not None, made.judge is not None) == (strategy == "synthesize", strategy in ("synthesize", "select"))


CHORES = [
    ("You are a title generator. You output ONLY a thread title. Nothing else.", "Generate a title for this conversation:\n\nIs 7 prime?"),
    ("", "Generate a concise 3-7 word title for this conversation, omitting punctuation."),
    ("", "Provide a concise, 5-word-or-less title for the conversation, using title case conventions."),
    ("", '### Task:\nGenerate a concise, 3-5 word title with an emoji.\n### Output:\nJSON format: { "title": "your concise title here" }'),
    ("", '### Task:\nGenerate 1-3 broad tags categorizing the main themes.\n### Output:\nJSON format: { "tags": ["tag1", "tag2"] }'),
    ("", '### Task:\nSuggest 3-5 relevant follow-up questions.\n### Output:\nJSON format: { "follow_ups": ["Question 1?"] }'),
    ("", "### Task:\nAnalyze the chat history to determine the necessity of generating search queries."),
    ("", "Summarize the conversation so far, in detail."),
    ("", "Write a commit message for this diff:\n+ x = 1"),
    ("Analyze if this message indicates a new conversation topic.", "And what is 2+2?"),
]


@pytest.mark.parametrize(("told", "asked"), CHORES)
def test_the_chores_of_clients(told: str, asked: str) -> None:
    """One member, streamed, whatever form the answer is to have."""
    system = [Message(role="system", parts=(TextPart(text=told),))] if told else []
    request = question(messages=(*system, Message(role="user", parts=(TextPart(text=asked),))))
    made = adapted(request)
    assert (made.strategy, made.reason) == ("single", "a client's chore")


@pytest.mark.parametrize(
    "asked",
    [
        "<|fim_prefix|>def f(x):\n    <|fim_suffix|>\n    return y<|fim_middle|>",
        "<PRE> def f(x): <SUF> return y <MID>",
        "You are a code completion engine. Complete at the cursor:\ndef f(",
    ],
)
def test_what_is_to_be_filled_in(asked: str) -> None:
    """Is one member's."""
    assert (adapted(question(asked)).strategy, adapted(question(asked)).reason) == ("single", "something is to be filled in")


@pytest.mark.parametrize(
    "asked",
    [
        "What should a good title of a novel about whales tell its readers, and why?",
        "### Task:\nRespond to the user query using the provided context. Why is the sea salty, and what does it mean for fish?",
        "Explain what a commit is and why messages matter.",
        "What is the name of the chat program that came with Windows 95?",
        "What was discussed in the session that gave the treaty its name?",
    ],
)
def test_what_only_looks_like_a_chore(asked: str) -> None:
    """Is answered as what it is."""
    assert adapted(question(asked)).reason not in ("a client's chore", "something is to be filled in")


@pytest.mark.parametrize(
    ("panel", "facts", "fusion", "reason"),
    [
        (("a", "b"), {}, {}, "prose, without a writer"),
        (("a", "b"), {"w": {"size": 8.0}}, {"writer": "w"}, "prose, and the writer is not strong enough"),
        (("a", "b"), {"a": {"size": 9.0}, "b": {"size": 3.0}}, {"writer": "a"}, "prose, and the writer is not strong enough"),
        (("a", "b"), {"w": {"size": 70.0, "context": 2048}}, {"writer": "w"}, "prose, and too long for the writer to hold with the drafts"),
        (("a",), {"w": LARGE}, {"writer": "w"}, "only one member may answer"),
        (("a", "b"), {"w": LARGE, "b": {"context": 256}}, {"writer": "w"}, "only one member can hold the request"),
    ],
)
def test_when_prose_is_not_fused(panel: tuple[str, ...], facts: Any, fusion: Any, reason: str) -> None:
    """No writer, a small one, or nobody to fuse."""
    asked = question("Explain why the sea is salty. " + "It is. " * 700)
    made = adapted(asked, *panel, facts=facts, **fusion)
    assert (made.strategy, made.because, made.reason) == ("single", "no_key", reason)


def test_a_writer_who_may_not_be_paid_is_named() -> None:
    """Only where it would have written."""
    dear = {"w": {**LARGE, "place": "remote"}}
    missed = adapted(question("Explain the sea."), "a", "b", facts=dear, writer="w")
    assert (missed.reason, [skip.member.name for skip in missed.skipped]) == ("prose, without a writer", ["w"])
    assert adapted(question(YES_NO), "a", "b", facts=dear, writer="w").skipped == ()
    assert adapted(question("Write a poem."), "a", "b", facts=dear, writer="w").skipped == ()


def test_images_are_not_fused_by_who_cannot_see_them() -> None:
    """What can be counted is."""
    parts = (TextPart(text="Describe this."), ImagePart(url="data:image/png;base64,AA"))
    assert adapted(question(messages=(Message(role="user", parts=parts),))).reason == "a judge reads no attachments"
    parts = (TextPart(text=YES_NO), ImagePart(url="data:image/png;base64,AA"))
    assert adapted(question(messages=(Message(role="user", parts=parts),))).strategy == "cascade"


@pytest.mark.parametrize(
    ("facts", "enough"),
    [
        ({"size": 24.0}, True),
        ({"size": 14.0}, False),
        ({"place": "remote", "model": "anthropic/claude-sonnet-4.5"}, True),
        ({"place": "remote", "model": "meta-llama/llama-3.1-8b-instruct"}, False),
        ({"model": "mystery"}, False),
    ],
)
def test_who_is_strong(facts: dict[str, Any], enough: bool) -> None:
    """Whoever is large, or far away and does not say how small."""
    assert strong(member(**facts)) is enough


@pytest.mark.parametrize("asked", [YES_NO, PROSE, "Write a poem.", "How many days are in a week?", "Generate a title for this conversation"])
def test_without_a_configuration_nothing_is_slower_or_worse(asked: str) -> None:
    """The default asks whom a vote would ask, in the same order, and keeps nobody waiting for more: at the most for fewer."""
    chosen, voted = (
        plan(question(asked), catalog("a", "b", "c", facts={"b": LARGE}, strategy=name), situation(0.0)) for name in ("adaptive", "vote")
    )
    assert chosen.judge is chosen.writer is None
    assert [call.voice for call in chosen.calls] == [call.voice for call in voted.calls]
    assert (chosen.strategy in ("single", "cascade"), chosen.escalation) == (True, ())


def test_escalation_is_for_what_can_be_counted() -> None:
    """And the last resort of what one member answers; a synthesis has none."""
    facts = {**STRONG, "x": {"size": 70.0}}
    served = catalog("a", "b", facts=facts, strategy="adaptive", judge="j", writer="w", escalate=("x",))
    counted, written, alone = (plan(question(text), served, situation(0.0)) for text in (YES_NO, "Explain the sea.", "Write a poem."))
    assert [call.voice for call in counted.escalation] == ["x"]
    assert (written.strategy, written.escalation) == ("synthesize", ())
    assert ([call.voice for call in alone.calls], alone.escalation) == (["a", "b", "x"], ())
