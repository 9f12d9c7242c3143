"""Documents in a vote and in a cascade: when they are merged, what is delivered and said of it, and when nothing can change it any more."""

from __future__ import annotations

import asyncio
import json
from collections.abc import Callable
from itertools import product
from typing import Any

import pytest

from fusiond.chat import Format, Request
from fusiond.errors import Garbled, SchemaFailed
from fusiond.events import Finished, Text, Transcript, Usage
from fusiond.fuse.ballots import count, delivered, said, stands, wanted_of
from fusiond.fuse.outcome import Decided
from fusiond.merge import Part
from fusiond.plan import Plan, plan
from fusiond.telemetry import reported
from tests.asking import question
from tests.planning import PROSE, Stage, catalog, fused, outcome, situation
from tests.unit.test_fuse_cascade import PAID, Costs, Counting, planned, scripts, served

OBJECT = Format(kind="json_object")
LIST = {"type": "array", "items": {"$ref": "#/$defs/word"}, "minItems": 2, "$defs": {"word": {"type": "string"}}}
BIG = {"a": {"size": 32.0}}


def asked(form: Format | None = OBJECT, **fields: Any) -> Request:
    """A question after a document."""
    return question(PROSE, format=form, **fields)


def answer(text: str) -> Transcript:
    """A member's whole answer."""
    return Transcript(texts=[text], end=Finished(member="a", reason="stop"))


def counted(made: Plan, **texts: str) -> tuple[Decided, str]:
    """What becomes of these answers, and the text that is delivered."""
    answers = {voice: answer(text) for voice, text in texts.items()}
    decided = count(made, answers, {}, {voice: said(wanted_of(made), one) for voice, one in answers.items()})
    return decided, "".join(event.text for event in delivered(made, decided, answers) if isinstance(event, Text))


async def test_a_document_that_nobody_said() -> None:
    """Is merged of what most say, fences aside, and every field tells how likely it is."""
    stage = Stage({"a": ['{"x": 1, "y": 3, "z": 0}'], "b": ['{"x": 1, "y": 2, "z": 9}'], "c": ['```json\n{"x": 5, "y": 2, "z": 0}\n```']})
    decided, text, end = await fused(asked(), catalog("a", "b", "c"), stage)
    assert (decided.decision, decided.voice, text, isinstance(end, Finished)) == ("merged", "a", '{"x": 1, "y": 2, "z": 0}', True)
    assert decided.document is not None
    assert decided.document.fields.keys() == {"/x", "/y", "/z"}
    assert decided.confidence == decided.document.confidence
    assert decided.agreement == pytest.approx(2 / 3)
    assert None not in decided.keys.values()


async def test_a_document_that_somebody_said() -> None:
    """Is delivered in that member's own words, by the usual decision."""
    words = '{\n  "y" : 2,\n  "x" : 1.0\n}'
    stage = Stage({"a": ['{"x": 1, "y": 3}'], "b": [words], "c": ['{"x": 4, "y": 2}']})
    decided, text, _ = await fused(asked(), catalog("a", "b", "c"), stage)
    assert (decided.decision, decided.voice, decided.agreement, text) == ("weighted", "b", 1 / 3, words)
    assert decided.document is not None
    stage = Stage({"a": ['{"x": 1, "y": 3}'], "b": [words], "c": ['{"x": 1, "y": 2}']})
    decided, text, _ = await fused(asked(), catalog("a", "b", "c", facts={"c": {"size": 7.0}}), stage)
    assert (decided.decision, text) == ("majority", words)


async def test_documents_that_were_asked_for_in_words() -> None:
    """Are merged as well; whoever has none has no say."""
    texts = {"a": '{"x": 1, "y": 3}', "b": '{"x": 1}', "c": 'Sure! {"x": 5}', "d": '{"x": 2, "y": 3}', "e": '{"x": 1, "y": 4, "z": 5}'}
    served = catalog(*texts, facts={"d": {"size": 32.0}})
    decided, text, _ = await fused(question("Answer with JSON only."), served, Stage({voice: [said] for voice, said in texts.items()}))
    assert (decided.decision, decided.voice, text) == ("weighted", "a", '{"x": 1, "y": 3}')
    assert decided.keys["c"] is None


