"""Ollama, by its own API: the OpenAI-compatible one loses context sizes, temperatures and errors in mid-stream.

Chat is posted raw, since the official client knows neither `truncate` nor `shift`; the client serves what is asked seldom (tags, show, ps), and is
imported nowhere else, and only when that is asked: it costs a third of a second and ten megabytes.

Every call of a model carries the same `num_ctx`, since another one makes the server load the model anew. A prompt that does not fit is refused
(`truncate` and `shift` off), never cut.
"""

from __future__ import annotations

from collections.abc import AsyncGenerator, Awaitable, Callable, Mapping
from contextlib import aclosing
from typing import TYPE_CHECKING, Any

from fusiond import guess
from fusiond.call import Call
from fusiond.catalog import Member, ModelFacts, ProviderFacts
from fusiond.config.tree import OllamaConfig
from fusiond.errors import Garbled, MemberError, Truncated
from fusiond.events import Event, joined
from fusiond.members import State
from fusiond.members.egress import Egress
from fusiond.members.http import Link, at_end, pieces, rejected, whole
from fusiond.members.ollama_chat import Lines, load_order, parsed, question
from fusiond.members.patience import Patience
from fusiond.members.residency import Memory, Residency
from fusiond.members.sse import LineDecoder
from fusiond.resolve import place_of

if TYPE_CHECKING:
    import httpx
    from ollama import AsyncClient, ListResponse, ShowResponse

LOOK_SECONDS = 5.0
ODD_ANSWERS = (ValueError, TypeError, AttributeError, RecursionError)
"""What the official client raises where a server answers with something else than the API says."""

LOAD_SECONDS = 600.0
"""A large model from a slow disk takes minutes."""


