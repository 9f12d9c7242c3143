"""Any server that speaks OpenAI's chat completions, always asked for a stream: llama-server, vLLM, LM Studio, and the built-in engine."""

from __future__ import annotations

import json
import logging
import operator
import re
from collections.abc import AsyncGenerator, Iterable, Mapping
from contextlib import aclosing
from decimal import Decimal
from typing import Any

from aiohttp import ClientResponse
from pydantic_core import from_json

from fusiond.call import Call
from fusiond.catalog import Member, ModelFacts, ProviderFacts
from fusiond.config.tree import OpenAIConfig
from fusiond.errors import Garbled, MemberError, TimedOut, Truncated
from fusiond.events import Event, Finished, FinishReason, Opened, Text, Thinking, ToolCall, Usage, joined
from fusiond.members import State
from fusiond.members.dialects import Halves, Places, count, only_text, reason_of
from fusiond.members.egress import Egress
from fusiond.members.http import Link, at_end, piece, rejected, string
from fusiond.members.openai_question import body
from fusiond.members.patience import Patience
from fusiond.members.residency import Residency
from fusiond.members.sse import decoder_of
from fusiond.resolve import place_of

log = logging.getLogger(__name__)

LIST_SECONDS = 10.0
LAST_SECONDS, BILL_SECONDS = 0.5, 5.0
"""So long the end of the stream may come after the end of the answer: between them is only what it cost, which matters where it is paid."""

MOST_USD = 10**6
_LEAST = -30
"""A digit so far behind the point is none: to write it out could take all memory."""

_NUMBER = re.compile(r"[\x21-\x7e]{1,200}")
_EXACT = json.JSONDecoder(parse_float=Decimal)


class OpenAI:
    """A provider with `api = "openai"`."""

    def __init__(self, config: OpenAIConfig, key: str | None, residency: Residency, egress: Egress | None = None) -> None:
        self._config = config
        self._residency = residency
        headers = {"Authorization": f"Bearer {key}"} if key else None
        self._link = Link(config.url, headers, egress=None if place_of(config) == "local" else egress)

    async def stream(self, call: Call, patience: Patience) -> AsyncGenerator[Event, None]:
        """Ask one member."""
        slot = self._residency.slot((self._config.url, call.member.model), self._config.parallel, call.deadline)
        async with slot, aclosing(chat(self._link, body(call), call, patience)) as events:
            async for event in events:
                yield event

    def state(self, member: Member) -> State:  # noqa: ARG002  # such a server does not tell
        """Taken for ready."""
        return "ready"

    async def recall(self) -> ProviderFacts | None:
        """Nothing is kept."""
        return None

    async def discover(self) -> ProviderFacts:
        """The models that the server lists, if the configuration wants to know."""
        if not self._config.discover:
            return ProviderFacts()
        patience = Patience(first_token=LIST_SECONDS, stall=LIST_SECONDS, total=LIST_SECONDS, deadline=float("inf"))
        try:
            listed = listing(await self._link.get("/models", patience))
        except MemberError as error:
            return ProviderFacts(error=error.message, lost=error.lost)
        place = place_of(self._config)
        return ProviderFacts(models={name: ModelFacts(model=name, place=place) for entry in listed if isinstance(name := entry.get("id"), str)})

    async def aclose(self) -> None:
        """Close every connection."""
        await self._link.aclose()


def listing(document: Any) -> list[Mapping[str, Any]]:
    """The entries of a list of models, as far as they are entries."""
    entries = document.get("data") if isinstance(document, dict) else None
    return [entry for entry in entries if isinstance(entry, dict)] if isinstance(entries, list) else []


async def chat(link: Link, question: Mapping[str, Any], call: Call, patience: Patience) -> AsyncGenerator[Event, None]:
    """The events of one streamed chat completion. Raises MemberError."""
    chunks = Chunks(call.voice, numbered=call.member.api == "openrouter")
    async with link.post("/chat/completions", question, patience, call) as response:
        decoder = decoder_of(response.content_type)
        if opened := chunks.opened(response.headers.get("X-Generation-Id")):
            yield opened
        while not chunks.done and (data := await _more(response, patience, chunks, paid=call.member.paid)):
            if events := chunks.read(decoder.feed(data)):
                patience.heard()
            for event in events:
                yield event
        for event in chunks.read([] if chunks.reason else decoder.end()):
            yield event
        end = chunks.end()
        await at_end(response)
    for event in end:
        yield event


