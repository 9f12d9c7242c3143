"""Refine and several rounds: what stands, whoever fails. Members are scripts, critics and judges too."""

from __future__ import annotations

import json
from typing import Any

import pytest

from fusiond.chat import Format
from fusiond.errors import AllFailed, Garbled, TimedOut
from fusiond.events import Failed, Finished
from tests.asking import question
from tests.planning import PROSE, Stage, catalog, fused
from tests.unit.test_fuse import ANALYSIS, BOOM, letter_of

LATE = TimedOut("late")
FLAW = json.dumps({"blocking": [{"quote": "dry", "problem": "it is wet", "fix": "say so"}], "minor": []})
FINE = json.dumps({"blocking": [], "minor": []})


class Bench(Stage):
    """A stage on which whoever judges picks the candidate with certain words, wherever it stands."""

    def __init__(self, scripts: dict[str, Any], words: str) -> None:
        super().__init__(scripts)
        self._words = words

    async def listen(self, call: Any) -> Any:
        """A verdict, or the script's."""
        if call.role == "judge":
            shown = call.request.messages[-1].text
            self.scripts = {**self.scripts, call.voice: [json.dumps({"winner": letter_of(shown, self._words)})]}
        async for event in super().listen(call):
            yield event


def refined(**fusion: Any) -> Any:
    """A fusion of a drafter `a` with a critic and judge `j` of another family."""
    return catalog("a", strategy="refine", judge="j", facts={"j": {"family": "qwen"}}, **{"writer": "w", **fusion})


@pytest.mark.parametrize("stream", [False, True])
async def test_a_revision_that_is_preferred_from_both_places(stream: bool) -> None:
    """Is delivered, and says so."""
    stage = Bench({"a": ["It is dry."], "j (critic)": [FLAW], "w": ["It is wet."]}, "It is wet.")
    decided, text, _ = await fused(question(PROSE, stream=stream), refined(), stage)
    assert (decided.decision, text, decided.degraded) == ("revised", "It is wet.", ())
    critic, writer = (next(call for call in stage.asked if call.role == role) for role in ("critic", "writer"))
    assert "It is dry." in critic.request.messages[-1].text
    assert "say so" in writer.request.messages[-1].text
    assert writer.request.messages[:-1] == question(PROSE).messages


async def test_a_draft_with_nothing_blocking_stands() -> None:
    """Nobody is asked for more."""
    stage = Bench({"a": ["It is wet."], "j (critic)": [FINE]}, "")
    decided, text, _ = await fused(question(PROSE), refined(), stage)
    assert (decided.decision, text, decided.reason) == ("draft_kept", "It is wet.", "nothing blocking was found")
    assert [call.role for call in stage.asked] == ["panel", "critic"]


@pytest.mark.parametrize(
    ("scripts", "why"),
    [
        ({"j (critic)": [BOOM]}, ("judge_failed",)),
        ({"j (critic)": [LATE]}, ("judge_failed",)),
        ({"j (critic)": ["no JSON"]}, ("judge_failed",)),
        ({"j (critic)": ['{"blocking": "all"}']}, ("judge_failed",)),
        ({"j (critic)": [FLAW[:20], Finished(member="", reason="length")]}, ("judge_failed",)),
        ({"w": [BOOM]}, ("fallback",)),
        ({"w": [LATE]}, ("fallback",)),
        ({"w": ["It is we", Finished(member="", reason="length")]}, ()),
        ({"w": ["It is dry."]}, ()),
        ({"j (ballot 1)": [BOOM], "j (ballot 2)": [BOOM]}, ("judge_failed",)),
        ({"j (ballot 1)": ['{"winner": "Z"}'], "j (ballot 2)": ["neither"]}, ("judge_failed",)),
        ({"j (ballot 1)": ['{"winner": "A"}'], "j (ballot 2)": ['{"winner": "A"}']}, ()),
        ({"j (ballot 2)": [BOOM], "j (ballot 1)": ['{"winner": "A"}']}, ()),
    ],
)
async def test_the_draft_stands_whoever_fails(scripts: dict[str, Any], why: tuple[str, ...]) -> None:
    """Dead, late, garbled, naming nobody, cut off, unchanged, or going by place."""
    stage = Stage({"a": ["It is dry."], "j (critic)": [FLAW], "w": ["It is wet."], **scripts})
    decided, text, end = await fused(question(PROSE, stream=True), refined(), stage)
    assert (decided.decision, text, decided.degraded) == ("draft_kept", "It is dry.", why)
    assert isinstance(end, Finished)


async def test_the_critic_is_of_another_family() -> None:
    """The panel's own member, where there is no judge; of the same family, where there is no other."""
    large: dict[str, Any] = {"size": 70.0}
    for facts, critic in (({"a": large, "c": {"family": "qwen"}}, "c"), ({"a": large}, "b")):
        stage = Bench({"a": ["It is wet."], critic: [FINE]}, "")
        await fused(question(PROSE), catalog("a", "b", "c", strategy="refine", facts=facts), stage)
        assert [call.member.name for call in stage.asked] == ["a", critic]


async def test_another_drafts_where_the_first_fails() -> None:
    """And where nobody does, everybody's reason is told."""
    stage = Bench({"a": [BOOM], "b": ["It is wet."], "a (critic)": [FINE]}, "")
    decided, text, _ = await fused(question(PROSE), catalog("a", "b", strategy="refine"), stage)
    assert (text, decided.degraded) == ("It is wet.", ("fallback",))
    others = Bench({"a": [BOOM], "b": ["It is wet."], "c (critic)": [FINE]}, "")
    await fused(question(PROSE), catalog("a", "b", "c", strategy="refine", facts={"a": {"family": "qwen"}}), others)
    assert [call.member.name for call in others.asked] == ["a", "b", "c"]  # not who has just failed
    with pytest.raises(AllFailed) as failed:
        await fused(question(PROSE), catalog("a", "b", strategy="refine"), Stage({"a": [BOOM], "b": [LATE]}))
    assert set(failed.value.failures) == {"a", "b"}


