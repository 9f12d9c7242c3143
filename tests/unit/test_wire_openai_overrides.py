"""What a request changes of the fusion that it names, whichever dialect says so."""

from __future__ import annotations

import json
from decimal import Decimal
from typing import Any

import pytest

from fusiond.chat import Limit, Overrides, Request
from fusiond.errors import BadRequest
from fusiond.wire.openai_chat import decode
from fusiond.wire.openai_overrides import privacy


def asked(**fields: Any) -> Request:
    """The request of a body with these fields."""
    return decode(json.dumps({"model": "fusion", "messages": [{"role": "user", "content": "2+2?"}]} | fields).encode(), "r1")


@pytest.mark.parametrize(
    ("fusion", "expected"),
    [
        (None, Overrides()),
        ({}, Overrides()),
        (dict.fromkeys(("strategy", "panel", "models", "judge", "writer", "trace", "progress", "max_cost_usd", "privacy")), Overrides()),
        ({"strategy": "cascade"}, Overrides(strategy="cascade")),
        ({"panel": ["a", "b"]}, Overrides(panel=("a", "b"))),
        ({"models": ["a", "b"]}, Overrides(strategy="synthesize", panel=("a", "b"), analysis=True)),
        ({"models": ["a", "b"], "strategy": "vote"}, Overrides(strategy="vote", panel=("a", "b"), analysis=True)),
        ({"models": ["a"], "judge": {"model": "c"}}, Overrides(strategy="synthesize", panel=("a",), judge="c", analysis=True)),
        ({"models": ["a"], "panel": None}, Overrides(strategy="synthesize", panel=("a",), analysis=True)),
        ({"judge": "a"}, Overrides(judge="a")),
        ({"judge": {"model": "a"}}, Overrides(judge="a")),
        ({"judge": "a", "writer": "b"}, Overrides(judge="a", writer="b")),
        ({"trace": True, "progress": True}, Overrides(trace=True, progress=True)),
        ({"trace": False, "progress": False}, Overrides()),
    ],
    ids=str,
)
def test_the_daemons_own_field(fusion: dict[str, Any] | None, expected: Overrides) -> None:
    """Each key of it; null is none; LiteLLM's words for the panel and the judge mean the same."""
    request = asked(fusion=fusion)
    assert (request.overrides, request.limits, request.ignored) == (expected, (), ())


@pytest.mark.parametrize(
    ("plugin", "expected"),
    [
        ({}, Overrides(strategy="synthesize", analysis=True)),
        ({"enabled": True}, Overrides(strategy="synthesize", analysis=True)),
        ({"enabled": None}, Overrides(strategy="synthesize", analysis=True)),
        ({"analysis_models": ["a", "b"]}, Overrides(strategy="synthesize", analysis=True, panel=("a", "b"))),
        ({"model": "c"}, Overrides(strategy="synthesize", analysis=True, judge="c", writer="c")),
        ({"analysis_models": ["a"], "model": "c"}, Overrides(strategy="synthesize", analysis=True, panel=("a",), judge="c", writer="c")),
        ({"analysis_models": ["a"], "model": "c", "enabled": False}, Overrides()),
    ],
    ids=str,
)
def test_openrouters_plugin(plugin: dict[str, Any], expected: Overrides) -> None:
    """Asks for a synthesis with that panel, and with that model as the judge and the writer; switched off it asks for nothing."""
    assert asked(plugins=[{"id": "fusion"} | plugin]).overrides == expected


@pytest.mark.parametrize(
    ("parameters", "expected"),
    [
        ({}, Overrides(strategy="synthesize", analysis=True)),
        ({"parameters": None}, Overrides(strategy="synthesize", analysis=True)),
        (
            {"parameters": {"analysis_models": ["a", "b"], "model": "c"}},
            Overrides(strategy="synthesize", analysis=True, panel=("a", "b"), judge="c", writer="c"),
        ),
    ],
    ids=str,
)
def test_openrouters_tool(parameters: dict[str, Any], expected: Overrides) -> None:
    """It is none that a member is offered; to require it is no more than that."""
    for choice in ({}, {"tool_choice": "required"}, {"tool_choice": "auto"}):
        request = asked(tools=[{"type": "openrouter:fusion"} | parameters], **choice)
        assert (request.overrides, request.tools, request.tool_choice, request.ignored) == (expected, (), None, ())
    request = asked(tools=[{"type": "openrouter:fusion"}, {"type": "function", "function": {"name": "look"}}])
    assert [tool.name for tool in request.tools] == ["look"]