async def _more(response: ClientResponse, patience: Patience, chunks: Chunks, *, paid: bool) -> bytes:
    """What comes next of the body; nothing at its end. Once the answer is complete, its end need not be waited for, or be a good one."""
    if chunks.reason is None:
        return await piece(response, patience)
    patience.ending(BILL_SECONDS if paid else LAST_SECONDS)
    try:
        return await piece(response, patience)
    except (TimedOut, Truncated):
        return b""


class Chunks:
    """What the chunks of one stream mean, read one after the other. `numbered`: their `id` is what the bill can be asked for by.

    `reason`: why the answer ended, once it has; what may follow then is what it cost. `done`: nothing follows.
    """

    __slots__ = ("_fault", "_halves", "_numbered", "_places", "_voice", "done", "reason")

    def __init__(self, voice: str, *, numbered: bool = False) -> None:
        self._voice = voice
        self._numbered = numbered
        self._places = Places()
        self._halves: Halves | None = None
        self._fault: MemberError | None = None
        self.reason: FinishReason | None = None
        self.done = False

    def read(self, payloads: Iterable[bytes]) -> list[Event]:
        """The events of payloads that came together, neighbouring texts as one. What is wrong with one of them, `end` raises."""
        heard: list[Event] = []
        texts: list[str] = []
        try:
            for payload in payloads:
                if self.done or payload == b"[DONE]":
                    self.done = True
                    break
                try:
                    chunk = from_json(payload)
                except ValueError:
                    chunk = self._torn(payload)
                if self._halves is None and not self._numbered and (text := only_text(chunk)):
                    texts.append(text)
                else:
                    self._tell(texts, heard)
                    self._said(chunk, payload, heard)
        except MemberError as error:
            self._fault, self.done = error, True
        self._tell(texts, heard)
        return list(joined(heard)) if len(heard) > 1 else heard

    def opened(self, generation: object) -> Opened | None:
        """The provider's number for the call, the first time that it is told; what is no short word of ASCII is none."""
        if not self._numbered or not isinstance(generation, str) or not _NUMBER.fullmatch(generation):
            return None
        self._numbered = False
        return Opened(member=self._voice, generation=generation)

    def end(self) -> list[Event]:
        """How the stream ends. Raises the error that one of its chunks was, or Truncated where it did not say that it was complete."""
        if self._fault is not None:
            raise self._fault
        if self.reason is None and not self.done:
            raise Truncated("the stream stopped without its end")
        rest = self._halves.rest("content") if self._halves else ""
        reason = "tool_calls" if self._places.made and self.reason in (None, "stop") else self.reason or "stop"
        return [*([Text(member=self._voice, text=rest)] if rest else ()), Finished(member=self._voice, reason=reason)]

    def _tell(self, texts: list[str], heard: list[Event]) -> None:
        """Move the texts of neighbouring chunks to what was heard, as one."""
        if texts:
            heard.append(Text(member=self._voice, text="".join(texts)))
            texts.clear()

    def _torn(self, payload: bytes) -> Any:
        """A chunk that may hold half a character, which the quicker parser refuses. Raises Garbled."""
        self._halves = self._halves or Halves()
        try:
            return json.loads(payload.decode())
        except (ValueError, RecursionError):
            raise Garbled(f"not JSON: {payload[:80]!r}") from None

    def _said(self, chunk: Any, payload: bytes, heard: list[Event]) -> None:
        try:
            if self._numbered and (opened := self.opened(chunk.get("id"))):
                heard.append(opened)
            if (error := chunk.get("error")) or chunk.get("object") == "error":
                raise rejected(error or chunk)
            for choice in chunk.get("choices") or ():
                if not choice.get("index"):  # nobody asked for a second one
                    self._choice(choice, heard)
            if chunk.get("usage"):
                heard += self._usage(payload)
            elif "code" in chunk and "message" in chunk and not chunk.get("choices"):
                raise rejected(chunk)
        except (AttributeError, IndexError, KeyError, TypeError) as wrong:
            raise Garbled(f"a chunk of another form ({type(wrong).__name__}): {payload[:80]!r}") from None

    def _choice(self, choice: Mapping[str, Any], heard: list[Event]) -> None:
        delta = choice.get("delta") or choice.get("message") or {}
        if text := self._text(delta, "content"):
            heard.append(Text(member=self._voice, text=text))
        self._more(delta, heard)
        if reason := choice.get("finish_reason"):
            if reason == "error":
                raise rejected(choice.get("error") or "the provider ended the answer with an error")
            self.reason = reason_of(reason)

    def _text(self, told: Mapping[str, Any], field: str) -> str:
        text = told.get(field)
        return self._whole(field, string(text)) if text else ""

    def _whole(self, field: str, text: str) -> str:
        return self._halves.joined(field, text) if self._halves else text

    def _more(self, delta: Mapping[str, Any], heard: list[Event]) -> None:
        """What a delta may hold beside text."""
        if thought := self._text(delta, "reasoning_content") or self._text(delta, "reasoning"):
            heard.append(Thinking(member=self._voice, text=thought))
        if refusal := self._text(delta, "refusal"):
            heard.append(Text(member=self._voice, text=refusal))
        for place, told in enumerate(delta.get("tool_calls") or ()):
            heard.append(self._tool_call(place, told))

    def _tool_call(self, place: int, told: Mapping[str, Any]) -> ToolCall:
        function = told.get("function") or {}
        call_id, name = string(told.get("id") or ""), string(function.get("name") or "")
        index = told.get("index")
        index = self._places.of(place if index is None else operator.index(index), call_id, name)
        arguments = function.get("arguments") or ""
        text = arguments if isinstance(arguments, str) else json.dumps(arguments)
        return ToolCall(member=self._voice, index=index, id=call_id, name=name, arguments=self._whole(f"arguments of {index}", text))

    def _usage(self, payload: bytes) -> list[Event]:
        """What the call cost, with every digit of the bill; nothing where that cannot be: an unknown amount is none of our making."""
        try:
            return [self._counted(_EXACT.decode(payload.decode())["usage"])]
        except (ArithmeticError, AttributeError, TypeError, ValueError) as error:
            log.debug("%s: its usage is none, and stays unknown (%s)", self._voice, error)
            return []

    def _counted(self, usage: Mapping[str, Any]) -> Usage:
        prompt, completion = usage.get("prompt_tokens_details") or {}, usage.get("completion_tokens_details") or {}
        return Usage(
            member=self._voice,
            prompt_tokens=count(usage.get("prompt_tokens")) or 0,
            completion_tokens=count(usage.get("completion_tokens")) or 0,
            reasoning_tokens=count(completion.get("reasoning_tokens")),
            cached_tokens=count(prompt.get("cached_tokens")) or 0,
            cache_write_tokens=count(prompt.get("cache_write_tokens")),
            cost=bill(usage, "cost"),
            final=self.reason is not None,
        )


def bill(told: Mapping[str, Any], field: str) -> Decimal | None:
    """USD; None where it is not told. Raises ValueError, TypeError, AttributeError or ArithmeticError where it is no amount.

    Where the user's own key at the provider behind a gateway was used, what that one bills comes on top of the gateway's fee.
    """
    if told.get(field) is None:
        return None
    details = told.get("cost_details") or told
    upstream = details.get("upstream_inference_cost") if told.get("is_byok") else None
    cost = Decimal(str(told[field])) + Decimal(0 if upstream is None else str(upstream))
    if not 0 <= cost <= MOST_USD:
        raise ValueError(f"{cost} USD")
    return cost if cost.adjusted() > _LEAST else Decimal(0)
