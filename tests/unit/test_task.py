"""What a request is about, and which model the name `auto` stands for."""

from __future__ import annotations

from typing import Any

import pytest

from fusiond.chat import Format, Message, Request, TextPart, Tool
from fusiond.config.tree import Conditions, RouteConfig, Task
from fusiond.task import routed, task
from tests.asking import question

TOOLS = (Tool(name="now"),)


@pytest.mark.parametrize(
    ("text", "about"),
    [
        ("Which is a prime? Answer with the letter.\nA) 4\nB) 7\nC) 9", "choice"),
        ("How many days has a leap year? Answer with a number only.", "number"),
        ("Is 7 prime? Answer yes or no.", "boolean"),
        ("Classify the review as positive, negative or neutral: it broke at once. Answer with one word.", "label"),
        ("What is the capital of France? Answer with one word only.", "text"),
        ("Give me the name and the age as JSON: Anna is 7.", "json"),
        ("Write a function that reverses a list.", "code"),
        ("Why does this fail?\n```\nx = [\n```", "code"),
        ("fix this: def f(: pass", "code"),
        ("Tell me about the sea.", "prose"),
        ("", "prose"),
    ],
)
def test_what_a_request_is_about(text: str, about: Task) -> None:
    """The kind of its vote key, else code, else prose."""
    assert task(question(text)) == about


def test_a_document_that_is_asked_for_is_json() -> None:
    """Whatever its words say."""
    assert task(question("Write a function that reverses a list.", format=Format(kind="json_object"))) == "json"


def test_the_last_question_decides() -> None:
    """What came before it, and what others have said, is not asked any more."""
    turns = [("user", "Write a function."), ("assistant", "```\npass\n```"), ("user", "Thank you, tell me about the sea.")]
    messages = tuple(Message(role=role, parts=(TextPart(text=text),)) for role, text in turns)  # type: ignore[arg-type]
    assert task(question(messages=messages)) == "prose"
    assert task(question(messages=messages[:2])) == "code"
    assert task(question(messages=())) == "prose"


def route(use: str, **when: Any) -> RouteConfig:
    """A route with these conditions."""
    return RouteConfig(use=use, when=Conditions(**when))


def way(request: Request, *routes: RouteConfig) -> str:
    """Where it goes."""
    return routed(request, routes, "elsewhere")


def test_the_first_that_matches_wins() -> None:
    """In the order of the file; none: the other name."""
    assert way(question(), route("a"), route("b")) == "a"
    assert way(question(), route("a", tools=True), route("b", tools=False), route("c")) == "b"
    assert way(question(), route("a", tools=True)) == "elsewhere"
    assert way(question()) == "elsewhere"


@pytest.mark.parametrize(("offered", "use"), [((), "without"), (TOOLS, "with")])
def test_tools(offered: tuple[Tool, ...], use: str) -> None:
    """Whether the request offers any; a condition of false is one."""
    routes = [route("with", tools=True), route("without", tools=False)]
    assert way(question(tools=offered), *routes) == way(question(tools=offered), *reversed(routes)) == use


@pytest.mark.parametrize(("text", "use"), [("x" * 40, "short"), ("x" * 41, "elsewhere"), ("é" * 20, "short"), ("é" * 21, "elsewhere"), ("", "short")])
def test_length(text: str, use: str) -> None:
    """A token is four bytes of all messages; the limit itself is within."""
    assert way(question(text), route("short", max_prompt_tokens=10)) == use
    whole = question(messages=tuple(Message(role="user", parts=(TextPart(text=sign),)) for sign in text))
    assert way(whole, route("short", max_prompt_tokens=10)) == use


def test_every_condition_must_hold() -> None:
    """Each for itself is not enough."""
    strict = route("all", task="number", max_prompt_tokens=100, tools=False)
    asked = "How many days has a leap year? Answer with a number only."
    assert way(question(asked), strict) == "all"
    assert way(question(asked * 20), strict) == "elsewhere"
    assert way(question("Tell me about the sea."), strict) == "elsewhere"
    assert way(question(asked, tools=TOOLS), strict) == "elsewhere"
