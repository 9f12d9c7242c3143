"""Documents of the form that was asked for: what a schema may be, and what fits it."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from fusiond.chat import Format
from fusiond.keys.schema import fault, misfit

OBJECT = Format(kind="json_object")


def fitting(schema: dict[str, Any]) -> Format:
    """A form by its schema."""
    return Format(kind="json_schema", schema=schema)


def nested(depth: int) -> dict[str, Any]:
    """A schema in a schema in a schema."""
    schema: dict[str, Any] = {}
    for _ in range(depth):
        schema = {"not": schema}
    return schema


@pytest.mark.parametrize(
    "schema",
    [
        {},
        {"type": "object", "properties": {"a": {"$ref": "#/$defs/a"}}, "$defs": {"a": {"type": "string", "format": "email"}}},
        {"$ref": "#"},
        {"$schema": "http://json-schema.org/draft-07/schema#", "items": [{"type": "string"}]},
        {"$ref": "https://json-schema.org/draft/2020-12/schema"},
        {"pattern": r"^(?!^[-+.]*$)[+-]?0*\d*\.?\d*$"},
        {"x-order": 1, "nullable": True},
    ],
    ids=str,
)
def test_schemas(schema: dict[str, Any]) -> None:
    """Whole ones, of any draft, with what other tools write into them."""
    assert fault(schema) is None


@pytest.mark.parametrize(
    ("schema", "words"),
    [
        ({"type": "wrong"}, "is not a JSON Schema: /type:"),
        ({"properties": {"a": {"minimum": "x"}}}, "/properties/a/minimum:"),
        ({"$ref": "http://127.0.0.1:1/a.json"}, "refers to http://127.0.0.1:1/a.json, which is not read"),
        ({"$ref": "file:///etc/passwd"}, "refers to file:///etc/passwd, which is not read"),
        ({"$ref": "other.json"}, "refers to other.json, which is not read"),
        ({"$ref": "#/$defs/none"}, "'/$defs/none' does not exist"),
        ({"$schema": "http://example.com/mine"}, "Unknown meta-schema"),
        ({"pattern": "("}, "/pattern:"),
        ({"maximum": float("inf")}, "is not a JSON Schema"),
        (nested(500), "is not a JSON Schema"),
        (nested(5000), "is not a JSON Schema"),
        ({"type": "x" * 10_000}, "/type:"),
        ({"properties": {"x" * 10_000: 4}}, "..."),
    ],
    ids=range(13),
)
def test_what_is_no_schema(schema: dict[str, Any], words: str) -> None:
    """In words, with the place; nothing is fetched, and nothing breaks."""
    told = fault(schema)
    assert told is not None
    assert words in told
    assert len(told) < 400


def test_a_schema_that_is_there_is_not_read_either(tmp_path: Path) -> None:
    """Whoever may ask questions may not read files with them."""
    there = tmp_path / "there.json"
    there.write_text("{}", encoding="utf-8")
    assert "which is not read" in (fault({"$ref": there.as_uri()}) or "")


@pytest.mark.parametrize("text", ["{}", ' {"a": [1, 2.5, null]} \n', '{"a": "</s>"}'])
def test_any_object(text: str) -> None:
    """Blanks around it are none of the form's business."""
    assert misfit(text, OBJECT) is None


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("[1]", "is a JSON document, but not an object"),
        ("4", "is a JSON document, but not an object"),
        ('{"a": ', "is not a JSON document"),
        ("{} {}", "is not a JSON document"),
        ("{'a': 1}", "is not a JSON document"),
        ('{"a": NaN}', "NaN is no JSON number"),
        ('{"a": 1, "a": 2}', "a name stands twice"),
        ("[" * 100_000, "is not a JSON document: "),
        ("", "is not a JSON document"),
    ],
    ids=lambda value: value[:30],
)
def test_what_is_no_object(text: str, words: str) -> None:
    """Nothing is repaired."""
    assert words in (misfit(text, OBJECT) or "")


def test_any_document() -> None:
    """Without a form, all that matters is that it is one."""
    assert (misfit("[1]", None), misfit("[", None) is None) == (None, False)


SCHEMA = {
    "type": "object",
    "properties": {"a": {"type": "integer"}, "b": {"type": "array", "items": {"multipleOf": 0.01}}, "c": {"pattern": "^x(?=y)"}},
    "required": ["a"],
    "additionalProperties": False,
}


@pytest.mark.parametrize("document", [{"a": 1}, {"a": 1.0, "b": [19.99, 0.07]}, {"a": 10**30, "c": "xy"}])
def test_what_fits(document: Any) -> None:
    """1.0 is an integer, and 19.99 a multiple of a hundredth."""
    assert misfit(json.dumps(document), fitting(SCHEMA)) is None


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ('{"a": "x"}', 'does not fit the schema: /a: its value is not of type "integer"'),
        ('{"a": 1, "b": [1, "x", 0.001]}', "/b/2: its value is not a multiple of 0.01"),
        ('{"a": 1, "c": "' + "x" * 10_000 + '"}', "/c: its value does not match"),
        ("{}", 'does not fit the schema: "a" is a required property'),
        ('{"a": 1, "d": 2}', "'d' was unexpected"),
        ('{"a": 1e999}', "does not fit the schema: /a:"),
        ('{"a": 1, "c": "\\ud800"}', "does not fit the schema"),
        ("[" * 700 + "]" * 700, "does not fit the schema"),
    ],
    ids=lambda value: value[:30],
)
def test_what_does_not_fit(text: str, words: str) -> None:
    """The path of what is wrong, and nothing of what it says."""
    told = misfit(text, fitting(SCHEMA)) or ""
    assert words in told
    assert len(told) < 400


def test_a_pattern_that_takes_for_ever_is_given_up() -> None:
    """It counts as one that does not match."""
    assert misfit('"' + "a" * 5000 + '!"', fitting({"pattern": "^(?=(a+)+$)(a|aa)+$"})) is not None


def test_a_form_whose_schema_is_none() -> None:
    """That is for whoever took the request to find out."""
    with pytest.raises(ValueError, match="not valid"):
        misfit("{}", fitting({"type": "wrong"}))


@pytest.mark.timeout(10)
def test_a_schema_that_leads_back_to_itself_by_many_ways() -> None:
    """What fits is told at once, however deep; what does not fit has no explanation where that would take for ever."""
    branches = [{"type": "object", "properties": {"op": {"const": op}, "arg": {"$ref": "#/$defs/n"}}, "required": ["op", "arg"]} for op in "abc"]
    form = Format(kind="json_schema", schema={"$defs": {"n": {"anyOf": [*branches, {"type": "number"}]}}, "$ref": "#/$defs/n"})
    good, bad = (f'{{"op":"{op}","arg":' * 30 + "1" + "}" * 30 for op in "ax")
    assert misfit(good, form) is None
    assert misfit(bad, form) == "does not fit the schema"
    assert (misfit('{"op":"x","arg":1}', form) or "").startswith("does not fit the schema: ")


def test_a_number_of_any_length_is_one() -> None:
    """Python reads no more than some thousand digits."""
    assert misfit("1" * 5000, None) is None
    assert misfit(f'{{"a": {"1" * 5000}}}', Format(kind="json_schema", schema={"properties": {"a": {"type": "number"}}})) is None