@pytest.mark.parametrize(
    ("parameters", "where"),
    [({"analysis_models": []}, "analysis_models"), ({"analysis_models": "a"}, "analysis_models"), ({"analysis_models": [1]}, "analysis_models"),
     ({"model": ""}, "model"), ({"model": 1}, "model")],
    ids=str,
)  # fmt: skip
def test_openrouters_tool_with_what_is_wrong(parameters: dict[str, Any], where: str) -> None:
    """The error names the place."""
    with pytest.raises(BadRequest) as error:
        asked(tools=[{"type": "openrouter:fusion", "parameters": parameters}])
    assert error.value.param == f"tools[0].parameters.{where}"


def test_two_that_fuse() -> None:
    """One does; and what of its parameters is not used is named, as is what stands beside a function."""
    with pytest.raises(BadRequest, match="is there already"):
        asked(plugins=[{"id": "fusion"}], tools=[{"type": "openrouter:fusion"}])
    assert asked(tools=[{"type": "openrouter:fusion", "parameters": {"max_tool_calls": 3}}]).ignored == ("tools[0].parameters.max_tool_calls",)
    assert asked(tools=[{"type": "function", "function": {"name": "look"}, "parameters": {"x": 1}}]).ignored == ("tools[0].parameters",)


def test_openrouters_model() -> None:
    """Has its analysis told."""
    assert asked(model="openrouter/fusion").overrides == Overrides(analysis=True)


def test_plugins_that_are_off_are_none() -> None:
    """Whatever else they are, and however many."""
    off = [{"id": "web", "enabled": False, "max_results": 3}, {"id": "fusion", "enabled": False}]
    request = asked(plugins=[*off, {"id": "fusion", "model": "a"}])
    assert (request.overrides.judge, request.ignored) == ("a", ())
    assert asked(plugins=off).overrides == asked(plugins=[]).overrides == asked(plugins=None).overrides == Overrides()


def test_a_plugin_and_what_does_not_contradict_it() -> None:
    """A trace, a limit: they say nothing of who answers."""
    request = asked(plugins=[{"id": "fusion", "model": "a"}], fusion={"trace": True, "progress": True, "privacy": "lan", "max_cost_usd": 0})
    assert request.overrides == Overrides(strategy="synthesize", analysis=True, judge="a", writer="a", trace=True, progress=True)
    assert [limit.name for limit in request.limits] == ["fusion.privacy", "fusion.max_cost_usd"]


@pytest.mark.parametrize("key", ["strategy", "panel", "models", "judge", "writer"])
def test_a_plugin_and_what_contradicts_it(key: str) -> None:
    """Two recipes cannot both hold."""
    said = {"strategy": "vote", "panel": ["a"], "models": ["a"]}.get(key, "a")
    with pytest.raises(BadRequest, match="both say how to answer") as error:
        asked(plugins=[{"id": "fusion"}], fusion={key: said})
    assert error.value.param == "plugins"


def test_limits_are_named_and_exact() -> None:
    """An amount is the decimal that was written."""
    request = asked(fusion={"privacy": "local", "max_cost_usd": 0.1})
    assert request.limits == (
        Limit(name="fusion.privacy", privacy="local"),
        Limit(name="fusion.max_cost_usd", max_cost_usd=Decimal("0.1")),
    )
    assert asked(fusion={"max_cost_usd": 0}).limits == (Limit(name="fusion.max_cost_usd", max_cost_usd=Decimal(0)),)
    assert asked(fusion={"max_cost_usd": 1e-7}).limits[0].max_cost_usd == Decimal("0.0000001")


def test_what_is_not_used_is_named() -> None:
    """Of a judge and of a plugin, beside the body's own."""
    request = asked(
        user="me",
        fusion={"judge": {"model": "a", "criteria": "x", "prompt": None}},
        plugins=[{"id": "web", "enabled": False, "engine": "exa"}],
    )
    assert request.ignored == ("user", "fusion.judge.criteria")
    assert asked(plugins=[{"id": "fusion", "preset": "general-high", "tools": None}]).ignored == ("plugins[0].preset",)


@pytest.mark.parametrize("word", ["any", "lan", "local"])
def test_words_of_privacy(word: str) -> None:
    """As a header says them too."""
    assert privacy("X-Fusiond-Privacy", word) == word


@pytest.mark.parametrize("word", ["", "ANY", "remote", "x" * 100_000])
def test_other_words_are_refused(word: str) -> None:
    """With the place that said them, and in few words."""
    with pytest.raises(BadRequest, match="X-Fusiond-Privacy must be one of any, lan, local") as error:
        privacy("X-Fusiond-Privacy", word)
    assert error.value.param == "X-Fusiond-Privacy"
    assert len(error.value.message) < 100
