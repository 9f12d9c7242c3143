"""Documents through the whole daemon: merged field by field, whole and streamed, validated, and hostile ones withstood."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from tests.faults.conftest import Running, running
from tests.faults.test_money import shop
from tests.paying import DEAR, MINI, Told, told
from tests.upstreams.openai import OpenAIUpstream
from tests.upstreams.script import Finish, Say, Script

both_ways = pytest.mark.parametrize("stream", [False, True], ids=["whole", "streamed"])
Lab = Callable[..., str]

OBJECT = {"type": "json_object"}
ANN, BOB, EVE = ({"name": name, "age": age} for name, age in (("Ann", 31), ("Bob", 40), ("Eve", 5)))
PEOPLE = {
    "type": "object",
    "properties": {"people": {"type": "array", "items": {"$ref": "#/$defs/person"}, "maxItems": 3}, "note": {"enum": ["ok", "odd"]}},
    "required": ["people"],
    "additionalProperties": False,
    "$defs": {"person": {"type": "object", "properties": {"name": {"type": "string"}, "age": {"type": "integer"}}, "required": ["name", "age"]}},
}


def form(schema: dict[str, Any]) -> dict[str, Any]:
    """A response format by its schema."""
    return {"type": "json_schema", "json_schema": {"name": "x", "schema": schema}}


def says(text: str) -> Script:
    """A member's words, in two pieces."""
    return Script(Say(text[:5]), Say(text[5:]), Finish())


async def ask(daemon: Running, *, stream: bool, **fields: Any) -> Told:
    """What a client is told that asks for a document and a trace."""
    body = {"model": "fusion", "messages": [{"role": "user", "content": "Who is there? Answer with JSON only."}], "fusion": {"trace": True}}
    async with daemon.client.post(daemon.url + "/v1/chat/completions", json={**body, "stream": stream, **fields}) as response:
        return told(response, await response.text())


@both_ways
async def test_rows_and_fields(stream: bool, lab: Lab, tmp_path: Path) -> None:
    """Rows that most have, each field as most say, in the order of the most skilled, and all of it fits the schema."""
    said = {
        "a": {"people": [ANN, BOB, EVE], "note": "ok"},
        "b": {"people": [{**BOB, "age": 41}, ANN]},
        "c": {"note": "ok", "people": [BOB, {**ANN, "age": 30}]},
    }
    async with OpenAIUpstream({name: says(json.dumps(value)) for name, value in said.items()}) as upstream:
        async with running(lab(upstream.url, *"abc"), tmp_path) as daemon:
            answer = await ask(daemon, stream=stream, response_format=form(PEOPLE))
    assert answer.text == json.dumps({"people": [ANN, BOB], "note": "ok"})
    assert answer.trace["decision"] == "merged"
    assert answer.trace["fields"].keys() == {"/people/0/name", "/people/0/age", "/people/1/name", "/people/1/age", "/note"}
    assert answer.trace["fields"]["/people/0/age"] < answer.trace["fields"]["/people/0/name"]
    assert 0 < answer.trace["confidence"] < 1
    assert [member["status"] for member in answer.trace["members"]] == ["answered"] * 3


@both_ways
async def test_digits_and_letters_are_unharmed(stream: bool, lab: Lab, tmp_path: Path) -> None:
    """Also where each member has another field wrong."""
    texts = [
        '{"id": 123456789012345678901234567890, "one": 1.0, "tenth": 0.10, "name": "日本\\n\\"é\\"", "x": 1}',
        '{"id": 123456789012345678901234567890, "one": 1.0, "tenth": 0.2, "name": "日本\\n\\"é\\"", "x": 2}',
        '{"id": 123456789012345678901234567891, "one": 1.0, "tenth": 0.10, "name": "nobody", "x": 2}',
    ]
    async with OpenAIUpstream(dict(zip("abc", map(says, texts), strict=True))) as upstream:
        async with running(lab(upstream.url, *"abc"), tmp_path) as daemon:
            answer = await ask(daemon, stream=stream, response_format=OBJECT)
    assert answer.text == '{"id": 123456789012345678901234567890, "one": 1.0, "tenth": 0.10, "name": "日本\\n\\"é\\"", "x": 2}'