class Ollama:
    """A provider with `api = "ollama"`."""

    def __init__(self, config: OllamaConfig, residency: Residency, egress: Egress | None = None) -> None:
        self._config = config
        self._residency = residency
        self._egress = egress
        self._beyond = place_of(config) != "local"
        self._link = Link(config.url, egress=egress, beyond=self._beyond)
        self._shown: dict[str, ShowResponse] = {}

    async def stream(self, call: Call, patience: Patience) -> AsyncGenerator[Event, None]:
        """Ask one member: wait for its turn, then for its model to be in memory, then for its answer."""
        member = call.member
        async with self._residency.slot((self._config.url, _full(member.model)), self._config.parallel, call.deadline):
            if member.place != "remote":
                await self._residency.loaded(self._memory(member), lambda: self._is_loaded(member), lambda: self._load(member), call.deadline)
            async with aclosing(self._chat(call, patience)) as events:
                async for event in events:
                    yield event
            self._residency.seen(self._memory(member))

    def state(self, member: Member) -> State:
        """Whether the member's model is in memory; one that runs elsewhere is always ready."""
        return "ready" if member.place == "remote" else self._residency.state(self._memory(member))

    async def recall(self) -> ProviderFacts | None:
        """Nothing is kept."""
        return None

    async def discover(self) -> ProviderFacts:
        """What models the server has, and which of them are in memory. A model's details are asked once for each of its digests."""
        import httpx  # noqa: PLC0415  # comes with the client
        from ollama import AsyncClient, ResponseError  # noqa: PLC0415  # see above

        try:
            elsewhere = await self._elsewhere()
            async with AsyncClient(
                host=self._config.url, timeout=LOOK_SECONDS, trust_env=False, follow_redirects=False, event_hooks=self._hooks()
            ) as client:
                running = (await client.ps()).models
                listed = (await client.list()).models
                models = [await self._facts(client, entry, elsewhere, {entry.model for entry in running}) for entry in listed]
        except (ConnectionError, MemberError, ResponseError, httpx.HTTPError, *ODD_ANSWERS) as error:
            lost = isinstance(error, ConnectionError | httpx.ConnectError) or (isinstance(error, MemberError) and error.lost)
            return ProviderFacts(error=f"{self._config.url}: {str(error).splitlines()[0] if str(error) else type(error).__name__}", lost=lost)
        self._residency.found(self._config.url, {(self._config.url, entry.model or "", entry.context_length) for entry in running})
        return ProviderFacts(models={facts.model: facts for facts in models})

    async def aclose(self) -> None:
        """Close every connection."""
        await self._link.aclose()

    def _hooks(self) -> dict[str, list[Callable[..., Awaitable[None]]]]:
        """What keeps a key from the official client's own requests, and tells of them where they leave this machine."""
        egress = self._egress if self._beyond else None
        if egress is None:
            return {"request": [_without_key]}

        async def asked(request: httpx.Request) -> None:
            line = len(f"{request.method} {request.url.raw_path.decode()} HTTP/1.1\r\n\r\n")
            sent = line + _bytes_of(request.headers) + len(request.content)
            exchange = await egress.leaving(host=request.url.netloc.decode(), member=None, request_id=None, sent=sent)
            request.extensions["sent"] = exchange, sent

        async def answered(response: httpx.Response) -> None:
            exchange, sent = response.request.extensions["sent"]
            line = len(f"{response.http_version} {response.status_code} {response.reason_phrase}\r\n\r\n")
            exchange.left(sent=sent, received=line + _bytes_of(response.headers) + len(await response.aread()))

        return {"request": [_without_key, asked], "response": [answered]}

    def _memory(self, member: Member) -> Memory:
        return self._config.url, _full(member.model), member.context

    async def _chat(self, call: Call, patience: Patience) -> AsyncGenerator[Event, None]:
        decoder, lines = LineDecoder(), Lines(call.voice)
        async with self._link.post("/api/chat", question(call, self._config.keep_alive), patience, call) as response:
            if response.content_type == "text/html":
                raise Garbled("an HTML page instead of an answer")
            async with aclosing(pieces(response, patience)) as body:
                async for data in body:
                    for event in joined(lines.read(decoder.feed(data))):
                        patience.heard()
                        yield event
                    if lines.end is not None:
                        break
            for event in lines.read(decoder.end()):
                yield event
            await at_end(response)
        if lines.end is None:
            raise Truncated("the stream stopped without its last line")
        yield lines.end

    async def _is_loaded(self, member: Member) -> bool:
        """Whether the model is in memory with the window that it will be asked with."""
        running = await self._get("/api/ps")
        return any(entry.get("name") == _full(member.model) and entry.get("context_length") in (None, member.context) for entry in running)

    async def _elsewhere(self) -> set[str]:
        """The models that the server lets others run, whatever they are called: the official client does not tell."""
        return {str(entry.get("model")) for entry in await self._get("/api/tags") if entry.get("remote_host") or entry.get("remote_model")}

    async def _get(self, path: str) -> list[dict[str, Any]]:
        """The models that an address lists. Raises MemberError."""
        patience = Patience(first_token=LOOK_SECONDS, stall=LOOK_SECONDS, total=LOOK_SECONDS, deadline=float("inf"))
        document = await self._link.get(path, patience)
        models = document.get("models") if isinstance(document, dict) else None
        return [entry for entry in models if isinstance(entry, dict)] if isinstance(models, list) else []

    async def _load(self, member: Member) -> None:
        """Have the model loaded. Raises MemberError."""
        patience = Patience(first_token=LOAD_SECONDS, stall=LOAD_SECONDS, total=LOAD_SECONDS, deadline=float("inf"))
        order = load_order(member, self._config.keep_alive)
        async with self._link.post("/api/chat", order, patience) as response:
            document = parsed(await whole(response, patience))
        if document.get("error"):
            raise rejected(document["error"])

    async def _facts(self, client: AsyncClient, entry: ListResponse.Model, elsewhere: set[str], loaded: set[str | None]) -> ModelFacts:
        name = entry.model or ""
        known = entry.digest or name
        if known not in self._shown:
            self._shown[known] = await client.show(name)
        shown = self._shown[known]
        capabilities, details, info = shown.capabilities or [], entry.details, shown.modelinfo or {}
        cloud = name in elsewhere or guess.cloud(name)
        return ModelFacts(
            model=name.removesuffix(":latest"),
            place="remote" if cloud else place_of(self._config),
            family=details.family if details else None,
            size=_billions(info, details.parameter_size if details else None),
            bytes=int(entry.size) if entry.size else None,
            context=next((int(value) for key, value in info.items() if key.endswith(".context_length")), None),
            reasoning="thinking" in capabilities,
            tools="tools" in capabilities,
            vision="vision" in capabilities,
            chat=not capabilities or "completion" in capabilities,
            loaded=name in loaded,
        )


async def _without_key(request: httpx.Request) -> None:
    """The client sends the key for Ollama's own cloud to whatever host it is pointed at."""
    request.headers.pop("authorization", None)


def _bytes_of(headers: httpx.Headers) -> int:
    return sum(len(name) + len(value) + 4 for name, value in headers.raw)


def _full(model: str) -> str:
    """A name as the server lists it."""
    return model if ":" in model.rsplit("/", 1)[-1] else f"{model}:latest"


def _billions(info: Mapping[str, Any], told: str | None) -> float | None:
    """Parameters: the model's own count, else the rounded one that is shown (`8.0B`, `135M`)."""
    count = info.get("general.parameter_count")
    if isinstance(count, int | float) and count > 0:
        return float(count) / 1e9
    return guess.size(told) if told else None