async def test_what_does_not_fit_the_schema() -> None:
    """Is not delivered: the document that was voted for is, in its member's words, and the answer says so."""
    form = Format(kind="json_schema", schema=LIST)
    stage = Stage({"a": ['["p","q"]'], "b": ['["p", "r"]'], "c": ['["p", "s"]']})
    decided, text, _ = await fused(asked(form), catalog("a", "b", "c", facts=BIG), stage)
    assert (decided.decision, decided.voice, decided.degraded, text) == ("weighted", "a", ("fallback",), '["p","q"]')
    assert decided.document is None


def deep(word: str) -> str:
    """A document of too many levels."""
    return "[" * 300 + word + "]" * 300


def long(word: str) -> str:
    """A document of too many values."""
    return json.dumps([word, *range(30_000)])


@pytest.mark.parametrize("shaped", [deep, long], ids=["deep", "long"])
async def test_documents_that_are_too_much(shaped: Callable[[str], str]) -> None:
    """Are voted on as they are, and the answer says so; where all are equal nothing is lost by that."""
    made = plan(question("Answer with JSON only."), catalog("a", "b", "c"), situation())
    decided, text = counted(made, a=shaped("1"), b=shaped("2"), c=shaped("2"))
    assert (decided.decision, decided.degraded, decided.document, text) == ("majority", ("fallback",), None, shaped("2"))
    decided, text = counted(made, a=shaped("1"), b=f" {shaped('1')}", c=shaped("1"))
    assert (decided.decision, decided.degraded, text) == ("agreed", (), shaped("1"))


async def test_nobody_has_a_document() -> None:
    """Each one's reason is told."""
    made = plan(question("Answer with JSON only."), catalog("a", "b", "c"), situation())
    answers = {"a": answer('{"a": 1, "a": 2}'), "b": answer("[NaN]"), "c": Transcript(texts=["[1]"], end=Finished(member="c", reason="length"))}
    with pytest.raises(SchemaFailed) as failed:
        count(made, answers, {"d": Garbled("boom")}, dict.fromkeys(answers))
    assert failed.value.reasons == {
        "a": "its answer is not a JSON document: a name stands twice in one object",
        "b": "its answer is not a JSON document: NaN is no JSON number",
        "c": "its answer was cut off",
        "d": "boom",
    }


async def test_two_equal_documents_of_three_are_enough() -> None:
    """Whatever the third says, no field changes; two that differ in one field wait for it."""
    hang = asyncio.Event()
    stage = Stage({"a": ['{"x": 1}'], "b": ['{"x": 1.0}'], "c": [hang]})
    decided, text, _ = await fused(asked(), catalog("a", "b", "c"), stage)
    assert (decided.decision, text, "c" in stage.closed) == ("agreed", '{"x": 1}', True)
    asyncio.get_running_loop().call_later(0.01, hang.set)
    stage = Stage({"a": ['{"x": 1, "y": 1}'], "b": ['{"x": 1, "y": 2}'], "c": [hang, '{"x": 1, "y": 2}']})
    decided, text, _ = await fused(asked(), catalog("a", "b", "c"), stage)
    assert (decided.decision, text) == ("majority", '{"x": 1, "y": 2}')


SAID = ['{"x": 1, "y": [1, 2]}', '{"x": 1, "y": [2, 1]}', '{"x": 2, "y": [1, 2]}', '{"x": 1, "y": []}', '{"x": 1, "z": 1}', "broken"]


@pytest.mark.parametrize("sizes", [(8, 8, 8, 8), (32, 8, 8, 3), (3, 8, 8, 32)])
async def test_what_is_called_settled_is(sizes: tuple[float, ...]) -> None:
    """For any two or three answers that are in, and any completion: if nothing more is waited for, the same document comes of it."""
    names = "abcd"
    made = plan(asked(), catalog(*names, facts={name: {"size": size} for name, size in zip(names, sizes, strict=True)}), situation())
    settled = 0
    for words in product(SAID, repeat=4):
        texts = dict(zip(names, words, strict=True))
        for missing in ("cd", "ab", "d", "a"):
            heard = {name: text for name, text in texts.items() if name not in missing}
            keys = {name: said(wanted_of(made), answer(text)) for name, text in heard.items()}
            if stands(made, keys, missing):
                settled += 1
                early, late = counted(made, **heard)[0].document, counted(made, **texts)[0].document
                assert early is not None
                assert late is not None
                assert early.key == late.key
    assert settled > 0