async def test_revisions_of_revisions() -> None:
    """As many as there are rounds; the last that was preferred stands."""
    scripts = {
        "a": ["It is dry."],
        "j (critic)": [FLAW],
        "j (critic, round 2)": [FLAW],
        "w": ["It is wet."],
        "w (writer, round 2)": ["It is salty too."],
    }
    stage = Bench(scripts, "It is wet.")
    decided, text, _ = await fused(question(PROSE), refined(rounds=2), stage)
    assert (decided.decision, text) == ("revised", "It is wet.")
    assert decided.reason == "the revision was not preferred from both places"
    assert [call.role for call in stage.asked] == ["panel", "critic", "writer", "judge", "judge", "critic", "writer", "judge", "judge"]


async def test_documents_are_not_refined() -> None:
    """They are voted on."""
    decided, text, _ = await fused(question(PROSE, format=Format(kind="json_object")), refined(), Stage({"a": ['{"x": 1}']}))
    assert (text, decided.keys) == ('{"x": 1}', {"a": '{"x":1}'})


def layered(**fusion: Any) -> Any:
    """A synthesis in two layers."""
    return catalog("a", "b", strategy="synthesize", judge="j", writer="w", rounds=2, facts={"b": {"size": 70.0}}, **fusion)


LAYERS: dict[str, Any] = {
    "a": ["It is wet."],
    "b": ["It is salty."],
    "j": [json.dumps(ANALYSIS)],
    "w": ["It is wet and salty."],
    "a (round 2)": ["It is wet, salty and deep."],
    "b (round 2)": ["It is deep."],
    "w (writer, round 2)": ["It is wet, salty ", "and deep."],
}


@pytest.mark.parametrize("stream", [False, True])
async def test_the_next_layer_sees_the_synthesis_so_far(stream: bool) -> None:
    """And only the last writer is delivered."""
    stage = Stage(LAYERS)
    decided, text, _ = await fused(question(PROSE, stream=stream), layered(), stage)
    assert (decided.decision, decided.voice, text) == ("synthesized", "w (writer, round 2)", "It is wet, salty and deep.")
    again = [call for call in stage.asked if call.role == "drafter"]
    assert [call.member.name for call in again] == ["a", "b"]
    assert all("It is wet and salty." in call.request.messages[-1].text for call in again)
    assert all(call.request.messages[:-1] == question(PROSE).messages for call in again)


@pytest.mark.parametrize(
    ("scripts", "why"),
    [
        ({"a (round 2)": [BOOM], "b (round 2)": [LATE]}, "members"),
        ({"j (judge, round 2)": ["no JSON"]}, "judge_failed"),
        ({"j (judge, round 2)": [BOOM]}, "judge_failed"),
        ({"w (writer, round 2)": [BOOM]}, "fallback"),
        ({"w (writer, round 2)": ["It is 9 km deep."]}, "synthesis_rejected"),
    ],
)
async def test_a_layer_that_fails_leaves_the_one_before(scripts: dict[str, Any], why: str) -> None:
    """Which was whole and founded."""
    decided, text, _ = await fused(question(PROSE, stream=True), layered(), Stage({**LAYERS, **scripts}))
    assert (decided.decision, text, decided.degraded) == ("synthesized", "It is wet and salty.", (why,))


@pytest.mark.parametrize(("writer", "why"), [([BOOM], "fallback"), (["It is 9 km deep."], "synthesis_rejected")])
async def test_a_first_layer_that_fails_leaves_a_draft(writer: Any, why: str) -> None:
    """The most skilled member's."""
    decided, text, _ = await fused(question(PROSE), layered(), Stage({**LAYERS, "w": writer}))
    assert (decided.decision, text, decided.degraded) == ("relayed", "It is salty.", (why,))


@pytest.mark.parametrize("stream", [False, True])
async def test_a_synthesis_with_something_that_nobody_said(stream: bool) -> None:
    """Is replaced as long as nothing of it was delivered; after that it ends in the error."""
    scripts: dict[str, Any] = {"a": ["It is wet."], "b": ["It is 4 km deep."], "j": [json.dumps(ANALYSIS)], "w": ["It is ", "5 km deep. And wet."]}
    served = catalog("a", "b", strategy="synthesize", judge="j", writer="w", facts={"b": {"size": 70.0}})
    decided, text, _ = await fused(question(PROSE, stream=stream), served, Stage(scripts))
    assert (decided.decision, text, decided.degraded) == ("relayed", "It is 4 km deep.", ("synthesis_rejected",))
    assert decided.reason == "the synthesis was rejected: the number 5 is in no draft"
    late = Stage({**scripts, "w": ["It is wet. It is ", "5 km deep."]})
    decided, text, end = await fused(question(PROSE, stream=stream), served, late)
    if not stream:
        assert (text, decided.degraded) == ("It is 4 km deep.", ("synthesis_rejected",))
        return
    assert (decided.decision, text) == ("synthesized", "It is wet.")
    assert isinstance(end, Failed)
    assert (end.error.code, str(end.error)) == ("synthesis_rejected", "the synthesis was rejected: the number 5 is in no draft")
    assert not isinstance(end.error, Garbled)