@both_ways
async def test_what_comes_of_it_does_not_fit(stream: bool, lab: Lab, tmp_path: Path) -> None:
    """The document that was voted for is delivered in its member's words; where no member's fits, each one's reason is told."""
    schema = {"oneOf": [{"properties": {"x": {"const": n}, "y": {"const": n}, "z": {"const": n}}} for n in (1, 2, 3)]}
    texts = ['{"x":1,"y":1,"z":1}', '{"x": 2, "y": 2, "z": 2}', '{"x": 1, "y": 2, "z": 2, "w": 1}']
    async with OpenAIUpstream(dict(zip("abc", map(says, texts), strict=True))) as upstream:
        async with running(lab(upstream.url, *"abc"), tmp_path) as daemon:
            skewed = {"minProperties": 3, "not": {"properties": {"x": {"const": 1}, "y": {"const": 2}}, "maxProperties": 3}}
            answer = await ask(daemon, stream=stream, response_format=form(skewed))
            assert (answer.status, answer.text, answer.trace["degraded"]) == (200, texts[0], ["fallback"])
            assert "fields" not in answer.trace
            answer = await ask(daemon, stream=stream, response_format=form(schema))
            assert (answer.text, answer.trace["decision"]) == (texts[0], "weighted")
            answer = await ask(daemon, stream=False, response_format=form({"required": ["none"]}))
            assert (answer.status, answer.error["code"], answer.error["members"].keys()) == (502, "schema", set("abc"))


@both_ways
async def test_hostile_documents(stream: bool, lab: Lab, tmp_path: Path) -> None:
    """Are no documents, or are not merged; whoever has a good one is heard, and nobody waits."""
    deep, long = "[" * 10_000 + "]" * 10_000, json.dumps({"x": [*range(150_000)]})
    good = '{"x": 1}'
    for hostile in (deep, '{"x": NaN}', '{"x": 1, "x": 1}', '{"x": "\\ud800"}', '{"x": 1'):
        async with OpenAIUpstream({"a": says(hostile), "b": says(good), "c": says(good)}) as upstream:
            async with running(lab(upstream.url, *"abc"), tmp_path) as daemon:
                answer = await ask(daemon, stream=stream, response_format=OBJECT)
        assert (answer.status, answer.text, answer.trace["decision"]) == (200, good, "agreed")
    async with OpenAIUpstream({"a": says(long), "b": says(long.replace("149999", "7")), "c": says('{"x": 1e999}')}) as upstream:
        async with running(lab(upstream.url, *"abc"), tmp_path) as daemon:
            answer = await ask(daemon, stream=stream)
    assert (answer.text, answer.trace["degraded"]) == (long, ["fallback"])


@both_ways
async def test_paid_members_join(stream: bool, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """In a cascade their documents are merged with the panel's."""
    monkeypatch.setenv("OPENROUTER_API_KEY", "sk-made-up")
    cascade = '[fusions.default]\nstrategy = "cascade"\npanel = ["a", "b"]\nescalate = ["mini", "dear"]\nthrift = 0\n'
    paid = {MINI: says('{"x": 1, "y": 2, "z": 3}'), DEAR: says('{"x": 1, "y": 2, "z": 4}')}
    async with shop(tmp_path, paid, fusions=cascade) as made:
        made.lab.scripts.update({"a": says('{"x": 1, "y": 9, "z": 5}'), "b": says('{"x": 8, "y": 2, "z": 4, "w": 1}')})
        answer = await ask(made.daemon, stream=stream, response_format=OBJECT)
        assert (answer.trace["decision"], json.loads(answer.text)) == ("escalated", {"x": 1, "y": 2, "z": 4})
        made.lab.scripts["b"] = says('{"x": 8, "y": 2, "z": 3, "w": 1}')
        made.router.scripts[DEAR] = says('{"x": 7, "y": 2, "z": 3, "v": 0}')
        made.router.scripts[MINI] = says('{"x": 1, "y": 4, "z": 3}')
        answer = await ask(made.daemon, stream=stream, response_format=OBJECT)
        assert (answer.trace["decision"], answer.text) == ("merged", '{"x": 1, "y": 2, "z": 3}')
        assert {member["member"]: member["status"] for member in answer.trace["members"]} == dict.fromkeys(["a", "b", "mini", "dear"], "answered")
        assert answer.trace["cost_usd"] > 0