async def cascaded(escalate: tuple[str, ...] = PAID, **texts: str) -> tuple[list[str], Decided, str]:
    """Who was asked after the panel, what was decided, and the text that was delivered."""
    stage = Counting(scripts(**texts))
    heard = await outcome(planned(served(escalate=escalate), asked()), stage)
    [decided] = [event for event in heard if isinstance(event, Decided)]
    beside = [call.voice for call in stage.asked if call.voice in escalate]
    return beside, decided, "".join(event.text for event in heard if isinstance(event, Text))


PANEL: dict[str, Any] = {"big": '{"x": 1, "y": 1, "z": 7}', "small": '{"x": 1, "y": 2, "z": 8}', "tiny": '{"x": 3, "y": 1, "z": 9}'}


async def test_paid_documents_are_merged_with_the_panels() -> None:
    """What comes of all is `merged`; where it is what a member said, `escalated`, in its words."""
    mini = '{"x": 1, "y": 2, "z": 9, "w": 4}'
    paid, decided, text = await cascaded(**PANEL, mini=mini, strong='{"x":1,"y":1,"z":8}')
    assert (paid, decided.decision, decided.voice, text) == (["mini", "strong"], "escalated", "strong", '{"x":1,"y":1,"z":8}')
    paid, decided, text = await cascaded(**PANEL, mini=mini, strong='{"x": 1, "y": 1, "z": 8, "w": 5}')
    assert (paid, decided.decision, decided.voice, text) == (["mini", "strong"], "merged", "strong", '{"x": 1, "y": 1, "z": 8}')


async def test_a_free_document_may_change_a_field() -> None:
    """So whoever costs nothing is asked unless all documents are equal."""
    beside, _, text = await cascaded(("free",), **PANEL, free='{"x": 3, "y": 2, "z": 9}')
    assert (beside, json.loads(text)["z"]) == (["free"], 9)
    beside, decided, _ = await cascaded(("free",), big="[1]", small="[1]", tiny="[1.0]", free="[2]")
    assert (beside, decided.decision) == ([], "agreed")


async def test_the_report_of_a_merged_document() -> None:
    """Its key is its own, its fields stand in it, and its tokens are estimated: nobody has counted them."""
    made = plan(asked(), catalog("a", "b", "c"), situation(1000.0))
    decided, text = counted(made, a='{"x": 1, "y": 3, "z": 0}', b='{"x": 1, "y": 2, "z": 9}', c='{"x": 5, "y": 2, "z": 0}')
    heard = answer('{"x": 1, "y": 3, "z": 0}')
    heard.hear(Usage(member="a", prompt_tokens=9, completion_tokens=70))
    parts = {"a": Part(call=made.calls[0], asked=1000.0, ended=1001.0, transcript=heard)}
    report = reported(made, parts, decided, Costs(), 1002.0)
    assert (report.decision, report.key, {*report.fields}) == ("merged", '{"x":1,"y":2,"z":0}', {"/x", "/y", "/z"})
    assert (report.prompt_tokens, report.completion_tokens, report.estimated) == (9, -(-len(text) // 4), True)


async def test_a_document_that_can_only_just_be_read() -> None:
    """At any depth it is delivered as it is, or is none, and nothing breaks."""
    made = plan(question("Answer with JSON only."), catalog("a", "b"), situation())
    for depth in range(100, 1200, 50):
        texts = {"a": "[" * depth + "1" + "]" * depth, "b": "[" * depth + "2" + "]" * depth}
        try:
            decided, text = counted(made, **texts)
        except SchemaFailed as error:
            assert "nested" in str(error) or "recursion" in str(error)  # noqa: PT017  # where that begins depends on how deep the test itself stands
        else:
            assert (decided.degraded, text) == (("fallback",), texts["a"])
